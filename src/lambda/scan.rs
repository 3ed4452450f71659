//! The bytes of JSON strings that need care, looked for many at a time.

/// As many bytes as are looked at as one: two or more of the machine's vectors.
const LANES: usize = 32;

/// The position of the first byte that cannot stand in a JSON string as it is: a control character, `"` or `\`.
///
/// Source: RFC 8259 section 7.
pub(crate) fn find_escape(bytes: &[u8]) -> Option<usize> {
    let needs_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    let (blocks, _) = bytes.as_chunks::<LANES>();
    let clean = blocks.iter().take_while(|block| !any(block, needs_escape)).count() * LANES;
    let rest = bytes.get(clean..).unwrap_or_default();
    rest.iter().position(|byte| needs_escape(*byte)).map(|position| clean + position)
}

/// True for ASCII that stands in a JSON string as it is.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    const FEW: usize = 8;
    let special = |byte: u8| byte < b' ' || byte >= 0x80 || byte == b'"' || byte == b'\\';
    // The last block overlaps the one before it.
    if let Some(last) = bytes.last_chunk::<LANES>() {
        let (blocks, _) = bytes.as_chunks::<LANES>();
        return !blocks.iter().chain([last]).any(|block| any(block, special));
    }
    match bytes.last_chunk::<FEW>() {
        Some(last) => {
            let (blocks, _) = bytes.as_chunks::<FEW>();
            !blocks.iter().chain([last]).any(|block| any(block, special))
        }
        None => !bytes.iter().any(|byte| special(*byte)),
    }
}

/// Whether one byte of a block is special: without a branch between them, for the compiler to look at all at once.
#[inline(always)]
fn any<const N: usize>(block: &[u8; N], special: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(false, |found, byte| found | special(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_needs_care_is_found_at_every_place_of_every_length() {
        for length in 0..100 {
            let clean = vec![b'~'; length];
            assert!(is_plain(&clean));
            assert_eq!(find_escape(&clean), None);
            for place in 0..length {
                for special in [0, 0x1f, b'"', b'\\', 0x80, 0xff] {
                    let mut bytes = clean.clone();
                    bytes[place] = special;
                    assert!(!is_plain(&bytes), "{special} at {place} of {length}");
                    let expected = (special < 0x80).then_some(place);
                    assert_eq!(find_escape(&bytes), expected, "{special} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        let bytes = [b"\xe9 ".repeat(40), b"\\ \"\n".to_vec()].concat();
        assert_eq!(find_escape(&bytes), Some(80));
        assert_eq!(find_escape(&bytes[81..]), Some(1));
    }
}
