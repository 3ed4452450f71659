//! The filters that come behind one of ours in nginx's chains.

use nginx_sys::{
    NGX_ERROR, ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_output_header_filter_pt,
    ngx_http_request_t, ngx_http_top_body_filter, ngx_http_top_header_filter, ngx_int_t,
};
use std::cell::Cell;
use std::ptr::NonNull;

const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;

type HeaderFilter = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;
type BodyFilter = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_chain_t) -> ngx_int_t;

/// What follows one of our filters; of nginx's main thread alone.
pub(super) struct NextFilter {
    header: Cell<ngx_http_output_header_filter_pt>,
    body: Cell<ngx_http_output_body_filter_pt>,
}

// SAFETY: written while nginx configures and read by the event loop, which are one thread.
unsafe impl Sync for NextFilter {}

impl NextFilter {
    pub(super) const fn new() -> Self {
        Self { header: Cell::new(None), body: Cell::new(None) }
    }

    /// Puts a header filter before those that are there; chains are made anew with every configuration.
    pub(super) fn put_header_filter_first(&self, filter: HeaderFilter) {
        // SAFETY: nginx's main thread, while it configures.
        unsafe {
            self.header.set(ngx_http_top_header_filter);
            ngx_http_top_header_filter = Some(filter);
        }
    }

    /// The same for a body filter.
    pub(super) fn put_body_filter_first(&self, filter: BodyFilter) {
        // SAFETY: nginx's main thread, while it configures.
        unsafe {
            self.body.set(ngx_http_top_body_filter);
            ngx_http_top_body_filter = Some(filter);
        }
    }

    /// Hands the header on.
    pub(super) fn header(&self, request: NonNull<ngx_http_request_t>) -> ngx_int_t {
        // SAFETY: set at configuration; the request is live.
        self.header.get().map_or(ERROR, |next| unsafe { next(request.as_ptr()) })
    }

    /// Hands buffers on; `chain` is live or null.
    pub(super) fn body(
        &self,
        request: NonNull<ngx_http_request_t>,
        chain: *mut ngx_chain_t,
    ) -> ngx_int_t {
        // SAFETY: set at configuration; request and chain are live.
        self.body.get().map_or(ERROR, |next| unsafe { next(request.as_ptr(), chain) })
    }
}
