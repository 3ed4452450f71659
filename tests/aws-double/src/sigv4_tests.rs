//! The verifier against AWS's published vectors ("aws-sig-v4-test-suite", and its successor in aws-c-auth), each under
//! its own name there, and against requests that must be refused.

use super::*;
use crate::credentials::NewCredential;

/// 20150830T123600Z, the time of all vectors.
const NOW_MS: i64 = 1_440_938_160_000;

/// A request in the suite's notation: request line, headers, empty line, body.
fn verify_text(
    text: &str,
    service: &str,
    now_ms: i64,
    registry: &Registry,
) -> Result<String, Denial> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers =
        lines.map(|l| l.split_once(':').unwrap()).map(|(n, v)| (n, v.as_bytes())).collect();
    let request = Signed { method, path, query, headers, body: body.as_bytes() };
    let regions = ["us-east-1".to_owned()];
    let expectation = Expectation { service, regions: &regions, now_ms };
    verify(&request, &expectation, registry).map(|credential| credential.access_key_id.clone())
}

fn with_authorization(text: &str, signed_headers: &str, signature: &str) -> String {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    format!(
        "{head}\nX-Amz-Date:20150830T123600Z\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={signed_headers}, \
         Signature={signature}\n\n{body}"
    )
}

#[test]
fn published_signatures_are_accepted() {
    const HOST_DATE: &str = "host;x-amz-date";
    const ONE_MORE: &str = "host;my-header1;x-amz-date";
    let cases = [
        (
            "get-vanilla",
            "GET / HTTP/1.1",
            HOST_DATE,
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "post-vanilla",
            "POST / HTTP/1.1",
            HOST_DATE,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "get-vanilla-query-order-key-case",
            "GET /?Param2=value2&Param1=value1 HTTP/1.1",
            HOST_DATE,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-order-encoded",
            "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1 HTTP/1.1",
            HOST_DATE,
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ),
        (
            "get-vanilla-utf8-query",
            "GET /?\u{1234}=bar HTTP/1.1",
            HOST_DATE,
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            "get-utf8",
            "GET /\u{1234} HTTP/1.1",
            HOST_DATE,
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "get-space",
            "GET /example space/ HTTP/1.1",
            HOST_DATE,
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "get-unreserved",
            "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz HTTP/1.1",
            HOST_DATE,
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "get-slashes",
            "GET //example// HTTP/1.1",
            HOST_DATE,
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        ),
        (
            "get-slash-pointless-dot",
            "GET /./example HTTP/1.1",
            HOST_DATE,
            "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
        ),
        (
            "get-relative-relative",
            "GET /example1/example2/../.. HTTP/1.1",
            HOST_DATE,
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-header-key-duplicate",
            "GET / HTTP/1.1\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1",
            ONE_MORE,
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-order",
            "GET / HTTP/1.1\nMy-Header1:value4\nMy-Header1:value1\nMy-Header1:value3\nMy-Header1:value2",
            ONE_MORE,
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ),
        (
            "get-header-value-trim",
            "GET / HTTP/1.1\nMy-Header1: value1\nMy-Header2: \"a   b   c\"",
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-header-key-sort",
            "POST / HTTP/1.1\nMy-Header1:value1",
            ONE_MORE,
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST / HTTP/1.1\nContent-Type:application/x-www-form-urlencoded\n\nParam1=value1",
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ];
    let registry = Registry::new();
    for (name, text, signed_headers, signature) in cases {
        let text = text.replacen("HTTP/1.1", "HTTP/1.1\nHost:example.amazonaws.com", 1);
        let text = with_authorization(&text, signed_headers, signature);
        let verdict = verify_text(&text, "service", NOW_MS, &registry);
        assert_eq!(verdict.as_deref(), Ok("AKIDEXAMPLE"), "{name}");
    }
}

/// get-vanilla-with-session-token.
#[test]
fn a_session_token_must_be_the_issued_one_and_signed() {
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    let registry = Registry::new();
    let new = NewCredential {
        access_key_id: Some("AKIDEXAMPLE".into()),
        secret_access_key: Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
        session_token: Some(token.into()),
        lifetime_ms: Some(60_000),
        ..NewCredential::default()
    };
    registry.add(new, NOW_MS);
    let text = |token: &str, signed_headers: &str| {
        let text =
            format!("GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Security-Token:{token}");
        with_authorization(
            &text,
            signed_headers,
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        )
    };
    let signed = "host;x-amz-date;x-amz-security-token";
    let kind =
        |text: &str, now_ms| verify_text(text, "service", now_ms, &registry).map_err(|d| d.kind);
    assert_eq!(kind(&text(token, signed), NOW_MS), Ok("AKIDEXAMPLE".into()));
    assert_eq!(kind(&text("other", signed), NOW_MS), Err("UnrecognizedClientException"));
    assert_eq!(kind(&text(token, "host;x-amz-date"), NOW_MS), Err("InvalidSignatureException"));
    assert_eq!(kind(&text(token, signed), NOW_MS + 60_000), Err("ExpiredTokenException"));
}

/// double-url-encode: the path of a Lambda ARN is encoded twice.
#[test]
fn the_path_of_an_arn_is_encoded_once_more() {
    let request = Signed {
        method: "POST",
        path: "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations",
        query: "",
        headers: vec![
            ("Host", b"lambda.us-east-2.amazonaws.com"),
            ("X-Amz-Date", b"20210511T154045Z"),
        ],
        body: b"",
    };
    let canonical = canonical_request(
        &request,
        &["host", "x-amz-date"],
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    let expected = "POST\n\
        /2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-west-2%253A892717189312%253Afunction%253Amy-rusty-fun/\
        invocations\n\n\
        host:lambda.us-east-2.amazonaws.com\nx-amz-date:20210511T154045Z\n\n\
        host;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(canonical, expected);
}

/// "Create a signed AWS API request": the documented IAM ListUsers example.
#[test]
fn the_documented_list_users_example_is_accepted() {
    let text = "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\n\
        Content-Type: application/x-www-form-urlencoded; charset=utf-8\nHost: iam.amazonaws.com\n\
        X-Amz-Date: 20150830T123600Z\n\
        Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
        SignedHeaders=content-type;host;x-amz-date, \
        Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    assert_eq!(verify_text(text, "iam", NOW_MS, &Registry::new()).as_deref(), Ok("AKIDEXAMPLE"));
}

#[test]
fn refusals_have_the_names_that_aws_gives_them() {
    const SIGNATURE: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    let good = with_authorization(
        "GET / HTTP/1.1\nHost:example.amazonaws.com",
        "host;x-amz-date",
        SIGNATURE,
    );
    let edit = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    let cases = [
        ("signature", edit("Signature=5", "Signature=6"), NOW_MS, "InvalidSignatureException"),
        ("method", edit("GET", "POST"), NOW_MS, "InvalidSignatureException"),
        ("path", edit("GET /", "GET /a"), NOW_MS, "InvalidSignatureException"),
        ("query", edit("GET /", "GET /?a=b"), NOW_MS, "InvalidSignatureException"),
        ("host", edit("example", "another"), NOW_MS, "InvalidSignatureException"),
        ("body", format!("{good}more"), NOW_MS, "InvalidSignatureException"),
        ("service", edit("/service/", "/lambda/"), NOW_MS, "InvalidSignatureException"),
        ("region", edit("us-east-1", "us-west-9"), NOW_MS, "InvalidSignatureException"),
        (
            "scope date",
            edit("AKIDEXAMPLE/20150830", "AKIDEXAMPLE/20150829"),
            NOW_MS,
            "InvalidSignatureException",
        ),
        ("five minutes late", good.clone(), NOW_MS + MAX_SKEW_MS + 1, "InvalidSignatureException"),
        ("five minutes early", good.clone(), NOW_MS - MAX_SKEW_MS - 1, "InvalidSignatureException"),
        (
            "host not signed",
            edit("host;x-amz-date", "x-amz-date"),
            NOW_MS,
            "InvalidSignatureException",
        ),
        ("date not signed", edit("host;x-amz-date", "host"), NOW_MS, "InvalidSignatureException"),
        (
            "x-amz header not signed",
            edit("X-Amz-Date", "X-Amz-A:b\nX-Amz-Date"),
            NOW_MS,
            "InvalidSignatureException",
        ),
        (
            "payload hash",
            edit("X-Amz-Date", "X-Amz-Content-Sha256:0\nX-Amz-Date"),
            NOW_MS,
            "InvalidSignatureException",
        ),
        (
            "token of a long-term key",
            edit("X-Amz-Date", "X-Amz-Security-Token:t\nX-Amz-Date"),
            NOW_MS,
            "InvalidSignatureException",
        ),
        ("key", edit("AKIDEXAMPLE", "AKIDOTHER"), NOW_MS, "UnrecognizedClientException"),
        (
            "no authorization",
            edit("Authorization", "X-Other"),
            NOW_MS,
            "MissingAuthenticationTokenException",
        ),
        ("no date", edit("X-Amz-Date", "X-Other"), NOW_MS, "IncompleteSignatureException"),
        (
            "two dates",
            edit("X-Amz-Date", "X-Amz-Date:20150830T123600Z\nX-Amz-Date"),
            NOW_MS,
            "IncompleteSignatureException",
        ),
        (
            "unsorted",
            edit("host;x-amz-date", "x-amz-date;host"),
            NOW_MS,
            "IncompleteSignatureException",
        ),
        (
            "absent header",
            edit("host;x", "host;my-header;x"),
            NOW_MS,
            "IncompleteSignatureException",
        ),
        (
            "algorithm",
            edit("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
            NOW_MS,
            "IncompleteSignatureException",
        ),
        (
            "short scope",
            edit("/service/aws4_request", "/aws4_request"),
            NOW_MS,
            "IncompleteSignatureException",
        ),
        (
            "field twice",
            edit("Signature=", "Signature=x, Signature="),
            NOW_MS,
            "IncompleteSignatureException",
        ),
    ];
    let registry = Registry::new();
    let within = verify_text(&good, "service", NOW_MS + MAX_SKEW_MS, &registry);
    assert_eq!(within.as_deref(), Ok("AKIDEXAMPLE"));
    for (name, text, now_ms, kind) in cases {
        assert_eq!(
            verify_text(&text, "service", now_ms, &registry).map_err(|d| d.kind),
            Err(kind),
            "{name}"
        );
    }
}
