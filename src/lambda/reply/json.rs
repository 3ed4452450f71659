//! JSON values that borrow their strings from the payload, read in one pass.
//!
//! Source: RFC 8259. It takes and refuses what serde_json does, which the tests hold it against.

use std::borrow::Cow;

use crate::json::{Literal, NotJson, Reader};

/// How many arrays and objects may lie in each other.
const MAX_DEPTH: usize = 127;

/// A JSON value; strings are owned only where they have escapes, members keep their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written, so that no digit is lost; within the range of an `f64`.
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The value that a document holds.
    pub(crate) fn parse(document: &'a [u8]) -> Result<Self, NotJson> {
        read(document, read_value)
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

/// What `read` makes of a document, of which it must leave nothing.
pub(super) fn read<'a, T>(
    document: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, NotJson>,
) -> Result<T, NotJson> {
    let mut reader = Reader::new(document, MAX_DEPTH)?;
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The reader's next value.
pub(super) fn read_value<'a>(reader: &mut Reader<'a>) -> Result<Json<'a>, NotJson> {
    match reader.peek() {
        Some(b'"') => reader.string().map(Json::Text),
        Some(b'{') => {
            let mut members = Vec::new();
            read_object(reader, |name, value| members.push((name, value)))?;
            Ok(Json::Object(members))
        }
        Some(b'[') => {
            let mut values = Vec::new();
            let mut done = reader.enter(b']')?;
            while !done {
                values.push(read_value(reader)?);
                done = reader.leaves(b']')?;
            }
            Ok(Json::Array(values))
        }
        Some(b'-' | b'0'..=b'9') => {
            let text = reader.number()?;
            number(text).ok_or(reader.wrong("number out of range"))
        }
        _ => Ok(match reader.literal()? {
            Literal::Null => Json::Null,
            Literal::False => Json::Bool(false),
            Literal::True => Json::Bool(true),
        }),
    }
}

/// Hands on each member of the object that is next.
pub(super) fn read_object<'a>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(Cow<'a, str>, Json<'a>),
) -> Result<(), NotJson> {
    let mut done = reader.enter(b'}')?;
    while !done {
        member(reader.name()?, read_value(reader)?);
        done = reader.leaves(b'}')?;
    }
    Ok(())
}

/// A number as it is written; `None` for one that no `f64` can hold.
fn number(text: &str) -> Option<Json<'_>> {
    text.parse().is_ok_and(f64::is_finite).then_some(Json::Number(text))
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
            Json::Number(text) => text.parse::<f64>().unwrap().into(),
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
