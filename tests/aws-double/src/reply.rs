//! From a function's spec to the bytes and pauses of its reply.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::double::{Double, Record};
use crate::eventstream;
use crate::functions::{CutWith, Like, Piece, Spec};
use crate::lambda::{Refusal, trace_id};
use crate::python::Outcome;
use crate::response::{Body, Delivery, End, Response, Segment, Wait};

/// The content type of a stream whose first part is a prelude with status and headers.
const HTTP_INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";
const PRELUDE_END: [u8; 8] = [0; 8];
/// AWS gives the last 4 KB of a log.
const MAX_LOG_BYTES: usize = 4096;

/// What a function said.
pub(crate) struct Ran {
    pub(crate) payload: Vec<u8>,
    /// `Handled` or `Unhandled`, when it failed.
    pub(crate) error: Option<String>,
}

/// Runs a function on an event.
pub(crate) async fn run(double: &Double, spec: &Spec, event: &[u8]) -> Result<Ran, Refusal> {
    let mut error = spec.function_error.clone();
    let payload = match spec.like {
        Some(Like::Echo) => echo_reply(event),
        Some(Like::EchoRaw) => event.to_vec(),
        Some(like) => match double.python.call(like.adapter().unwrap_or_default(), event).await {
            Ok(Outcome::Payload(payload)) => payload,
            Ok(Outcome::Raised(details)) => {
                error.get_or_insert_with(|| "Unhandled".into());
                details
            }
            Err(why) => {
                return Err(Refusal::new(
                    "ServiceException",
                    &format!("the Python child failed: {why}"),
                ));
            }
        },
        None => fixed_payload(spec)?,
    };
    Ok(Ran { payload, error })
}

fn fixed_payload(spec: &Spec) -> Result<Vec<u8>, Refusal> {
    if let Some(text) = &spec.payload_raw_base64 {
        return STANDARD
            .decode(text)
            .map_err(|why| Refusal::new("ServiceException", &why.to_string()));
    }
    if let Some(len) = spec.payload_fill_bytes {
        let reply = json!({"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "x".repeat(len)});
        return Ok(reply.to_string().into_bytes());
    }
    match (&spec.payload, spec.stream.is_empty()) {
        (Some(value), _) => Ok(value.to_string().into_bytes()),
        (None, true) => Ok(b"null".to_vec()),
        (None, false) => {
            let pieces: Result<Vec<_>, _> = spec.stream.iter().map(piece_bytes).collect();
            Ok(pieces?.concat())
        }
    }
}

fn piece_bytes(piece: &Piece) -> Result<Vec<u8>, Refusal> {
    match &piece.base64 {
        Some(text) => {
            STANDARD.decode(text).map_err(|why| Refusal::new("ServiceException", &why.to_string()))
        }
        None => Ok(piece.data.clone().into_bytes()),
    }
}

fn echo_reply(event: &[u8]) -> Vec<u8> {
    const START: &[u8] =
        br#"{"statusCode":200,"headers":{"content-type":"application/json"},"isBase64Encoded":false,"body":"#;
    let mut out = Vec::with_capacity(START.len() + event.len() + event.len() / 4 + 16);
    out.extend_from_slice(START);
    let text = String::from_utf8_lossy(event);
    // Writing a string into a vector cannot fail.
    let _ = serde_json::to_writer(&mut out, &text);
    out.push(b'}');
    out
}

/// The response with headers from JSON: a value is text, another scalar, or a list of values.
pub(crate) fn with_headers(mut response: Response, headers: &Map<String, Value>) -> Response {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in headers {
        response.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        let values = value
            .as_array()
            .map_or_else(|| vec![text(value)], |list| list.iter().map(text).collect());
        for value in values {
            response = response.with(name.clone(), value);
        }
    }
    response
}

/// An invocation that has run and is to be answered.
pub(crate) struct Invocation<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) ran: Ran,
    pub(crate) record: &'a Record,
    pub(crate) gate: &'a Arc<Semaphore>,
}

impl Invocation<'_> {
    fn headers(&self, response: Response) -> Response {
        let record = self.record;
        let mut response = response
            .with("x-amzn-RequestId", record.request_id.clone())
            .with("x-amzn-Remapped-Content-Length", "0")
            .with("X-Amz-Executed-Version", record.qualifier.clone())
            .with("X-Amzn-Trace-Id", trace_id(record));
        if let Some(kind) = &self.ran.error {
            response = response.with("X-Amz-Function-Error", kind.clone());
        }
        response
    }

    fn wants_log(&self) -> bool {
        self.record.request.header("x-amz-log-type").is_some_and(|v| v == "Tail")
    }

    fn log(&self) -> String {
        let id = &self.record.request_id;
        let own = self.spec.log.as_deref().unwrap_or_default();
        let log = format!(
            "START RequestId: {id} Version: {}\n{own}END RequestId: {id}\nREPORT RequestId: {id}\tDuration: 1.00 ms\t\
             Billed Duration: 1 ms\tMemory Size: 128 MB\tMax Memory Used: 32 MB\t\n",
            self.record.qualifier
        );
        STANDARD.encode(&log.as_bytes()[log.len().saturating_sub(MAX_LOG_BYTES)..])
    }

    /// The reply of Invoke.
    pub(crate) fn buffered(self, double: &Double) -> Delivery {
        let status = self.spec.status.unwrap_or(200);
        let mut response = self.headers(Response::new(status, "application/json", Vec::new()));
        if self.wants_log() {
            response = response.with("X-Amz-Log-Result", self.log());
        }
        response = with_headers(response, &self.spec.headers);
        response.body = body_of(self.spec, self.ran.payload);
        let segments = response.encode(&self.record.request, double.clock.now_ms());
        with_faults(self.spec, segments, Some(self.gate))
    }

    /// The reply of InvokeWithResponseStream: each piece a frame, each frame an HTTP chunk unless `chunk_bytes` cuts
    /// them otherwise.
    pub(crate) fn stream(self, double: &Double) -> Delivery {
        let status = self.spec.status.unwrap_or(200);
        let prelude = self.spec.http_integration.as_ref();
        let content_type =
            if prelude.is_some() { HTTP_INTEGRATION } else { "application/vnd.amazon.eventstream" };
        let response = self.headers(Response::new(status, content_type, Vec::new()));
        let mut response = with_headers(response, &self.spec.headers);
        let mut frames = Vec::new();
        if let Some(prelude) = prelude {
            let mut bytes = prelude.to_string().into_bytes();
            bytes.extend_from_slice(&PRELUDE_END);
            frames.push((0, eventstream::payload_chunk(&bytes, None)));
        }
        let mut interrupted = false;
        for piece in &self.spec.stream {
            let bytes = piece_bytes(piece).unwrap_or_default();
            let frame = match &piece.exception {
                Some(kind) => eventstream::exception(kind, &bytes),
                None => eventstream::payload_chunk(&bytes, piece.corrupt),
            };
            interrupted |= piece.exception.is_some();
            frames.push((piece.delay_ms, frame));
        }
        if self.spec.stream.is_empty() && self.ran.error.is_none() {
            frames.push((0, eventstream::payload_chunk(&self.ran.payload, None)));
        }
        if !interrupted {
            frames.push((0, eventstream::invoke_complete(&self.complete())));
        }
        let pieces = match self.spec.chunk_bytes.filter(|n| *n > 0) {
            None => frames,
            Some(size) => rechunk(&frames, size),
        };
        response.body = Body::Chunks(pieces);
        let segments = response.encode(&self.record.request, double.clock.now_ms());
        with_faults(self.spec, segments, Some(self.gate))
    }

    fn complete(&self) -> Value {
        let mut complete = json!({});
        if let Some(error) = &self.spec.stream_error {
            complete = error.clone();
        } else if let Some(kind) = &self.ran.error {
            complete["ErrorCode"] = kind.clone().into();
            complete["ErrorDetails"] = String::from_utf8_lossy(&self.ran.payload).into();
        }
        if self.wants_log() {
            complete["LogResult"] = self.log().into();
        }
        complete
    }
}

/// The payload as a body: of known length, or in HTTP chunks.
pub(crate) fn body_of(spec: &Spec, payload: Vec<u8>) -> Body {
    match (spec.chunk_bytes.filter(|n| *n > 0), spec.chunked) {
        (None, false) => Body::Sized(payload),
        (None, true) => Body::Chunks(vec![(0, payload)]),
        (Some(size), _) => Body::Chunks(rechunk(&[(0, payload)], size)),
    }
}

fn rechunk(pieces: &[(u64, Vec<u8>)], size: usize) -> Vec<(u64, Vec<u8>)> {
    let cut = |(delay_ms, bytes): &(u64, Vec<u8>)| {
        let delay_ms = *delay_ms;
        let parts = bytes.chunks(size).enumerate();
        parts
            .map(|(i, part)| (if i == 0 { delay_ms } else { 0 }, part.to_vec()))
            .collect::<Vec<_>>()
    };
    pieces.iter().flat_map(cut).collect()
}

/// Segments with what the spec says about their delivery.
pub(crate) fn with_faults(
    spec: &Spec,
    mut segments: Vec<Segment>,
    gate: Option<&Arc<Semaphore>>,
) -> Delivery {
    if let Some(raw) = spec.raw_http_base64.as_ref().and_then(|text| STANDARD.decode(text).ok()) {
        segments = vec![Segment { delay_ms: 0, bytes: raw }];
    }
    if let Some(delay_ms) = spec.trickle_ms {
        let size = spec.trickle_bytes.unwrap_or(1).max(1);
        let all: Vec<u8> = segments.into_iter().flat_map(|segment| segment.bytes).collect();
        segments =
            all.chunks(size).map(|part| Segment { delay_ms, bytes: part.to_vec() }).collect();
    }
    let mut end = if spec.close_after { End::Close } else { End::KeepAlive };
    if let Some(at) = spec.cut_at_byte {
        let mut left = at;
        for segment in &mut segments {
            segment.bytes.truncate(left);
            left -= segment.bytes.len();
        }
        segments.retain(|segment| !segment.bytes.is_empty());
        end = if spec.cut_with == CutWith::Fin { End::Fin } else { End::Reset };
    }
    let wait = match gate {
        _ if spec.hang => Wait::Forever,
        Some(gate) if spec.hold => Wait::Held(Arc::clone(gate)),
        _ if spec.delay_ms > 0 => Wait::Millis(spec.delay_ms),
        _ => Wait::None,
    };
    Delivery { wait, segments, end, in_flight: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(spec: Value, bytes: &[u8]) -> Delivery {
        let spec: Spec = serde_json::from_value(spec).unwrap();
        with_faults(&spec, vec![Segment { delay_ms: 0, bytes: bytes.to_vec() }], None)
    }

    #[test]
    fn a_reply_is_cut_at_the_byte() {
        let delivery = delivered(json!({"cut_at_byte": 3}), b"abcdef");
        assert_eq!(delivery.segments[0].bytes, b"abc");
        assert_eq!(delivery.end, End::Reset);
        assert!(
            delivered(json!({"cut_at_byte": 0, "cut_with": "fin"}), b"abc").segments.is_empty()
        );
    }

    #[test]
    fn a_trickle_pauses_before_each_part() {
        let delivery = delivered(json!({"trickle_ms": 7, "trickle_bytes": 2}), b"abcde");
        let parts: Vec<_> =
            delivery.segments.iter().map(|s| (s.delay_ms, s.bytes.as_slice())).collect();
        assert_eq!(parts, [(7, &b"ab"[..]), (7, b"cd"), (7, b"e")]);
    }

    #[test]
    fn an_echo_is_a_proxy_reply_with_the_event_as_text() {
        let reply: Value = serde_json::from_slice(&echo_reply(b"{\"a\":\"\\u00e9\\n\"}")).unwrap();
        assert_eq!(reply["statusCode"], 200);
        assert_eq!(reply["body"], "{\"a\":\"\\u00e9\\n\"}");
    }
}
