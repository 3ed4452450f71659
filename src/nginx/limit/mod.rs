//! rate_limit and key_auth_failures at work on a request.
//!
//! A request is charged once for each counter, whatever internal redirects it goes through. Subrequests are a part of the
//! request that made them and are not judged.

mod judge;
mod location;
mod store;
mod zone;

pub(super) use location::LimitLocation;
pub(super) use zone::LimitZone;

use self::judge::{Asking, Judgement, Place};
use super::clock;
use super::context;
use super::phases::{self, Judged};
use super::request::Request;
use super::respond::{self, Numbers};
use crate::config::FailuresPlan;
use crate::decision::{Decision, Policy, Refusal};
use crate::key_auth;
use crate::observe::{Labels, Page};
use crate::pipeline::Mode;
use crate::rate_limit::fleet::Answer;
use crate::rate_limit::key::CounterId;
use crate::rate_limit::policy::Verdict;
use crate::rate_limit::{RateLimitPlan, header_count, store_unavailable, write_headers};
use smallvec::SmallVec;
use std::time::Duration;

/// How long a worker's start waits for stores, so that its first requests are counted there. Below the time that nginx's
/// master leaves old workers to serve when it reloads (100 ms).
const START_PATIENCE: Duration = Duration::from_millis(90);

/// What a request's context remembers of its limits.
#[derive(Debug, Default)]
pub(super) struct Limits {
    judging: Judging,
    /// What the response's head tells of them.
    told: Option<Told>,
    /// `$rate_limit_limit`, `$rate_limit_remaining`, `$rate_limit_reset`
    pub(super) shown: Option<[u64; 3]>,
}

/// What judging a request goes by, and changes.
#[derive(Debug, Default)]
struct Judging {
    charged: SmallVec<[Charged; 2]>,
    asking: Option<Box<Asking>>,
}

/// The lines of a response's head that tell how the client's limits stand.
#[derive(Debug)]
struct Told {
    numbers: Numbers,
    /// How many lines the head had when ours were the last of them.
    lines: usize,
}

/// A counter that the request has been held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Charged {
    zone: usize,
    counter: CounterId,
}

/// Among how many first lines of the response's head those are that tell how the client's limits stand; `None` where there are
/// none.
pub(super) fn told_lines(request: Request<'_>) -> Option<usize> {
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    Some(context?.limits.told.as_ref()?.lines)
}

/// Tells again in the head of an error that a filter has made of the response; `None` when memory is short.
pub(super) fn tell_again(request: Request<'_>) -> Option<()> {
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    if let Some(told) = context.and_then(|context| context.limits.told.as_mut()) {
        told.numbers.set_again(request.raw())?;
        told.lines = respond::line_count(request.raw());
    }
    Some(())
}

/// Leaves a store's answer where the request that waits for it finds it.
fn take_answer(request: Request<'_>, number: u64, answer: Answer) {
    // SAFETY: live; no other reference to the context is held here.
    let context = unsafe { context::get(request.raw()) };
    let asking = context.and_then(|context| context.limits.judging.asking.as_mut());
    if let Some(question) = asking.and_then(|asking| asking.question.as_mut()) {
        question.answer(number, answer);
    }
}

/// Starts what zones do beside requests.
pub(super) fn start(zones: &[LimitZone]) {
    let clock = clock::monotonic();
    let mut told = Vec::new();
    for (number, zone) in zones.iter().enumerate() {
        zone.attach();
        told.extend(zone.connect(number));
        zone.begin();
    }
    for first in told {
        // Connected, or told that there is nobody to connect to.
        let _ = first.recv_timeout(START_PATIENCE.saturating_sub(clock()));
    }
}

/// Writes how full zones are, and whether their stores are there.
pub(super) fn write_metrics(zones: &[LimitZone], page: &mut Page) {
    let label = |zone: &LimitZone| Labels::default().with("zone", &zone.plan.name);
    let stats: Vec<_> =
        zones.iter().filter_map(|zone| Some((label(zone), zone.stats()?))).collect();
    page.metric(
        "apigate_rate_limit_zone_keys",
        "gauge",
        "Counters in use by zone",
        stats.iter().map(|(zone, stats)| (zone.clone(), stats.occupied)),
    );
    page.metric(
        "apigate_rate_limit_zone_full_total",
        "counter",
        "Keys that found no room in their zone and were let through uncounted",
        stats.iter().map(|(zone, stats)| (zone.clone(), stats.full)),
    );
    page.metric(
        "apigate_redis_up",
        "gauge",
        "Whether this worker counts in Redis (1) or goes by on_error (0), by zone",
        zones.iter().filter_map(|zone| Some((label(zone), u8::from(zone.has_store_up()?)))),
    );
}

/// The names of zones whose counting in their stores is interrupted.
pub(super) fn zones_without_store(zones: &[LimitZone]) -> impl Iterator<Item = &str> {
    zones.iter().filter(|zone| zone.has_store_up() == Some(false)).map(|zone| &*zone.plan.name)
}

/// Ends what zones do beside requests.
pub(super) fn stop(zones: &[LimitZone]) {
    zones.iter().for_each(LimitZone::stop);
}

/// Holds the request against `rate_limit`.
pub(super) fn rate_limit(
    request: Request<'_>,
    plan: &RateLimitPlan,
    location: &LimitLocation,
) -> Judged {
    if !request.is_main() {
        return Judged::Decided(Decision::Continue);
    }
    let verdict = &mut *request.main_conf().verdict.borrow_mut();
    match judge(request, plan, location, verdict) {
        Judgement::Waits(status) => Judged::Waits(status),
        Judgement::Failed => Judged::Failed,
        Judgement::StoreAway => match tell(request, plan, verdict) {
            Some(()) => Judged::Decided(store_unavailable(Policy::RateLimit, 1).into()),
            None => Judged::Failed,
        },
        Judgement::Known => conclude(request, plan, verdict),
    }
}

/// Counts a failed authentication: the refusal that takes the place of the 401 once there were too many.
///
/// `Err` holds what the phase handler is to do meanwhile.
pub(super) fn failures(
    request: Request<'_>,
    plan: &FailuresPlan,
    location: &LimitLocation,
) -> Result<Option<Refusal>, Judged> {
    let limits = &plan.limits;
    let verdict = &mut *request.main_conf().verdict.borrow_mut();
    match judge(request, limits, location, verdict) {
        Judgement::Waits(status) => Err(Judged::Waits(status)),
        Judgement::Failed => Err(Judged::Failed),
        Judgement::StoreAway => Ok(Some(store_unavailable(Policy::KeyAuthFailures, 1))),
        Judgement::Known => Ok(verdict.retry_after_s().map(|retry_after_s| {
            let refusing = verdict.standings().iter().find(|standing| !standing.passes);
            let status = refusing.and_then(|it| plan.statuses.get(it.charge).copied());
            let challenge = request.conf().plan.key_auth.as_ref().map(|plan| &*plan.challenge);
            key_auth::too_many_failures(status.unwrap_or(429), retry_after_s, challenge)
        })),
    }
}

fn judge(
    request: Request<'_>,
    plan: &RateLimitPlan,
    location: &LimitLocation,
    verdict: &mut Verdict,
) -> Judgement {
    // SAFETY: live; no other reference to the context is held here.
    let Some(context) = (unsafe { context::get_or_create(request.raw()) }) else {
        return Judgement::Failed;
    };
    // Out of the context while the request is judged, which looks into the context itself.
    let mut judging = std::mem::take(&mut context.limits.judging);
    let zones = &request.main_conf().limit_zones;
    let judgement = Place { plan, location, zones }.judge(request, &mut judging, verdict);
    // SAFETY: as above; it exists.
    if let Some(context) = unsafe { context::get(request.raw()) } {
        context.limits.judging = judging;
    }
    judgement
}

/// Tells the client how its limits stand; `None` when memory is short.
fn tell(request: Request<'_>, plan: &RateLimitPlan, verdict: &Verdict) -> Option<()> {
    let Some(tightest) = verdict.tightest() else { return Some(()) };
    // SAFETY: live; no other reference to the context is held here, nor taken by what is called here.
    let limits = unsafe { &mut context::get(request.raw())?.limits };
    let shown = [tightest.rate.limit, tightest.remaining, Verdict::reset_s(tightest)];
    let replaces = limits.shown.replace(shown).is_some();
    if plan.headers && request.conf().plan.pipeline.mode != Mode::Observe {
        let raw = request.raw();
        let mut numbers = Numbers::new(raw, header_count(verdict))?;
        let mut room = Some(());
        write_headers(verdict, shown, |name, number| {
            room = room.and(numbers.set(raw, name, number, replaces));
        });
        room?;
        limits.told = Some(Told { numbers, lines: respond::line_count(raw) });
    }
    Some(())
}

/// Tells the client how its limits stand, and decides.
fn conclude(request: Request<'_>, plan: &RateLimitPlan, verdict: &Verdict) -> Judged {
    if tell(request, plan, verdict).is_none() {
        return Judged::Failed;
    }
    match plan.decide(verdict) {
        Some(refusal) => Judged::Decided(refusal.into()),
        None => {
            if verdict.would_refuse() {
                phases::observe(request, &plan.dry_refusal());
            }
            Judged::Decided(Decision::Continue)
        }
    }
}
