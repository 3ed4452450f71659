//! A request's body, replaced.

use super::forget_variables;
use crate::nginx::memory;
use crate::nginx::request::Request;
use nginx_sys::{ngx_alloc_chain_link, ngx_create_temp_buf, off_t};
use std::ptr::null_mut;

/// Replaces the request's body, which has been read, and its Content-Length; `None` when memory is short.
///
/// A body in a temporary file becomes one in memory; the file stays until the request ends.
pub(in crate::nginx) fn set_body(request: Request<'_>, bytes: &[u8]) -> Option<()> {
    let raw = request.raw().as_ptr();
    // SAFETY: live; buffer and chain link are of its pool.
    unsafe {
        let body = (*raw).request_body.as_mut()?;
        let mut chain = null_mut();
        // nginx's output takes an empty buffer for a fault
        if !bytes.is_empty() {
            let buffer = ngx_create_temp_buf((*raw).pool, bytes.len());
            let link = ngx_alloc_chain_link((*raw).pool);
            if buffer.is_null() || link.is_null() {
                return None;
            }
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (*buffer).pos, bytes.len());
            (*buffer).last = (*buffer).pos.add(bytes.len());
            (*buffer).set_last_buf(1);
            (*link).buf = buffer;
            (*link).next = null_mut();
            chain = link;
        }
        let headers = &mut (*raw).headers_in;
        if let Some(line) = headers.content_length.as_mut() {
            line.value = memory::copy((*raw).pool, bytes.len().to_string().as_bytes())?;
        }
        headers.content_length_n = off_t::try_from(bytes.len()).ok()?;
        body.bufs = chain;
        body.temp_file = null_mut();
    }
    let is_of_body = |name: &[u8]| {
        matches!(
            name,
            b"content_length" | b"http_content_length" | b"request_body" | b"request_body_file"
        )
    };
    forget_variables(request, is_of_body);
    Some(())
}
