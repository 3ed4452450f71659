//! What makes an invocation wait although its response is there: refused credentials that are being renewed.
//!
//! nginx calls process_header only when its connection's `recv` has bytes. While the invocation waits, another `recv` stands
//! in: it has nothing until the credentials are there or the wait is over, then one byte, and process_header has its say.

use super::call::{Again, Call};
use crate::nginx::guard::guard;
use crate::nginx::{clock, log};
use nginx_sys::{
    NGX_AGAIN, NGX_HTTP_UPSTREAM_INVALID_HEADER, ngx_add_timer, ngx_connection_t, ngx_cycle,
    ngx_del_timer, ngx_event_t, ngx_http_request_t, ngx_http_upstream_t, ngx_int_t, ngx_msec_t,
};
use std::ptr::NonNull;

const AGAIN: ngx_int_t = NGX_AGAIN as ngx_int_t;
const INVALID: ngx_int_t = NGX_HTTP_UPSTREAM_INVALID_HEADER as ngx_int_t;
/// How long a request waits for credentials in place of refused ones.
const LONGEST_WAIT_MS: u64 = 2_000;
const LOOK_EVERY_MS: ngx_msec_t = 20;

/// The credentials were refused: asks for others and lets the invocation wait for them.
pub(super) fn begin(upstream: &mut ngx_http_upstream_t, call: &mut Call) -> ngx_int_t {
    let cell = call.location().credentials();
    if !cell.is_newer_than(call.generation) {
        cell.request_refresh(call.generation);
        call.wait_until_ms = clock::now_ms() + LONGEST_WAIT_MS;
        call.again = Some(Again::AwaitingCredentials);
        // The answer has served; nginx takes a full buffer for a head that is too long.
        upstream.buffer.last = upstream.buffer.pos;
        call.timer.handler = Some(look);
        call.timer.data = std::ptr::from_mut(call).cast();
        // SAFETY: the cycle's log outlives the timer, which `cancel` takes back with the request.
        unsafe {
            call.timer.log = (*ngx_cycle).log;
            // A waiting request does not keep a worker from ending: it is a request as any other.
            ngx_add_timer(&mut call.timer, LOOK_EVERY_MS);
            stop_read_timer(upstream);
            stand_in(upstream, call, recv_nothing);
        }
        return AGAIN;
    }
    call.again = Some(Again::Ready);
    INVALID
}

/// Called by process_header when `recv` has given the byte that says the wait is over.
pub(super) fn awaited(call: &mut Call) -> ngx_int_t {
    call.again = Some(Again::Ready);
    INVALID
}

/// The API says that our clock is wrong: corrected, the invocation is signed anew.
pub(super) fn correct_clock(call: &mut Call, date: &str) -> ngx_int_t {
    if let Some(seconds) = clock::observe_skew(date) {
        log::process(
            log::Level::Warn,
            format_args!("lambda: this host's clock is off, {seconds} s are added to signatures"),
        );
    }
    call.again = Some(Again::Ready);
    INVALID
}

/// Takes the timer back; called when the invocation ends, however it does.
pub(super) fn cancel(call: &mut Call) {
    if call.timer.timer_set() != 0 {
        // SAFETY: armed by `begin` or `look`.
        unsafe { ngx_del_timer(&mut call.timer) };
    }
}

/// Looks whether newer credentials are there.
unsafe extern "C" fn look(event: *mut ngx_event_t) {
    guard("credentials", (), || {
        // SAFETY: `begin` set data to the call, whose request is live until `cancel`.
        unsafe {
            let call = &mut *(*event).data.cast::<Call>();
            let newer = call.location().credentials().is_newer_than(call.generation);
            if !newer && clock::now_ms() < call.wait_until_ms {
                ngx_add_timer(event, LOOK_EVERY_MS);
                return;
            }
            let request = call.request.as_ptr();
            let upstream = &mut *(*request).upstream;
            let Some(waiting) = connection(upstream) else { return };
            (*waiting.as_ptr()).recv = Some(recv_mark);
            let client = (*request).connection;
            if let Some(handler) = upstream.read_event_handler {
                handler(request, upstream);
            }
            nginx_sys::ngx_http_run_posted_requests(client);
        }
    });
}

/// A response without a length ends with its connection, which nginx takes for a failure: the end is made a byte.
///
/// # Safety
/// The upstream has a live connection.
pub(super) unsafe fn watch_end(upstream: &mut ngx_http_upstream_t, call: &mut Call) {
    // SAFETY: the caller's.
    unsafe { stand_in(upstream, call, recv_end) };
}

/// The API has answered: `lambda_read_timeout` is not for the wait that follows, which has an end of its own.
///
/// # Safety
/// The upstream's connection, if it has one, is live.
unsafe fn stop_read_timer(upstream: &ngx_http_upstream_t) {
    // SAFETY: the caller's; a connection has both events.
    unsafe {
        if let Some(connection) = connection(upstream)
            && let Some(read) = (*connection.as_ptr()).read.as_mut()
            && read.timer_set() != 0
        {
            ngx_del_timer(read);
        }
    }
}

/// The connection of an upstream that has one.
fn connection(upstream: &ngx_http_upstream_t) -> Option<NonNull<ngx_connection_t>> {
    NonNull::new(upstream.peer.connection)
}

type Recv = unsafe extern "C" fn(*mut ngx_connection_t, *mut u8, usize) -> isize;

unsafe fn stand_in(upstream: &mut ngx_http_upstream_t, call: &mut Call, recv: Recv) {
    if let Some(connection) = connection(upstream) {
        // SAFETY: live; it is closed after this response, for neither kind of stand-in leaves it reusable.
        unsafe {
            if call.stock_recv.is_none() {
                call.stock_recv = (*connection.as_ptr()).recv;
            }
            (*connection.as_ptr()).recv = Some(recv);
        }
        upstream.set_keepalive(0);
    }
}

unsafe extern "C" fn recv_nothing(
    connection: *mut ngx_connection_t,
    _buffer: *mut u8,
    _size: usize,
) -> isize {
    // SAFETY: nginx hands a live connection.
    unsafe { (*(*connection).read).set_ready(0) };
    NGX_AGAIN as isize
}

unsafe extern "C" fn recv_mark(
    _connection: *mut ngx_connection_t,
    buffer: *mut u8,
    size: usize,
) -> isize {
    if size == 0 {
        return NGX_AGAIN as isize;
    }
    // SAFETY: nginx hands `size` writable bytes.
    unsafe { buffer.write(0) };
    1
}

unsafe extern "C" fn recv_end(
    connection: *mut ngx_connection_t,
    buffer: *mut u8,
    size: usize,
) -> isize {
    // SAFETY: the connection is in use by a request whose upstream's input_filter_ctx is a Call.
    unsafe {
        let request = (*connection).data.cast::<ngx_http_request_t>();
        let call = &mut *(*(*request).upstream).input_filter_ctx.cast::<Call>();
        let Some(recv) = call.stock_recv else { return NGX_AGAIN as isize };
        let received = recv(connection, buffer, size);
        if received == 0 && size > 0 {
            call.response.ended = true;
            buffer.write(0);
            return 1;
        }
        received
    }
}
