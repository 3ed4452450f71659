//! Payload 1.0.

use crate::lambda::event::clock::common_log_time;
use crate::lambda::event::headers::{EventHeaders, body_form, is_text_type};
use crate::lambda::event::json::{JsonText, Text};
use crate::lambda::event::query::Decoded;
use crate::lambda::event::{EventFacts, write_array, write_body, write_map, write_path_parameters};
use crate::request::RequestHead;

/// Writes the event. Every key is there, null rather than missing.
pub(crate) fn write(
    json: &mut JsonText<'_>,
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    headers: &EventHeaders<'_>,
) {
    json.raw("{\"version\":\"1.0\",\"resource\":");
    json.text(facts.route.unwrap_or(facts.location));
    json.raw(",\"path\":");
    json.header(facts.path);
    json.raw(",\"httpMethod\":");
    json.header(head.method());
    json.raw(",\"headers\":");
    fn single(json: &mut JsonText<'_>, value: Text<'_>) {
        json.header(value);
    }
    write_map(json, &headers.lines, single, |json, values| json.header(values.last_value()));
    json.raw(",\"multiValueHeaders\":");
    write_map(json, &headers.lines, single, |json, values| write_array(json, values, single));
    write_query(json, head.query());
    json.raw(",\"pathParameters\":");
    write_path_parameters(json, facts, "null");
    json.raw(",\"stageVariables\":null,");
    write_context(json, head, facts, headers);
    json.raw(",");
    write_body(json, body_form(head, facts.body, is_text_type), "null");
    json.raw("}");
}

fn write_query(json: &mut JsonText<'_>, query: &[u8]) {
    let decoded = Decoded::from_query(query);
    let map = decoded.map(b"");
    if map.is_empty() {
        json.raw(",\"queryStringParameters\":null,\"multiValueQueryStringParameters\":null");
        return;
    }
    fn text(json: &mut JsonText<'_>, value: Text<'_>) {
        json.decoded(value);
    }
    json.raw(",\"queryStringParameters\":");
    write_map(json, &map, text, |json, values| json.decoded(values.last_value()));
    json.raw(",\"multiValueQueryStringParameters\":");
    write_map(json, &map, text, |json, values| write_array(json, values, text));
}

fn write_context(
    json: &mut JsonText<'_>,
    head: &impl RequestHead,
    facts: &EventFacts<'_>,
    headers: &EventHeaders<'_>,
) {
    json.raw(
        "\"requestContext\":{\"accountId\":null,\"apiId\":null,\"authorizer\":null,\"domainName\":",
    );
    json.header(facts.domain());
    json.raw(",\"domainPrefix\":");
    json.header(facts.domain_prefix());
    json.raw(",\"extendedRequestId\":");
    json.header(facts.request_id);
    json.raw(",\"httpMethod\":");
    json.header(head.method());
    json.raw(
        ",\"identity\":{\"accessKey\":null,\"accountId\":null,\"apiKey\":null,\"apiKeyId\":null,\
         \"caller\":null,\"clientCert\":null,\"cognitoAuthenticationProvider\":null,\
         \"cognitoAuthenticationType\":null,\"cognitoIdentityId\":null,\
         \"cognitoIdentityPoolId\":null,\"principalOrgId\":null,\"sourceIp\":",
    );
    json.header(facts.client_address);
    json.raw(",\"user\":null,\"userAgent\":");
    match headers.user_agent {
        Some(user_agent) => json.header(user_agent),
        None => json.raw("null"),
    }
    json.raw(",\"userArn\":null},\"operationName\":null,\"path\":");
    match facts.stage {
        Some(stage) => {
            let with_stage = [b"/", stage.as_bytes(), facts.path].concat();
            json.header(&*with_stage);
        }
        None => json.header(facts.path),
    }
    json.raw(",\"protocol\":");
    json.text(facts.protocol);
    json.raw(",\"requestId\":");
    json.header(facts.request_id);
    json.raw(",\"requestTime\":");
    json.header(&common_log_time(facts.time_ms / 1_000)[..]);
    json.raw(",\"requestTimeEpoch\":");
    json.number(facts.time_ms);
    json.raw(",\"resourceId\":null,\"resourcePath\":");
    json.text(facts.route.unwrap_or(facts.location));
    json.raw(",\"stage\":");
    json.text(facts.stage());
    json.raw("}");
}
