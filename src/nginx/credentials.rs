//! The credentials in force, in every worker: fetched by one of them, published in a zone, read without a lock.

use super::clock;
use super::shared::Zone;
use super::{log, worker};
use crate::aws::Credentials;
use crate::aws::fetcher::{Event, Fetcher, Surroundings};
use crate::aws::region::Region;
use crate::aws::slot::{Slot, SlotStatus, find_or_claim, table_words};
use crate::aws::source::CredentialSource;
use nginx_sys::{ngx_conf_t, ngx_exiting, ngx_pid, ngx_quit, ngx_random, ngx_terminate};
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;

/// The zone's name; one table serves all sources.
const ZONE_NAME: &str = "apigate_credentials";
const SLAB_OVERHEAD_BYTES: usize = 64 * 1024;

/// Declares the zone; `None` when memory is short.
///
/// # Safety
/// `cf` is nginx's, before its zones are made.
pub(super) unsafe fn declare_zone(cf: *mut ngx_conf_t) -> Option<Zone> {
    let bytes = table_words() * size_of::<u64>() + SLAB_OVERHEAD_BYTES;
    // SAFETY: the caller's.
    unsafe { Zone::declare(cf, ZONE_NAME, bytes) }
}

/// One source's credentials as this worker knows them. Of the event loop's thread alone.
#[derive(Debug)]
pub(super) struct CredentialCell {
    source: Arc<CredentialSource>,
    zone: Zone,
    slot: OnceCell<Slot<'static>>,
    known: RefCell<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    generation: u64,
    credentials: Option<Arc<Credentials>>,
    region: Option<Region>,
}

impl CredentialCell {
    /// A cell that knows nothing yet.
    pub(super) fn new(source: Arc<CredentialSource>, zone: Zone) -> Self {
        Self { source, zone, slot: OnceCell::new(), known: RefCell::default() }
    }

    fn slot(&self) -> Option<&Slot<'static>> {
        if self.slot.get().is_none() {
            let slot = find_or_claim(self.zone.words(), self.source.id(), clock::cached_s())?;
            let _ = self.slot.set(slot);
        }
        self.slot.get()
    }

    /// The credentials in force and their generation; `None` without usable ones.
    pub(super) fn current(&self) -> Option<(u64, Arc<Credentials>)> {
        self.refresh()?;
        let known = self.known.borrow();
        let credentials = known.credentials.as_ref()?;
        credentials
            .usable_at(clock::cached_s())
            .then(|| (known.generation, Arc::clone(credentials)))
    }

    /// The instance's region, where the source looked for it.
    pub(super) fn region(&self) -> Option<Region> {
        self.refresh()?;
        self.known.borrow().region.clone()
    }

    /// Reads what was published since; one atomic load when nothing was.
    fn refresh(&self) -> Option<()> {
        let slot = self.slot()?;
        if slot.generation() != self.known.borrow().generation
            && let Some(published) = slot.read()
        {
            *self.known.borrow_mut() = Known {
                generation: published.generation,
                credentials: Some(Arc::new(published.credentials)),
                region: published.region,
            };
        }
        Some(())
    }

    /// When the credentials end, in seconds since 1970 (`None` for those that do not, or are not there yet), and how fetches
    /// went.
    pub(super) fn status(&self) -> Option<(Option<u64>, SlotStatus)> {
        let slot = self.slot()?;
        let expires_s = slot.read().and_then(|it| it.credentials.expires_at_unix_s);
        Some((expires_s, slot.status()))
    }

    /// Asks for others in place of a refused generation.
    pub(super) fn request_refresh(&self, generation: u64) {
        if let Some(slot) = self.slot() {
            slot.request_refresh(generation);
        }
    }

    /// True when others than a refused generation are there.
    pub(super) fn is_newer_than(&self, generation: u64) -> bool {
        self.slot().is_some_and(|slot| slot.generation() > generation)
    }

    /// Starts this worker's fetcher.
    pub(super) fn start(&self) {
        let Some(slot) =
            find_or_claim(self.zone.words(), self.source.id(), clock::now_ms() / 1_000)
        else {
            log::process(
                log::Level::Alert,
                format_args!("aws: zone \"{ZONE_NAME}\" has no room for another source"),
            );
            return;
        };
        let source = Arc::clone(&self.source);
        worker::spawn("apigate-creds", move || Fetcher::new(source, slot).run(&Host));
    }
}

/// What a fetcher needs of its process.
struct Host;

impl Surroundings for Host {
    fn pid(&self) -> u32 {
        // SAFETY: set before threads are started.
        u32::try_from(unsafe { ngx_pid }).unwrap_or(0)
    }

    fn is_alive(&self, pid: u32) -> bool {
        // SAFETY: signal 0 is only a look; EPERM tells of a process of somebody else.
        pid != 0
            && (unsafe { libc::kill(pid as libc::pid_t, 0) } == 0
                || nginx_sys::ngx_errno() != libc::ESRCH)
    }

    fn now_ms(&self) -> u64 {
        clock::now_ms()
    }

    fn random(&self) -> u64 {
        ngx_random().unsigned_abs()
    }

    fn wait(&self, milliseconds: u64) -> bool {
        std::thread::park_timeout(Duration::from_millis(milliseconds));
        // SAFETY: flags that signal handlers set; a stale look ends the thread one turn later.
        unsafe { ngx_exiting == 0 && ngx_terminate == 0 && ngx_quit == 0 }
    }

    fn report(&self, source: &CredentialSource, event: &Event) {
        let from = source.description().to_owned();
        match event {
            Event::Published { expires_at_unix_s, .. } => {
                let expires = expires_at_unix_s.unwrap_or(0);
                worker::post(move || {
                    log::process(
                        log::Level::Notice,
                        format_args!("aws: credentials fetched, source={from}, expires={expires}"),
                    );
                });
            }
            Event::Unchanged => {}
            Event::Failed { error, failures, retry_in_ms } => {
                let (error, failures, retry_in_ms) = (error.to_string(), *failures, *retry_in_ms);
                worker::post(move || {
                    log::process(
                        log::Level::Error,
                        format_args!(
                            "aws: credentials not fetched, source={from}, failures={failures}, \
                             retry_ms={retry_in_ms}, error={error}"
                        ),
                    );
                });
            }
            Event::TooLarge => {
                worker::post(move || {
                    log::process(
                        log::Level::Error,
                        format_args!("aws: credentials are too large, source={from}"),
                    );
                });
            }
        }
    }
}
