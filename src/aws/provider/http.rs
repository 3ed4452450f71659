//! One blocking HTTP exchange with an endpoint that gives credentials.

use std::time::Duration;

use ureq::http::{Request, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, config::Config};

use super::error::{FetchError, Origin};
use crate::aws::environment::Environment;

/// The largest answer read.
const MAX_REPLY_BYTES: u64 = 256 * 1024;

/// How long an exchange may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) total: Duration,
}

/// The metadata service and container endpoints are beside the host.
pub(crate) const LOCAL: Timeouts =
    Timeouts { connect: Duration::from_secs(1), total: Duration::from_secs(2) };
/// STS is across the region.
pub(crate) const STS: Timeouts =
    Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(5) };

/// What is asked.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) origin: Origin,
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
    pub(crate) timeouts: Timeouts,
}

/// What is answered, whatever the status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The `Date` header; empty for none.
    pub(crate) date: String,
    pub(crate) body: String,
}

/// The answer, or why there is none. No redirect is followed, no proxy used: both would carry secrets elsewhere.
///
/// `https` is verified against the system's roots, or `AWS_CA_BUNDLE` where it is set.
pub(crate) fn exchange(call: &Call<'_>, environment: &Environment) -> Result<Reply, FetchError> {
    let unreachable = |reason: String| FetchError::Unreachable {
        origin: call.origin,
        endpoint: endpoint_of(call.url),
        reason,
    };
    let mut request = Request::builder().method(call.method).uri(call.url);
    for (name, value) in call.headers {
        request = request.header(*name, *value);
    }
    let request =
        request.body(call.body.to_owned()).map_err(|error| unreachable(error.to_string()))?;
    let agent = agent(call, environment)?;
    let failed = |error: ureq::Error| unreachable(describe(&error));
    let mut response = agent.run(request).map_err(failed)?;
    let status = response.status().as_u16();
    let date = response.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.unwrap_or_default().to_owned();
    let body = response.body_mut().with_config().limit(MAX_REPLY_BYTES);
    let body = body.read_to_string().map_err(failed)?;
    Ok(Reply { status, date, body })
}

fn agent(call: &Call<'_>, environment: &Environment) -> Result<Agent, FetchError> {
    let roots = match environment.get("AWS_CA_BUNDLE") {
        Some(path) if call.url.starts_with("https:") => read_roots(path)?,
        _ => RootCerts::PlatformVerifier,
    };
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
    let config = Config::builder()
        .tls_config(tls)
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .timeout_connect(Some(call.timeouts.connect))
        .timeout_global(Some(call.timeouts.total))
        .build();
    Ok(config.new_agent())
}

fn read_roots(path: &str) -> Result<RootCerts, FetchError> {
    let failed = |reason: String| FetchError::File { path: path.into(), reason };
    let pem = super::file::read(path.as_ref())?;
    let certificates: Result<Vec<Certificate<'static>>, _> = ureq::tls::parse_pem(pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect();
    let certificates = certificates.map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("no certificate in it".to_owned()));
    }
    Ok(RootCerts::from(certificates))
}

/// Scheme, host and port: a path or a query may hold a secret.
pub(crate) fn endpoint_of(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return "an unreadable address".to_owned() };
    let (scheme, host) = (uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default());
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// The client's error in words that can be logged.
fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "timed out".to_owned(),
        ureq::Error::HostNotFound => "host not found".to_owned(),
        ureq::Error::BodyExceedsLimit(_) => "the answer is too large".to_owned(),
        ureq::Error::BadUri(_) => "not an http or https address".to_owned(),
        other => other.to_string(),
    }
}
