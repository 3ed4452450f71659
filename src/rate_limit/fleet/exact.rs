//! Exact counting: one script call for everything that a request checks and charges in one store.

use super::script::{Call, HexKey, Script};
use crate::rate_limit::key::FleetKey;
use crate::rate_limit::policy::{Counting, Spending, Terms, Verdict};
use crate::rate_limit::window::{Count, Window, WindowKind};

/// One directive's demand on the store.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// What the verdict calls it; every demand has its own.
    pub number: usize,
    /// The zone's name.
    pub zone: &'a str,
    /// The counter.
    pub key: FleetKey,
    /// What is asked of it.
    pub terms: Terms<'a>,
}

/// Writes the call that checks and charges all demands of a request by the rules of
/// [`check_and_charge`](crate::rate_limit::policy::check_and_charge), with Redis's own clock.
pub fn write_exact(call: &mut Call, spending: Spending, demands: &[Demand<'_>]) {
    let counters = demands.iter().map(|demand| demand.terms.rates.len()).sum();
    let mut call = Script::Exact.call(call, counters, 1 + 5 * demands.len() + 2 * counters);
    for Demand { zone, key, terms, .. } in demands {
        let key = HexKey::of(*key);
        for rate in terms.rates {
            call.counter(zone, &key, rate.unit);
        }
    }
    call.number((spending == Spending::Refused).into());
    for Demand { terms, .. } in demands {
        call.number(terms.rates.len() as u64);
        call.number(terms.cost);
        call.number((terms.counting == Counting::All).into());
        call.number(terms.dry_run.into());
        call.number((terms.window == WindowKind::Sliding).into());
        for rate in terms.rates {
            call.number(rate.limit);
            call.word(rate.unit.symbol().as_bytes());
        }
    }
}

/// Reads the answer to the same call of [`write_exact`] into a verdict; `false` when it has not the right shape.
#[must_use]
pub fn read_exact(
    numbers: &[i64],
    spending: Spending,
    demands: &[Demand<'_>],
    verdict: &mut Verdict,
) -> bool {
    let units = demands.iter().flat_map(|demand| demand.terms.rates).map(|rate| rate.unit);
    let Some((now_ms, numbers)) = numbers.split_first() else { return false };
    let (states, []) = numbers.as_chunks::<4>() else { return false };
    if states.len() != units.clone().count() {
        return false;
    }
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let counts = units.zip(states).map(|(unit, [start_s, current, previous, passes])| {
        let window = Window::at(unit, number(*start_s) * 1_000);
        let count = Count { window, current: number(*current), previous: number(*previous) };
        (count, *passes == 1)
    });
    let demands = demands.iter().map(|it| (it.number, (it.zone, it.key), it.terms));
    verdict.from_store(demands, spending, counts, number(*now_ms));
    true
}
