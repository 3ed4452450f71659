//! The events that functions are invoked with, written as JSON text straight into the request's buffer.
//!
//! Sources: AWS, "Working with AWS Lambda proxy integrations for REST APIs" and "for HTTP APIs", "Using AWS Lambda with
//! an Application Load Balancer"; Kong's aws-lambda plugin, `forward_request_*`.

mod alb;
mod clock;
mod forwarded;
mod headers;
mod json;
mod kong;
mod multimap;
mod path;
mod query;
mod trace;
mod url;
mod v1;
mod v2;

use std::borrow::Cow;

pub use forwarded::Forwarded;
pub(crate) use headers::media_type;
pub use path::{event_path, push_path, strip_prefix};
pub use url::{canonical_path, canonical_query, encode_query, write_url_head};

use crate::request::RequestHead;
use headers::{BodyForm, EventHeaders, Made};
pub(super) use json::Decimal;
use json::{JsonText, Text};
use multimap::{MultiMap, Values};

/// `payload=`: the form of the event and of its reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// `1.0`: API Gateway REST API.
    #[default]
    V1,
    /// `2.0`: API Gateway HTTP API and function URLs.
    V2,
    /// `alb`: load balancer, single-value maps.
    Alb,
    /// `alb-multi`: load balancer, multi-value maps.
    AlbMulti,
    /// `raw`: the body is the payload.
    Raw,
    /// `kong`: the `request_*` keys of Kong's plugin.
    Kong,
}

impl Payload {
    /// The payload that a `payload=` parameter names.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "1.0" => Self::V1,
            "2.0" => Self::V2,
            "alb" => Self::Alb,
            "alb-multi" => Self::AlbMulti,
            "raw" => Self::Raw,
            "kong" => Self::Kong,
            _ => return None,
        })
    }
}

/// What an event says besides the request's method, query and headers. Everything is borrowed.
#[derive(Clone, Copy, Debug)]
pub struct EventFacts<'a> {
    /// The path, percent-encoded: [`event_path`], then [`strip_prefix`] where one is set.
    pub path: &'a [u8],
    /// The path with what [`strip_prefix`] has taken away.
    pub whole_path: &'a [u8],
    /// The host that the client asked for, its port included; empty when it named none.
    pub host: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2.0`, as nginx's `$server_protocol` spells it.
    pub protocol: &'a str,
    /// The client's address after real_ip, `unix:` for a Unix-domain socket.
    pub client_address: &'a [u8],
    /// What the client used to get here.
    pub forwarded: Forwarded<'a>,
    /// nginx's `$request_id`.
    pub request_id: &'a [u8],
    /// The trace that the request belongs to: [`trace_id`].
    pub trace_id: &'a [u8],
    /// The request's time in milliseconds since 1970.
    pub time_ms: u64,
    /// `lambda_stage`.
    pub stage: Option<&'a str>,
    /// The template of `route`.
    pub route: Option<&'a str>,
    /// The location's name, the resource of requests without a route.
    pub location: &'a str,
    /// The names and decoded values of the route's parameters.
    pub path_parameters: &'a [(&'a str, Cow<'a, [u8]>)],
    /// The whole body; `None` when the request has none.
    pub body: Option<&'a [u8]>,
}

impl<'a> EventFacts<'a> {
    fn stage(&self) -> &'a str {
        self.stage.unwrap_or("$default")
    }

    fn domain(&self) -> &'a [u8] {
        let name = match self.host {
            // An address in brackets has colons of its own.
            [b'[', ..] => self.host.split_inclusive(|byte| *byte == b']').next(),
            host => host.split(|byte| *byte == b':').next(),
        };
        name.unwrap_or_default()
    }

    fn domain_prefix(&self) -> &'a [u8] {
        self.domain().split(|byte| *byte == b'.').next().unwrap_or_default()
    }
}

/// An `X-Amzn-Trace-Id`; one that is made here needs no allocation.
pub type TraceId = smallvec::SmallVec<[u8; trace::MADE_BYTES]>;

/// The event is longer than `lambda_max_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Appends the event to `out`, or says that it is over `max_bytes`; `out` is as before then.
pub fn write_event(
    payload: Payload,
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), TooLarge> {
    let body_bytes = facts.body.map_or(0, <[u8]>::len);
    // No form of a body is shorter than the body.
    if body_bytes > max_bytes {
        return Err(TooLarge);
    }
    let start = out.len();
    if payload == Payload::Raw {
        out.extend_from_slice(facts.body.unwrap_or_default());
        return Ok(());
    }
    let head_bytes: usize = head.headers().map(|line| line.value.len() + 48).sum();
    out.reserve(2_048 + 2 * head_bytes + 3 * head.query().len() + body_bytes + body_bytes / 3);
    let made = Made::from_request(head, facts);
    let headers = EventHeaders::new(head, facts, &made).linked(payload != Payload::V2);
    let mut json = JsonText::new(out);
    match payload {
        Payload::V1 => v1::write(&mut json, head, facts, &headers),
        Payload::V2 => v2::write(&mut json, head, facts, &headers),
        Payload::Alb => alb::write(&mut json, head, facts, &headers, alb::Maps::Single),
        Payload::AlbMulti => alb::write(&mut json, head, facts, &headers, alb::Maps::Multi),
        Payload::Kong => kong::write(&mut json, head, facts, &headers),
        Payload::Raw => {}
    }
    if out.len() - start > max_bytes {
        out.truncate(start);
        return Err(TooLarge);
    }
    Ok(())
}

/// The trace that a request belongs to: the client's, where it names one, else a new one. The event has it and so has the
/// API's own header: X-Ray then sees one trace.
pub fn trace_id(head: &impl RequestHead, request_id: &[u8], time_ms: u64) -> TraceId {
    let sent = head.headers().find(|line| {
        line.lowercase_name == b"x-amzn-trace-id" && trace::is_well_formed(line.value)
    });
    match sent {
        Some(line) => TraceId::from_slice(line.value),
        None => TraceId::from(trace::made_from(request_id, time_ms / 1_000)),
    }
}

/// Writes an object of one member a name; `write_value` writes the member's value.
fn write_map<'a>(
    json: &mut JsonText<'_>,
    map: &MultiMap<'a>,
    write_name: impl Fn(&mut JsonText<'_>, Text<'a>),
    write_value: impl Fn(&mut JsonText<'_>, Values<'_, 'a>),
) {
    let mut separator = "{";
    for (name, values) in map.names() {
        json.raw(separator);
        write_name(json, name);
        json.raw(":");
        write_value(json, values);
        separator = ",";
    }
    json.raw(if separator == "{" { "{}" } else { "}" });
}

/// Writes an array of strings.
fn write_array<'v>(
    json: &mut JsonText<'_>,
    values: impl Iterator<Item = Text<'v>>,
    write: impl Fn(&mut JsonText<'_>, Text<'v>),
) {
    let mut separator = "[";
    for value in values {
        json.raw(separator);
        write(json, value);
        separator = ",";
    }
    json.raw(if separator == "[" { "[]" } else { "]" });
}

/// Writes `"body":...,"isBase64Encoded":...`, with `absent` for no body.
fn write_body(json: &mut JsonText<'_>, form: BodyForm<'_>, absent: &str) {
    json.raw("\"body\":");
    match form {
        BodyForm::Absent => json.raw(absent),
        BodyForm::Text(text) => json.text(text),
        BodyForm::Binary(bytes) => {
            json.base64(bytes);
            json.raw(",\"isBase64Encoded\":true");
            return;
        }
    }
    json.raw(",\"isBase64Encoded\":false");
}

/// Writes the route's parameters as an object; `absent` when there are none.
fn write_path_parameters(json: &mut JsonText<'_>, facts: &EventFacts<'_>, absent: &str) {
    let mut separator = "{";
    for (name, value) in facts.path_parameters {
        json.raw(separator);
        json.text(name);
        json.raw(":");
        json.decoded(&**value);
        separator = ",";
    }
    json.raw(if separator == "{" { absent } else { "}" });
}

#[cfg(test)]
mod tests;
