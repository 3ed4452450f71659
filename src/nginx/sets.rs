//! Consumer sets in force: read on the event loop without a lock, replaced by a helper thread when a file has changed.

use super::clock;
use super::shared::Zone;
use super::shared_image::{MemoryFiles, Shelf};
use super::worker;
use super::{log, metrics};
use crate::config::SetPlan;
use crate::consumers::{ConsumerSet, Exchange, Poll, Reports, Watcher};
use arc_swap::ArcSwap;
use nginx_sys::{ngx_conf_t, ngx_exiting, ngx_terminate, ngx_worker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// The longest a watcher sleeps, so that it sees a worker's end.
const LONGEST_PAUSE_MS: u64 = 1_000;
/// How long a worker that starts waits for sets whose files have changed since the master read them.
const LONGEST_BEGINNING: Duration = Duration::from_secs(5);
/// The zone in which workers tell each other which bad files have been reported; the smallest that nginx makes.
const ZONE_NAME: &str = "apigate_consumers";
const ZONE_BYTES: usize = 32 * 1024;

/// Declares the zone; `None` when memory is short.
///
/// # Safety
/// `cf` is nginx's, before its zones are made.
pub(super) unsafe fn declare_zone(cf: *mut ngx_conf_t) -> Option<Zone> {
    // SAFETY: the caller's.
    unsafe { Zone::declare(cf, ZONE_NAME, ZONE_BYTES) }
}

/// One set.
#[derive(Clone, Debug)]
pub(super) struct ConsumerSetCell {
    current: Arc<ArcSwap<ConsumerSet>>,
    /// Whether the files have a version that was not taken in.
    is_degraded: Arc<AtomicBool>,
    /// Of the master and all workers of its configuration.
    shelf: Option<Arc<Shelf>>,
}

impl ConsumerSetCell {
    /// The set as it was loaded with the configuration. To be called in the master.
    pub(super) fn new(plan: &SetPlan) -> Self {
        let current = Arc::new(ArcSwap::new(Arc::clone(&plan.loaded.set)));
        let shelf = if plan.plan.is_watched() { Shelf::new().map(Arc::new) } else { None };
        Self { current, is_degraded: Arc::default(), shelf }
    }

    /// The set of this moment.
    pub(super) fn current(&self) -> Arc<ConsumerSet> {
        self.current.load_full()
    }

    /// True while an older version stays in force because the files' own is bad.
    pub(super) fn is_degraded(&self) -> bool {
        self.is_degraded.load(Ordering::Relaxed)
    }

    /// Starts this worker's watcher, when a file is watched. `begun` is dropped when it knows what is in force.
    fn start(&self, plan: &SetPlan, zone: Option<Zone>, begun: Sender<()>) {
        let required = plan.required.clone();
        let now_ms = clock::monotonic_ms();
        let mut watcher = Watcher::new(Arc::clone(&plan.plan), &plan.loaded, required, now_ms);
        if watcher.next_ms().is_none() {
            return;
        }
        let (name, words) = (plan.plan.name(), zone.map_or(&[][..], |zone| zone.words()));
        let reports = Reports::of(name, words);
        if let (Some(shelf), Some(zone)) = (self.shelf.clone(), zone) {
            let carrier = Box::new(MemoryFiles { shelf, zone });
            watcher = watcher.with_exchange(Exchange::of(name, words, carrier));
        }
        return_large_pieces();
        let (set, cell) = (name.to_owned(), self.clone());
        worker::spawn("apigate-sets", move || watch(&set, &mut watcher, &cell, reports, begun));
    }
}

/// Starts the watchers, and waits until they know what is in force, which is not what the master has read in a worker that
/// takes a dead one's place. Connections wait in the listening socket meanwhile.
pub(super) fn start(cells: &[ConsumerSetCell], plans: &[SetPlan], zone: Option<Zone>) {
    let (begun, all_begun) = channel();
    for (cell, plan) in cells.iter().zip(plans) {
        cell.start(plan, zone, begun.clone());
    }
    drop(begun);
    // nothing is sent: this ends when every watcher has dropped its end
    let _ = all_begun.recv_timeout(LONGEST_BEGINNING);
}

/// Memory that is taken in one piece of this size goes back to the system when it is free.
#[cfg(target_env = "gnu")]
const RETURNED_BYTES: i32 = 4 << 20;

/// A version that is read takes several times its size for a moment, which nobody needs until the next change. Without this
/// the C library would keep pieces of up to 32 MiB.
fn return_large_pieces() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a setting of the allocator, which may be changed at any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, RETURNED_BYTES);
    }
}

fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: may be called at any time; it touches what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn watch(
    name: &str,
    watcher: &mut Watcher,
    cell: &ConsumerSetCell,
    reports: Reports<'_>,
    begun: Sender<()>,
) {
    let mut begun = Some(begun);
    let mut look: fn(&mut Watcher, u64) -> Poll = Watcher::begin;
    // SAFETY: flags that signal handlers set; a stale look ends the thread one turn later.
    while unsafe { ngx_exiting == 0 && ngx_terminate == 0 } {
        let was_bad = watcher.degraded().is_some();
        match look(watcher, clock::monotonic_ms()) {
            Poll::Unchanged => {}
            Poll::Swap(set) => {
                let text =
                    format!("consumers: set \"{}\" reloaded, consumers={}", set.name(), set.len());
                cell.current.store(set);
                give_memory_back();
                let (name, is_news) = (name.to_owned(), begun.is_none());
                worker::post(move || {
                    log::process(log::Level::Notice, format_args!("{text}"));
                    // All workers take the version in, and one of them counts it.
                    // SAFETY: set when the worker starts.
                    if is_news && unsafe { ngx_worker } == 0 {
                        metrics::count_reload(&name, true);
                    }
                });
            }
            Poll::Bad(reason) => {
                let is_first = reports.is_first(watcher.fault());
                // told already or not, when what was in force since is to be had no more
                let before = match begun.is_some() {
                    true => "a worker starts with what the last start or reload has read, ",
                    false => "",
                };
                if is_first || begun.is_some() {
                    let name = name.to_owned();
                    worker::post(move || {
                        let level = log::Level::Error;
                        log::process(level, format_args!("consumers: {before}{reason}"));
                        if is_first {
                            metrics::count_reload(&name, false);
                        }
                    });
                }
            }
        }
        cell.is_degraded.store(watcher.degraded().is_some(), Ordering::Relaxed);
        look = Watcher::poll;
        if watcher.has_begun() {
            begun = None;
        }
        if was_bad && watcher.degraded().is_none() {
            reports.clear();
        }
        let Some(next_ms) = watcher.next_ms() else { return };
        let pause_ms = next_ms.saturating_sub(clock::monotonic_ms()).clamp(1, LONGEST_PAUSE_MS);
        std::thread::park_timeout(Duration::from_millis(pause_ms));
    }
}
