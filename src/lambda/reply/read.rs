//! One pass over a payload, keys of no interest skipped, the body unescaped once.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

use super::headers::merged;
use super::json::{Json, read, read_object};
use super::{InvalidReply, Reply};
use crate::json::NotJson;
use crate::lambda::event::Payload;

const JSON: &str = "application/json";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The reply in a function's payload, in the shape that `format` asks for.
pub fn read_reply(payload: &[u8], format: Payload) -> Result<Reply<'_>, InvalidReply> {
    match format {
        Payload::Raw => Ok(whole_payload(payload)),
        Payload::Kong => match read_proxy_reply(payload, format) {
            Err(InvalidReply::NotJson) => Ok(whole_payload(payload)),
            read => read,
        },
        _ => read_proxy_reply(payload, format),
    }
}

fn read_proxy_reply(payload: &[u8], format: Payload) -> Result<Reply<'_>, InvalidReply> {
    let may_be_body = matches!(format, Payload::V2 | Payload::Kong);
    if payload.trim_ascii_start().first() != Some(&b'{') {
        Json::parse(payload)?;
        let body = may_be_body.then(|| whole_payload(payload));
        return body.ok_or(InvalidReply::NotAnObject);
    }
    let written = Written::read(payload)?;
    if may_be_body && written.status == Json::Null {
        return Ok(whole_payload(payload));
    }
    let default_type = if format == Payload::V2 { PLAIN_TEXT } else { JSON };
    written.into_reply(format, default_type, None)
}

/// The head that a streaming function sends before its body; the status is 200 when it names none.
///
/// Without a Content-Type it is application/octet-stream.
pub fn read_prelude(prelude: &[u8]) -> Result<Reply<'_>, InvalidReply> {
    if prelude.trim_ascii_start().first() != Some(&b'{') {
        return Err(InvalidReply::NotAnObject);
    }
    let mut written = Written::read(prelude)?;
    written.body = Json::Null;
    written.is_base64 = Json::Null;
    written.into_reply(Payload::V2, "application/octet-stream", Some(200))
}

/// The payload as it is, as the body of a 200.
fn whole_payload(payload: &[u8]) -> Reply<'_> {
    let headers = vec![(Cow::Borrowed("content-type"), Cow::Borrowed(JSON))];
    Reply { status: 200, headers, content_length: None, body: Cow::Borrowed(payload) }
}

/// A reply's members as the function wrote them, of whatever kind: in a 2.0 payload without a status they are just JSON.
#[derive(Debug)]
struct Written<'a> {
    status: Json<'a>,
    headers: Json<'a>,
    multi_headers: Json<'a>,
    cookies: Json<'a>,
    body: Json<'a>,
    is_base64: Json<'a>,
}

impl From<NotJson> for InvalidReply {
    fn from(_: NotJson) -> Self {
        Self::NotJson
    }
}

impl<'a> Written<'a> {
    /// The members of the object that a payload is.
    fn read(payload: &'a [u8]) -> Result<Self, NotJson> {
        let mut written = Self {
            status: Json::Null,
            headers: Json::Null,
            multi_headers: Json::Null,
            cookies: Json::Null,
            body: Json::Null,
            is_base64: Json::Null,
        };
        read(payload, |reader| {
            read_object(reader, |name, value| match &*name {
                "statusCode" => written.status = value,
                "headers" => written.headers = value,
                "multiValueHeaders" => written.multi_headers = value,
                "cookies" => written.cookies = value,
                "body" => written.body = value,
                "isBase64Encoded" => written.is_base64 = value,
                _ => {}
            })
        })?;
        Ok(written)
    }

    fn into_reply(
        self,
        format: Payload,
        default_type: &'static str,
        default_status: Option<u16>,
    ) -> Result<Reply<'a>, InvalidReply> {
        let status = match self.status {
            Json::Null => default_status,
            status => parse_status(&status),
        };
        let status = status.ok_or(InvalidReply::StatusCode)?;
        let is_base64 = match self.is_base64 {
            Json::Null => false,
            Json::Bool(is_base64) => is_base64,
            _ => return Err(InvalidReply::IsBase64Encoded),
        };
        let body = match self.body {
            Json::Null => Cow::Borrowed(&b""[..]),
            Json::Text(text) if is_base64 => {
                Cow::Owned(BASE64.decode(text.as_bytes()).map_err(|_| InvalidReply::Base64)?)
            }
            Json::Text(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
            Json::Text(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
            _ => return Err(InvalidReply::Body),
        };
        // Only 2.0 replies have the key; what others hold there is of no interest.
        let cookies = if format == Payload::V2 { self.cookies } else { Json::Null };
        let merged = merged(self.headers, self.multi_headers, cookies)?;
        let (mut headers, content_length) = (merged.lines, merged.content_length);
        let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !has_type && !matches!(status, 204 | 304) {
            headers.push((Cow::Borrowed("content-type"), Cow::Borrowed(default_type)));
        }
        Ok(Reply { status, headers, content_length, body })
    }
}

/// 200 to 599 as a number, or as a string that holds one.
fn parse_status(status: &Json<'_>) -> Option<u16> {
    let number: f64 = match status {
        Json::Number(text) => text.parse().ok()?,
        Json::Text(text) => {
            let text = text.trim();
            let is_number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
            text.parse().ok().filter(|_| is_number)?
        }
        _ => return None,
    };
    let is_status = number.fract() == 0.0 && (200.0..=599.0).contains(&number);
    is_status.then_some(number as u16)
}
