//! The bytes of JSON strings that need care, looked for many at a time.

/// As many bytes as the compiler makes two vectors of.
const BLOCK_BYTES: usize = 32;
/// As many bytes as a register holds.
const WORD_BYTES: usize = 8;
const ONES: u64 = u64::MAX / 255;
const HIGH_BITS: u64 = 0x80 * ONES;

/// The position of the first byte that cannot stand in a JSON string as it is: a control character, `"` or `\`.
///
/// Source: RFC 8259 section 7.
pub(crate) fn find_escape(bytes: &[u8]) -> Option<usize> {
    // Most strings end within the first few words.
    const WORDS_FIRST: usize = 4;
    let (words, _) = bytes.as_chunks();
    let (first, _) = words.split_at(words.len().min(WORDS_FIRST));
    if let Some(position) = find_in_words(first) {
        return Some(position);
    }
    let behind = bytes.get(first.len() * WORD_BYTES..)?;
    let (blocks, _) = behind.as_chunks();
    let clean = blocks.iter().take_while(|block| !needs_escape(block)).count() * BLOCK_BYTES;
    let (words, tail) = behind.get(clean..)?.as_chunks();
    let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let in_tail = || Some(words.len() * WORD_BYTES + tail.iter().position(special)?);
    let position = find_in_words(words).or_else(in_tail)?;
    Some(first.len() * WORD_BYTES + clean + position)
}

fn find_in_words(words: &[[u8; WORD_BYTES]]) -> Option<usize> {
    words.iter().enumerate().find_map(|(number, word)| {
        let marks = escape_marks(*word);
        let position = number * WORD_BYTES + (marks.trailing_zeros() / 8) as usize;
        (marks != 0).then_some(position)
    })
}

/// The high bit of each byte that needs an escape; bytes behind the first one may be marked by mistake.
///
/// Source: "Bit Twiddling Hacks", determine if a word has a byte less than n.
fn escape_marks(word: [u8; WORD_BYTES]) -> u64 {
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let is_quote = below(word ^ (ONES * b'"' as u64), 1);
    let is_backslash = below(word ^ (ONES * b'\\' as u64), 1);
    (below(word, 0x20) | is_quote | is_backslash) & HIGH_BITS
}

/// True for ASCII that stands in a JSON string as it is.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    // The last block or word overlaps the one before it.
    if let Some(last) = bytes.last_chunk::<BLOCK_BYTES>() {
        let is_clean =
            |block: &[u8; BLOCK_BYTES]| !needs_escape(block) && !block.iter().any(|b| *b >= 0x80);
        return bytes.as_chunks().0.iter().all(is_clean) && is_clean(last);
    }
    let mut padded = [b' '; WORD_BYTES];
    let last = bytes.last_chunk().unwrap_or_else(|| {
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

/// True when no byte of the word is special, nor beyond ASCII.
fn is_plain_word(word: [u8; WORD_BYTES]) -> bool {
    (escape_marks(word) | u64::from_le_bytes(word) & HIGH_BITS) == 0
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
