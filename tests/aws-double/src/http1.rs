//! HTTP/1.1 requests, kept byte for byte as they came.

use std::io;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAX_HEAD_BYTES: usize = 1 << 20;
const MAX_BODY_BYTES: usize = 32 << 20;
const MAX_HEADERS: usize = 256;

/// A request, with its head as it was received.
#[derive(Debug, Default)]
pub(crate) struct Request {
    head: Vec<u8>,
    method: Range<usize>,
    target: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
    /// The body, de-chunked.
    pub(crate) body: Bytes,
    /// Whether the client keeps the connection for another request.
    pub(crate) keep_alive: bool,
}

impl Request {
    fn text(&self, range: &Range<usize>) -> &str {
        self.head.get(range.clone()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }

    /// The method as sent.
    pub(crate) fn method(&self) -> &str {
        self.text(&self.method)
    }

    /// The request target as sent: path and query.
    pub(crate) fn target(&self) -> &str {
        self.text(&self.target)
    }

    /// The path as sent, percent-encoding kept.
    pub(crate) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or("")
    }

    /// The query as sent, without the `?`; empty when there is none.
    pub(crate) fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    /// All headers in their order; values are bytes.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| {
            (self.text(name), self.head.get(value.clone()).unwrap_or_default())
        })
    }

    /// The first value of a header, when it is UTF-8.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The value of an argument of the query, percent-decoded.
    pub(crate) fn arg(&self, name: &str) -> Option<String> {
        form_pairs(self.query()).into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

/// The pairs of a query or an urlencoded form, decoded once.
pub(crate) fn form_pairs(text: &str) -> Vec<(String, String)> {
    let decode =
        |part: &str| String::from_utf8_lossy(&percent_decode(&part.replace('+', " "))).into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The bytes behind percent-encoded text; a `%` without two hexadecimal digits stays as it is.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Why no request could be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The peer closed or the transport failed.
    Gone,
    /// Not HTTP, or over a bound: answered with this status, then closed.
    Refused(u16),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// The next request of a connection. `buffer` keeps what was read beyond it.
pub(crate) async fn read_request<S>(
    socket: &mut S,
    buffer: &mut BytesMut,
) -> Result<Request, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = loop {
        if let Some(request) = parse_head(buffer)? {
            break request;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(ReadError::Gone);
        }
    };
    let chunked =
        request.header("transfer-encoding").is_some_and(|v| v.to_lowercase().contains("chunked"));
    let length = match request.header("content-length") {
        None => 0,
        Some(text) => text.trim().parse::<usize>().map_err(|_| ReadError::Refused(400))?,
    };
    if length > MAX_BODY_BYTES {
        return Err(ReadError::Refused(413));
    }
    let expects = request.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue"));
    if expects && (chunked || buffer.len() < length) {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        socket.flush().await?;
    }
    if chunked {
        request.body = read_chunks(socket, buffer).await?;
    } else if length > 0 {
        if buffer.len() < length {
            buffer.reserve(length - buffer.len());
        }
        while buffer.len() < length {
            if socket.read_buf(buffer).await? == 0 {
                return Err(ReadError::Gone);
            }
        }
        request.body = buffer.split_to(length).freeze();
    }
    Ok(request)
}

fn parse_head(buffer: &mut BytesMut) -> Result<Option<Request>, ReadError> {
    while buffer.starts_with(b"\r\n") {
        buffer.advance(2);
    }
    if buffer.is_empty() {
        return Ok(None);
    }
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut slots);
    let head_len = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if buffer.len() > MAX_HEAD_BYTES => {
            return Err(ReadError::Refused(431));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ReadError::Refused(400)),
    };
    let base = buffer.as_ptr() as usize;
    let range = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(base);
        start..start + part.len()
    };
    let mut keep_alive = parsed.version == Some(1);
    for header in parsed.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("connection")) {
        if header.value.eq_ignore_ascii_case(b"close") {
            keep_alive = false;
        } else if header.value.eq_ignore_ascii_case(b"keep-alive") {
            keep_alive = true;
        }
    }
    let mut request = Request {
        method: range(parsed.method.unwrap_or("").as_bytes()),
        target: range(parsed.path.unwrap_or("").as_bytes()),
        headers: parsed
            .headers
            .iter()
            .map(|h| (range(h.name.as_bytes()), range(h.value)))
            .collect(),
        keep_alive,
        ..Request::default()
    };
    request.head = buffer[..head_len].to_vec();
    buffer.advance(head_len);
    Ok(Some(request))
}

async fn read_chunks<S>(socket: &mut S, buffer: &mut BytesMut) -> Result<Bytes, ReadError>
where
    S: AsyncRead + Unpin,
{
    let mut body = BytesMut::new();
    loop {
        match httparse::parse_chunk_size(buffer) {
            Err(_) => return Err(ReadError::Refused(400)),
            Ok(httparse::Status::Complete((line_len, size))) => {
                let size = size as usize;
                if body.len() + size > MAX_BODY_BYTES {
                    return Err(ReadError::Refused(413));
                }
                // The last chunk is followed by trailers; none of the senders tested here has any.
                if buffer.len() >= line_len + size + 2 {
                    buffer.advance(line_len);
                    body.extend_from_slice(&buffer[..size]);
                    buffer.advance(size + 2);
                    if size == 0 {
                        return Ok(body.freeze());
                    }
                    continue;
                }
            }
            Ok(httparse::Status::Partial) => {}
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(ReadError::Gone);
        }
    }
}
