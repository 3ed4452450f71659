//! What a policy decides: go on, refuse, or answer in the handler's place.

use std::borrow::Cow;

/// A policy's word on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request goes on to the next policy.
    Continue,
    /// The request ends here with an error.
    Refuse(Refusal),
    /// The request ends here with a complete answer that is no error.
    Answer(Reply),
}

/// A complete answer without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status, 200 to 399.
    pub status: u16,
    /// Headers besides nginx's own.
    pub headers: Vec<(&'static str, String)>,
}

/// Why a request is refused and what its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who refuses.
    pub policy: Policy,
    /// Why, for logs, metrics and `$policy_reason`.
    pub reason: Reason,
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// The error body's `message`.
    pub message: Cow<'static, str>,
    /// Headers besides nginx's own, such as `Retry-After`.
    pub headers: Vec<(&'static str, String)>,
    /// What does not conform, for `validate_errors detailed`; at most [`MAX_FAULTS`].
    pub faults: Vec<Fault>,
}

/// The most entries of an error body's `errors`.
pub const MAX_FAULTS: usize = 20;

impl Refusal {
    /// A refusal without headers and faults.
    pub fn new(
        policy: Policy,
        reason: Reason,
        status: u16,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (headers, faults) = (Vec::new(), Vec::new());
        Self { policy, reason, status, message: message.into(), headers, faults }
    }

    /// The same refusal with one header more.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// One entry of `errors` in a validation error body. Values of the request are never in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `body`, `header`, `query` or `path`.
    pub location: &'static str,
    /// The parameter's name; `None` for the body.
    pub name: Option<String>,
    /// JSON pointer into the body or the parameter's value.
    pub pointer: String,
    /// The schema keyword that failed.
    pub keyword: String,
    /// What was expected.
    pub message: String,
}

/// The names of `$policy_name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the names that as_str spells")]
pub enum Policy {
    Cors,
    KeyAuth,
    KeyAuthFailures,
    Acl,
    RateLimit,
    ValidateBody,
    ValidateParam,
    ValidateOpenapi,
    Method,
    Path,
    Lambda,
    ResponseJson,
}

impl Policy {
    /// The value of `$policy_name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::KeyAuth => "key_auth",
            Self::KeyAuthFailures => "key_auth_failures",
            Self::Acl => "acl",
            Self::RateLimit => "rate_limit",
            Self::ValidateBody => "validate_body",
            Self::ValidateParam => "validate_param",
            Self::ValidateOpenapi => "validate_openapi",
            Self::Method => "method",
            Self::Path => "path",
            Self::Lambda => "lambda",
            Self::ResponseJson => "response_json",
        }
    }
}

/// The names of `$policy_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the names that as_str spells")]
pub enum Reason {
    NoKey,
    DuplicateKey,
    UnknownKey,
    ExpiredKey,
    DisabledKey,
    FutureKey,
    NoIdentity,
    Group,
    Limit,
    Store,
    ContentType,
    NotJson,
    BodySchema,
    ParamSchema,
    NoOperation,
    Method,
    AmbiguousPath,
    Throttled,
    TooLarge,
    FunctionError,
    InvalidReply,
    Api,
    Connect,
    Timeout,
    Credentials,
    Unreadable,
}

impl Reason {
    /// The value of `$policy_reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::DuplicateKey => "duplicate_key",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredKey => "expired_key",
            Self::DisabledKey => "disabled_key",
            Self::FutureKey => "future_key",
            Self::NoIdentity => "no_identity",
            Self::Group => "group",
            Self::Limit => "limit",
            Self::Store => "store",
            Self::ContentType => "content_type",
            Self::NotJson => "not_json",
            Self::BodySchema => "body_schema",
            Self::ParamSchema => "param_schema",
            Self::NoOperation => "no_operation",
            Self::Method => "method",
            Self::AmbiguousPath => "ambiguous_path",
            Self::Throttled => "throttled",
            Self::TooLarge => "too_large",
            Self::FunctionError => "function_error",
            Self::InvalidReply => "invalid_reply",
            Self::Api => "api",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Credentials => "credentials",
            Self::Unreadable => "unreadable",
        }
    }
}
