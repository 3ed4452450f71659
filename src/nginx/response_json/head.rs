//! The header of a response whose body may be edited: what it says of the body, and what it must say afterwards.

use crate::nginx::{memory, respond};
use crate::response_json::{ResponseJsonPlan, is_json};
use nginx_sys::{NGX_HTTP_HEAD, ngx_http_request_t, ngx_http_weak_etag, ngx_table_elt_t};
use std::ptr::{NonNull, null_mut};

/// What a response turns out to be by its header.
pub(super) enum Found {
    /// Nothing to edit.
    Other,
    /// JSON whose body does not follow.
    Head,
    /// JSON, and its length where that is known.
    Body(usize),
    /// What cannot be edited, and why.
    Unreadable(&'static str),
}

pub(super) fn examine(request: NonNull<ngx_http_request_t>, plan: &ResponseJsonPlan) -> Found {
    // SAFETY: live; header values lie in the request's pool.
    unsafe {
        let request = request.as_ref();
        let out = &request.headers_out;
        let content_type = memory::bytes(out.content_type);
        let partial = out.status == 206;
        // The parts of such a body have types of their own, JSON perhaps.
        let in_parts = partial && is_multipart(content_type);
        if out.status < 200
            || matches!(out.status, 204 | 304)
            || !(is_json(content_type) || in_parts)
        {
            return Found::Other;
        }
        let encoding = out.content_encoding.as_ref().map(|line| memory::bytes(line.value));
        if encoding.is_some_and(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"))
        {
            return Found::Unreadable("compressed");
        }
        if partial {
            return Found::Unreadable("partial");
        }
        match u64::try_from(out.content_length_n) {
            Ok(length) if length > plan.max_bytes => Found::Unreadable("too large"),
            _ if request.method == NGX_HTTP_HEAD as usize => Found::Head,
            _ if request.header_only() != 0 || out.content_length_n == 0 => Found::Other,
            Ok(length) => Found::Body(usize::try_from(length).unwrap_or(0)),
            Err(_) => Found::Body(0),
        }
    }
}

fn is_multipart(content_type: &[u8]) -> bool {
    const BYTERANGES: &[u8] = b"multipart/byteranges";
    content_type.get(..BYTERANGES.len()).is_some_and(|head| head.eq_ignore_ascii_case(BYTERANGES))
}

/// Makes the header that of the edited body: its length (-1 when that is not known), and no promises of the original's.
pub(super) fn describe_edited(request: NonNull<ngx_http_request_t>, length: i64) {
    clear_ranges(request);
    // SAFETY: live; lines may be changed until the header is sent.
    unsafe {
        let out = &mut (*request.as_ptr()).headers_out;
        take_out(&mut out.content_length);
        out.content_length_n = length;
        take_out(&mut out.last_modified);
        out.last_modified_time = -1;
        for mut line in respond::header_lines(request) {
            let line = line.as_mut();
            if is_digest(memory::bytes(line.key)) {
                line.hash = 0;
            }
        }
        ngx_http_weak_etag(request.as_ptr());
    }
}

/// Headers with a checksum of the body. Source: RFC 9530; RFC 3230 and RFC 2616, which it replaces.
fn is_digest(name: &[u8]) -> bool {
    [&b"content-digest"[..], b"repr-digest", b"digest", b"content-md5"]
        .iter()
        .any(|digest| name.eq_ignore_ascii_case(digest))
}

/// nginx's range filter would cut the body before it is edited.
///
/// Source: ngx_http_clear_accept_ranges.
pub(super) fn clear_ranges(request: NonNull<ngx_http_request_t>) {
    // SAFETY: live; lines may be changed until the header is sent.
    unsafe {
        (*request.as_ptr()).set_allow_ranges(0);
        take_out(&mut (*request.as_ptr()).headers_out.accept_ranges);
    }
}

/// # Safety
/// `line` is null or a line of the response's list.
unsafe fn take_out(line: &mut *mut ngx_table_elt_t) {
    // SAFETY: the caller's.
    if let Some(line) = unsafe { line.as_mut() } {
        line.hash = 0;
    }
    *line = null_mut();
}
