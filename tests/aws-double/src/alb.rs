//! The double of a load balancer's target: tells what it was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::http1::Request;
use crate::response::Response;

const PLAIN_BYTES: usize = 1024;

/// `/echo`: 1 KB of text; anything else: the request as JSON.
pub(crate) fn handle(request: &Request) -> Response {
    if request.path() == "/echo" {
        return plain();
    }
    let headers: Vec<_> = request
        .headers()
        .map(|(name, value)| [name.to_owned(), String::from_utf8_lossy(value).into_owned()])
        .collect();
    let mut document = json!({
        "method": request.method(),
        "uri": request.target(),
        "path": request.path(),
        "query": request.query(),
        "headers": headers,
    });
    match std::str::from_utf8(&request.body) {
        Ok(text) => document["body"] = text.into(),
        Err(_) => document["body_base64"] = STANDARD.encode(&request.body).into(),
    }
    Response::json(200, &document)
}

/// The 1 KB reply that speed comparisons proxy to.
pub(crate) fn plain() -> Response {
    Response::new(200, "text/plain", vec![b'x'; PLAIN_BYTES])
}
