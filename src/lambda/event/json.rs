//! JSON text written straight into a buffer.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{find_escape, is_plain};

/// A JSON document under construction at the end of a buffer.
///
/// Punctuation and keys are the caller's literals; only values pass through the escaper.
pub(crate) struct JsonText<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> JsonText<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Text that is JSON already.
    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Bytes that the caller knows to be a complete JSON value.
    pub(crate) fn value(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.out.extend_from_slice(Decimal::new(number).as_bytes());
    }

    /// A string from text.
    pub(crate) fn text(&mut self, text: &str) {
        self.out.push(b'"');
        push_escaped(self.out, text.as_bytes());
        self.out.push(b'"');
    }

    /// A string from a header's bytes: UTF-8 where they are, else one character a byte.
    ///
    /// Source: PEP 3333, which hands header bytes to applications as Latin-1.
    pub(crate) fn header<'t>(&mut self, value: impl Into<Text<'t>>) {
        let value = value.into();
        if self.plain(value) {
            return;
        }
        self.out.push(b'"');
        if std::str::from_utf8(value.bytes).is_ok() {
            push_escaped(self.out, value.bytes);
        } else {
            let latin1: String = value.bytes.iter().copied().map(char::from).collect();
            push_escaped(self.out, latin1.as_bytes());
        }
        self.out.push(b'"');
    }

    /// A string from decoded bytes; what is not UTF-8 becomes U+FFFD, as Werkzeug reads arguments.
    pub(crate) fn decoded<'t>(&mut self, value: impl Into<Text<'t>>) {
        let value = value.into();
        if self.plain(value) {
            return;
        }
        self.out.push(b'"');
        push_escaped(self.out, String::from_utf8_lossy(value.bytes).as_bytes());
        self.out.push(b'"');
    }

    /// Writes the string if it is ASCII that needs no escape, as nearly all values are; false if it is not.
    fn plain(&mut self, value: Text<'_>) -> bool {
        if value.is_plain {
            self.out.reserve(value.bytes.len() + 2);
            self.out.push(b'"');
            self.out.extend_from_slice(value.bytes);
            self.out.push(b'"');
        }
        value.is_plain
    }

    /// A string of base64.
    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        let start = self.out.len();
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let room = self.out.get_mut(start..).unwrap_or_default();
        let written = STANDARD.encode_slice(bytes, room).unwrap_or_default();
        self.out.truncate(start + written);
        self.out.push(b'"');
    }
}

/// Bytes on their way into a string, looked at once however often they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) bytes: &'a [u8],
    /// True for ASCII that needs no escape.
    is_plain: bool,
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, is_plain: is_plain(bytes) }
    }
}

/// Appends UTF-8 bytes with `"`, `\` and control characters escaped.
fn push_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(position) = find_escape(bytes) {
        let (clean, rest) = bytes.split_at(position);
        out.extend_from_slice(clean);
        let Some((special, rest)) = rest.split_first() else { return };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        bytes = rest;
    }
    out.extend_from_slice(bytes);
}

/// A number in decimal digits, without an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut number: u64) -> Self {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            start -= 1;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut JsonText<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut JsonText::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_json_demands() {
        for (text, expected) in [
            ("", r#""""#),
            ("plain text of more than eight", r#""plain text of more than eight""#),
            ("a\"b", r#""a\"b""#),
            ("back\\slash", r#""back\\slash""#),
            ("\n\r\t\u{0}\u{1f}", r#""\n\r\t\u0000\u001f""#),
            ("é €\u{7f}", "\"é €\u{7f}\""),
        ] {
            assert_eq!(written(|json| json.text(text)), expected);
        }
    }

    #[test]
    fn header_bytes_that_are_no_utf8_are_latin1_and_arguments_get_replacement_characters() {
        assert_eq!(written(|json| json.header(&b"caf\xe9"[..])), "\"café\"");
        assert_eq!(written(|json| json.header("café".as_bytes())), "\"café\"");
        assert_eq!(written(|json| json.decoded(&b"caf\xe9"[..])), "\"caf\u{fffd}\"");
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, expected) in
            [("", "\"\""), ("f", "\"Zg==\""), ("fo", "\"Zm8=\""), ("foobar", "\"Zm9vYmFy\"")]
        {
            assert_eq!(written(|json| json.base64(bytes.as_bytes())), expected);
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for (number, expected) in
            [(0, "0"), (7, "7"), (10, "10"), (u64::MAX, "18446744073709551615")]
        {
            assert_eq!(written(|json| json.number(number)), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_a_json_parser(text in any::<String>()) {
            let json = written(|json| json.text(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_bytes_make_a_valid_string(bytes in any::<Vec<u8>>()) {
            for json in [written(|json| json.header(&*bytes)), written(|json| json.decoded(&*bytes))] {
                serde_json::from_str::<String>(&json).unwrap();
            }
        }
    }
}
