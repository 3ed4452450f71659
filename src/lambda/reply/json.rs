//! JSON values that borrow their strings from the payload, read in one pass.
//!
//! Source: RFC 8259. It takes and refuses what serde_json does, which the tests hold it against.

use std::borrow::Cow;

use crate::lambda::scan::find_escape;

/// How many arrays and objects may lie in each other.
const MAX_DEPTH: u8 = 127;
/// Integers of more digits are read as floating-point numbers.
const MAX_INTEGER_DIGITS: usize = 18;

/// A JSON value; strings are owned only where they have escapes, members keep their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The bytes are no JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl<'a> Json<'a> {
    /// The value that a document holds.
    pub(crate) fn parse(document: &'a [u8]) -> Result<Self, NotJson> {
        Reader::read(document, Reader::value)
    }

    /// The text of an object's member; `None` when there is none or it is no text.
    pub(crate) fn text_member(&self, name: &str) -> Option<&str> {
        let Self::Object(members) = self else { return None };
        members.iter().find_map(|(member, value)| match value {
            Self::Text(text) if member == name => Some(&**text),
            _ => None,
        })
    }
}

/// A document that is being read.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Reader<'a> {
    /// What `read` makes of a document, of which it must leave nothing.
    pub(crate) fn read<T>(
        document: &'a [u8],
        read: impl FnOnce(&mut Self) -> Result<T, NotJson>,
    ) -> Result<T, NotJson> {
        let text = std::str::from_utf8(document).map_err(|_| NotJson)?;
        let mut reader = Self { text, at: 0, depth: 0 };
        let value = read(&mut reader)?;
        reader.peek().map_or(Ok(value), |_| Err(NotJson))
    }

    /// The next value.
    pub(crate) fn value(&mut self) -> Result<Json<'a>, NotJson> {
        match self.peek().ok_or(NotJson)? {
            b'"' => self.string().map(Json::Text),
            b'{' => {
                let mut members = Vec::new();
                self.object(|reader, name| {
                    members.push((name, reader.value()?));
                    Ok(())
                })?;
                Ok(Json::Object(members))
            }
            b'[' => self.array(),
            b'n' => self.literal("null", Json::Null),
            b't' => self.literal("true", Json::Bool(true)),
            b'f' => self.literal("false", Json::Bool(false)),
            _ => self.number(),
        }
    }

    /// Hands the name of each member of an object to `member`, which reads the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        self.enter(b'{')?;
        let mut is_first = true;
        while self.goes_on(b'}', &mut is_first)? {
            if self.peek() != Some(b'"') {
                return Err(NotJson);
            }
            let name = self.string()?;
            self.take(b':')?;
            member(self, name)?;
        }
        Ok(())
    }

    fn array(&mut self) -> Result<Json<'a>, NotJson> {
        self.enter(b'[')?;
        let (mut values, mut is_first) = (Vec::new(), true);
        while self.goes_on(b']', &mut is_first)? {
            values.push(self.value()?);
        }
        Ok(Json::Array(values))
    }

    fn enter(&mut self, bracket: u8) -> Result<(), NotJson> {
        self.take(bracket)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(NotJson) } else { Ok(()) }
    }

    /// True when there is another member or element, its comma taken; false when `end` was taken.
    fn goes_on(&mut self, end: u8, is_first: &mut bool) -> Result<bool, NotJson> {
        if self.peek() == Some(end) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !std::mem::replace(is_first, false) {
            self.take(b',')?;
            // A comma wants a value behind it.
            if self.peek() == Some(end) {
                return Err(NotJson);
            }
        }
        Ok(true)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte behind white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() != Some(byte) {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, name: &str, value: Json<'a>) -> Result<Json<'a>, NotJson> {
        if !self.rest().starts_with(name.as_bytes()) {
            return Err(NotJson);
        }
        self.at += name.len();
        Ok(value)
    }

    /// The string whose quote is the next byte.
    fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        self.at += 1;
        let piece = self.piece()?;
        if self.rest().first() == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(piece));
        }
        let mut text = String::with_capacity(piece.len() + 2 * self.rest().len().min(256));
        text.push_str(piece);
        while self.rest().first() == Some(&b'\\') {
            text.push(self.escape()?);
            text.push_str(self.piece()?);
        }
        if self.rest().first() != Some(&b'"') {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    /// What comes before the next quote or escape of a string.
    fn piece(&mut self) -> Result<&'a str, NotJson> {
        let length = find_escape(self.rest()).ok_or(NotJson)?;
        let start = self.at;
        self.at += length;
        self.text.get(start..self.at).ok_or(NotJson)
    }

    /// The character of the escape that is next.
    fn escape(&mut self) -> Result<char, NotJson> {
        let escaped = *self.rest().get(1).ok_or(NotJson)?;
        self.at += 2;
        Ok(match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let unit = self.code_unit()?;
                if let Some(character) = char::from_u32(unit.into()) {
                    return Ok(character);
                }
                // Half of a character beyond U+FFFF; its other half must follow.
                if !self.rest().starts_with(b"\\u") {
                    return Err(NotJson);
                }
                self.at += 2;
                let pair = char::decode_utf16([unit, self.code_unit()?]).next();
                return pair.and_then(Result::ok).ok_or(NotJson);
            }
            _ => return Err(NotJson),
        })
    }

    /// The four hex digits that are next.
    fn code_unit(&mut self) -> Result<u16, NotJson> {
        let digits = self.rest().first_chunk::<4>().ok_or(NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, digit| {
            let value = char::from(*digit).to_digit(16).ok_or(NotJson)?;
            Ok(unit << 4 | value as u16)
        })
    }

    /// The number that is next; one that no `f64` can hold is an error.
    fn number(&mut self) -> Result<Json<'a>, NotJson> {
        let start = self.at;
        self.skip(b"-");
        let digits = self.digits()?;
        let starts_with_zero = self.text.as_bytes().get(self.at - digits) == Some(&b'0');
        if digits > 1 && starts_with_zero {
            return Err(NotJson);
        }
        let mut is_integer = digits <= MAX_INTEGER_DIGITS;
        if self.skip(b".") {
            is_integer = false;
            self.digits()?;
        }
        if self.skip(b"eE") {
            is_integer = false;
            self.skip(b"+-");
            self.digits()?;
        }
        let text = self.text.get(start..self.at).ok_or(NotJson)?;
        if is_integer && text != "-0" {
            return text.parse().map(Json::Integer).map_err(|_| NotJson);
        }
        let number = text.parse::<f64>().map_err(|_| NotJson)?;
        if number.is_finite() { Ok(Json::Float(number)) } else { Err(NotJson) }
    }

    /// True when the next byte is one of `bytes`, which is taken then.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let is_there = self.rest().first().is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(is_there);
        is_there
    }

    /// Takes the digits that are next, of which there must be some, and says how many.
    fn digits(&mut self) -> Result<usize, NotJson> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(NotJson) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn as_serde(json: Json<'_>) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(bool) => bool.into(),
            Json::Integer(number) => number.into(),
            Json::Float(number) => number.into(),
            Json::Text(text) => text.into(),
            Json::Array(values) => values.into_iter().map(as_serde).collect(),
            Json::Object(members) => members
                .into_iter()
                .map(|(name, value)| (name.into_owned(), as_serde(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// Numbers as `f64`: serde_json keeps more kinds of them apart.
    fn rounded(value: Value) -> Value {
        match value {
            Value::Number(number) => number.as_f64().unwrap().into(),
            Value::Array(values) => values.into_iter().map(rounded).collect(),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| (name, rounded(value)));
                members.collect::<serde_json::Map<_, _>>().into()
            }
            other => other,
        }
    }

    /// Fails where the reader and serde_json are of two minds about a document.
    fn assert_same(document: &[u8]) {
        let ours = Json::parse(document).map(|json| rounded(as_serde(json))).ok();
        let theirs = serde_json::from_slice::<Value>(document).map(rounded).ok();
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(document));
    }

    #[test]
    fn documents_are_read_and_refused_as_serde_json_does() {
        for document in [
            "",
            " ",
            "nul",
            "nulll",
            "null",
            " true\n",
            "false ",
            "\u{feff}1",
            "[]",
            "[ ]",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1],",
            "{}",
            "{ }",
            "{\"a\":1,}",
            "{\"a\" :\t1}",
            "{\"a\",1}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1,\"a\":2}",
            "0",
            "-0",
            "-",
            "01",
            "-01",
            "00",
            "1.",
            ".5",
            "1.5",
            "-1.5e3",
            "1e",
            "1e+",
            "1E-2",
            "1e400",
            "-1e400",
            "1e-400",
            "+1",
            "0x1",
            "NaN",
            "123456789012345678",
            "1234567890123456789",
            "18446744073709551616",
            "1 1",
            "\"",
            "\"a",
            "\"a\"b",
            "\"\\",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\u+123\"",
            "\"\\u00e9\\n\\/\\b\\f\\t\\r\\\\\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ud83dx\"",
            "\"\\ud83d\\n\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ude00\\ud83d\"",
            "\"a\u{1}b\"",
            "\"a\nb\"",
            "\"\u{7f}é€😀\"",
            "[\"\",[{}],{\"\":[null]}]",
        ] {
            assert_same(document.as_bytes());
        }
        assert_same(b"\"\xff\"");
        for depth in [127, 128] {
            assert_same(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
            assert_same("{\"a\":".repeat(depth).as_bytes());
        }
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let is_borrowed =
            |text| matches!(Json::parse(text), Ok(Json::Text(Cow::Borrowed("a\u{e9}"))));
        assert!(is_borrowed("\"a\u{e9}\"".as_bytes()));
        assert!(!is_borrowed(b"\"a\\u00e9\""));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read(value in any_json()) {
            assert_same(value.to_string().as_bytes());
            assert_same(serde_json::to_string_pretty(&value).unwrap().as_bytes());
        }

        #[test]
        fn broken_documents_are_refused_alike(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut document = value.to_string().into_bytes();
            let at = at.index(document.len());
            document[at] = byte;
            assert_same(&document);
            document.truncate(at);
            assert_same(&document);
        }
    }
}
