//! nginx's strings and pools.

use nginx_sys::{ngx_palloc, ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_t, ngx_str_t};
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// The bytes of a string of nginx; empty when it has none.
///
/// # Safety
/// `text` is a string of a live pool, and that pool outlives `'a`.
pub(super) unsafe fn bytes<'a>(text: ngx_str_t) -> &'a [u8] {
    if text.len == 0 || text.data.is_null() {
        return &[];
    }
    // SAFETY: nginx's strings have `len` bytes at `data`; the caller answers for their life.
    unsafe { std::slice::from_raw_parts(text.data, text.len) }
}

/// A string of nginx over static text.
pub(super) const fn static_str(text: &'static str) -> ngx_str_t {
    ngx_str_t { len: text.len(), data: text.as_ptr().cast_mut() }
}

/// A copy in the pool with a NUL behind it; `None` when memory is short.
///
/// The NUL is for nginx's functions that read on to it, such as ngx_http_upstream_copy_content_type.
///
/// # Safety
/// `pool` is live.
pub(super) unsafe fn copy(pool: *mut ngx_pool_t, text: &[u8]) -> Option<ngx_str_t> {
    // SAFETY: `pool` is live; the block has room for the text and the NUL.
    unsafe {
        let data = ngx_pnalloc(pool, text.len() + 1).cast::<u8>();
        if data.is_null() {
            return None;
        }
        ptr::copy_nonoverlapping(text.as_ptr(), data, text.len());
        data.add(text.len()).write(0);
        Some(ngx_str_t { len: text.len(), data })
    }
}

/// A value in the pool, dropped with it; `None` when memory is short.
///
/// # Safety
/// `pool` is live, and whoever uses the pointer does so while it is.
pub(super) unsafe fn place<T>(pool: *mut ngx_pool_t, value: T) -> Option<NonNull<T>> {
    // SAFETY: the caller's.
    unsafe { place_with(pool, || value) }
}

/// The same with a value that is made where it is to be.
///
/// # Safety
/// As [`place`].
#[inline]
pub(super) unsafe fn place_with<T>(
    pool: *mut ngx_pool_t,
    make: impl FnOnce() -> T,
) -> Option<NonNull<T>> {
    const { assert!(align_of::<T>() <= 16, "ngx_palloc aligns to 16 bytes") };
    // SAFETY: `pool` is live; the block is written before the cleanup that drops it is set.
    unsafe {
        let block = NonNull::new(ngx_palloc(pool, size_of::<T>().max(1)).cast::<T>())?;
        let cleanup = ngx_pool_cleanup_add(pool, 0);
        if cleanup.is_null() {
            return None;
        }
        block.write(make());
        (*cleanup).handler = Some(drop_in_pool::<T>);
        (*cleanup).data = block.as_ptr().cast();
        Some(block)
    }
}

/// The cleanup handler that [`place`] sets for a `T`; by it a value is found again in its pool.
pub(super) unsafe extern "C" fn drop_in_pool<T>(value: *mut c_void) {
    super::guard::guard("cleanup", (), || {
        // SAFETY: set by `place` alone, with a value that nobody else drops.
        unsafe { ptr::drop_in_place(value.cast::<T>()) }
    });
}
