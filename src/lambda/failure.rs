//! What clients are told when there is no reply, and what the log is told.

use super::api::{ErrorName, Outcome};
use super::event::TooLarge;
use super::reply::InvalidReply;
use crate::decision::{Policy, Reason, Refusal};

/// Why a request has no reply of its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The function's reply has not the right shape.
    InvalidReply(InvalidReply),
    /// The API's answer is no HTTP, or a stream's frames are none.
    InvalidAnswer,
    /// The answer is longer than `lambda_max_response`.
    AnswerTooLarge,
    /// The function failed.
    FunctionError(ErrorName),
    /// Too many invocations.
    Throttled {
        /// 1 to 3600.
        retry_after_s: u32,
    },
    /// The event is too large for `lambda_max_request` or for the API.
    TooLarge,
    /// Credentials were refused, also after a refresh.
    CredentialsRejected(ErrorName),
    /// The API refused for another reason.
    Api(ErrorName),
    /// The location's `lambda_pass` has as many destinations as it may, all of them in use.
    NoDestination,
    /// No connection to the endpoint, or it broke.
    Connect,
    /// No answer in time.
    Timeout,
    /// No credentials were fetched yet.
    NoCredentials {
        /// At least 1.
        retry_after_s: u32,
    },
}

impl Failure {
    /// The failure in an outcome; `None` when it is none.
    pub fn from_outcome(outcome: Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Reply | Outcome::Accepted | Outcome::DryRun => return None,
            Outcome::FunctionError(name) => Self::FunctionError(name),
            Outcome::Throttled { retry_after_s } => Self::Throttled { retry_after_s },
            Outcome::TooLarge => Self::TooLarge,
            Outcome::CredentialsRejected(name) => Self::CredentialsRejected(name),
            Outcome::ClockSkew { .. } => Self::CredentialsRejected(ErrorName::new(b"ClockSkew")),
            Outcome::Api(name) => Self::Api(name),
        })
    }

    /// `$lambda_error`: the function's error type, the API's exception, or what went wrong here.
    pub fn name(&self) -> &str {
        match self {
            Self::InvalidReply(_) | Self::InvalidAnswer | Self::AnswerTooLarge => "invalid_reply",
            Self::FunctionError(name) | Self::CredentialsRejected(name) | Self::Api(name) => {
                name.as_str()
            }
            Self::Throttled { .. } => "throttled",
            Self::TooLarge => "too_large",
            Self::NoDestination => "destinations",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::NoCredentials { .. } => "credentials",
        }
    }

    /// What kind of failure it is, whatever its name.
    pub fn reason(&self) -> Reason {
        self.terms(0).0
    }

    fn terms(&self, function_error_status: u16) -> (Reason, u16, &'static str) {
        match self {
            Self::InvalidReply(_) | Self::InvalidAnswer | Self::AnswerTooLarge => (
                Reason::InvalidReply,
                502,
                "An invalid response was received from the upstream function",
            ),
            Self::FunctionError(_) => {
                (Reason::FunctionError, function_error_status, "Function failed")
            }
            Self::Throttled { .. } => (Reason::Throttled, 429, "Function is throttled"),
            Self::TooLarge => (Reason::TooLarge, 413, "Request body is too large for the function"),
            Self::CredentialsRejected(_) => {
                (Reason::Credentials, 502, "Function could not be invoked")
            }
            Self::Api(_) | Self::NoDestination => {
                (Reason::Api, 502, "Function could not be invoked")
            }
            Self::Connect => (Reason::Connect, 502, "Function endpoint is unreachable"),
            Self::Timeout => (Reason::Timeout, 504, "Function timed out"),
            Self::NoCredentials { .. } => {
                (Reason::Credentials, 503, "Function credentials are not available yet")
            }
        }
    }

    /// What the client gets; `function_error_status` is `lambda_function_error`.
    pub fn refusal(&self, function_error_status: u16) -> Refusal {
        let (reason, status, message) = self.terms(function_error_status);
        let refusal = Refusal::new(Policy::Lambda, reason, status, message);
        match self {
            Self::Throttled { retry_after_s } | Self::NoCredentials { retry_after_s } => {
                refusal.with_header("Retry-After", retry_after_s.max(&1).to_string())
            }
            _ => refusal,
        }
    }
}

impl From<InvalidReply> for Failure {
    fn from(invalid: InvalidReply) -> Self {
        Self::InvalidReply(invalid)
    }
}

impl From<TooLarge> for Failure {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_status_text_and_reason() {
        let name = || ErrorName::new(b"SomeException");
        for (failure, status, message, reason, log_name, retry_after) in [
            (
                Failure::InvalidReply(InvalidReply::NotJson),
                502,
                "An invalid response was received from the upstream function",
                "invalid_reply",
                "invalid_reply",
                None,
            ),
            (
                Failure::InvalidAnswer,
                502,
                "An invalid response was received from the upstream function",
                "invalid_reply",
                "invalid_reply",
                None,
            ),
            (
                Failure::AnswerTooLarge,
                502,
                "An invalid response was received from the upstream function",
                "invalid_reply",
                "invalid_reply",
                None,
            ),
            (
                Failure::FunctionError(name()),
                599,
                "Function failed",
                "function_error",
                "SomeException",
                None,
            ),
            (
                Failure::Throttled { retry_after_s: 7 },
                429,
                "Function is throttled",
                "throttled",
                "throttled",
                Some("7"),
            ),
            (
                Failure::TooLarge,
                413,
                "Request body is too large for the function",
                "too_large",
                "too_large",
                None,
            ),
            (
                Failure::CredentialsRejected(name()),
                502,
                "Function could not be invoked",
                "credentials",
                "SomeException",
                None,
            ),
            (
                Failure::Api(name()),
                502,
                "Function could not be invoked",
                "api",
                "SomeException",
                None,
            ),
            (
                Failure::NoDestination,
                502,
                "Function could not be invoked",
                "api",
                "destinations",
                None,
            ),
            (Failure::Connect, 502, "Function endpoint is unreachable", "connect", "connect", None),
            (Failure::Timeout, 504, "Function timed out", "timeout", "timeout", None),
            (
                Failure::NoCredentials { retry_after_s: 0 },
                503,
                "Function credentials are not available yet",
                "credentials",
                "credentials",
                Some("1"),
            ),
        ] {
            let refusal = failure.refusal(599);
            assert_eq!((refusal.status, &*refusal.message), (status, message), "{failure:?}");
            assert_eq!((refusal.reason.as_str(), failure.name()), (reason, log_name));
            assert_eq!(refusal.policy, Policy::Lambda);
            let expected: Vec<_> =
                retry_after.map(|value| ("Retry-After", value.to_owned())).into_iter().collect();
            assert_eq!(refusal.headers, expected, "{failure:?}");
        }
    }
}
