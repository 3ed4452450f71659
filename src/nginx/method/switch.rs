//! Requests: handing one over to the block of its method.

use super::{Level, core, ours};
use crate::cors;
use crate::nginx::log;
use crate::nginx::request::Request;
use crate::request::RequestHead;
use nginx_sys::{
    NGX_DECLINED, NGX_HTTP_CONNECTION_KEEP_ALIVE, NGX_HTTP_NOT_FOUND,
    NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, NGX_HTTP_VERSION_10, ngx_http_discard_request_body,
    ngx_http_request_t, ngx_http_update_location_config, ngx_int_t,
};

const DECLINED: ngx_int_t = NGX_DECLINED as ngx_int_t;

/// Replaces the request's location by the block of its method: NGX_DECLINED, or the status that ends the request.
///
/// What nginx has tested of the location is tested again of the block. *Source*: ngx_http_core_find_config_phase.
///
/// # Safety
/// The request is in the rewrite phase.
pub(in crate::nginx) unsafe fn switch(request: Request<'_>) -> ngx_int_t {
    let conf = request.conf();
    let Some(plan) = &conf.plan.method else { return DECLINED };
    let block = plan.block(request.method()).or_else(|| {
        // Whether another origin may send a method is for the block of that method to say, where the location says nothing.
        let asked = cors::preflight_method(&request).filter(|_| conf.plan.cors.is_none())?;
        let block = plan.block(asked)?;
        // SAFETY: a level that outlives requests.
        let says = |level: &Level| unsafe { ours(*level) }.plan.cors.is_some();
        conf.blocks.levels.get(block).is_some_and(says).then_some(block)
    });
    let level = match block {
        Some(block) => conf.blocks.levels.get(block).copied(),
        None => conf.blocks.others,
    };
    let Some(level) = level else { return DECLINED };
    let tests_length = request.core_conf().named() == 0;
    // SAFETY: the request is live, and no reference to it is held but this one; levels outlive requests.
    unsafe {
        let raw = &mut *request.raw().as_ptr();
        raw.loc_conf = level;
        if raw.internal() == 0 && core(level).internal != 0 {
            return NGX_HTTP_NOT_FOUND as ngx_int_t;
        }
        // ngx_http_update_location_config takes these one way only
        if raw.internal() == 0 {
            restore_keepalive(raw);
        }
        raw.set_request_body_in_file_only(0);
        raw.set_request_body_in_persistent_file(0);
        raw.set_request_body_in_clean_file(0);
        ngx_http_update_location_config(raw);
        // that may have led on to a limit_except
        if tests_length && is_too_large(raw, core(raw.loc_conf).client_max_body_size) {
            return refuse_body(raw);
        }
    }
    DECLINED
}

/// What the client asked for, before the location's limits. *Source*: ngx_http_handler.
fn restore_keepalive(raw: &mut ngx_http_request_t) {
    let keepalive = match raw.headers_in.connection_type() {
        0 => raw.http_version > NGX_HTTP_VERSION_10 as usize,
        asked => asked == NGX_HTTP_CONNECTION_KEEP_ALIVE,
    };
    raw.set_keepalive(u32::from(keepalive));
}

fn is_too_large(raw: &ngx_http_request_t, limit: i64) -> bool {
    let length = raw.headers_in.content_length_n;
    length != -1 && raw.discard_body() == 0 && limit != 0 && limit < length
}

/// # Safety
/// The request is live.
unsafe fn refuse_body(raw: &mut ngx_http_request_t) -> ngx_int_t {
    let length = raw.headers_in.content_length_n;
    // SAFETY: a request has a connection for all its life.
    let log = unsafe { (*raw.connection).log };
    let level = log::Level::Error;
    log::write(log, level, format_args!("client intended to send too large body: {length} bytes"));
    raw.set_expect_tested(1);
    // SAFETY: the request is live; a failure shows when nginx reads on.
    unsafe { ngx_http_discard_request_body(raw) };
    NGX_HTTP_REQUEST_ENTITY_TOO_LARGE as ngx_int_t
}
