//! Builds and signs the request that goes to the API.

use super::call::Call;
use crate::aws::sigv4::SignableRequest;
use crate::lambda::InvokeHead;
use crate::nginx::clock;
use crate::nginx::guard::guard_request;
use nginx_sys::{
    NGX_ERROR, NGX_OK, ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t, ngx_http_request_t, ngx_int_t,
    ngx_pcalloc, ngx_pool_t,
};
use sha2::{Digest, Sha256};
use std::ptr::{NonNull, null_mut};

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
/// The service that signatures are for.
pub(super) const SERVICE: &str = "lambda";

/// u->create_request
pub(super) unsafe extern "C" fn create_request(request: *mut ngx_http_request_t) -> ngx_int_t {
    guard_request("create request", request, ERROR, |request| {
        // SAFETY: the content handler set input_filter_ctx; nginx holds no reference to it.
        unsafe {
            let upstream = &mut *(*request.as_ptr()).upstream;
            let call = &mut *upstream.input_filter_ctx.cast::<Call>();
            call.payload_sha256 = Sha256::digest(&call.payload).into();
            write(request, call).unwrap_or(ERROR)
        }
    })
}

/// u->reinit_request: another attempt has another date, and perhaps other credentials.
pub(super) unsafe extern "C" fn reinit_request(request: *mut ngx_http_request_t) -> ngx_int_t {
    guard_request("reinit request", request, ERROR, |request| {
        // SAFETY: as in `create_request`.
        unsafe {
            let upstream = &mut *(*request.as_ptr()).upstream;
            let call = &mut *upstream.input_filter_ctx.cast::<Call>();
            super::renew::cancel(call);
            call.response = Default::default();
            call.again = None;
            call.stock_recv = None;
            if let Some((generation, credentials)) = call.location().credentials().current() {
                call.generation = generation;
                call.credentials = credentials;
            }
            write(request, call).unwrap_or(ERROR)
        }
    })
}

/// Hands head and payload to nginx; `None` when memory is short.
unsafe fn write(request: NonNull<ngx_http_request_t>, call: &mut Call) -> Option<ngx_int_t> {
    call.head.clear();
    match &call.function.target {
        Some(_) => write_invoke_head(call)?,
        None => write_url_head(call)?,
    }
    call.head.extend_from_slice(b"\r\n");
    // SAFETY: the request's pool is live; head and payload live in the call as long.
    unsafe {
        let pool = (*request.as_ptr()).pool;
        let payload = if call.payload.is_empty() {
            null_mut()
        } else {
            link(pool, &mut call.payload, true, null_mut())?
        };
        let first = link(pool, &mut call.head, payload.is_null(), payload)?;
        (*(*request.as_ptr()).upstream).request_bufs = first;
    }
    Some(OK)
}

/// The head of a call of the API, signed.
fn write_invoke_head(call: &mut Call) -> Option<()> {
    let plan = &call.location().plan;
    let target = call.function.target.as_ref()?;
    let host = &*call.destination.host;
    let head = InvokeHead {
        request_target: &target.request_target,
        host,
        content_length: call.payload.len(),
        invocation: plan.pass.invocation,
        log_tail: plan.log_tail,
        trace_id: &call.trace_id,
    };
    head.write(&mut call.head);
    let mut lines: [(&str, &[u8]); 4] = [("", b""); 4];
    let mut count = 0;
    let signed = head.signed_headers().filter(|(name, _)| *name != "host");
    for (slot, (name, value)) in lines.iter_mut().zip(signed) {
        *slot = (name, value.as_bytes());
        count += 1;
    }
    let signable = SignableRequest {
        method: b"POST",
        canonical_path: &target.canonical_path,
        canonical_query: &target.canonical_query,
        host,
        headers: lines.get(..count).unwrap_or_default(),
        payload_sha256: &call.payload_sha256,
    };
    let (credentials, out) = (&call.credentials, &mut call.head);
    call.destination.sign(|signer| signer.sign(credentials, &signable, clock::aws_s(), out));
    Some(())
}

/// The head of a request to a function URL, signed.
fn write_url_head(call: &mut Call) -> Option<()> {
    let url = call.url.as_ref()?;
    call.head.extend_from_slice(&url.head);
    let signable = SignableRequest {
        method: &url.method,
        canonical_path: &url.canonical_path,
        canonical_query: &url.canonical_query,
        host: &call.destination.host,
        headers: &[],
        payload_sha256: &call.payload_sha256,
    };
    let (credentials, out) = (&call.credentials, &mut call.head);
    call.destination.sign(|signer| signer.sign(credentials, &signable, clock::aws_s(), out));
    Some(())
}

/// A link over a block of ours. `flush` on the last: without it TLS holds small writes back for ever.
unsafe fn link(
    pool: *mut ngx_pool_t,
    block: &mut [u8],
    flush: bool,
    next: *mut ngx_chain_t,
) -> Option<*mut ngx_chain_t> {
    let range = block.as_mut_ptr_range();
    // SAFETY: the caller's live pool; the block outlives the request's upstream.
    unsafe {
        let buffer = NonNull::new(ngx_pcalloc(pool, size_of::<ngx_buf_t>()).cast::<ngx_buf_t>())?;
        let link = NonNull::new(ngx_alloc_chain_link(pool))?.as_ptr();
        let buffer = &mut *buffer.as_ptr();
        buffer.start = range.start;
        buffer.pos = range.start;
        buffer.last = range.end;
        buffer.end = range.end;
        buffer.set_temporary(1);
        buffer.set_flush(u32::from(flush));
        (*link).buf = buffer;
        (*link).next = next;
        Some(link)
    }
}
