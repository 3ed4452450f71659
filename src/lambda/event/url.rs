//! Requests to function URLs: the client's own request, made fit for a signature.
//!
//! Source: Signature Version 4, "Create a canonical request".

use super::EventFacts;
use super::headers::{EventHeaders, Made};
use crate::lambda::percent;
use crate::request::RequestHead;

/// A query in canonical encoding, its arguments in the order sent; `+` is `%20`, and an argument without `=` gets one.
pub fn encode_query(query: &[u8]) -> String {
    let (mut encoded, mut decoded) = (Vec::with_capacity(query.len() + 8), Vec::new());
    for argument in query.split(|byte| *byte == b'&').filter(|argument| !argument.is_empty()) {
        let name_bytes = argument.iter().position(|byte| *byte == b'=');
        let (name, value) = argument.split_at(name_bytes.unwrap_or(argument.len()));
        if !encoded.is_empty() {
            encoded.push(b'&');
        }
        for (part, separator) in [(name, &b"="[..]), (value.get(1..).unwrap_or_default(), b"")] {
            decoded.clear();
            percent::push_decoded_argument(&mut decoded, part);
            percent::push_encoded(&mut encoded, &decoded, percent::is_unreserved);
            encoded.extend_from_slice(separator);
        }
    }
    encoded.into_iter().map(char::from).collect()
}

/// The canonical query of what [`encode_query`] made: its arguments sorted by name, then by value.
pub fn canonical_query(encoded: &str) -> String {
    let mut arguments: Vec<(&str, &str)> =
        encoded.split('&').filter_map(|argument| argument.split_once('=')).collect();
    arguments.sort_unstable();
    let arguments: Vec<String> =
        arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    arguments.join("&")
}

/// The canonical path of a path as it is sent, whose encoding is encoded once more.
pub fn canonical_path(path: &[u8]) -> String {
    let mut encoded = Vec::with_capacity(path.len() + 16);
    percent::push_encoded(&mut encoded, path, |byte| percent::is_unreserved(byte) || byte == b'/');
    encoded.into_iter().map(char::from).collect()
}

/// Appends request line and headers, each with its line end, without the empty line that ends a head.
///
/// `facts.host` is the URL's host. Headers are those of events, so hop-by-hop ones are gone and `x-forwarded-*` are ours;
/// what a signature brings itself (`Authorization`, `X-Amz-*`) is left out.
pub fn write_url_head(
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    request_target: &[u8],
    out: &mut Vec<u8>,
) {
    let made = Made::from_request(head, facts);
    let headers = EventHeaders::new(head, facts, &made).linked(true);
    out.reserve(1_024);
    for part in [head.method(), b" ", request_target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    for (name, values) in headers.lines.names() {
        if is_of_signature(name.bytes) {
            continue;
        }
        for value in values {
            for part in [name.bytes, b": ", value.bytes, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
}

fn is_of_signature(name: &[u8]) -> bool {
    name == b"authorization" || name.starts_with(b"x-amz-")
}

#[cfg(test)]
mod tests {
    use super::super::Forwarded;
    use super::*;
    use crate::request::testing::Written;

    #[test]
    fn queries_are_encoded_as_they_are_signed() {
        for (query, encoded, canonical) in [
            ("", "", ""),
            ("b=2&a=1", "b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&a", "a=2&a=1&a=", "a=&a=1&a=2"),
            ("x=a+b%20c&&y=%2f", "x=a%20b%20c&y=%2F", "x=a%20b%20c&y=%2F"),
            ("a=b=c&~=*", "a=b%3Dc&~=%2A", "a=b%3Dc&~=%2A"),
            ("é=%c3%a9", "%C3%A9=%C3%A9", "%C3%A9=%C3%A9"),
            ("A=1&a=1&a-b=1", "A=1&a=1&a-b=1", "A=1&a=1&a-b=1"),
        ] {
            assert_eq!(encode_query(query.as_bytes()), encoded, "{query}");
            assert_eq!(canonical_query(encoded), canonical, "{query}");
        }
    }

    #[test]
    fn paths_are_encoded_once_more() {
        assert_eq!(canonical_path(b"/a%2Fb/~c:d"), "/a%252Fb/~c%3Ad");
    }

    #[test]
    fn heads_carry_what_the_client_sent_but_not_what_signs() {
        let head = Written::new(
            "PUT",
            "",
            &[
                ("Host", "api.example.com"),
                ("Authorization", "Bearer x"),
                ("X-Amz-Date", "x"),
                ("X-Amz-Security-Token", "x"),
                ("Transfer-Encoding", "chunked"),
                ("Accept", "a"),
                ("Accept", "b"),
                ("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
            ],
        );
        let facts = EventFacts {
            path: b"/",
            whole_path: b"/",
            host: b"abc.lambda-url.eu-west-1.on.aws",
            protocol: "HTTP/1.1",
            client_address: b"203.0.113.7",
            forwarded: Forwarded { proto: "https", port: 443, host: b"api.example.com" },
            request_id: b"",
            trace_id: b"Root=1-5759e988-bd862e3fe1be46a994272793",
            time_ms: 0,
            stage: None,
            route: None,
            location: "/",
            path_parameters: &[],
            body: Some(b"hello"),
        };
        let mut out = Vec::new();
        write_url_head(&head, &facts, b"/a?b=c", &mut out);
        let expected = "PUT /a?b=c HTTP/1.1\r\n\
            host: abc.lambda-url.eu-west-1.on.aws\r\n\
            accept: a\r\n\
            accept: b\r\n\
            content-length: 5\r\n\
            x-forwarded-for: 203.0.113.7\r\n\
            x-forwarded-proto: https\r\n\
            x-forwarded-port: 443\r\n\
            x-forwarded-host: api.example.com\r\n\
            x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
