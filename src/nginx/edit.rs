//! Changes to a request that everything downstream sees: variables, proxy_pass, lambda_pass, logs.

use super::memory;
use super::request::Request;
use crate::request::{Header, hash_lowercase};
use nginx_sys::{
    ngx_alloc_chain_link, ngx_create_temp_buf, ngx_http_request_t, ngx_list_part_t, ngx_list_push,
    ngx_list_t, ngx_pcalloc, ngx_pool_t, ngx_str_t, ngx_table_elt_t,
};
use std::ptr::{NonNull, null_mut};

/// Takes every header line off that `remove` names; `None` when memory is short.
///
/// The lines really go: handlers such as proxy_pass copy all there are. The others stay where they are in memory, because
/// `headers_in` points to some of them.
pub(super) fn remove_headers(
    request: Request<'_>,
    remove: impl Fn(&Header<'_>) -> bool,
) -> Option<()> {
    // SAFETY: the request is live, and no iterator over its headers is.
    unsafe {
        let raw = request.raw().as_ptr();
        let list = &mut (*raw).headers_in.headers;
        remove_lines((*raw).pool, list, |line| {
            let gone = remove(&view(line));
            if gone {
                // What still points to the line finds it empty.
                line.hash = 0;
                line.value = ngx_str_t { len: 0, data: line.value.data };
            }
            gone
        })?;
        let authorization = (*raw).headers_in.authorization;
        if authorization.as_ref().is_some_and(|line| line.hash == 0) {
            (*raw).headers_in.authorization = null_mut();
        }
    }
    Some(())
}

/// # Safety
/// The line is of a live request's headers.
unsafe fn view<'a>(line: &ngx_table_elt_t) -> Header<'a> {
    // SAFETY: nginx's parsers set lowcase_key for every request header, of key's length.
    unsafe {
        let lowercase = ngx_str_t { len: line.key.len, data: line.lowcase_key };
        Header {
            hash: line.hash,
            lowercase_name: memory::bytes(lowercase),
            value: memory::bytes(line.value),
        }
    }
}

/// Unlinks lines from a list by splitting its parts.
///
/// No part but the first may be left empty: nginx's loops look into a part before they ask how long it is. The first keeps
/// its start, because `nalloc` is the room from there.
unsafe fn remove_lines(
    pool: *mut ngx_pool_t,
    list: &mut ngx_list_t,
    mut remove: impl FnMut(&mut ngx_table_elt_t) -> bool,
) -> Option<()> {
    let head: *mut ngx_list_part_t = &mut list.part;
    // SAFETY: parts are linked until null, each with `nelts` lines at `elts`.
    unsafe {
        let old_last = (list.last, (*list.last).elts);
        let (mut previous, mut part) = (null_mut::<ngx_list_part_t>(), head);
        while !part.is_null() {
            let lines = (*part).elts.cast::<ngx_table_elt_t>();
            let count = (*part).nelts;
            let Some(index) = (0..count).find(|index| remove(&mut *lines.add(*index))) else {
                (previous, part) = (part, (*part).next);
                continue;
            };
            let (rest, behind) = (count - index - 1, lines.add(index + 1));
            if index == 0 && part != head && rest > 0 {
                // The part begins behind the line; it is looked through again.
                (*part).elts = behind.cast();
                (*part).nelts = rest;
                continue;
            }
            (*part).nelts = index;
            if rest > 0 {
                let split = ngx_pcalloc(pool, size_of::<ngx_list_part_t>());
                let split = NonNull::new(split.cast::<ngx_list_part_t>())?.as_ptr();
                (*split).elts = behind.cast();
                (*split).nelts = rest;
                (*split).next = (*part).next;
                (*part).next = split;
            }
            if index == 0 && part != head {
                (*previous).next = (*part).next;
                part = (*part).next;
            } else {
                (previous, part) = (part, (*part).next);
            }
        }
        list.last = if previous.is_null() { head } else { previous };
        let last = list.last;
        if last != head && (last, (*last).elts) != old_last {
            // A part that was split has no room behind its lines.
            list.nalloc = (*last).nelts;
        }
    }
    Some(())
}

/// Adds a header line to the request; `None` when memory is short.
pub(super) fn add_header(request: Request<'_>, name: &'static str, value: &str) -> Option<()> {
    let raw = request.raw().as_ptr();
    let lowercase = name.to_ascii_lowercase();
    // SAFETY: the request is live; texts are copied into its pool.
    unsafe {
        let lowercase = memory::copy((*raw).pool, lowercase.as_bytes())?;
        let value = memory::copy((*raw).pool, value.as_bytes())?;
        let list = &mut (*raw).headers_in.headers;
        let line = NonNull::new(ngx_list_push(list).cast::<ngx_table_elt_t>())?;
        line.write_bytes(0, 1);
        let header = &mut *line.as_ptr();
        header.hash = hash_lowercase(memory::bytes(lowercase));
        header.key = memory::static_str(name);
        header.value = value;
        header.lowcase_key = lowercase.data;
    }
    Some(())
}

/// Rewrites the values of header lines: `edit` answers `None` for one that stays; an empty value takes the line off.
pub(super) fn edit_headers(
    request: Request<'_>,
    edit: impl Fn(&Header<'_>) -> Option<Vec<u8>>,
) -> Option<()> {
    let raw = request.raw().as_ptr();
    // SAFETY: the request is live; lines are changed in place.
    unsafe {
        let mut part: *mut ngx_list_part_t = &mut (*raw).headers_in.headers.part;
        while let Some(current) = part.as_ref() {
            for index in 0..current.nelts {
                let line = &mut *current.elts.cast::<ngx_table_elt_t>().add(index);
                if let Some(value) = edit(&view(line)) {
                    line.value = memory::copy((*raw).pool, &value)?;
                    line.hash = if value.is_empty() { 0 } else { line.hash };
                }
            }
            part = current.next;
        }
    }
    remove_headers(request, |header| header.hash == 0)
}

/// Replaces the query in `$args` and `$request_uri`; `None` when memory is short.
///
/// `uri` is the whole of it, query included, as `r->unparsed_uri` holds it.
pub(super) fn set_query(request: Request<'_>, query: &[u8], uri: &[u8]) -> Option<()> {
    let raw = request.raw().as_ptr();
    // SAFETY: the request is live; texts are copied into its pool.
    unsafe {
        (*raw).args = memory::copy((*raw).pool, query)?;
        (*raw).unparsed_uri = memory::copy((*raw).pool, uri)?;
    }
    Some(())
}

/// Replaces a body that has been read; `None` when memory is short.
pub(super) fn set_body(request: Request<'_>, body: &[u8]) -> Option<()> {
    let raw = request.raw().as_ptr();
    // SAFETY: the request is live and its body read; the new buffer is of its pool.
    unsafe {
        let held = (*raw).request_body.as_mut()?;
        held.bufs = if body.is_empty() { null_mut() } else { single_buffer(raw, body)? };
        held.temp_file = null_mut();
        (*raw).headers_in.content_length_n = body.len() as _;
        if let Some(line) = (*raw).headers_in.content_length.as_mut() {
            line.value = memory::copy((*raw).pool, body.len().to_string().as_bytes())?;
        }
    }
    Some(())
}

unsafe fn single_buffer(
    request: *mut ngx_http_request_t,
    body: &[u8],
) -> Option<*mut nginx_sys::ngx_chain_t> {
    // SAFETY: the caller's live request; the buffer has room for the body.
    unsafe {
        let pool = (*request).pool;
        let buffer = NonNull::new(ngx_create_temp_buf(pool, body.len()))?.as_ptr();
        let link = NonNull::new(ngx_alloc_chain_link(pool))?.as_ptr();
        std::ptr::copy_nonoverlapping(body.as_ptr(), (*buffer).pos, body.len());
        (*buffer).last = (*buffer).pos.add(body.len());
        (*buffer).set_last_buf(1);
        (*link).buf = buffer;
        (*link).next = null_mut();
        Some(link)
    }
}
