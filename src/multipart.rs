//! The parts of a `multipart/form-data` body.
//!
//! Source: RFC 2046 section 5.1, RFC 7578.

use std::borrow::Cow;

/// The longest boundary that RFC 2046 allows.
const MAX_BOUNDARY_BYTES: usize = 70;

/// The boundary that a Content-Type announces; `None` when there is none.
pub(crate) fn boundary(content_type: &[u8]) -> Option<Box<[u8]>> {
    let parameters = content_type.splitn(2, |byte| *byte == b';').nth(1)?;
    let boundary = parameter(parameters, b"boundary")?;
    (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()).then(|| boundary.into_owned().into())
}

/// One part of a body.
pub(crate) struct Part<'a> {
    /// From its delimiter's line on to the next delimiter.
    pub(crate) whole: std::ops::Range<usize>,
    head: &'a [u8],
    /// What stands behind the empty line.
    pub(crate) content: &'a [u8],
}

impl<'a> Part<'a> {
    /// The name of a field that is not a file.
    pub(crate) fn text_field(&self) -> Option<Cow<'a, [u8]>> {
        let disposition = self.head.split(|byte| *byte == b'\n').find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            name.trim_ascii()
                .eq_ignore_ascii_case(b"content-disposition")
                .then_some(value.get(1..)?)
        })?;
        let mut pieces = disposition.splitn(2, |byte| *byte == b';');
        if !pieces.next()?.trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let parameters = pieces.next()?;
        let is_file = [&b"filename"[..], b"filename*"]
            .into_iter()
            .any(|name| parameter(parameters, name).is_some());
        if is_file { None } else { parameter(parameters, b"name") }
    }
}

/// The parts in the order received, as far as they are well formed.
pub(crate) fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> impl Iterator<Item = Part<'a>> {
    let mut delimiter = b"\r\n--".to_vec();
    delimiter.extend_from_slice(boundary);
    // the first delimiter may stand at the very beginning, without a line end before it
    let mut start = match body.starts_with(delimiter.get(2..).unwrap_or_default()) {
        true => Some((0, delimiter.len() - 2)),
        false => find(body, &delimiter, 0).map(|at| (at, at + delimiter.len())),
    };
    std::iter::from_fn(move || {
        let (at, behind) = start?;
        let rest = body.get(behind..)?;
        if rest.starts_with(b"--") {
            return None;
        }
        let next = find(body, &delimiter, behind)?;
        start = Some((next, next + delimiter.len()));
        let line_end = behind + find(rest, b"\r\n", 0)?;
        let inside = body.get(line_end..next)?;
        let (head, content) = match find(inside, b"\r\n\r\n", 0) {
            Some(empty_line) => (inside.get(..empty_line)?, inside.get(empty_line + 4..)?),
            None => (inside, &[][..]),
        };
        Some(Part { whole: at..next, head, content })
    })
}

/// The value of a parameter such as `name="a b"` or `name=a`, quotes resolved.
fn parameter<'a>(parameters: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b";").unwrap_or(rest).trim_ascii_start();
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let this = rest.get(..equals)?.trim_ascii().eq_ignore_ascii_case(name);
        let behind = rest.get(equals + 1..)?.trim_ascii_start();
        let (value, tail) = match behind.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = behind.iter().position(|byte| *byte == b';').unwrap_or(behind.len());
                let (value, tail) = behind.split_at_checked(end)?;
                (Cow::Borrowed(value.trim_ascii()), tail)
            }
        };
        if this {
            return Some(value);
        }
        rest = tail;
    }
}

/// The text up to the closing quote, and what stands behind it.
fn unquote(quoted: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut text = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((Cow::Owned(text), quoted.get(at + 1..)?)),
            b'\\' if matches!(quoted.get(at + 1), Some(b'"' | b'\\')) => {
                text.push(*bytes.next()?.1);
            }
            _ => text.push(*byte),
        }
    }
    None
}

fn find(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let found = bytes.get(from..)?.windows(needle.len()).position(|window| window == needle)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"preamble\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n\
        --x  \r\ncontent-disposition: Form-Data; filename=\"f;name=z\"; name=file\r\n\r\ntwo\r\n\
        --x\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=\"q\\\"q\"\r\n\r\n\r\n\
        --x\r\nContent-Disposition: attachment; name=\"no\"\r\n\r\n4\r\n--x--\r\nepilogue";

    #[test]
    fn fields_have_names_and_files_do_not() {
        let read: Vec<_> = parts(BODY, b"x")
            .map(|part| (part.text_field().map(Cow::into_owned), part.content))
            .collect();
        let expected: [(Option<Vec<u8>>, &[u8]); 4] = [
            (Some(b"a".to_vec()), b"one"),
            (None, b"two"),
            (Some(b"q\"q".to_vec()), b""),
            (None, b"4"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn boundaries_are_plain_or_quoted() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("multipart/form-data; charset=\"a;boundary=no\"; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data", None),
        ] {
            let read = boundary(content_type.as_bytes());
            assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{content_type}");
        }
    }
}
