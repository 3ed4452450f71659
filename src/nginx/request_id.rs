//! nginx's `$request_id`, from random bytes that are fetched for many requests at once.
//!
//! nginx asks OpenSSL's generator for each id, which takes longer than all else that an event is made of.

use super::memory;
use super::request::Request;
use crate::hex;
use nginx_sys::{
    NGX_ERROR, ngx_conf_t, ngx_http_get_variable_index, ngx_http_variable_value_t, ngx_int_t,
    ngx_pnalloc,
};
use std::cell::RefCell;

const NAME: &str = "request_id";
const RANDOM_BYTES: usize = 16;
const IDS_AT_ONCE: usize = 128;

/// Makes the ids of a worker's requests.
#[derive(Debug, Default)]
pub(super) struct RequestIds {
    /// The variable's; nginx would make a new id at every look at one that has none.
    index: Option<usize>,
    /// Bytes that no id has been made of.
    random: RefCell<Vec<[u8; RANDOM_BYTES]>>,
}

impl RequestIds {
    /// `None` when memory is short.
    ///
    /// # Safety
    /// Called in preconfiguration with nginx's cf.
    pub(super) unsafe fn new(cf: *mut ngx_conf_t) -> Option<Self> {
        let mut name = memory::static_str(NAME);
        // SAFETY: the caller's; the name is static.
        let index = unsafe { ngx_http_get_variable_index(cf, &mut name) };
        if index == NGX_ERROR as ngx_int_t {
            return None;
        }
        Some(Self { index: usize::try_from(index).ok(), random: RefCell::default() })
    }

    /// The request's id, the same as `$request_id` shows in the log.
    pub(super) fn id_of<'a>(&self, request: Request<'a>) -> &'a [u8] {
        self.own(request).unwrap_or_else(|| request.variable(NAME))
    }

    /// The id that the variable has or gets here; `None` where nginx must see to it.
    fn own<'a>(&self, request: Request<'a>) -> Option<&'a [u8]> {
        let raw = request.raw().as_ptr();
        // SAFETY: live; a request and its subrequests have one array with a value for every index.
        let value: &'a mut ngx_http_variable_value_t =
            unsafe { &mut *(*raw).variables.add(self.index?) };
        if value.valid() == 0 {
            // As nginx writes it.
            let digits = hex::digits(&self.next_random()?);
            let digits = digits.as_flattened();
            // SAFETY: the pool is live; the block has room for the digits.
            unsafe {
                let data = ngx_pnalloc((*raw).pool, digits.len()).cast::<u8>();
                if data.is_null() {
                    return None;
                }
                data.copy_from_nonoverlapping(digits.as_ptr(), digits.len());
                value.data = data;
            }
            value.set_len(digits.len() as _);
            value.set_valid(1);
            value.set_no_cacheable(0);
            value.set_not_found(0);
        }
        // SAFETY: a valid value has `len` bytes at `data`, in the request's pool.
        Some(unsafe { std::slice::from_raw_parts(value.data, value.len() as usize) })
    }

    /// Bytes of the kernel's generator that nobody else gets; `None` when it has none.
    fn next_random(&self) -> Option<[u8; RANDOM_BYTES]> {
        let mut random = self.random.borrow_mut();
        if random.is_empty() {
            let mut fetched = [[0; RANDOM_BYTES]; IDS_AT_ONCE];
            let size = size_of_val(&fetched);
            // SAFETY: the kernel writes at most `size` bytes into the array.
            let count =
                unsafe { libc::getrandom(fetched.as_mut_ptr().cast(), size, libc::GRND_NONBLOCK) };
            if usize::try_from(count) != Ok(size) {
                return None;
            }
            random.extend_from_slice(&fetched);
        }
        random.pop()
    }
}
