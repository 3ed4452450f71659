//! The places credentials come from. All of it blocks: it runs on helper threads, or while the configuration is read.

pub(crate) mod container;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod http;
pub(crate) mod imds;
pub(crate) mod ini;
pub(crate) mod profile;
pub(crate) mod sts;
#[cfg(test)]
pub(crate) mod testing;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::credentials::Credentials;
use super::environment::Environment;
use super::region::Region;
use error::{FetchError, Origin};

/// What a provider looks at.
pub(crate) struct Situation<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) files: &'a profile::ProfileFiles,
    pub(crate) now_unix_s: u64,
    /// The region for STS; may ask the metadata service.
    pub(crate) region: &'a dyn Fn() -> Result<Region, FetchError>,
}

/// The credentials in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
pub(crate) fn from_environment(environment: &Environment) -> Result<Credentials, FetchError> {
    let origin = Origin::Env;
    let (key, secret) =
        (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY"));
    let missing = |name: &str| format!("\"{name}\" is not set");
    match (key, secret) {
        (Some(key), Some(secret)) => {
            let token = environment.get("AWS_SESSION_TOKEN");
            let what = "the access key in the environment has characters that no key has";
            Credentials::new(key, secret, token, None)
                .ok_or_else(|| FetchError::Invalid { origin, what: what.to_owned() })
        }
        (None, None) => {
            Err(FetchError::NotConfigured { origin, missing: missing("AWS_ACCESS_KEY_ID") })
        }
        (None, Some(_)) => Err(FetchError::Invalid { origin, what: missing("AWS_ACCESS_KEY_ID") }),
        (Some(_), None) => {
            Err(FetchError::Invalid { origin, what: missing("AWS_SECRET_ACCESS_KEY") })
        }
    }
}

/// The document that the metadata service and container endpoints answer with.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

/// The credentials in such a document.
fn from_document(origin: Origin, body: &str) -> Result<Credentials, FetchError> {
    let unreadable = |what| FetchError::Unreadable { origin, what };
    let document: Document =
        serde_json::from_str(body).map_err(|_| unreadable("it is not the expected JSON"))?;
    if let Some(code) = document.code.as_deref().filter(|code| *code != "Success") {
        return Err(FetchError::Refused { origin, status: 200, code: shown(code) });
    }
    let expiration = document.expiration.as_deref();
    from_parts(
        origin,
        document.access_key_id.as_deref(),
        document.secret_access_key.as_deref(),
        document.token.as_deref(),
        expiration,
    )
}

/// The credentials made of an answer's parts; all but the token must be there.
fn from_parts(
    origin: Origin,
    key: Option<&str>,
    secret: Option<&str>,
    token: Option<&str>,
    expiration: Option<&str>,
) -> Result<Credentials, FetchError> {
    let unreadable = |what| FetchError::Unreadable { origin, what };
    let (Some(key), Some(secret)) = (key, secret) else {
        return Err(unreadable("it has no access key"));
    };
    let expires_at_unix_s = match expiration {
        None => None,
        Some(text) => Some(parse_time(text).ok_or(unreadable("its expiration is no time"))?),
    };
    Credentials::new(key, secret, token, expires_at_unix_s)
        .ok_or(unreadable("its access key has characters that no key has"))
}

/// Seconds since 1970 of `2026-11-23T12:00:00Z`.
fn parse_time(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

/// An error code of a reply as it may stand in a log: short, words only.
fn shown(code: &str) -> String {
    let good = |character: &char| character.is_ascii_alphanumeric() || "._- ".contains(*character);
    code.chars().filter(good).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_a_whole_key_or_none() {
        let fetch = |pairs: &[(&str, &str)]| {
            from_environment(&pairs.iter().copied().collect()).map_err(|error| error.to_string())
        };
        let (key, secret) = (("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s"));
        let expected = |token| Ok(Credentials::new("AKID", "s", token, None).unwrap());
        assert_eq!(fetch(&[key, secret]), expected(None));
        assert_eq!(fetch(&[key, secret, ("AWS_SESSION_TOKEN", "t")]), expected(Some("t")));
        assert_eq!(fetch(&[]), Err("env: \"AWS_ACCESS_KEY_ID\" is not set".to_owned()));
        assert_eq!(fetch(&[key]), Err("env: \"AWS_SECRET_ACCESS_KEY\" is not set".to_owned()));
        assert_eq!(fetch(&[secret]), Err("env: \"AWS_ACCESS_KEY_ID\" is not set".to_owned()));
        let broken = fetch(&[key, ("AWS_SECRET_ACCESS_KEY", "s3cr3t\u{7f}x")]).unwrap_err();
        assert!(!broken.contains("s3cr3t"), "{broken}");
    }

    #[test]
    fn a_document_is_whole_or_an_error_without_secrets() {
        let read =
            |body: &str| from_document(Origin::Imds, body).map_err(|error| error.to_string());
        assert_eq!(
            read(
                r#"{"Code":"Success","LastUpdated":"x","Type":"AWS-HMAC","AccessKeyId":"AKID",
                    "SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T12:00:00Z"}"#
            ),
            Ok(Credentials::new("AKID", "s", Some("t"), Some(1_795_435_200)).unwrap())
        );
        for (body, expected) in [
            ("<html>", "imds: unreadable answer: it is not the expected JSON"),
            ("{}", "imds: unreadable answer: it has no access key"),
            (
                r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"x"}"#,
                "imds: refused with status 200: AssumeRoleUnauthorizedAccess",
            ),
            (
                r#"{"AccessKeyId":"AKID","SecretAccessKey":"s","Expiration":"soon"}"#,
                "imds: unreadable answer: its expiration is no time",
            ),
            (
                r#"{"AccessKeyId":"AKID","SecretAccessKey":""}"#,
                "imds: unreadable answer: its access key has characters that no key has",
            ),
        ] {
            assert_eq!(read(body), Err(expected.to_owned()));
        }
    }

    #[test]
    fn an_error_code_of_a_reply_cannot_forge_log_lines() {
        assert_eq!(shown("Access\nDenied: \"x\""), "AccessDenied x");
        assert_eq!(shown(&"x".repeat(100)).len(), 64);
    }
}
