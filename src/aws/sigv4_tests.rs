//! The signer against AWS's published vectors and against the aws-sigv4 crate.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request as official;
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::aws::canonical::{canonical_path, canonical_query, encode};

/// 2015-08-30T12:36:00Z, the time of all vectors
const VECTOR_TIME_UNIX_S: u64 = 1_440_938_160;

#[derive(Deserialize)]
struct Vector {
    context: VectorContext,
    request: String,
    canonical_request: String,
    string_to_sign: String,
    signature: String,
}

#[derive(Deserialize)]
struct VectorContext {
    credentials: VectorCredentials,
    region: String,
    service: String,
    sign_body: bool,
    timestamp: String,
}

#[derive(Deserialize)]
struct VectorCredentials {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

/// A vector's request, read: method, path, query, headers in lower case, body.
struct VectorRequest<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: Vec<(String, String)>,
    body: &'a str,
}

fn read(request: &str) -> VectorRequest<'_> {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if line.starts_with(' ') {
            // obsolete line folding: one more line of the same value
            let (_, value) = headers.last_mut().unwrap();
            value.push_str(line);
        } else {
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_lowercase(), value.to_owned()));
        }
    }
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    VectorRequest { method, path, query, headers, body }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_stage_is_that_of_awss_vectors() {
    let vectors: BTreeMap<String, Vector> =
        serde_json::from_str(include_str!("vectors/sigv4.json")).unwrap();
    assert_eq!(vectors.len(), 29);
    for (name, vector) in &vectors {
        let context = &vector.context;
        assert_eq!(context.timestamp, "2015-08-30T12:36:00Z", "{name}");
        let VectorCredentials { access_key_id, secret_access_key, token } = &context.credentials;
        let credentials =
            Credentials::new(access_key_id, secret_access_key, token.as_deref(), None).unwrap();
        let request = read(&vector.request);
        let payload: [u8; 32] = Sha256::digest(request.body).into();
        let payload_hex = hex(&payload);
        let (host, mut headers): (Vec<_>, Vec<_>) =
            request.headers.iter().partition(|(name, _)| name == "host");
        let hash_header = ("x-amz-content-sha256".to_owned(), payload_hex);
        if context.sign_body {
            headers.push(&hash_header);
        }
        // the signer adds these two itself
        headers.retain(|(name, _)| name != "x-amz-date" && name != "x-amz-security-token");
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let signable = SignableRequest {
            method: request.method.as_bytes(),
            canonical_path: &canonical_path(request.path.as_bytes()),
            canonical_query: &canonical_query(request.query.as_bytes()),
            host: &host[0].1,
            headers: &headers,
            payload_sha256: &payload,
        };
        assert_eq!(context.service, "service", "{name}");
        let mut signer = Signer::new(Region::parse(&context.region).unwrap(), "service");
        let mut lines = Vec::new();
        signer.sign(&credentials, &signable, VECTOR_TIME_UNIX_S, &mut lines);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let canonical_request =
            [&*signer.canonical_request, digits(&payload).as_flattened()].concat();
        assert_eq!(text(&canonical_request), vector.canonical_request, "{name}");
        let hash = digits(&Sha256::digest(&canonical_request).0);
        let string_to_sign = [&*signer.string_to_sign, hash.as_flattened()].concat();
        assert_eq!(text(&string_to_sign), vector.string_to_sign, "{name}");
        let lines = text(&lines);
        assert!(lines.ends_with(&format!("Signature={}\r\n", vector.signature)), "{name}");
    }
}

#[test]
fn the_header_lines_are_complete() {
    let credentials = Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        Some("TOKEN"),
        None,
    );
    let request = SignableRequest {
        method: b"POST",
        canonical_path: "/",
        canonical_query: "",
        host: "lambda.us-east-1.amazonaws.com",
        headers: &[("content-type", b"application/json"), ("x-amz-invocation-type", b"Event")],
        payload_sha256: &Sha256::digest(b"{}").into(),
    };
    let mut signer = Signer::new(Region::parse("us-east-1").unwrap(), "lambda");
    let mut lines = b"before\r\n".to_vec();
    signer.sign(&credentials.unwrap(), &request, VECTOR_TIME_UNIX_S, &mut lines);
    let lines = String::from_utf8(lines).unwrap();
    let (head, signature) = lines.split_once("Signature=").unwrap();
    assert_eq!(
        head,
        "before\r\nx-amz-date: 20150830T123600Z\r\nx-amz-security-token: TOKEN\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20150830/us-east-1/lambda/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type;x-amz-security-token, "
    );
    assert_eq!(signature.len(), 66);
}

#[test]
fn a_kept_key_is_used_for_its_own_day_and_secret_alone() {
    let request = SignableRequest {
        method: b"POST",
        canonical_path: "/",
        canonical_query: "",
        host: "h",
        headers: &[],
        payload_sha256: &[0; 32],
    };
    let new_signer = || Signer::new(Region::parse("us-east-1").unwrap(), "lambda");
    let signed = |signer: &mut Signer, secret, now_unix_s| {
        let credentials = Credentials::new("AKID", secret, None, None).unwrap();
        let mut lines = Vec::new();
        signer.sign(&credentials, &request, now_unix_s, &mut lines);
        lines
    };
    let mut kept = new_signer();
    let midnight = VECTOR_TIME_UNIX_S / DAY_S * DAY_S;
    for (secret, now_unix_s) in [
        ("one", midnight - 1),
        ("one", midnight),
        ("one", midnight + DAY_S - 1),
        ("two", midnight + DAY_S - 1),
        ("one", midnight + DAY_S - 1),
        ("one", midnight - 1),
    ] {
        let expected = signed(&mut new_signer(), secret, now_unix_s);
        assert_eq!(signed(&mut kept, secret, now_unix_s), expected, "{secret} {now_unix_s}");
    }
}

#[test]
fn what_is_kept_of_a_signature_serves_like_requests_of_the_same_second_alone() {
    let request = SignableRequest {
        method: b"POST",
        canonical_path: "/path",
        canonical_query: "a=1",
        host: "host",
        headers: &[("content-type", b"text/plain")],
        payload_sha256: &[1; 32],
    };
    let others = [
        SignableRequest { method: b"PUT", ..request },
        SignableRequest { canonical_path: "/pat", canonical_query: "ha=1", ..request },
        SignableRequest { canonical_path: "/other", ..request },
        SignableRequest { canonical_query: "a=2", ..request },
        SignableRequest { host: "tsoh", ..request },
        SignableRequest { headers: &[], ..request },
        SignableRequest { headers: &[("content-type", b"text/html!")], ..request },
        SignableRequest { headers: &[("content-typf", b"text/plain")], ..request },
        SignableRequest { payload_sha256: &[2; 32], ..request },
    ];
    let owner = |key, secret, token| Credentials::new(key, secret, token, None).unwrap();
    let first = owner("AKID", "secret", None);
    let owners = [
        owner("AKIE", "secret", None),
        owner("AKID", "tercet", None),
        owner("AKID", "secret", Some("token")),
    ];
    let new_signer = || Signer::new(Region::parse("us-east-1").unwrap(), "lambda");
    let signed = |signer: &mut Signer, owner: &Credentials, request, now_unix_s| {
        let mut lines = Vec::new();
        signer.sign(owner, request, now_unix_s, &mut lines);
        lines
    };
    let now = VECTOR_TIME_UNIX_S;
    let first_lines = signed(&mut new_signer(), &first, &request, now);
    let mut kept = new_signer();
    let changed = others.iter().map(|other| (&first, other, now));
    let changed = changed.chain(owners.iter().map(|owner| (owner, &request, now)));
    for (owner, other, time) in changed.chain([(&first, &request, now + 1)]) {
        let expected = signed(&mut new_signer(), owner, other, time);
        assert_ne!(expected, first_lines);
        assert_eq!(signed(&mut kept, &first, &request, now), first_lines);
        assert_eq!(signed(&mut kept, owner, other, time), expected, "{other:?}");
    }
}

#[test]
fn dates_are_written_for_every_time() {
    for (unix_s, expected) in [
        (0, "19700101T000000Z"),
        (951_782_400, "20000229T000000Z"),
        (VECTOR_TIME_UNIX_S, "20150830T123600Z"),
        (4_102_444_799, "20991231T235959Z"),
        (u64::MAX, "99991231T235959Z"),
    ] {
        assert_eq!(date_time(unix_s).as_slice(), expected.as_bytes());
    }
}

/// What the crate signs the same request with: its `authorization` value.
fn official_authorization(
    credentials: &Credentials,
    region: &str,
    request: &OwnedRequest,
    now_unix_s: u64,
) -> String {
    let identity: Identity = aws_credential_types::Credentials::from(credentials).into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("lambda")
        .time(UNIX_EPOCH + Duration::from_secs(now_unix_s))
        .settings(official::SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let query = if request.query.is_empty() { "" } else { "?" };
    let url = format!("https://{}{}{query}{}", request.host, request.path, request.query);
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers = headers.chain([("host", request.host.as_str())]);
    let body = official::SignableBody::Bytes(&request.body);
    let signable = official::SignableRequest::new(&request.method, url, headers, body).unwrap();
    let (instructions, _) = official::sign(signable, &params).unwrap().into_parts();
    let (_, value) = instructions.headers().find(|(name, _)| *name == "authorization").unwrap();
    value.to_owned()
}

/// A request as it is sent.
#[derive(Clone, Debug)]
struct OwnedRequest {
    method: String,
    path: String,
    query: String,
    host: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Any segment a client may send, encoded as it must be on the wire.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~é€]{0,12}".prop_map(|text| {
            let mut encoded = String::new();
            encode(text.as_bytes(), &mut encoded);
            encoded
        }),
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(String::new()),
    ]
}

fn request() -> impl Strategy<Value = OwnedRequest> {
    let header_names = prop::collection::btree_set("[a-z][a-z0-9-]{0,14}[a-z]", 0..4);
    let headers = header_names.prop_flat_map(|names| {
        let names = names.into_iter().filter(|name| {
            let reserved = ["host", "authorization", "x-amz-date", "x-amz-security-token"];
            !reserved.contains(&name.as_str())
        });
        names.map(|name| (Just(name), "[!-~]([ -~]{0,20}[!-~])?")).collect::<Vec<_>>()
    });
    (
        prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH"]),
        prop::collection::vec(segment(), 0..5),
        "([a-c]{0,2}(=([ -$'-~é+]|%[0-7][0-9A-F]){0,5})?&?){0,5}",
        "[a-z]{1,10}\\.lambda-url\\.eu-west-1\\.on\\.aws",
        headers,
        prop::collection::vec(any::<u8>(), 0..64),
    )
        .prop_map(|(method, segments, query, host, headers, body)| OwnedRequest {
            method: method.to_owned(),
            path: format!("/{}", segments.join("/")),
            query: canonical_query(query.as_bytes()),
            host,
            headers,
            body,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// One signer over several requests, days and credentials, so that what it keeps is tested too.
    #[test]
    fn signatures_are_those_of_the_aws_sigv4_crate(
        requests in prop::collection::vec(
            (request(), 0_u64..4_000_000_000, "[A-Z0-9]{16,20}", "[!-~]{20,40}", prop::option::of("[!-~]{1,80}")),
            1..4,
        ),
    ) {
        let mut signer = Signer::new(Region::parse("eu-west-1").unwrap(), "lambda");
        for (request, now_unix_s, key, secret, token) in &requests {
            let credentials = Credentials::new(key, secret, token.as_deref(), None).unwrap();
            let headers: Vec<(&str, &[u8])> =
                request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            let signable = SignableRequest {
                method: request.method.as_bytes(),
                canonical_path: &canonical_path(request.path.as_bytes()),
                canonical_query: &request.query,
                host: &request.host,
                headers: &headers,
                payload_sha256: &Sha256::digest(&request.body).into(),
            };
            let expected = official_authorization(&credentials, "eu-west-1", request, *now_unix_s);
            // twice: with a fresh and with a kept key
            for _ in 0..2 {
                let mut lines = Vec::new();
                signer.sign(&credentials, &signable, *now_unix_s, &mut lines);
                let lines = String::from_utf8(lines).unwrap();
                let (_, ours) = lines.split_once("authorization: ").unwrap();
                prop_assert_eq!(ours.trim_end(), &expected);
            }
        }
    }
}
