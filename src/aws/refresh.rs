//! When to fetch credentials next: times only, no clock.
//!
//! Temporary credentials are renewed when 10 to 20 % of their life is left, spread so that hosts do not ask at once. What
//! there is serves until its very end when the source is away.

/// How soon a fetch follows another, whatever the lifetime.
const MIN_INTERVAL_MS: u64 = 1_000;
/// Credentials that do not expire are looked at again after this: a key file or a profile may have changed.
const RECHECK_MS: u64 = 300_000;
/// A source that gave the same credentials again is asked again after this: the metadata service renews them minutes before
/// their end, not when it is asked.
const UNCHANGED_MS: u64 = 60_000;
/// How soon a fetch that requests ask for follows another. Less than requests wait: what is revoked right after it was fetched
/// fails none of them.
const FORCED_SPACING_MS: u64 = 1_000;
const FIRST_BACKOFF_MS: u64 = 1_000;
const MAX_BACKOFF_MS: u64 = 30_000;

/// The time of the next fetch of one source. All times are milliseconds since 1970; `random` is any number, each time another.
#[derive(Clone, Debug)]
pub struct Schedule {
    due_ms: u64,
    last_attempt_ms: Option<u64>,
    failures: u32,
}

impl Schedule {
    /// Due at once: there are no credentials yet.
    pub fn new() -> Self {
        Self { due_ms: 0, last_attempt_ms: None, failures: 0 }
    }

    /// Of credentials that another process fetched: due when it would have been for that one. Those that do not expire are
    /// due at once.
    pub fn resumed(fetched_ms: u64, expires_ms: Option<u64>, random: u64) -> Self {
        let due_ms = expires_ms.map_or(0, |expires| ahead_of(expires, fetched_ms, random));
        Self { due_ms, last_attempt_ms: Some(fetched_ms), failures: 0 }
    }

    /// When the next fetch is due.
    pub fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// Fetches that failed one after another.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A fetch gave credentials with this end; `unchanged` when they are those it gave before.
    pub fn succeeded(
        &mut self,
        now_ms: u64,
        expires_ms: Option<u64>,
        unchanged: bool,
        random: u64,
    ) {
        self.failures = 0;
        self.last_attempt_ms = Some(now_ms);
        let due_ms = match expires_ms {
            None => now_ms + between(RECHECK_MS, 900, 1_100, random),
            Some(expires) => ahead_of(expires, now_ms, random),
        };
        let latest = if unchanged && expires_ms.is_some() {
            now_ms + between(UNCHANGED_MS, 1_000, 2_000, random)
        } else {
            u64::MAX
        };
        self.due_ms = due_ms.min(latest).max(now_ms + MIN_INTERVAL_MS);
    }

    /// A fetch failed: due again after 1, 2, 4 ... 30 s, a quarter more or less.
    pub fn failed(&mut self, now_ms: u64, random: u64) {
        let doublings = self.failures.min(16);
        let wait_ms = (FIRST_BACKOFF_MS << doublings).min(MAX_BACKOFF_MS);
        self.failures = self.failures.saturating_add(1);
        self.last_attempt_ms = Some(now_ms);
        self.due_ms = now_ms + between(wait_ms, 750, 1_250, random);
    }

    /// Requests want other credentials: due now, or as soon as the last attempt is old enough. Asked often, still one fetch.
    pub fn force(&mut self, now_ms: u64) {
        let earliest = self.last_attempt_ms.map_or(0, |last| last + FORCED_SPACING_MS);
        self.due_ms = self.due_ms.min(earliest.max(now_ms));
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new()
    }
}

/// When 10 to 20 % of the life are left.
fn ahead_of(expires_ms: u64, fetched_ms: u64, random: u64) -> u64 {
    expires_ms - between(expires_ms.saturating_sub(fetched_ms), 100, 200, random)
}

/// A part of `value` between two numbers of thousandths.
fn between(value: u64, low_permille: u64, high_permille: u64, random: u64) -> u64 {
    let permille = low_permille + random % (high_permille - low_permille + 1);
    value / 1_000 * permille + value % 1_000 * permille / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_428_000_000;
    const HOUR_MS: u64 = 3_600_000;

    /// The earliest and the latest due time over every random number.
    fn range(schedule: impl Fn(u64) -> Schedule) -> (u64, u64) {
        let due: Vec<u64> = (0..2_000).map(|random| schedule(random).due_ms()).collect();
        (*due.iter().min().unwrap(), *due.iter().max().unwrap())
    }

    fn after_success(expires_ms: Option<u64>, unchanged: bool) -> (u64, u64) {
        range(|random| {
            let mut schedule = Schedule::new();
            schedule.succeeded(NOW_MS, expires_ms, unchanged, random);
            schedule
        })
    }

    #[test]
    fn the_first_fetch_is_due_at_once() {
        assert_eq!(Schedule::new().due_ms(), 0);
    }

    #[test]
    fn credentials_are_renewed_with_10_to_20_percent_of_their_life_left() {
        assert_eq!(
            after_success(Some(NOW_MS + HOUR_MS), false),
            (NOW_MS + 2_880_000, NOW_MS + 3_240_000)
        );
        assert_eq!(after_success(Some(NOW_MS + 10_000), false), (NOW_MS + 8_000, NOW_MS + 9_000));
        // never a tight loop, not even for credentials that are nearly over
        assert_eq!(after_success(Some(NOW_MS + 500), false), (NOW_MS + 1_000, NOW_MS + 1_000));
        assert_eq!(after_success(Some(NOW_MS), false), (NOW_MS + 1_000, NOW_MS + 1_000));
    }

    #[test]
    fn a_source_that_has_nothing_new_yet_is_asked_again_soon() {
        assert_eq!(
            after_success(Some(NOW_MS + HOUR_MS), true),
            (NOW_MS + 60_000, NOW_MS + 120_000)
        );
        assert_eq!(after_success(Some(NOW_MS + 10_000), true), (NOW_MS + 8_000, NOW_MS + 9_000));
    }

    #[test]
    fn credentials_without_an_end_are_looked_at_again_every_five_minutes() {
        for unchanged in [false, true] {
            assert_eq!(after_success(None, unchanged), (NOW_MS + 270_000, NOW_MS + 330_000));
        }
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_half_a_minute() {
        let mut expected_s = [1, 2, 4, 8, 16, 30, 30, 30].into_iter();
        for failures in 0..8 {
            let (low, high) = range(|random| {
                let mut schedule = Schedule { failures, ..Schedule::new() };
                schedule.failed(NOW_MS, random);
                schedule
            });
            let wait_ms = expected_s.next().unwrap() * 1_000;
            assert_eq!((low - NOW_MS, high - NOW_MS), (wait_ms * 3 / 4, wait_ms * 5 / 4));
        }
        let mut schedule = Schedule { failures: u32::MAX, ..Schedule::new() };
        schedule.failed(NOW_MS, 0);
        schedule.succeeded(NOW_MS, None, false, 0);
        assert_eq!(schedule.failures(), 0);
    }

    #[test]
    fn forced_fetches_keep_their_distance_and_delay_nothing() {
        let mut schedule = Schedule::new();
        schedule.succeeded(NOW_MS, Some(NOW_MS + HOUR_MS), false, 0);
        schedule.force(NOW_MS + 300);
        assert_eq!(schedule.due_ms(), NOW_MS + 1_000);
        schedule.force(NOW_MS + 600);
        assert_eq!(schedule.due_ms(), NOW_MS + 1_000);
        schedule.succeeded(NOW_MS, Some(NOW_MS + HOUR_MS), false, 0);
        schedule.force(NOW_MS + 60_000);
        assert_eq!(schedule.due_ms(), NOW_MS + 60_000);
        schedule.failed(NOW_MS + 60_000, 250);
        let retry = schedule.due_ms();
        schedule.force(NOW_MS + 60_100);
        assert_eq!(schedule.due_ms(), retry);
    }

    #[test]
    fn another_processs_credentials_are_renewed_when_it_would_have() {
        let (low, high) = range(|random| Schedule::resumed(NOW_MS, Some(NOW_MS + HOUR_MS), random));
        assert_eq!((low, high), (NOW_MS + 2_880_000, NOW_MS + 3_240_000));
        assert_eq!(Schedule::resumed(NOW_MS, None, 7).due_ms(), 0);
    }
}
