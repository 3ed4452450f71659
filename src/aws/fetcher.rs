//! The loop of a helper thread that keeps one source's slot filled.
//!
//! Every worker runs it; the slot lets one of them lead. The clock, chance, the look at a pid and the waiting are given, so
//! that nothing here knows nginx and tests need not wait.

use std::sync::Arc;

use super::provider::error::FetchError;
use super::refresh::Schedule;
use super::slot::{Slot, Snapshot};
use super::source::{CredentialSource, Fetched};

/// How often the leader looks whether requests want other credentials.
pub const LEADER_POLL_MS: u64 = 100;
/// How often the others look whether the leader is still there.
pub const FOLLOWER_POLL_MS: u64 = 1_000;

/// What a process gives its fetchers.
pub trait Surroundings {
    /// This process's pid.
    fn pid(&self) -> u32;
    /// True when a pid is a living process.
    fn is_alive(&self, pid: u32) -> bool;
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// Any number, each time another.
    fn random(&self) -> u64;
    /// Waits for so long, or until woken; false when the process is about to end.
    fn wait(&self, milliseconds: u64) -> bool;
    /// Takes what is worth a line in the log or a wake-up of waiting requests.
    fn report(&self, source: &CredentialSource, event: &Event);
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Fresh credentials are in force for all processes.
    Published {
        /// Theirs.
        generation: u64,
        /// Their end in seconds since 1970, if they have one.
        expires_at_unix_s: Option<u64>,
    },
    /// The source gave the same credentials again.
    Unchanged,
    /// The source gave none; what there is serves on while it lasts.
    Failed {
        /// Why.
        error: FetchError,
        /// Failures since the last good fetch.
        failures: u32,
        /// When the next fetch is due, in milliseconds from now.
        retry_in_ms: u64,
    },
    /// The credentials do not fit a slot.
    TooLarge,
}

/// Keeps one source's slot filled while this process leads.
#[derive(Debug)]
pub struct Fetcher<'a> {
    source: Arc<CredentialSource>,
    slot: Slot<'a>,
    schedule: Option<Schedule>,
}

impl<'a> Fetcher<'a> {
    /// A fetcher that does not lead yet.
    pub fn new(source: Arc<CredentialSource>, slot: Slot<'a>) -> Self {
        Self { source, slot, schedule: None }
    }

    /// Runs until the process is about to end; then others may lead at once.
    pub fn run(&mut self, surroundings: &impl Surroundings) {
        loop {
            let pause_ms = self.step(surroundings);
            if !surroundings.wait(pause_ms) {
                break;
            }
        }
        self.slot.resign(surroundings.pid());
    }

    /// Does what is due and says how long nothing will be, in milliseconds. Blocks while it fetches.
    pub fn step(&mut self, surroundings: &impl Surroundings) -> u64 {
        let now_ms = surroundings.now_ms();
        if !self.leads(surroundings, now_ms) {
            self.schedule = None;
            return FOLLOWER_POLL_MS;
        }
        let mut schedule = match self.schedule.take() {
            Some(schedule) => schedule,
            None => self.take_over(now_ms, surroundings.random()),
        };
        if self.slot.refresh_wanted() {
            schedule.force(now_ms);
        }
        if schedule.due_ms() <= now_ms {
            self.fetch(surroundings, &mut schedule);
        }
        let pause_ms = schedule.due_ms().saturating_sub(surroundings.now_ms());
        self.schedule = Some(schedule);
        pause_ms.min(LEADER_POLL_MS)
    }

    fn leads(&self, surroundings: &impl Surroundings, now_ms: u64) -> bool {
        let is_alive = |pid| surroundings.is_alive(pid);
        self.slot.try_lead(surroundings.pid(), now_ms / 1_000, is_alive)
    }

    /// The schedule of what the leader before has left.
    fn take_over(&self, now_ms: u64, random: u64) -> Schedule {
        let serves = |snapshot: &Snapshot| {
            let has_region = snapshot.region.is_some() || !self.source.wants_region();
            snapshot.credentials.usable_at(now_ms / 1_000) && has_region
        };
        let Some(snapshot) = self.slot.read().filter(serves) else { return Schedule::new() };
        let expires_ms = snapshot.credentials.expires_at_unix_s.map(|end| end * 1_000);
        Schedule::resumed(snapshot.fetched_at_unix_s * 1_000, expires_ms, random)
    }

    fn fetch(&self, surroundings: &impl Surroundings, schedule: &mut Schedule) {
        let result = self.source.fetch(surroundings.now_ms() / 1_000);
        let (now_ms, random) = (surroundings.now_ms(), surroundings.random());
        // the fetch may have outlived the lease
        if !self.leads(surroundings, now_ms) {
            return;
        }
        let event = match result {
            Ok(fetched) => self.succeed(&fetched, schedule, surroundings, now_ms, random),
            Err(error) => {
                schedule.failed(now_ms, random);
                self.slot.record_failure(&error, now_ms / 1_000);
                let retry_in_ms = schedule.due_ms().saturating_sub(now_ms);
                Some(Event::Failed { error, failures: schedule.failures(), retry_in_ms })
            }
        };
        if let Some(event) = event {
            surroundings.report(&self.source, &event);
        }
    }

    fn succeed(
        &self,
        fetched: &Fetched,
        schedule: &mut Schedule,
        surroundings: &impl Surroundings,
        now_ms: u64,
        random: u64,
    ) -> Option<Event> {
        let expires_at_unix_s = fetched.credentials.expires_at_unix_s;
        let is_same = |old: Snapshot| {
            let region_too = fetched.region.is_none() || fetched.region == old.region;
            old.credentials == fetched.credentials && region_too
        };
        let unchanged = self.slot.read().is_some_and(is_same);
        schedule.succeeded(now_ms, expires_at_unix_s.map(|end| end * 1_000), unchanged, random);
        // asked for by requests, the same ones are published again: they wait for a new generation
        if unchanged && !self.slot.refresh_wanted() {
            self.slot.record_success();
            return Some(Event::Unchanged);
        }
        let pid = surroundings.pid();
        match self.slot.publish(pid, fetched, now_ms / 1_000) {
            Some(generation) => {
                self.slot.record_success();
                Some(Event::Published { generation, expires_at_unix_s })
            }
            // too large, if the lead was not lost just now
            None if self.leads(surroundings, now_ms) => Some(Event::TooLarge),
            None => None,
        }
    }
}

#[cfg(test)]
#[path = "fetcher_tests.rs"]
mod tests;
