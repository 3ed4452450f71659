//! Metrics at work: requests are counted in the log phase, and the page is made when somebody asks.

use super::clock;
use super::context::{self, RequestContext};
use super::log;
use super::main_conf::MainConf;
use super::request::Request;
use super::shared::Zone;
use super::upstream::LambdaLocation;
use crate::decision::{Policy, Reason};
use crate::observe::counters::{Cells, Counters};
use crate::observe::{Family, Labels, Page, record_ms};
use nginx_sys::{nginx_version, ngx_conf_t, ngx_http_upstream_state_t, ngx_worker};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

/// The zone's name; its room is for some 30,000 series.
const ZONE_NAME: &str = "apigate_metrics";
const ZONE_BYTES: usize = 8 << 20;
/// How often it is said that the zone is full.
const FULL_EVERY_S: u64 = 60;
/// What consumers beyond the number that is told apart are called.
const OTHER: &str = "other";

/// What counts requests; there is none where no location serves metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    zone: Zone,
    /// How many consumers are told apart.
    consumers: usize,
    by_consumer: RefCell<ConsumerSeries>,
}

/// What has been counted by consumer. Its size is bounded by the number of consumers that are told apart.
#[derive(Debug, Default)]
struct ConsumerSeries {
    cells: HashMap<Box<str>, Cells<'static>>,
    /// The labels of all that have a series on this host, as far as they have been read.
    seen: HashSet<String>,
    read_to: usize,
    /// All others.
    other: Option<Option<Cells<'static>>>,
}

/// What a location has counted so far, so that series are looked up once. `None` is a series that found no room.
#[derive(Debug, Default)]
pub(super) struct RouteSeries {
    requests: Vec<((&'static str, u16), Option<Cells<'static>>)>,
    decisions: Vec<(Decided, Option<Cells<'static>>)>,
    gateway: Option<Option<Cells<'static>>>,
    upstream: Option<Option<Cells<'static>>>,
}

/// The same for the invocations of a location's function, by outcome.
#[derive(Debug, Default)]
pub(super) struct FunctionSeries {
    invocations: Vec<(&'static str, Option<Cells<'static>>)>,
    seconds: Option<Option<Cells<'static>>>,
}

/// A decision, who made it and why; without a policy when all have let the request pass.
type Decided = (&'static str, Option<(Policy, Reason)>);

impl Metrics {
    /// Declares the zone; `None` when memory is short.
    ///
    /// # Safety
    /// `cf` is nginx's, before its zones are made.
    pub(super) unsafe fn declare(cf: *mut ngx_conf_t) -> Option<Self> {
        // SAFETY: the caller's.
        let zone = unsafe { Zone::declare(cf, ZONE_NAME, ZONE_BYTES) }?;
        Some(Self { zone, consumers: 0, by_consumer: RefCell::default() })
    }

    /// Tells at least so many consumers apart.
    pub(super) fn tell_apart(&mut self, consumers: usize) {
        self.consumers = self.consumers.max(consumers);
    }

    /// Takes the counters that are there, or makes the zone ready for its first.
    pub(super) fn attach(&self) {
        let _held = self.zone.lock();
        // A zone of this size is never too small.
        let _ = Counters::attach(self.zone.words());
    }

    /// This worker's numbers of a series; `None` when there is no room for it.
    fn cells(&self, family: Family, labels: &Labels) -> Option<Cells<'static>> {
        let counters = Counters::view(self.zone.words())?;
        let cells = {
            let _held = self.zone.lock();
            counters.find_or_add(family, worker(), labels.as_str())
        };
        if cells.is_none() && self.zone.may_speak(clock::cached_s(), FULL_EVERY_S) {
            log::process(
                log::Level::Warn,
                format_args!("metrics: zone \"{ZONE_NAME}\" is full, new series are not counted"),
            );
        }
        cells
    }

    /// Counts a request that is over.
    pub(super) fn count_request(&self, request: Request<'_>, context: Option<&RequestContext>) {
        let series = &mut *request.conf().series.borrow_mut();
        let route = || Labels::default().with("route", &request.route());
        let key = (method_name(request.method_bytes()), request.final_status());
        add_one(entry(&mut series.requests, key, || {
            let labels = route().with("method", key.0).with("status", &format!("{:03}", key.1));
            self.cells(Family::Requests, &labels)
        }));
        let upstream_ms = upstream_ms(request);
        let all_ms = clock::cached_ms().saturating_sub(request.started_ms());
        let gateway = &mut series.gateway;
        let cells = *gateway.get_or_insert_with(|| self.cells(Family::GatewaySeconds, &route()));
        record_ms(cells.unwrap_or_default(), all_ms.saturating_sub(upstream_ms.unwrap_or(0)));
        if let Some(upstream_ms) = upstream_ms {
            let upstream = &mut series.upstream;
            let cells =
                *upstream.get_or_insert_with(|| self.cells(Family::UpstreamSeconds, &route()));
            record_ms(cells.unwrap_or_default(), upstream_ms);
        }
        let mut decided = |decision: Decided| {
            add_one(entry(&mut series.decisions, decision, || {
                let (policy, reason) = decision
                    .1
                    .map_or(("", ""), |(policy, reason)| (policy.as_str(), reason.as_str()));
                let labels = route().with("policy", policy).with("decision", decision.0);
                self.cells(Family::Decisions, &labels.with("reason", reason))
            }));
        };
        match context.map(|context| &context.record) {
            Some(record) => record.decisions().for_each(&mut decided),
            None if request.conf().plan.strips_identity => decided(("allow", None)),
            None => {}
        }
        if self.consumers > 0
            && let Some(name) = context.and_then(RequestContext::consumer_name)
        {
            self.count_consumer(name);
        }
    }

    fn count_consumer(&self, name: &str) {
        let series = &mut *self.by_consumer.borrow_mut();
        if let Some(cells) = series.cells.get(name) {
            add_one(Some(*cells));
        } else if let Some(cells) = self.add_consumer(series, name) {
            series.cells.insert(name.into(), cells);
            add_one(Some(cells));
        } else {
            let labels = || Labels::default().with("consumer", OTHER);
            let find = || self.cells(Family::ConsumerRequests, &labels());
            add_one(*series.other.get_or_insert_with(find));
        }
    }

    /// The series of a consumer that is one of those seen first on this host; `None` for the others, and without room.
    fn add_consumer(&self, series: &mut ConsumerSeries, name: &str) -> Option<Cells<'static>> {
        let labels = Labels::default().with("consumer", name);
        let is_one =
            |seen: &HashSet<String>| seen.len() < self.consumers || seen.contains(labels.as_str());
        if !is_one(&series.seen) {
            return None;
        }
        let counters = Counters::view(self.zone.words())?;
        let other = Labels::default().with("consumer", OTHER);
        let _held = self.zone.lock();
        // What other workers have seen meanwhile.
        let take = |labels: String| {
            if labels != other.as_str() {
                series.seen.insert(labels);
            }
        };
        series.read_to = counters.read_on(Family::ConsumerRequests, series.read_to, take);
        let find = || counters.find_or_add(Family::ConsumerRequests, worker(), labels.as_str());
        if is_one(&series.seen) { find() } else { None }
    }

    /// The page.
    pub(super) fn page(&self, main: &MainConf) -> String {
        let mut page = Page::default();
        if let Some(counters) = Counters::view(self.zone.words()) {
            for (family, series) in counters.sums() {
                page.counted(family, &series);
            }
            page.metric(
                "apigate_metrics_series_dropped_total",
                "counter",
                "Series that found no room in the zone of metrics",
                [(Labels::default(), counters.dropped())],
            );
        }
        main.write_metrics(&mut page);
        let labels = Labels::default().with("version", env!("CARGO_PKG_VERSION"));
        let (major, rest) = (nginx_version / 1_000_000, nginx_version % 1_000_000);
        let nginx = format!("{major}.{}.{}", rest / 1_000, rest % 1_000);
        page.metric(
            "apigate_build_info",
            "gauge",
            "Versions of the module and of the nginx that it was built for",
            [(labels.with("nginx", &nginx), 1)],
        );
        page.finish()
    }
}

/// Counts a request that is over, where that is wanted.
pub(super) fn log_phase(request: Request<'_>) {
    if let Some(metrics) = &request.main_conf().metrics
        && request.is_main()
    {
        // SAFETY: live; no other reference to the context is held here.
        let context = unsafe { context::get(request.raw()) };
        metrics.count_request(request, context.map(|context| &*context));
    }
}

/// Counts an invocation that is over by what came of it, where that is wanted.
pub(super) fn count_invocation(
    request: Request<'_>,
    location: &LambdaLocation,
    outcome: &'static str,
) {
    let Some(metrics) = &request.main_conf().metrics else { return };
    let series = &mut *location.series.borrow_mut();
    let function = || Labels::default().with("function", location.written());
    add_one(entry(&mut series.invocations, outcome, || {
        metrics.cells(Family::LambdaInvocations, &function().with("outcome", outcome))
    }));
    if let Some(time_ms) = upstream_ms(request) {
        let find = || metrics.cells(Family::LambdaSeconds, &function());
        let cells = *series.seconds.get_or_insert_with(find);
        record_ms(cells.unwrap_or_default(), time_ms);
    }
}

/// Counts a change of a set's file, or one that was not taken in, where that is wanted.
pub(super) fn count_reload(set: &str, is_good: bool) {
    if let Some(metrics) = MainConf::current().and_then(|main| main.metrics.as_ref()) {
        let result = if is_good { "success" } else { "failure" };
        let labels = Labels::default().with("set", set).with("result", result);
        add_one(metrics.cells(Family::ConsumersReloads, &labels));
    }
}

/// The number that this worker's records have.
fn worker() -> u16 {
    // SAFETY: set when the worker starts, and read by its own thread.
    u16::try_from(unsafe { ngx_worker }).unwrap_or(u16::MAX)
}

fn entry<K: Copy + PartialEq>(
    known: &mut Vec<(K, Option<Cells<'static>>)>,
    key: K,
    find: impl FnOnce() -> Option<Cells<'static>>,
) -> Option<Cells<'static>> {
    if let Some((_, cells)) = known.iter().find(|(known, _)| *known == key) {
        return *cells;
    }
    let cells = find();
    known.push((key, cells));
    cells
}

fn add_one(cells: Option<Cells<'static>>) {
    if let Some(cell) = cells.and_then(|cells| cells.first()) {
        cell.fetch_add(1, Ordering::Relaxed);
    }
}

/// The method's name; what clients make up is one.
fn method_name(method: &[u8]) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| known.as_bytes() == method).unwrap_or(OTHER)
}

/// What all upstreams of the request took; `None` when there was none.
///
/// *Source*: ngx_http_upstream_response_time_variable.
fn upstream_ms(request: Request<'_>) -> Option<u64> {
    // SAFETY: an array of the request's pool, or null.
    let states = unsafe { request.raw().as_ref().upstream_states.as_ref() }?;
    // SAFETY: its elements are of this type.
    let states = unsafe { states.as_slice::<ngx_http_upstream_state_t>() };
    let times = states.iter().map(|state| state.response_time as u64);
    Some(times.filter(|time| *time != u64::MAX).sum())
}
