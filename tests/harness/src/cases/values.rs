//! The small grammars inside sections: header lines, patterns, requests.

use regex::Regex;

use crate::Outcome;
use crate::http::Request;

pub(super) fn filled_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

pub(super) fn pair(line: &str, separator: char) -> Outcome<(String, String)> {
    let (name, value) =
        line.split_once(separator).ok_or_else(|| format!("no \"{separator}\" in \"{line}\""))?;
    Ok((name.trim().to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned()))
}

pub(super) fn header_want(line: &str) -> Outcome<(String, Option<String>)> {
    if let Some(name) = line.trim().strip_prefix('!') {
        return Ok((name.trim().to_owned(), None));
    }
    let (name, value) = pair(line, ':')?;
    let value = value.trim().to_owned();
    Ok((name, Some(value).filter(|value| !value.is_empty())))
}

pub(super) fn header_pattern(line: &str) -> Outcome<(String, Regex)> {
    let (name, value) = pair(line, ':')?;
    Ok((name, Regex::new(&format!("^(?:{})$", value.trim()))?))
}

pub(super) fn body_pattern(text: &str) -> Outcome<Regex> {
    Ok(Regex::new(&format!("(?s){}", text.strip_suffix('\n').unwrap_or(text)))?)
}

/// `qr/REGEX/` or `qr/REGEX/i`, or plain text.
pub(super) fn log_pattern(line: &str) -> Outcome<Regex> {
    let line = line.trim();
    let regex = line.strip_prefix("qr/").and_then(|rest| rest.rsplit_once('/'));
    Ok(match regex {
        Some((regex, "")) => Regex::new(regex)?,
        Some((regex, "i")) => Regex::new(&format!("(?i){regex}"))?,
        Some((_, flags)) => return Err(format!("unsupported flags \"{flags}\"").into()),
        None => Regex::new(&regex::escape(line))?,
    })
}

pub(super) fn bytes(text: &str, latin1: bool) -> Outcome<Vec<u8>> {
    if !latin1 {
        return Ok(text.as_bytes().to_vec());
    }
    let byte = |c| u8::try_from(c).map_err(|_| format!("\"{c}\" is no latin1 character").into());
    text.chars().map(byte).collect()
}

/// `METHOD TARGET [VERSION]`, and below it the body.
pub(super) fn request(text: &str, headers: &str, latin1: bool) -> Outcome<Request> {
    let (first, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(format!("\"{first}\" is no request line").into());
    };
    let mut request = Request::new(method, target).body(bytes(body, latin1)?);
    if let Some(version) = words.next() {
        request = request.version(version);
    }
    for line in filled_lines(headers) {
        let (name, value) = pair(line, ':')?;
        request = request.header(&name, &value);
    }
    Ok(request)
}

/// A JSON string as it is; else lines, of which those of the head get CRLF.
pub(super) fn raw_bytes(text: &str, latin1: bool) -> Outcome<Vec<u8>> {
    // In an array it is a JSON string already.
    if text.contains("\r\n") {
        return bytes(text, latin1);
    }
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    bytes(&format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n")), latin1)
}
