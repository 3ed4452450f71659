//! The event of a load balancer's target group, with single-value or multi-value maps.

use std::borrow::Cow;

use crate::lambda::event::headers::{EventHeaders, body_form, is_text_type};
use crate::lambda::event::json::{JsonText, Text};
use crate::lambda::event::query::{printable, undecoded};
use crate::lambda::event::{EventFacts, write_array, write_body, write_map};
use crate::request::RequestHead;

/// Which of the two kinds of maps the event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maps {
    Single,
    Multi,
}

/// Writes the event. Arguments are not decoded, as a load balancer leaves that to the function.
pub(crate) fn write(
    json: &mut JsonText<'_>,
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    headers: &EventHeaders<'_>,
    maps: Maps,
) {
    fn text(json: &mut JsonText<'_>, value: Text<'_>) {
        json.header(value);
    }
    json.raw("{\"requestContext\":{\"elb\":{\"targetGroupArn\":\"");
    // Adapters tell this event by the key; there is no target group whose name could stand here.
    json.raw("arn:aws:elasticloadbalancing:::targetgroup/apigate\"}},\"httpMethod\":");
    json.header(head.method());
    json.raw(",\"path\":");
    json.header(facts.path);
    let query: Cow<'_, [u8]> = printable(head.query());
    let arguments = undecoded(&query);
    match maps {
        Maps::Single => {
            json.raw(",\"queryStringParameters\":");
            write_map(json, &arguments, text, |json, values| json.header(values.last_value()));
            json.raw(",\"headers\":");
            write_map(json, &headers.lines, text, |json, values| json.header(values.last_value()));
        }
        Maps::Multi => {
            json.raw(",\"multiValueQueryStringParameters\":");
            write_map(json, &arguments, text, |json, values| write_array(json, values, text));
            json.raw(",\"multiValueHeaders\":");
            write_map(json, &headers.lines, text, |json, values| write_array(json, values, text));
        }
    }
    json.raw(",");
    write_body(json, body_form(head, facts.body, is_text_type), "\"\"");
    json.raw("}");
}
