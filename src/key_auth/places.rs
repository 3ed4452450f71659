//! Reads what stands at a place of a request's head.

/// The key in a header's value: all of it, or what follows the scheme's word; empty when there is none.
pub(super) fn header_key<'a>(value: &'a [u8], scheme: Option<&str>) -> &'a [u8] {
    let Some(scheme) = scheme else { return value };
    let Some((word, rest)) = value.split_at_checked(scheme.len()) else { return &[] };
    match rest.first() {
        Some(b' ' | b'\t') if word.eq_ignore_ascii_case(scheme.as_bytes()) => rest.trim_ascii(),
        _ => &[],
    }
}

/// The cookies of a Cookie header: each as (all of it, name, value), nothing decoded.
///
/// Source: RFC 6265 section 5.4.
pub(super) fn cookies(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    value.split(|byte| *byte == b';').map(|whole| {
        let pair = whole.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=');
        match equals.and_then(|at| pair.split_at_checked(at)) {
            Some((name, [_, value @ ..])) => (whole, name, value),
            _ => (whole, pair, &[][..]),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_a_word_in_any_case() {
        for (value, expected) in [
            ("Bearer abc", "abc"),
            ("bEARER   a b ", "a b"),
            ("Bearer\tabc", "abc"),
            ("Bearer", ""),
            ("Bearer ", ""),
            ("Bearerabc", ""),
            ("Basic abc", ""),
            ("", ""),
        ] {
            let key = header_key(value.as_bytes(), Some("bearer"));
            assert_eq!(key, expected.as_bytes(), "{value}");
        }
        assert_eq!(header_key(b"Bearer abc", None), b"Bearer abc");
    }
}
