//! The bytes of JSON strings that need care, looked for many at a time.

/// As many bytes as the compiler makes two vectors of.
const BLOCK_BYTES: usize = 32;

/// The position of the first byte that cannot stand in a JSON string as it is: a control character, `"` or `\`.
///
/// Source: RFC 8259 section 7.
pub(crate) fn find_escape(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    let clean = blocks.iter().take_while(|block| !needs_escape(block)).count() * BLOCK_BYTES;
    let rest = bytes.get(clean..).unwrap_or_default();
    let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    rest.iter().position(special).map(|position| clean + position)
}

/// True for ASCII that stands in a JSON string as it is.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    // The last block or word overlaps the one before it.
    if let Some(last) = bytes.last_chunk::<BLOCK_BYTES>() {
        let is_clean =
            |block: &[u8; BLOCK_BYTES]| !needs_escape(block) && !block.iter().any(|b| *b >= 0x80);
        return bytes.as_chunks().0.iter().all(is_clean) && is_clean(last);
    }
    let mut padded = [b' '; 8];
    let last = bytes.last_chunk::<8>().unwrap_or_else(|| {
        padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        &padded
    });
    bytes.as_chunks().0.iter().all(|word| is_plain_word(*word)) && is_plain_word(*last)
}

/// Whether a byte of the block needs an escape. Three loops, because the compiler makes worse vectors of one.
fn needs_escape(block: &[u8; BLOCK_BYTES]) -> bool {
    let any = |is: fn(u8) -> bool| block.iter().fold(false, |found, byte| found | is(*byte));
    any(|byte| byte < b' ') | any(|byte| byte == b'"') | any(|byte| byte == b'\\')
}

/// The same and no byte beyond ASCII, for eight bytes in a register.
fn is_plain_word(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(word);
    // A byte's high bit is set where a difference is below zero; borrows set others only where one is set already.
    let below_space = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (word | below_space | quote | backslash) & HIGH_BITS == 0
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
