//! Batch mode: a worker counts in the host's zone, and exchanges what it counted with the fleet now and then.
//!
//! **Overshoot.** A charge is in the store at most one interval and one round trip after it was made, and another worker that
//! charges the same counter knows of it one interval and one round trip later at most. A worker learns of a counter only while it
//! charges it; so the first charge of one that it has not exchanged within the interval is handed over at once, and what it lets
//! through before the answer is what comes in one round trip (and [`Batcher`]'s pace). So what passes beyond the limit is no more
//! than what the workers of the fleet let through for that key within two intervals and two round trips; and never more than
//! (hosts − 1) × limit, because the workers of one host share a zone.

use std::collections::HashMap;
use std::time::Duration;

use super::script::{Call, HexKey, Script};
use crate::rate_limit::key::FleetKey;
use crate::rate_limit::policy::Standing;
use crate::rate_limit::rate::Unit;
use crate::rate_limit::table::{Fingerprint, Table};
use crate::rate_limit::window::{Window, WindowKind};

/// The most counters in one call, so that none keeps Redis for long.
const MAX_CALL_COUNTERS: usize = 200;
/// The most counters that wait for a store that is away; what comes on top is counted on this host alone.
const MAX_WAITING_COUNTERS: usize = 200_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DeltaKey {
    key: FleetKey,
    unit: Unit,
    start_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Delta {
    local: Fingerprint,
    window: WindowKind,
    amount: u64,
}

/// How long after one hand-over the next may be for a counter's sake: new keys by the thousand must not make a call each.
const PACE_MS: u64 = 10;

/// What one worker has counted for one zone and not yet handed over.
#[derive(Debug)]
pub struct Batcher {
    waiting: HashMap<DeltaKey, Delta>,
    /// When a counter was handed over, for an interval.
    handed_over: HashMap<DeltaKey, u64>,
    interval_ms: u64,
    flushed_ms: u64,
    forgot_ms: u64,
    /// Whether a counter waits that was not handed over within the interval.
    is_urgent: bool,
}

/// The deltas of one call, kept until its answer is there.
#[derive(Debug)]
pub struct Parcel(Vec<(DeltaKey, Delta)>);

impl Batcher {
    /// For hand-overs once in an interval.
    pub fn new(interval: Duration) -> Self {
        Self {
            waiting: HashMap::new(),
            handed_over: HashMap::new(),
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            flushed_ms: 0,
            forgot_ms: 0,
            is_urgent: false,
        }
    }

    /// Whether the interval is over. A timer may come a little early.
    pub fn is_due(&self, now_ms: u64) -> bool {
        now_ms.abs_diff(self.flushed_ms) + 1 >= self.interval_ms
    }

    /// Whether a counter's total must be learnt before the interval is over.
    pub fn is_urgent(&self, now_ms: u64) -> bool {
        self.is_urgent && now_ms.abs_diff(self.flushed_ms) >= PACE_MS
    }

    /// Notes what a standing of a verdict spent.
    pub fn record(
        &mut self,
        key: FleetKey,
        local: Fingerprint,
        window: WindowKind,
        standing: &Standing,
        now_ms: u64,
    ) {
        if standing.added == 0 {
            return;
        }
        let start_ms = standing.count.window.start_ms;
        let key = DeltaKey { key, unit: standing.rate.unit, start_ms };
        let handed_over = self.handed_over.get(&key);
        self.is_urgent |= handed_over.is_none_or(|at| now_ms.abs_diff(*at) > self.interval_ms);
        self.add(key, Delta { local, window, amount: standing.added });
    }

    /// The calls that hand over everything, each with what is to be kept until its answer comes.
    pub fn flush(&mut self, zone: &str, now_ms: u64) -> Vec<(Call, Parcel)> {
        (self.flushed_ms, self.is_urgent) = (now_ms, false);
        if now_ms.abs_diff(self.forgot_ms) >= self.interval_ms {
            self.forgot_ms = now_ms;
            self.handed_over.retain(|_, at| now_ms.abs_diff(*at) <= self.interval_ms);
        }
        let deltas: Vec<_> = self.waiting.drain().collect();
        for (key, _) in &deltas {
            if self.handed_over.len() < MAX_WAITING_COUNTERS || self.handed_over.contains_key(key) {
                self.handed_over.insert(*key, now_ms);
            }
        }
        deltas
            .chunks(MAX_CALL_COUNTERS)
            .map(|part| (call(zone, part), Parcel(part.to_vec())))
            .collect()
    }

    /// Raises the zone's counters to what the fleet has counted; `false` when the answer has not the right shape.
    ///
    /// The caller holds the zone's mutex.
    #[must_use]
    pub fn apply(&self, table: &Table<'_>, parcel: &Parcel, numbers: &[i64], now_ms: u64) -> bool {
        let (totals, []) = numbers.as_chunks::<3>() else { return false };
        if totals.len() != parcel.0.len() {
            return false;
        }
        for ((key, delta), [start_s, current, previous]) in parcel.0.iter().zip(totals) {
            let number = |number: i64| u64::try_from(number).unwrap_or(0);
            let window = Window::at(key.unit, number(*start_s) * 1_000);
            let waiting = self.waiting.get(&DeltaKey { start_ms: window.start_ms, ..*key });
            let current = number(*current) + waiting.map_or(0, |delta| delta.amount);
            let (slot, mut count) = table.find(delta.local, key.unit, now_ms);
            if count.window != window {
                continue; // the window has passed here or has not come yet
            }
            let slot = slot.or_else(|| table.insert(delta.local, key.unit, now_ms));
            let Some(slot) = slot else { continue };
            count.current = count.current.max(current);
            count.previous = count.previous.max(number(*previous));
            table.write(slot, key.unit, delta.window, count);
        }
        true
    }

    /// Takes back what could not be handed over, but for windows whose counts nobody needs any more.
    pub fn restore(&mut self, parcel: Parcel, now_ms: u64) {
        for (key, delta) in parcel.0 {
            self.handed_over.remove(&key);
            let window = Window::at(key.unit, key.start_ms);
            if now_ms < window.next(key.unit).end_ms {
                self.add(key, delta);
            }
        }
    }

    fn add(&mut self, key: DeltaKey, delta: Delta) {
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.amount = waiting.amount.saturating_add(delta.amount);
            if delta.window == WindowKind::Sliding {
                waiting.window = WindowKind::Sliding;
            }
        } else if self.waiting.len() < MAX_WAITING_COUNTERS {
            self.waiting.insert(key, delta);
        }
    }
}

fn call(zone: &str, deltas: &[(DeltaKey, Delta)]) -> Call {
    let mut call = Call::default();
    let mut writer = Script::Batch.call(&mut call, deltas.len(), 4 * deltas.len());
    for (key, _) in deltas {
        writer.counter(zone, &HexKey::of(key.key), key.unit);
    }
    for (key, delta) in deltas {
        writer.word(key.unit.symbol().as_bytes());
        writer.number((delta.window == WindowKind::Sliding).into());
        writer.number(key.start_ms / 1_000);
        writer.number(delta.amount);
    }
    call
}
