//! A safe view of a request.

use super::conf::LocationConf;
use super::memory;
use super::module::ngx_http_apigate_module;
use crate::request::{Header, RequestHead};
use nginx_sys::{
    ngx_http_complex_value_t, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_request_t,
    ngx_list_part_t, ngx_log_t, ngx_str_t, ngx_table_elt_t,
};
use std::ptr::NonNull;

/// A live request. Borrowed bytes are of its pool and valid while it lives.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    raw: NonNull<ngx_http_request_t>,
    life: std::marker::PhantomData<&'a ngx_http_request_t>,
}

impl<'a> Request<'a> {
    /// # Safety
    /// `raw` is live for `'a`.
    pub(super) unsafe fn new(raw: NonNull<ngx_http_request_t>) -> Self {
        Self { raw, life: std::marker::PhantomData }
    }

    /// nginx's own request, for calls of its functions.
    pub(super) fn raw(self) -> NonNull<ngx_http_request_t> {
        self.raw
    }

    fn get(self) -> &'a ngx_http_request_t {
        // SAFETY: `new`'s caller answers for the life.
        unsafe { self.raw.as_ref() }
    }

    fn bytes(self, text: ngx_str_t) -> &'a [u8] {
        // SAFETY: strings of a request lie in its pool or its connection's buffers, which outlive it.
        unsafe { memory::bytes(text) }
    }

    /// True for the client's own request, false for a subrequest.
    pub(super) fn is_main(self) -> bool {
        std::ptr::eq(self.get().main, self.raw.as_ptr())
    }

    /// The module's configuration of the location that the request is in.
    pub(super) fn conf(self) -> &'a LocationConf {
        // SAFETY: conf.rs makes one for every level, and configuration outlives requests.
        unsafe {
            &*(*self.get().loc_conf.add(ngx_http_apigate_module.ctx_index)).cast::<LocationConf>()
        }
    }

    /// nginx's own configuration of the location.
    pub(super) fn core_conf(self) -> &'a ngx_http_core_loc_conf_t {
        // SAFETY: the core module makes one for every level.
        unsafe {
            &*(*self.get().loc_conf.add(ngx_http_core_module.ctx_index))
                .cast::<ngx_http_core_loc_conf_t>()
        }
    }

    /// The connection's log, with the request in its lines.
    pub(super) fn log(self) -> *mut ngx_log_t {
        // SAFETY: a request has a connection for all its life.
        unsafe { (*self.get().connection).log }
    }

    /// A complex value's text; `None` when memory is short.
    pub(super) fn evaluate(self, value: &ngx_http_complex_value_t) -> Option<&'a [u8]> {
        let mut text = ngx_str_t::default();
        let value = std::ptr::from_ref(value).cast_mut();
        // SAFETY: both are live; nginx does not write through the value.
        let status =
            unsafe { nginx_sys::ngx_http_complex_value(self.raw.as_ptr(), value, &mut text) };
        (status == 0).then(|| self.bytes(text))
    }

    /// nginx's `$request_id` or another variable by name; empty when it is not found.
    pub(super) fn variable(self, name: &'static str) -> &'a [u8] {
        let mut text = memory::static_str(name);
        // SAFETY: the name is in lower case, the key its hash, as ngx_http_get_variable wants them.
        unsafe {
            let key = nginx_sys::ngx_hash_key(text.data, text.len);
            let value = nginx_sys::ngx_http_get_variable(self.raw.as_ptr(), &mut text, key);
            match value.as_ref() {
                Some(value) if value.not_found() == 0 && !value.data.is_null() => {
                    self.bytes(ngx_str_t { len: value.len() as usize, data: value.data })
                }
                _ => &[],
            }
        }
    }
}

impl RequestHead for Request<'_> {
    fn method(&self) -> &[u8] {
        self.bytes(self.get().method_name)
    }

    fn query(&self) -> &[u8] {
        self.bytes(self.get().args)
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        // SAFETY: the list is live with the request, and nobody changes it while the iterator borrows it.
        let lines = unsafe { lines(&self.get().headers_in.headers.part) };
        lines.map(|line| Header {
            hash: line.hash,
            // SAFETY: nginx's parsers set lowcase_key for every request header, of key's length.
            lowercase_name: unsafe {
                memory::bytes(ngx_str_t { len: line.key.len, data: line.lowcase_key })
            },
            value: self.bytes(line.value),
        })
    }
}

/// The lines of a header list.
///
/// # Safety
/// The list is live and not changed during `'a`.
pub(super) unsafe fn lines<'a>(
    first: &'a ngx_list_part_t,
) -> impl Iterator<Item = &'a ngx_table_elt_t> {
    let mut part = Some(first);
    std::iter::from_fn(move || {
        let current = part?;
        // SAFETY: parts are linked until null, as ngx_list_push makes them.
        part = unsafe { current.next.as_ref() };
        // SAFETY: a part has `nelts` elements at `elts`.
        Some(unsafe {
            match current.nelts {
                0 => &[],
                count => std::slice::from_raw_parts(current.elts.cast::<ngx_table_elt_t>(), count),
            }
        })
    })
    .flatten()
}
