//! Keys in the query stay out of nginx's logs, whoever writes them and whatever becomes of the request.
//!
//! `$request` shows a masked copy of the request line from the first phase on. Lines of the error log are masked as they are
//! written: request, upstream and referrer are in them. Which names are masked is a matter of the server, because the location
//! is not known yet.
//!
//! A request that nginx cannot read has no first phase: it ends at once, or on an error page, whose phases begin with that of
//! the server's rewrites.

use super::conf::ServerConf;
use super::guard::{guard, guard_request};
use super::main_conf::MainConf;
use super::memory;
use super::module::ngx_http_apigate_module;
use crate::key_auth::{ArgumentName, mask};
use nginx_sys::{
    NGX_DECLINED, NGX_OK, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_log_handler_pt,
    ngx_http_request_t, ngx_int_t, ngx_str_t, u_char,
};
use std::ptr::NonNull;

/// The function that ours stands before; nginx has one for all requests.
static mut STOCK_LOG: ngx_http_log_handler_pt = None;

/// Adds names of arguments that hold keys to those of the server that is being merged.
///
/// # Safety
/// Called while levels are merged, with nginx's cf.
pub(super) unsafe fn collect(cf: *mut ngx_conf_t, main: &mut MainConf, names: &[ArgumentName]) {
    // SAFETY: cf->ctx is the server's context while its levels are merged; nobody else has its conf now.
    let server = unsafe {
        let http = *(*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let slot = http.srv_conf.add(ngx_http_apigate_module.ctx_index);
        &mut *(*slot).cast::<ServerConf>()
    };
    for list in [&mut main.masked, &mut server.masked] {
        for name in names {
            if !list.contains(name) {
                list.push(name.clone());
            }
        }
    }
}

/// The handler of the first phase: masks `$request` before anything can log it.
pub(super) unsafe extern "C" fn post_read_phase(request: *mut ngx_http_request_t) -> ngx_int_t {
    const DECLINED: ngx_int_t = NGX_DECLINED as ngx_int_t;
    // SAFETY: nginx hands a live request.
    let names = NonNull::new(request).map(|request| unsafe { &main(request).masked });
    if names.is_none_or(|names| names.is_empty()) {
        return DECLINED;
    }
    guard_request("masking", request, DECLINED, |request| {
        // SAFETY: nginx hands a live request.
        unsafe { hide_from_logs(request, &server(request).masked, log_masked) };
        DECLINED
    })
}

/// The handler of the first phase that an error page has; it comes before all others of that phase.
pub(super) unsafe extern "C" fn server_rewrite_phase(
    request: *mut ngx_http_request_t,
) -> ngx_int_t {
    // SAFETY: nginx hands a live request.
    unsafe { hide_if_unread(request) };
    NGX_DECLINED as ngx_int_t
}

/// The handler before the access log.
pub(super) unsafe extern "C" fn log_phase(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request.
    unsafe { hide_if_unread(request) };
    NGX_OK as ngx_int_t
}

/// Masks a request that had no first phase.
///
/// Its server may not be the one it was meant for, so names of all servers are masked.
///
/// # Safety
/// The request is live or null.
unsafe fn hide_if_unread(request: *mut ngx_http_request_t) {
    // SAFETY: the caller's.
    let is_unread = NonNull::new(request)
        .is_some_and(|raw| unsafe { !is_masked(raw) && !main(raw).masked.is_empty() });
    if !is_unread {
        return;
    }
    guard_request("masking", request, (), |request| {
        // SAFETY: as above.
        unsafe {
            freeze_request_line(&mut *request.as_ptr());
            hide_from_logs(request, &main(request).masked, log_masked_by_all);
        }
    });
}

/// # Safety
/// The request is live.
unsafe fn server<'a>(request: NonNull<ngx_http_request_t>) -> &'a ServerConf {
    // SAFETY: conf.rs makes one for every server, and configuration outlives requests.
    unsafe {
        let slot = (*request.as_ptr()).srv_conf.add(ngx_http_apigate_module.ctx_index);
        &*(*slot).cast()
    }
}

/// # Safety
/// The request is live.
unsafe fn main<'a>(request: NonNull<ngx_http_request_t>) -> &'a MainConf {
    // SAFETY: conf.rs makes one, and configuration outlives requests.
    unsafe {
        let slot = (*request.as_ptr()).main_conf.add(ngx_http_apigate_module.ctx_index);
        &*(*slot).cast()
    }
}

/// True when [`hide_from_logs`] has seen the request, or the one that it is a part of.
///
/// # Safety
/// The request is live.
unsafe fn is_masked(request: NonNull<ngx_http_request_t>) -> bool {
    // SAFETY: the caller's.
    let handler = unsafe { (*request.as_ptr()).log_handler };
    let ours: [LogHandler; 2] = [log_masked, log_masked_by_all];
    handler.is_some_and(|it| ours.iter().any(|ours| std::ptr::fn_addr_eq(*ours, it)))
}

type LogHandler = unsafe extern "C" fn(
    *mut ngx_http_request_t,
    *mut ngx_http_request_t,
    *mut u_char,
    usize,
) -> *mut u_char;

/// Masks these names, none at all in a server that has none; `handler` does so in the error log.
///
/// # Safety
/// The request is live.
unsafe fn hide_from_logs(
    request: NonNull<ngx_http_request_t>,
    names: &[ArgumentName],
    handler: LogHandler,
) {
    // SAFETY: live; a request line is in the connection's buffer or the pool.
    unsafe {
        if !is_masked(request) {
            STOCK_LOG = (*request.as_ptr()).log_handler;
            (*request.as_ptr()).log_handler = Some(handler);
        }
        let line = (*request.as_ptr()).request_line;
        if let Some(masked) = mask::request_line(memory::bytes(line), names) {
            // short of memory there is no line rather than a key
            let copy = memory::copy((*request.as_ptr()).pool, &masked);
            (*request.as_ptr()).request_line = copy.unwrap_or(memory::static_str("-"));
        }
    }
}

/// Sets the line of a request that could not be parsed, as nginx would when it logs it.
///
/// *Source*: ngx_http_log_error_handler.
///
/// # Safety
/// The request is live.
unsafe fn freeze_request_line(request: &mut ngx_http_request_t) {
    if !request.request_line.data.is_null()
        || request.request_start.is_null()
        || request.header_in.is_null()
    {
        return;
    }
    // SAFETY: request_start is in header_in's buffer, whose bytes end at `last`.
    unsafe {
        let length = (*request.header_in).last.offset_from(request.request_start);
        let line =
            std::slice::from_raw_parts(request.request_start, usize::try_from(length).unwrap_or(0));
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let length = line.iter().position(is_end).unwrap_or(line.len());
        request.request_line = ngx_str_t { len: length, data: request.request_start };
    }
}

unsafe extern "C" fn log_masked(
    request: *mut ngx_http_request_t,
    subrequest: *mut ngx_http_request_t,
    buffer: *mut u_char,
    length: usize,
) -> *mut u_char {
    // SAFETY: nginx's arguments.
    unsafe { log_without(request, subrequest, buffer, length, |it| &server(it).masked) }
}

unsafe extern "C" fn log_masked_by_all(
    request: *mut ngx_http_request_t,
    subrequest: *mut ngx_http_request_t,
    buffer: *mut u_char,
    length: usize,
) -> *mut u_char {
    // SAFETY: nginx's arguments.
    unsafe { log_without(request, subrequest, buffer, length, |it| &main(it).masked) }
}

/// Writes what nginx tells of a request in the error log, without keys.
///
/// # Safety
/// Called by nginx as a log handler, with a live request.
unsafe fn log_without(
    request: *mut ngx_http_request_t,
    subrequest: *mut ngx_http_request_t,
    buffer: *mut u_char,
    length: usize,
    names: impl FnOnce(NonNull<ngx_http_request_t>) -> &'static [ArgumentName],
) -> *mut u_char {
    // a panic would be logged, which would come here again: nothing of the context is shown then
    guard("error log", buffer, || {
        // SAFETY: nginx hands live requests and `length` bytes at `buffer`, of which the stock function writes some; it is set
        // before this one is.
        unsafe {
            let Some(stock) = STOCK_LOG else { return buffer };
            let end = stock(request, subrequest, buffer, length);
            let written = usize::try_from(end.offset_from(buffer)).unwrap_or(0);
            let line = std::slice::from_raw_parts_mut(buffer, written);
            let names = NonNull::new(request).map_or(&[][..], names);
            buffer.add(mask::log_line(line, names))
        }
    })
}
