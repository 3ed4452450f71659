//! What a location's limits come to at request time.

use std::borrow::Cow;

use super::key::{CounterId, KeyTemplate};
use super::policy::{Counting, Terms, Verdict};
use super::rate::Rate;
use super::window::WindowKind;
use super::zone::{StorePlan, Sync, ZonePlan};
use crate::decision::{Policy, Reason, Refusal};
use crate::directive::{DirectiveError, Place};

/// The largest cost of a request.
pub const MAX_COST: u64 = 1_000_000;

/// The limits in force in a location; at least one.
#[derive(Clone, Debug)]
pub struct RateLimitPlan {
    /// In the order written.
    pub limits: Vec<LimitPlan>,
    /// The numbers of the zones that ask their store for each request, which is one store: the least patient first, by whose
    /// connection all are asked together.
    pub exact: Vec<usize>,
    /// Whether a zone has a store, asked for each request or not.
    pub has_stores: bool,
    /// Whether a limit counts by consumer or credential.
    pub asks_who: bool,
    /// Whether `X-RateLimit-*` and `RateLimit-*` are sent.
    pub headers: bool,
    status: u16,
    message: Cow<'static, str>,
}

/// One `rate_limit`.
#[derive(Clone, Debug)]
pub struct LimitPlan {
    /// The number of its zone.
    pub zone: usize,
    /// Whose counters it uses.
    pub counter: CounterId,
    /// Where the key comes from.
    pub key: KeyTemplate,
    /// One for each unit, in the order written.
    pub rates: Vec<Rate>,
    /// This host's share of them, for when the store is away.
    pub local_rates: Vec<Rate>,
    /// How they look back.
    pub window: WindowKind,
    /// What a request spends.
    pub cost: Cost,
    /// Which requests spend.
    pub counting: Counting,
    /// Whether it is only watched.
    pub dry_run: bool,
    /// Where it is written.
    pub place: Place,
}

/// `cost=`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// 1 to [`MAX_COST`]
    Fixed(u64),
    /// A text with nginx variables, for nginx to evaluate and [`Cost::read`] to read.
    Variable(String),
}

impl Cost {
    /// The cost that a variable's text means: a whole number, at most [`MAX_COST`]; 1 for what is no number.
    pub fn read(text: &[u8]) -> u64 {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return 1;
        }
        let add = |sum: u64, digit: &u8| (sum * 10 + u64::from(digit - b'0')).min(MAX_COST);
        text.iter().fold(0, add)
    }
}

impl LimitPlan {
    /// The terms for a request of this cost.
    pub fn terms(&self, cost: u64) -> Terms<'_> {
        self.terms_of(&self.rates, cost)
    }

    /// The terms for a request of this cost while the store is away.
    pub fn local_terms(&self, cost: u64) -> Terms<'_> {
        self.terms_of(&self.local_rates, cost)
    }

    fn terms_of<'a>(&self, rates: &'a [Rate], cost: u64) -> Terms<'a> {
        let Self { window, counting, dry_run, .. } = *self;
        Terms { rates, window, cost, counting, dry_run }
    }
}

impl RateLimitPlan {
    pub(super) fn new(
        limits: Vec<LimitPlan>,
        zones: &[ZonePlan],
        status: u16,
        message: Cow<'static, str>,
        headers: bool,
    ) -> Result<Self, DirectiveError> {
        let exact = exact_zones(&limits, zones)?;
        let is_of_somebody =
            |key: &KeyTemplate| matches!(key, KeyTemplate::Consumer | KeyTemplate::Credential);
        let asks_who = limits.iter().any(|limit| is_of_somebody(&limit.key));
        let has_store =
            |limit: &LimitPlan| zones.get(limit.zone).is_some_and(|it| it.store.is_some());
        let has_stores = limits.iter().any(has_store);
        Ok(Self { limits, exact, has_stores, asks_who, headers, status, message })
    }

    /// The plan of limits on failed authentications: one of each rate, counted for the client's network.
    pub fn of_failures(
        limits: impl IntoIterator<Item = (Rate, usize, CounterId, Place)>,
        zones: &[ZonePlan],
    ) -> Result<Self, DirectiveError> {
        let limit = |(rate, zone, counter, place): (Rate, usize, CounterId, Place)| {
            let store = zones.get(zone).and_then(|zone| zone.store.as_ref());
            LimitPlan {
                zone,
                counter,
                key: KeyTemplate::Network,
                rates: vec![rate],
                local_rates: vec![rate.share(store.map_or(1, |store| store.nodes))],
                window: WindowKind::Fixed,
                cost: Cost::Fixed(1),
                counting: Counting::Allowed,
                dry_run: false,
                place,
            }
        };
        let limits = limits.into_iter().map(limit).collect();
        Self::new(limits, zones, 429, Cow::Borrowed(""), false)
    }

    /// What a `dry_run` directive would have said.
    pub fn dry_refusal(&self) -> Refusal {
        Refusal::new(Policy::RateLimit, Reason::Limit, self.status, self.message.clone())
    }

    /// The refusal that a verdict means, with its `Retry-After`; `None` when the request may go on.
    pub fn decide(&self, verdict: &Verdict) -> Option<Refusal> {
        let retry_after_s = verdict.retry_after_s()?;
        let refusal =
            Refusal::new(Policy::RateLimit, Reason::Limit, self.status, self.message.clone());
        Some(refusal.with_header("Retry-After", retry_after_s.to_string()))
    }
}

/// The zones of [`RateLimitPlan::exact`]; an error at the limit whose zone asks another store than one before it, because what two
/// stores count cannot be charged together.
fn exact_zones(limits: &[LimitPlan], zones: &[ZonePlan]) -> Result<Vec<usize>, DirectiveError> {
    let mut found: Vec<(&ZonePlan, &StorePlan, usize)> = Vec::new();
    for limit in limits {
        let Some(zone) = zones.get(limit.zone) else { continue };
        let Some(store) = zone.store.as_ref().filter(|it| it.sync == Sync::Exact) else { continue };
        if let Some((first, other, _)) = found.first()
            && other.address != store.address
        {
            let text = format!(
                "zones \"{}\" and \"{}\" have not the same \"redis\", they cannot be used together",
                first.name, zone.name
            );
            return Err(DirectiveError::new(text).at(&limit.place));
        }
        if found.iter().all(|(_, _, number)| *number != limit.zone) {
            found.push((zone, store, limit.zone));
        }
    }
    found.sort_by_key(|(_, store, _)| store.timeout);
    Ok(found.into_iter().map(|(_, _, number)| number).collect())
}

/// The refusal of `on_error=deny`.
pub fn store_unavailable(policy: Policy, retry_after_s: u64) -> Refusal {
    let message = "Rate limit store is unavailable";
    Refusal::new(policy, Reason::Store, 503, message)
        .with_header("Retry-After", retry_after_s.max(1).to_string())
}
