//! An HTTP/1.1 client, and the reading half of a server, over blocking sockets.
//!
//! It sends the bytes that it is given and nothing else, so that a test decides what is on the
//! wire; and it reads strictly, so that a broken response is an error and not a guess.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Outcome;
use crate::tls;
use crate::wait::scaled;

/// Header lines in the order in which they came, names as written.
pub type Headers = Vec<(String, String)>;

/// The values of all headers of that name, whatever the case of its letters.
pub fn values<'a>(headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |(have, _)| have.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// What a server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The head as received, status line and header lines, each ended by CRLF.
    pub head: String,
    /// The header lines.
    pub headers: Headers,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The values of all headers of that name joined with ", ", or nothing if there is none.
    pub fn joined(&self, name: &str) -> Option<String> {
        self.header(name)?;
        Some(values(&self.headers, name).collect::<Vec<_>>().join(", "))
    }

    /// The body as text; what is not UTF-8 shows as U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Outcome<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("body is not JSON: {error}: {}", self.text()).into())
    }

    /// Reads a head and body that a program printed, as `curl --include` does.
    pub fn parse(bytes: &[u8], to_head_request: bool) -> Outcome<Self> {
        Wire::new(bytes).read_response(to_head_request)
    }
}

/// A request to be written by [`Request::to_bytes`]; start with [`Request::get`] and the like.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    version: String,
    headers: Headers,
    body: Vec<u8>,
    close: bool,
}

impl Request {
    /// A request without a body, on a connection that stays open.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            close: false,
        }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with a body.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// Sets the body; Content-Length is added when it is sent, unless the headers say otherwise.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The version in the request line in place of `HTTP/1.1`.
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// Asks the server to close the connection after its response.
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// Whether its response has no body whatever the headers say.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Method, target, headers and body, for a client that writes them in its own way.
    pub fn parts(&self) -> (&str, &str, &Headers, &[u8]) {
        (&self.method, &self.target, &self.headers, &self.body)
    }

    fn lacks(&self, name: &str) -> bool {
        values(&self.headers, name).next().is_none()
    }

    /// The bytes on the wire. Host, Connection and Content-Length are added where the headers lack
    /// them; with `Transfer-Encoding: chunked` among the headers the body is cut into chunks.
    pub fn to_bytes(&self) -> Vec<u8> {
        let chunked =
            values(&self.headers, "transfer-encoding").any(|v| v.eq_ignore_ascii_case("chunked"));
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if self.lacks("host") {
            add("Host", "localhost");
        }
        if self.close && self.lacks("connection") {
            add("Connection", "close");
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        if !self.body.is_empty() && !chunked && self.lacks("content-length") {
            add("Content-Length", &self.body.len().to_string());
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        if chunked {
            write_chunks(&mut bytes, &self.body);
        } else {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Small and odd, so that a body of any interest spans several chunks.
const CHUNK_BYTES: usize = 7;

fn write_chunks(bytes: &mut Vec<u8>, body: &[u8]) {
    for chunk in body.chunks(CHUNK_BYTES) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
}

/// Whatever a connection is made of.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A client's connection; reused for as many requests as the server allows.
pub struct Connection {
    wire: Wire<Box<dyn Stream>>,
}

fn connect(address: SocketAddr, patience: Duration) -> Outcome<TcpStream> {
    let patience = scaled(patience);
    let stream = TcpStream::connect_timeout(&address, patience)
        .map_err(|error| format!("cannot connect to {address}: {error}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

impl Connection {
    /// Connects; every later read and write waits for at most `patience`.
    pub fn open(address: SocketAddr, patience: Duration) -> Outcome<Self> {
        Ok(Self::over(connect(address, patience)?))
    }

    /// Connects with TLS to a server that presents [`tls::certificate`] for `localhost`.
    pub fn open_tls(address: SocketAddr, patience: Duration) -> Outcome<Self> {
        Ok(Self::over(tls::client(connect(address, patience)?)?))
    }

    /// A connection over a stream that somebody else opened.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self { wire: Wire::new(Box::new(stream)) }
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.wire.stream.write_all(bytes)?;
        Ok(self.wire.stream.flush()?)
    }

    /// Reads one response; interim (1xx) responses before it are skipped.
    pub fn read_response(&mut self, to_head_request: bool) -> Outcome<Response> {
        self.wire.read_response(to_head_request)
    }

    /// Sends a request and reads its response.
    pub fn request(&mut self, request: &Request) -> Outcome<Response> {
        self.send(&request.to_bytes())?;
        self.read_response(request.is_head())
    }

    /// Sends bytes that may be more than the server wants, and reads one response: a server that
    /// refuses a request early may close before all of it was sent.
    pub fn exchange(&mut self, bytes: &[u8], to_head_request: bool) -> Outcome<Response> {
        let sent = self.send(bytes);
        let response = self.read_response(to_head_request);
        match (sent, response) {
            (Err(sent), Err(read)) => Err(format!("{sent}, then {read}").into()),
            (_, response) => response,
        }
    }

    /// Everything that still comes until the server closes; also the proof that it does.
    pub fn read_to_end(&mut self) -> Outcome<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.wire.buffer);
        self.wire.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }
}

/// Buffered reading of HTTP/1.1 messages from either end.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: Read> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Whether more bytes came; false at the end of the stream.
    fn fill(&mut self) -> Outcome<bool> {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(count) => {
                    self.buffer.extend_from_slice(bytes.get(..count).unwrap_or_default());
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    let so_far = String::from_utf8_lossy(&self.buffer);
                    return Err(format!("timed out reading, unread so far: {so_far:?}").into());
                }
                Err(error) => return Err(format!("cannot read: {error}").into()),
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Everything up to and with `mark`; nothing if the stream ends before the first byte.
    fn read_through(&mut self, mark: &[u8]) -> Outcome<Option<Vec<u8>>> {
        loop {
            let found = self.buffer.windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return Ok(Some(self.take(at + mark.len())));
            }
            if !self.fill()? {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                let text = String::from_utf8_lossy(&self.buffer);
                return Err(format!("connection closed within \"{text}\"").into());
            }
        }
    }

    fn read_count(&mut self, count: usize) -> Outcome<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill()? {
                let have = self.buffer.len();
                return Err(format!("connection closed after {have} of {count} bytes").into());
            }
        }
        Ok(self.take(count))
    }

    /// The first line and the headers of a message, and the head as received.
    pub(crate) fn read_head(&mut self) -> Outcome<Option<(String, Headers, String)>> {
        let Some(bytes) = self.read_through(b"\r\n\r\n")? else { return Ok(None) };
        let bytes = bytes.get(..bytes.len() - 2).unwrap_or_default();
        let head = String::from_utf8_lossy(bytes).into_owned();
        let mut lines = head.split_terminator("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let mut headers = Headers::new();
        for line in lines {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("malformed header line \"{line}\""))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Some((first, headers, head)))
    }

    fn read_chunks(&mut self) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_through(b"\r\n")?.ok_or("connection closed between chunks")?;
            let line = String::from_utf8_lossy(&line);
            let size = line.trim_end().split(';').next().unwrap_or_default().to_owned();
            let size = usize::from_str_radix(&size, 16)
                .map_err(|_| format!("malformed chunk size \"{size}\""))?;
            if size == 0 {
                // Trailers, if any, then the empty line.
                while self.read_through(b"\r\n")?.is_some_and(|line| line != b"\r\n") {}
                return Ok(body);
            }
            body.extend(self.read_count(size)?);
            if self.read_count(2)? != b"\r\n" {
                return Err("a chunk is longer than its size".into());
            }
        }
    }

    /// The body that follows `headers`. Without a length it ends with the connection, for a
    /// response, or is empty, for a request.
    pub(crate) fn read_body(&mut self, headers: &Headers, until_close: bool) -> Outcome<Vec<u8>> {
        if values(headers, "transfer-encoding").any(|v| v.eq_ignore_ascii_case("chunked")) {
            return self.read_chunks();
        }
        if let Some(length) = values(headers, "content-length").next() {
            let length =
                length.parse().map_err(|_| format!("malformed Content-Length \"{length}\""))?;
            return self.read_count(length);
        }
        if !until_close {
            return Ok(Vec::new());
        }
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    fn read_response(&mut self, to_head_request: bool) -> Outcome<Response> {
        loop {
            let head = self.read_head()?;
            let (first, headers, head) = head.ok_or("connection closed without a response")?;
            let status = first.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1));
            let status: u16 = status
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("malformed status line \"{first}\""))?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let body = if to_head_request || matches!(status, 101 | 204 | 304) {
                Vec::new()
            } else {
                self.read_body(&headers, true)?
            };
            return Ok(Response { status, head, headers, body });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Outcome<Response> {
        Response::parse(text.as_bytes(), false)
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        for (name, text, body) in [
            ("length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!", "hi"),
            ("close", "HTTP/1.0 200 OK\r\n\r\nhi!", "hi!"),
            (
                "chunks",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\nT: v\r\n\r\nrest",
                "hi!",
            ),
            ("no content", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", ""),
            (
                "interim first",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                "x",
            ),
        ] {
            assert_eq!(read(text).unwrap().text(), body, "{name}");
        }
    }

    #[test]
    fn a_broken_response_is_an_error() {
        for (text, error) in [
            ("", "without a response"),
            ("HTTP/1.1 200 OK\r\nConte", "closed within"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "after 2 of 5 bytes"),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed header"),
            ("HTTP/1.1 abc OK\r\n\r\n", "malformed status line"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", "malformed chunk size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than"),
        ] {
            let got = read(text).unwrap_err().to_string();
            assert!(got.contains(error), "{text:?}: {got}");
        }
    }

    #[test]
    fn a_request_gets_the_headers_it_needs_and_no_others() {
        let text = |request: Request| String::from_utf8(request.to_bytes()).unwrap();
        assert_eq!(text(Request::get("/a")), "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(
            text(Request::post("/", "hello").header("host", "x").close()),
            "POST / HTTP/1.1\r\nConnection: close\r\nhost: x\r\nContent-Length: 5\r\n\r\nhello"
        );
        assert_eq!(
            text(
                Request::post("/", "12345678")
                    .header("Host", "x")
                    .header("Transfer-Encoding", "chunked")
            ),
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n1234567\r\n1\r\n8\r\n0\r\n\r\n"
        );
    }

    #[test]
    fn repeated_headers_are_joined_in_order() {
        let response = read("HTTP/1.1 204 x\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n").unwrap();
        assert_eq!(response.joined("A").unwrap(), "1, 3");
        assert_eq!(response.joined("c"), None);
    }
}
