//! Payload 2.0.

use crate::lambda::event::clock::common_log_time;
use crate::lambda::event::headers::{BodyForm, EventHeaders, body_form, is_text_type};
use crate::lambda::event::json::{JsonText, Text};
use crate::lambda::event::multimap::Values;
use crate::lambda::event::query::{Decoded, printable};
use crate::lambda::event::{EventFacts, write_array, write_body, write_map, write_path_parameters};
use crate::request::RequestHead;

/// Writes the event. What is not there is missing, as AWS has it.
pub(crate) fn write(
    json: &mut JsonText<'_>,
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    headers: &EventHeaders<'_>,
) {
    fn text(json: &mut JsonText<'_>, value: Text<'_>) {
        json.header(value);
    }
    json.raw("{\"version\":\"2.0\",\"routeKey\":");
    write_route_key(json, head, facts);
    json.raw(",\"rawPath\":");
    json.header(facts.path);
    json.raw(",\"rawQueryString\":");
    json.header(&*printable(head.query()));
    if let Some(cookie) = headers.cookie {
        json.raw(",\"cookies\":");
        let pairs = cookie.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        write_array(json, pairs.filter(|pair| !pair.is_empty()).map(Text::from), text);
    }
    json.raw(",\"headers\":");
    write_map(json, &headers.lines, text, |json, values| {
        joined(values, |value| json.header(value));
    });
    write_query(json, head.query());
    if !facts.path_parameters.is_empty() {
        json.raw(",\"pathParameters\":");
        write_path_parameters(json, facts, "{}");
    }
    write_context(json, head, facts, headers);
    match body_form(head, facts.body, is_text_type) {
        BodyForm::Absent => json.raw(",\"isBase64Encoded\":false}"),
        form => {
            json.raw(",");
            write_body(json, form, "");
            json.raw("}");
        }
    }
}

/// Hands on the values joined with commas, the one value as it is.
fn joined(values: Values<'_, '_>, write: impl FnOnce(Text<'_>)) {
    if values.is_single() {
        write(values.last_value());
    } else {
        let values: Vec<_> = values.map(|value| value.bytes).collect();
        write(values.join(&b","[..]).as_slice().into());
    }
}

fn write_route_key(json: &mut JsonText<'_>, head: &impl RequestHead, facts: &EventFacts<'_>) {
    match facts.route {
        Some(template) => json.header(&*[head.method(), b" ", template.as_bytes()].concat()),
        None => json.raw("\"$default\""),
    }
}

fn write_query(json: &mut JsonText<'_>, query: &[u8]) {
    let decoded = Decoded::from_query(query);
    let map = decoded.map(b"");
    if map.is_empty() {
        return;
    }
    fn text(json: &mut JsonText<'_>, value: Text<'_>) {
        json.decoded(value);
    }
    json.raw(",\"queryStringParameters\":");
    write_map(json, &map, text, |json, values| joined(values, |value| json.decoded(value)));
}

fn write_context(
    json: &mut JsonText<'_>,
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    headers: &EventHeaders<'_>,
) {
    json.raw(",\"requestContext\":{\"accountId\":\"anonymous\",\"apiId\":");
    json.header(facts.domain_prefix());
    json.raw(",\"domainName\":");
    json.header(facts.domain());
    json.raw(",\"domainPrefix\":");
    json.header(facts.domain_prefix());
    json.raw(",\"http\":{\"method\":");
    json.header(head.method());
    json.raw(",\"path\":");
    json.header(facts.path);
    json.raw(",\"protocol\":");
    json.text(facts.protocol);
    json.raw(",\"sourceIp\":");
    json.header(facts.client_address);
    json.raw(",\"userAgent\":");
    json.header(headers.user_agent.unwrap_or_default());
    json.raw("},\"requestId\":");
    json.header(facts.request_id);
    json.raw(",\"routeKey\":");
    write_route_key(json, head, facts);
    json.raw(",\"stage\":");
    json.text(facts.stage());
    json.raw(",\"time\":");
    json.header(&common_log_time(facts.time_ms / 1_000)[..]);
    json.raw(",\"timeEpoch\":");
    json.number(facts.time_ms);
    json.raw("}");
}
