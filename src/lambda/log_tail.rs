//! The end of a function's log, which the API sends in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The text of an `X-Amz-Log-Result`; `None` when it is no base64.
///
/// Bytes that are no UTF-8 are replaced: the tail may begin within a character.
pub fn decode_log_tail(base64: &[u8]) -> Option<Box<str>> {
    let bytes = STANDARD.decode(base64).ok()?;
    Some(String::from_utf8_lossy(&bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_decoded_and_cut_characters_replaced() {
        assert_eq!(decode_log_tail(b"U1RBUlQKRU5ECg==").as_deref(), Some("START\nEND\n"));
        assert_eq!(decode_log_tail(b"qXg=").as_deref(), Some("\u{fffd}x"));
        assert_eq!(decode_log_tail(b"***"), None);
    }
}
