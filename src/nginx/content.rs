//! The content handler of every directive of ours that answers requests.

use super::guard::guard_request;
use super::request::Request;
use super::{respond, upstream};
use crate::observe::{Endpoint, Health, Page};
use nginx_sys::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_ALLOWED, ngx_http_request_t, ngx_int_t,
};

/// Set by commands.rs for directives that handle; the location's plan tells which it is.
pub(super) unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    const FAILED: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    guard_request("content handler", request, FAILED, |raw| {
        // SAFETY: nginx hands a live request.
        let request = unsafe { Request::new(raw) };
        let conf = request.conf();
        match (&conf.lambda, conf.plan.endpoint) {
            (Some(location), _) => upstream::handle(request, location),
            (None, Some(endpoint)) => serve(request, endpoint),
            (None, None) => FAILED,
        }
    })
}

fn serve(request: Request<'_>, endpoint: Endpoint) -> ngx_int_t {
    if !matches!(request.method_bytes(), b"GET" | b"HEAD") {
        return NGX_HTTP_NOT_ALLOWED as ngx_int_t;
    }
    let main = request.main_conf();
    match endpoint {
        Endpoint::Metrics { .. } => {
            let page = main.metrics.as_ref().map(|metrics| metrics.page(main)).unwrap_or_default();
            respond::content(request, 200, Page::CONTENT_TYPE, page.as_bytes())
        }
        Endpoint::Health => {
            let (status, body) = main.health().response();
            respond::content(request, status, Health::CONTENT_TYPE, &body)
        }
    }
}
