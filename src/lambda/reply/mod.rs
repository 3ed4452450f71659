//! What a function answers, read leniently and kept only where it may be written to a client.
//!
//! Sources: AWS, "Output format of a Lambda function for proxy integration" for REST and HTTP APIs, "Respond to the load
//! balancer"; RFC 9110 sections 5.5 and 7.6.1.

mod headers;
mod json;
mod read;

use std::borrow::Cow;
use std::fmt;

pub use headers::is_dropped;
pub(crate) use json::Json;
pub use read::{read_prelude, read_reply};

/// A reply that may be written to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// 200 to 599.
    pub status: u16,
    /// Names as the function spells them, values trimmed; neither hop-by-hop nor length headers, no control characters but tabs.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The function's own `Content-Length`, for answers to HEAD, which may have no body that tells it.
    pub content_length: Option<u64>,
    /// The body, base64 already decoded.
    pub body: Cow<'a, [u8]>,
}

/// Why a payload is no reply; `Display` is for the error log and has nothing of the payload in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReply {
    /// Not JSON.
    NotJson,
    /// JSON, but no object where one is needed.
    NotAnObject,
    /// `statusCode` is missing, no number or outside 200–599.
    StatusCode,
    /// `headers` or `multiValueHeaders` is no object of texts, numbers, booleans and arrays of them.
    Headers,
    /// A header's name is no token.
    HeaderName,
    /// A header's value has a control character in it that is no tab: HTTP/2 clients lose the whole response.
    ///
    /// Source: RFC 9110 section 5.5.
    HeaderValue,
    /// `cookies` is no array of texts.
    Cookies,
    /// `body` is no string.
    Body,
    /// `isBase64Encoded` is no boolean.
    IsBase64Encoded,
    /// The body is declared base64 and is not.
    Base64,
}

impl fmt::Display for InvalidReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "payload is not JSON",
            Self::NotAnObject => "payload is not an object",
            Self::StatusCode => "\"statusCode\" is missing or not between 200 and 599",
            Self::Headers => "\"headers\" is not an object of header values",
            Self::HeaderName => "header name is not a token",
            Self::HeaderValue => "header value has a control character",
            Self::Cookies => "\"cookies\" is not an array of strings",
            Self::Body => "\"body\" is not a string",
            Self::IsBase64Encoded => "\"isBase64Encoded\" is not a boolean",
            Self::Base64 => "\"body\" is not base64",
        })
    }
}

impl std::error::Error for InvalidReply {}

/// True when a response with this status to this method may have a body.
///
/// Source: RFC 9110 section 6.4.1.
pub fn may_have_body(status: u16, method: &[u8]) -> bool {
    method != b"HEAD" && status >= 200 && !matches!(status, 204 | 205 | 304)
}

#[cfg(test)]
mod tests;
