//! STS: AssumeRole (signature verified) and AssumeRoleWithWebIdentity (token compared), query API, XML.
//!
//! Source: "Actions" of the AWS Security Token Service API reference.

use crate::double::Double;
use crate::http1::{Request, form_pairs};
use crate::response::Response;
use crate::sigv4::Denial;
use crate::site::Kind;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const DEFAULT_DURATION_S: i64 = 3600;

struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, Response> {
        self.get(name).ok_or_else(|| {
            let field = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
            error(
                400,
                "ValidationError",
                &format!(
                    "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not \
                     be null"
                ),
            )
        })
    }
}

/// The answer to a request.
pub(crate) fn handle(double: &Double, request: &Request) -> Response {
    let text = match request.method() {
        "POST" => String::from_utf8_lossy(&request.body).into_owned(),
        _ => request.query().to_owned(),
    };
    let form = Form(form_pairs(&text));
    let answer = match form.get("Action") {
        Some("AssumeRole") => assume_role(double, request, &form),
        Some("AssumeRoleWithWebIdentity") => assume_role_with_web_identity(double, &form),
        action => {
            let message = format!(
                "Could not find operation {} for version 2011-06-15",
                action.unwrap_or("NONE")
            );
            Err(error(400, "InvalidAction", &message))
        }
    };
    answer.unwrap_or_else(|refusal| refusal)
}

fn assume_role(double: &Double, request: &Request, form: &Form) -> Result<Response, Response> {
    let caller =
        double.authenticate(request, "sts", None).map_err(|denial| denied(double, &denial))?;
    let role = form.required("RoleArn")?;
    let session = form.required("RoleSessionName")?;
    check_session_name(session)?;
    let wanted = double.settings.read().external_id.clone();
    if wanted.is_some() && wanted.as_deref() != form.get("ExternalId") {
        double.count("sts.AccessDenied");
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {role}",
            caller.principal
        );
        return Err(error(403, "AccessDenied", &message));
    }
    double.count("sts.AssumeRole");
    credentials(double, form, ("AssumeRole", role, session), "")
}

fn assume_role_with_web_identity(double: &Double, form: &Form) -> Result<Response, Response> {
    let role = form.required("RoleArn")?;
    let session = form.required("RoleSessionName")?;
    check_session_name(session)?;
    if form.required("WebIdentityToken")? != double.settings.read().web_identity_token {
        double.count("sts.InvalidIdentityToken");
        return Err(error(
            400,
            "InvalidIdentityToken",
            "The web identity token that was passed could not be validated.",
        ));
    }
    double.count("sts.AssumeRoleWithWebIdentity");
    let subject = "<SubjectFromWebIdentityToken>system:serviceaccount:default:double</SubjectFromWebIdentityToken>\
        <Audience>sts.amazonaws.com</Audience>";
    credentials(double, form, ("AssumeRoleWithWebIdentity", role, session), subject)
}

/// The rule of the API reference: 2 to 64 of letters, digits and `_=,.@-`.
fn check_session_name(session: &str) -> Result<(), Response> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_=,.@-".contains(&b);
    if (2..=64).contains(&session.len()) && session.bytes().all(allowed) {
        return Ok(());
    }
    let message = format!(
        "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: [\\w+=,.@-]*"
    );
    Err(error(400, "ValidationError", &message))
}

fn credentials(
    double: &Double,
    form: &Form,
    (action, role, session): (&str, &str, &str),
    more: &str,
) -> Result<Response, Response> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return Err(error(400, "ValidationError", &format!("{role} is invalid")));
    };
    let name = resource.rsplit('/').next().unwrap_or(resource);
    let duration_s = match form.get("DurationSeconds") {
        None => DEFAULT_DURATION_S,
        Some(text) => {
            text.parse::<i64>().ok().filter(|s| (900..=43_200).contains(s)).ok_or_else(|| {
                error(400, "ValidationError", "The requested DurationSeconds is out of range")
            })?
        }
    };
    let fixed = double.settings.read().lifetimes.get(&Kind::Sts).map(|l| l.lifetime_ms);
    let assumed = format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}");
    let credential = double.issue(assumed.clone(), fixed.unwrap_or(duration_s * 1000));
    let body = format!(
        "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result><AssumedRoleUser><AssumedRoleId>AROADOUBLE:{session}\
         </AssumedRoleId><Arn>{assumed}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId>\
         <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>\
         {more}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        credential.access_key_id,
        credential.secret_access_key,
        credential.token.as_deref().unwrap_or_default(),
        credential.expiration(),
        crate::lambda::request_id(),
    );
    Ok(Response::new(200, "text/xml", body))
}

fn denied(double: &Double, denial: &Denial) -> Response {
    let code = match denial.kind {
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "ExpiredTokenException" => "ExpiredToken",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        _ => "IncompleteSignature",
    };
    double.count(format!("sts.{code}"));
    error(if code == "IncompleteSignature" { 400 } else { 403 }, code, &denial.message)
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>{}</RequestId></ErrorResponse>",
        crate::lambda::request_id(),
    );
    Response::new(status, "text/xml", body)
}
