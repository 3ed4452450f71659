//! The time, as nginx keeps it, and as AWS wants it.
#![allow(clippy::disallowed_methods, reason = "the clock is read here and passed on")]

use crate::aws::clock_skew::ClockSkew;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What AWS's clock is ahead of this host's; learnt from refused signatures.
static SKEW: ClockSkew = ClockSkew::new();

/// Milliseconds since 1970, from the system's clock. For helper threads; the event loop has [`cached_ms`].
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A clock that nobody sets, for timeouts.
pub(super) fn monotonic() -> Arc<dyn Fn() -> Duration + Send + Sync> {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

/// Milliseconds on a clock that nobody sets: for intervals, on helper threads.
pub(super) fn monotonic_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970, as of the event loop's last look at the clock.
pub(super) fn cached_ms() -> u64 {
    let now = nginx_sys::ngx_timeofday();
    let seconds = u64::try_from(now.sec).unwrap_or(0);
    seconds * 1_000 + now.msec as u64
}

/// Seconds since 1970, as of the event loop's last look at the clock.
pub(super) fn cached_s() -> u64 {
    u64::try_from(nginx_sys::ngx_time()).unwrap_or(0)
}

/// Seconds since 1970 by AWS's clock, for signatures.
pub(super) fn aws_s() -> u64 {
    SKEW.corrected(cached_s())
}

/// Learns from the `Date` of a reply that refused a signature for its time; the new difference in seconds, if it is news.
pub(super) fn observe_skew(date: &str) -> Option<i64> {
    SKEW.observe(date, cached_s())
}
