//! The path that a function sees.

use std::borrow::Cow;

use crate::lambda::percent;

/// The event's path: as received where that is the path that was authorised, else the normalised one, encoded.
///
/// `raw` is the path as received, without the query; `normalised` is nginx's `r->uri`: decoded once, dot segments and
/// doubled slashes resolved, or what a rewrite made of it. When decoding `raw` does not give `normalised`, the two name
/// different resources, and the function must get the one that the policies judged. Bytes that may not stand in a URI
/// are encoded in either case.
pub fn event_path<'a>(raw: &'a [u8], normalised: &[u8]) -> Cow<'a, [u8]> {
    let is_same = match raw.contains(&b'%') {
        false => raw == normalised,
        true => percent::decoded(raw).eq(normalised.iter().copied()),
    };
    if is_same && raw.iter().all(u8::is_ascii_graphic) {
        return Cow::Borrowed(raw);
    }
    let mut path = Vec::with_capacity(normalised.len() + 16);
    if is_same {
        percent::push_encoded(&mut path, raw, |byte| byte.is_ascii_graphic());
    } else {
        percent::push_encoded(&mut path, normalised, percent::is_path_byte);
    }
    Cow::Owned(path)
}

/// Appends a piece of a plain path, percent-encoded where it must be.
pub fn push_path(out: &mut Vec<u8>, plain: &[u8]) {
    percent::push_encoded(out, plain, percent::is_path_byte);
}

/// `path` without `prefix`, which goes only as whole segments; a path that is the prefix becomes `/`.
///
/// `path` is percent-encoded, `prefix` is plain and begins with a slash.
pub fn strip_prefix<'a>(path: &'a [u8], prefix: &str) -> &'a [u8] {
    let prefix = prefix.trim_end_matches('/').as_bytes();
    // The prefix ends before a slash or at the end, so these are the only places to try.
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends.chain([path.len()]) {
        let (head, rest) = path.split_at(end);
        if percent::decoded(head).eq(prefix.iter().copied()) {
            return if rest.is_empty() { b"/" } else { rest };
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_as_received_unless_it_was_normalised() {
        for (raw, normalised, expected) in [
            ("/a/b", "/a/b", "/a/b"),
            ("/a%2Fb", "/a/b", "/a%2Fb"),
            ("/%C3%A9%20x+y;z%25", "/é x+y;z%", "/%C3%A9%20x+y;z%25"),
            ("/%2541", "/%41", "/%2541"),
            ("/a/../b", "/b", "/b"),
            ("/public/%2e%2e/admin", "/admin", "/admin"),
            ("/public%2F..%2Fadmin", "/admin", "/admin"),
            ("//a", "/a", "/a"),
            ("/old name", "/new name", "/new%20name"),
            ("/rewritten?", "/to/é", "/to/%C3%A9"),
            ("/é", "/é", "/%C3%A9"),
            ("/./a%2fb%3F", "/a/b?", "/a/b%3F"),
        ] {
            let path = event_path(raw.as_bytes(), normalised.as_bytes());
            assert_eq!(std::str::from_utf8(&path).unwrap(), expected, "{raw} -> {normalised}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_encoded() {
        assert_eq!(&*event_path(b"/\xff\"", b"/\xff\""), b"/%FF\"");
        assert_eq!(&*event_path(b"/%FF", b"/\xff"), b"/%FF");
    }

    #[test]
    fn a_prefix_goes_as_whole_segments_only() {
        for (path, prefix, expected) in [
            ("/dev/users", "/dev", "/users"),
            ("/dev/users", "/dev/", "/users"),
            ("/developers", "/dev", "/developers"),
            ("/dev", "/dev", "/"),
            ("/dev/", "/dev", "/"),
            ("/d%65v/a%2Fb", "/dev", "/a%2Fb"),
            ("/a/b/c", "/a/b", "/c"),
            ("/other", "/dev", "/other"),
            ("/x", "/", "/x"),
        ] {
            let stripped = strip_prefix(path.as_bytes(), prefix);
            assert_eq!(std::str::from_utf8(stripped).unwrap(), expected, "{path} - {prefix}");
        }
    }
}
