//! What the Lambda API's answer to an invocation means.
//!
//! Source: AWS Lambda API reference, `Invoke`; Signature Version 4, "Troubleshooting".

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::reply::Json;

/// The difference beyond which a refused signature is blamed on the clock. AWS allows five minutes.
const MAX_SKEW_S: i64 = 240;
const MAX_RETRY_AFTER_S: u32 = 3_600;
const MAX_NAME_BYTES: usize = 64;

/// An exception's or error's name fit for logs and `$lambda_error`: letters, digits and `.`, `_`, `$`, `-`, 1 to 64 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorName(Box<str>);

impl ErrorName {
    /// The name in `text`, cut before the first byte that may not be in one; `unknown` when nothing is left.
    ///
    /// This takes away the `:http://...` and the `com.amazon.coral.service#` that AWS puts round exceptions.
    pub fn new(text: &[u8]) -> Self {
        let text = text.rsplit(|byte| *byte == b'#').next().unwrap_or_default();
        let is_name_byte = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._$-".contains(byte);
        let name: String = text
            .iter()
            .take_while(is_name_byte)
            .take(MAX_NAME_BYTES)
            .copied()
            .map(char::from)
            .collect();
        Self(if name.is_empty() { "unknown".into() } else { name.into() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An answer of the API: what [`super::ResponseHead`] found, and the body.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiAnswer<'a> {
    /// HTTP status.
    pub status: u16,
    /// `X-Amzn-ErrorType`
    pub error_type: Option<&'a [u8]>,
    /// `X-Amz-Function-Error`
    pub function_error: Option<&'a [u8]>,
    /// `Retry-After`
    pub retry_after: Option<&'a [u8]>,
    /// `Date`
    pub date: Option<&'a [u8]>,
    /// The whole body. Of a stream that is answered with 200 it is of no interest.
    pub body: &'a [u8],
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The body is the function's reply.
    Reply,
    /// The event is queued.
    Accepted,
    /// The function may be invoked.
    DryRun,
    /// The function failed; the name is its `errorType`, else `Handled` or `Unhandled`.
    FunctionError(ErrorName),
    /// Too many invocations.
    Throttled {
        /// 1 to 3600.
        retry_after_s: u32,
    },
    /// The event is too large for the API.
    TooLarge,
    /// Credentials or signature are refused; a refresh may help.
    CredentialsRejected(ErrorName),
    /// The signature is refused because the clocks differ.
    ClockSkew {
        /// What must be added to our clock to have AWS's.
        offset_s: i64,
    },
    /// Any other refusal.
    Api(ErrorName),
}

impl Outcome {
    /// The meaning of an answer that came at `now_s`, seconds since 1970.
    pub fn new(answer: &ApiAnswer<'_>, now_s: i64) -> Self {
        match answer.status {
            200 | 202 | 204 if answer.function_error.is_some() => {
                Self::FunctionError(function_error(answer))
            }
            200 => Self::Reply,
            202 => Self::Accepted,
            204 => Self::DryRun,
            413 => Self::TooLarge,
            429 => Self::Throttled { retry_after_s: retry_after_s(answer.retry_after) },
            _ => Self::refused(answer, now_s),
        }
    }

    fn refused(answer: &ApiAnswer<'_>, now_s: i64) -> Self {
        let name = exception_name(answer);
        let offset_s = answer.date.and_then(parse_date).map(|date_s| date_s - now_s);
        match name.as_str() {
            "RequestTooLargeException" | "SerializedRequestEntityTooLarge" => Self::TooLarge,
            "TooManyRequestsException" | "ThrottlingException" | "Throttling" => {
                Self::Throttled { retry_after_s: retry_after_s(answer.retry_after) }
            }
            "InvalidSignatureException"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
            | "SignatureDoesNotMatch" => match offset_s {
                Some(offset_s) if offset_s.abs() > MAX_SKEW_S => Self::ClockSkew { offset_s },
                _ => Self::CredentialsRejected(name),
            },
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException" => Self::CredentialsRejected(name),
            _ => Self::Api(name),
        }
    }
}

/// The exception's name: from the header, else from the body's `__type` or `code`, else from the status.
fn exception_name(answer: &ApiAnswer<'_>) -> ErrorName {
    match answer.error_type.filter(|name| !name.is_empty()) {
        Some(name) => ErrorName::new(name),
        None => match text_member(answer.body, &["__type", "code", "Code"]) {
            Some(name) => ErrorName::new(name.as_bytes()),
            None => ErrorName::new(format!("http.{}", answer.status).as_bytes()),
        },
    }
}

/// The `errorType` of the payload, else what the header says.
fn function_error(answer: &ApiAnswer<'_>) -> ErrorName {
    match text_member(answer.body, &["errorType"]) {
        Some(name) => ErrorName::new(name.as_bytes()),
        None => ErrorName::new(answer.function_error.unwrap_or_default()),
    }
}

/// The first of the members of a JSON object that is there and is a text.
pub(crate) fn text_member(json: &[u8], names: &[&str]) -> Option<String> {
    let object = Json::parse(json).ok()?;
    names.iter().find_map(|name| object.text_member(name)).map(str::to_owned)
}

/// Seconds of a `Retry-After`, 1 when there is none or it is a date.
fn retry_after_s(value: Option<&[u8]>) -> u32 {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    let seconds = text.and_then(crate::directive::parse_integer).unwrap_or(1);
    u32::try_from(seconds).unwrap_or(MAX_RETRY_AFTER_S).clamp(1, MAX_RETRY_AFTER_S)
}

/// Seconds since 1970 of an HTTP date; `None` for anything else.
///
/// Source: RFC 9110 section 5.6.7, whose IMF-fixdate is a date of RFC 2822.
fn parse_date(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    OffsetDateTime::parse(text, &Rfc2822).ok().map(OffsetDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 10:00:00 UTC.
    const NOW_S: i64 = 1_795_428_000;

    fn name(text: &str) -> ErrorName {
        ErrorName::new(text.as_bytes())
    }

    #[test]
    fn names_are_fit_for_logs() {
        for (text, expected) in [
            ("ResourceNotFoundException", "ResourceNotFoundException"),
            ("TooManyRequestsException:http://internal.amazon.com/x/", "TooManyRequestsException"),
            ("com.amazon.coral.service#AccessDeniedException", "AccessDeniedException"),
            ("Runtime.ExitError", "Runtime.ExitError"),
            ("My_Error", "My_Error"),
            ("com.example.Outer$Inner-2", "com.example.Outer$Inner-2"),
            ("Sandbox.Timedout: 3.00 s", "Sandbox.Timedout"),
            ("Bad\r\nName", "Bad"),
            ("", "unknown"),
            ("\n", "unknown"),
        ] {
            assert_eq!(name(text).as_str(), expected, "{text}");
        }
        assert_eq!(name(&"x".repeat(100)).as_str().len(), 64);
    }

    #[test]
    fn answers_are_told_by_status() {
        let answer = |status| ApiAnswer { status, body: b"{}", ..ApiAnswer::default() };
        for (status, expected) in [
            (200, Outcome::Reply),
            (202, Outcome::Accepted),
            (204, Outcome::DryRun),
            (413, Outcome::TooLarge),
            (429, Outcome::Throttled { retry_after_s: 1 }),
            (500, Outcome::Api(name("http.500"))),
            (302, Outcome::Api(name("http.302"))),
        ] {
            assert_eq!(Outcome::new(&answer(status), NOW_S), expected, "{status}");
        }
    }

    #[test]
    fn a_function_error_has_the_functions_own_type() {
        for (body, expected) in [
            (r#"{"errorMessage":"secret","errorType":"KeyError","stackTrace":[]}"#, "KeyError"),
            (r#"{"errorType":5}"#, "Unhandled"),
            ("not JSON", "Unhandled"),
        ] {
            let answer = ApiAnswer {
                status: 200,
                function_error: Some(b"Unhandled"),
                body: body.as_bytes(),
                ..ApiAnswer::default()
            };
            assert_eq!(Outcome::new(&answer, NOW_S), Outcome::FunctionError(name(expected)));
        }
    }

    #[test]
    fn refusals_are_told_by_exception() {
        let throttled = Outcome::Throttled { retry_after_s: 1 };
        let rejected = |text| Outcome::CredentialsRejected(name(text));
        let api = |text| Outcome::Api(name(text));
        for (status, header, body, expected) in [
            (404, "ResourceNotFoundException", "", api("ResourceNotFoundException")),
            (403, "AccessDeniedException", "", api("AccessDeniedException")),
            (403, "", r#"{"Message":"no"}"#, api("http.403")),
            (403, "ExpiredTokenException", "", rejected("ExpiredTokenException")),
            (403, "UnrecognizedClientException", "", rejected("UnrecognizedClientException")),
            (403, "InvalidSignatureException", "", rejected("InvalidSignatureException")),
            (403, "", r#"{"__type":"a.b#ExpiredToken"}"#, rejected("ExpiredToken")),
            (400, "", r#"{"code":"RequestTooLargeException"}"#, Outcome::TooLarge),
            (400, "ThrottlingException", "", throttled),
            (500, "ServiceException:", "", api("ServiceException")),
        ] {
            let answer = ApiAnswer {
                status,
                error_type: Some(header.as_bytes()),
                body: body.as_bytes(),
                ..ApiAnswer::default()
            };
            assert_eq!(Outcome::new(&answer, NOW_S), expected, "{status} {header} {body}");
        }
    }

    #[test]
    fn a_refused_signature_at_another_time_is_a_skewed_clock() {
        let rejected = Outcome::CredentialsRejected(name("InvalidSignatureException"));
        for (date, expected) in [
            ("Mon, 23 Nov 2026 10:00:00 GMT", rejected.clone()),
            ("Mon, 23 Nov 2026 10:03:59 GMT", rejected.clone()),
            ("Mon, 23 Nov 2026 10:10:00 GMT", Outcome::ClockSkew { offset_s: 600 }),
            ("Mon, 23 Nov 2026 09:00:00 GMT", Outcome::ClockSkew { offset_s: -3_600 }),
            ("yesterday", rejected),
        ] {
            let answer = ApiAnswer {
                status: 403,
                error_type: Some(b"InvalidSignatureException"),
                date: Some(date.as_bytes()),
                ..ApiAnswer::default()
            };
            assert_eq!(Outcome::new(&answer, NOW_S), expected, "{date}");
        }
    }

    #[test]
    fn retry_after_is_between_a_second_and_an_hour() {
        for (value, expected) in [
            (None, 1),
            (Some("0"), 1),
            (Some("7"), 7),
            (Some("99999999999"), 3_600),
            (Some("Mon, 23 Nov 2026 10:00:00 GMT"), 1),
        ] {
            assert_eq!(retry_after_s(value.map(str::as_bytes)), expected, "{value:?}");
        }
    }
}
