//! The one place where refusals and answers become responses.
//!
//! A refusal is handed to nginx as its status, so that `error_page`, `satisfy`, keepalive and lingering close work as ever;
//! error_pages.rs then writes the body that is remembered here.

use super::context::RequestContext;
use super::request::Request;
use super::{log, memory};
use crate::decision::Refusal;
use nginx_sys::{ngx_http_request_t, ngx_int_t, ngx_list_push, ngx_table_elt_t};
use std::ptr::NonNull;

/// The status that ends the request with this refusal.
pub(super) fn refuse(
    request: Request<'_>,
    context: &mut RequestContext,
    refusal: Refusal,
) -> ngx_int_t {
    log::write(
        request.log(),
        log::Level::Info,
        format_args!(
            "{}: refused, status={}, reason={}",
            refusal.policy.as_str(),
            refusal.status,
            refusal.reason.as_str()
        ),
    );
    for (name, value) in &refusal.headers {
        // Short of memory the header is missing; the status still ends the request.
        let _ = add_header(request.raw(), name, value.as_bytes());
    }
    let status = refusal.status;
    context.refusal = Some(refusal);
    ngx_int_t::from(status as i16)
}

/// Adds a line to the response's headers; `None` when memory is short.
pub(super) fn add_header(
    request: NonNull<ngx_http_request_t>,
    name: &'static str,
    value: &[u8],
) -> Option<NonNull<ngx_table_elt_t>> {
    let request = request.as_ptr();
    // SAFETY: the request is live; its header list is initialised with it and its pool outlives the list.
    unsafe {
        let value = memory::copy((*request).pool, value)?;
        let line = NonNull::new(
            ngx_list_push(&mut (*request).headers_out.headers).cast::<ngx_table_elt_t>(),
        )?;
        line.write_bytes(0, 1);
        let header = &mut *line.as_ptr();
        header.hash = 1;
        header.key = memory::static_str(name);
        header.value = value;
        if name == "WWW-Authenticate" {
            // `satisfy any` takes the header back through this pointer.
            (*request).headers_out.www_authenticate = line.as_ptr();
        }
        Some(line)
    }
}
