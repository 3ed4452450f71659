//! Whether the store is asked, or taken to be away.

use std::time::Duration;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// A circuit breaker. It opens on the first failure, because asking again costs no request anything: a probe in the background
/// does. Only an answer to a request closes it for good; until then each failure doubles the delay before the next probe, so that
/// a store that answers probes but no requests is asked less and less often.
///
/// Times are measured from any fixed moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    probe_at: Option<Duration>,
}

impl Breaker {
    /// A breaker that waits for its first probe, which is due at once.
    pub fn open() -> Self {
        Self { failures: 0, probe_at: Some(Duration::ZERO) }
    }

    /// Whether requests may ask the store.
    pub fn is_closed(&self) -> bool {
        self.probe_at.is_none()
    }

    /// How long until the next probe; `None` when the breaker is closed.
    pub fn until_probe(&self, now: Duration) -> Option<Duration> {
        self.probe_at.map(|at| at.saturating_sub(now))
    }

    /// A probe was answered: requests may try.
    pub fn probed(&mut self) {
        self.probe_at = None;
    }

    /// A request was answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A request or a probe was not answered. The first failure is probed at once.
    pub fn failed(&mut self, now: Duration) {
        let delay = match self.failures {
            0 => Duration::ZERO,
            number => MAX_DELAY.min(FIRST_DELAY * (1 << (number - 1).min(10))),
        };
        self.failures = self.failures.saturating_add(1);
        self.probe_at = Some(now + delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn it_opens_on_a_failure_and_probes_at_growing_intervals_of_at_most_a_second() {
        let mut breaker = Breaker::default();
        assert!(breaker.is_closed());
        for delay in [0, 100, 200, 400, 800, 1_000, 1_000] {
            breaker.failed(ms(5_000));
            assert!(!breaker.is_closed());
            assert_eq!(breaker.until_probe(ms(5_000)), Some(ms(delay)));
        }
        assert_eq!(breaker.until_probe(ms(5_400)), Some(ms(600)));
        assert_eq!(breaker.until_probe(ms(9_000)), Some(ms(0)));
        for _ in 0..100 {
            breaker.failed(ms(5_000));
        }
        assert_eq!(breaker.until_probe(ms(5_000)), Some(ms(1_000)));
    }

    #[test]
    fn a_probe_lets_requests_try_and_only_their_answers_shorten_the_delay() {
        let mut breaker = Breaker::default();
        breaker.failed(ms(0));
        breaker.failed(ms(0));
        breaker.probed();
        assert!(breaker.is_closed());
        breaker.failed(ms(0));
        assert_eq!(breaker.until_probe(ms(0)), Some(ms(200)));
        breaker.probed();
        breaker.succeeded();
        breaker.failed(ms(0));
        assert_eq!(breaker.until_probe(ms(0)), Some(ms(0)));
    }

    #[test]
    fn a_new_one_is_open_until_its_first_probe() {
        let mut breaker = Breaker::open();
        assert!(!breaker.is_closed());
        assert_eq!(breaker.until_probe(ms(7)), Some(ms(0)));
        breaker.probed();
        assert!(breaker.is_closed());
    }
}
