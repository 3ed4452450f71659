//! Bytes as hexadecimal digits.

/// Two lower-case digits for each byte; `as_flattened` makes one text of them.
pub(crate) fn digits<const N: usize>(bytes: &[u8; N]) -> [[u8; 2]; N] {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    bytes.map(|byte| [digit(byte >> 4), digit(byte & 15)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_byte_has_its_digit() {
        let bytes = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x00, 0xff];
        assert_eq!(digits(&bytes).as_flattened(), b"0123456789abcdef00ff");
    }
}
