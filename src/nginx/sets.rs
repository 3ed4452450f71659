//! Consumer sets in force: read on the event loop without a lock, replaced by a helper thread when a file has changed.

use super::clock;
use super::shared::Zone;
use super::shared_image::MemoryFiles;
use super::worker;
use super::{log, metrics};
use crate::config::SetPlan;
use crate::consumers::{ConsumerSet, Exchange, Poll, Reports, Watcher};
use arc_swap::ArcSwap;
use nginx_sys::{ngx_conf_t, ngx_exiting, ngx_terminate, ngx_worker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest a watcher sleeps, so that it sees a worker's end.
const LONGEST_PAUSE_MS: u64 = 1_000;
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
#[derive(Debug)]
pub(super) struct ConsumerSetCell {
    current: Arc<ArcSwap<ConsumerSet>>,
    /// Whether the files have a version that was not taken in.
    is_degraded: Arc<AtomicBool>,
}

impl ConsumerSetCell {
    /// The set as it was loaded with the configuration.
    pub(super) fn new(plan: &SetPlan) -> Self {
        let current = Arc::new(ArcSwap::new(Arc::clone(&plan.loaded.set)));
        Self { current, is_degraded: Arc::default() }
    }

    /// The set of this moment.
    pub(super) fn current(&self) -> Arc<ConsumerSet> {
        self.current.load_full()
    }

    /// True while an older version stays in force because the files' own is bad.
    pub(super) fn is_degraded(&self) -> bool {
        self.is_degraded.load(Ordering::Relaxed)
    }

    /// Starts this worker's watcher, when a file is watched.
    pub(super) fn start(&self, plan: &SetPlan, zone: Option<Zone>) {
        let required = plan.required.clone();
        let now_ms = clock::monotonic_ms();
        let mut watcher = Watcher::new(Arc::clone(&plan.plan), &plan.loaded, required, now_ms);
        if watcher.next_ms().is_none() {
            return;
        }
        let (name, words) = (plan.plan.name(), zone.map_or(&[][..], |zone| zone.words()));
        let reports = Reports::of(name, words);
        watcher = watcher.with_exchange(Exchange::of(name, words, Box::new(MemoryFiles)));
        let (current, is_degraded) = (Arc::clone(&self.current), Arc::clone(&self.is_degraded));
        return_large_pieces();
        let set = name.to_owned();
        worker::spawn("apigate-sets", move || {
            watch(&set, &mut watcher, &current, &is_degraded, reports);
        });
    }
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
    current: &ArcSwap<ConsumerSet>,
    is_degraded: &AtomicBool,
    reports: Reports<'_>,
) {
    // SAFETY: flags that signal handlers set; a stale look ends the thread one turn later.
    while unsafe { ngx_exiting == 0 && ngx_terminate == 0 } {
        let was_bad = watcher.degraded().is_some();
        match watcher.poll(clock::monotonic_ms()) {
            Poll::Unchanged => {}
            Poll::Swap(set) => {
                let text =
                    format!("consumers: set \"{}\" reloaded, consumers={}", set.name(), set.len());
                current.store(set);
                give_memory_back();
                let name = name.to_owned();
                worker::post(move || {
                    log::process(log::Level::Notice, format_args!("{text}"));
                    // All workers take the version in, and one of them counts it.
                    // SAFETY: set when the worker starts.
                    if unsafe { ngx_worker } == 0 {
                        metrics::count_reload(&name, true);
                    }
                });
            }
            Poll::Bad(reason) => {
                if reports.is_first(watcher.stamp_hash()) {
                    let name = name.to_owned();
                    worker::post(move || {
                        log::process(log::Level::Error, format_args!("consumers: {reason}"));
                        metrics::count_reload(&name, false);
                    });
                }
            }
        }
        is_degraded.store(watcher.degraded().is_some(), Ordering::Relaxed);
        if was_bad && watcher.degraded().is_none() {
            reports.clear();
        }
        let Some(next_ms) = watcher.next_ms() else { return };
        let pause_ms = next_ms.saturating_sub(clock::monotonic_ms()).clamp(1, LONGEST_PAUSE_MS);
        std::thread::park_timeout(Duration::from_millis(pause_ms));
    }
}
