//! Function URLs: an HTTP request becomes a 2.0 event, a reply becomes an HTTP response.
//!
//! Source: "Invoking Lambda function URLs" (Lambda developer guide), request and response payload format 2.0.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::double::{Double, Record};
use crate::functions::{InFlight, Spec};
use crate::http1::{Request, form_pairs};
use crate::lambda::{Refusal, trace_id};
use crate::reply::{self, body_of, with_faults, with_headers};
use crate::response::{Body, Delivery, Response};

/// The id of a function URL's host `ID.lambda-url.REGION.on.aws`.
pub(crate) fn id_of_host(host: &str) -> Option<&str> {
    let host = host.split(':').next().unwrap_or(host);
    let (id, rest) = host.split_once(".lambda-url.")?;
    rest.ends_with(".on.aws").then_some(id)
}

/// The answer to a request to a function URL. Unless the control API says otherwise, the id is the function's name and
/// requests must be signed.
pub(crate) async fn invoke(
    double: &Double,
    record: &mut Record,
    id: &str,
) -> Result<Delivery, Refusal> {
    let known = double.urls.read().get(id).cloned();
    let (name, signed) = known.unwrap_or_else(|| (id.to_owned(), true));
    if signed {
        let credential =
            double.authenticate(&record.request, "lambda", None).map_err(|denial| {
                // A request without any signature is forbidden, not asked for one.
                match denial.kind {
                    "MissingAuthenticationTokenException" => {
                        Refusal::new("AccessDeniedException", "Forbidden")
                    }
                    kind => Refusal::new(kind, &denial.message),
                }
            })?;
        record.access_key_id = Some(credential.access_key_id.clone());
    }
    let function = double
        .functions
        .get(&name)
        .ok_or_else(|| Refusal::new("ResourceNotFoundException", "Not Found"))?;
    record.function = name;
    record.qualifier = "$LATEST".into();
    record.event = event(record, id).to_string().into();
    let spec = function.next_spec();
    let in_flight = InFlight::enter(Arc::clone(&function));
    let ran = reply::run(double, &spec, &record.event).await?;
    let response = match ran.error {
        Some(_) => Response::new(502, "text/plain", "Internal Server Error"),
        None if !spec.stream.is_empty() => streamed(&spec),
        None => respond(&spec, &ran.payload),
    };
    let response = response
        .with("x-amzn-RequestId", record.request_id.clone())
        .with("X-Amzn-Trace-Id", trace_id(record));
    let segments =
        with_headers(response, &spec.headers).encode(&record.request, double.clock.now_ms());
    let mut delivery = with_faults(&spec, segments, Some(&function.gate));
    delivery.in_flight = Some(in_flight);
    Ok(delivery)
}

fn event(record: &Record, id: &str) -> Value {
    let request = &record.request;
    let mut headers = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value).into_owned();
        let name = name.to_ascii_lowercase();
        if name == "cookie" {
            cookies.extend(value.split(';').map(|pair| Value::from(pair.trim())));
            continue;
        }
        let joined = match headers.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        headers.insert(name, joined.into());
    }
    let host = request.header("host").unwrap_or_default().to_owned();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path(),
        "rawQueryString": request.query(),
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": id,
            "domainName": host,
            "domainPrefix": id,
            "http": {
                "method": request.method(),
                "path": request.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": request.header("user-agent"),
            },
            "requestId": record.request_id,
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": record.at_ms,
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !request.query().is_empty() {
        let mut arguments = Map::new();
        for (name, value) in form_pairs(request.query()) {
            let joined = match arguments.get(&name).and_then(Value::as_str) {
                Some(before) => format!("{before},{value}"),
                None => value,
            };
            arguments.insert(name, joined.into());
        }
        event["queryStringParameters"] = arguments.into();
    }
    add_body(&mut event, request);
    event
}

fn add_body(event: &mut Value, request: &Request) {
    if request.body.is_empty() {
        return;
    }
    let kind = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let textual = ["text/", "application/json", "application/xml", "application/javascript"];
    match std::str::from_utf8(&request.body) {
        Ok(text) if textual.iter().any(|prefix| kind.starts_with(prefix)) => {
            event["body"] = text.into()
        }
        _ => {
            event["body"] = STANDARD.encode(&request.body).into();
            event["isBase64Encoded"] = true.into();
        }
    }
}

/// A stream as HTTP: the prelude's status and headers, then the pieces as they come.
fn streamed(spec: &Spec) -> Response {
    let prelude = spec.http_integration.clone().unwrap_or_default();
    let pieces = spec.stream.iter().map(|piece| {
        let bytes = piece.base64.as_ref().and_then(|text| STANDARD.decode(text).ok());
        (piece.delay_ms, bytes.unwrap_or_else(|| piece.data.clone().into_bytes()))
    });
    let mut response = head(&prelude, "application/octet-stream");
    response.body = Body::Chunks(pieces.collect());
    response
}

/// A buffered reply as HTTP: with `statusCode` it is a response, without it is the body of a 200.
fn respond(spec: &Spec, payload: &[u8]) -> Response {
    let Ok(reply) = serde_json::from_slice::<Value>(payload) else {
        return Response::new(502, "text/plain", "Internal Server Error");
    };
    if reply.get("statusCode").is_none() {
        let mut response = Response::new(200, "application/json", Vec::new());
        response.body = body_of(
            spec,
            reply.as_str().map_or_else(|| payload.to_vec(), |text| text.as_bytes().to_vec()),
        );
        return response;
    }
    let text = reply.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match reply.get("isBase64Encoded").and_then(Value::as_bool) {
        Some(true) => STANDARD.decode(text).unwrap_or_default(),
        _ => text.as_bytes().to_vec(),
    };
    let mut response = head(&reply, "application/json");
    response.body = body_of(spec, body);
    response
}

fn head(reply: &Value, default_type: &'static str) -> Response {
    let status =
        reply.get("statusCode").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok());
    let mut response = Response::new(status.unwrap_or(200), default_type, Vec::new());
    if let Some(headers) = reply.get("headers").and_then(Value::as_object) {
        response = with_headers(response, headers);
    }
    for cookie in reply.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        response = response.with("Set-Cookie", cookie.as_str().unwrap_or_default().to_owned());
    }
    response
}
