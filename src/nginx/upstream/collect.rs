//! Reads the API's response into nginx's buffer.
//!
//! nginx is told to wait until the whole response is there: nothing has been written to the client until it is known to be
//! good. Streams are handed on once their head is complete (stream.rs).

use super::call::{Again, Call};
use super::{reply, stream};
use crate::lambda::{BodyLength, Failure, ResponseHead};
use crate::nginx::guard::guard_request;
use crate::nginx::request::Request;
use nginx_sys::{
    NGX_AGAIN, NGX_ERROR, NGX_HTTP_UPSTREAM_INVALID_HEADER, ngx_buf_t, ngx_http_request_t,
    ngx_http_upstream_t, ngx_int_t, ngx_palloc, ngx_pfree,
};

const AGAIN: ngx_int_t = NGX_AGAIN as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
const INVALID: ngx_int_t = NGX_HTTP_UPSTREAM_INVALID_HEADER as ngx_int_t;
/// The most bytes of a response's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How much room a response of unknown length must find before more of it is read.
const MIN_ROOM_BYTES: usize = 2 * 1024;

/// u->process_header: NGX_AGAIN until the response is whole, or a stream's head is.
pub(super) unsafe extern "C" fn process_header(request: *mut ngx_http_request_t) -> ngx_int_t {
    guard_request("reply", request, ERROR, |raw| {
        // SAFETY: nginx hands a live request whose upstream's input_filter_ctx the content handler set.
        let (request, upstream, call) = unsafe {
            let upstream = &mut *(*raw.as_ptr()).upstream;
            let call = &mut *upstream.input_filter_ctx.cast::<Call>();
            (Request::new(raw), upstream, call)
        };
        if call.again == Some(Again::AwaitingCredentials) {
            return super::renew::awaited(call);
        }
        call.response.received = true;
        // SAFETY: the buffer is nginx's for this response.
        match unsafe { advance(request, upstream, call) } {
            Ok(status) => status,
            Err(Unreadable::Memory) => ERROR,
            Err(unreadable) => {
                let is_large = matches!(unreadable, Unreadable::TooLarge);
                let failure =
                    if is_large { Failure::AnswerTooLarge } else { Failure::InvalidAnswer };
                call.response.failure = Some(failure);
                INVALID
            }
        }
    })
}

/// Why a response cannot be read.
pub(super) enum Unreadable {
    /// It is no HTTP.
    Invalid,
    /// It is longer than `lambda_max_response`.
    TooLarge,
    /// Memory is short.
    Memory,
}

unsafe fn advance(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
) -> Result<ngx_int_t, Unreadable> {
    // SAFETY: the caller's.
    unsafe {
        if call.response.head.is_none() && !read_head(request, upstream, call)? {
            return Ok(AGAIN);
        }
        if call.response.stream.is_some() {
            return Ok(stream::advance(request, upstream, call));
        }
        if read_body(request, upstream, call)? {
            Ok(reply::finish(request, upstream, call))
        } else {
            Ok(AGAIN)
        }
    }
}

/// Looks for the head; true when it is there, with room made for the body that it announces.
unsafe fn read_head(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
) -> Result<bool, Unreadable> {
    let buffer = &mut upstream.buffer;
    // SAFETY: pos..last of the buffer is what has been read.
    let have = unsafe { filled(buffer) };
    let is_head = call.url.is_some() && request.is_head();
    let Some(head) = ResponseHead::parse(have, is_head).map_err(|_| Unreadable::Invalid)? else {
        if have.len() >= MAX_HEAD_BYTES {
            return Err(Unreadable::Invalid);
        }
        // SAFETY: the request's pool is live.
        return unsafe { make_room(request, buffer, MIN_ROOM_BYTES) }.map(|()| false);
    };
    // SAFETY: null or the attempt's state, for `$upstream_status`.
    if let Some(state) = unsafe { upstream.state.as_mut() } {
        state.status = head.status.into();
    }
    call.response.decoded_end = head.length;
    if stream::is_wanted(call, &head) {
        if stream::is_too_large(call, &head) {
            return Err(Unreadable::TooLarge);
        }
        stream::open(request, upstream, call, have, &head);
    } else if let BodyLength::Known(length) = head.body {
        let length = usize::try_from(length).map_err(|_| Unreadable::TooLarge)?;
        if length > call.location().plan.max_response_bytes {
            return Err(Unreadable::TooLarge);
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
    Ok(true)
}

/// Takes what has come of the body; true when the response is whole.
unsafe fn read_body(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
) -> Result<bool, Unreadable> {
    let buffer = &mut upstream.buffer;
    let Some(head) = call.response.head.as_ref() else { return Err(Unreadable::Invalid) };
    let limit = head.length.saturating_add(call.location().plan.max_response_bytes);
    // SAFETY: pos..last of the buffer is what has been read.
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
        return Err(Unreadable::TooLarge);
    }
    if !whole {
        // SAFETY: as above.
        unsafe { make_room(request, &mut upstream.buffer, MIN_ROOM_BYTES) }?;
    }
    Ok(whole)
}

/// What has been read.
///
/// # Safety
/// The buffer is live and pos..last initialised; nobody else has that piece during `'a`.
pub(super) unsafe fn filled<'a>(buffer: &ngx_buf_t) -> &'a mut [u8] {
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
