//! Requests that wait for a store: put aside as limit_req delays them, woken by their answer.
//!
//! Whoever wakes a request has its number, never its address. The number is forgotten with the request's pool, so a client
//! that goes meanwhile takes its request with it.

use crate::nginx::context;
use crate::nginx::guard::guard_request;
use crate::nginx::request::Request;
use crate::rate_limit::fleet::{Numbers, StoreError};
use nginx_sys::{
    NGX_AGAIN, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_OK, ngx_handle_read_event,
    ngx_handle_write_event, ngx_http_block_reading, ngx_http_core_run_phases,
    ngx_http_event_handler_pt, ngx_http_finalize_request, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_http_test_reading, ngx_int_t,
};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ptr::NonNull;

thread_local! {
    static WAITING: RefCell<HashMap<u64, NonNull<ngx_http_request_t>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// A request's place among those that wait; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    /// What came back.
    pub(super) answer: Option<Result<Numbers, StoreError>>,
}

impl Ticket {
    /// A place for a request whose context will own it.
    pub(super) fn new(request: Request<'_>) -> Self {
        let number = NEXT.get();
        NEXT.set(number + 1);
        WAITING.with_borrow_mut(|waiting| waiting.insert(number, request.raw()));
        Self { number, answer: None }
    }

    /// What the request is called by.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| waiting.remove(&self.number));
    }
}

/// Puts the request aside; what the phase handler returns.
///
/// Source: ngx_http_limit_req_handler.
pub(super) fn suspend(request: Request<'_>) -> ngx_int_t {
    let raw = request.raw().as_ptr();
    // SAFETY: the request and its connection are live; while it waits, its client's end is noticed.
    unsafe {
        if ngx_handle_read_event((*(*raw).connection).read, 0) != NGX_OK as ngx_int_t {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
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
                ngx_http_finalize_request(raw, NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t);
            }
        }
    });
}

fn waits(handler: ngx_http_event_handler_pt) -> bool {
    handler.is_some_and(|handler| {
        std::ptr::eq(handler as *const (), writable as unsafe extern "C" fn(_) as *const ())
    })
}

/// Wakes the request of this number with its answer, unless it is gone. Called from the event loop.
pub(super) fn resume(number: u64, answer: Result<Numbers, StoreError>) {
    let Some(raw) = WAITING.with_borrow_mut(|waiting| waiting.remove(&number)) else { return };
    // SAFETY: a request is in the table only while its pool is; the ticket's drop takes it out. No other reference to the
    // context is held here.
    unsafe {
        let limits = context::get(raw).and_then(|context| context.limits.as_mut());
        let ticket = limits.and_then(|limits| limits.ticket());
        let Some(ticket) = ticket.filter(|ticket| ticket.number == number) else { return };
        ticket.answer = Some(answer);
        let request = raw.as_ptr();
        // Another handler means that nginx is ending the request.
        if !waits((*request).write_event_handler) {
            return;
        }
        let connection = (*request).connection;
        (*request).read_event_handler = Some(ngx_http_block_reading);
        (*request).write_event_handler = Some(ngx_http_core_run_phases);
        if ngx_handle_read_event((*connection).read, 0) == NGX_OK as ngx_int_t {
            ngx_http_core_run_phases(request);
        } else {
            ngx_http_finalize_request(request, NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t);
        }
        ngx_http_run_posted_requests(connection);
    }
}
