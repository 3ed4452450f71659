//! Signature Version 4, the verifying side, written from AWS's documentation and from nothing of the gateway's.
//!
//! Source: "Create a signed AWS API request" (IAM user guide) and the published test suite. Stricter than AWS in one
//! point: every `x-amz-*` header of a request must be signed, as the documentation demands.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

use crate::clock::{Utc, parse_amz_date};
use crate::credentials::{Credential, Registry};
use crate::http1::percent_decode;

/// How far x-amz-date may be from the clock.
pub(crate) const MAX_SKEW_MS: i64 = 5 * 60 * 1000;

/// The parts of a request that a signature covers.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: &'a [u8],
}

/// What the signature must be good for.
pub(crate) struct Expectation<'a> {
    pub(crate) service: &'a str,
    /// The regions served here.
    pub(crate) regions: &'a [String],
    pub(crate) now_ms: i64,
}

/// A refusal: AWS's exception name and message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Denial {
    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Authorization, taken apart.
struct Authorization<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

/// The credential that signed the request, or why it is refused.
pub(crate) fn verify(
    request: &Signed<'_>,
    expectation: &Expectation<'_>,
    registry: &Registry,
) -> Result<std::sync::Arc<Credential>, Denial> {
    let value = header(request, "authorization")?.ok_or_else(|| {
        Denial::new("MissingAuthenticationTokenException", "Missing Authentication Token")
    })?;
    let authorization = parse_authorization(value)?;
    let amz_date = header(request, "x-amz-date")?.ok_or_else(|| {
        incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    check_signed_headers(request, &authorization)?;
    let credential = registry.get(authorization.access_key_id).ok_or_else(unknown_token)?;
    check_token(request, &credential, expectation.now_ms)?;
    check_scope(&authorization, expectation, amz_date)?;
    check_date(amz_date, expectation.now_ms)?;

    let payload_hash = hex(digest(&SHA256, request.body).as_ref());
    if let Some(claimed) = header(request, "x-amz-content-sha256")?
        && claimed != payload_hash
    {
        return Err(Denial::new(
            "InvalidSignatureException",
            format!(
                "The provided 'x-amz-content-sha256' header does not match what was computed: {payload_hash}"
            ),
        ));
    }
    let canonical = canonical_request(request, &authorization.signed_headers, &payload_hash);
    let scope = (authorization.date, authorization.region, authorization.service);
    let to_sign = string_to_sign(amz_date, scope, &canonical);
    let expected = hex(credential.sign(scope, to_sign.as_bytes()).as_ref());
    if expected != authorization.signature {
        return Err(Denial::new(
            "InvalidSignatureException",
            format!(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical \
                 String for this request should have been\n'{canonical}'\n\nThe String-to-Sign should have \
                 been\n'{to_sign}'\n"
            ),
        ));
    }
    Ok(credential)
}

fn incomplete(message: impl Into<String>) -> Denial {
    Denial::new("IncompleteSignatureException", message)
}

fn unknown_token() -> Denial {
    Denial::new(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )
}

/// The only value of a header; twice the same name is refused, because a signer and a verifier could read two values.
fn header<'a>(request: &Signed<'a>, name: &str) -> Result<Option<&'a str>, Denial> {
    let mut values = request.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
    let Some((_, value)) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(incomplete(format!("Header '{name}' is given more than once.")));
    }
    std::str::from_utf8(value)
        .map(|v| Some(v.trim()))
        .map_err(|_| incomplete("Header is not UTF-8."))
}

fn parse_authorization(value: &str) -> Result<Authorization<'_>, Denial> {
    let fields = value.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(|| {
        incomplete("Unsupported AWS 'algorithm': only AWS4-HMAC-SHA256 is accepted.")
    })?;
    let (mut scope, mut signed_headers, mut signature) = (None, None, None);
    for field in fields.split(',') {
        let slot = match field.trim().split_once('=') {
            Some(("Credential", v)) => (&mut scope, v),
            Some(("SignedHeaders", v)) => (&mut signed_headers, v),
            Some(("Signature", v)) => (&mut signature, v),
            _ => {
                return Err(incomplete(format!(
                    "'{field}' not a valid key=value pair in Authorization header."
                )));
            }
        };
        if slot.0.replace(slot.1).is_some() {
            return Err(incomplete("A field of the Authorization header is given more than once."));
        }
    }
    let (Some(scope), Some(signed_headers), Some(signature)) = (scope, signed_headers, signature)
    else {
        return Err(incomplete(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.",
        ));
    };
    let parts: Vec<&str> = scope.split('/').collect();
    let [access_key_id, date, region, service, "aws4_request"] = parts.as_slice() else {
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{scope}'"
        )));
    };
    Ok(Authorization {
        access_key_id,
        date,
        region,
        service,
        signed_headers: signed_headers.split(';').collect(),
        signature,
    })
}

fn check_signed_headers(
    request: &Signed<'_>,
    authorization: &Authorization<'_>,
) -> Result<(), Denial> {
    let signed = &authorization.signed_headers;
    if !signed.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(incomplete("SignedHeaders must be sorted, and name each header once."));
    }
    if signed.iter().any(|name| name.bytes().any(|b| b.is_ascii_uppercase())) {
        return Err(incomplete("SignedHeaders must be lower case."));
    }
    if !signed.contains(&"host") {
        return Err(Denial::new(
            "InvalidSignatureException",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    for (name, _) in &request.headers {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") && !signed.contains(&name.as_str()) {
            return Err(Denial::new(
                "InvalidSignatureException",
                format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."),
            ));
        }
    }
    match signed
        .iter()
        .find(|name| !request.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)))
    {
        Some(missing) => {
            Err(incomplete(format!("Signed header '{missing}' is not in the request.")))
        }
        None => Ok(()),
    }
}

fn check_token(request: &Signed<'_>, credential: &Credential, now_ms: i64) -> Result<(), Denial> {
    if header(request, "x-amz-security-token")? != credential.token.as_deref() {
        return Err(unknown_token());
    }
    if credential.is_expired(now_ms) {
        return Err(Denial::new(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ));
    }
    Ok(())
}

fn check_scope(
    authorization: &Authorization<'_>,
    expectation: &Expectation<'_>,
    amz_date: &str,
) -> Result<(), Denial> {
    let wrong = |message: String| Err(Denial::new("InvalidSignatureException", message));
    if authorization.service != expectation.service {
        return wrong(format!(
            "Credential should be scoped to correct service: '{}'.",
            expectation.service
        ));
    }
    if !expectation.regions.iter().any(|region| region == authorization.region) {
        return wrong(format!(
            "Credential should be scoped to a valid region, not '{}'.",
            authorization.region
        ));
    }
    if amz_date.get(..8) != Some(authorization.date) {
        return wrong(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
             '{amz_date}'.",
            authorization.date
        ));
    }
    Ok(())
}

fn check_date(amz_date: &str, now_ms: i64) -> Result<(), Denial> {
    let signed_ms = parse_amz_date(amz_date).ok_or_else(|| {
        incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{amz_date}'."))
    })?;
    let stamp = |ms| Utc::from_ms(ms).amz_date();
    if signed_ms < now_ms - MAX_SKEW_MS {
        return Err(Denial::new(
            "InvalidSignatureException",
            format!(
                "Signature expired: {amz_date} is now earlier than {} ({} - 5 min.)",
                stamp(now_ms - MAX_SKEW_MS),
                stamp(now_ms)
            ),
        ));
    }
    if signed_ms > now_ms + MAX_SKEW_MS {
        return Err(Denial::new(
            "InvalidSignatureException",
            format!(
                "Signature not yet current: {amz_date} is still later than {} ({} + 5 min.)",
                stamp(now_ms + MAX_SKEW_MS),
                stamp(now_ms)
            ),
        ));
    }
    Ok(())
}

/// The canonical request: method, path, query, headers, names of the signed headers, hash of the payload.
pub(crate) fn canonical_request(
    request: &Signed<'_>,
    signed_headers: &[&str],
    payload_hash: &str,
) -> String {
    let mut out = String::with_capacity(1024);
    out.push_str(request.method);
    out.push('\n');
    push_canonical_path(&mut out, request.path);
    out.push('\n');
    push_canonical_query(&mut out, request.query);
    out.push('\n');
    for name in signed_headers {
        out.push_str(name);
        out.push(':');
        let values = request.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        for (index, (_, value)) in values.enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_collapsed(&mut out, &String::from_utf8_lossy(value));
        }
        out.push('\n');
    }
    out.push('\n');
    for (index, name) in signed_headers.iter().enumerate() {
        if index > 0 {
            out.push(';');
        }
        out.push_str(name);
    }
    out.push('\n');
    out.push_str(payload_hash);
    out
}

/// The string to sign of a canonical request; `scope` is date, region and service.
pub(crate) fn string_to_sign(amz_date: &str, scope: (&str, &str, &str), canonical: &str) -> String {
    let (date, region, service) = scope;
    let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    format!("AWS4-HMAC-SHA256\n{amz_date}\n{date}/{region}/{service}/aws4_request\n{hash}")
}

/// The path as received, normalised (RFC 3986, section 6) and encoded once more, as every service but S3 has it.
fn push_canonical_path(out: &mut String, path: &str) {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        push_encoded(out, segment.as_bytes());
    }
    let directory = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if segments.is_empty() || directory {
        out.push('/');
    }
}

fn push_canonical_query(out: &mut String, query: &str) {
    if query.is_empty() {
        return;
    }
    let encoded = |text: &str| {
        let mut out = String::with_capacity(text.len());
        push_encoded(&mut out, &percent_decode(text));
        out
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
}

/// A header value without outer white space and with each inner run of it as one space.
fn push_collapsed(out: &mut String, value: &str) {
    for (index, word) in value.split_ascii_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

fn push_encoded(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
