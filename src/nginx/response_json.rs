//! The edits of response_json on their way to the client: the header is held back, the body collected, edited and sent whole.
//!
//! The filter stands behind all that makes bodies and headers (nginx's gunzip and add_header, error_pages.rs) and before what
//! packs them (gzip, ranges, chunks). Subrequests pass as they are.

mod head;

use self::head::{Found, clear_ranges, describe_edited, examine};
use super::guard::guard_request;
use super::module::ngx_http_apigate_json_filter_module;
use super::next_filter::NextFilter;
use super::request::Request;
use super::{context, error_pages, log, memory};
use crate::decision::{Policy, Reason, Refusal};
use crate::pipeline::Mode;
use crate::response_json::{OnUnreadable, ResponseJsonPlan, edit};
use nginx_sys::{
    NGX_ERROR, NGX_HTTP_BAD_GATEWAY, NGX_OK, ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t,
    ngx_conf_t, ngx_http_filter_finalize_request, ngx_http_request_t, ngx_int_t, ngx_pcalloc,
    ngx_read_file,
};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
/// Of a connection's `buffered` flags the one that nginx leaves to filters that collect (its image filter has it too).
const BUFFERED: u32 = 0x08;

static NEXT: NextFilter = NextFilter::new();

/// A response whose header is held back; kept in the request's slot of this module.
struct Collection {
    plan: Arc<ResponseJsonPlan>,
    body: Vec<u8>,
    /// True when header and body are on their way: what comes now passes.
    done: bool,
}

/// Puts the filters in the chain.
pub(super) unsafe extern "C" fn postconfiguration(_cf: *mut ngx_conf_t) -> ngx_int_t {
    NEXT.put_header_filter_first(header_filter);
    NEXT.put_body_filter_first(body_filter);
    OK
}

unsafe extern "C" fn header_filter(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request, and configuration outlives it.
    let plan = NonNull::new(request).map(|raw| unsafe { (raw, &Request::new(raw).conf().plan) });
    if let Some((raw, plan)) = plan
        && plan.response_json.is_none()
    {
        return NEXT.header(raw);
    }
    guard_request("header filter", request, ERROR, |raw| {
        // SAFETY: nginx hands a live request.
        let request = unsafe { Request::new(raw) };
        let Some(plan) = &request.conf().plan.response_json else { return NEXT.header(raw) };
        if !request.is_main() || is_refusal(request) {
            return NEXT.header(raw);
        }
        match examine(raw, plan) {
            Found::Other => NEXT.header(raw),
            Found::Unreadable(reason) => match give_up(request, plan, reason) {
                OnUnreadable::Fail => fail(request),
                OnUnreadable::Pass => NEXT.header(raw),
            },
            Found::Head => {
                describe_edited(raw, -1);
                NEXT.header(raw)
            }
            Found::Body(length) => hold(raw, plan, length),
        }
    })
}

/// True for error bodies of ours: those in place of nginx's pages, and what a failed invocation is answered with.
fn is_refusal(request: Request<'_>) -> bool {
    if error_pages::has_our_body(request.raw()) {
        return true;
    }
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    let refusal = context.and_then(|context| context.refusal.as_ref());
    // What an error page answers is not the refusal, whatever its status.
    request.is_the_clients_own()
        && refusal.is_some_and(|refusal| request.has_status(refusal.status))
}

/// Holds the header back until the body is there.
fn hold(
    request: NonNull<ngx_http_request_t>,
    plan: &Arc<ResponseJsonPlan>,
    length: usize,
) -> ngx_int_t {
    let body = Vec::with_capacity(length);
    let collection = Collection { plan: plan.clone(), body, done: false };
    let raw = request.as_ptr();
    // SAFETY: live; the slot holds what is placed here and nothing else.
    unsafe {
        let Some(placed) = memory::place((*raw).pool, collection) else { return ERROR };
        *(*raw).ctx.add(ngx_http_apigate_json_filter_module.ctx_index) = placed.as_ptr().cast();
        // nginx's copy filter then reads files for us.
        (*raw).set_main_filter_need_in_memory(1);
    }
    clear_ranges(request);
    OK
}

unsafe extern "C" fn body_filter(
    request: *mut ngx_http_request_t,
    chain: *mut ngx_chain_t,
) -> ngx_int_t {
    // SAFETY: nginx hands a live request; a request has a slot for every module.
    let slot = |raw: NonNull<ngx_http_request_t>| unsafe {
        *(*raw.as_ptr()).ctx.add(ngx_http_apigate_json_filter_module.ctx_index)
    };
    if let Some(raw) = NonNull::new(request)
        && slot(raw).is_null()
    {
        return NEXT.body(raw, chain);
    }
    guard_request("body filter", request, ERROR, |raw| {
        // SAFETY: the slot is null or holds what `hold` placed, which nobody else refers to.
        let collection = unsafe { slot(raw).cast::<Collection>().as_mut() };
        match collection.filter(|collection| !collection.done) {
            Some(collection) if !chain.is_null() => {
                // SAFETY: nginx hands a live request and chain.
                unsafe { collect(Request::new(raw), collection, chain) }
            }
            _ => NEXT.body(raw, chain),
        }
    })
}

/// Takes the buffers of a chain, and sends the response when the last one is there.
///
/// # Safety
/// `chain` is live.
unsafe fn collect(
    request: Request<'_>,
    collection: &mut Collection,
    mut chain: *mut ngx_chain_t,
) -> ngx_int_t {
    let raw = request.raw();
    let first = chain;
    let mut last = false;
    // SAFETY: links of a live chain, ended by null, each with a buffer.
    while let Some(link) = unsafe { chain.as_ref() } {
        // SAFETY: as above; nobody else refers to the buffer during the call.
        let buffer = unsafe { &mut *link.buf };
        let room = usize::try_from(collection.plan.max_bytes).unwrap_or(usize::MAX);
        if size(buffer) > room.saturating_sub(collection.body.len()) {
            collection.done = true;
            set_buffered(raw, false);
            return match give_up(request, &collection.plan, "too large") {
                OnUnreadable::Fail => fail(request),
                OnUnreadable::Pass => send(raw, std::mem::take(&mut collection.body), chain),
            };
        }
        // SAFETY: a buffer of a live chain.
        if unsafe { take(buffer, &mut collection.body) }.is_none() {
            return ERROR;
        }
        last |= buffer.last_buf() != 0;
        chain = link.next;
    }
    set_buffered(raw, !last);
    if last {
        return finish(request, collection);
    }
    // SAFETY: nginx's chain, as it was handed over.
    if unsafe { is_broken_off(raw, first) } {
        return break_off(request, collection, first);
    }
    OK
}

/// True for the flush by which nginx ends a response whose upstream has ended in the middle of the body.
///
/// *Source*: ngx_http_upstream_finalize_request, which clears `cleanup` before; ngx_http_send_special.
///
/// # Safety
/// `chain` is live.
unsafe fn is_broken_off(request: NonNull<ngx_http_request_t>, chain: *mut ngx_chain_t) -> bool {
    // SAFETY: the caller's; a request's upstream lives in its pool.
    unsafe {
        let is_flush = chain.as_ref().is_some_and(|link| {
            link.next.is_null() && (*link.buf).flush() != 0 && size(&*link.buf) == 0
        });
        let upstream = request.as_ref().upstream.as_ref();
        is_flush && upstream.is_some_and(|upstream| upstream.cleanup.is_null())
    }
}

/// Ends a response of which nothing more will come.
fn break_off(
    request: Request<'_>,
    collection: &mut Collection,
    flush: *mut ngx_chain_t,
) -> ngx_int_t {
    let raw = request.raw();
    collection.done = true;
    set_buffered(raw, false);
    match give_up(request, &collection.plan, "broken off") {
        OnUnreadable::Fail => fail(request),
        OnUnreadable::Pass => send(raw, std::mem::take(&mut collection.body), flush),
    }
}

/// Edits the body and sends the response.
fn finish(request: Request<'_>, collection: &mut Collection) -> ngx_int_t {
    let raw = request.raw();
    collection.done = true;
    let body = std::mem::take(&mut collection.body);
    if body.is_empty() {
        return send(raw, body, null_mut());
    }
    match edit(&collection.plan, &body) {
        Ok(edited) => {
            describe_edited(raw, i64::try_from(edited.len()).unwrap_or(-1));
            send(raw, edited, null_mut())
        }
        Err(_) => match give_up(request, &collection.plan, "not JSON") {
            OnUnreadable::Fail => fail(request),
            OnUnreadable::Pass => send(raw, body, null_mut()),
        },
    }
}

/// Writes to the log why a body stays as it is, and says what becomes of it.
fn give_up(request: Request<'_>, plan: &ResponseJsonPlan, reason: &str) -> OnUnreadable {
    let (level, outcome) = match plan.unreadable {
        OnUnreadable::Fail => (log::Level::Error, "refused"),
        OnUnreadable::Pass => (log::Level::Warn, "passed unedited"),
    };
    let text = format_args!("response_json: body {outcome}, reason=\"{reason}\"");
    log::write(request.log(), level, text);
    plan.unreadable
}

/// Ends the request with 502 in place of the response, of which nothing was sent.
fn fail(request: Request<'_>) -> ngx_int_t {
    let raw = request.raw();
    // SAFETY: live; no other reference to the context is held here. Nobody needs our slot in the error's own response.
    unsafe {
        let Some(context) = context::get_or_create(raw) else { return ERROR };
        let (policy, reason) = (Policy::ResponseJson, Reason::Unreadable);
        let refusal = Refusal::new(policy, reason, 502, "Bad gateway");
        // The edit may be what keeps a secret in: `policy_mode observe` has no say.
        context.record.settle(Mode::Enforce, &refusal);
        context.end_with(refusal, &Request::new(raw).conf().plan);
        // nginx closes the connection behind an error that takes the place of a response.
        (*raw.as_ptr()).set_keepalive(0);
        ngx_http_filter_finalize_request(
            raw.as_ptr(),
            null_mut(),
            NGX_HTTP_BAD_GATEWAY as ngx_int_t,
        )
    }
}

/// Sends the header that was held back, a body, and the buffers behind it; without such the body is all there is.
fn send(
    request: NonNull<ngx_http_request_t>,
    body: Vec<u8>,
    behind: *mut ngx_chain_t,
) -> ngx_int_t {
    let status = NEXT.header(request);
    // SAFETY: live.
    if status == ERROR || status > OK || unsafe { request.as_ref().header_only() } != 0 {
        return status;
    }
    if body.is_empty() && !behind.is_null() {
        return NEXT.body(request, behind);
    }
    // SAFETY: the pool is live, and `behind` null or live.
    let chain = unsafe { link(request, body, behind) };
    chain.map_or(ERROR, |chain| NEXT.body(request, chain))
}

/// The body as a chain over memory of the request's pool.
///
/// # Safety
/// `request` is live, `behind` null or live.
unsafe fn link(
    request: NonNull<ngx_http_request_t>,
    body: Vec<u8>,
    behind: *mut ngx_chain_t,
) -> Option<*mut ngx_chain_t> {
    // SAFETY: the pool is live, and drops the body with the buffers over it.
    unsafe {
        let pool = (*request.as_ptr()).pool;
        let buffer = ngx_pcalloc(pool, size_of::<ngx_buf_t>()).cast::<ngx_buf_t>().as_mut()?;
        let link = ngx_alloc_chain_link(pool).as_mut()?;
        if !body.is_empty() {
            let placed = memory::place(pool, body)?.as_mut();
            let range = placed.as_mut_ptr_range();
            (buffer.start, buffer.end) = (range.start, range.end);
            (buffer.pos, buffer.last) = (range.start, range.end);
            buffer.set_memory(1);
        }
        buffer.set_last_buf(u32::from(behind.is_null()));
        buffer.set_last_in_chain(u32::from(behind.is_null()));
        link.buf = buffer;
        link.next = behind;
        Some(link)
    }
}

/// A buffer's length in bytes.
///
/// Source: ngx_buf_size.
fn size(buffer: &ngx_buf_t) -> usize {
    let length = if buffer.pos.is_null() || is_in_file_only(buffer) {
        buffer.file_last - buffer.file_pos
    } else {
        buffer.last.addr().saturating_sub(buffer.pos.addr()) as i64
    };
    usize::try_from(length).unwrap_or(0)
}

fn is_in_file_only(buffer: &ngx_buf_t) -> bool {
    buffer.in_file() != 0 && buffer.temporary() == 0 && buffer.memory() == 0 && buffer.mmap() == 0
}

/// Moves a buffer's content to the body; `None` when its file cannot be read.
///
/// # Safety
/// `buffer` is of a live chain.
unsafe fn take(buffer: &mut ngx_buf_t, body: &mut Vec<u8>) -> Option<()> {
    let length = size(buffer);
    if is_in_file_only(buffer) {
        // error_pages.rs may hold a header so long that nginx's copy filter starts without being asked to read.
        let start = body.len();
        body.resize(start + length, 0);
        let room = body.get_mut(start..)?;
        // SAFETY: the room has `length` bytes; the file is open while the chain is live.
        let read =
            unsafe { ngx_read_file(buffer.file, room.as_mut_ptr(), length, buffer.file_pos) };
        if usize::try_from(read) != Ok(length) {
            return None;
        }
    } else if length > 0 {
        // SAFETY: pos..last of a memory buffer is readable.
        body.extend_from_slice(unsafe { std::slice::from_raw_parts(buffer.pos, length) });
    }
    buffer.pos = buffer.last;
    buffer.file_pos = buffer.file_last;
    Some(())
}

fn set_buffered(request: NonNull<ngx_http_request_t>, buffered: bool) {
    // SAFETY: a request has a connection for all its life.
    unsafe {
        let connection = &mut *(*request.as_ptr()).connection;
        let others = connection.buffered() & !BUFFERED;
        connection.set_buffered(if buffered { others | BUFFERED } else { others });
    }
}
