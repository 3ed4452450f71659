//! The difference between this host's clock and AWS's.

use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// A smaller difference than this is the network's, or rounding; AWS allows five minutes.
const MIN_SKEW_S: i64 = 30;

/// What to add to the host's time before it is signed. Shared by threads; zero until AWS has refused a signature for its date.
#[derive(Debug, Default)]
pub struct ClockSkew(AtomicI64);

impl ClockSkew {
    /// No difference known.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Takes the `Date` header of a reply that refused a signature for its time. The new difference in seconds when it is
    /// worth a retry and a line in the log; `None` when it explains nothing or is in force already.
    pub fn observe(&self, date: &str, now_unix_s: u64) -> Option<i64> {
        let theirs = OffsetDateTime::parse(date.trim(), &Rfc2822).ok()?.unix_timestamp();
        let skew_s = theirs.checked_sub(i64::try_from(now_unix_s).ok()?)?;
        let skew_s = if skew_s.abs() < MIN_SKEW_S { 0 } else { skew_s };
        let known_s = self.0.load(Ordering::Relaxed);
        if known_s.abs_diff(skew_s) < MIN_SKEW_S.unsigned_abs() {
            return None;
        }
        self.0.store(skew_s, Ordering::Relaxed);
        Some(skew_s)
    }

    /// The time to sign with.
    pub fn corrected(&self, now_unix_s: u64) -> u64 {
        now_unix_s.saturating_add_signed(self.0.load(Ordering::Relaxed))
    }

    /// The difference in force, in seconds.
    pub fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Mon, 23 Nov 2026 10:00:00 GMT`
    const TEN_UNIX_S: u64 = 1_795_428_000;
    const TEN: &str = "Mon, 23 Nov 2026 10:00:00 GMT";

    #[test]
    fn the_date_of_a_refusal_corrects_the_clock_once() {
        let skew = ClockSkew::new();
        assert_eq!(skew.corrected(TEN_UNIX_S), TEN_UNIX_S);
        assert_eq!(skew.observe(TEN, TEN_UNIX_S - 900), Some(900));
        assert_eq!(skew.corrected(TEN_UNIX_S - 900), TEN_UNIX_S);
        assert_eq!(skew.observe(TEN, TEN_UNIX_S - 901), None);
        assert_eq!(skew.observe(TEN, TEN_UNIX_S + 600), Some(-600));
        assert_eq!(skew.corrected(TEN_UNIX_S + 600), TEN_UNIX_S);
        // the host's clock has been set right
        assert_eq!(skew.observe(TEN, TEN_UNIX_S + 2), Some(0));
        assert_eq!(skew.seconds(), 0);
    }

    #[test]
    fn a_small_difference_or_an_unreadable_date_explains_nothing() {
        for (date, now_unix_s) in [
            (TEN, TEN_UNIX_S + 29),
            (TEN, TEN_UNIX_S),
            ("", TEN_UNIX_S - 900),
            ("yesterday", TEN_UNIX_S - 900),
            (TEN, u64::MAX),
        ] {
            assert_eq!(ClockSkew::new().observe(date, now_unix_s), None, "{date} {now_unix_s}");
        }
    }
}
