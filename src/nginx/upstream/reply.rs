//! Reads the API's response, and makes the client's of it.
//!
//! nginx is told to wait until the whole response is in its buffer: nothing has been written to the client until it is known
//! to be good.

use super::call::{Again, Call};
use crate::decision::Refusal;
use crate::lambda::reply::{Reply, may_have_body, read_reply};
use crate::lambda::{ApiAnswer, BodyLength, Failure, Outcome, ResponseHead};
use crate::nginx::context::{self, Invocation};
use crate::nginx::guard::{guard, guard_request};
use crate::nginx::request::Request;
use crate::nginx::{clock, log, memory, respond};
use crate::pipeline::Mode;
use nginx_sys::{
    NGX_AGAIN, NGX_ERROR, NGX_HTTP_BAD_GATEWAY, NGX_HTTP_GATEWAY_TIME_OUT,
    NGX_HTTP_UPSTREAM_INVALID_HEADER, NGX_OK, ngx_buf_t, ngx_chain_get_free_buf, ngx_chain_t,
    ngx_connection_t, ngx_hash_strlow, ngx_http_request_t, ngx_http_upstream_t, ngx_int_t,
    ngx_list_push, ngx_palloc, ngx_pfree, ngx_pnalloc, ngx_table_elt_t, off_t,
};
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::NonNull;

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const AGAIN: ngx_int_t = NGX_AGAIN as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
const INVALID: ngx_int_t = NGX_HTTP_UPSTREAM_INVALID_HEADER as ngx_int_t;
/// The most bytes of a response's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const ACCEPTED: u16 = 202;
const NO_CONTENT: u16 = 204;
/// How much room a response of unknown length must find before more of it is read.
const MIN_ROOM_BYTES: usize = 2 * 1024;

/// u->process_header: NGX_AGAIN until the response is whole.
pub(super) unsafe extern "C" fn process_header(request: *mut ngx_http_request_t) -> ngx_int_t {
    guard_request("reply", request, ERROR, |raw| {
        // SAFETY: nginx hands a live request whose upstream's input_filter_ctx the content handler set.
        let (upstream, call) = unsafe {
            let upstream = &mut *(*raw.as_ptr()).upstream;
            let call = &mut *upstream.input_filter_ctx.cast::<Call>();
            (upstream, call)
        };
        // SAFETY: as above.
        let request = unsafe { Request::new(raw) };
        if call.again == Some(Again::AwaitingCredentials) {
            return super::renew::awaited(call);
        }
        call.response.received = true;
        // SAFETY: the buffer is nginx's for this response.
        match unsafe { collect(request, upstream, call) } {
            Ok(true) => finish(request, upstream, call),
            Ok(false) => AGAIN,
            Err(Unreadable::Invalid) => {
                call.response.invalid = true;
                INVALID
            }
            Err(Unreadable::Memory) => ERROR,
        }
    })
}

enum Unreadable {
    Invalid,
    Memory,
}

/// Takes what has come; true when the response is whole.
unsafe fn collect(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
) -> Result<bool, Unreadable> {
    let buffer = &mut upstream.buffer;
    // SAFETY: pos..last of the buffer is what has been read.
    let have = unsafe { filled(buffer) };
    if call.response.head.is_none() {
        let Some(head) = ResponseHead::parse(have, false).map_err(|_| Unreadable::Invalid)? else {
            if have.len() >= MAX_HEAD_BYTES {
                return Err(Unreadable::Invalid);
            }
            // SAFETY: the request's pool is live.
            return unsafe { make_room(request, buffer, MIN_ROOM_BYTES) }.map(|()| false);
        };
        call.response.decoded_end = head.length;
        if let BodyLength::Known(length) = head.body {
            let length = usize::try_from(length).map_err(|_| Unreadable::Invalid)?;
            if length > call.location().plan.max_response_bytes {
                return Err(Unreadable::Invalid);
            }
            let missing = (head.length + length).saturating_sub(have.len());
            // A byte more: nginx takes a full buffer for a head that is too long.
            // SAFETY: as above.
            unsafe { make_room(request, buffer, missing + 1) }?;
        } else if head.body == BodyLength::UntilClose {
            // SAFETY: a response is read from a live connection.
            unsafe { super::renew::watch_end(upstream, call) };
        }
        call.response.head = Some(head);
    }
    let buffer = &mut upstream.buffer;
    let Some(head) = call.response.head.as_ref() else { return Err(Unreadable::Invalid) };
    let limit = head.length.saturating_add(call.location().plan.max_response_bytes);
    // SAFETY: as above.
    let have = unsafe { filled(buffer) };
    let whole = match head.body {
        BodyLength::Known(length) => {
            let end = head.length.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            call.response.decoded_end = end.min(have.len());
            have.len() >= end
        }
        BodyLength::Chunked => {
            let piece = have.get_mut(call.response.decoded_end..).unwrap_or_default();
            let content =
                call.response.chunks.feed_in_place(piece).map_err(|_| Unreadable::Invalid)?;
            call.response.decoded_end += content;
            // SAFETY: what was fed is consumed; the content lies at the front of it.
            buffer.last = unsafe { buffer.pos.add(call.response.decoded_end) };
            call.response.chunks.is_done()
        }
        BodyLength::UntilClose => {
            // The mark of the end is a byte that `renew::watch_end` adds.
            call.response.decoded_end = have.len() - usize::from(call.response.ended);
            call.response.ended
        }
    };
    if call.response.decoded_end > limit {
        return Err(Unreadable::Invalid);
    }
    if !whole {
        // SAFETY: as above.
        unsafe { make_room(request, &mut upstream.buffer, MIN_ROOM_BYTES) }?;
    }
    Ok(whole)
}

/// # Safety
/// The buffer is live and pos..last initialised.
unsafe fn filled<'a>(buffer: &ngx_buf_t) -> &'a mut [u8] {
    // SAFETY: the caller's.
    unsafe {
        let length = usize::try_from(buffer.last.offset_from(buffer.pos)).unwrap_or(0);
        std::slice::from_raw_parts_mut(buffer.pos, length)
    }
}

/// Sees to `room` free bytes behind what the buffer holds, in a larger buffer if need be.
unsafe fn make_room(
    request: Request<'_>,
    buffer: &mut ngx_buf_t,
    room: usize,
) -> Result<(), Unreadable> {
    // SAFETY: the buffer is one block of the request's pool; the new one holds what it held.
    unsafe {
        let free = usize::try_from(buffer.end.offset_from(buffer.last)).unwrap_or(0);
        if free >= room {
            return Ok(());
        }
        let held = filled(buffer);
        let size = (held.len() + room).max(held.len() * 2);
        let pool = (*request.raw().as_ptr()).pool;
        let block = ngx_palloc(pool, size).cast::<u8>();
        if block.is_null() {
            return Err(Unreadable::Memory);
        }
        std::ptr::copy_nonoverlapping(held.as_ptr(), block, held.len());
        let length = held.len();
        ngx_pfree(pool, buffer.start.cast());
        buffer.start = block;
        buffer.pos = block;
        buffer.last = block.add(length);
        buffer.end = block.add(size);
    }
    Ok(())
}

/// The response is whole: the client's is made of it.
fn finish(request: Request<'_>, upstream: &mut ngx_http_upstream_t, call: &mut Call) -> ngx_int_t {
    // SAFETY: the buffer holds the head and the decoded body.
    let have: &[u8] = unsafe { filled(&upstream.buffer) };
    let Some(head) = call.response.head.take() else { return INVALID };
    let payload = have.get(head.length..call.response.decoded_end).unwrap_or_default();
    let location = call.location();
    upstream.set_keepalive(u32::from(!head.is_last));
    let outcome = outcome(have, &head, payload);
    note(request, have, &head, location.plan.log_tail);
    match outcome {
        Outcome::Reply => match read_reply(payload, location.plan.pass.payload) {
            Ok(reply) => write_reply(request, upstream, call, reply),
            Err(invalid) => refuse(request, upstream, call, &Failure::InvalidReply(invalid)),
        },
        Outcome::Accepted => end_with_status(upstream, ACCEPTED),
        Outcome::DryRun => end_with_status(upstream, NO_CONTENT),
        Outcome::CredentialsRejected(_) if !call.renewed => {
            call.renewed = true;
            super::renew::begin(upstream, call)
        }
        Outcome::ClockSkew { .. } if !call.renewed => {
            call.renewed = true;
            let date = head.date.and_then(|date| have.get(date)).unwrap_or_default();
            super::renew::correct_clock(call, &String::from_utf8_lossy(date))
        }
        refused if asks_again(call, &refused, head.status) => INVALID,
        refused => match Failure::from_outcome(refused) {
            Some(failure) => refuse(request, upstream, call, &failure),
            None => INVALID,
        },
    }
}

fn outcome(have: &[u8], head: &ResponseHead, payload: &[u8]) -> Outcome {
    let field = |range: &Option<Range<usize>>| range.clone().and_then(|range| have.get(range));
    let answer = ApiAnswer {
        status: head.status,
        error_type: field(&head.error_type),
        function_error: field(&head.function_error),
        retry_after: field(&head.retry_after),
        date: field(&head.date),
        body: payload,
    };
    // Against the time that was signed with, so that a clock once corrected is not blamed again.
    Outcome::new(&answer, i64::try_from(clock::aws_s()).unwrap_or(i64::MAX))
}

/// True when the plan has another attempt made for this answer of the API, which did not run the function.
fn asks_again(call: &mut Call, outcome: &Outcome, status: u16) -> bool {
    let retry = &call.location().retry;
    let status = if matches!(outcome, Outcome::Throttled { .. }) { 429 } else { status };
    let is_api = matches!(outcome, Outcome::Throttled { .. } | Outcome::Api(_));
    if !is_api || !retry.conditions.covers_status(status) {
        return false;
    }
    call.answered += 1;
    if !retry.has_tries_left(call.answered) {
        return false;
    }
    call.again = Some(Again::Ready);
    true
}

fn end_with_status(upstream: &mut ngx_http_upstream_t, status: u16) -> ngx_int_t {
    upstream.headers_in.status_n = status.into();
    end_without_body(upstream, if status == NO_CONTENT { -1 } else { 0 });
    OK
}

/// Remembers what `$lambda_*` variables show.
fn note(request: Request<'_>, have: &[u8], head: &ResponseHead, log_tail: bool) {
    let text = |range: &Option<Range<usize>>| {
        let bytes = range.clone().and_then(|range| have.get(range))?;
        Some(String::from_utf8_lossy(bytes).into_owned().into_boxed_str())
    };
    // SAFETY: live; no other reference to the context is held here.
    let Some(context) = (unsafe { context::get_or_create(request.raw()) }) else { return };
    context.invocation = Some(Box::new(Invocation {
        request_id: text(&head.request_id),
        version: text(&head.executed_version),
        log: if log_tail { text(&head.log_result) } else { None },
        error: None,
    }));
}

/// Logs a failed invocation and remembers its `$lambda_error`.
fn note_failure(request: Request<'_>, call: &Call, failure: &Failure) {
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get_or_create(request.raw()) };
    let mut request_id = Box::default();
    if let Some(context) = context {
        let invocation = context.invocation.get_or_insert_default();
        invocation.error = Some(failure.name().into());
        request_id = invocation.request_id.clone().unwrap_or_default();
    }
    let (label, name) = (&call.label, failure.name());
    let detail = match failure {
        Failure::InvalidReply(invalid) => format!(", {invalid}"),
        _ => String::new(),
    };
    log::write(
        request.log(),
        log::Level::Error,
        format_args!(
            "lambda: invocation failed, function={label}, error={name}{detail}, \
             request_id={request_id}"
        ),
    );
}

/// Writes a refusal in the function's place; `error_page` may still have its status.
fn refuse(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
    failure: &Failure,
) -> ngx_int_t {
    note_failure(request, call, failure);
    let location = call.location();
    let refusal = failure.refusal(location.plan.function_error_status);
    upstream.headers_in.status_n = refusal.status.into();
    // From here on nginx looks into `error_page` for the status, as it does under proxy_intercept_errors.
    upstream.conf = location.intercepting_conf();
    let content_type = request.conf().plan.pipeline.errors.content_type();
    let headers = refusal.headers.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in headers.chain([("Content-Type", content_type)]) {
        if push(request, upstream, name.as_bytes(), value.as_bytes()).is_none() {
            return ERROR;
        }
    }
    call.body = respond::error_body(request, refusal.status, Some(&refusal));
    remember(request, refusal);
    write_body(upstream, call, request.is_head());
    OK
}

/// Keeps a refusal for variables, logs and error pages.
fn remember(request: Request<'_>, refusal: Refusal) {
    // SAFETY: live; no other reference to the context is held here.
    if let Some(context) = unsafe { context::get_or_create(request.raw()) } {
        // What a function's failure came to is no policy's to observe: there is nothing to go on with.
        context.record.settle(Mode::Enforce, &refusal);
        context.refusal = Some(refusal);
    }
}

/// Hands status, headers and body to nginx.
fn write_reply(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
    reply: Reply<'_>,
) -> ngx_int_t {
    upstream.headers_in.status_n = reply.status.into();
    for (name, value) in &reply.headers {
        if push(request, upstream, name.as_bytes(), value.as_bytes()).is_none() {
            return ERROR;
        }
    }
    if !may_have_body(reply.status, request.method_bytes()) {
        let length = if request.is_head() && !reply.body.is_empty() {
            reply.body.len() as off_t
        } else {
            -1
        };
        end_without_body(upstream, length);
        return OK;
    }
    match reply.body {
        std::borrow::Cow::Borrowed(body) => {
            // A piece of nginx's own buffer: it is written from there.
            let start = body.as_ptr().cast_mut();
            upstream.headers_in.content_length_n = body.len() as off_t;
            upstream.buffer.pos = start;
            // SAFETY: `body` is a piece of the buffer.
            upstream.buffer.last = unsafe { start.add(body.len()) };
        }
        std::borrow::Cow::Owned(body) => {
            call.body = body;
            write_body(upstream, call, false);
        }
    }
    OK
}

/// Hands `call.body` to nginx, which writes it from there.
fn write_body(upstream: &mut ngx_http_upstream_t, call: &mut Call, head: bool) {
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

fn end_without_body(upstream: &mut ngx_http_upstream_t, length: off_t) {
    upstream.headers_in.content_length_n = length;
    let buffer = &mut upstream.buffer;
    buffer.pos = buffer.last;
    buffer.start = buffer.last;
}

/// Adds a header to the upstream's; `None` when memory is short. Both texts get the NUL that nginx's copies read on to.
fn push(
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
        Some(())
    }
}

/// u->input_filter_init: everything is here already.
pub(super) unsafe extern "C" fn input_filter_init(data: *mut c_void) -> ngx_int_t {
    guard("reply", ERROR, || {
        // SAFETY: input_filter_ctx, whose request is live.
        unsafe {
            let call = &*data.cast::<Call>();
            (*(*call.request.as_ptr()).upstream).length = 0;
        }
        OK
    })
}

/// u->input_filter: hands `bytes` behind `buffer.last` to the output chain.
pub(super) unsafe extern "C" fn input_filter(data: *mut c_void, bytes: isize) -> ngx_int_t {
    guard("reply", ERROR, || {
        // SAFETY: input_filter_ctx, whose request is live; the bytes are initialised.
        unsafe {
            let call = &*data.cast::<Call>();
            let upstream = &mut *(*call.request.as_ptr()).upstream;
            let start = upstream.buffer.last;
            upstream.buffer.last = start.offset(bytes);
            append(call.request, upstream, start, upstream.buffer.last)
        }
    })
}

unsafe fn append(
    request: NonNull<ngx_http_request_t>,
    upstream: &mut ngx_http_upstream_t,
    start: *mut u8,
    end: *mut u8,
) -> ngx_int_t {
    // SAFETY: the pool is live; chains of the upstream are ended by null.
    unsafe {
        let link = ngx_chain_get_free_buf((*request.as_ptr()).pool, &mut upstream.free_bufs);
        if link.is_null() {
            return ERROR;
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
    OK
}

/// u->finalize_request: an end without a response of the API is an outcome too.
pub(super) unsafe extern "C" fn finalize_request(
    request: *mut ngx_http_request_t,
    status: ngx_int_t,
) {
    guard_request("invocation's end", request, (), |raw| {
        // SAFETY: nginx hands a live request whose upstream's input_filter_ctx the content handler set.
        let (request, call, sent) = unsafe {
            let upstream = &*(*raw.as_ptr()).upstream;
            let call = &mut *upstream.input_filter_ctx.cast::<Call>();
            (Request::new(raw), call, (*raw.as_ptr()).header_sent() != 0)
        };
        super::renew::cancel(call);
        // SAFETY: live; no other reference to the context is held here.
        let context = unsafe { context::get_or_create(raw) };
        if sent || context.is_some_and(|context| context.refusal.is_some()) {
            return;
        }
        let failure = match status as u32 {
            NGX_HTTP_GATEWAY_TIME_OUT => Failure::Timeout,
            NGX_HTTP_BAD_GATEWAY if call.response.invalid => Failure::InvalidAnswer,
            NGX_HTTP_BAD_GATEWAY => Failure::Connect,
            _ => return,
        };
        note_failure(request, call, &failure);
        remember(request, failure.refusal(call.location().plan.function_error_status));
    });
}

/// The connection of an upstream that has one.
pub(super) fn connection(upstream: &ngx_http_upstream_t) -> Option<NonNull<ngx_connection_t>> {
    NonNull::new(upstream.peer.connection)
}
