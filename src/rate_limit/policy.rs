//! Checks everything that a request would spend, then charges all of it or nothing.

use std::ops::Range;

use super::rate::{Rate, Unit};
use super::table::{Fingerprint, Slot, Table};
use super::window::{Count, WindowKind};

/// Which requests spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Counting {
    /// Those that are allowed.
    #[default]
    Allowed,
    /// All, whoever refuses them.
    All,
}

/// How one directive wants a request counted.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// At most one of each unit.
    pub rates: &'a [Rate],
    /// How they look back.
    pub window: WindowKind,
    /// What the request spends; 0 passes always.
    pub cost: u64,
    /// Whether it spends when it is refused.
    pub counting: Counting,
    /// Whether it is only watched.
    pub dry_run: bool,
}

/// One directive's demand on a table.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// What the verdict calls it, such as the position of the limit in its plan; every demand has its own.
    pub number: usize,
    /// Where its counters are; the caller holds the mutex of this zone.
    pub table: Table<'a>,
    /// The key.
    pub key: Fingerprint,
    /// What is asked of it.
    pub terms: Terms<'a>,
}

/// Which of the terms hold when a request is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// All of them.
    Charge,
    /// Those of a request that is refused elsewhere: only demands with [`Counting::All`] spend.
    Refused,
}

/// How one rate of a directive stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The number of the demand.
    pub charge: usize,
    /// The rate.
    pub rate: Rate,
    /// What is left of it.
    pub remaining: u64,
    /// Milliseconds until its window ends, or until such a request would pass when it slides.
    pub reset_ms: u64,
    /// Whether the request fitted in.
    pub passes: bool,
    /// Whether the directive is only watched.
    pub dry_run: bool,
    /// What the request spends here.
    pub spent: u64,
    /// What of it was added to the counter now; less than `spent` where another directive shares the counter.
    pub added: u64,
    /// The counter's state, with `spent` in it.
    pub count: Count,
    slot: Option<Slot>,
}

impl Standing {
    /// How a rate whose counter's state is known stands before the request.
    fn before(
        charge: usize,
        terms: &Terms<'_>,
        rate: Rate,
        count: Count,
        slot: Option<Slot>,
        now_ms: u64,
    ) -> Self {
        let now_ms = now_ms.max(count.window.start_ms);
        let remaining = count.remaining(terms.window, rate.limit, now_ms);
        Self {
            charge,
            rate,
            remaining,
            reset_ms: 0,
            passes: terms.cost <= remaining,
            dry_run: terms.dry_run,
            spent: 0,
            added: 0,
            count,
            slot,
        }
    }

    fn reset_s(&self) -> u64 {
        self.reset_ms.div_ceil(1_000)
    }
}

/// What came of a request; kept by the caller and used again, so that nothing is allocated for each.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    standings: Vec<Standing>,
    refused: bool,
    would_refuse: bool,
    untracked: u64,
    /// The units of all rates but `dry_run` ones, a bit each.
    units: u8,
}

impl Verdict {
    /// How every rate stands, in the order of the demands.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// Whether a directive that is not a `dry_run` refuses.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Whether a `dry_run` directive would refuse.
    pub fn would_refuse(&self) -> bool {
        self.would_refuse
    }

    /// Counters that a full table had no room for; the request went by them.
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// The rate with least remaining, the longer window on a tie; `dry_run` ones are left out.
    pub fn tightest(&self) -> Option<&Standing> {
        let enforced = self.standings.iter().filter(|standing| !standing.dry_run);
        enforced.min_by_key(|standing| (standing.remaining, std::cmp::Reverse(standing.rate.unit)))
    }

    /// Of the rates with one unit, the one with least remaining; `dry_run` ones are left out.
    pub fn of_unit(&self, unit: Unit) -> Option<&Standing> {
        if self.units & unit_bit(unit) == 0 {
            return None;
        }
        let enforced = self.standings.iter().filter(|standing| !standing.dry_run);
        enforced
            .filter(|standing| standing.rate.unit == unit)
            .min_by_key(|standing| standing.remaining)
    }

    /// How many units there are for [`of_unit`](Self::of_unit).
    pub fn unit_count(&self) -> usize {
        self.units.count_ones() as usize
    }

    /// Seconds until a refused request is worth another try, at least 1; `None` when it is not refused.
    pub fn retry_after_s(&self) -> Option<u64> {
        if !self.refused {
            return None;
        }
        let refusing =
            self.standings.iter().filter(|standing| !standing.passes && !standing.dry_run);
        Some(refusing.map(Standing::reset_s).max().unwrap_or(0).max(1))
    }

    /// Seconds for `RateLimit-Reset`.
    pub fn reset_s(standing: &Standing) -> u64 {
        standing.reset_s()
    }

    /// Takes over what another store has said of the same request; demands keep the numbers they have there.
    pub fn absorb(&mut self, other: &mut Self) {
        if self.standings.is_empty() {
            // The memory goes to and fro between the two, and nothing is allocated.
            std::mem::swap(self, other);
            return;
        }
        self.standings.extend_from_slice(&other.standings);
        self.refused |= other.refused;
        self.would_refuse |= other.would_refuse;
        self.untracked += other.untracked;
        self.units |= other.units;
    }

    /// Forgets everything, for the next request.
    pub fn clear(&mut self) {
        self.standings.clear();
        (self.refused, self.would_refuse, self.untracked, self.units) = (false, false, 0, 0);
    }

    /// Adds how a rate stood before the request.
    fn push(&mut self, standing: Standing) {
        let fails = !standing.passes;
        self.refused |= fails && !standing.dry_run;
        self.would_refuse |= fails && standing.dry_run;
        self.units |= if standing.dry_run { 0 } else { unit_bit(standing.rate.unit) };
        self.standings.push(standing);
    }

    /// Whether a demand spends, once every rate is there; its own have these indexes.
    fn spends(&self, own: Range<usize>, terms: &Terms<'_>, spending: Spending) -> bool {
        if terms.cost == 0 {
            return false;
        }
        let own = self.standings.get(own).unwrap_or_default();
        match (terms.counting, spending) {
            (Counting::All, _) => true,
            (Counting::Allowed, Spending::Refused) => false,
            (Counting::Allowed, Spending::Charge) => {
                !self.refused && own.iter().all(|standing| standing.passes)
            }
        }
    }

    /// Adds a demand's cost to one of its rates, once for a counter that an earlier demand shares, and tells all who share it;
    /// those of the demand begin at `first`. The rate, as it stands then.
    fn settle(
        &mut self,
        first: usize,
        index: usize,
        cost: u64,
        is_same: impl Fn(usize) -> bool,
    ) -> Option<&Standing> {
        let (earlier, own) = self.standings.split_at_mut_checked(first)?;
        let standing = own.get_mut(index.checked_sub(first)?)?;
        let unit = standing.rate.unit;
        let shared = earlier
            .iter()
            .rev()
            .find(|other| other.spent > 0 && other.rate.unit == unit && is_same(other.charge));
        let already = shared.map_or(0, |other| {
            standing.count = other.count;
            other.spent
        });
        let added = cost.saturating_sub(already);
        (standing.spent, standing.added) = (already + added, added);
        standing.count.current = standing.count.current.saturating_add(added);
        let count = standing.count;
        for (position, other) in self.standings.iter_mut().enumerate() {
            if position != index && other.rate.unit == unit && is_same(other.charge) {
                other.count = count;
            }
        }
        self.standings.get(index)
    }

    /// Brings remaining and reset of a demand's rates up to date with what was spent.
    fn finish(&mut self, own: Range<usize>, terms: &Terms<'_>, now_ms: u64) {
        for standing in self.standings.get_mut(own).unwrap_or_default() {
            let now_ms = now_ms.max(standing.count.window.start_ms);
            let Rate { limit, unit } = standing.rate;
            standing.remaining = standing.count.remaining(terms.window, limit, now_ms);
            standing.reset_ms =
                standing.count.reset_ms(terms.window, limit, terms.cost, unit, now_ms);
        }
    }

    /// The verdict on counters that another store has judged and charged by the same rules, `spending` included.
    ///
    /// `demands` are numbers, keys and terms; `counts` has the state of every rate, in their order, before the request, and
    /// whether the request fitted in.
    pub fn from_store<'a, K: PartialEq>(
        &mut self,
        demands: impl Iterator<Item = (usize, K, Terms<'a>)> + Clone,
        spending: Spending,
        counts: impl IntoIterator<Item = (Count, bool)>,
        now_ms: u64,
    ) {
        self.clear();
        let mut counts = counts.into_iter();
        for (number, _, terms) in demands.clone() {
            for (rate, (count, passes)) in terms.rates.iter().zip(&mut counts) {
                let standing = Standing::before(number, &terms, *rate, count, None, now_ms);
                self.push(Standing { passes, ..standing });
            }
        }
        for ((_, key, terms), own) in indexed(demands.clone(), |(_, _, terms)| terms.rates.len()) {
            if self.spends(own.clone(), &terms, spending) {
                let is_same =
                    |other| demands.clone().any(|(number, it, _)| number == other && it == key);
                for index in own.clone() {
                    self.settle(own.start, index, terms.cost, is_same);
                }
            }
        }
        for ((_, _, terms), own) in indexed(demands, |(_, _, terms)| terms.rates.len()) {
            self.finish(own, &terms, now_ms);
        }
    }
}

fn unit_bit(unit: Unit) -> u8 {
    1 << unit as u8
}

/// Checks every rate of every demand, then charges all that is to be charged.
///
/// The caller holds the mutexes of all tables, in one order everywhere. A request that is refused spends nothing, but for
/// demands with [`Counting::All`]; a `dry_run` demand spends what it would spend if it were not one, and refuses nobody. A
/// counter that two demands share is charged once, with the larger cost. A key that a full table cannot take passes.
pub fn check_and_charge(
    charges: &[Charge<'_>],
    spending: Spending,
    now_ms: u64,
    verdict: &mut Verdict,
) {
    verdict.clear();
    for charge in charges {
        for rate in charge.terms.rates {
            let (slot, count) = charge.table.find(charge.key, rate.unit, now_ms);
            verdict.push(Standing::before(
                charge.number,
                &charge.terms,
                *rate,
                count,
                slot,
                now_ms,
            ));
        }
    }
    // Known counters first: an insertion may move them.
    spend(charges, spending, true, now_ms, verdict);
    if verdict.standings.iter().any(|standing| standing.slot.is_none()) {
        spend(charges, spending, false, now_ms, verdict);
    }
    for (charge, own) in indexed(charges.iter(), |charge| charge.terms.rates.len()) {
        verdict.finish(own, &charge.terms, now_ms);
    }
}

/// Demands, each with the indexes that its rates have among the standings.
fn indexed<D>(
    demands: impl Iterator<Item = D>,
    rates: impl Fn(&D) -> usize,
) -> impl Iterator<Item = (D, Range<usize>)> {
    demands.scan(0, move |first, demand| {
        let own = *first..*first + rates(&demand);
        *first = own.end;
        Some((demand, own))
    })
}

/// Charges the counters that were known, or those that were not.
fn spend(
    charges: &[Charge<'_>],
    spending: Spending,
    known: bool,
    now_ms: u64,
    verdict: &mut Verdict,
) {
    for (charge, own) in indexed(charges.iter(), |charge| charge.terms.rates.len()) {
        let Charge { table, key, terms, .. } = charge;
        if !verdict.spends(own.clone(), terms, spending) {
            continue;
        }
        for index in own.clone() {
            let before = verdict.standings.get(index).map(|standing| standing.slot);
            let Some(slot) = before.filter(|slot| slot.is_some() == known) else { continue };
            let is_same = |other| is_same(charges, other, charge);
            let Some(standing) = verdict.settle(own.start, index, terms.cost, is_same) else {
                continue;
            };
            let unit = standing.rate.unit;
            let slot = slot.or_else(|| {
                table.find(*key, unit, now_ms).0.or_else(|| table.insert(*key, unit, now_ms))
            });
            match slot {
                Some(slot) => table.write(slot, unit, terms.window, standing.count),
                None => verdict.untracked += 1,
            }
        }
    }
}

/// Takes back what a verdict's demands have added, because somebody else refuses the request after all: never below zero, and
/// only in the window that it was added in. `counter` says where a demand counts, by the number it has in the verdict.
///
/// The caller holds the mutexes of all tables.
pub fn give_back<'a>(
    verdict: &Verdict,
    counter: impl Fn(usize) -> Option<(Table<'a>, Fingerprint)>,
    now_ms: u64,
) {
    for standing in verdict.standings.iter().filter(|standing| standing.added > 0) {
        let Some((table, key)) = counter(standing.charge) else { continue };
        let unit = standing.rate.unit;
        let (slot, mut count) = table.find(key, unit, now_ms);
        if let Some(slot) = slot.filter(|_| count.window == standing.count.window) {
            count.current = count.current.saturating_sub(standing.added);
            // A counter that slides keeps the lifetime that it has.
            table.write(slot, unit, WindowKind::Fixed, count);
        }
    }
}

/// Whether the demand of this number counts where another one does.
fn is_same(charges: &[Charge<'_>], number: usize, charge: &Charge<'_>) -> bool {
    let mut others = charges.iter().filter(|other| other.number == number);
    others.any(|other| other.key == charge.key && other.table.is_same(&charge.table))
}

#[cfg(test)]
mod tests;
