//! Hands status, headers and bodies to nginx, which writes them to the client.

use super::call::Call;
use crate::lambda::reply::{Reply, may_have_body};
use crate::lambda::{LambdaPlan, ResponseHead};
use crate::nginx::guard::guard;
use crate::nginx::memory;
use crate::nginx::request::Request;
use nginx_sys::{
    NGX_ERROR, NGX_OK, ngx_chain_get_free_buf, ngx_chain_t, ngx_hash_find, ngx_hash_strlow,
    ngx_http_request_t, ngx_http_upstream_header_t, ngx_http_upstream_main_conf_t,
    ngx_http_upstream_module, ngx_http_upstream_t, ngx_int_t, ngx_list_push, ngx_pnalloc,
    ngx_table_elt_t, off_t,
};
use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
const SET_COOKIE: &[u8] = b"set-cookie";
/// How the headers of AWS's own begin.
const API_PREFIX: &str = "x-amz";

/// Hands a whole reply to nginx.
pub(super) fn write_reply(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
    reply: Reply<'_>,
) -> ngx_int_t {
    if write_head(request, upstream, &reply).is_none() {
        return ERROR;
    }
    if !may_have_body(reply.status, request.method_bytes()) {
        end_without_body(upstream, length_without_body(request, &reply));
        return OK;
    }
    match reply.body {
        Cow::Borrowed(body) => {
            // A piece of nginx's own buffer: it is written from there.
            let start = body.as_ptr().cast_mut();
            upstream.headers_in.content_length_n = body.len() as off_t;
            upstream.buffer.pos = start;
            // SAFETY: `body` is a piece of the buffer.
            upstream.buffer.last = unsafe { start.add(body.len()) };
        }
        Cow::Owned(body) => {
            call.body = body;
            write_body(upstream, call, false);
        }
    }
    OK
}

/// The length that a reply without a body tells, -1 for none: that of the body which a GET would have.
fn length_without_body(request: Request<'_>, reply: &Reply<'_>) -> off_t {
    if !request.is_head() || !may_have_body(reply.status, b"GET") {
        return -1;
    }
    let length = match reply.body.len() {
        0 => reply.content_length,
        length => Some(length as u64),
    };
    length.and_then(|length| off_t::try_from(length).ok()).unwrap_or(-1)
}

/// Hands a reply's status and headers to nginx; `None` when memory is short.
pub(super) fn write_head(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    reply: &Reply<'_>,
) -> Option<()> {
    upstream.headers_in.status_n = reply.status.into();
    for (name, value) in &reply.headers {
        push(request, upstream, name.as_bytes(), value.as_bytes())?;
    }
    Some(())
}

/// Passes on what `lambda_pass_header` names of the API's own headers; `None` when memory is short.
pub(super) fn pass_api_headers(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    plan: &LambdaPlan,
    head: &[u8],
) -> Option<()> {
    if !plan.pass_headers.iter().any(|name| is_api_header(name)) {
        return Some(());
    }
    for (name, value) in ResponseHead::lines(head) {
        if is_api_header(name) && is_passed(plan, name) {
            push(request, upstream, name.as_bytes(), value)?;
        }
    }
    Some(())
}

/// True for headers that are AWS's and not the function's.
pub(super) fn is_api_header(name: &str) -> bool {
    name.get(..API_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(API_PREFIX))
}

/// True for what `lambda_pass_header` names.
pub(super) fn is_passed(plan: &LambdaPlan, name: &str) -> bool {
    plan.pass_headers.iter().any(|passed| passed.eq_ignore_ascii_case(name))
}

/// Hands `call.body` to nginx, which writes it from there.
pub(super) fn write_body(upstream: &mut ngx_http_upstream_t, call: &mut Call, head: bool) {
    upstream.headers_in.content_length_n = call.body.len() as off_t;
    if head || call.body.is_empty() {
        end_without_body(upstream, call.body.len() as off_t);
        return;
    }
    let buffer = &mut upstream.buffer;
    let range = call.body.as_mut_ptr_range();
    buffer.start = range.start;
    buffer.pos = range.start;
    buffer.last = range.end;
    buffer.end = range.end;
}

/// Ends a response whose length is `length`, -1 for none, with its head.
pub(super) fn end_without_body(upstream: &mut ngx_http_upstream_t, length: off_t) {
    upstream.headers_in.content_length_n = length;
    let buffer = &mut upstream.buffer;
    buffer.pos = buffer.last;
    buffer.start = buffer.last;
}

/// Takes back the headers of a stream that is refused after its head was read.
pub(super) fn forget_headers(upstream: &mut ngx_http_upstream_t) {
    let list = &mut upstream.headers_in.headers;
    list.part.nelts = 0;
    list.part.next = null_mut();
    list.last = &mut list.part;
}

/// Adds a header to the upstream's; `None` when memory is short. Both texts get the NUL that nginx's copies read on to.
pub(super) fn push(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    name: &[u8],
    value: &[u8],
) -> Option<()> {
    // SAFETY: the pool is live; the block has room for both texts, their NULs and the name in lower case.
    unsafe {
        let pool = (*request.raw().as_ptr()).pool;
        let key = memory::copy(pool, name)?;
        let value = memory::copy(pool, value)?;
        let lowercase = NonNull::new(ngx_pnalloc(pool, name.len().max(1)).cast::<u8>())?;
        let list = &mut upstream.headers_in.headers;
        let line = NonNull::new(ngx_list_push(list).cast::<ngx_table_elt_t>())?;
        line.write_bytes(0, 1);
        let header = &mut *line.as_ptr();
        header.hash = ngx_hash_strlow(lowercase.as_ptr(), key.data, key.len);
        header.key = key;
        header.value = value;
        header.lowcase_key = lowercase.as_ptr();
        if key.len == SET_COOKIE.len() && name.eq_ignore_ascii_case(SET_COOKIE) {
            note_cookie(request, header);
        }
        Some(())
    }
}

/// Has nginx put a cookie where `$upstream_cookie_NAME` looks for it, as ngx_http_proxy_process_header does.
///
/// # Safety
/// The line is one of the upstream's headers.
unsafe fn note_cookie(request: Request<'_>, line: &mut ngx_table_elt_t) {
    let raw = request.raw().as_ptr();
    // SAFETY: the upstream module's main conf has the hash of the headers that it knows.
    unsafe {
        let main = *(*raw).main_conf.add(ngx_http_upstream_module.ctx_index);
        let hash = &raw mut (*main.cast::<ngx_http_upstream_main_conf_t>()).headers_in_hash;
        let found = ngx_hash_find(hash, line.hash, line.lowcase_key, line.key.len);
        if let Some(known) = found.cast::<ngx_http_upstream_header_t>().as_ref()
            && let Some(handler) = known.handler
        {
            handler(raw, line, known.offset);
        }
    }
}

/// u->input_filter_init: a whole reply is in the buffer; a stream says itself when it is over.
pub(super) unsafe extern "C" fn input_filter_init(data: *mut c_void) -> ngx_int_t {
    guard("reply", ERROR, || {
        // SAFETY: input_filter_ctx, whose request is live.
        unsafe {
            let call = &*data.cast::<Call>();
            let upstream = &mut *(*call.request.as_ptr()).upstream;
            upstream.length = call.response.stream.as_ref().map_or(0, |stream| stream.length());
        }
        OK
    })
}

/// u->input_filter: hands `bytes` behind `buffer.last` to the output chain.
pub(super) unsafe extern "C" fn input_filter(data: *mut c_void, bytes: isize) -> ngx_int_t {
    guard("reply", ERROR, || {
        // SAFETY: input_filter_ctx, whose request is live; the bytes are initialised.
        unsafe {
            let call = &mut *data.cast::<Call>();
            let upstream = &mut *(*call.request.as_ptr()).upstream;
            if call.response.stream.is_some() {
                let size = usize::try_from(bytes).unwrap_or(0);
                return super::stream::pass(upstream, call, size).map_or(ERROR, |()| OK);
            }
            let start = upstream.buffer.last;
            upstream.buffer.last = start.offset(bytes);
            append(call.request, upstream, start, upstream.buffer.last).map_or(ERROR, |()| OK)
        }
    })
}

/// Appends a piece of memory to the output chain; `None` when memory is short.
///
/// # Safety
/// The request is live, and so is the piece until it is sent.
pub(super) unsafe fn append(
    request: NonNull<ngx_http_request_t>,
    upstream: &mut ngx_http_upstream_t,
    start: *mut u8,
    end: *mut u8,
) -> Option<()> {
    // SAFETY: the pool is live; chains of the upstream are ended by null.
    unsafe {
        let link = ngx_chain_get_free_buf((*request.as_ptr()).pool, &mut upstream.free_bufs);
        if link.is_null() {
            return None;
        }
        let buffer = &mut *(*link).buf;
        buffer.set_flush(1);
        buffer.set_memory(1);
        buffer.pos = start;
        buffer.last = end;
        buffer.tag = upstream.output.tag;
        let mut slot: *mut *mut ngx_chain_t = &mut upstream.out_bufs;
        while !(*slot).is_null() {
            slot = &mut (**slot).next;
        }
        *slot = link;
    }
    Some(())
}
