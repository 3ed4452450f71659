//! Forms as JSON objects: text fields by name, repeated ones as arrays, files by their presence alone.

use std::borrow::Cow;

use super::content_type::{self, Parameters};
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
    max_depth: usize,
) -> Result<Json<'a>, NotForm> {
    const BROKEN: NotForm = "must be UTF-8";
    let ampersands = body.iter().filter(|byte| **byte == b'&').count();
    // Thousands of fields of a byte or two: a vector that grows would need twice the room for a moment.
    let mut fields = Vec::with_capacity(ampersands + 1);
    for pair in pairs(body) {
        let name = match pair.name {
            Cow::Borrowed(name) => std::str::from_utf8(name).ok().map(Cow::Borrowed),
            Cow::Owned(name) => String::from_utf8(name).ok().map(Cow::Owned),
        };
        let value = decode_text(pair.value, true).ok_or(BROKEN)?;
        fields.push((name.ok_or(BROKEN)?, Sent::Text(value)));
    }
    object(fields, shape, typed, max_depth)
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
        None => {
            let (preamble, rest) = split_at_delimiter(body, &delimiter).ok_or(BROKEN)?;
            // Some readers need no new line before the first delimiter.
            let dashes = delimiter.get(2..).unwrap_or_default();
            if preamble.windows(dashes.len()).any(|part| part == dashes) {
                return Err(BROKEN);
            }
            rest
        }
    };
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let part = rest.get(padding..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or(BROKEN)?;
        let (part, behind) = split_at_delimiter(part, &delimiter).ok_or(BROKEN)?;
        if has_other_delimiter(part, delimiter.get(2..).unwrap_or_default()) {
            return Err(BROKEN);
        }
        fields.push(field(part, max_depth).ok_or("must have readable text fields")?);
        rest = behind;
    }
    object(fields, shape, typed, max_depth)
}

/// True when a part has a delimiter for those who take a lone CR or LF for the end of a line.
fn has_other_delimiter(part: &[u8], dashes: &[u8]) -> bool {
    let ends = part.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\r' | b'\n'));
    let mut behind = ends.filter_map(|(at, _)| part.get(at + 1..));
    part.starts_with(dashes) || behind.any(|behind| behind.starts_with(dashes))
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

/// One part; `None` when it has no name, text that cannot be read as it stands, or a head that readers understand in
/// different ways.
fn field(part: &[u8], max_depth: usize) -> Option<Field<'_>> {
    let (mut disposition, mut content_type, mut content) = (None, None, None);
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
        // What readers take for the end of a line, a text or a word.
        let is_control = |byte: &u8| matches!(byte, 0 | b'\n' | 0x0b..=b'\r' | 0x1c..=0x1f);
        if !content_type::is_token_text(name) || value.iter().any(is_control) {
            return None;
        }
        let known = if name.eq_ignore_ascii_case(b"content-disposition") {
            &mut disposition
        } else if name.eq_ignore_ascii_case(b"content-type") {
            &mut content_type
        } else {
            let is_plain = |plain: &&[u8]| value.eq_ignore_ascii_case(plain);
            if name.eq_ignore_ascii_case(b"content-transfer-encoding")
                && ![&b"7bit"[..], b"8bit", b"binary"].iter().any(is_plain)
            {
                return None;
            }
            continue;
        };
        if known.replace(value).is_some() {
            return None;
        }
    }
    let (content, disposition) = (content?, disposition?);
    let semicolon = disposition.iter().position(|byte| *byte == b';')?;
    let (kind, parameters) = (disposition.get(..semicolon)?, disposition.get(semicolon + 1..)?);
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let parameters = Parameters::parse(parameters)?;
    let name = String::from_utf8(parameters.get(b"name")?.to_vec()).ok()?;
    // Browsers write quotes as %22, which not all readers undo; nor do all undo the escapes of other characters.
    if parameters.has_extended(b"name") || name.contains("%22") || name.contains('\\') {
        return None;
    }
    let name = Cow::Owned(name);
    let is_file = parameters.get(b"filename").or(parameters.get(b"filename*")).is_some();
    if !is_file && parameters.has_extended(b"filename") {
        return None;
    }
    let is_json = match content_type {
        Some(written) => is_json(written, is_file)?,
        None => false,
    };
    if is_file {
        return Some((name, Sent::File));
    }
    if is_json {
        return Some((name, Sent::Json(json::parse(content, max_depth).ok()?)));
    }
    Some((name, Sent::Text(Cow::Borrowed(std::str::from_utf8(content).ok()?))))
}

/// True for a part of JSON; `None` for a text that some readers decode by another charset than UTF-8.
fn is_json(content_type: &[u8], is_file: bool) -> Option<bool> {
    let body = content_type::BodyType::parse(content_type)?;
    if !is_file {
        let parameters = body.parameters()?;
        let is_utf_8 = |charset: &[u8]| {
            [&b"utf-8"[..], b"utf8", b"us-ascii"].iter().any(|it| charset.eq_ignore_ascii_case(it))
        };
        if parameters.has_extended(b"charset") || !parameters.get(b"charset").is_none_or(is_utf_8) {
            return None;
        }
    }
    Some(body.kind() == Some(content_type::Kind::Json))
}

fn object<'a>(
    mut fields: Vec<Field<'a>>,
    shape: &Shape,
    typed: bool,
    max_depth: usize,
) -> Result<Json<'a>, NotForm> {
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
    let mut is_repeated = false;
    for (name, sent) in fields {
        let property = shape.property(&name);
        let again = members.last().is_some_and(|(last, _)| *last == name);
        let is_item = again || property.allows_array();
        let shape = if is_item { property.items() } else { property };
        let value = value(sent, shape, typed, max_depth);
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

fn value<'a>(sent: Sent<'a>, shape: &Shape, typed: bool, max_depth: usize) -> Json<'a> {
    match sent {
        Sent::File => Json::File,
        Sent::Json(value) => value,
        Sent::Text(text) if shape.is_structure() => structure(text, max_depth),
        Sent::Text(text) if typed => shape.scalar(text),
        Sent::Text(text) => Json::String(text),
    }
}

/// A text as JSON, or as it is when it is none.
fn structure(text: Cow<'_, str>, max_depth: usize) -> Json<'_> {
    let parsed = match &text {
        Cow::Borrowed(text) => json::parse(text.as_bytes(), max_depth),
        Cow::Owned(text) => json::parse(text.as_bytes(), max_depth).map(Json::into_owned),
    };
    parsed.unwrap_or(Json::String(text))
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
        json::parse(text.as_bytes(), 12).unwrap()
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
            (r#"o={"a":[1]}"#, r#"{"o":{"a":[1]}}"#),
            ("o=%7B%22a%22:+[1]}", r#"{"o":{"a":[1]}}"#),
            ("o=%7Bno", r#"{"o":"{no"}"#),
            ("o=[[[[[[[[[]]]]]]]]]", r#"{"o":[[[[[[[[[]]]]]]]]]}"#),
        ] {
            assert_eq!(
                urlencoded(body.as_bytes(), &shape(), true, 9),
                Ok(parsed(expected)),
                "{body}"
            );
        }
        assert_eq!(urlencoded(b"n=5", &shape(), false, 9), Ok(parsed(r#"{"n":"5"}"#)));
        let deep = urlencoded(b"o=[[[[[[[[[[]]]]]]]]]]", &shape(), true, 9);
        assert_eq!(deep, Ok(parsed(r#"{"o":"[[[[[[[[[[]]]]]]]]]]"}"#)));
        assert!(urlencoded(b"s=%FF", &shape(), true, 9).is_err());
    }

    #[test]
    fn multipart_fields_are_read_and_files_are_not() {
        let body = "preamble\r\n--B\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n5\r\n--B  \r\n\
            Content-Disposition: form-data; name=s\r\nContent-Type: text/plain\r\n\r\na\r\n--b\r\n--B\r\n\
            content-disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: image/png\r\n\r\n\u{0}\r\n--B\r\n\
            Content-Disposition: form-data; name=\"o\"\r\nContent-Type: application/json\r\n\r\n{\"a\":[1]}\r\n--B--\r\nepilogue";
        let expected = r#"{"n":5,"o":{"a":[1]},"s":"a\r\n--b"}"#;
        let Ok(Json::Object(read)) = multipart(body.as_bytes(), b"B", &shape(), true, 9) else {
            panic!()
        };
        let (files, texts): (Vec<_>, Vec<_>) =
            read.as_slice().iter().cloned().partition(|(_, value)| *value == Json::File);
        assert_eq!(files.len(), 1);
        assert_eq!(Members::new(texts).map(Json::Object), Some(parsed(expected)));
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

    #[test]
    fn what_readers_understand_in_different_ways_is_no_form() {
        let disposition = "Content-Disposition: form-data; ";
        for head in [
            "name=s; filename=",
            "name=\"s\"; filename=\"a",
            "name=\"s",
            "name=\"x\"; name=\"s\"",
            "name=s; filename=a; filename=b",
            "name=x; name*=UTF-8''s",
            "name*=UTF-8''s; name=x",
            "name*0=s; name=x",
            "name=s; filename*0=a",
            "name=a[0]",
            "name =s; name=x",
            "name=s filename=x",
            "name=s; x",
            "name=\"a%22b\"",
            "name=\"a\\b\"",
            "name=s\r\nContent-Type: text/plain; charset=iso-8859-1",
            "name=s\r\nContent-Type: text/plain\r\nContent-Type: application/json",
            "name=x\r\n ; filename=y:z",
            "name=s\r\nContent-Disposition : form-data; name=x",
            "name=s\r\nX: a\nContent-Disposition: form-data; name=x",
            "name=s\r\nX: a\rb",
        ] {
            let body = format!("--B\r\n{disposition}{head}\r\n\r\nx\r\n--B--");
            let read = multipart(body.as_bytes(), b"B", &shape(), true, 9);
            assert!(read.is_err(), "{head}");
        }
        for (before, content) in [
            ("", "x\n--B\nContent-Disposition: form-data; name=n\n\ny"),
            ("", "x\r--B--\r"),
            ("", "--B"),
            ("x--B\r\n", "x"),
        ] {
            let body = format!("{before}\r\n--B\r\n{disposition}name=s\r\n\r\n{content}\r\n--B--");
            let read = multipart(body.as_bytes(), b"B", &shape(), true, 9);
            assert!(read.is_err(), "{body}");
        }
        for head in [
            "name=\"f\"; filename=\"\"",
            "name=\"f\"; filename=\"C:\\x\"",
            "name=f; filename=a; filename*=UTF-8''a",
            "name=f; filename=a\r\nContent-Type: text/plain; charset=iso-8859-1",
            "name=\"a\\\"b\";filename=\"a\\\"b;c\"",
            "name=f; filename=a;",
        ] {
            let body = format!("--B\r\n{disposition}{head}\r\n\r\nx\r\n--B--");
            let Ok(Json::Object(read)) = multipart(body.as_bytes(), b"B", &shape(), true, 9) else {
                panic!("{head}")
            };
            assert!(matches!(read.as_slice(), [(_, Json::File)]), "{head}");
        }
    }
}
