//! key_auth and acl at work on a request: facts for the policies, and what their outcomes change.

use super::body::{self, Body};
use super::clock;
use super::context::{self, Authenticated};
use super::edit;
use super::guard::guard_request;
use super::limit;
use super::main_conf::MainConf;
use super::phases::Judged;
use super::request::Request;
use crate::acl::{self, AclPlan};
use crate::consumers::Name;
use crate::decision::Decision;
use crate::key_auth::identity::{GROUPS, identity_headers, is_identity_header};
use crate::key_auth::{self, BodyKind, BodyView, Found, KeyAuthPlan, Outcome, hide};
use crate::request::{Header, HeaderName, RequestHead};
use nginx_sys::{
    NGX_DECLINED, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SATISFY_ANY, ngx_http_request_t,
    ngx_int_t,
};
use std::borrow::Cow;
use std::ptr::NonNull;
use std::sync::LazyLock;

static CONTENT_TYPE: LazyLock<Option<HeaderName>> =
    LazyLock::new(|| HeaderName::parse("content-type"));

/// Takes identity headers of clients off; a request that has none is only looked at.
///
/// Once somebody was asked for, what there is is ours: after an internal redirect it stays.
pub(super) fn strip_identity(request: Request<'_>) -> Option<()> {
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    if context.is_some_and(|context| context.authenticated.is_some()) {
        // After an internal redirect another acl, or none, may be in force, which sends them again. A subrequest passes none that would,
        // so that those of its main request stay where its location sends any.
        let acl = request.conf().plan.acl.as_ref();
        let stay = !request.is_main() && acl.is_some_and(|acl| acl.sends_groups());
        if !stay && request.headers().any(|it| GROUPS.matches(&it)) {
            edit::remove_headers(request, |it| GROUPS.matches(it))?;
        }
        return Some(());
    }
    if request.headers().any(|header| is_identity_header(header.lowercase_name)) {
        edit::remove_headers(request, |header| is_identity_header(header.lowercase_name))?;
    }
    Some(())
}

/// Finds out who asks.
pub(super) fn key_auth(request: Request<'_>, main: &MainConf, plan: &KeyAuthPlan) -> Judged {
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    if let Some(decision) = context.and_then(|context| context.failed.take()) {
        return count_failure(request, *decision);
    }
    // SAFETY: as above.
    let known = unsafe { context::get(request.raw()) }.and_then(|it| it.authenticated.as_ref());
    if known.is_some_and(|known| is_enough(known, plan)) {
        return Judged::Decided(Decision::Continue);
    }
    let is_known_elsewhere = known.is_some();
    let kind = if plan.reads_body() { content_type(request).and_then(BodyKind::of) } else { None };
    if kind.is_some()
        && let Body::Coming(status) = body::read(request)
    {
        return Judged::Waits(status);
    }
    let Some(set) = main.sets.get(plan.set).map(|set| set.current()) else { return Judged::Failed };
    let bytes = if kind.is_some() { body::whole(request) } else { Some(Cow::default()) };
    let Some(bytes) = bytes else { return Judged::Failed };
    let view = kind.as_ref().map(|kind| BodyView { kind, bytes: &bytes });
    let now_s = i64::try_from(clock::cached_s()).unwrap_or(i64::MAX);
    let outcome = key_auth::decide(plan, &set, &request, view.as_ref(), now_s);
    if plan.hide
        && hide_beside_headers(request, plan, outcome.found, kind.as_ref(), bytes).is_none()
    {
        return Judged::Failed;
    }
    let is_failed_key = outcome.is_failed_key();
    let Outcome { decision, identity, found, .. } = outcome;
    let hides_header = plan.hide && found.header;
    if hides_header || is_known_elsewhere || identity.is_some() {
        // An identity of another set is from before an internal redirect.
        let goes = |it: &Header<'_>| {
            hides_header && plan.is_key_header(it)
                || is_known_elsewhere && is_identity_header(it.lowercase_name)
        };
        let changed = edit::replace_headers(request, goes, |lines| {
            if let Some(identity) = identity {
                identity_headers(&set, identity, |name, value| lines.add(name, value));
            }
        });
        if changed.is_none() {
            return Judged::Failed;
        }
    }
    let observed = request.conf().plan.pipeline.mode == crate::pipeline::Mode::Observe;
    if identity.is_some() || decision == Decision::Continue || observed {
        // SAFETY: as above.
        let Some(context) = (unsafe { context::get_or_create(request.raw()) }) else {
            return Judged::Failed;
        };
        context.authenticated = Some(Authenticated { set: plan.set, version: set, identity });
    }
    if is_failed_key { count_failure(request, decision) } else { Judged::Decided(decision) }
}

/// True when what is known since before an internal redirect is what this location asks for: a key of its set, or the
/// consumer that stands in here too. A preflight and what was only observed are judged anew.
fn is_enough(known: &Authenticated, plan: &KeyAuthPlan) -> bool {
    let Some(identity) = known.identity.filter(|_| known.set == plan.set) else { return false };
    let consumer = known.version.consumer(identity.consumer());
    let stands_in = |name: Name<'_>| plan.anonymous.as_deref().is_some_and(|it| name == it.into());
    !identity.is_anonymous() || consumer.and_then(|it| it.username()).is_some_and(stands_in)
}

/// Takes the key off a request that `satisfy any` has let in before it came to key_auth. A key in the body stays: it would
/// have to be read for it.
pub(super) unsafe extern "C" fn precontent_phase(request: *mut ngx_http_request_t) -> ngx_int_t {
    const DECLINED: ngx_int_t = NGX_DECLINED as ngx_int_t;
    const FAILED: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    let was_not_asked = NonNull::new(request).is_some_and(|raw| {
        // SAFETY: nginx hands a live request; no other reference to its context is held here.
        let (request, context) = unsafe { (Request::new(raw), context::get(raw)) };
        request.conf().plan.key_auth.as_ref().is_some_and(|plan| plan.hide)
            && request.core_conf().satisfy == NGX_HTTP_SATISFY_ANY as usize
            && request.is_main()
            && context.is_none_or(|it| it.authenticated.is_none() && it.refusal.is_none())
    });
    if !was_not_asked {
        return DECLINED;
    }
    guard_request("precontent phase", request, FAILED, |raw| {
        // SAFETY: nginx hands a live request.
        let request = unsafe { Request::new(raw) };
        let hidden = request.conf().plan.key_auth.as_ref().map_or(Some(()), |plan| {
            let found = key_auth::find(plan, &request);
            if found.header {
                edit::remove_headers(request, |header| plan.is_key_header(header))?;
            }
            hide_beside_headers(request, plan, found, None, Cow::default())
        });
        hidden.map_or(FAILED, |()| DECLINED)
    })
}

/// What key_auth has decided, unless the client has failed too often.
fn count_failure(request: Request<'_>, decision: Decision) -> Judged {
    let conf = request.conf();
    let (Some(plan), Some(location)) = (&conf.plan.key_auth_failures, &conf.failures) else {
        return Judged::Decided(decision);
    };
    match limit::failures(request, plan, location) {
        // who goes on as the anonymous consumer is counted, and not refused
        Ok(Some(refusal)) if decision != Decision::Continue => Judged::Decided(refusal.into()),
        Ok(_) => Judged::Decided(decision),
        Err(waits) => {
            // SAFETY: live; no other reference to the context is held here.
            if let Some(context) = unsafe { context::get(request.raw()) } {
                context.failed = Some(Box::new(decision));
            }
            waits
        }
    }
}

fn content_type(request: Request<'_>) -> Option<&[u8]> {
    let name = CONTENT_TYPE.as_ref()?;
    request.header_lines().find(|header| name.matches(header)).map(|header| header.value)
}

/// Takes the key out of wherever it was found but in headers; `None` when memory is short.
fn hide_beside_headers(
    request: Request<'_>,
    plan: &KeyAuthPlan,
    found: Found,
    kind: Option<&BodyKind>,
    bytes: Cow<'_, [u8]>,
) -> Option<()> {
    if found.query
        && let Some(query) = hide::query(request.query(), plan.query_names())
    {
        let uri = hide::uri(request.unparsed_uri(), plan.query_names());
        let uri = uri.unwrap_or_else(|| request.unparsed_uri().to_vec());
        edit::set_query(request, &query, &uri)?;
    }
    if found.cookie {
        edit::edit_headers(request, |header| {
            if header.lowercase_name != b"cookie" {
                return None;
            }
            hide::cookie(header.value, plan.cookie_names())
        })?;
    }
    if found.body
        && let Some(kind) = kind
        && let Some(body) = hide::body(&BodyView { kind, bytes: &bytes }, plan.body_names())
    {
        edit::set_body(request, &body)?;
    }
    Some(())
}

/// Asks whether the consumer's groups let it in.
pub(super) fn acl(
    request: Request<'_>,
    main: &MainConf,
    plan: &AclPlan,
    key_auth: &KeyAuthPlan,
) -> Judged {
    // SAFETY: live; no other reference to the context is held here, nor taken by what is called here.
    let authenticated = unsafe { context::get(request.raw()) }
        .and_then(|context| context.authenticated.as_ref())
        .filter(|it| it.set == key_auth.set);
    let current;
    let (version, identity) = match (authenticated, main.sets.get(key_auth.set)) {
        (Some(it), _) => (&*it.version, it.identity),
        (None, Some(set)) => {
            current = set.current();
            (&*current, None)
        }
        (None, None) => return Judged::Failed,
    };
    let decision = acl::decide(plan, version, identity, &key_auth.challenge);
    if decision == Decision::Continue
        && let Some(identity) = identity
        && let Some(groups) = acl::groups_header(plan, version, identity)
    {
        let again = request.headers().any(|header| GROUPS.matches(&header));
        if !again && edit::add_header(request, GROUPS, groups.as_bytes()).is_none() {
            return Judged::Failed;
        }
    }
    Judged::Decided(decision)
}
