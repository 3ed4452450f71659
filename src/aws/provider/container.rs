//! The credentials endpoint of ECS tasks and of EKS Pod Identity.
//!
//! Source: "Container credential provider" of the AWS SDKs and Tools reference guide.

use std::net::IpAddr;
use std::path::Path;

use ureq::http::Uri;

use super::error::{FetchError, Origin};
use super::http::{Call, LOCAL, exchange};
use super::{file, from_document, shown};
use crate::aws::credentials::Credentials;
use crate::aws::environment::Environment;

const ORIGIN: Origin = Origin::Container;
const RELATIVE_BASE: &str = "http://169.254.170.2";
/// Endpoints that may be asked without TLS, besides loopback: ECS, and EKS over IPv4 and IPv6.
const PLAIN_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// The credentials of the task or pod.
pub(crate) fn fetch(environment: &Environment) -> Result<Credentials, FetchError> {
    let url = url(environment)?;
    let token = token(environment)?;
    let headers: &[(&str, &str)] = match &token {
        Some(token) => &[("accept", "application/json"), ("authorization", token)],
        None => &[("accept", "application/json")],
    };
    let call =
        Call { origin: ORIGIN, method: "GET", url: &url, headers, body: "", timeouts: LOCAL };
    let reply = exchange(&call, environment)?;
    match reply.status {
        200 => from_document(ORIGIN, &reply.body),
        status => {
            let code = error_code(&reply.body).unwrap_or_else(|| "no reason given".to_owned());
            Err(FetchError::Refused { origin: ORIGIN, status, code })
        }
    }
}

fn error_code(body: &str) -> Option<String> {
    let reply: serde_json::Value = serde_json::from_str(body).ok()?;
    let code = reply.get("code").or_else(|| reply.get("Code"))?;
    code.as_str().map(shown)
}

fn url(environment: &Environment) -> Result<String, FetchError> {
    if let Some(path) = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        if path.starts_with('/') {
            return Ok(format!("{RELATIVE_BASE}{path}"));
        }
        return Err(invalid("\"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI\" is no path"));
    }
    let Some(url) = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
        let missing = "\"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI\" is not set".to_owned();
        return Err(FetchError::NotConfigured { origin: ORIGIN, missing });
    };
    if may_be_asked(url) {
        return Ok(url.to_owned());
    }
    Err(invalid(
        "\"AWS_CONTAINER_CREDENTIALS_FULL_URI\" must be https, or http to loopback, ECS or EKS",
    ))
}

/// The token must not go in clear text to anybody but the host itself.
fn may_be_asked(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || PLAIN_HOSTS.contains(&host),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        },
        _ => false,
    }
}

/// The `Authorization` header's value. The token file goes first and is read each time: EKS renews it.
fn token(environment: &Environment) -> Result<Option<String>, FetchError> {
    let token = match environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(file::read(Path::new(path))?),
        None => environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
    };
    let Some(token) = token.map(|token| token.trim().to_owned()) else { return Ok(None) };
    if token.is_empty() || token.bytes().any(|byte| byte.is_ascii_control() || !byte.is_ascii()) {
        return Err(invalid("the authorization token has characters that no token has"));
    }
    Ok(Some(token))
}

fn invalid(what: &str) -> FetchError {
    FetchError::Invalid { origin: ORIGIN, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn the_token_file_is_read_again_at_every_fetch() {
        let server = Server::start(|asked| {
            let reply = r#"{"AccessKeyId":"AKID","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T12:00:00Z"}"#;
            assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/v1/credentials"));
            (200, reply.to_owned())
        });
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let environment = Environment::from_iter([
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v1/credentials", server.url())),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.display().to_string()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "unused".to_owned()),
        ]);
        assert!(matches!(fetch(&environment), Err(FetchError::File { .. })));
        for text in ["first\n", "second"] {
            std::fs::write(&token, text).unwrap();
            let expected = Credentials::new("AKID", "s", Some("t"), Some(1_795_435_200)).unwrap();
            assert_eq!(fetch(&environment), Ok(expected));
        }
        std::fs::write(&token, "bad\nx: y").unwrap();
        assert!(matches!(fetch(&environment), Err(FetchError::Invalid { .. })));
        let asked = server.finish();
        let sent: Vec<_> = asked.iter().map(|asked| asked.header("authorization")).collect();
        assert_eq!(sent, [Some("first"), Some("second")]);
    }

    #[test]
    fn a_refusal_is_told_by_its_code() {
        let server = Server::start(|asked| {
            assert_eq!(asked.header("authorization"), Some("Basic abc"));
            (400, r#"{"code":"InvalidTokenError","message":"secret details"}"#.to_owned())
        });
        let environment = Environment::from_iter([
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc".to_owned()),
        ]);
        assert_eq!(
            fetch(&environment).unwrap_err().to_string(),
            "container: refused with status 400: InvalidTokenError"
        );
    }

    #[test]
    fn a_redirect_is_a_refusal_and_not_followed() {
        let server = Server::start(|_| (307, String::new()));
        let environment =
            Environment::from_iter([("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url())]);
        assert_eq!(
            fetch(&environment).unwrap_err().to_string(),
            "container: refused with status 307: no reason given"
        );
        assert_eq!(server.finish().len(), 1);
    }

    #[test]
    fn tokens_go_in_clear_text_to_the_host_itself_alone() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://127.9.9.9/", true),
            ("http://localhost/x", true),
            ("http://[::1]:81/x", true),
            ("http://169.254.170.2/v2", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("https://credentials.example/x", true),
            ("http://credentials.example/x", false),
            ("http://169.254.169.254/x", false),
            ("http://10.0.0.1/x", false),
            ("http://localhost.evil.example/x", false),
            ("http://127.0.0.1@evil.example/x", false),
            ("ftp://127.0.0.1/x", false),
            ("/x", false),
        ] {
            assert_eq!(may_be_asked(url), expected, "{url}");
        }
    }

    #[test]
    fn the_relative_uri_goes_first_and_must_be_a_path() {
        let url_of = |pairs: &[(&str, &str)]| url(&pairs.iter().copied().collect());
        let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/full");
        let relative = |path| ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path);
        assert_eq!(url_of(&[full]).as_deref(), Ok("http://localhost/full"));
        assert_eq!(url_of(&[full, relative("/v2/x")]).as_deref(), Ok("http://169.254.170.2/v2/x"));
        assert!(matches!(url_of(&[relative("@evil.example/")]), Err(FetchError::Invalid { .. })));
        assert!(matches!(url_of(&[]), Err(FetchError::NotConfigured { .. })));
    }
}
