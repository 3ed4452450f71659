//! JSON read once, strictly, into a tree that borrows from the body.
//!
//! Stricter than RFC 8259 asks, because two readers that disagree about a document are a way round a validator: duplicate
//! names are refused (after unescaping), and so are unpaired surrogates, a byte order mark and trailing bytes. Numbers
//! keep the text they were written in; see [`super::decimal`].

use std::borrow::Cow;

use crate::json::Literal;
pub use crate::json::NotJson;
pub(super) use crate::json::Reader;

/// A JSON value. Borrows from the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written; always of the grammar of RFC 8259 section 6.
    Number(Cow<'a, str>),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, names unique.
    Object(Members<'a>),
    /// A file of a form: a string of which nothing is known.
    File,
}

/// The members of an object: in the order written, or sorted by name once there are more than [`MAX_SCANNED_MEMBERS`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// Up to here a lookup compares name after name; beyond it members are sorted and searched by halves.
const MAX_SCANNED_MEMBERS: usize = 16;

/// The deepest nesting that `validate_depth` may allow; what reads and checks a document recurses that far.
pub const MAX_DEPTH: usize = 512;

impl<'a> Members<'a> {
    /// The members, or `None` when two have one name.
    pub fn new(mut members: Vec<(Cow<'a, str>, Json<'a>)>) -> Option<Self> {
        if members.len() <= MAX_SCANNED_MEMBERS {
            let mut rest = members.as_slice();
            while let [(name, _), tail @ ..] = rest {
                if tail.iter().any(|(other, _)| other == name) {
                    return None;
                }
                rest = tail;
            }
        } else {
            members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            let equal = |pair: &[(Cow<'_, str>, Json<'_>)]| matches!(pair, [a, b] if a.0 == b.0);
            if members.windows(2).any(equal) {
                return None;
            }
        }
        Some(Self(members))
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        if self.0.len() <= MAX_SCANNED_MEMBERS {
            return self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        }
        let at = self.0.binary_search_by(|(other, _)| other.as_ref().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// All members.
    pub fn as_slice(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        &self.0
    }
}

/// The document in `text`, nested `max_depth` levels at most; an array or object at the top is level 1.
pub fn parse(text: &[u8], max_depth: usize) -> Result<Json<'_>, NotJson> {
    let mut reader = Reader::new(text, max_depth.min(MAX_DEPTH))?;
    let value = read_value(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The reader's next value.
pub(super) fn read_value<'a>(reader: &mut Reader<'a>) -> Result<Json<'a>, NotJson> {
    match reader.peek() {
        Some(b'"') => reader.string().map(Json::String),
        Some(b'{') => read_object(reader),
        Some(b'[') => read_array(reader),
        Some(b'-' | b'0'..=b'9') => reader.number().map(|text| Json::Number(Cow::Borrowed(text))),
        _ => reader.literal().map(Json::from),
    }
}

fn read_array<'a>(reader: &mut Reader<'a>) -> Result<Json<'a>, NotJson> {
    let mut items = Vec::new();
    let mut done = reader.enter(b']')?;
    while !done {
        items.push(read_value(reader)?);
        done = reader.leaves(b']')?;
    }
    Ok(Json::Array(items))
}

fn read_object<'a>(reader: &mut Reader<'a>) -> Result<Json<'a>, NotJson> {
    let mut members = Vec::new();
    let mut done = reader.enter(b'}')?;
    while !done {
        members.push((reader.name()?, read_value(reader)?));
        done = reader.leaves(b'}')?;
    }
    Members::new(members).map(Json::Object).ok_or(reader.wrong("duplicate name"))
}

impl Json<'_> {
    /// The value, borrowing from nothing.
    pub(super) fn into_owned(self) -> Json<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(text) => Json::Number(owned(text)),
            Self::String(text) => Json::String(owned(text)),
            Self::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(Members(members)) => {
                let members =
                    members.into_iter().map(|(name, value)| (owned(name), value.into_owned()));
                Json::Object(Members(members.collect()))
            }
            Self::File => Json::File,
        }
    }
}

impl From<Literal> for Json<'_> {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::False => Self::Bool(false),
            Literal::True => Self::Bool(true),
        }
    }
}

/// True when the whole text is one JSON number.
pub fn is_number(text: &str) -> bool {
    Reader::new(text.as_bytes(), 0)
        .is_ok_and(|mut reader| reader.number().is_ok_and(|number| number.len() == text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Json<'_> {
        Json::String(Cow::Borrowed(text))
    }

    #[test]
    fn documents_are_read_as_they_are_written() {
        for (text, expected) in [
            (" null ", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("-0", Json::Number("-0".into())),
            ("12345678901234567890.5e-7", Json::Number("12345678901234567890.5e-7".into())),
            ("\"\"", string("")),
            ("\"a\u{7f}é\"", string("a\u{7f}é")),
            ("\"0123456789abcdefé!#[]^~ \"", string("0123456789abcdefé!#[]^~ ")),
            ("\"0123456789\\n\"", string("0123456789\n")),
            (r#""\"\\\/\b\f\n\r\t""#, string("\"\\/\u{8}\u{c}\n\r\t")),
            (r#""\u00e9\uD83E\uDD80\u0000""#, string("é🦀\0")),
            ("[]", Json::Array(vec![])),
            ("[1 ,\t[]]", Json::Array(vec![Json::Number("1".into()), Json::Array(vec![])])),
            ("{}", Json::Object(Members::default())),
            (
                "{\"b\":1,\"a\":null}",
                Json::Object(Members(vec![
                    ("b".into(), Json::Number("1".into())),
                    ("a".into(), Json::Null),
                ])),
            ),
        ] {
            assert_eq!(parse(text.as_bytes(), 8), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "True",
            "NaN",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "-",
            "0x10",
            "1 2",
            "'a'",
            "\"a",
            "\"\u{1}\"",
            "\"\n\"",
            "\"01234567\u{1f}89\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\uD800""#,
            r#""\uDC00""#,
            r#""\uD800\u0041""#,
            r#""\u+123""#,
            "[1,]",
            "[,1]",
            "[1",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\"}",
            "{\"a\" 1}",
            "{\"a\":}",
            "{}}",
            "[1]//",
            "\u{feff}{}",
            "{\"a\":1 \"b\":2}",
            "[1}",
            "\\u0031",
        ] {
            assert!(parse(text.as_bytes(), 8).is_err(), "{text:?}");
        }
        assert!(parse(b"\"\xff\"", 8).is_err());
        assert!(parse(b"\"\xed\xa0\x80\"", 8).is_err(), "a surrogate in UTF-8");
    }

    #[test]
    fn a_name_given_twice_is_refused_however_it_is_spelled() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"é":1,"b":2,"\u00e9":3}}"#,
            r#"[{"":1,"":2}]"#,
        ] {
            let error = parse(text.as_bytes(), 8).unwrap_err();
            assert_eq!(error.reason, "duplicate name", "{text}");
        }
        let many: Vec<String> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        let (all, twice) = (many.join(","), format!("{},\"k7\":0", many.join(",")));
        let whole = format!("{{{all}}}");
        let Ok(Json::Object(members)) = parse(whole.as_bytes(), 8) else { panic!("{all}") };
        assert_eq!(members.get("k39"), Some(&Json::Number("39".into())));
        assert_eq!(members.get("k40"), None);
        assert!(parse(format!("{{{twice}}}").as_bytes(), 8).is_err());
    }

    #[test]
    fn depth_counts_the_outermost_value_as_one() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (text, max_depth, fits) in [
            ("1".to_owned(), 1, true),
            ("[1]".to_owned(), 1, true),
            ("[[1]]".to_owned(), 1, false),
            ("{\"a\":{\"b\":[]}}".to_owned(), 3, true),
            ("{\"a\":{\"b\":[]}}".to_owned(), 2, false),
            ("[[],[],[[]]]".to_owned(), 3, true),
            (nested(64), 64, true),
            (nested(65), 64, false),
            (nested(100_000), MAX_DEPTH, false),
        ] {
            let read = parse(text.as_bytes(), max_depth);
            assert_eq!(read.is_ok(), fits, "{max_depth} levels");
            assert!(fits || read.unwrap_err().reason == "too deep");
        }
    }

    #[test]
    fn a_number_is_the_whole_text_or_none() {
        for (text, expected) in [
            ("5", true),
            ("-1.5e3", true),
            ("05", false),
            ("5 ", false),
            ("", false),
            ("1_0", false),
        ] {
            assert_eq!(is_number(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_another_reader(text in r#"[\[\]{}":,a0-9.eE+\-\\u n]{0,12}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            match parse(text.as_bytes(), 64) {
                Ok(_) => proptest::prop_assert!(theirs),
                // serde_json reads duplicate names, and refuses numbers beyond its range.
                Err(error) => proptest::prop_assert!(!theirs || error.reason == "duplicate name"),
            }
        }

        #[test]
        fn reads_any_bytes_without_a_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes, 64);
        }
    }
}
