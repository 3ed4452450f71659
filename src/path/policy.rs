use crate::decision::{Decision, Policy, Reason, Refusal};

/// Ambiguous paths are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathPlan;

/// Refuses a URI, as received, whose path is ambiguous.
pub fn decide(_plan: &PathPlan, raw_uri: &[u8]) -> Decision {
    if is_ambiguous(raw_uri) {
        Refusal::new(Policy::Path, Reason::AmbiguousPath, 400, "Request path is ambiguous").into()
    } else {
        Decision::Continue
    }
}

/// True for a path that two programs may read in two ways.
///
/// That is one with an encoded slash, backslash or control character, any of them or a dot encoded twice or in more bytes
/// than UTF-8 wants, a dot segment however it is written, a segment that is none but for its parameters (`..;`, `;x`), a
/// backslash, or a fragment. What stands behind the first `?` does not count. Doubled slashes are no such thing: both
/// readings of them name the same resource or none.
///
/// *Source*: RFC 3986 sections 3.3, 6.2.2 and 7.3; RFC 3629 section 3 on overlong forms.
pub fn is_ambiguous(raw_uri: &[u8]) -> bool {
    let end = raw_uri.iter().position(|byte| *byte == b'?').unwrap_or(raw_uri.len());
    let path = raw_uri.get(..end).unwrap_or_default();
    // nearly every path is settled by this one pass
    if !path.iter().any(|byte| matches!(byte, b'%' | b';' | b'\\' | b'#' | b'.')) {
        return false;
    }
    path.split(|byte| *byte == b'/').any(|segment| is_nothing(segment) || holds_a_trap(segment))
}

/// A dot segment, or one that has parameters but no name.
fn is_nothing(segment: &[u8]) -> bool {
    let (mut rest, mut dots) = (segment, 0);
    while let Some((byte, tail)) = decode_first(rest) {
        match byte {
            b'.' => dots += 1,
            b';' => return dots <= 2,
            _ => return false,
        }
        rest = tail;
    }
    matches!(dots, 1 | 2)
}

/// Bytes that are no part of a name wherever they are decoded.
fn holds_a_trap(segment: &[u8]) -> bool {
    let mut rest = segment;
    while let Some((byte, tail)) = decode_first(rest) {
        let encoded = rest.len() - tail.len() > 1;
        let trap = match byte {
            b'\\' | b'#' if !encoded => true,
            b'/' | b'\\' | 0..0x20 | 0x7f => encoded,
            b'%' => is_encoded_twice(tail),
            0xc0 | 0xc1 => next_is_within(tail, 0x80..=0xbf),
            0xe0 => next_is_within(tail, 0x80..=0x9f),
            0xf0 => next_is_within(tail, 0x80..=0x8f),
            _ => false,
        };
        if trap {
            return true;
        }
        rest = tail;
    }
    false
}

/// What follows an encoded `%` makes, decoded again, a character that separates, or `%` once more.
fn is_encoded_twice(behind_percent: &[u8]) -> bool {
    let [high, low, ..] = behind_percent else { return false };
    matches!(hex(*high, *low), Some(b'.' | b'/' | b'\\' | b'%' | b';' | 0..0x20 | 0x7f))
}

fn next_is_within(rest: &[u8], continuation: std::ops::RangeInclusive<u8>) -> bool {
    decode_first(rest).is_some_and(|(byte, _)| continuation.contains(&byte))
}

/// The first character, percent-decoded, and what follows it.
fn decode_first(text: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = text
        && let Some(byte) = hex(*high, *low)
    {
        return Some((byte, rest));
    }
    text.split_first().map(|(byte, rest)| (*byte, rest))
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_programs_may_read_in_two_ways_is_ambiguous() {
        for uri in [
            "/a%2fb",
            "/a%2Fb?x",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0ab",
            "/a%7f",
            "/a/../b",
            "/a/.",
            "/./a",
            "/..",
            "/a/%2e%2E/b",
            "/a/.%2e",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/.;/b",
            "/a/..%3b/b",
            "/a/%2e%2e;/b",
            "/;/a",
            "/;x=1/a",
            "/a/%252e%252e/b",
            "/a%252fb",
            "/a%255cb",
            "/a%2500",
            "/a%25252e",
            "/a/..%253b",
            "/a%c0%af",
            "/a%C0%aeb",
            "/a%e0%80%af",
            "/a%f0%80%80%af",
            "/a#/../b",
        ] {
            assert!(is_ambiguous(uri.as_bytes()), "{uri}");
        }
    }

    #[test]
    fn ordinary_paths_are_not() {
        for uri in [
            "",
            "/",
            "/a//b/",
            "/a/b.json",
            "/.well-known/x",
            "/...",
            "/..a/b..",
            "/a%20b/%C3%A9",
            "/%E0%A4%85",
            "/%F0%9F%98%80",
            "/a;v=1/b",
            "/50%25",
            "/50%25off",
            "/a%25ad",
            "/a?b=../..;/%2f%00",
            "/a%3Fb%23c",
            "/%zz/%",
        ] {
            assert!(!is_ambiguous(uri.as_bytes()), "{uri}");
        }
    }

    #[test]
    fn an_ambiguous_path_is_a_bad_request() {
        let Decision::Refuse(refusal) = decide(&PathPlan, b"/a%2fb") else { panic!("passed") };
        assert_eq!((refusal.policy, refusal.reason), (Policy::Path, Reason::AmbiguousPath));
        assert_eq!((refusal.status, &*refusal.message), (400, "Request path is ambiguous"));
        assert_eq!(decide(&PathPlan, b"/a/b"), Decision::Continue);
    }
}
