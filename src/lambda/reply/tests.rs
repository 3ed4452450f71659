use proptest::prelude::*;

use super::*;
use crate::lambda::event::Payload;

const FORMATS: [Payload; 6] =
    [Payload::V1, Payload::V2, Payload::Alb, Payload::AlbMulti, Payload::Raw, Payload::Kong];

/// Status, `name: value` lines and body of a reply.
fn seen(payload: &str, format: Payload) -> (u16, Vec<String>, Vec<u8>) {
    let reply = read_reply(payload.as_bytes(), format).unwrap();
    let lines = reply.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    (reply.status, lines, reply.body.into_owned())
}

fn lines(payload: &str, format: Payload) -> Vec<String> {
    seen(payload, format).1
}

#[test]
fn a_plain_reply_is_read_in_every_proxy_format() {
    let payload = r#"{"isBase64Encoded":false,"body":"h\u00e9 \"x\"","statusDescription":"201 Created",
        "headers":{"Content-Type":"text/html"},"unknown":{"a":[1,{}]},"statusCode":201}"#;
    let expected =
        (201, vec!["Content-Type: text/html".to_owned()], "hé \"x\"".as_bytes().to_vec());
    for format in [Payload::V1, Payload::V2, Payload::Alb, Payload::AlbMulti, Payload::Kong] {
        assert_eq!(seen(payload, format), expected, "{format:?}");
    }
}

#[test]
fn a_body_without_escapes_is_borrowed() {
    let reply = read_reply(br#"{"statusCode":200,"body":"plain"}"#, Payload::V1).unwrap();
    assert!(matches!(reply.body, Cow::Borrowed(b"plain")));
}

#[test]
fn statuses_are_read_leniently_within_200_to_599() {
    for (text, expected) in [
        ("200", Some(200)),
        ("\"200\"", Some(200)),
        ("\" 404 \"", Some(404)),
        ("200.0", Some(200)),
        ("\"200.0\"", Some(200)),
        ("2e2", Some(200)),
        ("599", Some(599)),
        ("199", None),
        ("100", None),
        ("600", None),
        ("99", None),
        ("-200", None),
        ("200.5", None),
        ("\"\"", None),
        ("\"2e2\"", None),
        ("\"+200\"", None),
        ("\"inf\"", None),
        ("null", None),
        ("true", None),
        ("[200]", None),
        ("{}", None),
        ("18446744073709551615", None),
        ("1e400", None),
    ] {
        let payload = format!("{{\"statusCode\":{text}}}");
        let status = read_reply(payload.as_bytes(), Payload::V1).ok().map(|reply| reply.status);
        assert_eq!(status, expected, "{text}");
    }
}

#[test]
fn header_values_of_any_scalar_kind_are_text() {
    let payload = r#"{"statusCode":200,"headers":{"Content-Type":"a/b","n":1,"neg":-2,"f":1.5,
        "big":12345678901234567890,"huge":1e21,"money":1.10,
        "t":true,"u":false,"gone":null,"list":["x",2,null],"trim":" \tv "},
        "multiValueHeaders":null}"#;
    let expected = [
        "Content-Type: a/b",
        "n: 1",
        "neg: -2",
        "f: 1.5",
        "big: 12345678901234567890",
        "huge: 1e21",
        "money: 1.10",
        "t: true",
        "u: false",
        "list: x",
        "list: 2",
        "trim: v",
    ];
    assert_eq!(lines(payload, Payload::V1), expected);
}

#[test]
fn multi_values_win_over_single_ones_of_the_same_name() {
    let payload = r#"{"statusCode":200,
        "headers":{"content-type":"a/b","X-One":"single","x-two":"kept"},
        "multiValueHeaders":{"x-one":["m1","m2"],"x-three":"bare","X-Two":null}}"#;
    let expected = ["content-type: a/b", "x-two: kept", "x-one: m1", "x-one: m2", "x-three: bare"];
    assert_eq!(lines(payload, Payload::V1), expected);
}

#[test]
fn every_way_to_set_several_cookies_is_understood() {
    for (payload, format) in [
        (
            r#"{"statusCode":204,"multiValueHeaders":{"Set-Cookie":["a=1","b=2","c=3"]}}"#,
            Payload::V1,
        ),
        (
            r#"{"statusCode":204,"headers":{"set-cookie":"a=1","Set-cookie":"b=2","sEt-cookie":"c=3"}}"#,
            Payload::Alb,
        ),
        (r#"{"statusCode":204,"cookies":["a=1","b=2","c=3"]}"#, Payload::V2),
        (
            r#"{"statusCode":204,"headers":{"set-cookie":"a=1","Set-cookie":"b=2"},"cookies":["c=3"]}"#,
            Payload::V2,
        ),
    ] {
        let lines: Vec<String> =
            lines(payload, format).iter().map(|line| line.to_lowercase()).collect();
        assert_eq!(lines, ["set-cookie: a=1", "set-cookie: b=2", "set-cookie: c=3"], "{payload}");
    }
    assert_eq!(lines(r#"{"statusCode":204,"cookies":["a=1"]}"#, Payload::V1), Vec::<String>::new());
}

#[test]
fn headers_of_the_connection_are_dropped() {
    let payload = r#"{"statusCode":200,"headers":{"Connection":"close","Keep-Alive":"1",
        "Content-Length":"999","Transfer-Encoding":"chunked","TE":"x","Trailer":"x","Upgrade":"h2",
        "Proxy-Authenticate":"x","Proxy-Connection":"x","Content-Type":"a/b","ETag":"x"}}"#;
    assert_eq!(lines(payload, Payload::V1), ["Content-Type: a/b", "ETag: x"]);
}

#[test]
fn a_functions_own_content_length_is_told_where_it_is_a_number() {
    for (written, expected) in [
        ("12", Some(12)),
        ("\" 12 \"", Some(12)),
        ("\"-1\"", None),
        ("\"1, 2\"", None),
        ("1.5", None),
    ] {
        let payload =
            format!(r#"{{"statusCode":200,"headers":{{"content-LENGTH":{written}}},"body":""}}"#);
        let reply = read_reply(payload.as_bytes(), Payload::V1).unwrap();
        assert_eq!(reply.content_length, expected, "{written}");
    }
}

#[test]
fn missing_content_types_have_the_formats_default() {
    for (payload, format, expected) in [
        (r#"{"statusCode":200}"#, Payload::V1, Some("application/json")),
        (r#"{"statusCode":200}"#, Payload::Alb, Some("application/json")),
        (r#"{"statusCode":200}"#, Payload::Kong, Some("application/json")),
        (r#"{"statusCode":200}"#, Payload::V2, Some("text/plain; charset=utf-8")),
        (
            r#"{"statusCode":200,"headers":{"Content-Type":" "}}"#,
            Payload::V1,
            Some("application/json"),
        ),
        (r#"{"statusCode":204,"headers":{"Content-Type":""}}"#, Payload::V1, None),
        (r#"{"a":1}"#, Payload::V2, Some("application/json")),
        (r#"{"statusCode":204}"#, Payload::V2, None),
        (r#"{"statusCode":304}"#, Payload::V1, None),
    ] {
        let expected: Vec<String> =
            expected.iter().map(|value| format!("content-type: {value}")).collect();
        assert_eq!(lines(payload, format), expected, "{payload} {format:?}");
    }
}

#[test]
fn payloads_without_a_status_are_the_body_where_the_format_says_so() {
    for payload in [
        "{}",
        "\"text\"",
        " [1, 2]",
        "null",
        "12",
        "{\"headers\":5,\"body\":{},\"cookies\":1,\"isBase64Encoded\":\"x\"}",
        "{\"statusCode\":null}",
    ] {
        for format in [Payload::V2, Payload::Kong] {
            let expected = (
                200,
                vec!["content-type: application/json".to_owned()],
                payload.as_bytes().to_vec(),
            );
            assert_eq!(seen(payload, format), expected, "{payload}");
        }
        for format in [Payload::V1, Payload::Alb, Payload::AlbMulti] {
            assert!(read_reply(payload.as_bytes(), format).is_err(), "{payload}");
        }
    }
    let raw = "not JSON at all";
    let expected = (200, vec!["content-type: application/json".to_owned()], raw.into());
    assert_eq!(seen(raw, Payload::Raw), expected);
    assert_eq!(seen(raw, Payload::Kong), expected);
}

#[test]
fn base64_bodies_are_decoded() {
    for (body, expected) in
        [("AP8Q", &b"\x00\xff\x10"[..]), ("Zg==", b"f"), ("Zg", b"f"), ("", b"")]
    {
        let payload = format!(r#"{{"statusCode":200,"body":"{body}","isBase64Encoded":true}}"#);
        assert_eq!(seen(&payload, Payload::V1).2, expected, "{body}");
    }
    let escaped = r#"{"statusCode":200,"body":"\/\/8=","isBase64Encoded":true}"#;
    assert_eq!(seen(escaped, Payload::V1).2, b"\xff\xff");
    let plain = r#"{"statusCode":200,"body":"AP8Q","isBase64Encoded":null}"#;
    assert_eq!(seen(plain, Payload::V1).2, b"AP8Q");
}

#[test]
fn what_may_not_be_written_is_refused() {
    use InvalidReply::*;
    for (payload, expected) in [
        ("", NotJson),
        ("{", NotJson),
        (r#"{"statusCode":200} trailing"#, NotJson),
        ("\"text\"", NotAnObject),
        ("{}", StatusCode),
        (r#"{"statusCode":200,"body":5}"#, Body),
        (r#"{"statusCode":200,"body":{"a":1}}"#, Body),
        (r#"{"statusCode":200,"isBase64Encoded":"true"}"#, IsBase64Encoded),
        (r#"{"statusCode":200,"isBase64Encoded":1}"#, IsBase64Encoded),
        (r#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#, Base64),
        (r#"{"statusCode":200,"headers":[]}"#, Headers),
        (r#"{"statusCode":200,"headers":"x"}"#, Headers),
        (r#"{"statusCode":200,"headers":{"a":{}}}"#, Headers),
        (r#"{"statusCode":200,"headers":{"a":[["x"]]}}"#, Headers),
        (r#"{"statusCode":200,"multiValueHeaders":1}"#, Headers),
        (r#"{"statusCode":200,"headers":{"":"x"}}"#, HeaderName),
        (r#"{"statusCode":200,"headers":{"a b":"x"}}"#, HeaderName),
        (r#"{"statusCode":200,"headers":{"a:":"x"}}"#, HeaderName),
        (r#"{"statusCode":200,"headers":{"a\r\nb":"x"}}"#, HeaderName),
        (r#"{"statusCode":200,"headers":{"a":"x\r\nSet-Cookie: b=1"}}"#, HeaderValue),
        (r#"{"statusCode":200,"headers":{"a":"x\n"}}"#, HeaderValue),
        (r#"{"statusCode":200,"headers":{"a":"\u0000"}}"#, HeaderValue),
        (r#"{"statusCode":200,"headers":{"a":"x\u0001y"}}"#, HeaderValue),
        (r#"{"statusCode":200,"headers":{"a":"x\u001b[0m"}}"#, HeaderValue),
        (r#"{"statusCode":200,"headers":{"a":"x\u007f"}}"#, HeaderValue),
        (r#"{"statusCode":200,"multiValueHeaders":{"a":["x","y\r"]}}"#, HeaderValue),
    ] {
        assert_eq!(read_reply(payload.as_bytes(), Payload::V1), Err(expected), "{payload}");
    }
    for payload in [r#"{"statusCode":200,"cookies":"a"}"#, r#"{"statusCode":200,"cookies":[1]}"#] {
        assert_eq!(read_reply(payload.as_bytes(), Payload::V2), Err(Cookies), "{payload}");
    }
    let split = r#"{"statusCode":200,"cookies":["a\r\nb: c"]}"#;
    assert_eq!(read_reply(split.as_bytes(), Payload::V2), Err(HeaderValue));
    let tab = r#"{"statusCode":200,"headers":{"Content-Type":"a/b","x":"a\tb"}}"#;
    assert_eq!(lines(tab, Payload::V1), ["Content-Type: a/b", "x: a\tb"]);
    let bad_text = b"{\"statusCode\":200,\"body\":\"\xff\"}";
    assert_eq!(read_reply(bad_text, Payload::V1), Err(NotJson));
}

#[test]
fn a_prelude_is_a_head_with_a_status_of_200_if_it_names_none() {
    let prelude = br#"{"statusCode":201,"headers":{"Content-Type":"text/html"},"cookies":["a=1"]}"#;
    let head = read_prelude(prelude).unwrap();
    let expected = [
        (Cow::Borrowed("Content-Type"), Cow::Borrowed("text/html")),
        (Cow::Borrowed("set-cookie"), Cow::Borrowed("a=1")),
    ];
    assert_eq!((head.status, &*head.headers), (201, &expected[..]));
    let bare = read_prelude(b"{}").unwrap();
    let octets = [(Cow::Borrowed("content-type"), Cow::Borrowed("application/octet-stream"))];
    assert_eq!((bare.status, &*bare.headers), (200, &octets[..]));
    assert_eq!(read_prelude(b"[]"), Err(InvalidReply::NotAnObject));
    assert_eq!(read_prelude(br#"{"statusCode":99}"#), Err(InvalidReply::StatusCode));
    let control = br#"{"headers":{"a":"x\u0001"}}"#;
    assert_eq!(read_prelude(control), Err(InvalidReply::HeaderValue));
}

#[test]
fn bodies_belong_to_some_responses_only() {
    for (status, method, expected) in [
        (200, "GET", true),
        (404, "POST", true),
        (200, "HEAD", false),
        (204, "GET", false),
        (205, "GET", false),
        (304, "GET", false),
        (101, "GET", false),
    ] {
        assert_eq!(may_have_body(status, method.as_bytes()), expected, "{status} {method}");
    }
}

/// JSON near the shape of a reply.
fn near_reply() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "null",
        "true",
        "200",
        "\"200\"",
        "-1",
        "1.5",
        "\"a\\r\\n\"",
        "\"\\ud83d\\ude00\"",
        "[]",
        "[\"x\",[1]]",
        "{}",
        "{\"a\":\"b\"}",
        "{\"a\":[\"b\",null]}",
        "\"AP8=\"",
        "\"\\u0000\"",
    ]);
    let key = prop::sample::select(vec![
        "statusCode",
        "headers",
        "multiValueHeaders",
        "cookies",
        "body",
        "isBase64Encoded",
        "other",
    ]);
    prop::collection::vec((key, scalar), 0..8).prop_map(|members| {
        let members: Vec<String> =
            members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(payload in any::<Vec<u8>>()) {
        for format in FORMATS {
            let _ = read_reply(&payload, format);
        }
        let _ = read_prelude(&payload);
    }

    #[test]
    fn whatever_is_read_may_be_written(payload in near_reply()) {
        for format in FORMATS {
            let Ok(reply) = read_reply(payload.as_bytes(), format) else { continue };
            prop_assert!((200..=599).contains(&reply.status));
            for (name, value) in &reply.headers {
                prop_assert!(!name.is_empty());
                prop_assert!(!value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t'));
            }
        }
    }
}
