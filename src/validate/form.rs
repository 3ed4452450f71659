//! Forms as JSON objects: text fields by name, repeated ones as arrays, files by their presence alone.

use std::borrow::Cow;

use super::content_type;
use super::json::{self, Json, Members};
use super::param::decode::{decode_text, pairs};
use super::shape::Shape;

/// Why a body is no form.
pub(super) type NotForm = &'static str;

/// A field: its name and what was sent.
type Field<'a> = (Cow<'a, str>, Sent<'a>);

enum Sent<'a> {
    Text(Cow<'a, str>),
    Json(Json<'a>),
    /// A file: content is none of our business.
    File,
}

/// The fields of an `application/x-www-form-urlencoded` body.
///
/// `typed` turns texts into the types of the schema; without it all of them stay strings.
pub(super) fn urlencoded<'a>(
    body: &'a [u8],
    shape: &Shape,
    typed: bool,
) -> Result<Json<'a>, NotForm> {
    let fields = pairs(body).map(|pair| {
        let name = match pair.name {
            Cow::Borrowed(name) => std::str::from_utf8(name).ok().map(Cow::Borrowed),
            Cow::Owned(name) => String::from_utf8(name).ok().map(Cow::Owned),
        };
        Some((name?, Sent::Text(decode_text(pair.value, true)?)))
    });
    let fields: Option<Vec<_>> = fields.collect();
    object(fields.ok_or("must be UTF-8")?, shape, typed)
}

/// The fields of a `multipart/form-data` body.
///
/// Source: RFC 7578; RFC 2046 section 5.1.1.
pub(super) fn multipart<'a>(
    body: &'a [u8],
    boundary: &[u8],
    shape: &Shape,
    typed: bool,
    max_depth: usize,
) -> Result<Json<'a>, NotForm> {
    const BROKEN: NotForm = "must be a complete multipart/form-data body";
    let delimiter = [b"\r\n--", boundary].concat();
    let mut rest = match body.strip_prefix(delimiter.get(2..).unwrap_or_default()) {
        Some(rest) => rest,
        None => split_at_delimiter(body, &delimiter).ok_or(BROKEN)?.1,
    };
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let part = rest.get(padding..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or(BROKEN)?;
        let (part, behind) = split_at_delimiter(part, &delimiter).ok_or(BROKEN)?;
        fields.push(field(part, max_depth).ok_or("must have readable text fields")?);
        rest = behind;
    }
    object(fields, shape, typed)
}

/// What stands before and behind the first delimiter.
fn split_at_delimiter<'a>(text: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let tail = text.get(from..)?;
        let at = from + tail.iter().position(|byte| *byte == b'\r')?;
        let (before, found) = text.split_at(at);
        if let Some(behind) = found.strip_prefix(delimiter) {
            return Some((before, behind));
        }
        from = at + 1;
    }
}

/// One part; `None` when it has no name, or text that cannot be read as it stands.
fn field(part: &[u8], max_depth: usize) -> Option<Field<'_>> {
    let (mut disposition, mut is_json, mut content) = (None, false, None);
    let mut rest = part;
    while content.is_none() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, behind) = (rest.get(..end)?, rest.get(end + 2..)?);
        rest = behind;
        if line.is_empty() {
            content = Some(rest);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        if name.eq_ignore_ascii_case(b"content-disposition") {
            if disposition.replace(value).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"content-type") {
            let body = content_type::BodyType::parse(value)?;
            is_json = body.kind() == Some(content_type::Kind::Json);
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding")
            && ![&b"7bit"[..], b"8bit", b"binary"]
                .iter()
                .any(|plain| value.eq_ignore_ascii_case(plain))
        {
            return None;
        }
    }
    let (content, disposition) = (content?, disposition?);
    let semicolon = disposition.iter().position(|byte| *byte == b';')?;
    let (kind, parameters) = (disposition.get(..semicolon)?, disposition.get(semicolon + 1..)?);
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let parameter = |name: &[u8]| content_type::parameter(parameters, name);
    let name = Cow::Owned(String::from_utf8(parameter(b"name")?).ok()?);
    if parameter(b"filename").is_some() || parameter(b"filename*").is_some() {
        return Some((name, Sent::File));
    }
    if is_json {
        return Some((name, Sent::Json(json::parse(content, max_depth).ok()?)));
    }
    Some((name, Sent::Text(Cow::Borrowed(std::str::from_utf8(content).ok()?))))
}

fn object<'a>(mut fields: Vec<Field<'a>>, shape: &Shape, typed: bool) -> Result<Json<'a>, NotForm> {
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
    let mut is_repeated = false;
    for (name, sent) in fields {
        let property = shape.property(&name);
        let again = members.last().is_some_and(|(last, _)| *last == name);
        let is_item = again || property.allows_array();
        let value = value(sent, if is_item { property.items() } else { property }, typed);
        match members.last_mut() {
            Some((_, Json::Array(items))) if again && is_repeated => items.push(value),
            Some((_, first)) if again => {
                let one = std::mem::replace(first, Json::Null);
                *first = Json::Array(vec![one, value]);
                is_repeated = true;
            }
            _ => {
                is_repeated = property.allows_array() && !matches!(value, Json::Array(_));
                let value = if is_repeated { Json::Array(vec![value]) } else { value };
                members.push((name, value));
            }
        }
    }
    Members::new(members).map(Json::Object).ok_or("must have different fields")
}

fn value<'a>(sent: Sent<'a>, shape: &Shape, typed: bool) -> Json<'a> {
    match sent {
        Sent::File => Json::String(Cow::Borrowed("")),
        Sent::Json(value) => value,
        Sent::Text(Cow::Borrowed(text)) if shape.is_structure() => {
            json::parse(text.as_bytes(), json::MAX_DEPTH)
                .unwrap_or(Json::String(Cow::Borrowed(text)))
        }
        Sent::Text(text) if typed => shape.scalar(text),
        Sent::Text(text) => Json::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{
        "n":{"type":"integer"},"ok":{"type":"boolean"},"s":{"type":"string"},
        "many":{"type":"array","items":{"type":"integer"}},
        "o":{"type":"object"},"f":{"type":"string","format":"binary"}}}"#;

    fn shape() -> Shape {
        let schema = serde_json::from_str(SCHEMA).unwrap();
        Shape::of(&schema, &|_| None, "file:///s.json")
    }

    fn parsed(text: &str) -> Json<'_> {
        json::parse(text.as_bytes(), 9).unwrap()
    }

    #[test]
    fn form_fields_have_the_types_of_the_schema() {
        for (body, expected) in [
            ("", "{}"),
            ("n=5&ok=true&s=5", r#"{"n":5,"ok":true,"s":"5"}"#),
            ("n=five", r#"{"n":"five"}"#),
            ("many=1", r#"{"many":[1]}"#),
            ("many=1&s=x&many=2", r#"{"many":[1,2],"s":"x"}"#),
            ("x=1&x=2&x=3", r#"{"x":["1","2","3"]}"#),
            ("s=a+b%26%C3%A9&%73=2", r#"{"s":["a b&é","2"]}"#),
            ("s", r#"{"s":""}"#),
        ] {
            assert_eq!(urlencoded(body.as_bytes(), &shape(), true), Ok(parsed(expected)), "{body}");
        }
        assert_eq!(urlencoded(b"n=5", &shape(), false), Ok(parsed(r#"{"n":"5"}"#)));
        assert!(urlencoded(b"s=%FF", &shape(), true).is_err());
    }

    #[test]
    fn multipart_fields_are_read_and_files_are_not() {
        let body = "preamble\r\n--B\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n5\r\n--B  \r\n\
            Content-Disposition: form-data; name=s\r\nContent-Type: text/plain\r\n\r\na\r\n--b\r\n--B\r\n\
            content-disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: image/png\r\n\r\n\u{0}\r\n--B\r\n\
            Content-Disposition: form-data; name=\"o\"\r\nContent-Type: application/json\r\n\r\n{\"a\":[1]}\r\n--B--\r\nepilogue";
        let expected = r#"{"f":"","n":5,"o":{"a":[1]},"s":"a\r\n--b"}"#;
        assert_eq!(multipart(body.as_bytes(), b"B", &shape(), true, 9), Ok(parsed(expected)));
    }

    #[test]
    fn a_broken_multipart_body_is_no_form() {
        let part = |head: &str| format!("--B\r\n{head}\r\n\r\nx\r\n--B--");
        for body in [
            String::new(),
            "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n5\r\n".to_owned(),
            "--B\nContent-Disposition: form-data; name=a\n\n5\n--B--".to_owned(),
            part("Content-Disposition: form-data; name=a\r\n\r\n5\r\n--Bx"),
            part("Content-Disposition: form-data"),
            part("Content-Disposition: attachment; name=a"),
            part("Content-Type: text/plain"),
            part(
                "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
            ),
            part("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64"),
            part("Content-Disposition: form-data; name=a\r\nContent-Type: application/json"),
        ] {
            let read = multipart(body.as_bytes(), b"B", &shape(), true, 9);
            assert!(read.is_err(), "{body}");
        }
        assert_eq!(multipart(b"--B--", b"B", &shape(), true, 9), Ok(parsed("{}")));
    }
}
