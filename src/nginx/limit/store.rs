//! The fleet's store in a worker: its thread, what waits to be handed over, and who waits for an answer.

use crate::nginx::main_conf::MainConf;
use crate::nginx::{clock, log, suspend, worker};
use crate::rate_limit::fleet::{
    Answer, Answers, Batcher, Call, Client, ClientConfig, Demand, Event, Parcel, write_exact,
};
use crate::rate_limit::key::FleetKey;
use crate::rate_limit::policy::{Spending, Standing};
use crate::rate_limit::table::Fingerprint;
use crate::rate_limit::window::WindowKind;
use crate::rate_limit::{StorePlan, Sync};
use std::cell::RefCell;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Who an answer is for.
enum Token {
    /// A request that waits.
    Request(u64),
    /// Deltas of the zone of this number.
    Parcel(usize, Parcel),
}

/// A zone's Redis, seen from the event loop.
pub(super) struct Store {
    client: Client<Token>,
    number: usize,
    sync: Sync,
    batcher: RefCell<Batcher>,
    /// The memory of the call in hand.
    call: RefCell<Call>,
}

impl Store {
    /// Starts the conversation. Beside it something that is told once the store is connected, or cannot be.
    pub(super) fn start(name: &str, plan: &StorePlan, number: usize) -> (Self, Receiver<()>) {
        let config = ClientConfig {
            zone: name.to_owned(),
            address: plan.address.clone(),
            timeout: plan.timeout,
            clock: clock::monotonic(),
        };
        let (client, runner) = Client::new(config);
        let name = name.to_owned();
        let (told, first): (Sender<()>, Receiver<()>) = channel();
        worker::spawn("apigate-limits", move || {
            // The worker's end waits for this thread, which ends when the client is dropped.
            let _working = worker::working();
            runner.run(complete, |event| {
                report(&name, event);
                let _ = told.send(());
            });
        });
        let store = Self {
            client,
            number,
            sync: plan.sync,
            batcher: RefCell::new(Batcher::new(match plan.sync {
                Sync::Exact => Duration::ZERO,
                Sync::Each(interval) => interval,
            })),
            call: RefCell::default(),
        };
        (store, first)
    }

    /// How often deltas are exchanged; `None` in exact mode.
    pub(super) fn interval(&self) -> Option<Duration> {
        match self.sync {
            Sync::Exact => None,
            Sync::Each(interval) => Some(interval),
        }
    }

    /// False while the store is taken to be away.
    pub(super) fn is_up(&self) -> bool {
        self.client.is_up()
    }

    /// Asks on behalf of a request that will wait, once the store's thread is [woken](Self::wake); false when nobody would
    /// answer.
    pub(super) fn ask(&self, spending: Spending, demands: &[Demand<'_>], waiting: u64) -> bool {
        if !self.is_up() {
            return false;
        }
        let call = &mut *self.call.borrow_mut();
        write_exact(call, spending, demands);
        self.client.submit(call, Token::Request(waiting)).is_ok()
    }

    /// Has everything sent that was asked, and what is urgent.
    pub(super) fn wake(&self, zone: &str) {
        if self.is_urgent() {
            self.flush(zone, clock::cached_ms());
        }
        self.client.wake();
    }

    /// Notes what a request has spent on this host.
    pub(super) fn record(
        &self,
        key: FleetKey,
        local: Fingerprint,
        window: WindowKind,
        standing: &Standing,
    ) {
        let now_ms = clock::cached_ms();
        self.batcher.borrow_mut().record(key, local, window, standing, now_ms);
    }

    /// Whether what was noted cannot wait for the interval's end.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_up() && self.batcher.borrow().is_urgent(clock::cached_ms())
    }

    /// Hands over what was counted since, when it is time.
    pub(super) fn tick(&self, zone: &str, now_ms: u64) {
        if self.interval().is_some() && self.batcher.borrow().is_due(now_ms) {
            self.flush(zone, now_ms);
        }
    }

    /// Hands over what was counted since, unless the store is away.
    pub(super) fn flush(&self, zone: &str, now_ms: u64) {
        if !self.is_up() {
            return;
        }
        let parcels = self.batcher.borrow_mut().flush(zone, now_ms);
        for (call, parcel) in parcels {
            let token = Token::Parcel(self.number, parcel);
            if let Err(Token::Parcel(_, parcel)) = self.client.submit(&call, token) {
                self.batcher.borrow_mut().restore(parcel, now_ms);
            }
        }
        self.client.wake();
    }
}

/// Runs on the store's thread: brings answers into the event loop.
fn complete(answers: Answers<Token>) {
    worker::post(move || {
        for (token, answer) in answers {
            match token {
                Token::Request(waiting) => suspend::resume(waiting, |request| {
                    super::take_answer(request, waiting, answer);
                }),
                Token::Parcel(number, parcel) => arrive(number, parcel, answer),
            }
        }
    });
}

/// Takes in what the fleet has counted.
fn arrive(number: usize, parcel: Parcel, answer: Answer) {
    let Some(zone) = MainConf::current().and_then(|main| main.limit_zones.get(number)) else {
        return;
    };
    let store = zone.store.borrow();
    let Some(store) = store.as_ref() else { return };
    let now_ms = clock::cached_ms();
    match (answer, zone.table()) {
        (Ok(numbers), Some(table)) => {
            let applied = {
                let _held = zone.lock();
                store.batcher.borrow().apply(&table, &parcel, &numbers, now_ms)
            };
            if !applied {
                log::process(
                    log::Level::Error,
                    format_args!(
                        "rate_limit: zone \"{}\", unexpected answer of redis",
                        zone.plan.name
                    ),
                );
            }
        }
        _ => store.batcher.borrow_mut().restore(parcel, now_ms),
    }
}

/// Runs on the store's thread: tells the operator what has changed.
fn report(zone: &str, event: Event) {
    let zone = zone.to_owned();
    worker::post(move || match event {
        Event::Up => log::process(
            log::Level::Notice,
            format_args!("rate_limit: zone \"{zone}\" counts in redis"),
        ),
        Event::Down(reason) => log::process(
            log::Level::Error,
            format_args!("rate_limit: zone \"{zone}\" cannot count in redis, reason={reason}"),
        ),
        Event::Refused(reason) => log::process(
            log::Level::Error,
            format_args!(
                "rate_limit: zone \"{zone}\" could not count a key in redis, reason={reason}"
            ),
        ),
    });
}
