use crate::decision::{Fault, Refusal};
use serde::Serialize;

/// The shape of error bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `{"message":"...","request_id":"..."}`
    #[default]
    Json,
    /// RFC 9457 problem details
    Problem,
}

impl ErrorFormat {
    /// The body's Content-Type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Problem => "application/problem+json",
        }
    }
}

/// An error body before it is written.
#[derive(Clone, Copy, Debug)]
pub struct ErrorBody<'a> {
    /// The response's status.
    pub status: u16,
    /// nginx's `$request_id`.
    pub request_id: &'a str,
    /// Our refusal, or `None` for an error that nginx itself made.
    pub refusal: Option<&'a Refusal>,
}

#[derive(Serialize)]
struct Json<'a> {
    message: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    r#in: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    path: &'a str,
    keyword: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Fault> for Entry<'a> {
    fn from(fault: &'a Fault) -> Self {
        Self {
            r#in: fault.location,
            name: fault.name.as_deref(),
            path: &fault.pointer,
            keyword: &fault.keyword,
            message: &fault.message,
        }
    }
}

impl ErrorBody<'_> {
    /// The body's text, a line end behind it.
    pub fn write(&self, format: ErrorFormat) -> Vec<u8> {
        let message = self.refusal.map_or(standard_message(self.status), |r| r.message.as_ref());
        let faults = self.refusal.map_or(&[][..], |refusal| &refusal.faults);
        let (request_id, errors) = (self.request_id, faults.iter().map(Entry::from).collect());
        let written = match format {
            ErrorFormat::Json => serde_json::to_vec(&Json { message, request_id, errors }),
            ErrorFormat::Problem => {
                let kind = self.refusal.map_or("about:blank".to_owned(), |refusal| {
                    let (policy, reason) = (refusal.policy.as_str(), refusal.reason.as_str());
                    format!("urn:apigate:{policy}:{reason}")
                });
                serde_json::to_vec(&Problem {
                    r#type: &kind,
                    title: status_phrase(self.status),
                    status: self.status,
                    detail: message,
                    request_id,
                    errors,
                })
            }
        };
        // Texts and numbers cannot fail to serialise; an empty body would still have the right status.
        let mut body = written.unwrap_or_default();
        body.push(b'\n');
        body
    }
}

/// A problem's title. Source: RFC 9457 section 4.2.1.
fn status_phrase(status: u16) -> &'static str {
    let known = http::StatusCode::from_u16(status).ok();
    known.and_then(|status| status.canonical_reason()).unwrap_or_else(|| standard_message(status))
}

/// The message of an error that nginx itself made.
pub fn standard_message(status: u16) -> &'static str {
    match status {
        400 | 494..=497 => "Bad request",
        401 => "Unauthorized",
        402 => "Payment required",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        406 => "Not acceptable",
        408 => "Request timed out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length required",
        412 => "Precondition failed",
        413 => "Request body is too large",
        414 => "Request URI is too long",
        415 => "Unsupported media type",
        416 => "Range not satisfiable",
        421 => "Misdirected request",
        429 => "Too many requests",
        501 => "Not implemented",
        502 => "Bad gateway",
        503 => "Service unavailable",
        504 => "Gateway timed out",
        505 => "HTTP version not supported",
        507 => "Insufficient storage",
        500.. => "Internal error",
        _ => "Request failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Policy, Reason};

    fn text(body: ErrorBody<'_>, format: ErrorFormat) -> String {
        String::from_utf8(body.write(format)).unwrap()
    }

    #[test]
    fn nginxs_own_errors_have_the_contracts_messages() {
        let body = ErrorBody { status: 413, request_id: "r1", refusal: None };
        assert_eq!(
            text(body, ErrorFormat::Json),
            "{\"message\":\"Request body is too large\",\"request_id\":\"r1\"}\n"
        );
        assert_eq!(
            text(body, ErrorFormat::Problem),
            concat!(
                r#"{"type":"about:blank","title":"Payload Too Large","status":413,"#,
                r#""detail":"Request body is too large","request_id":"r1"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_refusals_message_is_escaped_and_its_faults_listed() {
        let mut refusal =
            Refusal::new(Policy::ValidateBody, Reason::BodySchema, 400, "say \"no\"\n");
        refusal.faults.push(Fault {
            location: "body",
            name: None,
            pointer: "/email".into(),
            keyword: "format".into(),
            message: "not an email".into(),
        });
        let body = ErrorBody { status: 400, request_id: "r", refusal: Some(&refusal) };
        assert_eq!(
            text(body, ErrorFormat::Json),
            concat!(
                r#"{"message":"say \"no\"\n","request_id":"r","errors":[{"in":"body","path":"/email","#,
                r#""keyword":"format","message":"not an email"}]}"#,
                "\n"
            )
        );
        assert!(
            text(body, ErrorFormat::Problem)
                .starts_with(r#"{"type":"urn:apigate:validate_body:body_schema","title":"Bad"#)
        );
    }
}
