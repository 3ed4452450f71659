//! The signer of the request path: Signature Version 4 in headers, with the signing key and the date kept between requests.
//!
//! Source: "Create a signed AWS API request" of the AWS IAM guide. What is signed rarely (STS, Secrets Manager) goes through
//! the aws-sigv4 crate; the tests hold this one against AWS's vectors and against the crate.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::sign::v4::generate_signing_key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::credentials::Credentials;
use super::region::Region;
use crate::hex::digits;

const ALGORITHM: &[u8] = b"AWS4-HMAC-SHA256";
const DAY_S: u64 = 86_400;
/// `20150830T123600Z`
const DATE_TIME_BYTES: usize = 16;
/// `20150830`
const DATE_BYTES: usize = 8;
/// The block of SHA-256: an HMAC key padded to it with zeros is the same key.
const HMAC_BLOCK_BYTES: usize = 64;

/// A request to sign: what is sent, in canonical form where the two differ.
#[derive(Clone, Copy, Debug)]
pub struct SignableRequest<'a> {
    /// Upper case.
    pub method: &'a [u8],
    /// From [`canonical_path`](super::canonical::canonical_path).
    pub canonical_path: &'a str,
    /// From [`canonical_query`](super::canonical::canonical_query); empty when there is none.
    pub canonical_query: &'a str,
    /// The `Host` header's value.
    pub host: &'a str,
    /// Further headers to sign: names in lower case, sorted; equal names beside each other, in the order sent.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// SHA-256 of the body.
    pub payload_sha256: &'a [u8; 32],
}

/// Signs requests to one service in one region. One a worker and endpoint: it keeps its buffers, the derived key, and what
/// the last signature has in common with those of like requests in the same second.
pub struct Signer {
    region: Region,
    service: &'static str,
    key: Option<DerivedKey>,
    second_unix_s: u64,
    /// `20150830T123600Z` of `second_unix_s`
    date_time: [u8; DATE_TIME_BYTES],
    /// `20150830/us-east-1/lambda/aws4_request` of the same day
    scope: Vec<u8>,
    /// Up to the payload's hash.
    canonical_request: Vec<u8>,
    /// Up to the canonical request's hash.
    string_to_sign: Vec<u8>,
    signed_headers: Vec<u8>,
    prepared: Option<Prepared>,
}

/// A signature but for the payload, which is all that requests to one function differ in.
struct Prepared {
    /// The second and the [`parts`] that it is for, each behind its length.
    is_for: Vec<u8>,
    /// Over `canonical_request`.
    canonical_request: Sha256,
    /// By the signing key, over `string_to_sign`.
    string_to_sign: Hmac<Sha256>,
    /// The header lines, up to the signature.
    lines: Vec<u8>,
}

/// The signing key with what it was derived from; the region and the service are the signer's.
struct DerivedKey {
    day: u64,
    secret_access_key: String,
    hmac: Hmac<Sha256>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Signer");
        shown.field("region", &self.region).field("service", &self.service).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer for a region and a service (`lambda`).
    pub fn new(region: Region, service: &'static str) -> Self {
        Self {
            region,
            service,
            key: None,
            second_unix_s: u64::MAX,
            date_time: [b'0'; DATE_TIME_BYTES],
            scope: Vec::new(),
            canonical_request: Vec::with_capacity(1024),
            string_to_sign: Vec::with_capacity(192),
            signed_headers: Vec::with_capacity(128),
            prepared: None,
        }
    }

    /// The region it signs for.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Appends the header lines `x-amz-date`, `x-amz-security-token` (with a session token) and `authorization`, each with
    /// its CRLF. `Host` and the request's further headers are sent by the caller, as they were given here.
    pub fn sign(
        &mut self,
        credentials: &Credentials,
        request: &SignableRequest<'_>,
        now_unix_s: u64,
        out: &mut Vec<u8>,
    ) {
        let kept = self.prepared.take();
        let prepared = match kept {
            Some(kept) if kept.is_for(credentials, request, now_unix_s) => kept,
            kept => self.prepare(credentials, request, now_unix_s, kept),
        };
        let mut canonical_request = prepared.canonical_request.clone();
        canonical_request.update(digits(request.payload_sha256).as_flattened());
        let mut string_to_sign = prepared.string_to_sign.clone();
        string_to_sign.update(digits(&canonical_request.finalize().0).as_flattened());
        out.extend_from_slice(&prepared.lines);
        out.extend_from_slice(digits(&string_to_sign.finalize().into_bytes().0).as_flattened());
        out.extend_from_slice(b"\r\n");
        self.prepared = Some(prepared);
    }

    /// All that can be done without the payload; `kept` gives its buffers.
    fn prepare(
        &mut self,
        credentials: &Credentials,
        request: &SignableRequest<'_>,
        now_unix_s: u64,
        kept: Option<Prepared>,
    ) -> Prepared {
        self.tick(now_unix_s);
        self.write_canonical_request(credentials, request);
        self.write_string_to_sign();
        let mut hmac = self.keyed(credentials, now_unix_s / DAY_S);
        hmac.update(&self.string_to_sign);

        let (mut is_for, mut lines) =
            kept.map_or_else(Default::default, |kept| (kept.is_for, kept.lines));
        is_for.clear();
        is_for.extend_from_slice(&now_unix_s.to_le_bytes());
        for part in parts(credentials, request) {
            push_all(&mut is_for, &[&part.len().to_le_bytes(), part]);
        }
        lines.clear();
        push_all(&mut lines, &[b"x-amz-date: ", &self.date_time]);
        if let Some(token) = &credentials.session_token {
            push_all(&mut lines, &[b"\r\nx-amz-security-token: ", token.as_bytes()]);
        }
        push_all(&mut lines, &[b"\r\nauthorization: ", ALGORITHM, b" Credential="]);
        push_all(&mut lines, &[credentials.access_key_id.as_bytes(), b"/", &self.scope]);
        push_all(&mut lines, &[b", SignedHeaders=", &self.signed_headers, b", Signature="]);
        let canonical_request = Sha256::new().chain_update(&self.canonical_request);
        Prepared { is_for, canonical_request, string_to_sign: hmac, lines }
    }

    /// Renews the date texts when the second has changed.
    fn tick(&mut self, now_unix_s: u64) {
        if self.second_unix_s == now_unix_s {
            return;
        }
        self.second_unix_s = now_unix_s;
        self.date_time = date_time(now_unix_s);
        self.scope.clear();
        let date = self.date_time.get(..DATE_BYTES).unwrap_or_default();
        let (region, service) = (self.region.as_str().as_bytes(), self.service.as_bytes());
        push_all(&mut self.scope, &[date, b"/", region, b"/", service, b"/aws4_request"]);
    }

    /// The HMAC begun with the signing key, which changes with the day and the secret.
    fn keyed(&mut self, credentials: &Credentials, day: u64) -> Hmac<Sha256> {
        let secret = &credentials.secret_access_key;
        if let Some(key) = &self.key
            && key.day == day
            && key.secret_access_key == *secret
        {
            return key.hmac.clone();
        }
        let time = UNIX_EPOCH + Duration::from_secs(self.second_unix_s);
        let key = generate_signing_key(secret, time, self.region.as_str(), self.service);
        let mut block = [0; HMAC_BLOCK_BYTES];
        block.iter_mut().zip(key.as_ref()).for_each(|(to, from)| *to = *from);
        let hmac = Hmac::<Sha256>::new(&block.into());
        let kept = hmac.clone();
        self.key = Some(DerivedKey { day, secret_access_key: secret.clone(), hmac: kept });
        hmac
    }

    fn write_canonical_request(
        &mut self,
        credentials: &Credentials,
        request: &SignableRequest<'_>,
    ) {
        let (path, query) = (request.canonical_path, request.canonical_query);
        let out = &mut self.canonical_request;
        out.clear();
        push_all(out, &[request.method, b"\n", path.as_bytes(), b"\n", query.as_bytes(), b"\n"]);
        self.signed_headers.clear();

        let token = credentials.session_token.as_deref();
        let own: [(&str, &[u8]); 3] = [
            ("host", request.host.as_bytes()),
            ("x-amz-date", &self.date_time),
            ("x-amz-security-token", token.unwrap_or_default().as_bytes()),
        ];
        let own = own.get(..if token.is_some() { 3 } else { 2 }).unwrap_or_default();
        let (mut own, mut given) = (own.iter().peekable(), request.headers.iter().peekable());
        let mut previous = "";
        while let Some((name, value)) = match (own.peek(), given.peek()) {
            (Some(ours), Some(theirs)) if theirs.0 < ours.0 => given.next(),
            (Some(_), _) => own.next(),
            (None, _) => given.next(),
        } {
            if *name == previous {
                // one line a name: the values of repeated headers are joined
                out.pop();
                out.push(b',');
            } else {
                if !previous.is_empty() {
                    self.signed_headers.push(b';');
                }
                self.signed_headers.extend_from_slice(name.as_bytes());
                push_all(out, &[name.as_bytes(), b":"]);
                previous = name;
            }
            push_folded(value, out);
            out.push(b'\n');
        }
        push_all(out, &[b"\n", &self.signed_headers, b"\n"]);
    }

    fn write_string_to_sign(&mut self) {
        let out = &mut self.string_to_sign;
        out.clear();
        push_all(out, &[ALGORITHM, b"\n", &self.date_time, b"\n", &self.scope, b"\n"]);
    }
}

impl Prepared {
    fn is_for(
        &self,
        credentials: &Credentials,
        request: &SignableRequest<'_>,
        now_unix_s: u64,
    ) -> bool {
        let Some(rest) = self.is_for.strip_prefix(&now_unix_s.to_le_bytes()) else { return false };
        let rest = parts(credentials, request).try_fold(rest, |rest, part| {
            rest.strip_prefix(&part.len().to_le_bytes())?.strip_prefix(part)
        });
        rest.is_some_and(<[u8]>::is_empty)
    }
}

/// What a signature depends on, but for the time, the payload, and what a signer has for all its life.
fn parts<'a>(
    credentials: &'a Credentials,
    request: &SignableRequest<'a>,
) -> impl Iterator<Item = &'a [u8]> {
    let token = credentials.session_token.as_deref();
    let fixed = [
        request.canonical_path.as_bytes(),
        request.host.as_bytes(),
        request.canonical_query.as_bytes(),
        request.method,
        credentials.access_key_id.as_bytes(),
        credentials.secret_access_key.as_bytes(),
        token.unwrap_or_default().as_bytes(),
    ];
    let headers = request.headers.iter().flat_map(|(name, value)| [name.as_bytes(), value]);
    fixed.into_iter().chain(headers)
}

fn push_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends a header's value trimmed, each run of spaces in it as one.
fn push_folded(value: &[u8], out: &mut Vec<u8>) {
    let value = value.trim_ascii();
    if !value.contains(&b' ') {
        return out.extend_from_slice(value);
    }
    let mut previous = 0;
    for byte in value.iter().copied() {
        if byte != b' ' || previous != b' ' {
            out.push(byte);
        }
        previous = byte;
    }
}

/// `20150830T123600Z`; of the year 9999's end for what is later.
fn date_time(unix_s: u64) -> [u8; DATE_TIME_BYTES] {
    const LAST_UNIX_S: i64 = 253_402_300_799;
    let unix_s = i64::try_from(unix_s).unwrap_or(LAST_UNIX_S).min(LAST_UNIX_S);
    let at = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let digit = |value: i32, scale: i32| b'0' + u8::try_from(value / scale % 10).unwrap_or(0);
    let two = |value: u8| [digit(value.into(), 10), digit(value.into(), 1)];
    let year = [1000, 100, 10, 1].map(|scale| digit(at.year(), scale));
    let ([m0, m1], [d0, d1]) = (two(at.month().into()), two(at.day()));
    let ([h0, h1], [i0, i1], [s0, s1]) = (two(at.hour()), two(at.minute()), two(at.second()));
    let [y0, y1, y2, y3] = year;
    [y0, y1, y2, y3, m0, m1, d0, d1, b'T', h0, h1, i0, i1, s0, s1, b'Z']
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
