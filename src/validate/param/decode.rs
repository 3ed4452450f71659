//! Percent-decoding, and queries as pairs.

use std::borrow::Cow;
use std::ops::Range;

/// The decoded bytes; `%` without two hexadecimal digits stands for itself.
///
/// Source: RFC 3986 section 2.1; `+` as a space is the URL standard's form encoding.
pub(in crate::validate) fn percent_decode(raw: &[u8], plus_is_space: bool) -> Cow<'_, [u8]> {
    let special = |byte: &u8| *byte == b'%' || plus_is_space && *byte == b'+';
    let Some(first) = raw.iter().position(special) else {
        return Cow::Borrowed(raw);
    };
    let mut decoded = Vec::with_capacity(raw.len());
    let (plain, mut rest) = raw.split_at(first);
    decoded.extend_from_slice(plain);
    loop {
        rest = match rest {
            [] => return Cow::Owned(decoded),
            [b'%', high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or_default() * 16 + hex(*low).unwrap_or_default();
                decoded.push(value);
                tail
            }
            [b'+', tail @ ..] if plus_is_space => {
                decoded.push(b' ');
                tail
            }
            [byte, tail @ ..] => {
                decoded.push(*byte);
                tail
            }
        };
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A decoded path in an encoding that decodes to it.
pub fn encoded(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    let pieces: Vec<&[u8]> = path.split(|byte| *byte == b'%').collect();
    Cow::Owned(pieces.join(&b"%25"[..]))
}

/// True for a percent-encoded path without empty and dot segments.
pub fn is_resolved(path: &[u8]) -> bool {
    let decoded = percent_decode(path, false);
    let inner = decoded.strip_prefix(b"/").unwrap_or(&decoded);
    let inner = inner.strip_suffix(b"/").unwrap_or(inner);
    inner.is_empty()
        || !inner.split(|byte| *byte == b'/').any(|it| matches!(it, b"" | b"." | b".."))
}

/// A part of a path as it was sent, found by where it stands in the decoded path; `None` when that is not the path with
/// its percent signs decoded and nothing else done to it.
pub fn part_as_sent<'a>(raw: &'a [u8], decoded: &[u8], part: Range<usize>) -> Option<&'a [u8]> {
    let (mut at, mut from, mut to) = (0, None, None);
    for (index, byte) in decoded.iter().enumerate() {
        if index == part.start {
            from = Some(at);
        }
        if index == part.end {
            to = Some(at);
        }
        at += match raw.get(at..)? {
            [b'%', high, low, ..] if hex(*high)? * 16 + hex(*low)? == *byte => 3,
            [sent, ..] if sent == byte && *byte != b'%' => 1,
            _ => return None,
        };
    }
    if at == raw.len() { raw.get(from?..to.unwrap_or(at)) } else { None }
}

/// The decoded text, or `None` when it is not UTF-8.
pub(in crate::validate) fn decode_text(raw: &[u8], plus_is_space: bool) -> Option<Cow<'_, str>> {
    match percent_decode(raw, plus_is_space) {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// One argument of a query or field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::validate) struct Pair<'a> {
    /// The decoded name.
    pub(in crate::validate) name: Cow<'a, [u8]>,
    /// The value, undecoded.
    pub(in crate::validate) value: &'a [u8],
}

/// The arguments of a query, in order; empty ones (`&&`) are none.
pub(in crate::validate) fn pairs(query: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = split_at_equals(pair);
        Pair { name: percent_decode(name, true), value }
    })
}

/// What stands before and behind the first `=`.
pub(in crate::validate) fn split_at_equals(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = pair.splitn(2, |byte| *byte == b'=');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_once() {
        for (raw, plus, expected) in [
            ("abc", false, "abc"),
            ("a%20b+c", true, "a b c"),
            ("a%20b+c", false, "a b+c"),
            ("%2520", false, "%20"),
            ("%C3%A9", false, "é"),
            ("%zz%4", false, "%zz%4"),
            ("%", false, "%"),
            ("%+1", true, "% 1"),
        ] {
            assert_eq!(decode_text(raw.as_bytes(), plus).as_deref(), Some(expected), "{raw}");
        }
        assert_eq!(decode_text(b"%FF", false), None);
    }

    #[test]
    fn a_part_of_a_path_is_found_as_it_was_sent() {
        for (raw, decoded, part, expected) in [
            ("/a/b", "/a/b", 3..4, Some("b")),
            ("/a/x%2Cy,z", "/a/x,y,z", 3..8, Some("x%2Cy,z")),
            ("/%61/x%2cy/c", "/a/x,y/c", 3..6, Some("x%2cy")),
            ("/%25/b", "/%/b", 1..2, Some("%25")),
            ("/a//b", "/a/b", 3..4, None),
            ("/a/../b", "/b", 1..2, None),
            ("/a/b?", "/a/b", 3..4, None),
            ("/a", "/a/b", 3..4, None),
            ("/a/%zz", "/a/%zz", 3..6, None),
        ] {
            let found = part_as_sent(raw.as_bytes(), decoded.as_bytes(), part);
            assert_eq!(found, expected.map(str::as_bytes), "{raw}");
        }
    }

    #[test]
    fn a_query_is_split_before_it_is_decoded() {
        let read: Vec<_> = pairs(b"a=1&&b%3Dc=d%26e=f&g&=h").collect();
        let pair = |name: &'static str, value: &'static str| Pair {
            name: Cow::Borrowed(name.as_bytes()),
            value: value.as_bytes(),
        };
        assert_eq!(read, [pair("a", "1"), pair("b=c", "d%26e=f"), pair("g", ""), pair("", "h")]);
    }
}
