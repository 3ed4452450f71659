//! A request against the limits of its place: zones of this host under their mutexes, the store by asking and waiting.
//!
//! What this host counts is charged before the store is asked and given back when the store refuses. All that the store counts,
//! of whatever zones, is one question.

use super::location::LimitLocation;
use super::store::Store;
use super::zone::LimitZone;
use super::{Charged, Judging};
use crate::consumers::Id;
use crate::nginx::clock;
use crate::nginx::context::{self, Authenticated};
use crate::nginx::request::Request;
use crate::nginx::shared::ZoneGuard;
use crate::nginx::suspend::{self, Ticket};
use crate::rate_limit::fleet::{Answer, Demand, read_exact};
use crate::rate_limit::key::{FleetKey, Key, KeyFacts, KeyTemplate};
use crate::rate_limit::policy::{Charge, Spending, Verdict, check_and_charge, give_back};
use crate::rate_limit::table::Fingerprint;
use crate::rate_limit::{LimitPlan, OnError, RateLimitPlan, Sync};
use nginx_sys::ngx_int_t;
use smallvec::SmallVec;
use std::fmt;

/// What came of the limits.
pub(super) enum Judgement {
    /// The verdict says it.
    Known,
    /// A store is away without which nobody passes; the verdict says how the other limits stand.
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
    /// The store.
    Store,
    /// Nobody: without the store, requests go uncounted.
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

/// On the stack for as many limits as a place usually has.
type Few<T> = SmallVec<[T; 4]>;

/// A request that asks the store: what is known so far.
///
/// A request that goes before it is told is as one that the store refuses: what was charged for it here is given back.
#[derive(Debug)]
pub(super) struct Asking {
    place: Place<'static>,
    items: Few<Item>,
    /// What the zones of this host have said, and charged.
    here: Verdict,
    /// Whether a store is away without which nobody passes.
    is_denied: bool,
    pub(super) question: Option<Question>,
}

impl Asking {
    /// How the store is to charge.
    fn spending(&self) -> Spending {
        spending(self.is_denied || self.here.is_refused())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.question.take().is_some() {
            let place = self.place;
            place.count_again(self, Spending::Refused);
        }
    }
}

fn spending(is_refused: bool) -> Spending {
    if is_refused { Spending::Refused } else { Spending::Charge }
}

/// Whom the request comes from.
fn authenticated(request: Request<'_>) -> Option<Authenticated> {
    // SAFETY: live; no other reference into the part of the context that is read here is held.
    unsafe { context::get(request.raw()) }?.authenticated.clone()
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

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("limits", &self.plan.limits.len()).finish_non_exhaustive()
    }
}

impl<'a> Place<'a> {
    /// The place for what is kept with a request.
    fn of_request(self) -> Place<'static> {
        // SAFETY: all parts are the configuration's, which outlives requests and their pools.
        unsafe {
            Place {
                plan: &*std::ptr::from_ref(self.plan),
                location: &*std::ptr::from_ref(self.location),
                zones: &*std::ptr::from_ref(self.zones),
            }
        }
    }

    fn limit(&self, item: &Item) -> Option<(&'a LimitPlan, &'a LimitZone)> {
        let limit = self.plan.limits.get(item.position)?;
        self.zones.get(limit.zone).map(|zone| (limit, zone))
    }

    /// Judges, or goes on with it when a store has answered. The verdict is in `verdict` once it is known.
    pub(super) fn judge(
        &self,
        request: Request<'_>,
        judging: &mut Judging,
        verdict: &mut Verdict,
    ) -> Judgement {
        verdict.clear();
        if let Some(asking) = judging.asking.take() {
            return self.proceed(request, judging, asking, verdict);
        }
        let mut items = Few::new();
        self.collect(request, &mut judging.charged, &mut items);
        if items.is_empty() {
            return Judgement::Known;
        }
        if !self.plan.has_stores {
            self.count_here(&items, Spending::Charge, None, verdict);
            return Judgement::Known;
        }
        let is_denied = self.without_stores(&mut items);
        self.count_here(&items, spending(is_denied), None, verdict);
        if items.iter().all(|item| item.counter != Counter::Store) {
            return self.conclude(&items, is_denied, verdict);
        }
        // An empty one leaves its memory for the answer.
        let has_counted = !verdict.standings().is_empty();
        let here = if has_counted { std::mem::take(verdict) } else { Verdict::default() };
        let place = self.of_request();
        self.ask(
            request,
            judging,
            Asking { place, items, here, is_denied, question: None },
            verdict,
        )
    }

    /// Collects the limits that have not charged this request yet, each with its key.
    fn collect(
        &self,
        request: Request<'_>,
        charged: &mut SmallVec<[Charged; 2]>,
        items: &mut Few<Item>,
    ) {
        let authenticated = if self.plan.asks_who { authenticated(request) } else { None };
        let identity = authenticated.as_ref().and_then(|it| Some((it, it.identity?)));
        let consumer = identity.and_then(|(Authenticated { version, .. }, identity)| {
            version.consumer(identity.consumer()).map(|consumer| consumer.id())
        });
        let credential = identity.and_then(|(Authenticated { version, .. }, identity)| {
            version.credential(identity.credential()?).map(|credential| credential.id())
        });
        let mut facts = KeyFacts {
            consumer: consumer.as_ref().map(Id::as_bytes),
            credential: credential.as_ref().map(Id::as_bytes),
            address: request.client_address(),
            path: request.normalised_path(),
            variables: &[],
        };
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
    }

    fn is_of(&self, item: &Item, mark: Charged) -> bool {
        self.plan
            .limits
            .get(item.position)
            .is_some_and(|limit| mark == Charged { zone: limit.zone, counter: limit.counter })
    }

    /// Turns to what `on_error` says where a store is known to be away; true when that is to refuse.
    fn without_stores(&self, items: &mut [Item]) -> bool {
        let is_up = |zone: &LimitZone| zone.store.borrow().as_ref().is_some_and(Store::is_up);
        let mut exact = self.plan.exact.iter().filter_map(|number| self.zones.get(*number));
        let is_exact_up = exact.any(is_up);
        let mut refuses = false;
        for item in items {
            let Some((_, zone)) = self.limit(item) else { continue };
            let is_away = match item.counter {
                Counter::Store => !is_exact_up,
                _ => zone.plan.store.is_some() && !is_up(zone),
            };
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

    /// Checks and charges what is counted on this host; with `before`, in place of what was charged then.
    fn count_here(
        &self,
        items: &[Item],
        spending: Spending,
        before: Option<&Verdict>,
        verdict: &mut Verdict,
    ) {
        let mut charges: Few<Charge<'_>> = Few::new();
        let mut zones: Few<(usize, &LimitZone)> = Few::new();
        for item in items {
            let Some((limit, zone)) = self.limit(item) else { continue };
            let terms = match item.counter {
                Counter::Here => limit.terms(item.cost),
                Counter::Share => limit.local_terms(item.cost),
                Counter::Store | Counter::Done => continue,
            };
            let Some(table) = zone.table() else { continue };
            charges.push(Charge { number: item.position, table, key: item.local, terms });
            if let Err(place) = zones.binary_search_by_key(&limit.zone, |(number, _)| *number) {
                zones.insert(place, (limit.zone, zone));
            }
        }
        let now_ms = clock::cached_ms();
        {
            // In the order of their numbers, as everywhere.
            let _held: Few<ZoneGuard> = zones.iter().map(|(_, zone)| zone.lock()).collect();
            if let Some(before) = before {
                let counter = |number| {
                    let charge = charges.iter().find(|charge| charge.number == number)?;
                    Some((charge.table, charge.key))
                };
                give_back(before, counter, now_ms);
            }
            check_and_charge(&charges, spending, now_ms, verdict);
        }
        if verdict.untracked() > 0 {
            zones.iter().for_each(|(_, zone)| zone.note_full());
        }
    }

    /// Asks the store for everything that it counts, or goes on without it.
    fn ask(
        &self,
        request: Request<'_>,
        judging: &mut Judging,
        mut asking: Asking,
        verdict: &mut Verdict,
    ) -> Judgement {
        let demands = self.demands(&asking);
        let ticket = Ticket::new(request);
        let mut zones = self.plan.exact.iter().filter_map(|number| self.zones.get(*number));
        if zones.any(|zone| zone.ask(asking.spending(), &demands, ticket.number())) {
            asking.question = Some(Question { ticket, answer: None });
            judging.asking = Some(Box::new(asking));
            return Judgement::Waits(suspend::suspend(request));
        }
        self.without_answer(&mut asking, verdict)
    }

    fn demands(&self, asking: &Asking) -> Few<Demand<'a>> {
        let asked = asking.items.iter().filter(|item| item.counter == Counter::Store);
        let demand = |item: &Item| {
            let (limit, zone) = self.limit(item)?;
            let terms = limit.terms(item.cost);
            Some(Demand { number: item.position, zone: &zone.plan.name, key: item.fleet?, terms })
        };
        asked.filter_map(demand).collect()
    }

    /// Takes in the store's answer.
    fn proceed(
        &self,
        request: Request<'_>,
        judging: &mut Judging,
        mut asking: Box<Asking>,
        verdict: &mut Verdict,
    ) -> Judgement {
        let Some(answer) = asking.question.as_mut().and_then(|it| it.answer.take()) else {
            // Nobody but the answer should have brought us here.
            judging.asking = Some(asking);
            return Judgement::Waits(suspend::suspend(request));
        };
        asking.question = None;
        let (demands, spending) = (self.demands(&asking), asking.spending());
        if !answer.is_ok_and(|numbers| read_exact(&numbers, spending, &demands, verdict)) {
            return self.without_answer(&mut asking, verdict);
        }
        if verdict.is_refused() && spending == Spending::Charge {
            self.count_again(&mut asking, Spending::Refused);
        }
        asking.here.absorb(verdict);
        std::mem::swap(&mut asking.here, verdict);
        self.conclude(&asking.items, asking.is_denied, verdict)
    }

    /// Does what `on_error` says for all that the store was asked for.
    fn without_answer(&self, asking: &mut Asking, verdict: &mut Verdict) -> Judgement {
        for item in asking.items.iter_mut().filter(|item| item.counter == Counter::Store) {
            asking.is_denied |= self.without_store(item);
        }
        self.count_again(asking, spending(asking.is_denied));
        std::mem::swap(&mut asking.here, verdict);
        self.conclude(&asking.items, asking.is_denied, verdict)
    }

    /// Counts on this host in place of what was counted before the store was asked.
    fn count_again(&self, asking: &mut Asking, spending: Spending) {
        let before = std::mem::take(&mut asking.here);
        self.count_here(&asking.items, spending, Some(&before), &mut asking.here);
    }

    /// Notes for the fleet what was charged on this host, now that it stays, and ends.
    fn conclude(&self, items: &[Item], is_denied: bool, verdict: &Verdict) -> Judgement {
        for standing in verdict.standings() {
            let item = items.iter().find(|item| item.position == standing.charge);
            let Some((limit, zone)) = item.and_then(|item| self.limit(item)) else { continue };
            let Some((item, fleet)) = item.and_then(|item| Some((item, item.fleet?))) else {
                continue;
            };
            zone.record(fleet, item.local, limit.window, standing);
        }
        if is_denied { Judgement::StoreAway } else { Judgement::Known }
    }
}
