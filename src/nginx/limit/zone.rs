//! A zone of counters in a worker: its memory, the fleet's store if it has one, and what is done beside requests.

use super::store::Store;
use crate::nginx::guard::guard;
use crate::nginx::shared::{Zone, ZoneGuard};
use crate::nginx::{clock, log};
use crate::rate_limit::ZonePlan;
use crate::rate_limit::fleet::Demand;
use crate::rate_limit::key::FleetKey;
use crate::rate_limit::policy::{Spending, Standing};
use crate::rate_limit::table::{Attached, Fingerprint, FreshReason, Seed, Table, TableStats};
use crate::rate_limit::window::WindowKind;
use nginx_sys::{
    ngx_add_timer, ngx_conf_t, ngx_cycle, ngx_event_t, ngx_exiting, ngx_msec_t, ngx_post_event,
    ngx_posted_events,
};
use std::cell::{Cell, RefCell};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How often the buckets of a zone are swept, and how many at a time: a zone of 1 MiB is through within some 4 s.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const SWEEP_BUCKETS: usize = 1_024;
/// How often a full zone is spoken of.
const FULL_EVERY_S: u64 = 60;

/// One `rate_limit_zone`. Of the event loop's thread alone.
pub(in crate::nginx) struct LimitZone {
    /// As declared.
    pub(super) plan: ZonePlan,
    memory: Zone,
    seed: Cell<Seed>,
    full_seen: Cell<u64>,
    /// The fleet's store, once the worker has started.
    pub(super) store: RefCell<Option<Store>>,
    timer: RefCell<Option<Box<ngx_event_t>>>,
    /// Comes at the end of a turn of the event loop, when the store was asked in it.
    asked: RefCell<Option<Box<ngx_event_t>>>,
    swept_ms: Cell<u64>,
}

impl LimitZone {
    /// Declares the zone's memory; `None` when nginx refuses, who has said why.
    ///
    /// # Safety
    /// `cf` is nginx's, before its zones are made.
    pub(in crate::nginx) unsafe fn declare(cf: *mut ngx_conf_t, plan: &ZonePlan) -> Option<Self> {
        let bytes = usize::try_from(plan.size).ok()?;
        // SAFETY: the caller's.
        unsafe {
            if Zone::size_before(cf, &plan.name).is_some_and(|before| before != bytes) {
                let place = &plan.place;
                log::write(
                    (*cf).log,
                    log::Level::Warn,
                    format_args!(
                        "rate_limit: zone \"{}\" has another size than before, its counters start afresh in {}:{}",
                        plan.name, place.file, place.line
                    ),
                );
            }
            Some(Self {
                plan: plan.clone(),
                memory: Zone::declare(cf, &plan.name, bytes)?,
                seed: Cell::new(Seed([0; 2])),
                full_seen: Cell::new(0),
                store: RefCell::new(None),
                timer: RefCell::new(None),
                asked: RefCell::new(None),
                swept_ms: Cell::new(0),
            })
        }
    }

    /// Takes the counters that are there, or makes the zone ready for its first.
    pub(super) fn attach(&self) {
        let attached = {
            let _held = self.lock();
            match Table::attach(self.memory.words(), random_seed()) {
                Ok((table, attached)) => {
                    self.seed.set(table.seed());
                    self.full_seen.set(table.stats().full);
                    Some(attached)
                }
                Err(_) => None,
            }
        };
        let name = &self.plan.name;
        match attached {
            Some(Attached::Kept | Attached::Fresh(FreshReason::New)) => {}
            Some(Attached::Fresh(FreshReason::Layout | FreshReason::Size)) => log::process(
                log::Level::Warn,
                format_args!(
                    "rate_limit: zone \"{name}\" is of another version, its counters start afresh"
                ),
            ),
            None => log::process(
                log::Level::Alert,
                format_args!("rate_limit: zone \"{name}\" is too small, nothing is limited by it"),
            ),
        }
    }

    /// Begins to connect to the fleet's store, if the zone has one; what comes back is told how that went. `number` is the
    /// zone's.
    pub(super) fn connect(&self, number: usize) -> Option<Receiver<()>> {
        let plan = self.plan.store.as_ref()?;
        let (store, first) = Store::start(&self.plan.name, plan, number);
        *self.store.borrow_mut() = Some(store);
        Some(first)
    }

    /// Begins to work beside requests.
    pub(super) fn begin(&self) {
        let mut timer = self.event(tick);
        // Without it a worker that is told to quit would wait for the timer.
        timer.set_cancelable(1);
        // SAFETY: the event lives in its box as long as the configuration, that is as long as the worker.
        unsafe { ngx_add_timer(&mut *timer, self.period()) };
        *self.timer.borrow_mut() = Some(timer);
        *self.asked.borrow_mut() = Some(self.event(wake));
    }

    /// An event that is about this zone.
    fn event(&self, handler: unsafe extern "C" fn(*mut ngx_event_t)) -> Box<ngx_event_t> {
        // SAFETY: all-zero is an event that is not armed.
        let mut event: Box<ngx_event_t> = Box::new(unsafe { std::mem::zeroed() });
        event.handler = Some(handler);
        event.data = std::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: set before modules are loaded.
        event.log = unsafe { (*ngx_cycle).log };
        event
    }

    /// Asks the store on behalf of a request that will wait; false when nobody would answer.
    pub(super) fn ask(&self, spending: Spending, demands: &[Demand<'_>], waiting: u64) -> bool {
        let store = self.store.borrow();
        if !store.as_ref().is_some_and(|store| store.ask(spending, demands, waiting)) {
            return false;
        }
        self.wake_soon();
        true
    }

    /// Notes for the fleet what a request has spent on this host.
    pub(super) fn record(
        &self,
        key: FleetKey,
        local: Fingerprint,
        window: WindowKind,
        standing: &Standing,
    ) {
        let store = self.store.borrow();
        if let Some(store) = store.as_ref().filter(|store| store.interval().is_some()) {
            store.record(key, local, window, standing);
            if store.is_urgent() {
                self.wake_soon();
            }
        }
    }

    /// The store's thread is woken once for all that is asked in this turn of the event loop.
    fn wake_soon(&self) {
        if let Some(asked) = self.asked.borrow_mut().as_deref_mut() {
            // SAFETY: the event lives as `begin` says; posted events are run by this thread.
            unsafe { ngx_post_event(asked, &raw mut ngx_posted_events) };
        }
    }

    /// Hands over what was counted and lets the store's thread end.
    pub(super) fn stop(&self) {
        if let Some(store) = self.store.borrow_mut().take() {
            store.flush(&self.plan.name, clock::now_ms());
        }
    }

    /// Holds the mutex that [`table`](Self::table) wants.
    pub(super) fn lock(&self) -> ZoneGuard {
        self.memory.lock()
    }

    /// The counters; `None` when the zone has no room for any.
    pub(super) fn table(&self) -> Option<Table<'static>> {
        Table::view(self.memory.words()).ok()
    }

    /// The secret of the zone's keys.
    pub(super) fn seed(&self) -> Seed {
        self.seed.get()
    }

    /// Whether the zone's store is there; `None` for a zone that has none.
    pub(super) fn has_store_up(&self) -> Option<bool> {
        self.plan.store.as_ref()?;
        Some(self.store.borrow().as_ref().is_some_and(Store::is_up))
    }

    /// How full the zone is.
    pub(in crate::nginx) fn stats(&self) -> Option<TableStats> {
        self.table().map(|table| table.stats())
    }

    /// Says, once a minute and host, that keys found no room; called after they did not.
    pub(super) fn note_full(&self) {
        let Some(stats) = self.stats() else { return };
        if stats.full == self.full_seen.replace(stats.full)
            || !self.memory.may_speak(clock::cached_s(), FULL_EVERY_S)
        {
            return;
        }
        log::process(
            log::Level::Warn,
            format_args!(
                "rate_limit: zone \"{}\" is full, keys are let through uncounted, counters={}, passed={}",
                self.plan.name, stats.capacity, stats.full
            ),
        );
    }

    /// Does what is due beside requests.
    fn tick(&self) {
        let now_ms = clock::cached_ms();
        if let Some(store) = self.store.borrow().as_ref() {
            store.tick(&self.plan.name, now_ms);
        }
        let sweep_every_ms = u64::try_from(SWEEP_EVERY.as_millis()).unwrap_or(u64::MAX);
        if now_ms.abs_diff(self.swept_ms.get()) >= sweep_every_ms
            && let Some(table) = self.table()
        {
            self.swept_ms.set(now_ms);
            let _held = self.lock();
            table.sweep(SWEEP_BUCKETS, now_ms);
        }
    }

    fn period(&self) -> ngx_msec_t {
        let interval = self.store.borrow().as_ref().and_then(Store::interval);
        let period = interval.map_or(SWEEP_EVERY, |interval| interval.min(SWEEP_EVERY));
        ngx_msec_t::try_from(period.as_millis()).unwrap_or(1).max(1)
    }
}

unsafe extern "C" fn tick(event: *mut ngx_event_t) {
    guard("rate limit timer", (), || {
        // SAFETY: `event` set data to the zone, which lives as long as the worker's configuration.
        unsafe {
            let zone = &*(*event).data.cast::<LimitZone>();
            zone.tick();
            if ngx_exiting == 0 {
                ngx_add_timer(event, zone.period());
            }
        }
    });
}

unsafe extern "C" fn wake(event: *mut ngx_event_t) {
    guard("rate limit store", (), || {
        // SAFETY: as in `tick`.
        let zone = unsafe { &*(*event).data.cast::<LimitZone>() };
        if let Some(store) = zone.store.borrow().as_ref() {
            store.wake(&zone.plan.name);
        }
    });
}

/// A secret that no client knows.
fn random_seed() -> Seed {
    let mut seed = [0_u64; 2];
    // SAFETY: sixteen bytes are written into sixteen; a short answer leaves zeros, and so small a wish is never cut short.
    unsafe { libc::getrandom(seed.as_mut_ptr().cast(), size_of_val(&seed), 0) };
    Seed(seed)
}
