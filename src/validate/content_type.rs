//! Media types: what a body says it is, and whether a list of types allows it.

use crate::request::{HeaderName, RequestHead};

/// A media type of a list: `type/subtype` in lower case, `*` for any.
///
/// Source: RFC 9110 section 8.3.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    main: String,
    sub: String,
}

/// What a body of a media type is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON.
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data` with its boundary.
    Multipart(Vec<u8>),
    /// Not read.
    Other,
}

impl MediaType {
    /// A type of a list, without parameters; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let (main, sub) = text.split_once('/')?;
        let token = |part: &str| {
            part == "*"
                || !part.is_empty()
                    && part.bytes().all(|byte| {
                        byte.is_ascii_alphanumeric() || b"!#$&-^_.+%'`|~".contains(&byte)
                    })
        };
        let valid = token(main) && token(sub) && (main != "*" || sub == "*");
        valid.then(|| Self { main: main.to_owned(), sub: sub.to_owned() })
    }

    /// True for `application/json`.
    pub(super) fn is_json(&self) -> bool {
        self.main == "application" && self.sub == "json"
    }

    /// True for `application/x-www-form-urlencoded`.
    pub(super) fn is_urlencoded(&self) -> bool {
        self.main == "application" && self.sub == "x-www-form-urlencoded"
    }

    /// True for the types of forms.
    pub(super) fn is_form(&self) -> bool {
        self.is_urlencoded() || self.main == "multipart" && self.sub == "form-data"
    }

    /// How exactly the list's type names a body's: higher is more exact, `None` is not at all.
    pub(super) fn matches(&self, body: &BodyType<'_>) -> Option<u8> {
        let main = body.main.eq_ignore_ascii_case(self.main.as_bytes());
        if main && body.sub.eq_ignore_ascii_case(self.sub.as_bytes()) {
            return Some(4);
        }
        match (self.main.as_str(), self.sub.as_str()) {
            _ if self.is_json() && body.is_json() => Some(3),
            (_, "*") if main => Some(2),
            ("*", "*") => Some(1),
            _ => None,
        }
    }
}

/// The media type that a body's Content-Type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BodyType<'a> {
    main: &'a [u8],
    sub: &'a [u8],
    parameters: &'a [u8],
}

impl<'a> BodyType<'a> {
    /// The parameters, as long as all readers see the same ones.
    pub(super) fn parameters(&self) -> Option<Parameters<'a>> {
        Parameters::parse(self.parameters)
    }

    /// The type of a Content-Type header's value; `None` when it is not of the form `a/b`.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut parts = value.splitn(2, |byte| *byte == b';');
        let essence = parts.next()?.trim_ascii();
        let parameters = parts.next().unwrap_or_default();
        let slash = essence.iter().position(|byte| *byte == b'/')?;
        let (main, sub) = (essence.get(..slash)?, essence.get(slash + 1..)?);
        (is_token_text(main) && is_token_text(sub)).then_some(Self { main, sub, parameters })
    }

    fn is_json(&self) -> bool {
        let suffix = self.sub.len().checked_sub(b"+json".len()).and_then(|at| self.sub.get(at..));
        self.main.eq_ignore_ascii_case(b"application")
            && (self.sub.eq_ignore_ascii_case(b"json")
                || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json")))
    }

    /// What the body is; a multipart body without one boundary cannot be read and is `None`.
    pub(super) fn kind(&self) -> Option<Kind> {
        let is = |main: &[u8], sub: &[u8]| {
            self.main.eq_ignore_ascii_case(main) && self.sub.eq_ignore_ascii_case(sub)
        };
        Some(if self.is_json() {
            Kind::Json
        } else if is(b"application", b"x-www-form-urlencoded") {
            Kind::Form
        } else if is(b"multipart", b"form-data") {
            let parameters = self.parameters()?;
            let boundary = parameters.get(b"boundary").filter(|found| !found.is_empty())?;
            if parameters.has_extended(b"boundary") {
                return None;
            }
            Kind::Multipart(boundary.to_vec())
        } else {
            Kind::Other
        })
    }
}

/// True for a token.
pub(super) fn is_token_text(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token(*byte))
}

/// True for the characters of a token.
///
/// Source: RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    match byte {
        b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'/' => false,
        b'[' | b']' | b'?' | b'=' | b'{' | b'}' => false,
        byte => byte.is_ascii_graphic(),
    }
}

/// The parameters behind a `;`, as long as all readers see the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameters<'a>(Vec<(&'a [u8], Vec<u8>)>);

impl<'a> Parameters<'a> {
    /// The parameters of a text; `None` where it is not of the grammar or names one twice, because readers then differ in
    /// what they skip, mend and prefer.
    ///
    /// Source: RFC 9110 section 5.6.6.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let (mut found, mut rest) = (Vec::<(&[u8], Vec<u8>)>::new(), text);
        loop {
            rest = rest.trim_ascii_start();
            let Some(first) = rest.first() else { return Some(Self(found)) };
            if *first != b';' {
                let name = rest.split(|byte| !is_token(*byte)).next()?;
                let (value, behind) = value(rest.get(name.len()..)?.strip_prefix(b"=")?)?;
                let is_taken = found.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
                if name.is_empty() || is_taken {
                    return None;
                }
                found.push((name, value));
                rest = behind.trim_ascii_start();
            }
            rest = match rest {
                [] => return Some(Self(found)),
                [b';', behind @ ..] => behind,
                _ => return None,
            };
        }
    }

    /// The value of a parameter, quotes and escapes removed.
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }

    /// True when a parameter is given by an extended name, `name*` or a piece of one, `name*0`.
    ///
    /// Source: RFC 2231 sections 3 and 4.
    pub(super) fn has_extended(&self, name: &[u8]) -> bool {
        self.0.iter().any(|(other, _)| {
            other.split_at_checked(name.len()).is_some_and(|(start, behind)| {
                start.eq_ignore_ascii_case(name) && behind.starts_with(b"*")
            })
        })
    }
}

/// A token or a quoted string, and what stands behind it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let token = text.split(|byte| !is_token(*byte)).next()?;
        return (!token.is_empty()).then(|| (token.to_vec(), text.split_at(token.len()).1));
    };
    let (mut value, mut bytes) = (Vec::new(), quoted.iter());
    loop {
        match bytes.next()? {
            b'"' => return Some((value, bytes.as_slice())),
            // Paths of Windows have backslashes that escape nothing.
            b'\\' => match bytes.as_slice().first()? {
                b'"' | b'\\' => value.extend(bytes.next()),
                _ => value.push(b'\\'),
            },
            byte => value.push(*byte),
        }
    }
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Identity,
    /// By gzip alone.
    Gzip,
    /// By something that cannot be undone, or more than once.
    Other,
}

/// The names of the headers that describe a body.
#[derive(Clone, Debug)]
pub(super) struct ContentHeaders {
    content_type: HeaderName,
    content_encoding: HeaderName,
}

impl ContentHeaders {
    /// The prepared names.
    pub(super) fn new() -> Option<Self> {
        Some(Self {
            content_type: HeaderName::parse("content-type")?,
            content_encoding: HeaderName::parse("content-encoding")?,
        })
    }

    /// The one Content-Type of a body; `None` when it is absent, repeated or no media type.
    pub(super) fn body_type<'a, H: RequestHead>(&'a self, head: &'a H) -> Option<BodyType<'a>> {
        let mut types = head.header_values(&self.content_type);
        let first = types.next()?;
        if types.next().is_some() { None } else { BodyType::parse(first) }
    }

    /// How a body is encoded.
    ///
    /// Source: RFC 9110 section 8.4.
    pub(super) fn coding<H: RequestHead>(&self, head: &H) -> Coding {
        let is = |coding: &[u8], name: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(name);
        let mut codings =
            head.header_values(&self.content_encoding).filter(|coding| !is(coding, b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => Coding::Identity,
            (Some(coding), None) if is(coding, b"gzip") || is(coding, b"x-gzip") => Coding::Gzip,
            _ => Coding::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::testing::Written;

    #[test]
    fn a_body_type_matches_by_its_essence() {
        for (listed, given, expected) in [
            ("application/json", "application/json", Some(4)),
            ("application/json", "Application/JSON; charset=utf-8", Some(4)),
            ("application/json", "application/json;charset=\"utf-8\"", Some(4)),
            ("application/json", "application/problem+json", Some(3)),
            ("application/json", "application/vnd.api+JSON ; a=b", Some(3)),
            ("application/json", "text/json", None),
            ("application/json", "application/jsonx", None),
            ("application/json", "application/+jsonx", None),
            ("application/json", "text/plain; x=application/json", None),
            ("application/merge-patch+json", "application/json", None),
            ("text/*", "text/plain", Some(2)),
            ("*/*", "image/png", Some(1)),
            ("image/png", "image/png, image/gif", None),
        ] {
            let given_type = BodyType::parse(given.as_bytes());
            let exactness = given_type.and_then(|body| MediaType::parse(listed)?.matches(&body));
            assert_eq!(exactness, expected, "{listed} {given}");
        }
    }

    #[test]
    fn what_is_no_media_type_names_nothing() {
        for value in ["", "json", "/json", "application/", "a b/c", "application/json, text/plain"]
        {
            assert_eq!(BodyType::parse(value.as_bytes()), None, "{value}");
        }
        for value in ["json", "*/json", "a/", "application/js on"] {
            assert_eq!(MediaType::parse(value), None, "{value}");
        }
    }

    #[test]
    fn bodies_are_known_by_their_type() {
        let multipart = |boundary: &str| Some(Kind::Multipart(boundary.as_bytes().to_vec()));
        for (value, expected) in [
            ("application/json", Some(Kind::Json)),
            ("application/x-www-form-urlencoded;charset=utf-8", Some(Kind::Form)),
            ("multipart/form-data; boundary=abc", multipart("abc")),
            ("multipart/form-data; charset=\"a;b\"; BOUNDARY=\"a\\\"b c\"", multipart("a\"b c")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"", None),
            ("multipart/form-data; boundary=\"\"", None),
            ("multipart/form-data; boundary=a;", multipart("a")),
            ("multipart/form-data; boundary=a b", None),
            ("multipart/form-data; boundary=a; boundary=b", None),
            ("multipart/form-data; boundary=a; Boundary*=b", None),
            ("multipart/form-data; boundary*0=a", None),
            ("multipart/form-data; boundary=a; charset", None),
            ("multipart/mixed; boundary=a", Some(Kind::Other)),
        ] {
            let kind = BodyType::parse(value.as_bytes()).and_then(|body| body.kind());
            assert_eq!(kind, expected, "{value}");
        }
    }

    #[test]
    fn doubtful_types_are_none() {
        let json = ("Content-Type", "application/json");
        for (headers, is_json) in [(vec![json], true), (vec![json, json], false), (vec![], false)] {
            let head = Written::new("POST", "", &headers);
            let found = ContentHeaders::new().unwrap().body_type(&head).is_some();
            assert_eq!(found, is_json, "{headers:?}");
        }
    }

    #[test]
    fn codings_are_known_by_their_names() {
        for (codings, expected) in [
            (vec![], Coding::Identity),
            (vec!["Identity"], Coding::Identity),
            (vec!["gzip"], Coding::Gzip),
            (vec![" X-GZip "], Coding::Gzip),
            (vec!["identity", "gzip"], Coding::Gzip),
            (vec!["gzip", "gzip"], Coding::Other),
            (vec!["gzip, gzip"], Coding::Other),
            (vec!["deflate"], Coding::Other),
            (vec!["br"], Coding::Other),
            (vec![""], Coding::Other),
        ] {
            let headers: Vec<_> = codings.iter().map(|c| ("Content-Encoding", *c)).collect();
            let head = Written::new("POST", "", &headers);
            assert_eq!(ContentHeaders::new().unwrap().coding(&head), expected, "{codings:?}");
        }
    }
}
