//! A request against the limits of its place: zones of this host under their mutexes, stores by asking and waiting.

use super::location::LimitLocation;
use super::zone::LimitZone;
use super::{Charged, Limits};
use crate::nginx::clock;
use crate::nginx::context::{self, Authenticated};
use crate::nginx::request::Request;
use crate::nginx::shared::ZoneGuard;
use crate::nginx::suspend::{self, Ticket};
use crate::rate_limit::fleet::{Answer, Demand, read_exact};
use crate::rate_limit::key::{FleetKey, Key, KeyFacts, KeyTemplate};
use crate::rate_limit::policy::{Charge, Counting, Spending, Verdict, check_and_charge};
use crate::rate_limit::table::Fingerprint;
use crate::rate_limit::{LimitPlan, OnError, RateLimitPlan, Sync};
use nginx_sys::ngx_int_t;
use smallvec::SmallVec;

/// What came of the limits.
pub(super) enum Judgement {
    /// The verdict says it.
    Known,
    /// A store is away without which nobody passes.
    StoreAway,
    /// A store is asked; the phase handler's status until it answers.
    Waits(ngx_int_t),
    /// Memory is short.
    Failed,
}

/// Who counts a limit for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    /// The zone on this host.
    Here,
    /// The zone on this host, by this host's share of the limit.
    Share,
    /// The store, which has not been asked yet.
    Store,
    /// Nobody any more: the store has answered, or passes go uncounted without it.
    Done,
}

/// One limit with the request's key.
#[derive(Clone, Copy, Debug)]
struct Item {
    position: usize,
    cost: u64,
    local: Fingerprint,
    fleet: Option<FleetKey>,
    counter: Counter,
}

impl Item {
    fn is_counted_here(&self) -> bool {
        matches!(self.counter, Counter::Here | Counter::Share)
    }
}

/// On the stack for as many limits as a place usually has.
type Few<T> = SmallVec<[T; 4]>;

/// A request that asks stores: what is known so far.
#[derive(Debug, Default)]
pub(super) struct Asking {
    items: Few<Item>,
    /// What the stores have said.
    verdict: Verdict,
    pub(super) question: Option<Question>,
}

impl Asking {
    /// Where the limits at some positions are that their store has not answered for yet.
    fn part(&self, positions: &[usize]) -> Few<usize> {
        let asked =
            |item: &Item| item.counter == Counter::Store && positions.contains(&item.position);
        let numbered = self.items.iter().enumerate();
        numbered.filter(|(_, item)| asked(item)).map(|(index, _)| index).collect()
    }

    fn change(&mut self, part: &[usize], mut change: impl FnMut(&mut Item)) {
        for index in part {
            if let Some(item) = self.items.get_mut(*index) {
                change(item);
            }
        }
    }
}

/// What a store was asked, and what it has answered.
#[derive(Debug)]
pub(super) struct Question {
    ticket: Ticket,
    answer: Option<Answer>,
}

impl Question {
    /// Takes the answer to the question of this number.
    pub(super) fn answer(&mut self, number: u64, answer: Answer) {
        if self.ticket.number() == number {
            self.answer = Some(answer);
        }
    }
}

/// The parts of a place's limits.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) plan: &'a RateLimitPlan,
    pub(super) location: &'a LimitLocation,
    pub(super) zones: &'a [LimitZone],
}

impl<'a> Place<'a> {
    fn limit(&self, item: &Item) -> Option<(&'a LimitPlan, &'a LimitZone)> {
        let limit = self.plan.limits.get(item.position)?;
        self.zones.get(limit.zone).map(|zone| (limit, zone))
    }

    /// Judges, or goes on with it when a store has answered. The verdict is in `verdict` once it is known.
    pub(super) fn judge(
        &self,
        request: Request<'_>,
        limits: &mut Limits,
        verdict: &mut Verdict,
    ) -> Judgement {
        verdict.clear();
        if let Some(asking) = limits.asking.take() {
            return self.proceed(request, limits, asking, verdict);
        }
        let mut items = self.items(request, &mut limits.charged);
        if items.is_empty() {
            return Judgement::Known;
        }
        if self.without_stores(&mut items) {
            return Judgement::StoreAway;
        }
        if items.iter().all(|item| item.counter != Counter::Store) {
            self.count_here(&items, Spending::Charge, verdict);
            return Judgement::Known;
        }
        if items.iter().any(Item::is_counted_here) {
            self.count_here(&items, Spending::Look, verdict);
            if verdict.is_refused() {
                self.count_here(&items, Spending::Charge, verdict);
                return Judgement::Known;
            }
        }
        let asking = Asking { items, ..Asking::default() };
        self.proceed(request, limits, Box::new(asking), verdict)
    }

    /// The limits that have not charged this request yet, each with its key.
    fn items(&self, request: Request<'_>, charged: &mut SmallVec<[Charged; 2]>) -> Few<Item> {
        // SAFETY: live; no other reference into the part of the context that is read here is held.
        let authenticated =
            unsafe { context::get(request.raw()) }.and_then(|it| it.authenticated.clone());
        let identity = authenticated.as_ref().and_then(|it| Some((it, it.identity?)));
        let consumer = identity.and_then(|(Authenticated { version, .. }, identity)| {
            version.consumer(identity.consumer()).map(|consumer| consumer.id())
        });
        let credential = identity.and_then(|(Authenticated { version, .. }, identity)| {
            version.credential(identity.credential()?).map(|credential| credential.id())
        });
        let mut facts = KeyFacts {
            consumer: consumer.as_deref().map(str::as_bytes),
            credential: credential.as_deref().map(str::as_bytes),
            address: request.client_address(),
            path: request.normalised_path(),
            variables: &[],
        };
        let mut items = Few::new();
        for (position, limit) in self.plan.limits.iter().enumerate() {
            let Some(zone) = self.zones.get(limit.zone) else { continue };
            let mark = Charged { zone: limit.zone, counter: limit.counter };
            // Limits of one place that share a counter are charged together, the larger cost once.
            let known = charged.contains(&mark);
            if known && !items.iter().any(|item| self.is_of(item, mark)) {
                continue;
            }
            if !known {
                charged.push(mark);
            }
            if matches!(limit.key, KeyTemplate::Variables(_)) {
                facts.variables = self.location.key(request, position);
            }
            let key = Key::of(&limit.key, &facts, &request);
            let store = zone.plan.store.as_ref();
            items.push(Item {
                position,
                cost: self.location.cost(request, position, limit),
                local: key.fingerprint(&limit.counter, zone.seed()),
                fleet: store.map(|_| key.fleet_name(&limit.counter)),
                counter: match store.map(|store| store.sync) {
                    Some(Sync::Exact) => Counter::Store,
                    _ => Counter::Here,
                },
            });
        }
        items
    }

    fn is_of(&self, item: &Item, mark: Charged) -> bool {
        self.plan
            .limits
            .get(item.position)
            .is_some_and(|limit| mark == Charged { zone: limit.zone, counter: limit.counter })
    }

    /// Turns to what `on_error` says where a store is known to be away; true when that is to refuse.
    fn without_stores(&self, items: &mut [Item]) -> bool {
        let mut refuses = false;
        for item in items {
            let Some((_, zone)) = self.limit(item) else { continue };
            let is_away = zone.plan.store.is_some()
                && zone.store.borrow().as_ref().is_none_or(|store| !store.is_up());
            if is_away {
                refuses |= self.without_store(item);
            }
        }
        refuses
    }

    /// The same for one limit whose store is away.
    fn without_store(&self, item: &mut Item) -> bool {
        let Some((limit, zone)) = self.limit(item) else { return false };
        let on_error = zone.plan.store.as_ref().map(|store| store.on_error).unwrap_or_default();
        item.counter = match on_error {
            OnError::Local => Counter::Share,
            OnError::Allow | OnError::Deny => Counter::Done,
        };
        on_error == OnError::Deny && !limit.dry_run
    }

    /// Checks, and perhaps charges, what is counted on this host.
    fn count_here(&self, items: &[Item], spending: Spending, verdict: &mut Verdict) {
        let mut numbers: Few<usize> = Few::new();
        let mut charges: Few<Charge<'_>> = Few::new();
        let mut counted: Few<Item> = Few::new();
        for item in items {
            let Some((limit, zone)) = self.limit(item) else { continue };
            let terms = match item.counter {
                Counter::Here => limit.terms(item.cost),
                Counter::Share => limit.local_terms(item.cost),
                Counter::Store | Counter::Done => continue,
            };
            let Some(table) = zone.table() else { continue };
            numbers.push(limit.zone);
            charges.push(Charge { table, key: item.local, terms });
            counted.push(*item);
        }
        numbers.sort_unstable();
        numbers.dedup();
        let zones = || numbers.iter().filter_map(|number| self.zones.get(*number));
        {
            // In the order of zones' numbers, as everywhere.
            let _held: Few<ZoneGuard> = zones().map(LimitZone::lock).collect();
            check_and_charge(&charges, spending, clock::cached_ms(), verdict);
        }
        if verdict.untracked() > 0 {
            zones().for_each(LimitZone::note_full);
        }
        if spending == Spending::Charge {
            self.record(&counted, verdict);
        }
    }

    /// Notes for the fleet what was charged on this host.
    fn record(&self, counted: &[Item], verdict: &Verdict) {
        for standing in verdict.standings() {
            let Some(item) = counted.get(standing.charge) else { continue };
            let (Some((limit, zone)), Some(fleet)) = (self.limit(item), item.fleet) else {
                continue;
            };
            let store = zone.store.borrow();
            if let Some(store) = store.as_ref().filter(|store| store.interval().is_some()) {
                store.record(fleet, item.local, limit.window, standing);
            }
        }
    }

    /// Takes in an answer, asks the next store, or ends.
    fn proceed(
        &self,
        request: Request<'_>,
        limits: &mut Limits,
        mut asking: Box<Asking>,
        verdict: &mut Verdict,
    ) -> Judgement {
        for (zone, positions) in &self.plan.exact {
            let part = asking.part(positions);
            if part.is_empty() {
                continue;
            }
            let items = part.iter().filter_map(|index| asking.items.get(*index));
            let demands: Few<_> = items.filter_map(|item| self.demand(item)).collect();
            if let Some(question) = &mut asking.question {
                let Some(answer) = question.answer.take() else {
                    // Nobody but the answer should have brought us here.
                    limits.asking = Some(asking);
                    return Judgement::Waits(suspend::suspend(request));
                };
                asking.question = None;
                if answer.is_ok_and(|numbers| read_exact(&numbers, &demands, verdict)) {
                    asking.verdict.absorb(verdict);
                    asking.change(&part, |item| item.counter = Counter::Done);
                    if asking.verdict.is_refused() {
                        break;
                    }
                    continue;
                }
            } else if let Some(zone) = self.zones.get(*zone) {
                let ticket = Ticket::new(request);
                if zone.ask(&demands, ticket.number()) {
                    asking.question = Some(Question { ticket, answer: None });
                    limits.asking = Some(asking);
                    return Judgement::Waits(suspend::suspend(request));
                }
            }
            let mut refuses = false;
            asking.change(&part, |item| refuses |= self.without_store(item));
            if refuses {
                return Judgement::StoreAway;
            }
        }
        self.conclude(&mut asking, verdict);
        Judgement::Known
    }

    fn demand(&self, item: &Item) -> Option<Demand<'a>> {
        let (limit, _) = self.limit(item)?;
        Some(Demand { key: item.fleet?, terms: limit.terms(item.cost) })
    }

    /// Charges on this host once the stores have spoken, and puts everything together.
    fn conclude(&self, asking: &mut Asking, verdict: &mut Verdict) {
        let is_refused = asking.verdict.is_refused();
        let counts = |item: &&Item| {
            let limit = self.plan.limits.get(item.position);
            !is_refused || limit.is_some_and(|limit| limit.counting == Counting::All)
        };
        let mut items = asking.items.iter().filter(|item| item.is_counted_here()).peekable();
        if items.peek().is_some() {
            let items: Few<Item> = items.filter(counts).copied().collect();
            self.count_here(&items, Spending::Charge, verdict);
        } else {
            verdict.clear();
        }
        verdict.absorb(&mut asking.verdict);
    }
}
