//! The Lambda API: Invoke, InvokeWithResponseStream, and the refusals in AWS's form.
//!
//! Source: "Invoke" and "InvokeWithResponseStream" of the AWS Lambda API reference.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::double::{Double, Record};
use crate::functions::{ApiError, InFlight, Spec};
use crate::http1::{Request, percent_decode};
use crate::reply::{self, Invocation};
use crate::response::{Delivery, Response};
use crate::site::Kind;
use crate::{alb, function_url};

/// The largest event of a synchronous invocation.
pub(crate) const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;
/// The largest event of an asynchronous one.
const MAX_ASYNC_EVENT_BYTES: usize = 1024 * 1024;
const ACCOUNT: &str = "123456789012";
const LATEST: &str = "$LATEST";

/// A refusal by the API.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: Map<String, Value>,
}

impl Refusal {
    /// A refusal with the status, body form and headers that AWS gives this exception.
    pub(crate) fn new(kind: &str, message: &str) -> Self {
        let mut headers = Map::new();
        let (status, body) = match kind {
            "TooManyRequestsException" => {
                headers.insert("Retry-After".into(), json!("1"));
                let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
                (429, json!({"Reason": reason, "Type": "User", "message": message}))
            }
            "ResourceNotFoundException" => (404, json!({"Type": "User", "Message": message})),
            "RequestTooLargeException" => (413, json!({"Type": "User", "message": message})),
            "UnsupportedMediaTypeException" => (415, json!({"Type": "User", "message": message})),
            "ServiceException" => (500, json!({"Type": "Service", "Message": message})),
            "EC2ThrottledException" | "EC2UnexpectedException" | "ENILimitReachedException" => {
                (502, json!({"Type": "Server", "Message": message}))
            }
            "ResourceConflictException" | "ResourceNotReadyException" => {
                (409, json!({"Type": "User", "Message": message}))
            }
            "AccessDeniedException" => (403, json!({"Message": message})),
            "InvalidSignatureException"
            | "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "MissingAuthenticationTokenException" => (403, json!({"message": message})),
            _ => (400, json!({"Type": "User", "message": message})),
        };
        Self { kind: kind.to_owned(), status, body, headers }
    }

    fn of_spec(error: &ApiError, arn: &str, principal: &str) -> Self {
        let message = |kind: &str| match kind {
            "TooManyRequestsException" => "Rate Exceeded.".to_owned(),
            "ResourceNotFoundException" => format!("Function not found: {arn}"),
            "AccessDeniedException" => format!(
                "User: {principal} is not authorized to perform: lambda:InvokeFunction on resource: {arn} because no \
                 identity-based policy allows the lambda:InvokeFunction action"
            ),
            "ExpiredTokenException" => {
                "The security token included in the request is expired".to_owned()
            }
            _ => "The double was told to refuse.".to_owned(),
        };
        match error {
            ApiError::Name(kind) => Self::new(kind, &message(kind)),
            ApiError::Full { kind, status, message: given, headers } => {
                let mut refusal = Self::new(kind, given.as_deref().unwrap_or(&message(kind)));
                refusal.status = status.unwrap_or(refusal.status);
                for (name, value) in headers {
                    refusal.headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
                    refusal.headers.insert(name.clone(), value.clone());
                }
                refusal
            }
        }
    }

    fn response(&self, request_id: &str) -> Response {
        let response = Response::json(self.status, &self.body)
            .with("x-amzn-RequestId", request_id.to_owned())
            .with("x-amzn-ErrorType", self.kind.clone());
        reply::with_headers(response, &self.headers)
    }
}

/// Which function is meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) function: String,
    pub(crate) qualifier: String,
    pub(crate) region: Option<String>,
    pub(crate) arn: String,
}

impl Target {
    /// The target of a decoded FunctionName (name, partial ARN or ARN, each with or without a qualifier) and the
    /// Qualifier argument.
    fn parse(name: &str, argument: Option<&str>) -> Result<Self, Refusal> {
        let invalid = || {
            let message = format!(
                "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: \
                 (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{{2}}((-gov)|(-iso(b?)))?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?\
                 ([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?"
            );
            Refusal::new("ValidationException", &message)
        };
        let parts: Vec<&str> = name.split(':').collect();
        let (partition, region, account, rest) = match parts.as_slice() {
            ["arn", partition, "lambda", region, account, "function", rest @ ..] => {
                (*partition, Some(*region), *account, rest)
            }
            [account, "function", rest @ ..] => ("aws", None, *account, rest),
            rest => ("aws", None, ACCOUNT, rest),
        };
        let (function, own) = match rest {
            [function] => (*function, None),
            [function, qualifier] => (*function, Some(*qualifier)),
            _ => return Err(invalid()),
        };
        let word = |text: &str, more: &[u8]| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b) || more.contains(&b))
        };
        let account_fits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if !word(function, b".")
            || own.is_some_and(|q| !word(q, b"$"))
            || !account_fits
            || !partition.starts_with("aws")
        {
            return Err(invalid());
        }
        if let (Some(own), Some(argument)) = (own, argument)
            && own != argument
        {
            let message = "The derived qualifier from the function name does not match the specified qualifier.";
            return Err(Refusal::new("InvalidParameterValueException", message));
        }
        let qualifier = own.or(argument);
        let mut arn = format!(
            "arn:{partition}:lambda:{}:{account}:function:{function}",
            region.unwrap_or("us-east-1")
        );
        if let Some(qualifier) = qualifier {
            arn = format!("{arn}:{qualifier}");
        }
        Ok(Self {
            function: function.to_owned(),
            qualifier: qualifier.unwrap_or(LATEST).to_owned(),
            region: region.map(str::to_owned),
            arn,
        })
    }
}

/// The answer to a request to the Lambda endpoint.
pub(crate) async fn handle(double: &Double, site: Kind, request: Request) -> Delivery {
    let now_ms = double.clock.now_ms();
    match request.path() {
        "/plain" => return alb::plain().deliver(&request, now_ms),
        "/plain-echo" => {
            let response = Response::new(200, "application/octet-stream", request.body.to_vec());
            return response.deliver(&request, now_ms);
        }
        _ => {}
    }
    let mut record = Record {
        sequence: 0,
        at_ms: now_ms,
        site,
        request,
        function: String::new(),
        qualifier: String::new(),
        request_id: request_id(),
        access_key_id: None,
        refused: None,
        event: bytes::Bytes::new(),
        response_bytes: 0,
    };
    let url_id =
        record.request.header("host").and_then(function_url::id_of_host).map(str::to_owned);
    let answer = match url_id {
        Some(id) => function_url::invoke(double, &mut record, &id).await,
        None => invoke(double, &mut record).await,
    };
    let delivery = answer.unwrap_or_else(|refusal| {
        let kind = refusal.kind.clone();
        double.count(format!("lambda.{kind}"));
        let delivery = refusal.response(&record.request_id).deliver(&record.request, now_ms);
        record.refused = Some(kind);
        delivery
    });
    record.response_bytes = delivery.segments.iter().map(|segment| segment.bytes.len()).sum();
    double.records.push(record);
    delivery
}

async fn invoke(double: &Double, record: &mut Record) -> Result<Delivery, Refusal> {
    let (name, streaming) = operation(&record.request)?;
    let request = &record.request;
    let target =
        Target::parse(&name, request.arg("Qualifier").filter(|q| !q.is_empty()).as_deref());
    let region = target.as_ref().ok().and_then(|t| t.region.as_deref());
    let credential = double
        .authenticate(request, "lambda", region)
        .map_err(|denial| Refusal::new(denial.kind, &denial.message))?;
    record.access_key_id = Some(credential.access_key_id.clone());
    let target = target?;
    record.function.clone_from(&target.function);
    record.qualifier.clone_from(&target.qualifier);
    let kind = request.header("x-amz-invocation-type").unwrap_or("RequestResponse").to_owned();
    let event = check_event(request, &kind)?;
    record.event = event;

    let missing = || {
        Refusal::new("ResourceNotFoundException", &format!("Function not found: {}", target.arn))
    };
    let function = double.functions.get(&target.function).ok_or_else(missing)?;
    let spec = function.next_spec();
    if spec.like.is_some_and(|like| like.adapter().is_some()) && !double.python.is_configured() {
        return Err(missing());
    }
    if let Some(error) = &spec.api_error {
        let refusal = Refusal::of_spec(error, &target.arn, &credential.principal);
        return refuse_by_spec(double, record, &spec, &refusal);
    }
    if kind == "DryRun" {
        double.count("lambda.dry_runs");
        return Ok(empty(204, record, double));
    }
    let in_flight = InFlight::enter(Arc::clone(&function));
    if kind == "Event" {
        in_flight.done();
        return Ok(empty(202, record, double));
    }
    let ran = reply::run(double, &spec, &record.event).await?;
    let invocation = Invocation { spec: &spec, ran, record, gate: &function.gate };
    let mut delivery =
        if streaming { invocation.stream(double) } else { invocation.buffered(double) };
    delivery.in_flight = Some(in_flight);
    Ok(delivery)
}

/// A refusal that a test asked for can be late, held or cut like any reply.
fn refuse_by_spec(
    double: &Double,
    record: &mut Record,
    spec: &Spec,
    refusal: &Refusal,
) -> Result<Delivery, Refusal> {
    double.count(format!("lambda.{}", refusal.kind));
    record.refused = Some(refusal.kind.clone());
    let segments =
        refusal.response(&record.request_id).encode(&record.request, double.clock.now_ms());
    Ok(reply::with_faults(spec, segments, None))
}

fn empty(status: u16, record: &Record, double: &Double) -> Delivery {
    Response { status, headers: Vec::new(), body: crate::response::Body::Sized(Vec::new()) }
        .with("x-amzn-RequestId", record.request_id.clone())
        .with("X-Amzn-Trace-Id", trace_id(record))
        .deliver(&record.request, double.clock.now_ms())
}

/// The decoded FunctionName of an invocation's path, and whether its reply is streamed.
fn operation(request: &Request) -> Result<(String, bool), Refusal> {
    let segments: Vec<&str> = request.path().split('/').collect();
    let (name, streaming) = match segments.as_slice() {
        ["", "2015-03-31", "functions", name, "invocations"] => (name, false),
        ["", "2021-11-15", "functions", name, "response-streaming-invocations"] => (name, true),
        _ => {
            let message = "Unable to determine service/operation name to be authorized";
            return Err(Refusal::new("AccessDeniedException", message));
        }
    };
    if request.method() != "POST" {
        return Err(Refusal::new(
            "AccessDeniedException",
            "Unable to determine service/operation name to be authorized",
        ));
    }
    Ok((String::from_utf8_lossy(&percent_decode(name)).into_owned(), streaming))
}

fn check_event(request: &Request, kind: &str) -> Result<bytes::Bytes, Refusal> {
    let limit = match kind {
        "RequestResponse" | "DryRun" => MAX_EVENT_BYTES,
        "Event" => MAX_ASYNC_EVENT_BYTES,
        _ => {
            let message = format!(
                "1 validation error detected: Value '{kind}' at 'invocationType' failed to satisfy constraint: Member \
                 must satisfy enum value set: [Event, RequestResponse, DryRun]"
            );
            return Err(Refusal::new("InvalidParameterValueException", &message));
        }
    };
    let len = request.body.len();
    if len > limit {
        let message = format!(
            "{len} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        );
        return Err(Refusal::new("RequestTooLargeException", &message));
    }
    if request.body.is_empty() {
        return Ok(bytes::Bytes::from_static(b"{}"));
    }
    let judged =
        std::str::from_utf8(&request.body).map_err(|error| error.to_string()).and_then(|text| {
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| error.to_string())
        });
    match judged {
        Ok(_) => Ok(request.body.clone()),
        Err(why) => {
            let message = format!("Could not parse request body into json: {why}");
            Err(Refusal::new("InvalidRequestContentException", &message))
        }
    }
}

/// A random request id in the form of a version 4 UUID.
pub(crate) fn request_id() -> String {
    let bits = fastrand::u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        (bits >> 96) as u32,
        (bits >> 80) as u16,
        (bits >> 64) as u16 & 0xfff,
        ((bits >> 48) as u16 & 0x3fff) | 0x8000,
        bits as u64 & 0xffff_ffff_ffff
    )
}

/// The trace id of a reply: the root that came in, else a new one.
pub(crate) fn trace_id(record: &Record) -> String {
    let given = record.request.header("x-amzn-trace-id").and_then(|v| {
        v.split(';').find_map(|part| part.trim().strip_prefix("Root=").map(str::to_owned))
    });
    let root = given.unwrap_or_else(|| {
        format!("1-{:08x}-{:024x}", record.at_ms / 1000, fastrand::u128(..) >> 32)
    });
    format!("Root={root};Parent={:016x};Sampled=0", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names_in_every_form() {
        let cases = [
            ("f", None, "f", LATEST, None),
            ("f", Some("7"), "f", "7", None),
            ("f:live", None, "f", "live", None),
            ("f:live", Some("live"), "f", "live", None),
            ("123456789012:function:f", None, "f", LATEST, None),
            (
                "arn:aws:lambda:eu-west-1:123456789012:function:f",
                None,
                "f",
                LATEST,
                Some("eu-west-1"),
            ),
            (
                "arn:aws-cn:lambda:cn-north-1:123456789012:function:f:$LATEST",
                None,
                "f",
                LATEST,
                Some("cn-north-1"),
            ),
        ];
        for (name, argument, function, qualifier, region) in cases {
            let target = Target::parse(name, argument).unwrap();
            let got =
                (target.function.as_str(), target.qualifier.as_str(), target.region.as_deref());
            assert_eq!(got, (function, qualifier, region), "{name}");
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        let cases = [
            ("", None, "ValidationException"),
            ("a b", None, "ValidationException"),
            ("a:b:c", None, "ValidationException"),
            ("12:function:f", None, "ValidationException"),
            ("arn:aws:lambda:eu-west-1:123456789012:function:", None, "ValidationException"),
            ("f:one", Some("two"), "InvalidParameterValueException"),
        ];
        for (name, argument, kind) in cases {
            assert_eq!(Target::parse(name, argument).unwrap_err().kind, kind, "{name}");
        }
    }
}
