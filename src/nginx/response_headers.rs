//! The headers of cors.rs on every response: those of handlers and upstreams, nginx's own errors and redirects, error pages. Those
//! of rate limits are on it already; here others of their names go.
//!
//! The filter stands behind nginx's add_header, whose headers give way as an upstream's do, and before that of
//! response_json.rs, which may hold the header back. What an error clears away (ngx_http_filter_finalize_request) is set again
//! when the error passes.

use super::context;
use super::guard::guard_request;
use super::limit;
use super::next_filter::NextFilter;
use super::request::Request;
use super::{memory, respond};
use crate::cors::{self, CorsPlan};
use crate::rate_limit;
use nginx_sys::{NGX_ERROR, NGX_OK, ngx_conf_t, ngx_http_request_t, ngx_int_t, ngx_table_elt_t};
use std::ptr::NonNull;

const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;

static NEXT: NextFilter = NextFilter::new();

/// Puts the filter in the chain.
pub(super) unsafe extern "C" fn postconfiguration(_cf: *mut ngx_conf_t) -> ngx_int_t {
    NEXT.put_header_filter_first(header_filter);
    NGX_OK as ngx_int_t
}

unsafe extern "C" fn header_filter(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request, whose location's configuration outlives it.
    let is_concerned = NonNull::new(request).is_some_and(|raw| unsafe {
        let request = Request::new(raw);
        request.is_main()
            && (request.conf().plan.cors.is_some()
                || request.is_internal()
                || limit::told_lines(request).is_some())
    });
    if is_concerned {
        let status = guard_request("header filter", request, ERROR, |raw| {
            // SAFETY: nginx hands a live request.
            let request = unsafe { Request::new(raw) };
            set_headers(request).map_or(ERROR, |()| NGX_OK as ngx_int_t)
        });
        if status == ERROR {
            return ERROR;
        }
    }
    NonNull::new(request).map_or(ERROR, |raw| NEXT.header(raw))
}

/// Sets the headers by the `cors` of the location that answers, or else of the one that was asked for; `None` when memory is
/// short.
fn set_headers(request: Request<'_>) -> Option<()> {
    if request.is_filters_error() {
        limit::tell_again(request)?;
    }
    if let Some(count) = limit::told_lines(request) {
        keep_limits(request, count);
    }
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    if let Some(count) = context.as_ref().and_then(|context| context.answered) {
        keep_first(request, count);
        return Some(());
    }
    if let Some(refusal) = context.as_ref().and_then(|context| context.refusal.as_ref())
        && !request.has_status(refusal.status)
    {
        // An error page has made something else of it.
        respond::take_back(request.raw(), refusal);
    }
    let asked_for = context.and_then(|context| context.cors.as_deref());
    match request.conf().plan.cors.as_deref().or(asked_for) {
        Some(plan) => write(request, plan),
        None => Some(()),
    }
}

/// Takes out what an upstream says of limits of its own in the names that ours are told in, because a client would take the sum, or
/// the wrong one.
fn keep_limits(request: Request<'_>, count: usize) {
    // SAFETY: live, and no line is added meanwhile; names are of the request's pool or static.
    let lines = |places| unsafe { respond::header_lines_at(request.raw(), places) };
    // SAFETY: as above.
    let name = |line: NonNull<ngx_table_elt_t>| unsafe { memory::bytes(line.as_ref().key) };
    for mut line in lines(count..usize::MAX).filter(|line| rate_limit::is_header(name(*line))) {
        if lines(0..count).any(|ours| name(ours).eq_ignore_ascii_case(name(line))) {
            // SAFETY: as above; the list is ours to change until it is sent.
            unsafe { line.as_mut() }.hash = 0;
        }
    }
}

/// Takes out what was added behind the first lines and would say something else.
fn keep_first(request: Request<'_>, count: usize) {
    // SAFETY: live, and no line is added meanwhile; the list is ours to change until it is sent.
    unsafe {
        for mut line in respond::header_lines_at(request.raw(), count..usize::MAX) {
            let line = line.as_mut();
            if cors::is_of_cors(memory::bytes(line.key)) {
                line.hash = 0;
            }
        }
    }
}

/// Replaces the response's own headers by ours; `None` when memory is short.
fn write(request: Request<'_>, plan: &CorsPlan) -> Option<()> {
    let headers = cors::headers_for(plan, &request);
    let mut vary = Vary::Absent;
    // SAFETY: live, and no line is added meanwhile.
    for mut line in unsafe { respond::header_lines(request.raw()) } {
        // SAFETY: the list is ours to change until it is sent; names and values are of the request's pool or static.
        let (line, name, value) = unsafe {
            let line = line.as_mut();
            let (name, value) = (memory::bytes(line.key), memory::bytes(line.value));
            (line, name, value)
        };
        if headers.replaces(name) {
            line.hash = 0;
        } else if headers.vary_origin && name.eq_ignore_ascii_case(b"vary") {
            vary = if varies_by_origin(value) { Vary::Named } else { vary.or(line) };
        }
    }
    for (name, value) in headers.lines() {
        respond::add_header(request.raw(), name, value.as_bytes())?;
    }
    match vary {
        _ if !headers.vary_origin => {}
        Vary::Named => {}
        Vary::Absent => {
            respond::add_header(request.raw(), "Vary", b"Origin")?;
        }
        Vary::Other(line) => {
            // SAFETY: the line is of the list above; the pool is live.
            unsafe {
                let line = &mut *line.as_ptr();
                let joined = [memory::bytes(line.value), b", Origin"].concat();
                line.value = memory::copy((*request.raw().as_ptr()).pool, &joined)?;
            }
        }
    }
    Some(())
}

/// What the response says of Vary.
enum Vary {
    Absent,
    /// Nothing of Origin; the last line that says so.
    Other(NonNull<ngx_table_elt_t>),
    Named,
}

impl Vary {
    fn or(self, line: &mut ngx_table_elt_t) -> Self {
        match self {
            Self::Named => self,
            Self::Absent | Self::Other(_) => Self::Other(NonNull::from(line)),
        }
    }
}

/// True when the list has `Origin` or `*` in it.
fn varies_by_origin(list: &[u8]) -> bool {
    list.split(|byte| *byte == b',')
        .map(|name| name.trim_ascii())
        .any(|name| name.eq_ignore_ascii_case(b"origin") || name == b"*")
}
