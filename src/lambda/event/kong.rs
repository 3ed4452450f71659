//! The `request_*` keys that Kong's aws-lambda plugin sends with all of its `forward_request_*` on.
//!
//! For functions that were written for that plugin: unlike in the other events an argument without a `=` is `true`.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::lambda::event::headers::{BodyForm, EventHeaders, body_form, is_text_type, media_type};
use crate::lambda::event::json::{JsonText, Text};
use crate::lambda::event::multimap::{MultiMap, Values};
use crate::lambda::event::query::{Decoded, printable};
use crate::lambda::event::{EventFacts, write_array, write_map};
use crate::multipart;
use crate::request::RequestHead;

/// Stands for a missing value; no decoded value begins here, so its address tells it apart.
static VALUELESS: [u8; 1] = [0];

/// Writes the event.
pub(crate) fn write(
    json: &mut JsonText<'_>,
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    headers: &EventHeaders<'_>,
) {
    json.raw("{\"request_method\":");
    json.header(head.method());
    json.raw(",\"request_uri\":");
    let query = printable(head.query());
    if query.is_empty() {
        json.header(facts.whole_path);
    } else {
        json.header(&*[facts.whole_path, b"?", &query].concat());
    }
    json.raw(",\"request_uri_args\":");
    write_arguments(json, &Decoded::from_query(head.query()).map(&VALUELESS));
    json.raw(",\"request_headers\":");
    fn text(json: &mut JsonText<'_>, value: Text<'_>) {
        json.header(value);
    }
    write_map(json, &headers.lines, text, |json, values| {
        if values.is_single() {
            json.header(values.last_value());
        } else {
            write_array(json, values, text);
        }
    });
    write_body(json, head, facts);
    json.raw("}");
}

fn write_body(json: &mut JsonText<'_>, head: &impl RequestHead, facts: &EventFacts<'_>) {
    let is_text =
        |media_type: &[u8]| is_text_type(media_type) || media_type == b"multipart/form-data";
    json.raw(",\"request_body\":");
    let form = body_form(head, facts.body, is_text);
    match form {
        BodyForm::Absent => json.raw("\"\""),
        BodyForm::Text(text) => json.text(text),
        BodyForm::Binary(bytes) => json.base64(bytes),
    }
    json.raw(",\"request_body_args\":");
    let content_type = head.headers().find(|header| header.lowercase_name == b"content-type");
    write_fields(json, content_type.map(|header| header.value).unwrap_or_default(), form);
    if let BodyForm::Binary(_) = form {
        json.raw(",\"request_body_base64\":true");
    }
}

/// Writes what is in a form or a JSON body. A file beside a form's text fields makes the body binary, and them no less text.
fn write_fields(json: &mut JsonText<'_>, content_type: &[u8], form: BodyForm<'_>) {
    let media_type = media_type(content_type);
    match (&*media_type, form) {
        (b"multipart/form-data", _) => {
            let fields = text_fields(content_type, form.bytes());
            let mut map = MultiMap::with_capacity(fields.len());
            for (name, value) in &fields {
                map.push(name, value);
            }
            map.link();
            write_arguments(json, &map);
        }
        (b"application/x-www-form-urlencoded", BodyForm::Text(text)) => {
            write_arguments(json, &Decoded::from_query(text.as_bytes()).map(&VALUELESS));
        }
        (media_type, BodyForm::Text(text))
            if (media_type == b"application/json" || media_type.ends_with(b"+json"))
                && serde_json::from_str::<IgnoredAny>(text).is_ok() =>
        {
            json.value(text.as_bytes());
        }
        _ => json.raw("{}"),
    }
}

/// Names and values of a multipart body's text fields.
fn text_fields<'a>(content_type: &[u8], body: &'a [u8]) -> Vec<(Cow<'a, [u8]>, &'a [u8])> {
    let Some(boundary) = multipart::boundary(content_type) else { return Vec::new() };
    multipart::parts(body, &boundary)
        .filter_map(|part| Some((part.text_field()?, part.content)))
        .collect()
}

fn write_arguments(json: &mut JsonText<'_>, arguments: &MultiMap<'_>) {
    fn name(json: &mut JsonText<'_>, name: Text<'_>) {
        json.decoded(name);
    }
    fn value(json: &mut JsonText<'_>, value: Text<'_>) {
        let is_missing = std::ptr::eq(value.bytes, &VALUELESS[..]);
        if is_missing { json.raw("true") } else { json.decoded(value) }
    }
    write_map(json, arguments, name, |json, values: Values<'_, '_>| {
        if values.is_single() {
            value(json, values.last_value());
        } else {
            write_array(json, values, value);
        }
    });
}
