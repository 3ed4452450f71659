//! nginx's list of header lines, with lines taken out.

use crate::nginx::request::lines;
use nginx_sys::{ngx_http_headers_in_t, ngx_list_part_t, ngx_list_t, ngx_palloc, ngx_table_elt_t};
use std::ptr::null_mut;

type Line = *mut ngx_table_elt_t;

/// Takes lines out of the list; `None` when memory is short.
///
/// The others are not moved: nginx's shortcuts point at them. A part of the list becomes as many parts as it has runs of lines
/// that stay.
///
/// # Safety
/// The list is a live request's, and nobody borrows its lines.
pub(super) unsafe fn unlink(list: &mut ngx_list_t, removed: &[Line]) -> Option<()> {
    // SAFETY: the caller's.
    unsafe {
        let runs = runs_without(&list.part, removed);
        relink(list, &runs)
    }
}

/// Lines that stay, as (first, count) of neighbours.
///
/// # Safety
/// The list is live.
unsafe fn runs_without(first: &ngx_list_part_t, removed: &[Line]) -> Vec<(Line, usize)> {
    let mut runs: Vec<(Line, usize)> = Vec::new();
    // SAFETY: the caller's.
    for line in unsafe { lines(first) } {
        let line = std::ptr::from_ref(line).cast_mut();
        if removed.contains(&line) {
            continue;
        }
        match runs.last_mut() {
            Some((start, count)) if start.wrapping_add(*count) == line => *count += 1,
            _ => runs.push((line, 1)),
        }
    }
    runs
}

/// Makes the list one of these runs.
///
/// nginx's loops over a list step into a following part without looking whether it is empty, and ngx_list_push takes every
/// last part for one with room for `nalloc` lines: so no part but the first may be empty, and the last must count as full.
///
/// # Safety
/// The list is live and the runs are of its lines.
unsafe fn relink(list: &mut ngx_list_t, runs: &[(Line, usize)]) -> Option<()> {
    let pool = list.pool;
    // SAFETY: the pool is the list's; new parts are linked before the list is walked again.
    unsafe {
        let Some(((line, count), rest)) = runs.split_first() else {
            let elts = ngx_palloc(pool, list.size * list.nalloc);
            if elts.is_null() {
                return None;
            }
            list.part = ngx_list_part_t { elts, nelts: 0, next: null_mut() };
            list.last = &mut list.part;
            return Some(());
        };
        let mut next: *mut ngx_list_part_t = null_mut();
        let mut last: *mut ngx_list_part_t = null_mut();
        for (line, count) in rest.iter().rev() {
            let part = ngx_palloc(pool, size_of::<ngx_list_part_t>()).cast::<ngx_list_part_t>();
            if part.is_null() {
                return None;
            }
            part.write(ngx_list_part_t { elts: line.cast(), nelts: *count, next });
            if last.is_null() {
                last = part;
            }
            next = part;
        }
        list.part = ngx_list_part_t { elts: line.cast(), nelts: *count, next };
        list.last = if last.is_null() { &mut list.part } else { last };
        list.nalloc = (*list.last).nelts;
    }
    Some(())
}

/// Takes lines out of nginx's shortcuts to them, `headers_in.authorization` and its like: heads of lists of lines with the same name.
///
/// # Safety
/// `headers` is a live request's.
#[cfg(nginx1_23_0)]
pub(super) unsafe fn forget(headers: &mut ngx_http_headers_in_t, removed: &[Line]) {
    const FROM: usize = std::mem::offset_of!(ngx_http_headers_in_t, host);
    const COUNT: usize =
        (std::mem::offset_of!(ngx_http_headers_in_t, user) - FROM) / size_of::<Line>();
    // SAFETY: between these two there are pointers to lines and nothing else.
    let slots = unsafe {
        let base = std::ptr::from_mut(headers).cast::<u8>();
        std::slice::from_raw_parts_mut(base.add(FROM).cast::<Line>(), COUNT)
    };
    for slot in slots.iter_mut().filter(|slot| !slot.is_null()) {
        let mut slot = std::ptr::from_mut(slot);
        // SAFETY: `next` links lines until null.
        unsafe {
            while !(*slot).is_null() {
                if removed.contains(&*slot) {
                    *slot = (**slot).next;
                } else {
                    slot = &raw mut (**slot).next;
                }
            }
        }
    }
}

/// The same before 1.23, where names that may repeat have arrays of pointers and the others one pointer.
///
/// # Safety
/// `headers` is a live request's.
#[cfg(not(nginx1_23_0))]
pub(super) unsafe fn forget(headers: &mut ngx_http_headers_in_t, removed: &[Line]) {
    for array in [&mut headers.cookies, &mut headers.x_forwarded_for] {
        // SAFETY: an array of pointers, or one that was never initialised and has none.
        unsafe {
            let mut kept = 0;
            let entries = array.elts.cast::<Line>();
            for index in 0..array.nelts {
                let line = *entries.add(index);
                if !removed.contains(&line) {
                    *entries.add(kept) = line;
                    kept += 1;
                }
            }
            array.nelts = kept;
        }
    }
    let from = std::mem::offset_of!(ngx_http_headers_in_t, host);
    let to = std::mem::offset_of!(ngx_http_headers_in_t, user);
    let base = std::ptr::from_mut(headers).cast::<u8>();
    for offset in (from..to).step_by(size_of::<Line>()) {
        // SAFETY: words of the structure; those that are no pointers to lines equal none of them.
        unsafe {
            let slot = base.add(offset).cast::<Line>();
            if removed.contains(&*slot) {
                *slot = null_mut();
            }
        }
    }
}

/// Has nginx link lines of one name anew: it does so once for a request, for FastCGI, SCGI and uwsgi, and lines have come or gone.
///
/// *Source*: ngx_http_link_multi_headers.
#[cfg(nginx1_23_0)]
pub(super) fn relink_names(headers: &mut ngx_http_headers_in_t) {
    headers.set_multi(0);
    headers.set_multi_linked(0);
}

/// Before 1.23 nginx links none.
#[cfg(not(nginx1_23_0))]
pub(super) fn relink_names(_headers: &mut ngx_http_headers_in_t) {}
