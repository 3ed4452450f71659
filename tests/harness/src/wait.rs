//! Waiting for a condition instead of for a length of time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// How long a test waits for what should happen at once. Long enough for a busy machine, since only
/// a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What [`slow_down`] was told; 0 before.
static SLOWNESS: AtomicU32 = AtomicU32::new(0);

/// Nanoseconds on the machine's monotonic clock, which other processes can read too.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// As `APIGATE_SLOWNESS`, for a test program that runs nginx under a checker itself.
pub fn slow_down(factor: u32) {
    SLOWNESS.store(factor, Ordering::Relaxed);
}

/// `patience` times `APIGATE_SLOWNESS`, an integer that is set where nginx runs under a checker.
pub fn scaled(patience: Duration) -> Duration {
    let slowness = std::env::var("APIGATE_SLOWNESS").ok().and_then(|text| text.parse().ok());
    patience * slowness.unwrap_or(1).max(SLOWNESS.load(Ordering::Relaxed))
}

/// The condition's value as soon as it has one; an error that names `what` after `patience`.
pub fn until<T>(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> Outcome<T> {
    let deadline = Instant::now() + scaled(patience);
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited {patience:?} in vain for {what}").into());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_ends_the_wait_with_its_value() {
        let mut asked = 0;
        let value = until(PATIENCE, "the third time", || {
            asked += 1;
            (asked == 3).then_some("there")
        });
        assert_eq!(value.unwrap(), "there");
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_condition_that_stays_false_is_named() {
        let error = until(Duration::ZERO, "rain", || None::<()>).unwrap_err();
        assert!(error.to_string().ends_with("in vain for rain"), "{error}");
    }
}
