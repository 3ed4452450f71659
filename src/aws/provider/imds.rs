//! The metadata service of an EC2 instance, version 2 only.
//!
//! Source: "Use the Instance Metadata Service" of the EC2 user guide.

use super::error::{FetchError, Origin};
use super::from_document;
use super::http::{Call, LOCAL, Reply, exchange};
use crate::aws::credentials::Credentials;
use crate::aws::environment::Environment;
use crate::aws::region::Region;

const ORIGIN: Origin = Origin::Imds;
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// How long a token lives, in seconds; a fetch uses it at once.
const TOKEN_TTL_S: &str = "300";
/// What a token request that times out means nearly always.
const HOP_LIMIT: &str = "timed out waiting for an IMDSv2 token (not on EC2; or in a container, where the instance's HttpPutResponseHopLimit must be at least 2)";

/// The credentials of the instance's role.
pub(crate) fn fetch(environment: &Environment) -> Result<Credentials, FetchError> {
    let session = Session::open(environment)?;
    let roles = session.get(ROLES)?;
    let role = match (roles.status, roles.body.lines().next().map(str::trim)) {
        (200, Some(role)) if is_role_name(role) => role,
        (200, _) => {
            return Err(FetchError::Unreadable { origin: ORIGIN, what: "it names no role" });
        }
        (404, _) => return Err(refused(404, "the instance has no instance profile")),
        (status, _) => return Err(refused(status, "the role's name cannot be read")),
    };
    let document = session.get(&format!("{ROLES}{role}"))?;
    match document.status {
        200 => from_document(ORIGIN, &document.body),
        status => Err(refused(status, "the role's credentials cannot be read")),
    }
}

/// The region the instance is in.
pub(crate) fn region(environment: &Environment) -> Result<Region, FetchError> {
    let reply = Session::open(environment)?.get("/latest/meta-data/placement/region")?;
    match reply.status {
        200 => Region::parse(reply.body.trim())
            .ok_or(FetchError::Unreadable { origin: ORIGIN, what: "it names no region" }),
        status => Err(refused(status, "the region cannot be read")),
    }
}

/// The service's address: `AWS_EC2_METADATA_SERVICE_ENDPOINT`, or the link-local one of the mode.
fn endpoint(environment: &Environment) -> String {
    let mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    let standard = match mode {
        Some(mode) if mode.eq_ignore_ascii_case("ipv6") => "http://[fd00:ec2::254]",
        _ => "http://169.254.169.254",
    };
    let chosen = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(standard);
    chosen.trim_end_matches('/').to_owned()
}

/// A role's name goes into a path.
fn is_role_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    !name.is_empty() && name.bytes().all(good)
}

fn refused(status: u16, code: &str) -> FetchError {
    FetchError::Refused { origin: ORIGIN, status, code: code.to_owned() }
}

/// The service with a token to ask it.
struct Session<'a> {
    environment: &'a Environment,
    endpoint: String,
    token: String,
}

impl<'a> Session<'a> {
    fn open(environment: &'a Environment) -> Result<Self, FetchError> {
        if environment.is_true("AWS_EC2_METADATA_DISABLED") {
            let missing = "\"AWS_EC2_METADATA_DISABLED\" is true".to_owned();
            return Err(FetchError::NotConfigured { origin: ORIGIN, missing });
        }
        let endpoint = endpoint(environment);
        let url = format!("{endpoint}/latest/api/token");
        let headers = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL_S)];
        let reply = ask("PUT", &url, &headers, environment).map_err(|error| match error {
            FetchError::Unreachable { origin, endpoint, reason } if reason == "timed out" => {
                FetchError::Unreachable { origin, endpoint, reason: HOP_LIMIT.to_owned() }
            }
            other => other,
        })?;
        match reply.status {
            200 => Ok(Self { environment, endpoint, token: reply.body.trim().to_owned() }),
            403 => Err(refused(403, "the metadata service is turned off")),
            // version 1 would be the next to try; it answers whoever can make the host send a GET
            status => Err(refused(status, "no IMDSv2 token")),
        }
    }

    fn get(&self, path: &str) -> Result<Reply, FetchError> {
        let url = format!("{}{path}", self.endpoint);
        let headers = [("x-aws-ec2-metadata-token", self.token.as_str())];
        ask("GET", &url, &headers, self.environment)
    }
}

fn ask(
    method: &'static str,
    url: &str,
    headers: &[(&str, &str)],
    environment: &Environment,
) -> Result<Reply, FetchError> {
    exchange(&Call { origin: ORIGIN, method, url, headers, body: "", timeouts: LOCAL }, environment)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Asked, Server};
    use super::*;

    const DOCUMENT: &str = r#"{"Code":"Success","AccessKeyId":"AKID","SecretAccessKey":"s",
        "Token":"t","Expiration":"2026-11-23T12:00:00Z"}"#;

    /// An instance as AWS has it: nothing without the token.
    fn instance(asked: &Asked) -> (u16, String) {
        let has_token = asked.header("x-aws-ec2-metadata-token") == Some("TOKEN");
        let reply = |status: u16, body: &str| (status, body.to_owned());
        match (asked.method.as_str(), asked.path.as_str()) {
            ("PUT", "/latest/api/token") => {
                assert_eq!(asked.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("300"));
                reply(200, "TOKEN")
            }
            _ if !has_token => reply(401, ""),
            ("GET", "/latest/meta-data/iam/security-credentials/") => reply(200, "gateway-role\n"),
            ("GET", "/latest/meta-data/iam/security-credentials/gateway-role") => {
                reply(200, DOCUMENT)
            }
            ("GET", "/latest/meta-data/placement/region") => reply(200, "eu-north-1\n"),
            _ => reply(404, ""),
        }
    }

    fn environment(server: &Server) -> Environment {
        Environment::from_iter([("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url() + "/")])
    }

    #[test]
    fn the_roles_credentials_and_the_region_are_read_with_a_token() {
        let server = Server::start(instance);
        let credentials = fetch(&environment(&server)).unwrap();
        let expected = Credentials::new("AKID", "s", Some("t"), Some(1_795_435_200)).unwrap();
        assert_eq!(credentials, expected);
        assert_eq!(region(&environment(&server)).unwrap().as_str(), "eu-north-1");
    }

    #[test]
    fn version_1_is_never_asked() {
        let server = Server::start(|asked| match asked.method.as_str() {
            "PUT" => (404, String::new()),
            _ => (200, DOCUMENT.to_owned()),
        });
        let error = fetch(&environment(&server)).unwrap_err();
        assert_eq!(error.to_string(), "imds: refused with status 404: no IMDSv2 token");
        assert_eq!(server.finish().len(), 1);
    }

    #[test]
    fn what_is_wrong_with_the_instance_is_said() {
        for (status, body, expected) in [
            (404, "", "imds: refused with status 404: the instance has no instance profile"),
            (500, "", "imds: refused with status 500: the role's name cannot be read"),
            (200, "", "imds: unreadable answer: it names no role"),
            (200, "../../token", "imds: unreadable answer: it names no role"),
        ] {
            let server = Server::start(move |asked| match asked.method.as_str() {
                "PUT" => (200, "TOKEN".to_owned()),
                _ => (status, body.to_owned()),
            });
            assert_eq!(fetch(&environment(&server)).unwrap_err().to_string(), expected);
        }
        let off = Server::start(|_| (403, String::new()));
        assert_eq!(
            fetch(&environment(&off)).unwrap_err().to_string(),
            "imds: refused with status 403: the metadata service is turned off"
        );
    }

    #[test]
    fn a_service_that_does_not_answer_is_diagnosed_and_one_turned_off_not_asked() {
        // accepts into its backlog and never answers, as a token reply lost to the hop limit looks
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let endpoint = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.clone());
        let error = fetch(&Environment::from_iter([endpoint.clone()])).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("imds: no answer from \"{url}\": timed out")),
            "{error}"
        );
        assert!(error.contains("HttpPutResponseHopLimit must be at least 2"), "{error}");
        let off = ("AWS_EC2_METADATA_DISABLED", "TRUE".to_owned());
        let error = fetch(&Environment::from_iter([endpoint, off])).unwrap_err();
        assert!(matches!(error, FetchError::NotConfigured { .. }), "{error}");
    }

    #[test]
    fn the_endpoint_follows_the_environment() {
        for (variables, expected) in [
            (vec![], "http://169.254.169.254"),
            (vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")], "http://[fd00:ec2::254]"),
            (
                vec![
                    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"),
                    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/"),
                ],
                "http://127.0.0.1:1338",
            ),
        ] {
            assert_eq!(endpoint(&Environment::from_iter(variables)), expected);
        }
    }
}
