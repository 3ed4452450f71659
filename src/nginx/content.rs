//! The content handler of every directive of ours that answers requests.

use super::guard::guard_request;
use super::request::Request;
use super::{metrics, upstream};
use nginx_sys::{NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_http_request_t, ngx_int_t};

/// Set by commands.rs for directives that handle; the location's plan tells which it is.
pub(super) unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    const FAILED: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    guard_request("content handler", request, FAILED, |raw| {
        // SAFETY: nginx hands a live request.
        let request = unsafe { Request::new(raw) };
        let conf = request.conf();
        match (&conf.lambda, &conf.plan.metrics) {
            (Some(location), _) => upstream::handle(request, location),
            (None, Some(_)) => metrics::handle(request),
            (None, None) => FAILED,
        }
    })
}
