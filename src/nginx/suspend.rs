//! Requests that wait for a helper thread or a store: put aside as limit_req delays them, woken with the result.
//!
//! Whoever wakes a request has its number, never its address. The number is forgotten with the request's pool, so a client
//! that goes meanwhile takes its request with it. A worker that ends waits for them as for any request.

use super::guard::{guard, guard_request};
use super::request::Request;
use nginx_sys::{
    NGX_AGAIN, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_OK, ngx_add_timer, ngx_del_timer, ngx_event_t,
    ngx_handle_read_event, ngx_handle_write_event, ngx_http_block_reading,
    ngx_http_core_run_phases, ngx_http_event_handler_pt, ngx_http_finalize_request,
    ngx_http_request_t, ngx_http_run_posted_requests, ngx_http_test_reading, ngx_int_t, ngx_msec_t,
};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;

const INTERNAL_SERVER_ERROR: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
/// A worker that is told to end does so when it has no timer left, whatever requests it has.
const TIMER_MS: ngx_msec_t = 60_000;

thread_local! {
    static WAITING: RefCell<HashMap<u64, NonNull<ngx_http_request_t>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// A request's place among those that wait; given up when it is dropped.
pub(super) struct Ticket {
    number: u64,
    timer: Box<ngx_event_t>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Ticket {
    /// A place for a main request, whose context is to own it.
    pub(super) fn new(request: Request<'_>) -> Self {
        let number = NEXT.get();
        NEXT.set(number + 1);
        WAITING.with_borrow_mut(|waiting| waiting.insert(number, request.raw()));
        // SAFETY: zero is nginx's own initial state of an event.
        let mut timer: Box<ngx_event_t> = Box::new(unsafe { std::mem::zeroed() });
        timer.handler = Some(still_waiting);
        timer.log = request.log();
        // SAFETY: the event stays where it is until `drop` takes it out of the tree.
        unsafe { ngx_add_timer(&mut *timer, TIMER_MS) };
        Self { number, timer }
    }

    /// What the request is called by.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| waiting.remove(&self.number));
        if self.timer.timer_set() != 0 {
            // SAFETY: armed by `new` or `still_waiting`.
            unsafe { ngx_del_timer(&mut *self.timer) };
        }
    }
}

unsafe extern "C" fn still_waiting(event: *mut ngx_event_t) {
    // SAFETY: a ticket's event, which its drop takes out of the tree.
    guard("waiting request", (), || unsafe { ngx_add_timer(event, TIMER_MS) });
}

/// Puts the request aside; what the phase handler returns.
///
/// *Source*: ngx_http_limit_req_handler.
pub(super) fn suspend(request: Request<'_>) -> ngx_int_t {
    let raw = request.raw().as_ptr();
    // SAFETY: the request and its connection are live; while it waits, its client's end is noticed.
    unsafe {
        if ngx_handle_read_event((*(*raw).connection).read, 0) != NGX_OK as ngx_int_t {
            return INTERNAL_SERVER_ERROR;
        }
        (*raw).read_event_handler = Some(ngx_http_test_reading);
        (*raw).write_event_handler = Some(writable);
    }
    NGX_AGAIN as ngx_int_t
}

/// While the request waits, there is nothing to write.
unsafe extern "C" fn writable(request: *mut ngx_http_request_t) {
    guard_request("waiting request", request, (), |raw| {
        let raw = raw.as_ptr();
        // SAFETY: nginx hands a live request.
        unsafe {
            if ngx_handle_write_event((*(*raw).connection).write, 0) != NGX_OK as ngx_int_t {
                ngx_http_finalize_request(raw, INTERNAL_SERVER_ERROR);
            }
        }
    });
}

fn waits(handler: ngx_http_event_handler_pt) -> bool {
    handler.is_some_and(|handler| {
        std::ptr::eq(handler as *const (), writable as unsafe extern "C" fn(_) as *const ())
    })
}

/// Goes on with the phases of the request of this number, after `note` has left the result where the step finds it; does
/// nothing when the request is gone. Called from the event loop alone.
pub(super) fn resume(number: u64, note: impl FnOnce(Request<'_>)) {
    let Some(raw) = WAITING.with_borrow_mut(|waiting| waiting.remove(&number)) else { return };
    // SAFETY: a request is in the table only while its pool is; the ticket's drop takes it out.
    unsafe {
        let request = raw.as_ptr();
        // Another handler means that nginx is ending the request.
        if !waits((*request).write_event_handler) {
            return;
        }
        note(Request::new(raw));
        let connection = (*request).connection;
        (*request).read_event_handler = Some(ngx_http_block_reading);
        (*request).write_event_handler = Some(ngx_http_core_run_phases);
        if ngx_handle_read_event((*connection).read, 0) == NGX_OK as ngx_int_t {
            ngx_http_core_run_phases(request);
        } else {
            ngx_http_finalize_request(request, INTERNAL_SERVER_ERROR);
        }
        ngx_http_run_posted_requests(connection);
    }
}
