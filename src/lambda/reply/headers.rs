//! The headers of a reply: `headers`, `multiValueHeaders` and `cookies` made into one list.

use std::borrow::Cow;

use super::InvalidReply;
use super::json::Json;
use crate::directive::parse_integer;

/// A reply's headers.
#[derive(Debug, Default)]
pub(super) struct Headers<'a> {
    /// Those that a client may have.
    pub(super) lines: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// `Content-Length`, where it is a number.
    pub(super) content_length: Option<u64>,
}

/// One list of the three sources.
///
/// The multi-value map wins over the single-value one for a name without regard to case; within one map every case
/// variant is one more value, which is how adapters spell several cookies.
pub(super) fn merged<'a>(
    single: Json<'a>,
    multi: Json<'a>,
    cookies: Json<'a>,
) -> Result<Headers<'a>, InvalidReply> {
    let (single, multi) = (members(single)?, members(multi)?);
    let mut headers = Headers::default();
    headers.lines.reserve(single.len() + multi.len() + 2);
    for (name, value) in single {
        let is_overruled = multi
            .iter()
            .any(|(other, value)| *value != Json::Null && other.eq_ignore_ascii_case(&name));
        if !is_overruled {
            headers.push(name, value)?;
        }
    }
    for (name, value) in multi {
        headers.push(name, value)?;
    }
    let cookies = match cookies {
        Json::Null => Vec::new(),
        Json::Array(cookies) => cookies,
        _ => return Err(InvalidReply::Cookies),
    };
    for cookie in cookies {
        let Json::Text(cookie) = cookie else { return Err(InvalidReply::Cookies) };
        headers.push_line(Cow::Borrowed("set-cookie"), cookie)?;
    }
    Ok(headers)
}

fn members<'a>(map: Json<'a>) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, InvalidReply> {
    match map {
        Json::Null => Ok(Vec::new()),
        Json::Object(members) => Ok(members),
        _ => Err(InvalidReply::Headers),
    }
}

impl<'a> Headers<'a> {
    fn push(&mut self, name: Cow<'a, str>, value: Json<'a>) -> Result<(), InvalidReply> {
        let Json::Array(values) = value else {
            return match text(value)? {
                Some(text) => self.push_line(name, text),
                None => Ok(()),
            };
        };
        for value in values {
            if let Some(text) = text(value)? {
                self.push_line(name.clone(), text)?;
            }
        }
        Ok(())
    }

    fn push_line(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), InvalidReply> {
        if !is_token(&name) {
            return Err(InvalidReply::HeaderName);
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(InvalidReply::HeaderValue);
        }
        let value = trimmed(value);
        if name.eq_ignore_ascii_case("content-length") {
            self.content_length = parse_integer(&value).or(self.content_length);
        }
        let is_no_type = value.is_empty() && name.eq_ignore_ascii_case("content-type");
        if !is_dropped(&name) && !is_no_type {
            self.lines.push((name, value));
        }
        Ok(())
    }
}

/// A header value as text; `None` for null.
fn text(value: Json<'_>) -> Result<Option<Cow<'_, str>>, InvalidReply> {
    Ok(Some(match value {
        Json::Null => return Ok(None),
        Json::Text(text) => text,
        Json::Bool(true) => Cow::Borrowed("true"),
        Json::Bool(false) => Cow::Borrowed("false"),
        Json::Number(text) => Cow::Borrowed(text),
        Json::Array(_) | Json::Object(_) => return Err(InvalidReply::Headers),
    }))
}

fn trimmed(value: Cow<'_, str>) -> Cow<'_, str> {
    let is_space = |c| matches!(c, ' ' | '\t');
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.trim_matches(is_space)),
        Cow::Owned(value) if value.starts_with(is_space) || value.ends_with(is_space) => {
            Cow::Owned(value.trim_matches(is_space).to_owned())
        }
        owned => owned,
    }
}

/// Source: RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// True for headers that belong to the connection or that the gateway computes, in any case of letters.
pub fn is_dropped(name: &str) -> bool {
    const DROPPED: [&str; 11] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    ];
    DROPPED.iter().any(|dropped| dropped.eq_ignore_ascii_case(name))
}
