//! Percent-encoding of paths and queries.
//!
//! Source: RFC 3986 section 2.1; AWS Signature Version 4, `UriEncode`.

/// The bytes of `text` with each `%XX` decoded once; a `%` without two hex digits stands for itself.
pub(crate) fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        if byte != b'%' {
            return Some(byte);
        }
        let [high, low, tail @ ..] = rest else { return Some(byte) };
        let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
            return Some(byte);
        };
        rest = tail;
        Some(high << 4 | low)
    })
}

/// Appends the name or value of a query argument, decoded once; `+` is a space.
pub(crate) fn push_decoded_argument(out: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| !matches!(byte, b'%' | b'+')) {
        out.extend_from_slice(text);
        return;
    }
    for piece in text.split_inclusive(|byte| *byte == b'+') {
        match piece.split_last() {
            Some((b'+', before)) => {
                out.extend(decoded(before));
                out.push(b' ');
            }
            _ => out.extend(decoded(piece)),
        }
    }
}

/// Appends `text` with every byte encoded that `keep` does not name.
pub(crate) fn push_encoded(out: &mut Vec<u8>, text: &[u8], keep: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for &byte in text {
        if keep(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// True for the bytes that are never encoded: letters, digits, `-`, `.`, `_`, `~`.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// True for the bytes that may stand in a path as they are, `/` included.
pub(crate) fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"/:@!$&'()*+,;=".contains(&byte)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once_and_broken_ones_stand_for_themselves() {
        for (text, expected) in [
            ("a%20b", "a b"),
            ("%2541", "%41"),
            ("%c3%A9", "é"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("a+b", "a+b"),
        ] {
            assert_eq!(decoded(text.as_bytes()).collect::<Vec<_>>(), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_plus_in_an_argument_is_a_space() {
        for (text, expected) in [
            ("a+b", "a b"),
            ("+", " "),
            ("a%2Bb+c", "a+b c"),
            ("plain", "plain"),
            ("x+%zz", "x %zz"),
        ] {
            let mut out = Vec::new();
            push_decoded_argument(&mut out, text.as_bytes());
            assert_eq!(out, expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_is_not_kept_is_encoded_in_upper_case() {
        let mut out = Vec::new();
        push_encoded(&mut out, "a/é:~ %".as_bytes(), is_unreserved);
        assert_eq!(out, b"a%2F%C3%A9%3A~%20%25");
    }
}
