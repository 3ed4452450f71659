//! The directives of connections, TLS and retries.

use std::time::Duration;

use super::directive;
use crate::directive::{Context, DirectiveError, Takes, Words, parse_integer, parse_time};
use crate::lambda::endpoint::Endpoint;

/// `lambda_keepalive`: the pool of idle connections of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// The most idle connections; 0 closes each after its request.
    pub max_idle: u32,
    /// How long a connection may be idle.
    pub timeout: Duration,
    /// Connections that are opened ahead of need.
    pub min_idle: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { max_idle: 64, timeout: Duration::from_secs(60), min_idle: 0 }
    }
}

/// `lambda_next_upstream`: what another try is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the condition of its name")]
pub struct Conditions {
    pub error: bool,
    pub timeout: bool,
    pub invalid_header: bool,
    pub throttled: bool,
    pub http_500: bool,
    pub http_502: bool,
    pub http_503: bool,
    pub http_504: bool,
    /// Also when the request was sent, so that a function may be invoked twice.
    pub non_idempotent: bool,
}

impl Conditions {
    /// `off`
    pub const NONE: Self = Self {
        error: false,
        timeout: false,
        invalid_header: false,
        throttled: false,
        http_500: false,
        http_502: false,
        http_503: false,
        http_504: false,
        non_idempotent: false,
    };

    /// True when an answer of the API with this status is worth another try.
    ///
    /// A throttled invocation did not run, and 5xx of the API are its own: a function's statuses are in its payload.
    pub fn covers_status(&self, status: u16) -> bool {
        match status {
            429 => self.throttled,
            500 => self.http_500,
            502 => self.http_502,
            503 => self.http_503,
            504 => self.http_504,
            _ => false,
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "error" => &mut self.error,
            "timeout" => &mut self.timeout,
            "invalid_header" => &mut self.invalid_header,
            "throttled" | "http_429" => &mut self.throttled,
            "http_500" => &mut self.http_500,
            "http_502" => &mut self.http_502,
            "http_503" => &mut self.http_503,
            "http_504" => &mut self.http_504,
            "non_idempotent" => &mut self.non_idempotent,
            _ => return None,
        })
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self { error: true, timeout: true, ..Self::NONE }
    }
}

directive!(
    /// `lambda_endpoint URL | UPSTREAM;`
    LambdaEndpoint = "lambda_endpoint",
    "URL | UPSTREAM",
    "https://lambda.REGION.amazonaws.com",
    Context::ANY,
    Takes::One,
    |words, level| {
        let text = words.first()?;
        let endpoint = Endpoint::parse(text).ok_or_else(|| words.invalid(text))?;
        words.set_once(&mut level.endpoint, (endpoint, words.place().clone()))
    }
);

directive!(
    /// `lambda_connect_timeout TIME;`
    LambdaConnectTimeout = "lambda_connect_timeout",
    "TIME",
    "60s",
    Context::ANY,
    Takes::One,
    |words, level| words.set_once(&mut level.connect_timeout, positive_time(words)?)
);

directive!(
    /// `lambda_send_timeout TIME;`
    LambdaSendTimeout = "lambda_send_timeout",
    "TIME",
    "60s",
    Context::ANY,
    Takes::One,
    |words, level| words.set_once(&mut level.send_timeout, positive_time(words)?)
);

directive!(
    /// `lambda_read_timeout TIME;`
    LambdaReadTimeout = "lambda_read_timeout",
    "TIME",
    "60s",
    Context::ANY,
    Takes::One,
    |words, level| words.set_once(&mut level.read_timeout, positive_time(words)?)
);

directive!(
    /// `lambda_keepalive N [timeout=TIME] [min_idle=N];`
    LambdaKeepalive = "lambda_keepalive",
    "N [timeout=TIME] [min_idle=N] | off",
    "64 timeout=60s",
    Context::ANY,
    Takes::OneOrMore,
    |words, level| {
        let keepalive = parse_keepalive(words)?;
        words.set_once(&mut level.keepalive, keepalive)
    }
);

directive!(
    /// `lambda_next_upstream COND...;`
    LambdaNextUpstream = "lambda_next_upstream",
    "error | timeout | invalid_header | throttled | http_500 | http_502 | http_503 | http_504 \
     | non_idempotent | off ...",
    "error timeout",
    Context::ANY,
    Takes::OneOrMore,
    |words, level| {
        let conditions = parse_conditions(words)?;
        words.set_once(&mut level.next_upstream, conditions)
    }
);

directive!(
    /// `lambda_next_upstream_tries N;`
    LambdaNextUpstreamTries = "lambda_next_upstream_tries",
    "N",
    "3",
    Context::ANY,
    Takes::One,
    |words, level| {
        let text = words.first()?;
        let tries = parse_count(text).ok_or_else(|| words.invalid(text))?;
        words.set_once(&mut level.next_upstream_tries, tries)
    }
);

directive!(
    /// `lambda_next_upstream_timeout TIME;`
    LambdaNextUpstreamTimeout = "lambda_next_upstream_timeout",
    "TIME",
    "0",
    Context::ANY,
    Takes::One,
    |words, level| {
        let text = words.first()?;
        let timeout = parse_time(text).ok_or_else(|| words.invalid(text))?;
        words.set_once(&mut level.next_upstream_timeout, timeout)
    }
);

directive!(
    /// `lambda_ssl_verify on | off;`
    LambdaSslVerify = "lambda_ssl_verify",
    "on | off",
    "on",
    Context::ANY,
    Takes::One,
    |words, level| words.set_once(&mut level.ssl_verify, words.flag()?)
);

directive!(
    /// `lambda_ssl_trusted_certificate FILE;`
    LambdaSslTrustedCertificate = "lambda_ssl_trusted_certificate",
    "FILE",
    "",
    Context::ANY,
    Takes::One,
    |words, level| {
        let file = words.path(words.first()?);
        #[allow(clippy::disallowed_methods, reason = "called while the configuration is read")]
        std::fs::File::open(&file).map_err(|error| {
            DirectiveError::new(format!("cannot read \"{}\": {error}", file.display()))
        })?;
        words.set_once(&mut level.ssl_trusted_certificate, (file, words.place().clone()))
    }
);

directive!(
    /// `lambda_ssl_name NAME;`
    LambdaSslName = "lambda_ssl_name",
    "NAME",
    "",
    Context::ANY,
    Takes::One,
    |words, level| {
        let name = words.first()?;
        let is_name_byte =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            return Err(words.invalid(name));
        }
        words.set_once(&mut level.ssl_name, name.into())
    }
);

fn positive_time(words: &Words<'_>) -> Result<Duration, DirectiveError> {
    let text = words.first()?;
    parse_time(text).filter(|time| !time.is_zero()).ok_or_else(|| words.invalid(text))
}

fn parse_count(text: &str) -> Option<u32> {
    parse_integer(text)?.try_into().ok()
}

fn parse_keepalive(words: &Words<'_>) -> Result<Keepalive, DirectiveError> {
    if words.is_off()? {
        return Ok(Keepalive { max_idle: 0, ..Keepalive::default() });
    }
    let text = words.first()?;
    let max_idle = parse_count(text).ok_or_else(|| words.invalid(text))?;
    let (mut timeout, mut min_idle) = (None, None);
    for parameter in words.parameters(1) {
        match parameter.name {
            "timeout" => {
                let time = parameter.parsed(parse_time)?;
                if time.is_zero() {
                    return Err(parameter.invalid());
                }
                parameter.set_once(&mut timeout, time)?;
            }
            "min_idle" => {
                let count = parameter.parsed(parse_count)?;
                if count > max_idle {
                    return Err(parameter.invalid());
                }
                parameter.set_once(&mut min_idle, count)?;
            }
            _ => return Err(parameter.invalid()),
        }
    }
    let default = Keepalive::default();
    Ok(Keepalive {
        max_idle,
        timeout: timeout.unwrap_or(default.timeout),
        min_idle: min_idle.unwrap_or(default.min_idle),
    })
}

fn parse_conditions(words: &Words<'_>) -> Result<Conditions, DirectiveError> {
    let mut conditions = Conditions::NONE;
    if words.is_off()? {
        return Ok(conditions);
    }
    for word in words.arguments() {
        let field = conditions.field(word).ok_or_else(|| words.invalid(word))?;
        if std::mem::replace(field, true) {
            return Err(DirectiveError::new(format!("duplicate value \"{word}\"")));
        }
    }
    Ok(conditions)
}
