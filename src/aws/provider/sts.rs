//! AWS Security Token Service: roles assumed with credentials or with a web identity's token.
//!
//! Source: AWS Security Token Service API reference, `AssumeRole` and `AssumeRoleWithWebIdentity`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request as signing;
use aws_sigv4::sign::v4;
use ureq::http::Uri;

use super::error::{FetchError, Origin};
use super::http::{Call, Reply, STS, exchange};
use super::{Situation, file, from_parts, shown};
use crate::aws::canonical::encode;
use crate::aws::clock_skew::ClockSkew;
use crate::aws::credentials::Credentials;
use crate::aws::region::Region;

/// The session's name where none is given; it shows in CloudTrail.
pub(crate) const DEFAULT_SESSION: &str = "apigate";
const VERSION: &str = "2011-06-15";
const OK: u16 = 200;
const FORM: &str = "application/x-www-form-urlencoded";

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssumeRole {
    pub(crate) arn: String,
    pub(crate) session: String,
    pub(crate) external_id: Option<String>,
    pub(crate) duration_s: Option<u32>,
    /// STS's address; else the environment's, else the region's.
    pub(crate) sts_url: Option<String>,
}

/// True for what STS takes as a session's name.
pub(crate) fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len()) && text.bytes().all(|byte| is_word_byte(byte, b"_+=,.@-"))
}

/// True for what STS takes as an external id.
pub(crate) fn is_external_id(text: &str) -> bool {
    (2..=1224).contains(&text.len()) && text.bytes().all(|byte| is_word_byte(byte, b"_+=,.@:/-"))
}

fn is_word_byte(byte: u8, further: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || further.contains(&byte)
}

/// The role's credentials, asked for with other credentials.
pub(crate) fn assume_role(
    situation: &Situation<'_>,
    base: &Credentials,
    role: &AssumeRole,
    region: Option<Region>,
) -> Result<Credentials, FetchError> {
    let region = region.map_or_else(|| (situation.region)(), Ok)?;
    let duration = role.duration_s.map(|seconds| seconds.to_string());
    let body = form(&[
        ("Action", Some("AssumeRole")),
        ("Version", Some(VERSION)),
        ("RoleArn", Some(&role.arn)),
        ("RoleSessionName", Some(&role.session)),
        ("ExternalId", role.external_id.as_deref()),
        ("DurationSeconds", duration.as_deref()),
    ]);
    let url = endpoint(situation, role.sts_url.as_deref(), &region);
    let signed_at = |now_unix_s: u64| {
        let signature = sign(base, &region, &url, &body, now_unix_s)?;
        let mut headers = vec![("content-type", FORM)];
        headers.extend(signature.iter().map(|(name, value)| (*name, value.as_str())));
        ask(Origin::AssumeRole, &url, &headers, &body, situation)
    };
    let reply = signed_at(situation.now_unix_s)?;
    // A signature of another time is refused; the refusal tells the time that is right.
    let skew = ClockSkew::new();
    let corrected = reply.status != OK && skew.observe(&reply.date, situation.now_unix_s).is_some();
    let reply = match corrected {
        true => signed_at(skew.corrected(situation.now_unix_s))?,
        false => reply,
    };
    read(Origin::AssumeRole, &reply)
}

/// A web identity's role, as `AWS_WEB_IDENTITY_TOKEN_FILE` or a profile names it.
pub(crate) struct WebIdentity<'a> {
    pub(crate) token_file: &'a str,
    pub(crate) role_arn: &'a str,
    pub(crate) session: &'a str,
}

/// The credentials of the environment's web identity.
pub(crate) fn web_identity(situation: &Situation<'_>) -> Result<Credentials, FetchError> {
    let origin = Origin::WebIdentity;
    let missing = |name: &str| format!("\"{name}\" is not set");
    let environment = situation.environment;
    let Some(token_file) = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") else {
        return Err(FetchError::NotConfigured {
            origin,
            missing: missing("AWS_WEB_IDENTITY_TOKEN_FILE"),
        });
    };
    let Some(role_arn) = environment.get("AWS_ROLE_ARN") else {
        return Err(FetchError::Invalid { origin, what: missing("AWS_ROLE_ARN") });
    };
    let session = environment.get("AWS_ROLE_SESSION_NAME").unwrap_or(DEFAULT_SESSION);
    let identity = WebIdentity { token_file, role_arn, session };
    assume_role_with_web_identity(situation, &identity, None)
}

/// The role's credentials for the token in the file, which is read each time: it is renewed beside us. Not signed.
pub(crate) fn assume_role_with_web_identity(
    situation: &Situation<'_>,
    identity: &WebIdentity<'_>,
    region: Option<Region>,
) -> Result<Credentials, FetchError> {
    let token = file::read(Path::new(identity.token_file))?;
    let region = region.map_or_else(|| (situation.region)(), Ok)?;
    let body = form(&[
        ("Action", Some("AssumeRoleWithWebIdentity")),
        ("Version", Some(VERSION)),
        ("RoleArn", Some(identity.role_arn)),
        ("RoleSessionName", Some(identity.session)),
        ("WebIdentityToken", Some(token.trim())),
    ]);
    let url = endpoint(situation, None, &region);
    let reply = ask(Origin::WebIdentity, &url, &[("content-type", FORM)], &body, situation)?;
    read(Origin::WebIdentity, &reply)
}

fn endpoint(situation: &Situation<'_>, given: Option<&str>, region: &Region) -> String {
    let environment = situation.environment;
    let overridden = || {
        let ignored = environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        let named =
            environment.get("AWS_ENDPOINT_URL_STS").or_else(|| environment.get("AWS_ENDPOINT_URL"));
        named.filter(|_| !ignored).map(str::to_owned)
    };
    let url = given.map(str::to_owned).or_else(overridden);
    let url = url.unwrap_or_else(|| format!("https://{}", region.endpoint_host("sts")));
    format!("{}/", url.trim_end_matches('/'))
}

fn form(fields: &[(&str, Option<&str>)]) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        let Some(value) = value else { continue };
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        encode(value.as_bytes(), &mut body);
    }
    body
}

/// The headers of a signed request, `host` first.
fn sign(
    credentials: &Credentials,
    region: &Region,
    url: &str,
    body: &str,
    now_unix_s: u64,
) -> Result<Vec<(&'static str, String)>, FetchError> {
    let failed = |what: &str| FetchError::Invalid { origin: Origin::AssumeRole, what: what.into() };
    let uri: Uri = url.parse().map_err(|_| failed("the address of STS is not one"))?;
    let host = uri.authority().map_or("", |authority| authority.as_str()).to_owned();
    let identity = aws_credential_types::Credentials::from(credentials).into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(UNIX_EPOCH + Duration::from_secs(now_unix_s))
        .settings(signing::SigningSettings::default())
        .build()
        .map_err(|_| failed("the request to STS cannot be signed"))?
        .into();
    let headers = [("content-type", FORM), ("host", host.as_str())];
    let body = signing::SignableBody::Bytes(body.as_bytes());
    let signed = signing::SignableRequest::new("POST", url, headers.into_iter(), body)
        .and_then(|request| signing::sign(request, &params))
        .map_err(|_| failed("the request to STS cannot be signed"))?;
    let (instructions, _) = signed.into_parts();
    let (headers, _) = instructions.into_parts();
    let mut all = vec![("host", host.clone())];
    all.extend(headers.iter().map(|header| (header.name(), header.value().to_owned())));
    Ok(all)
}

fn ask(
    origin: Origin,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    situation: &Situation<'_>,
) -> Result<Reply, FetchError> {
    let call = Call { origin, method: "POST", url, headers, body, timeouts: STS };
    exchange(&call, situation.environment)
}

/// The credentials in an answer, or why there are none.
fn read(origin: Origin, reply: &Reply) -> Result<Credentials, FetchError> {
    let text = |name: &str| element(&reply.body, name);
    if reply.status != OK {
        let code = text("Code").map_or_else(|| "no reason given".to_owned(), |code| shown(&code));
        return Err(FetchError::Refused { origin, status: reply.status, code });
    }
    from_parts(
        origin,
        text("AccessKeyId").as_deref(),
        text("SecretAccessKey").as_deref(),
        text("SessionToken").as_deref(),
        text("Expiration").as_deref(),
    )
}

/// The text of the first element with this name, which in STS's replies has neither attributes nor children.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    if !text.contains('&') {
        return Some(text.to_owned());
    }
    const ENTITIES: [(&str, &str); 5] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let plain = |text: String, (entity, character): (&str, &str)| text.replace(entity, character);
    Some(ENTITIES.into_iter().fold(text.to_owned(), plain))
}

#[cfg(test)]
mod tests {
    use super::super::profile::ProfileFiles;
    use super::super::testing::{Asked, Server};
    use super::*;
    use crate::aws::environment::Environment;

    /// 2026-11-23T10:00:00Z
    const NOW_UNIX_S: u64 = 1_795_428_000;
    const REPLY: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
        <AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>\n\
        <Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s&amp;&lt;</SecretAccessKey>\n\
        <SessionToken>\nt/+==\n</SessionToken><Expiration>2026-11-23T12:00:00Z</Expiration></Credentials>\n\
        </AssumeRoleResult></AssumeRoleResponse>";

    fn expected() -> Credentials {
        Credentials::new("ASIA", "s&<", Some("t/+=="), Some(1_795_435_200)).unwrap()
    }

    fn with_situation<T>(variables: &[(&str, &str)], run: impl FnOnce(&Situation<'_>) -> T) -> T {
        let environment: Environment = variables.iter().copied().collect();
        let files = ProfileFiles::new(&environment);
        let region = || Region::parse("eu-west-1").ok_or(FetchError::NoRegion);
        run(&Situation {
            environment: &environment,
            files: &files,
            now_unix_s: NOW_UNIX_S,
            region: &region,
        })
    }

    fn role(url: Option<String>) -> AssumeRole {
        AssumeRole {
            arn: "arn:aws:iam::123456789012:role/gateway".to_owned(),
            session: "edge-1".to_owned(),
            external_id: Some("a/b".to_owned()),
            duration_s: Some(900),
            sts_url: url,
        }
    }

    /// The signature that the request's own words and headers give, by AWS's recipe written out.
    fn signature_of(asked: &Asked, secret: &str) -> String {
        use hmac::{Hmac, KeyInit, Mac};
        use sha2::{Digest, Sha256};
        let mac = |key: &[u8], text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let header = |name: &str| asked.header(name).unwrap();
        let canonical = format!(
            "POST\n/\n\ncontent-type:{}\nhost:{}\nx-amz-date:{}\nx-amz-security-token:{}\n\ncontent-type;host;x-amz-date;x-amz-security-token\n{}",
            header("content-type"),
            header("host"),
            header("x-amz-date"),
            header("x-amz-security-token"),
            hex(&Sha256::digest(&asked.body)),
        );
        let scope = "20261123/eu-west-1/sts/aws4_request";
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n20261123T100000Z\n{scope}\n{}",
            hex(&Sha256::digest(canonical))
        );
        let start = format!("AWS4{secret}").into_bytes();
        let key = scope.split('/').fold(start, |key, word| mac(&key, word));
        hex(&mac(&key, &to_sign))
    }

    #[test]
    fn a_role_is_assumed_with_a_signed_request() {
        let server = Server::start(|_| (200, REPLY.to_owned()));
        let base = Credentials::new("AKID", "base-secret", Some("base-token"), None).unwrap();
        let got = with_situation(&[], |situation| {
            assume_role(situation, &base, &role(Some(server.url())), None)
        });
        assert_eq!(got, Ok(expected()));
        let asked = server.finish().remove(0);
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/"));
        assert_eq!(
            asked.body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgateway\
             &RoleSessionName=edge-1&ExternalId=a%2Fb&DurationSeconds=900"
        );
        assert_eq!(asked.header("x-amz-date"), Some("20261123T100000Z"));
        let signature = signature_of(&asked, "base-secret");
        assert_eq!(
            asked.header("authorization").unwrap(),
            format!(
                "AWS4-HMAC-SHA256 Credential=AKID/20261123/eu-west-1/sts/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature={signature}"
            )
        );
    }

    #[test]
    fn a_web_identity_is_exchanged_with_the_token_of_the_moment() {
        let server = Server::start(|_| (200, REPLY.to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let (path, url) = (token.display().to_string(), server.url());
        let file = ("AWS_WEB_IDENTITY_TOKEN_FILE", path.as_str());
        let arn = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/irsa");
        let sts = ("AWS_ENDPOINT_URL_STS", url.as_str());
        for text in ["one.two+three", "four\n"] {
            std::fs::write(&token, text).unwrap();
            assert_eq!(with_situation(&[file, arn, sts], web_identity), Ok(expected()));
        }
        let session = ("AWS_ROLE_SESSION_NAME", "pod-7");
        assert_eq!(with_situation(&[file, arn, sts, session], web_identity), Ok(expected()));
        let asked = server.finish();
        assert!(asked.iter().all(|asked| asked.header("authorization").is_none()));
        let start = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Firsa&RoleSessionName=";
        let bodies: Vec<_> = asked.iter().map(|a| a.body.strip_prefix(start).unwrap()).collect();
        assert_eq!(
            bodies,
            [
                "apigate&WebIdentityToken=one.two%2Bthree",
                "apigate&WebIdentityToken=four",
                "pod-7&WebIdentityToken=four"
            ]
        );
        let none = with_situation(&[arn], web_identity);
        assert!(matches!(none, Err(FetchError::NotConfigured { .. })));
        let half = with_situation(&[file, sts], web_identity).unwrap_err();
        assert_eq!(half.to_string(), "web_identity: \"AWS_ROLE_ARN\" is not set");
    }

    #[test]
    fn a_refusal_is_told_by_its_code() {
        let server = Server::start(|_| {
            let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                <Message>User: arn:... is not authorized</Message></Error></ErrorResponse>";
            (403, body.to_owned())
        });
        let base = Credentials::new("AKID", "s3cr3t", None, None).unwrap();
        let error = with_situation(&[], |situation| {
            assume_role(situation, &base, &role(Some(server.url())), None)
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "assume_role: refused with status 403: AccessDenied"
        );
    }

    #[test]
    fn the_endpoint_is_the_given_one_then_the_environments_then_the_regions() {
        let china = Region::parse("cn-north-1").unwrap();
        let own = ("AWS_ENDPOINT_URL_STS", "http://sts.test:81/");
        let all = ("AWS_ENDPOINT_URL", "http://aws.test");
        let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        for (variables, given, expected) in [
            (vec![], None, "https://sts.cn-north-1.amazonaws.com.cn/"),
            (vec![all], None, "http://aws.test/"),
            (vec![all, own], None, "http://sts.test:81/"),
            (vec![all, own, ignore], None, "https://sts.cn-north-1.amazonaws.com.cn/"),
            (vec![own], Some("https://vpce.example"), "https://vpce.example/"),
        ] {
            let found = with_situation(&variables, |situation| endpoint(situation, given, &china));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn names_are_those_that_sts_takes() {
        for (text, expected) in
            [("ab", true), ("a+=,.@-_9", true), ("a", false), ("a b", false), ("a:b", false)]
        {
            assert_eq!(is_session_name(text), expected, "{text}");
        }
        assert!(is_external_id("a:b/c") && !is_external_id("a b") && !is_external_id("a"));
    }
}
