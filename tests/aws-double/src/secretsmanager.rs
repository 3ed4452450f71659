//! Secrets Manager's GetSecretValue, signature verified.
//!
//! Source: "GetSecretValue" of the AWS Secrets Manager API reference; JSON 1.1 protocol.

use serde_json::{Value, json};

use crate::double::Double;
use crate::http1::Request;
use crate::response::Response;

/// The answer to a request.
pub(crate) fn handle(double: &Double, request: &Request) -> Response {
    if let Err(denial) = double.authenticate(request, "secretsmanager", None) {
        double.count(format!("secretsmanager.{}", denial.kind));
        return error(denial.kind, &denial.message);
    }
    if request.header("x-amz-target") != Some("secretsmanager.GetSecretValue") {
        return error("UnknownOperationException", "");
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(id) = body.get("SecretId").and_then(Value::as_str) else {
        return error("InvalidParameterException", "SecretId is missing");
    };
    let name = id.split(":secret:").nth(1).unwrap_or(id);
    let secrets = double.secrets.read();
    // AWS appends a hyphen and six characters to the name in a secret's ARN.
    let without_suffix = name.len().checked_sub(7).and_then(|end| name.get(..end));
    let found =
        secrets.get(id).or_else(|| secrets.get(name)).or_else(|| secrets.get(without_suffix?));
    let Some(secret) = found else {
        return error(
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
        );
    };
    double.count("secretsmanager.GetSecretValue");
    let arn = if id.starts_with("arn:") {
        id.to_owned()
    } else {
        format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{id}-a1b2c3")
    };
    let document = json!({
        "ARN": arn,
        "Name": name,
        "VersionId": "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1",
        "SecretString": secret,
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_523_477_145.713,
    });
    Response::new(200, "application/x-amz-json-1.1", document.to_string())
}

fn error(kind: &str, message: &str) -> Response {
    let body = json!({"__type": kind, "Message": message, "message": message});
    Response::new(400, "application/x-amz-json-1.1", body.to_string())
}
