//! An upstream that answers what it was sent, so that a test can assert what nginx passed on.
//!
//! Every request is answered 200 with
//! `{"method","uri","version","headers":[[name,value],...],"header":{name: value},"body","connection"}`:
//! `headers` as received, `header` with names in lower case and repeated values joined with ", ",
//! `connection` the number of the connection it came on, counted from 1. Two paths differ:
//!
//! - `/reply?status=N&header=NAME:VALUE&body=TEXT&chunked=1` answers as told; `header` may be
//!   repeated, values are percent-decoded, `+` is itself; with `broken=1` the connection is closed
//!   before the last byte;
//! - `/close` closes the connection without an answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;

use serde_json::json;

use crate::Outcome;
use crate::http::{Headers, Wire};

/// A running echo upstream; its threads live as long as the test program.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Echo {
    /// Starts one on a port that the kernel chooses.
    pub fn start() -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for (number, stream) in (1_u64..).zip(listener.incoming()) {
                if let Ok(stream) = stream {
                    // An error is a client that went away or sent no HTTP: its own test sees that.
                    std::thread::spawn(move || serve(stream, number).ok());
                }
            }
        });
        Ok(Self { address })
    }

    /// The one that all cases share.
    pub fn shared() -> Outcome<Self> {
        static SHARED: OnceLock<Result<Echo, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start().map_err(|error| error.to_string()));
        Ok(shared.clone()?)
    }
}

struct Message {
    method: String,
    uri: String,
    version: String,
    headers: Headers,
    body: Vec<u8>,
}

fn serve(stream: TcpStream, connection: u64) -> Outcome {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut wire = Wire::new(stream);
    while let Some((first, headers, _)) = wire.read_head()? {
        let body = wire.read_body(&headers, false)?;
        let mut words = first.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let message = Message { method: word(), uri: word(), version: word(), headers, body };
        let Some((answer, is_broken)) = answer(&message, connection) else { return Ok(()) };
        writer.write_all(&answer)?;
        if is_broken || message.version == "HTTP/1.0" {
            return Ok(());
        }
    }
    Ok(())
}

/// The answer, and whether it breaks off; `None` when there is to be none.
fn answer(message: &Message, connection: u64) -> Option<(Vec<u8>, bool)> {
    let (path, query) = message.uri.split_once('?').unwrap_or((&message.uri, ""));
    let reply = match path {
        "/close" => return None,
        "/reply" => Reply::told_by(query),
        _ => Reply { body: echo(message, connection).into_bytes(), ..Reply::default() },
    };
    let mut bytes = reply.to_bytes(message.method == "HEAD");
    if reply.is_broken {
        bytes.pop();
    }
    Some((bytes, reply.is_broken))
}

fn echo(message: &Message, connection: u64) -> String {
    let mut header = BTreeMap::<String, String>::new();
    for (name, value) in &message.headers {
        header
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| all.push_str(&format!(", {value}")))
            .or_insert_with(|| value.clone());
    }
    json!({
        "method": message.method,
        "uri": message.uri,
        "version": message.version,
        "headers": message.headers,
        "header": header,
        "body": String::from_utf8_lossy(&message.body),
        "connection": connection,
    })
    .to_string()
}

struct Reply {
    status: String,
    headers: Vec<String>,
    body: Vec<u8>,
    chunked: bool,
    is_broken: bool,
}

impl Default for Reply {
    fn default() -> Self {
        let headers = vec!["Content-Type: application/json".to_owned()];
        Self {
            status: "200".to_owned(),
            headers,
            body: Vec::new(),
            chunked: false,
            is_broken: false,
        }
    }
}

impl Reply {
    fn told_by(query: &str) -> Self {
        let mut reply = Self { headers: Vec::new(), ..Self::default() };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decoded(value);
            let text = || String::from_utf8_lossy(&value).into_owned();
            match name {
                "status" => reply.status = text(),
                "header" => reply.headers.push(text()),
                "body" => reply.body = value,
                "chunked" => reply.chunked = true,
                "broken" => reply.is_broken = true,
                _ => {}
            }
        }
        reply
    }

    fn to_bytes(&self, to_head_request: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Told\r\n", self.status);
        for header in &self.headers {
            head.push_str(&format!("{header}\r\n"));
        }
        let mut body = self.body.clone();
        if self.chunked {
            head.push_str("Transfer-Encoding: chunked\r\n");
            body = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        } else if !matches!(self.status.as_str(), "204" | "304") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if !to_head_request {
            bytes.extend(body);
        }
        bytes
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().iter();
    let mut decoded = Vec::new();
    while let Some(&byte) = bytes.next() {
        let pair = bytes.as_slice().get(..2).filter(|_| byte == b'%');
        let value = pair
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if value.is_some() {
            bytes.nth(1);
        }
        decoded.push(value.unwrap_or(byte));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Connection, Request};
    use crate::wait::PATIENCE;

    fn connect() -> Connection {
        Connection::open(Echo::shared().unwrap().address, PATIENCE).unwrap()
    }

    #[test]
    fn what_was_sent_comes_back() {
        let mut connection = connect();
        let request = Request::post("/a%20b?c=d", "hi").header("X-A", "1").header("x-a", "2");
        let first = connection.request(&request).unwrap().json().unwrap();
        assert_eq!(first["method"], "POST");
        assert_eq!(first["uri"], "/a%20b?c=d");
        assert_eq!(first["body"], "hi");
        assert_eq!(first["header"]["x-a"], "1, 2");
        assert_eq!(first["headers"][1], json!(["X-A", "1"]));
        let second = connection.request(&Request::get("/")).unwrap().json().unwrap();
        assert_eq!(second["connection"], first["connection"]);
    }

    #[test]
    fn it_answers_as_told() {
        let target = "/reply?status=503&header=X-Y:a%26b&header=X-Z:1&body=%7B%ff%zz&chunked=1";
        let response = connect().request(&Request::get(target)).unwrap();
        assert_eq!(response.status, 503);
        assert_eq!(response.header("x-y"), Some("a&b"));
        assert_eq!(response.header("x-z"), Some("1"));
        assert_eq!(response.body, b"{\xff%zz");
        assert!(connect().request(&Request::get("/close")).is_err());
    }
}
