//! Replies as lists of timed segments, so that a test can hold, trickle or cut any of them at any byte.

use std::borrow::Cow;
use std::sync::Arc;

use crate::functions::InFlight;
use crate::http1::Request;

/// Bytes to be written after a pause.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// Pause before the bytes, in milliseconds.
    pub(crate) delay_ms: u64,
    /// What is written.
    pub(crate) bytes: Vec<u8>,
}

/// What a reply waits for before its first byte.
#[derive(Debug, Default)]
pub(crate) enum Wait {
    /// Nothing.
    #[default]
    None,
    /// So many milliseconds.
    Millis(u64),
    /// A release by the control API.
    Held(Arc<tokio::sync::Semaphore>),
    /// The client's going away.
    Forever,
}

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// It serves the next request.
    #[default]
    KeepAlive,
    /// It is closed in good order (TLS close_notify, FIN).
    Close,
    /// FIN without TLS close_notify.
    Fin,
    /// RST.
    Reset,
}

/// A reply ready to be written.
#[derive(Default)]
pub(crate) struct Delivery {
    pub(crate) wait: Wait,
    pub(crate) segments: Vec<Segment>,
    pub(crate) end: End,
    /// Counts the invocation as running until the reply is written.
    pub(crate) in_flight: Option<InFlight>,
}

/// The body of a response.
pub(crate) enum Body {
    /// With Content-Length.
    Sized(Vec<u8>),
    /// Chunked, each piece after its pause in milliseconds and as one HTTP chunk.
    Chunks(Vec<(u64, Vec<u8>)>),
}

/// A response before it is put into bytes.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    pub(crate) body: Body,
}

impl Response {
    /// A response with a body of known length.
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".into(), content_type.into())];
        Self { status, headers, body: Body::Sized(body.into()) }
    }

    /// A response of JSON.
    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// The response with one more header.
    pub(crate) fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The response in bytes. `now_ms` dates it; the body is left out of replies to HEAD, and of 204 and 304.
    pub(crate) fn encode(self, request: &Request, now_ms: i64) -> Vec<Segment> {
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let bodiless = matches!(self.status, 204 | 304);
        let mut out =
            Vec::with_capacity(512 + if let Body::Sized(b) = &self.body { b.len() } else { 0 });
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(crate::clock::Utc::from_ms(now_ms).http_date().as_bytes());
        out.extend_from_slice(b"\r\n");
        if !has("content-length") && !has("transfer-encoding") && !bodiless {
            match &self.body {
                Body::Sized(body) => {
                    out.extend_from_slice(b"Content-Length: ");
                    out.extend_from_slice(body.len().to_string().as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                Body::Chunks(_) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            }
        }
        if !has("connection") {
            let state: &[u8] = if request.keep_alive { b"keep-alive" } else { b"close" };
            out.extend_from_slice(b"Connection: ");
            out.extend_from_slice(state);
            out.extend_from_slice(b"\r\n");
        }
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let mut segments = Vec::with_capacity(1);
        if bodiless || request.method() == "HEAD" {
            segments.push(Segment { delay_ms: 0, bytes: out });
            return segments;
        }
        match self.body {
            Body::Sized(body) => {
                out.extend_from_slice(&body);
                segments.push(Segment { delay_ms: 0, bytes: out });
            }
            Body::Chunks(pieces) => {
                segments.push(Segment { delay_ms: 0, bytes: out });
                for (delay_ms, piece) in pieces.into_iter().filter(|(_, piece)| !piece.is_empty()) {
                    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
                    bytes.extend_from_slice(&piece);
                    bytes.extend_from_slice(b"\r\n");
                    segments.push(Segment { delay_ms, bytes });
                }
                segments.push(Segment { delay_ms: 0, bytes: b"0\r\n\r\n".to_vec() });
            }
        }
        segments
    }

    /// The response as a reply that waits for nothing.
    pub(crate) fn deliver(self, request: &Request, now_ms: i64) -> Delivery {
        Delivery { segments: self.encode(request, now_ms), ..Delivery::default() }
    }
}

/// The reason phrase of a status (RFC 9110, section 15).
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
