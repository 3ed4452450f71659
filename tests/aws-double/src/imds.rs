//! EC2 instance metadata, version 2 only: without a token everything is 401.
//!
//! Source: "Use the Instance Metadata Service to access instance metadata" (EC2 user guide).

use serde_json::json;

use crate::clock::Utc;
use crate::double::Double;
use crate::http1::Request;
use crate::response::Response;
use crate::site::Kind;

const MAX_TTL_S: i64 = 21_600;
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The answer to a request.
pub(crate) fn handle(double: &Double, request: &Request) -> Response {
    if request.header("x-forwarded-for").is_some() {
        return plain(403, "");
    }
    if request.path() == "/latest/api/token" {
        return token(double, request);
    }
    if request.method() != "GET" {
        return plain(405, "");
    }
    let now_ms = double.clock.now_ms();
    let known = request
        .header("x-aws-ec2-metadata-token")
        .is_some_and(|token| double.imds_tokens.lock().get(token).is_some_and(|end| *end > now_ms));
    if !known {
        double.count("imds.unauthorized");
        return plain(401, "");
    }
    let settings = double.settings.read();
    let region = &settings.imds_region;
    match (request.path(), &settings.imds_role) {
        ("/latest/meta-data/placement/region", _) => plain(200, region),
        ("/latest/meta-data/placement/availability-zone", _) => plain(200, &format!("{region}a")),
        ("/latest/meta-data/instance-id", _) => plain(200, "i-0123456789abcdef0"),
        ("/latest/dynamic/instance-identity/document", _) => plain(
            200,
            &format!(
                "{:#}",
                json!({
                    "accountId": "123456789012",
                    "architecture": "x86_64",
                    "availabilityZone": format!("{region}a"),
                    "instanceId": "i-0123456789abcdef0",
                    "instanceType": "t3.micro",
                    "privateIp": "10.0.0.10",
                    "region": region,
                    "version": "2017-09-30",
                })
            ),
        ),
        (path, Some(role)) if path == ROLES || path == ROLES.trim_end_matches('/') => {
            double.count("imds.roles");
            plain(200, role)
        }
        (path, Some(role)) if path.strip_prefix(ROLES) == Some(role.as_str()) => {
            double.count("imds.credentials");
            let principal =
                format!("arn:aws:sts::123456789012:assumed-role/{role}/i-0123456789abcdef0");
            let lifetime = settings.lifetime(Kind::Imds);
            let credential =
                double.imds_issuer.current(&double.registry, &principal, lifetime, now_ms);
            let document = json!({
                "Code": "Success",
                "LastUpdated": Utc::from_ms(now_ms).iso8601(),
                "Type": "AWS-HMAC",
                "AccessKeyId": credential.access_key_id,
                "SecretAccessKey": credential.secret_access_key,
                "Token": credential.token,
                "Expiration": credential.expiration(),
            });
            plain(200, &format!("{document:#}"))
        }
        _ => plain(404, "Not Found"),
    }
}

fn token(double: &Double, request: &Request) -> Response {
    if request.method() != "PUT" {
        return plain(405, "");
    }
    let ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds");
    let Some(ttl_s) =
        ttl.and_then(|t| t.parse::<i64>().ok()).filter(|s| (1..=MAX_TTL_S).contains(s))
    else {
        return plain(400, "");
    };
    double.count("imds.tokens");
    let token: String = (0..56).map(|_| fastrand::alphanumeric()).collect();
    double.imds_tokens.lock().insert(token.clone(), double.clock.now_ms() + ttl_s * 1000);
    plain(200, &token).with("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl_s.to_string())
}

fn plain(status: u16, body: &str) -> Response {
    Response::new(status, "text/plain", body).with("Server", "EC2ws")
}
