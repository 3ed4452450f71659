//! The one place where refusals and answers become responses.
//!
//! A refusal is handed to nginx as its status, so that `error_page`, `satisfy`, keepalive and lingering close work as ever;
//! error_pages.rs then writes the body that is remembered here.

use super::context::RequestContext;
use super::request::{Request, lines};
use super::{log, memory};
use crate::decision::Refusal;
use crate::pipeline::ErrorBody;
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

/// The body of an error response, in the location's shape; `None` for an error that nginx itself made.
pub(super) fn error_body(request: Request<'_>, status: u16, refusal: Option<&Refusal>) -> Vec<u8> {
    let request_id = String::from_utf8_lossy(request.variable("request_id"));
    let body = ErrorBody { status, request_id: &request_id, refusal };
    body.write(request.conf().plan.pipeline.errors)
}

/// Sets a header of ours to a number, in place of the one that an earlier location of the request has set; `None` when
/// memory is short.
pub(super) fn set_number(
    request: NonNull<ngx_http_request_t>,
    name: &'static str,
    number: u64,
) -> Option<()> {
    let text = number.to_string();
    // SAFETY: the request is live; nobody else has its headers now.
    unsafe {
        let raw = request.as_ptr();
        let ours = lines(&(*raw).headers_out.headers.part)
            .find(|line| std::ptr::eq(line.key.data, name.as_ptr()) && line.hash != 0)
            .map(|line| std::ptr::from_ref(line).cast_mut());
        if let Some(line) = ours {
            (*line).value = memory::copy((*raw).pool, text.as_bytes())?;
            return Some(());
        }
    }
    add_header(request, name, text.as_bytes()).map(|_| ())
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
