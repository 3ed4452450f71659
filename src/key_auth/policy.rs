//! Who a request comes from, or why that cannot be said.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::arguments::{arguments, decode};
use super::body::{self, BodyView};
use super::directives::KeyAuthPlan;
use super::places::{cookies, header_key};
use crate::consumers::{ConsumerSet, Identity, KeyDigest, Validity};
use crate::decision::{Decision, Policy, Reason, Refusal};
use crate::request::RequestHead;

const UNAUTHORIZED: u16 = 401;

/// Where in the request a key was found, right or wrong: what `hide` has to edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// in a header
    pub header: bool,
    /// in the query
    pub query: bool,
    /// in a cookie
    pub cookie: bool,
    /// in the body
    pub body: bool,
}

/// What is decided, and what the phases behind need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Go on, or the 401.
    pub decision: Decision,
    /// Who it is; `None` for a refused request and for a preflight.
    pub identity: Option<Identity>,
    /// Where a key was found.
    pub found: Found,
    /// Why there was no good key, also when `anonymous=` lets the request go on.
    pub failure: Option<Reason>,
}

impl Outcome {
    /// True when a key was given and was not good: what `key_auth_failures` counts.
    pub fn is_failed_key(&self) -> bool {
        self.failure.is_some_and(|reason| reason != Reason::NoKey)
    }
}

/// Who the request comes from, by the set in force and the time in seconds since 1970.
///
/// `body` is the whole body where [`KeyAuthPlan::reads_body`] wants it. Nothing is allocated for a good key in a header,
/// a cookie or an unencoded query.
pub fn decide(
    plan: &KeyAuthPlan,
    set: &ConsumerSet,
    request: &impl RequestHead,
    body: Option<&BodyView<'_>>,
    now_unix_s: i64,
) -> Outcome {
    let mut scan = Scan::default();
    scan.head(plan, request);
    if let Some(body) = body {
        scan.body(plan, body);
    }
    let found = scan.found;
    let go_on =
        |identity, failure| Outcome { decision: Decision::Continue, identity, found, failure };
    if !plan.preflight && is_preflight(plan, request) {
        return go_on(None, None);
    }
    match scan.judge(set, now_unix_s) {
        Ok(identity) => go_on(Some(identity), None),
        Err(reason) => match anonymous(plan, set) {
            Some(identity) => go_on(Some(identity), Some(reason)),
            None => {
                let decision = refusal(plan, reason).into();
                Outcome { decision, identity: None, found, failure: Some(reason) }
            }
        },
    }
}

/// Where in the request's head there are keys, right or wrong.
pub fn find(plan: &KeyAuthPlan, request: &impl RequestHead) -> Found {
    let mut scan = Scan::default();
    scan.head(plan, request);
    scan.found
}

/// The refusal of a request whose client has failed too often; `retry_after_s` seconds from now it may try again. As a 401 it
/// has the challenge of key_auth.
pub fn too_many_failures(status: u16, retry_after_s: u64, challenge: Option<&str>) -> Refusal {
    let message = "Too many failed authentications";
    let refusal = Refusal::new(Policy::KeyAuthFailures, Reason::Limit, status, message)
        .with_header("Retry-After", retry_after_s.max(1).to_string());
    match challenge {
        Some(challenge) if status == UNAUTHORIZED => {
            refusal.with_header("WWW-Authenticate", challenge)
        }
        _ => refusal,
    }
}

/// The address that failures are counted for: a /64 for IPv6, and IPv4 however it is written.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The keys of a request. Places agree or it has none.
#[derive(Default)]
struct Scan<'a> {
    key: Option<Cow<'a, [u8]>>,
    is_duplicate: bool,
    found: Found,
}

impl<'a> Scan<'a> {
    fn head(&mut self, plan: &'a KeyAuthPlan, request: &'a impl RequestHead) {
        for name in &plan.headers {
            let mut place = false;
            for value in request.header_values(name) {
                let key = header_key(value, plan.scheme.as_deref());
                self.found.header |= self.take(&mut place, Cow::Borrowed(key));
            }
        }
        for name in &plan.arguments {
            let mut place = false;
            for argument in arguments(request.query()).filter(|it| name.matches(it.name)) {
                self.found.query |= self.take(&mut place, decode(argument.value));
            }
        }
        let Some(header) = plan.cookie_header.as_ref() else { return };
        for name in &plan.cookies {
            let mut place = false;
            for (_, cookie, value) in request.header_values(header).flat_map(cookies) {
                if *cookie == **name {
                    self.found.cookie |= self.take(&mut place, Cow::Borrowed(value));
                }
            }
        }
    }

    fn body(&mut self, plan: &KeyAuthPlan, body: &BodyView<'a>) {
        let mut places = vec![false; plan.fields.len()];
        for (position, value) in body::values(body, &plan.fields) {
            if let Some(place) = places.get_mut(position) {
                self.found.body |= self.take(place, value);
            }
        }
    }

    /// Takes a value from a place where there may have been one before; false for an empty one, which is none.
    fn take(&mut self, place: &mut bool, value: Cow<'a, [u8]>) -> bool {
        if value.is_empty() {
            return false;
        }
        self.is_duplicate |= *place;
        *place = true;
        match &self.key {
            Some(key) => self.is_duplicate |= *key != value,
            None => self.key = Some(value),
        }
        true
    }

    fn judge(&self, set: &ConsumerSet, now_unix_s: i64) -> Result<Identity, Reason> {
        let key = self.key.as_deref().ok_or(Reason::NoKey)?;
        if self.is_duplicate {
            return Err(Reason::DuplicateKey);
        }
        let credential = set.lookup(&KeyDigest::of(key)).ok_or(Reason::UnknownKey)?;
        match credential.validity(now_unix_s) {
            Validity::Good => Ok(Identity::Authenticated {
                consumer: credential.owner(),
                credential: credential.index(),
            }),
            Validity::Disabled => Err(Reason::DisabledKey),
            Validity::Future => Err(Reason::FutureKey),
            Validity::Expired => Err(Reason::ExpiredKey),
        }
    }
}

/// Source: the Fetch standard, "CORS-preflight request".
fn is_preflight(plan: &KeyAuthPlan, request: &impl RequestHead) -> bool {
    let has = |name| request.header_values(name).any(|value| !value.is_empty());
    request.method() == b"OPTIONS"
        && plan.preflight_headers.as_ref().is_some_and(|names| names.iter().all(has))
}

/// The consumer that stands in. Versions of the set that lack it are never in force.
fn anonymous(plan: &KeyAuthPlan, set: &ConsumerSet) -> Option<Identity> {
    let consumer = set.by_username(plan.anonymous.as_deref()?)?.index();
    Some(Identity::Anonymous { consumer })
}

fn refusal(plan: &KeyAuthPlan, reason: Reason) -> Refusal {
    let message = match reason {
        Reason::NoKey => "No API key found in request",
        Reason::DuplicateKey => "Duplicate API key found",
        _ => "Unauthorized",
    };
    Refusal::new(Policy::KeyAuth, reason, UNAUTHORIZED, message)
        .with_header("WWW-Authenticate", &*plan.challenge)
}

#[cfg(test)]
mod tests;
