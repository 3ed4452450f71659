//! The header lines that a function sees.

use std::borrow::Cow;

use crate::lambda::event::EventFacts;
use crate::lambda::event::json::Decimal;
use crate::lambda::event::multimap::MultiMap;
use crate::request::RequestHead;

/// What nginx calls the address of a client on a Unix-domain socket.
const UNIX: &[u8] = b"unix:";

/// What is made up for a request's headers; kept apart, because the header table borrows from it.
#[derive(Debug)]
pub(crate) struct Made {
    content_length: Option<Decimal>,
    port: Decimal,
    cookie: Option<Vec<u8>>,
    /// The names that `Connection` makes hop-by-hop.
    dropped: Vec<Vec<u8>>,
}

/// The headers of the event and what its other parts take from them.
#[derive(Debug)]
pub(crate) struct EventHeaders<'a> {
    pub(crate) lines: MultiMap<'a>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) cookie: Option<&'a [u8]>,
}

impl Made {
    pub(crate) fn from_request(head: &impl RequestHead, facts: &EventFacts<'_>) -> Self {
        let mut made = Self {
            content_length: facts.body.map(|body| Decimal::new(body.len() as u64)),
            port: Decimal::new(facts.forwarded.port.into()),
            cookie: None,
            dropped: Vec::new(),
        };
        let mut first_cookie = None;
        for header in head.headers() {
            match header.lowercase_name {
                b"connection" => made.drop_named_by(header.value),
                b"cookie" => match first_cookie {
                    None => first_cookie = Some(header.value),
                    Some(first) => made.join_cookie(first, header.value),
                },
                _ => {}
            }
        }
        made
    }

    fn drop_named_by(&mut self, connection: &[u8]) {
        for name in connection.split(|byte| *byte == b',') {
            let name = name.trim_ascii().to_ascii_lowercase();
            if !matches!(&*name, b"" | b"close" | b"keep-alive" | b"upgrade") {
                self.dropped.push(name);
            }
        }
    }

    /// Several Cookie lines mean one list, and single-value maps would lose all but one of them.
    ///
    /// Source: RFC 9113 section 8.2.3.
    fn join_cookie(&mut self, first: &[u8], next: &[u8]) {
        let joined = self.cookie.get_or_insert_with(|| first.to_vec());
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(next);
    }

    fn is_dropped(&self, name: &[u8]) -> bool {
        // A client must not be able to take away who it is by calling that hop-by-hop.
        self.dropped.iter().any(|dropped| dropped == name) && !is_identity(name)
    }
}

impl<'a> EventHeaders<'a> {
    /// The client's headers without hop-by-hop ones, and ours in place of those that only a gateway may set.
    pub(crate) fn new<H: RequestHead>(head: &'a H, facts: &EventFacts<'a>, made: &'a Made) -> Self {
        let mut lines = MultiMap::default();
        let (mut user_agent, mut cookie) = (None, None);
        if !facts.host.is_empty() {
            lines.push(b"host", facts.host);
        }
        for header in head.headers() {
            let (name, value) = (header.lowercase_name, header.value);
            match name {
                _ if is_replaced(name) || made.is_dropped(name) => continue,
                b"cookie" => {
                    if cookie.is_none() {
                        cookie = Some(made.cookie.as_deref().unwrap_or(value));
                    }
                    continue;
                }
                b"user-agent" => user_agent = Some(value),
                _ => {}
            }
            lines.push(name, value);
        }
        if let Some(length) = &made.content_length {
            lines.push(b"content-length", length.as_bytes());
        }
        // Who came through a Unix-domain socket has neither address nor port.
        if facts.client_address != UNIX {
            lines.push(b"x-forwarded-for", facts.client_address);
        }
        lines.push(b"x-forwarded-proto", facts.forwarded.proto.as_bytes());
        if facts.forwarded.port != 0 {
            lines.push(b"x-forwarded-port", made.port.as_bytes());
        }
        if !facts.forwarded.host.is_empty() {
            lines.push(b"x-forwarded-host", facts.forwarded.host);
        }
        lines.push(b"x-amzn-trace-id", facts.trace_id);
        Self { lines, user_agent, cookie }
    }

    /// Links the lines of each name; `with_cookie` says whether cookies stay a header.
    pub(crate) fn linked(mut self, with_cookie: bool) -> Self {
        if let Some(cookie) = self.cookie.filter(|_| with_cookie) {
            self.lines.push(b"cookie", cookie);
        }
        self.lines.link();
        self
    }
}

/// True for headers that end at this hop and for those that the event has from us.
///
/// Source: RFC 9110 section 7.6.1.
fn is_replaced(name: &[u8]) -> bool {
    match name.first() {
        Some(b'c') => matches!(name, b"connection" | b"content-length"),
        Some(b'e') => name == b"expect",
        Some(b'h') => matches!(name, b"host" | b"http2-settings"),
        Some(b'k') => name == b"keep-alive",
        Some(b'p') => matches!(name, b"proxy-connection" | b"proxy-authorization"),
        Some(b't') => matches!(name, b"te" | b"trailer" | b"transfer-encoding"),
        Some(b'u') => name == b"upgrade",
        Some(b'x') => name == b"x-amzn-trace-id" || is_forwarded(name),
        _ => false,
    }
}

/// True for `x-forwarded-*` of ours, with `_` for `-` too: WSGI has one variable for both.
fn is_forwarded(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] =
        [b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-host"];
    let is_alike = |(known, byte): (&u8, &u8)| known == byte || (*known, *byte) == (b'-', b'_');
    NAMES.iter().any(|known| known.len() == name.len() && known.iter().zip(name).all(is_alike))
}

fn is_identity(name: &[u8]) -> bool {
    name.starts_with(b"x-consumer-")
        || matches!(name, b"x-credential-identifier" | b"x-anonymous-consumer")
}

/// How a body goes into the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyForm<'a> {
    /// There is none.
    Absent,
    /// As text.
    Text(&'a str),
    /// As base64.
    Binary(&'a [u8]),
}

impl<'a> BodyForm<'a> {
    /// The body itself.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Absent => &[],
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// The body's form by its declared type and encoding, text only when it is UTF-8.
///
/// `is_text` judges the media type in lower case without parameters; it is empty when none was declared.
pub(crate) fn body_form<'a>(
    head: &impl RequestHead,
    body: Option<&'a [u8]>,
    is_text: impl Fn(&[u8]) -> bool,
) -> BodyForm<'a> {
    let Some(body) = body.filter(|body| !body.is_empty()) else { return BodyForm::Absent };
    let (mut content_type, mut is_encoded) = (Cow::Borrowed(&b""[..]), false);
    for header in head.headers() {
        match header.lowercase_name {
            b"content-type" => content_type = media_type(header.value),
            b"content-encoding" => {
                let encoding = header.value.trim_ascii();
                is_encoded |= !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity");
            }
            _ => {}
        }
    }
    if is_encoded || !is_text(&content_type) {
        return BodyForm::Binary(body);
    }
    std::str::from_utf8(body).map_or(BodyForm::Binary(body), BodyForm::Text)
}

/// A Content-Type's media type in lower case, without its parameters.
pub(crate) fn media_type(content_type: &[u8]) -> Cow<'_, [u8]> {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(essence.to_ascii_lowercase())
    } else {
        Cow::Borrowed(essence)
    }
}

/// True for the media types whose bodies are text: no type counts as one.
pub(crate) fn is_text_type(media_type: &[u8]) -> bool {
    media_type.is_empty()
        || media_type.starts_with(b"text/")
        || media_type.ends_with(b"+json")
        || media_type.ends_with(b"+xml")
        || matches!(
            media_type,
            b"application/json"
                | b"application/xml"
                | b"application/javascript"
                | b"application/x-javascript"
                | b"application/x-www-form-urlencoded"
                | b"application/graphql"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::testing::Written;

    #[test]
    fn declared_text_that_is_utf8_stays_text() {
        let text = "é".as_bytes();
        for (headers, is_text) in [
            (vec![], true),
            (vec![("Content-Type", "")], true),
            (vec![("Content-Type", "TEXT/Plain; charset=x")], true),
            (vec![("Content-Type", "application/json")], true),
            (vec![("Content-Type", "application/problem+json")], true),
            (vec![("Content-Type", "image/svg+xml ; a=b")], true),
            (vec![("Content-Type", "application/xml")], true),
            (vec![("Content-Type", "application/javascript")], true),
            (vec![("Content-Type", "application/x-www-form-urlencoded")], true),
            (vec![("Content-Type", "application/graphql")], true),
            (vec![("Content-Type", "application/octet-stream")], false),
            (vec![("Content-Type", "image/png")], false),
            (vec![("Content-Type", "multipart/form-data; boundary=x")], false),
            (vec![("Content-Type", "text/plain"), ("Content-Encoding", "gzip")], false),
            (vec![("Content-Type", "text/plain"), ("Content-Encoding", "Identity")], true),
        ] {
            let head = Written::new("POST", "", &headers);
            let form = body_form(&head, Some(text), is_text_type);
            let expected = if is_text { BodyForm::Text("é") } else { BodyForm::Binary(text) };
            assert_eq!(form, expected, "{headers:?}");
        }
    }

    #[test]
    fn forwarded_headers_are_ours_however_they_are_spelt() {
        for (name, expected) in [
            ("x-forwarded-for", true),
            ("x_forwarded_proto", true),
            ("x-forwarded_host", true),
            ("x-forwarded-port", true),
            ("x-forwarded-server", false),
            ("x+forwarded+for", false),
            ("x-own", false),
        ] {
            assert_eq!(is_replaced(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn text_that_is_no_utf8_is_binary_and_nothing_is_absent() {
        let head = Written::new("POST", "", &[("Content-Type", "text/plain")]);
        assert_eq!(body_form(&head, Some(b"\xff"), is_text_type), BodyForm::Binary(b"\xff"));
        assert_eq!(body_form(&head, Some(b""), is_text_type), BodyForm::Absent);
        assert_eq!(body_form(&head, None, is_text_type), BodyForm::Absent);
    }
}
