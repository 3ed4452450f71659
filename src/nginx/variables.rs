//! `$consumer`, `$policy_decision` and the other variables of the contract.

use super::context::{self, RequestContext};
use super::guard::{guard, guard_request};
use super::main_conf::MainConf;
use super::memory;
use super::request::Request;
use super::request_id::RequestIds;
use crate::consumers::Consumer;
use crate::pipeline::Record;
use nginx_sys::{
    NGX_ERROR, NGX_OK, ngx_conf_t, ngx_http_add_variable, ngx_http_request_t, ngx_http_variable_t,
    ngx_http_variable_value_t, ngx_int_t, ngx_variable_value_t,
};
use std::borrow::Cow;

/// A variable's value of a request, `None` when it has none. The context is there once a policy has met the request.
type Read = for<'a> fn(Request<'a>, Option<&'a RequestContext>) -> Option<Cow<'a, str>>;

const VARIABLES: &[(&str, Read)] = &[
    ("policy_decision", |request, context| match context {
        Some(context) => Some(context.record.decision().into()),
        None => request.conf().plan.strips_identity.then(|| Record::default().decision().into()),
    }),
    ("policy_name", |_, context| Some(context?.record.policy()?.as_str().into())),
    ("policy_reason", |_, context| Some(context?.record.reason()?.as_str().into())),
    ("route", |request, _| Some(request.route())),
    ("consumer", |_, context| Some(consumer(context?)?.username()?.as_str().into())),
    ("consumer_id", |_, context| Some(consumer(context?)?.id().to_string().into())),
    ("consumer_custom_id", |_, context| Some(consumer(context?)?.custom_id()?.as_str().into())),
    ("consumer_groups", |_, context| {
        Some(consumer(context?)?.groups_text().as_str().into())
            .filter(|groups: &Cow<'_, str>| !groups.is_empty())
    }),
    ("credential_id", |_, context| {
        let authenticated = context?.authenticated.as_ref()?;
        let credential = authenticated.version.credential(authenticated.identity?.credential()?)?;
        Some(credential.id().to_string().into())
    }),
    ("lambda_request_id", |_, context| {
        Some(String::from_utf8_lossy(context?.invocation.as_ref()?.request_id.as_ref()?))
    }),
    ("lambda_error", |_, context| context?.invocation.as_ref()?.error.as_deref().map(Into::into)),
    ("lambda_version", |_, context| {
        Some(String::from_utf8_lossy(context?.invocation.as_ref()?.version.as_ref()?))
    }),
    ("lambda_log", |_, context| context?.invocation.as_ref()?.log.as_deref().map(Into::into)),
    ("rate_limit_limit", |_, context| shown(context?, 0)),
    ("rate_limit_remaining", |_, context| shown(context?, 1)),
    ("rate_limit_reset", |_, context| shown(context?, 2)),
];

fn shown(context: &RequestContext, which: usize) -> Option<Cow<'_, str>> {
    let numbers = context.limits.shown.as_ref()?;
    Some(numbers.get(which)?.to_string().into())
}

fn consumer(context: &RequestContext) -> Option<Consumer<'_>> {
    let authenticated = context.authenticated.as_ref()?;
    authenticated.version.consumer(authenticated.identity?.consumer())
}

/// Adds the variables; NGX_ERROR when memory is short.
///
/// # Safety
/// Called in preconfiguration with nginx's cf.
pub(super) unsafe fn register(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard("variables", NGX_ERROR as ngx_int_t, || {
        for (index, (name, _)) in VARIABLES.iter().enumerate() {
            let mut name = memory::static_str(name);
            // SAFETY: nginx's cf; the name is static.
            let variable: *mut ngx_http_variable_t = unsafe {
                ngx_http_add_variable(cf, &mut name, nginx_sys::NGX_HTTP_VAR_NOCACHEABLE as _)
            };
            // SAFETY: null or a variable of the configuration that is being made.
            let Some(variable) = (unsafe { variable.as_mut() }) else {
                return NGX_ERROR as ngx_int_t;
            };
            variable.get_handler = Some(get);
            variable.data = index;
        }
        // SAFETY: nginx's cf; no other reference to the conf is held.
        let ids = unsafe { RequestIds::new(cf).map(|ids| MainConf::of(cf).request_ids = ids) };
        ids.map_or(NGX_ERROR as ngx_int_t, |()| NGX_OK as ngx_int_t)
    })
}

unsafe extern "C" fn get(
    request: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    index: usize,
) -> ngx_int_t {
    guard_request("variables", request, NGX_ERROR as ngx_int_t, |raw| {
        // SAFETY: nginx hands a live request and a value to fill; no other reference to the context is held here.
        let (request, context, value) =
            unsafe { (Request::new(raw), context::get(raw), &mut *value) };
        match VARIABLES.get(index).and_then(|(_, read)| read(request, context.map(|it| &*it))) {
            // SAFETY: the request's pool is live.
            Some(text) => unsafe { fill(raw.as_ptr(), value, &text) },
            None => {
                value.set_not_found(1);
                NGX_OK as ngx_int_t
            }
        }
    })
}

/// # Safety
/// `request` is live.
unsafe fn fill(
    request: *mut ngx_http_request_t,
    value: &mut ngx_variable_value_t,
    text: &str,
) -> ngx_int_t {
    // SAFETY: the caller's.
    let Some(copy) = (unsafe { memory::copy((*request).pool, text.as_bytes()) }) else {
        return NGX_ERROR as ngx_int_t;
    };
    value.set_len(copy.len as _);
    value.data = copy.data;
    value.set_valid(1);
    value.set_no_cacheable(0);
    value.set_not_found(0);
    NGX_OK as ngx_int_t
}
