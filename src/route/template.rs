//! Path templates such as `/users/{id}` and `/files/{proxy+}`.
//!
//! Source: API Gateway, "Set up a proxy integration with a proxy resource"; OpenAPI 3.1, "Path templating".

use std::borrow::Cow;

/// The names and values that a path gave a template's parameters, in the template's order.
///
/// Values are decoded once and borrowed where there was nothing to decode.
pub type PathParameters<'a> = Vec<(&'a str, Cow<'a, [u8]>)>;

/// A path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// Decoded text.
    Literal(Box<[u8]>),
    Parameter(Box<str>),
    /// The rest of the path, one segment at least.
    Greedy(Box<str>),
}

impl Template {
    /// The template of a text, or what is wrong with it.
    ///
    /// A segment is literal text, percent-encoded or not, or `{NAME}`; the last may be `{NAME+}`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix('/').ok_or("it must begin with a slash")?;
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            if matches!(segments.last(), Some(Segment::Greedy(_))) {
                return Err("a greedy parameter must be the last segment");
            }
            let segment = Segment::parse(segment)?;
            let is_taken =
                segment.name().is_some_and(|name| segments.iter().any(|s| s.name() == Some(name)));
            if is_taken {
                return Err("a parameter is named twice");
            }
            segments.push(segment);
        }
        if segments.iter().rev().skip(1).any(Segment::is_empty) {
            return Err("it has an empty segment");
        }
        Ok(Self { text: text.into(), segments })
    }

    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the parameters, in order.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// The parameters of a percent-encoded path; `None` when it does not match.
    ///
    /// Segments are split first and decoded after, so that an encoded slash stays within its value. Parameters do not
    /// match empty segments, and a trailing slash counts.
    pub fn match_path<'a>(&'a self, path: &'a [u8]) -> Option<PathParameters<'a>> {
        let raw = self.match_raw(path)?;
        Some(raw.into_iter().map(|(name, value)| (name, decoded(value))).collect())
    }

    /// The same with values as they were received, percent-encoded.
    pub fn match_raw<'a>(&'a self, path: &'a [u8]) -> Option<Vec<(&'a str, &'a [u8])>> {
        let mut rest = Some(path.strip_prefix(b"/")?);
        let mut parameters = Vec::new();
        for segment in &self.segments {
            let all = rest?;
            let (head, tail) = match all.iter().position(|byte| *byte == b'/') {
                Some(at) => (all.get(..at)?, all.get(at + 1..)),
                None => (all, None),
            };
            rest = tail;
            match segment {
                Segment::Literal(literal) if *decoded(head) == **literal => {}
                Segment::Parameter(name) if !head.is_empty() => {
                    parameters.push((&**name, head));
                }
                Segment::Greedy(name) if !all.is_empty() => {
                    parameters.push((&**name, all));
                    rest = None;
                }
                _ => return None,
            }
        }
        rest.is_none().then_some(parameters)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
            if text.contains(['{', '}']) {
                return Err("braces must hold a whole segment");
            }
            if text.contains(['?', '#']) || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
                return Err("it has a character that no path has");
            }
            return Ok(Self::Literal(decoded(text.as_bytes()).into_owned().into()));
        };
        let (name, is_greedy) = match inner.strip_suffix('+') {
            Some(name) => (name, true),
            None => (inner, false),
        };
        let is_name_byte =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            return Err("a parameter's name is letters, digits, \"-\", \"_\" and \".\"");
        }
        Ok(if is_greedy { Self::Greedy(name.into()) } else { Self::Parameter(name.into()) })
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Greedy(name) => Some(name),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Literal(literal) if literal.is_empty())
    }
}

/// The bytes with each `%XX` decoded once; a `%` without two hex digits stands for itself.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let mut value = byte;
        if byte == b'%'
            && let [high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            value = high << 4 | low;
            rest = tail;
        }
        bytes.push(value);
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        let template = Template::parse(template).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let parameters = template.match_path(path.as_bytes())?;
        Some(parameters.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect())
    }

    #[test]
    fn paths_match_segment_by_segment() {
        for (template, path, expected) in [
            ("/", "/", Some(&[][..])),
            ("/a/b", "/a/b", Some(&[])),
            ("/a/b", "/a/b/", None),
            ("/a/b/", "/a/b/", Some(&[])),
            ("/a/b", "/a", None),
            ("/a/b", "/a/b/c", None),
            ("/a%20b", "/a%20b", Some(&[])),
            ("/é", "/%C3%A9", Some(&[])),
            ("/a", "/%61", Some(&[])),
            ("/users/{id}", "/users/42", Some(&[("id", "42")])),
            ("/users/{id}", "/users/", None),
            ("/users/{id}", "/users", None),
            ("/users/{id}", "/users/4/2", None),
            ("/users/{id}", "/users/a%2Fb%2520+", Some(&[("id", "a/b%20+")])),
            ("/{a}/x/{b}", "/1/x/2", Some(&[("a", "1"), ("b", "2")])),
            ("/f/{proxy+}", "/f/a/b%2Fc", Some(&[("proxy", "a/b/c")])),
            ("/f/{proxy+}", "/f/a/", Some(&[("proxy", "a/")])),
            ("/f/{proxy+}", "/f/", None),
            ("/f/{proxy+}", "/f", None),
            ("/{proxy+}", "/x", Some(&[("proxy", "x")])),
            ("/a", "", None),
            ("/a", "a", None),
        ] {
            let expected = expected.map(|pairs| {
                pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
            });
            assert_eq!(matched(template, path), expected, "{template} {path}");
        }
    }

    #[test]
    fn values_without_escapes_are_borrowed_and_may_be_any_bytes() {
        let template = Template::parse("/{a}/{b}").unwrap();
        let parameters = template.match_path(b"/plain/%FF%zz").unwrap();
        assert!(matches!(parameters[0].1, Cow::Borrowed(b"plain")));
        assert_eq!(*parameters[1].1, b"\xff%zz"[..]);
    }

    #[test]
    fn templates_that_make_no_sense_are_refused() {
        for text in [
            "",
            "users",
            "/a//b",
            "/{}",
            "/{+}",
            "/{a",
            "/a}",
            "/x{a}",
            "/{a}.json",
            "/{a b}",
            "/{a+}/b",
            "/{a+}/",
            "/{a}/{a}",
            "/{a}/{a+}",
            "/a?b",
            "/a b",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
