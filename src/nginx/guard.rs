//! Callbacks: a panic stops at nginx's border.

use super::log;
use nginx_sys::ngx_http_request_t;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// The callback's result, or `fallback` after a panic, which is logged at `alert`.
///
/// A panic that left an `extern "C"` function would abort the worker and every connection in it.
pub(super) fn guard<T>(what: &str, fallback: T, callback: impl FnOnce() -> T) -> T {
    let callback = || {
        #[cfg(feature = "fault-injection")]
        super::fault::strike(what);
        callback()
    };
    catch_unwind(AssertUnwindSafe(callback)).unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        log::process(log::Level::Alert, format_args!("panicked in {what}: {reason}"));
        // The payload's own drop must not panic across the border either.
        std::mem::forget(panic);
        fallback
    })
}

/// The same for a callback that gets a request, which is never null.
pub(super) fn guard_request<T>(
    what: &str,
    request: *mut ngx_http_request_t,
    fallback: T,
    callback: impl FnOnce(NonNull<ngx_http_request_t>) -> T,
) -> T {
    match NonNull::new(request) {
        Some(request) => guard(what, fallback, || callback(request)),
        None => fallback,
    }
}
