//! The one place where refusals and answers become responses.
//!
//! A refusal is handed to nginx as its status, so that `error_page`, `satisfy`, keepalive and lingering close work as ever;
//! error_pages.rs then writes the body that is remembered here.

use super::context::{self, RequestContext};
use super::request::Request;
use super::{log, memory};
use crate::decision::{Refusal, Reply};
use crate::pipeline::ErrorBody;
use nginx_sys::{
    NGX_DONE, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_OK, ngx_http_complex_value_t,
    ngx_http_discard_request_body, ngx_http_finalize_request, ngx_http_request_t,
    ngx_http_send_header, ngx_http_send_response, ngx_int_t, ngx_list_push, ngx_palloc, ngx_str_t,
    ngx_table_elt_t,
};
use std::ops::Range;
use std::ptr::NonNull;

/// The status that ends the request with this refusal, which its context keeps.
pub(super) fn refuse(
    request: Request<'_>,
    context: &mut RequestContext,
    refusal: Refusal,
) -> ngx_int_t {
    if let Some(earlier) = &context.refusal {
        take_back(request.raw(), earlier);
    }
    let status = announce(request, &refusal);
    context.end_with(refusal, &request.conf().plan);
    status
}

/// The status that ends the request with this refusal, which is in the log and has its headers in the response.
pub(super) fn announce(request: Request<'_>, refusal: &Refusal) -> ngx_int_t {
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
    ngx_int_t::from(refusal.status as i16)
}

/// Takes the headers of a refusal out of a response that is not its own.
pub(super) fn take_back(request: NonNull<ngx_http_request_t>, refusal: &Refusal) {
    // SAFETY: live; nobody else has its headers now.
    unsafe {
        for mut line in header_lines(request) {
            let key = line.as_ref().key.data.cast_const();
            if refusal.headers.iter().any(|(name, _)| std::ptr::eq(key, name.as_ptr())) {
                line.as_mut().hash = 0;
            }
        }
    }
}

/// The body of an error response, in the location's shape; `None` for an error that nginx itself made.
pub(super) fn error_body(request: Request<'_>, status: u16, refusal: Option<&Refusal>) -> Vec<u8> {
    let request_id = String::from_utf8_lossy(request.id());
    let body = ErrorBody { status, request_id: &request_id, refusal };
    body.write(request.conf().plan.pipeline.errors)
}

/// Ends the request with a complete answer: nginx's header filters run, a request body is thrown away, the connection stays.
///
/// The result is for the phase handler to return; the request may be gone.
pub(super) fn answer(request: Request<'_>, reply: &Reply) -> ngx_int_t {
    let raw = request.raw();
    // SAFETY: live; no other reference to the context is held here.
    let Some(context) = (unsafe { context::get_or_create(raw) }) else {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    };
    for (name, value) in &reply.headers {
        if add_header(raw, name, value.as_bytes()).is_none() {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        }
    }
    context.answered = Some(line_count(raw));
    let request = raw.as_ptr();
    // SAFETY: live until it is finalised, and not touched after that.
    unsafe {
        let discarded = ngx_http_discard_request_body(request);
        if discarded != NGX_OK as ngx_int_t {
            return discarded;
        }
        (*request).headers_out.status = reply.status.into();
        (*request).headers_out.content_length_n = 0;
        (*request).set_header_only(1);
        ngx_http_finalize_request(request, ngx_http_send_header(request));
    }
    NGX_DONE as ngx_int_t
}

/// Answers with a body that is there as a whole; the content handler's status.
pub(super) fn content(
    request: Request<'_>,
    status: u16,
    content_type: &'static str,
    body: &[u8],
) -> ngx_int_t {
    let raw = request.raw().as_ptr();
    // SAFETY: live; the body is copied into the request's pool, whose memory the value points to.
    unsafe {
        let discarded = ngx_http_discard_request_body(raw);
        if discarded != NGX_OK as ngx_int_t {
            return discarded;
        }
        let Some(text) = memory::copy((*raw).pool, body) else {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        };
        let mut content_type = memory::static_str(content_type);
        let mut value: ngx_http_complex_value_t = std::mem::zeroed();
        value.value = text;
        ngx_http_send_response(raw, status.into(), &mut content_type, &mut value)
    }
}

/// How many lines the response's header list has, those that were taken out counted.
pub(super) fn line_count(request: NonNull<ngx_http_request_t>) -> usize {
    // SAFETY: live; parts are linked until null.
    unsafe {
        let mut part = &raw const (*request.as_ptr()).headers_out.headers.part;
        let mut count = 0;
        while let Some(current) = part.as_ref() {
            count += current.nelts;
            part = current.next;
        }
        count
    }
}

/// The lines of the response's header list at these places, those that were taken out (`hash` 0) left out.
///
/// # Safety
/// The request is live and its list does not change while the iterator is used.
pub(super) unsafe fn header_lines_at(
    request: NonNull<ngx_http_request_t>,
    places: Range<usize>,
) -> impl Iterator<Item = NonNull<ngx_table_elt_t>> {
    // SAFETY: the list is initialised with the request.
    let mut part = unsafe { &raw const (*request.as_ptr()).headers_out.headers.part };
    let (mut index, mut left) = (places.start, places.len());
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        // SAFETY: parts are linked until null, each with `nelts` lines at `elts`, as ngx_list_push makes them.
        unsafe {
            while index >= (*part).nelts {
                index -= (*part).nelts;
                part = (*part).next.as_ref()?;
            }
            index += 1;
            NonNull::new((*part).elts.cast::<ngx_table_elt_t>().add(index - 1))
        }
    })
    // SAFETY: as above.
    .filter(|line| unsafe { line.as_ref().hash != 0 })
}

/// All lines of the response's header list but those that were taken out.
///
/// # Safety
/// As [`header_lines_at`].
pub(super) unsafe fn header_lines(
    request: NonNull<ngx_http_request_t>,
) -> impl Iterator<Item = NonNull<ngx_table_elt_t>> {
    // SAFETY: the caller's.
    unsafe { header_lines_at(request, 0..usize::MAX) }
}

/// A header whose value is a number.
struct Number {
    name: &'static str,
    /// In `digits`.
    value: ngx_str_t,
    digits: itoa::Buffer,
}

/// Headers whose values are numbers, in the pool of the request whose response has them.
#[derive(Debug)]
pub(super) struct Numbers {
    first: *mut Number,
    count: usize,
    room: usize,
}

impl Numbers {
    /// Room for so many; `None` when memory is short.
    pub(super) fn new(request: NonNull<ngx_http_request_t>, room: usize) -> Option<Self> {
        // SAFETY: the request is live.
        let first = unsafe { ngx_palloc((*request.as_ptr()).pool, room * size_of::<Number>()) };
        (!first.is_null()).then_some(Self { first: first.cast(), count: 0, room })
    }

    /// Sets a header; with `replaces`, in place of the one that an earlier location of the request has added. `None` when memory
    /// is short, or there are more than there is room for.
    pub(super) fn set(
        &mut self,
        request: NonNull<ngx_http_request_t>,
        name: &'static str,
        number: u64,
        replaces: bool,
    ) -> Option<()> {
        if self.count == self.room {
            return None;
        }
        // SAFETY: there is room for one more in the pool of the request, which is live; nobody else has its headers now.
        unsafe {
            let place = self.first.add(self.count);
            let nothing = ngx_str_t::default();
            place.write(Number { name, value: nothing, digits: itoa::Buffer::new() });
            self.count += 1;
            let place = &mut *place;
            let digits = place.digits.format(number);
            place.value = ngx_str_t { len: digits.len(), data: digits.as_ptr().cast_mut() };
            if replaces {
                let mut lines = header_lines(request);
                let ours = lines.find(|line| std::ptr::eq(line.as_ref().key.data, name.as_ptr()));
                if let Some(mut line) = ours {
                    line.as_mut().value = place.value;
                    return Some(());
                }
            }
            add_line(request, name, place.value).map(|_| ())
        }
    }

    /// Adds the headers again to a response that was cleared; `None` when memory is short.
    pub(super) fn set_again(&self, request: NonNull<ngx_http_request_t>) -> Option<()> {
        // SAFETY: so many were written by `set`; the request is live.
        unsafe {
            for number in std::slice::from_raw_parts(self.first, self.count) {
                let is_it = |line: NonNull<ngx_table_elt_t>| {
                    std::ptr::eq(line.as_ref().value.data, number.value.data)
                };
                if !header_lines(request).any(is_it) {
                    add_line(request, number.name, number.value)?;
                }
            }
        }
        Some(())
    }
}

/// Adds a line to the response's headers; `None` when memory is short.
pub(super) fn add_header(
    request: NonNull<ngx_http_request_t>,
    name: &'static str,
    value: &[u8],
) -> Option<NonNull<ngx_table_elt_t>> {
    // SAFETY: the request is live; its pool outlives its headers.
    unsafe {
        let value = memory::copy((*request.as_ptr()).pool, value)?;
        let line = add_line(request, name, value)?;
        if name == "WWW-Authenticate" {
            // `satisfy any` takes the header back through this pointer.
            (*request.as_ptr()).headers_out.www_authenticate = line.as_ptr();
        }
        Some(line)
    }
}

/// The same with a value that is in the request's pool.
///
/// # Safety
/// The request is live, and the value lives as long.
unsafe fn add_line(
    request: NonNull<ngx_http_request_t>,
    name: &'static str,
    value: ngx_str_t,
) -> Option<NonNull<ngx_table_elt_t>> {
    let request = request.as_ptr();
    // SAFETY: the header list is initialised with the request.
    unsafe {
        let line = NonNull::new(
            ngx_list_push(&mut (*request).headers_out.headers).cast::<ngx_table_elt_t>(),
        )?;
        let nothing: ngx_table_elt_t = std::mem::zeroed();
        line.write(ngx_table_elt_t { hash: 1, key: memory::static_str(name), value, ..nothing });
        Some(line)
    }
}
