//! Bodies of error responses: ours in place of the pages compiled into nginx.
//!
//! A header filter holds the header back when the response is an error of nginx's own making; the first body buffer tells
//! whether it is one of nginx's pages (static text with a known beginning, or nothing). What `error_page` or an upstream
//! answered passes untouched.

use super::context;
use super::guard::guard_request;
use super::memory;
use super::module::ngx_http_apigate_error_filter_module;
use super::next_filter::NextFilter;
use super::request::Request;
use super::respond;
use nginx_sys::{
    NGX_ERROR, NGX_HTTP_HEAD, NGX_OK, ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t, ngx_conf_t,
    ngx_create_temp_buf, ngx_http_request_t, ngx_int_t,
};
use std::ptr::{NonNull, null_mut};

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
/// How every page of ngx_http_special_response.c begins.
const PAGE_HEAD: &[u8] = b"<html>\r\n<head><title>";

static NEXT: NextFilter = NextFilter::new();

/// Where the filter is with a response; kept in the request's slot of this module.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not an error of nginx's own making.
    Untouched = 0,
    /// The header is held until the first buffer comes.
    Waiting = 1,
    /// Decided; buffers pass.
    Passing = 2,
    /// The body is ours; what is left of nginx's page is thrown away.
    Replaced = 3,
}

/// Puts the filters in the chain.
pub(super) unsafe extern "C" fn postconfiguration(_cf: *mut ngx_conf_t) -> ngx_int_t {
    NEXT.put_header_filter_first(header_filter);
    NEXT.put_body_filter_first(body_filter);
    OK
}

fn state(request: NonNull<ngx_http_request_t>) -> State {
    // SAFETY: the slot holds a State's number and nothing else.
    let slot =
        unsafe { *(*request.as_ptr()).ctx.add(ngx_http_apigate_error_filter_module.ctx_index) };
    match slot as usize {
        1 => State::Waiting,
        2 => State::Passing,
        3 => State::Replaced,
        _ => State::Untouched,
    }
}

/// True when the response is an error with our body.
pub(super) fn has_our_body(request: NonNull<ngx_http_request_t>) -> bool {
    state(request) == State::Replaced
}

fn set_state(request: NonNull<ngx_http_request_t>, state: State) {
    // SAFETY: as in `state`.
    unsafe {
        *(*request.as_ptr()).ctx.add(ngx_http_apigate_error_filter_module.ctx_index) =
            std::ptr::without_provenance_mut(state as usize);
    }
}

unsafe extern "C" fn header_filter(request: *mut ngx_http_request_t) -> ngx_int_t {
    if let Some(raw) = NonNull::new(request)
        && !is_own_error(raw)
    {
        return NEXT.header(raw);
    }
    guard_request("header filter", request, ERROR, |raw| {
        // SAFETY: nginx hands a live request.
        let request = unsafe { Request::new(raw) };
        if !request.is_main() || !has_our_shape(request) {
            return NEXT.header(raw);
        }
        // SAFETY: live.
        let head = unsafe { (*raw.as_ptr()).method == NGX_HTTP_HEAD as usize };
        if head {
            // No body will come to judge by: an error without validators is nginx's own.
            let length = write_body(request).len();
            set_state(raw, State::Replaced);
            describe_body(request, length);
            return NEXT.header(raw);
        }
        set_state(raw, State::Waiting);
        OK
    })
}

/// True where the location's errors have our body, and for a refusal of ours in any location.
fn has_our_shape(request: Request<'_>) -> bool {
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    let is_refusal = |context: &mut context::RequestContext| {
        context.refusal.as_ref().is_some_and(|refusal| request.has_status(refusal.status))
    };
    request.conf().plan.owns_errors || context.is_some_and(is_refusal)
}

/// True when nginx made the response from a status alone: an upstream's or a `return`'s own body leaves err_status 0, and one
/// that answers for an error page has a type, or an upstream that is not through with it.
///
/// *Source*: ngx_http_send_special_response.
fn is_own_error(request: NonNull<ngx_http_request_t>) -> bool {
    // SAFETY: live.
    unsafe {
        let request = &*request.as_ptr();
        let out = &request.headers_out;
        request.err_status >= 400
            && out.status >= 400
            && out.last_modified_time == -1
            && out.etag.is_null()
            && request.cached() == 0
            && (request.filter_finalize() != 0
                || request.upstream.as_ref().is_none_or(|upstream| upstream.cleanup.is_null()))
            && match memory::bytes(out.content_type) {
                b"text/html" => out.content_length_n > 0,
                content_type => content_type.is_empty() && out.content_length_n == 0,
            }
    }
}

unsafe extern "C" fn body_filter(
    request: *mut ngx_http_request_t,
    chain: *mut ngx_chain_t,
) -> ngx_int_t {
    if let Some(raw) = NonNull::new(request)
        && matches!(state(raw), State::Untouched | State::Passing)
    {
        return NEXT.body(raw, chain);
    }
    guard_request("body filter", request, ERROR, |raw| match state(raw) {
        State::Waiting if !chain.is_null() => {
            // SAFETY: nginx hands a live request and chain.
            unsafe { first_buffer(Request::new(raw), chain) }
        }
        // Without buffers it is a flush of what was already sent.
        State::Replaced if !chain.is_null() => {
            // SAFETY: nginx hands a live chain.
            unsafe { consume(chain) };
            OK
        }
        _ => NEXT.body(raw, chain),
    })
}

/// # Safety
/// `chain` is live and not empty.
unsafe fn first_buffer(request: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
    let raw = request.raw();
    // SAFETY: the caller's.
    if !unsafe { is_page(&*(*chain).buf) } {
        set_state(raw, State::Passing);
        let status = NEXT.header(raw);
        // SAFETY: live.
        if status == ERROR || status > OK || unsafe { (*raw.as_ptr()).header_only() } != 0 {
            return status;
        }
        return NEXT.body(raw, chain);
    }
    let body = write_body(request);
    // SAFETY: the caller's.
    unsafe { consume(chain) };
    set_state(raw, State::Replaced);
    describe_body(request, body.len());
    let status = NEXT.header(raw);
    // SAFETY: live.
    if status == ERROR || status > OK || unsafe { (*raw.as_ptr()).header_only() } != 0 {
        return status;
    }
    // SAFETY: live.
    unsafe { send(raw, &body) }
}

/// Is it one of the pages compiled into nginx (static memory, no `start`), or the empty one of an unknown status?
unsafe fn is_page(buffer: &ngx_buf_t) -> bool {
    if buffer.in_file() != 0 || !buffer.start.is_null() {
        return false;
    }
    if buffer.pos.is_null() || buffer.pos == buffer.last {
        return buffer.last_buf() != 0;
    }
    // SAFETY: pos..last of a memory buffer is readable.
    let text = unsafe {
        let length = buffer.last.offset_from(buffer.pos);
        std::slice::from_raw_parts(buffer.pos, usize::try_from(length).unwrap_or(0))
    };
    buffer.memory() != 0 && text.starts_with(PAGE_HEAD)
}

/// Marks a chain as sent.
///
/// # Safety
/// `chain` is live or null.
unsafe fn consume(mut chain: *mut ngx_chain_t) {
    // SAFETY: links of a live chain, ended by null, each with a buffer.
    unsafe {
        while let Some(link) = chain.as_ref() {
            (*link.buf).pos = (*link.buf).last;
            chain = link.next;
        }
    }
}

fn write_body(request: Request<'_>) -> Vec<u8> {
    // SAFETY: live; no other reference to the context is held here.
    let (context, status) =
        unsafe { (context::get(request.raw()), (*request.raw().as_ptr()).headers_out.status) };
    let status = u16::try_from(status).unwrap_or(500);
    let refusal = context.and_then(|context| context.refusal.as_ref());
    respond::error_body(request, status, refusal.filter(|refusal| refusal.status == status))
}

/// Sets type and length of the response to those of our body.
fn describe_body(request: Request<'_>, length: usize) {
    let content_type = request.conf().plan.pipeline.errors.content_type();
    // SAFETY: live; the type is static text.
    unsafe {
        let out = &mut (*request.raw().as_ptr()).headers_out;
        if let Some(line) = out.content_length.as_mut() {
            line.hash = 0;
            out.content_length = null_mut();
        }
        out.content_length_n = length as _;
        out.content_type = memory::static_str(content_type);
        // The length up to the parameters: nginx then adds no charset of its own.
        out.content_type_len = content_type.find(';').unwrap_or(content_type.len());
        out.content_type_lowcase = null_mut();
    }
}

/// # Safety
/// `request` is live.
unsafe fn send(request: NonNull<ngx_http_request_t>, body: &[u8]) -> ngx_int_t {
    // SAFETY: the pool is live; the buffer has room for the body.
    unsafe {
        let pool = (*request.as_ptr()).pool;
        let buffer = ngx_create_temp_buf(pool, body.len());
        let link = ngx_alloc_chain_link(pool);
        if buffer.is_null() || link.is_null() {
            return ERROR;
        }
        std::ptr::copy_nonoverlapping(body.as_ptr(), (*buffer).pos, body.len());
        (*buffer).last = (*buffer).pos.add(body.len());
        (*buffer).set_last_buf(1);
        (*buffer).set_last_in_chain(1);
        (*link).buf = buffer;
        (*link).next = null_mut();
        NEXT.body(request, link)
    }
}
