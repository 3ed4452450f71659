use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::request::testing::Written;
use crate::request::{Header, hash_lowercase};

const TRACE: &str = "Root=1-552671f0-0123456789abcdef01234567";

fn facts<'a>() -> EventFacts<'a> {
    EventFacts {
        path: b"/users/a%2Fb",
        whole_path: b"/users/a%2Fb",
        host: b"api.example.com:8443",
        protocol: "HTTP/1.1",
        client_address: b"203.0.113.7",
        forwarded: Forwarded { proto: "https", port: 8443, host: b"api.example.com:8443" },
        request_id: b"0123456789abcdef0123456789abcdef",
        trace_id: TRACE.as_bytes(),
        time_ms: 1_428_582_896_123,
        stage: None,
        route: None,
        location: "/users/",
        path_parameters: &[],
        body: None,
    }
}

fn event(payload: Payload, head: &Written, facts: &EventFacts<'_>) -> Value {
    let mut out = Vec::new();
    write_event(payload, head, facts, usize::MAX, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// A request with everything that maps have to care about.
fn busy() -> Written {
    Written::new(
        "POST",
        "a=1&b=x+y%26&a=2&flag&&%C3%A9=%FF",
        &[
            ("Host", "forged.example"),
            ("User-Agent", "curl/8"),
            ("Accept", "text/html"),
            ("accept", "*/*"),
            ("Cookie", "a=1; b=2"),
            ("Content-Type", "application/json"),
            ("Content-Length", "999"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "keep-alive, X-Hop, X-Consumer-Username"),
            ("X-Hop", "1"),
            ("X-Consumer-Username", "bob"),
            ("Keep-Alive", "timeout=5"),
            ("TE", "trailers"),
            ("Expect", "100-continue"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-Proto", "gopher"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Amzn-Trace-Id", "nonsense"),
        ],
    )
}

fn busy_headers() -> Value {
    json!({
        "host": "api.example.com:8443",
        "user-agent": "curl/8",
        "accept": "*/*",
        "cookie": "a=1; b=2",
        "content-type": "application/json",
        "content-length": "8",
        "x-consumer-username": "bob",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "https",
        "x-forwarded-port": "8443",
        "x-forwarded-host": "api.example.com:8443",
        "x-amzn-trace-id": TRACE,
    })
}

fn busy_multi_headers() -> Value {
    let mut multi = busy_headers();
    for (_, value) in multi.as_object_mut().unwrap() {
        *value = json!([value.clone()]);
    }
    multi["accept"] = json!(["text/html", "*/*"]);
    multi
}

#[test]
fn payload_1_has_every_key() {
    let parameters = [("id", Cow::Borrowed(&b"a/b"[..]))];
    let facts = EventFacts {
        body: Some(b"{\"n\":\"1\n"),
        stage: Some("prod"),
        route: Some("/users/{id}"),
        path_parameters: &parameters,
        ..facts()
    };
    let expected = json!({
        "version": "1.0",
        "resource": "/users/{id}",
        "path": "/users/a%2Fb",
        "httpMethod": "POST",
        "headers": busy_headers(),
        "multiValueHeaders": busy_multi_headers(),
        "queryStringParameters": {"a": "2", "b": "x y&", "flag": "", "é": "\u{fffd}"},
        "multiValueQueryStringParameters":
            {"a": ["1", "2"], "b": ["x y&"], "flag": [""], "é": ["\u{fffd}"]},
        "pathParameters": {"id": "a/b"},
        "stageVariables": null,
        "requestContext": {
            "accountId": null, "apiId": null, "authorizer": null,
            "domainName": "api.example.com", "domainPrefix": "api",
            "extendedRequestId": "0123456789abcdef0123456789abcdef",
            "httpMethod": "POST",
            "identity": {
                "accessKey": null, "accountId": null, "apiKey": null, "apiKeyId": null,
                "caller": null, "clientCert": null, "cognitoAuthenticationProvider": null,
                "cognitoAuthenticationType": null, "cognitoIdentityId": null,
                "cognitoIdentityPoolId": null, "principalOrgId": null,
                "sourceIp": "203.0.113.7", "user": null, "userAgent": "curl/8", "userArn": null,
            },
            "operationName": null,
            "path": "/prod/users/a%2Fb",
            "protocol": "HTTP/1.1",
            "requestId": "0123456789abcdef0123456789abcdef",
            "requestTime": "09/Apr/2015:12:34:56 +0000",
            "requestTimeEpoch": 1_428_582_896_123_u64,
            "resourceId": null,
            "resourcePath": "/users/{id}",
            "stage": "prod",
        },
        "body": "{\"n\":\"1\n",
        "isBase64Encoded": false,
    });
    assert_eq!(event(Payload::V1, &busy(), &facts), expected);
}

#[test]
fn payload_1_of_a_bare_request_has_nulls() {
    let facts = EventFacts {
        host: b"",
        forwarded: Forwarded { proto: "http", port: 80, host: b"" },
        ..facts()
    };
    let event = event(Payload::V1, &Written::new("GET", "", &[]), &facts);
    let null_keys: Vec<&str> = event
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(key, _)| &**key)
        .collect();
    let expected = [
        "body",
        "multiValueQueryStringParameters",
        "pathParameters",
        "queryStringParameters",
        "stageVariables",
    ];
    assert_eq!(null_keys, expected);
    assert_eq!(event["resource"], "/users/");
    assert_eq!(event["isBase64Encoded"], false);
    assert_eq!(event["requestContext"]["stage"], "$default");
    assert_eq!(event["requestContext"]["path"], "/users/a%2Fb");
    assert_eq!(event["requestContext"]["identity"]["userAgent"], Value::Null);
    let headers = json!({
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "http",
        "x-forwarded-port": "80",
        "x-amzn-trace-id": TRACE,
    });
    assert_eq!(event["headers"], headers);
}

#[test]
fn payload_2_is_complete() {
    let parameters = [("id", Cow::Borrowed(&b"a/b"[..]))];
    let facts = EventFacts {
        body: Some(b"{\"n\":\"1\n"),
        route: Some("/users/{id}"),
        path_parameters: &parameters,
        ..facts()
    };
    let mut headers = busy_headers();
    headers.as_object_mut().unwrap().remove("cookie");
    headers["accept"] = json!("text/html,*/*");
    let expected = json!({
        "version": "2.0",
        "routeKey": "POST /users/{id}",
        "rawPath": "/users/a%2Fb",
        "rawQueryString": "a=1&b=x+y%26&a=2&flag&&%C3%A9=%FF",
        "cookies": ["a=1", "b=2"],
        "headers": headers,
        "queryStringParameters": {"a": "1,2", "b": "x y&", "flag": "", "é": "\u{fffd}"},
        "pathParameters": {"id": "a/b"},
        "requestContext": {
            "accountId": "anonymous", "apiId": "api",
            "domainName": "api.example.com", "domainPrefix": "api",
            "http": {
                "method": "POST", "path": "/users/a%2Fb", "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7", "userAgent": "curl/8",
            },
            "requestId": "0123456789abcdef0123456789abcdef",
            "routeKey": "POST /users/{id}",
            "stage": "$default",
            "time": "09/Apr/2015:12:34:56 +0000",
            "timeEpoch": 1_428_582_896_123_u64,
        },
        "body": "{\"n\":\"1\n",
        "isBase64Encoded": false,
    });
    assert_eq!(event(Payload::V2, &busy(), &facts), expected);
}

#[test]
fn payload_2_leaves_out_what_is_not_there() {
    let facts = EventFacts { stage: Some("prod"), ..facts() };
    let event = event(Payload::V2, &Written::new("GET", "", &[]), &facts);
    let keys: Vec<&str> = event.as_object().unwrap().keys().map(|key| &**key).collect();
    let expected = [
        "headers",
        "isBase64Encoded",
        "rawPath",
        "rawQueryString",
        "requestContext",
        "routeKey",
        "version",
    ];
    assert_eq!(keys, expected);
    assert_eq!(event["routeKey"], "$default");
    assert_eq!(event["requestContext"]["stage"], "prod");
    assert_eq!(event["rawPath"], "/users/a%2Fb");
    assert_eq!(event["rawQueryString"], "");
}

#[test]
fn payload_alb_has_single_values_and_undecoded_arguments() {
    let facts = EventFacts { body: Some(b"{\"n\":\"1\n"), ..facts() };
    let expected = json!({
        "requestContext":
            {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:::targetgroup/apigate"}},
        "httpMethod": "POST",
        "path": "/users/a%2Fb",
        "queryStringParameters": {"a": "2", "b": "x+y%26", "flag": "", "%C3%A9": "%FF"},
        "headers": busy_headers(),
        "body": "{\"n\":\"1\n",
        "isBase64Encoded": false,
    });
    assert_eq!(event(Payload::Alb, &busy(), &facts), expected);
}

#[test]
fn payload_alb_multi_has_multi_values_only() {
    let facts = EventFacts { body: Some(b"{\"n\":\"1\n"), ..facts() };
    let expected = json!({
        "requestContext":
            {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:::targetgroup/apigate"}},
        "httpMethod": "POST",
        "path": "/users/a%2Fb",
        "multiValueQueryStringParameters":
            {"a": ["1", "2"], "b": ["x+y%26"], "flag": [""], "%C3%A9": ["%FF"]},
        "multiValueHeaders": busy_multi_headers(),
        "body": "{\"n\":\"1\n",
        "isBase64Encoded": false,
    });
    assert_eq!(event(Payload::AlbMulti, &busy(), &facts), expected);
}

#[test]
fn a_client_on_a_unix_socket_has_no_address_and_no_port() {
    let forwarded = Forwarded { port: 0, ..facts().forwarded };
    let facts = EventFacts { client_address: b"unix:", forwarded, ..facts() };
    for payload in [Payload::V1, Payload::V2, Payload::Alb] {
        let event = event(payload, &Written::new("GET", "", &[]), &facts);
        let names: Vec<&str> =
            event["headers"].as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["host", "x-amzn-trace-id", "x-forwarded-host", "x-forwarded-proto"];
        assert_eq!(names, expected, "{payload:?}");
    }
}

#[test]
fn payload_alb_without_body_and_query_has_empty_ones() {
    let event = event(Payload::Alb, &Written::new("GET", "", &[]), &facts());
    assert_eq!(event["body"], "");
    assert_eq!(event["queryStringParameters"], json!({}));
}

#[test]
fn payload_kong_has_the_keys_of_the_plugin() {
    let facts = EventFacts { body: Some(b"{\"n\": [1, {}]}"), ..facts() };
    let mut headers = busy_headers();
    headers["accept"] = json!(["text/html", "*/*"]);
    headers["content-length"] = json!("14");
    let expected = json!({
        "request_method": "POST",
        "request_uri": "/users/a%2Fb?a=1&b=x+y%26&a=2&flag&&%C3%A9=%FF",
        "request_uri_args": {"a": ["1", "2"], "b": "x y&", "flag": true, "é": "\u{fffd}"},
        "request_headers": headers,
        "request_body": "{\"n\": [1, {}]}",
        "request_body_args": {"n": [1, {}]},
    });
    assert_eq!(event(Payload::Kong, &busy(), &facts), expected);
}

#[test]
fn payload_kong_has_the_uri_before_a_prefix_is_stripped() {
    let facts = EventFacts { path: b"/a%2Fb", ..facts() };
    let event = event(Payload::Kong, &Written::new("GET", "q=1", &[]), &facts);
    assert_eq!(event["request_uri"], "/users/a%2Fb?q=1");
}

#[test]
fn payload_kong_reads_forms_and_marks_base64() {
    for (content_type, body, expected) in [
        (
            "application/x-www-form-urlencoded",
            &b"a=1&b=&c&a=%20"[..],
            json!({"request_body": "a=1&b=&c&a=%20",
                   "request_body_args": {"a": ["1", " "], "b": "", "c": true}}),
        ),
        (
            "application/json",
            b"{\"broken\"",
            json!({"request_body": "{\"broken\"", "request_body_args": {}}),
        ),
        ("text/plain", b"hi", json!({"request_body": "hi", "request_body_args": {}})),
        (
            "image/png",
            b"\x00\xff",
            json!({"request_body": "AP8=", "request_body_args": {}, "request_body_base64": true}),
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\n\
              Content-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--b--",
            json!({"request_body": "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
                   --b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--b--",
                   "request_body_args": {"a": ["1", "2"]}}),
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n\xff\r\n--b\r\n\
              Content-Disposition: form-data; name=a\r\n\r\n1\r\n--b--",
            json!({"request_body": "LS1iDQpDb250ZW50LURpc3Bvc2l0aW9uOiBmb3JtLWRhdGE7IG5hbWU9ZjsgZmlsZW5hbWU\
                   9eA0KDQr/DQotLWINCkNvbnRlbnQtRGlzcG9zaXRpb246IGZvcm0tZGF0YTsgbmFtZT1hDQoNCjENCi0tYi0t",
                   "request_body_args": {"a": "1"}, "request_body_base64": true}),
        ),
        (
            "multipart/form-data",
            b"--b--",
            json!({"request_body": "--b--", "request_body_args": {}}),
        ),
    ] {
        let head = Written::new("POST", "", &[("Content-Type", content_type)]);
        let event = event(Payload::Kong, &head, &EventFacts { body: Some(body), ..facts() });
        let body_keys: serde_json::Map<String, Value> = event
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| key.starts_with("request_body"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(Value::Object(body_keys), expected, "{content_type}");
    }
}

#[test]
fn payload_raw_is_the_body() {
    let mut out = b"before".to_vec();
    let facts = EventFacts { body: Some(b"\xffanything"), ..facts() };
    write_event(Payload::Raw, &busy(), &facts, 100, &mut out).unwrap();
    assert_eq!(out, b"before\xffanything");
}

#[test]
fn binary_bodies_are_base64_with_their_own_length() {
    let head = Written::new("PUT", "", &[("Content-Type", "image/png")]);
    let facts = EventFacts { body: Some(b"\x00\xff\x10"), ..facts() };
    for payload in [Payload::V1, Payload::V2, Payload::Alb] {
        let event = event(payload, &head, &facts);
        assert_eq!(event["body"], "AP8Q", "{payload:?}");
        assert_eq!(event["isBase64Encoded"], true, "{payload:?}");
        assert_eq!(event["headers"]["content-length"], "3", "{payload:?}");
    }
}

#[test]
fn cookie_lines_are_one_list() {
    let head = Written::new("GET", "", &[("Cookie", "a=1"), ("X", "y"), ("Cookie", "b=2;c=3;")]);
    let first = event(Payload::V1, &head, &facts());
    assert_eq!(first["headers"]["cookie"], "a=1; b=2;c=3;");
    assert_eq!(first["multiValueHeaders"]["cookie"], json!(["a=1; b=2;c=3;"]));
    let second = event(Payload::V2, &head, &facts());
    assert_eq!(second["cookies"], json!(["a=1", "b=2", "c=3"]));
    assert_eq!(second["headers"].get("cookie"), None);
}

#[test]
fn a_well_formed_trace_is_kept() {
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    let head = Written::new("GET", "", &[("X-Amzn-Trace-Id", trace)]);
    assert_eq!(&*trace_id(&head, b"", 0), trace.as_bytes());
    let facts = EventFacts { trace_id: trace.as_bytes(), ..facts() };
    assert_eq!(event(Payload::V1, &head, &facts)["headers"]["x-amzn-trace-id"], trace);
}

#[test]
fn a_trace_is_made_where_none_is_well_formed() {
    let id = b"0123456789abcdef0123456789abcdef";
    for headers in [&[][..], &[("X-Amzn-Trace-Id", "nonsense")]] {
        let head = Written::new("GET", "", headers);
        assert_eq!(&*trace_id(&head, id, 1_428_582_896_123), TRACE.as_bytes());
    }
}

#[test]
fn domain_names_have_no_port() {
    for (host, domain, prefix) in [
        ("api.example.com", "api.example.com", "api"),
        ("localhost:80", "localhost", "localhost"),
        ("[::1]:8080", "[::1]", "[::1]"),
        ("", "", ""),
    ] {
        let facts = EventFacts { host: host.as_bytes(), ..facts() };
        assert_eq!(facts.domain(), domain.as_bytes(), "{host}");
        assert_eq!(facts.domain_prefix(), prefix.as_bytes(), "{host}");
    }
}

#[test]
fn the_limit_counts_the_encoded_event() {
    let head = Written::new("POST", "", &[("Content-Type", "image/png")]);
    let facts = EventFacts { body: Some(&[0; 3_000]), ..facts() };
    let mut whole = Vec::new();
    write_event(Payload::V2, &head, &facts, usize::MAX, &mut whole).unwrap();
    assert!(whole.len() > 4_000);
    for (max_bytes, expected) in
        [(whole.len(), Ok(())), (whole.len() - 1, Err(TooLarge)), (100, Err(TooLarge))]
    {
        let mut out = b"before".to_vec();
        assert_eq!(write_event(Payload::V2, &head, &facts, max_bytes, &mut out), expected);
        assert_eq!(out.len() == 6, expected.is_err(), "{max_bytes}");
    }
}

/// A head of arbitrary bytes.
struct Arbitrary {
    method: Vec<u8>,
    query: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RequestHead for Arbitrary {
    fn method(&self) -> &[u8] {
        &self.method
    }

    fn query(&self) -> &[u8] {
        &self.query
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.headers.iter().map(|(name, value)| Header {
            hash: hash_lowercase(name),
            lowercase_name: name,
            value,
        })
    }
}

fn header_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        prop::sample::select(vec![
            "cookie",
            "content-type",
            "connection",
            "x-amzn-trace-id",
            "content-encoding",
            "a",
        ])
        .prop_map(|name| name.as_bytes().to_vec()),
    ]
}

proptest! {
    #[test]
    fn any_request_makes_valid_json(
        method in any::<Vec<u8>>(),
        query in any::<Vec<u8>>(),
        headers in prop::collection::vec((header_name(), any::<Vec<u8>>()), 0..50),
        path in any::<Vec<u8>>(),
        body in any::<Option<Vec<u8>>>(),
    ) {
        let head = Arbitrary { method, query, headers };
        let path = event_path(&path, &path);
        let facts = EventFacts { path: &path, host: &path, body: body.as_deref(), ..facts() };
        for payload in
            [Payload::V1, Payload::V2, Payload::Alb, Payload::AlbMulti, Payload::Kong]
        {
            let mut out = Vec::new();
            write_event(payload, &head, &facts, usize::MAX, &mut out).unwrap();
            let event: Value = serde_json::from_slice(&out).unwrap();
            if let (Some(true), Some(text)) =
                (event["isBase64Encoded"].as_bool(), event["body"].as_str())
            {
                use base64::Engine as _;
                let decoded = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
                prop_assert_eq!(Some(decoded), body.clone());
            } else if let (Some(text), Payload::V1 | Payload::V2) = (event["body"].as_str(), payload) {
                prop_assert_eq!(Some(text.as_bytes()), body.as_deref());
            }
        }
    }
}
