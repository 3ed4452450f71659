//! The container credentials endpoint of ECS tasks and EKS pod identity.
//!
//! Source: "Container credential provider" (AWS SDKs and tools reference guide).

use serde_json::json;

use crate::double::Double;
use crate::http1::Request;
use crate::response::Response;
use crate::site::Kind;

/// The answer to a request: credentials under `/v2/credentials/ID` and `/v1/credentials`.
pub(crate) fn handle(double: &Double, request: &Request) -> Response {
    let path = request.path();
    let named = path.strip_prefix("/v2/credentials/").is_some_and(|id| !id.is_empty());
    if !named && path != "/v1/credentials" {
        return refusal(404, "NotFound", "no credentials under this path");
    }
    if request.method() != "GET" {
        return refusal(405, "MethodNotAllowed", "only GET is allowed");
    }
    let settings = double.settings.read();
    if settings.container_authorization.is_some()
        && settings.container_authorization.as_deref() != request.header("authorization")
    {
        double.count("container.unauthorized");
        return refusal(401, "AccessDenied", "the authorization token is missing or wrong");
    }
    double.count("container.credentials");
    let role = "arn:aws:iam::123456789012:role/double-task-role";
    let principal = "arn:aws:sts::123456789012:assumed-role/double-task-role/task";
    let credential = double.container_issuer.current(
        &double.registry,
        principal,
        settings.lifetime(Kind::Container),
        double.clock.now_ms(),
    );
    let document = json!({
        "RoleArn": role,
        "AccessKeyId": credential.access_key_id,
        "SecretAccessKey": credential.secret_access_key,
        "Token": credential.token,
        "Expiration": credential.expiration(),
    });
    Response::json(200, &document)
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &json!({"code": code, "message": message}))
}
