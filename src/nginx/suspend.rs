//! Requests that wait for a helper thread or a store: put aside as limit_req delays them, woken with the result.
//!
//! Whoever wakes a request has its number, never its address. The number is forgotten with the request's pool, so a client
//! that goes meanwhile takes its request with it. A worker that ends waits for them as for any request.

use super::guard::{guard, guard_request};
use super::request::Request;
use nginx_sys::{
    NGX_AGAIN, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_OK, ngx_add_timer, ngx_cycle, ngx_event_t,
    ngx_handle_read_event, ngx_handle_write_event, ngx_http_block_reading,
    ngx_http_core_run_phases, ngx_http_event_handler_pt, ngx_http_finalize_request,
    ngx_http_request_t, ngx_http_run_posted_requests, ngx_http_test_reading, ngx_int_t, ngx_msec_t,
};
use std::cell::RefCell;
use std::ptr::NonNull;

const INTERNAL_SERVER_ERROR: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
/// How often the timer of those that wait comes up, to do nothing.
const TIMER_MS: ngx_msec_t = 60_000;

thread_local! {
    static WAITING: RefCell<Waiting> = const { RefCell::new(Waiting::new()) };
}

/// The requests that wait, each in a place of its own.
struct Waiting {
    places: Vec<Place>,
    free: Vec<u32>,
    timer: Option<Box<ngx_event_t>>,
}

/// A place for one request at a time.
struct Place {
    request: Option<NonNull<ngx_http_request_t>>,
    /// How many had it before: a part of the number, so that nobody is called by an old one.
    uses: u32,
}

impl Waiting {
    const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), timer: None }
    }

    fn enter(&mut self, request: NonNull<ngx_http_request_t>) -> u64 {
        if self.free.len() == self.places.len() {
            self.hold_worker(true);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { request: None, uses: 0 });
            (self.places.len() - 1) as u32
        });
        let uses = self.places.get_mut(index as usize).map_or(0, |place| {
            place.request = Some(request);
            place.uses = place.uses.wrapping_add(1);
            place.uses
        });
        u64::from(uses) << 32 | u64::from(index)
    }

    fn leave(&mut self, number: u64) {
        let index = number as u32;
        if let Some(place) = self.places.get_mut(index as usize) {
            place.request = None;
            self.free.push(index);
        }
        if self.free.len() == self.places.len() {
            self.hold_worker(false);
        }
    }

    /// The request of this number, once.
    fn take(&mut self, number: u64) -> Option<NonNull<ngx_http_request_t>> {
        let place = self.places.get_mut(number as u32 as usize)?;
        if place.uses == (number >> 32) as u32 { place.request.take() } else { None }
    }

    /// A worker that is told to end does so when it has no timer left but cancelable ones, whatever requests it has.
    fn hold_worker(&mut self, holds: bool) {
        let timer = self.timer.get_or_insert_with(|| {
            // SAFETY: zero is nginx's own initial state of an event.
            let mut timer: Box<ngx_event_t> = Box::new(unsafe { std::mem::zeroed() });
            timer.handler = Some(still_waiting);
            // SAFETY: the event stays in its box as long as the worker runs.
            unsafe { ngx_add_timer(&mut *timer, TIMER_MS) };
            timer
        });
        // SAFETY: set before requests are served.
        timer.log = unsafe { (*ngx_cycle).log };
        timer.set_cancelable((!holds).into());
    }
}

unsafe extern "C" fn still_waiting(event: *mut ngx_event_t) {
    // SAFETY: the one timer, which stays in its box.
    guard("waiting request", (), || unsafe { ngx_add_timer(event, TIMER_MS) });
}

/// A request's place among those that wait; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket(u64);

impl Ticket {
    /// A place for a main request, whose context is to own it.
    pub(super) fn new(request: Request<'_>) -> Self {
        Self(WAITING.with_borrow_mut(|waiting| waiting.enter(request.raw())))
    }

    /// What the request is called by.
    pub(super) fn number(&self) -> u64 {
        self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| waiting.leave(self.0));
    }
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
    let Some(raw) = WAITING.with_borrow_mut(|waiting| waiting.take(number)) else { return };
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
