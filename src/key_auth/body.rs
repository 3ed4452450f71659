//! A request's body as far as a key may be in it.

use std::borrow::Cow;

use super::arguments::{ArgumentName, arguments, decode};
use super::json_body;
use crate::multipart;

/// What kind of body the Content-Type announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`
    Urlencoded,
    /// `multipart/form-data`, with its boundary
    Multipart(Box<[u8]>),
    /// `application/json` or `application/*+json`
    Json,
}

impl BodyKind {
    /// The kind; `None` for a body that is not looked at.
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        match essence.as_slice() {
            b"application/x-www-form-urlencoded" => Some(Self::Urlencoded),
            b"multipart/form-data" => multipart::boundary(content_type).map(Self::Multipart),
            b"application/json" => Some(Self::Json),
            other if other.starts_with(b"application/") && other.ends_with(b"+json") => {
                Some(Self::Json)
            }
            _ => None,
        }
    }
}

/// A whole body.
#[derive(Clone, Copy, Debug)]
pub struct BodyView<'a> {
    /// What it is.
    pub kind: &'a BodyKind,
    /// All of it.
    pub bytes: &'a [u8],
}

/// The values of the named fields: (position of the name, value), in the order received. Broken JSON has none.
pub(super) fn values<'a>(
    body: &BodyView<'a>,
    names: &[ArgumentName],
) -> Vec<(usize, Cow<'a, [u8]>)> {
    let position = |test: &dyn Fn(&ArgumentName) -> bool| names.iter().position(test);
    match body.kind {
        BodyKind::Urlencoded => arguments(body.bytes)
            .filter_map(|argument| {
                let name = position(&|name| name.matches(argument.name))?;
                Some((name, decode(argument.value)))
            })
            .collect(),
        BodyKind::Multipart(boundary) => multipart::parts(body.bytes, boundary)
            .filter_map(|part| {
                let field = part.text_field()?;
                let name = position(&|name| name.as_bytes() == &*field)?;
                Some((name, Cow::Borrowed(part.content)))
            })
            .collect(),
        BodyKind::Json => json_body::strings(body.bytes, |field| {
            position(&|name| name.as_bytes() == field.as_bytes())
        })
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| match value {
            Cow::Borrowed(text) => (name, Cow::Borrowed(text.as_bytes())),
            Cow::Owned(text) => (name, Cow::Owned(text.into_bytes())),
        })
        .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_the_media_type() {
        for (content_type, expected) in [
            ("application/json", Some(BodyKind::Json)),
            ("Application/JSON; charset=utf-8", Some(BodyKind::Json)),
            ("application/problem+json", Some(BodyKind::Json)),
            ("text/json", None),
            ("application/x-www-form-urlencoded ; charset=x", Some(BodyKind::Urlencoded)),
            ("multipart/form-data; boundary=b", Some(BodyKind::Multipart((*b"b").into()))),
            ("multipart/form-data", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(BodyKind::of(content_type.as_bytes()), expected, "{content_type}");
        }
    }
}
