//! The directives of a level, how levels inherit, and the plan that they make.

mod connection;
mod event;
mod pass;
mod reply;

use std::path::PathBuf;
use std::time::Duration;

pub use connection::{
    Conditions, Keepalive, LambdaConnectTimeout, LambdaEndpoint, LambdaKeepalive,
    LambdaNextUpstream, LambdaNextUpstreamTimeout, LambdaNextUpstreamTries, LambdaReadTimeout,
    LambdaSendTimeout, LambdaSslName, LambdaSslTrustedCertificate, LambdaSslVerify,
};
pub use event::{ForwardedFrom, LambdaMaxRequest, LambdaStage, LambdaStripPrefix};
pub use pass::{LambdaPass, Pass};
pub use reply::{
    LambdaFunctionError, LambdaHideHeader, LambdaLogTail, LambdaMaxResponse, LambdaPassHeader,
};

use super::endpoint::Endpoint;
use super::network::Network;
use crate::directive::{DirectiveError, Place};

const MEBIBYTE: u64 = 1 << 20;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The `lambda_*` directives of one level; `None` is not written.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each field is the directive of its name")]
pub struct LambdaDirectives {
    pub pass: Option<Pass>,
    pub endpoint: Option<(Endpoint, Place)>,
    pub connect_timeout: Option<Duration>,
    pub send_timeout: Option<Duration>,
    pub read_timeout: Option<Duration>,
    pub keepalive: Option<Keepalive>,
    pub next_upstream: Option<Conditions>,
    pub next_upstream_tries: Option<u32>,
    pub next_upstream_timeout: Option<Duration>,
    pub max_request: Option<u64>,
    pub max_response: Option<u64>,
    pub ssl_verify: Option<bool>,
    pub ssl_trusted_certificate: Option<(PathBuf, Place)>,
    pub ssl_name: Option<Box<str>>,
    pub hide_headers: Option<Vec<Box<str>>>,
    pub pass_headers: Option<Vec<Box<str>>>,
    pub function_error: Option<u16>,
    pub log_tail: Option<bool>,
    /// The inner `None` is `off`.
    pub strip_prefix: Option<Option<Box<str>>>,
    /// The inner `None` is `off`.
    pub stage: Option<Option<Box<str>>>,
    /// Empty is `off`.
    pub forwarded_from: Option<Vec<Network>>,
}

/// What is in force in a location with `lambda_pass`.
#[derive(Clone, Debug)]
pub struct LambdaPlan {
    /// `lambda_pass`
    pub pass: Pass,
    /// `lambda_endpoint`; without it the region's own.
    pub endpoint: Option<(Endpoint, Place)>,
    /// `AWS_ENDPOINT_URL_LAMBDA` or `AWS_ENDPOINT_URL`: where the API is without `lambda_endpoint`. Function URLs stay
    /// where they are.
    pub environment_endpoint: Option<Endpoint>,
    /// `lambda_connect_timeout`
    pub connect_timeout: Duration,
    /// `lambda_send_timeout`
    pub send_timeout: Duration,
    /// `lambda_read_timeout`
    pub read_timeout: Duration,
    /// `lambda_keepalive`
    pub keepalive: Keepalive,
    /// `lambda_next_upstream`
    pub next_upstream: Conditions,
    /// `lambda_next_upstream_tries`; 0 is no limit.
    pub next_upstream_tries: u32,
    /// `lambda_next_upstream_timeout`; zero is no limit.
    pub next_upstream_timeout: Duration,
    /// The longest event in bytes; `usize::MAX` is no limit.
    pub max_request_bytes: usize,
    /// The longest answer in bytes; `usize::MAX` is no limit.
    pub max_response_bytes: usize,
    /// The longest streamed reply in bytes: `u64::MAX` unless `lambda_max_response` is written.
    pub max_stream_bytes: u64,
    /// `lambda_ssl_verify`
    pub ssl_verify: bool,
    /// `lambda_ssl_trusted_certificate`; without it the system's.
    pub ssl_trusted_certificate: Option<(PathBuf, Place)>,
    /// `lambda_ssl_name`; without it the endpoint's.
    pub ssl_name: Option<Box<str>>,
    /// `lambda_hide_header`, in lower case.
    pub hide_headers: Vec<Box<str>>,
    /// `lambda_pass_header`, in lower case.
    pub pass_headers: Vec<Box<str>>,
    /// `lambda_function_error`
    pub function_error_status: u16,
    /// `lambda_log_tail`
    pub log_tail: bool,
    /// `lambda_strip_prefix`
    pub strip_prefix: Option<Box<str>>,
    /// `lambda_stage`
    pub stage: Option<Box<str>>,
    /// `forwarded_from`
    pub forwarded_from: Vec<Network>,
}

impl LambdaDirectives {
    /// Takes over from the outer level what this one does not write.
    ///
    /// `lambda_pass` stays where it is: a nested location has its own content. `if` and `method` blocks, which share
    /// their location's, call [`Self::inherit_pass`] too.
    pub fn merge(&mut self, outer: &Self) {
        macro_rules! inherit {
            ($($field:ident)*) => {$(
                if self.$field.is_none() {
                    self.$field = outer.$field.clone();
                }
            )*};
        }
        inherit!(endpoint connect_timeout send_timeout read_timeout keepalive next_upstream);
        inherit!(next_upstream_tries next_upstream_timeout max_request max_response ssl_verify);
        inherit!(ssl_trusted_certificate ssl_name hide_headers pass_headers function_error);
        inherit!(log_tail strip_prefix stage forwarded_from);
    }

    /// Takes over the location's `lambda_pass` in a block that has no content of its own.
    pub fn inherit_pass(&mut self, location: &Self) {
        if self.pass.is_none() {
            self.pass = location.pass.clone();
        }
    }

    /// The plan, if the level has a `lambda_pass`. Levels are to be merged before.
    ///
    /// Errors: none today; every word is judged where it is written.
    pub fn compile(&self) -> Result<Option<LambdaPlan>, DirectiveError> {
        let Some(pass) = self.pass.clone() else { return Ok(None) };
        Ok(Some(LambdaPlan {
            pass,
            endpoint: self.endpoint.clone(),
            environment_endpoint: None,
            connect_timeout: self.connect_timeout.unwrap_or(DEFAULT_TIMEOUT),
            send_timeout: self.send_timeout.unwrap_or(DEFAULT_TIMEOUT),
            read_timeout: self.read_timeout.unwrap_or(DEFAULT_TIMEOUT),
            keepalive: self.keepalive.unwrap_or_default(),
            next_upstream: self.next_upstream.unwrap_or_default(),
            next_upstream_tries: self.next_upstream_tries.unwrap_or(3),
            next_upstream_timeout: self.next_upstream_timeout.unwrap_or_default(),
            max_request_bytes: limit_bytes(self.max_request),
            max_response_bytes: limit_bytes(self.max_response),
            max_stream_bytes: self.max_response.filter(|size| *size > 0).unwrap_or(u64::MAX),
            ssl_verify: self.ssl_verify.unwrap_or(true),
            ssl_trusted_certificate: self.ssl_trusted_certificate.clone(),
            ssl_name: self.ssl_name.clone(),
            hide_headers: self.hide_headers.clone().unwrap_or_default(),
            pass_headers: self.pass_headers.clone().unwrap_or_default(),
            function_error_status: self.function_error.unwrap_or(502),
            log_tail: self.log_tail.unwrap_or(false),
            strip_prefix: self.strip_prefix.clone().flatten(),
            stage: self.stage.clone().flatten(),
            forwarded_from: self.forwarded_from.clone().unwrap_or_default(),
        }))
    }
}

impl LambdaPlan {
    /// The plan with the endpoint that the environment names, as the AWS SDKs read it.
    ///
    /// Errors: the variable that counts holds no URL of a host.
    pub fn with_environment<'e>(
        mut self,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<Self, DirectiveError> {
        let is_ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let found = ["AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|name| variable(name).map(|value| (name, value)));
        if let Some((name, value)) = found
            && !is_ignored
            && self.endpoint.is_none()
        {
            let endpoint = Endpoint::parse(value).filter(|endpoint| !endpoint.is_bare);
            let invalid = || {
                let text = format!("invalid URL \"{value}\" in environment variable \"{name}\"");
                DirectiveError::new(text).at(&self.pass.place)
            };
            self.environment_endpoint = Some(endpoint.ok_or_else(invalid)?);
        }
        Ok(self)
    }

    /// Where connections go, if not to the region's own host; `is_url` for a function URL.
    pub fn endpoint(&self, is_url: bool) -> Option<&Endpoint> {
        let of_environment = self.environment_endpoint.as_ref().filter(|_| !is_url);
        self.endpoint.as_ref().map(|(endpoint, _)| endpoint).or(of_environment)
    }
}

/// 6 MiB when nothing is written; 0 is no limit, as in `client_max_body_size`.
fn limit_bytes(size: Option<u64>) -> usize {
    match size.unwrap_or(6 * MEBIBYTE) {
        0 => usize::MAX,
        size => usize::try_from(size).unwrap_or(usize::MAX),
    }
}

/// Declares a directive: its texts and where its words go.
macro_rules! directive {
    (
        $(#[$doc:meta])* $type:ident = $name:literal, $syntax:literal, $default:literal,
        $context:expr, $takes:expr, $(handles = $handles:literal,)?
        |$words:ident, $level:ident| $parse:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $type;

        impl crate::directive::Directive for $type {
            type Settings = crate::lambda::directives::LambdaDirectives;
            const NAME: &'static str = $name;
            const SYNTAX: &'static str = $syntax;
            const DEFAULT: &'static str = $default;
            const CONTEXT: crate::directive::Context = $context;
            const TAKES: crate::directive::Takes = $takes;
            $(const HANDLES: bool = $handles;)?

            fn parse(
                $words: &crate::directive::Words<'_>,
                $level: &mut Self::Settings,
            ) -> Result<(), crate::directive::DirectiveError> {
                $parse
            }
        }
    };
}
use directive;

#[cfg(test)]
mod tests;
