//! The loop against a real container endpoint, with a clock that tests set.

use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::super::environment::Environment;
use super::super::provider::testing::Server;
use super::super::slot::{find_or_claim, table_words};
use super::super::source::Choice;
use super::*;

/// 2026-11-23T10:00:00Z
const START_UNIX_S: u64 = 1_795_428_000;
const START_MS: u64 = START_UNIX_S * 1_000;
const ALICE: u32 = 100;
const BOB: u32 = 200;

/// A process with a clock of its own; `random` is always 0, which renews with 10 % left.
struct Process {
    pid: u32,
    now_ms: Cell<u64>,
    dead: Cell<u32>,
    waits_left: Cell<u32>,
    events: RefCell<Vec<Event>>,
}

impl Process {
    fn new(pid: u32) -> Self {
        Self {
            pid,
            now_ms: Cell::new(START_MS),
            dead: Cell::new(0),
            waits_left: Cell::new(0),
            events: RefCell::default(),
        }
    }

    fn at(&self, after_ms: u64) -> &Self {
        self.now_ms.set(START_MS + after_ms);
        self
    }

    fn events(&self) -> Vec<Event> {
        self.events.take()
    }
}

impl Surroundings for Process {
    fn pid(&self) -> u32 {
        self.pid
    }
    fn is_alive(&self, pid: u32) -> bool {
        pid != self.dead.get()
    }
    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }
    fn random(&self) -> u64 {
        0
    }
    fn wait(&self, milliseconds: u64) -> bool {
        self.now_ms.set(self.now_ms() + milliseconds);
        let left = self.waits_left.get();
        self.waits_left.set(left.saturating_sub(1));
        left > 0
    }
    fn report(&self, _: &CredentialSource, event: &Event) {
        self.events.borrow_mut().push(event.clone());
    }
}

/// An endpoint that answers from a list: an access key and its end in seconds after the start; `None` is a 500.
struct Endpoint {
    server: Server,
    answers: Arc<Mutex<Option<(&'static str, u64)>>>,
}

impl Endpoint {
    fn new() -> Self {
        let answers = Arc::new(Mutex::new(None));
        let given = Arc::clone(&answers);
        let server = Server::start(move |_| {
            let Some((key, end_s)) = *given.lock().unwrap() else { return (500, String::new()) };
            let (minute, second) = (end_s / 60 % 60, end_s % 60);
            let hour = 10 + end_s / 3_600;
            let body = format!(
                r#"{{"AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T{hour:02}:{minute:02}:{second:02}Z"}}"#
            );
            (200, body)
        });
        Self { server, answers }
    }

    fn gives(&self, answer: Option<(&'static str, u64)>) {
        *self.answers.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.server.asked().len()
    }

    fn source(&self) -> Arc<CredentialSource> {
        let url = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", self.server.url())];
        let environment = Arc::new(Environment::from_iter(url));
        Arc::new(CredentialSource::new(Choice::Container, None, None, &environment))
    }
}

fn table() -> Vec<AtomicU64> {
    (0..table_words()).map(|_| AtomicU64::new(0)).collect()
}

fn fetcher<'a>(table: &'a [AtomicU64], source: &Arc<CredentialSource>) -> Fetcher<'a> {
    let slot = find_or_claim(table, source.id(), START_UNIX_S).unwrap();
    Fetcher::new(Arc::clone(source), slot)
}

fn published(generation: u64, after_s: u64) -> Event {
    Event::Published { generation, expires_at_unix_s: Some(START_UNIX_S + after_s) }
}

#[test]
fn one_process_fetches_and_the_other_takes_over_where_it_died() {
    let (endpoint, table) = (Endpoint::new(), table());
    let source = endpoint.source();
    let (mut alices, mut bobs) = (fetcher(&table, &source), fetcher(&table, &source));
    let (alice, bob) = (Process::new(ALICE), Process::new(BOB));
    endpoint.gives(Some(("ONE", 1_000)));
    assert_eq!(alices.step(&alice), LEADER_POLL_MS);
    assert_eq!(alice.events(), [published(1, 1_000)]);
    assert_eq!(bobs.step(&bob), FOLLOWER_POLL_MS);
    assert_eq!(bobs.slot.read().unwrap().credentials.access_key_id, "ONE");

    // not due yet, and not due for Bob either when he takes over
    alices.step(alice.at(899_000));
    bob.dead.set(ALICE);
    assert_eq!(bobs.step(bob.at(899_950)), 50);
    assert_eq!((endpoint.asked(), bob.events()), (1, vec![]));
    endpoint.gives(Some(("TWO", 2_000)));
    bobs.step(bob.at(900_000));
    assert_eq!(bob.events(), [published(2, 2_000)]);
    assert_eq!(endpoint.asked(), 2);
}

#[test]
fn a_process_that_leads_again_goes_by_what_was_published_meanwhile() {
    let (endpoint, table) = (Endpoint::new(), table());
    let source = endpoint.source();
    let (mut alices, mut bobs) = (fetcher(&table, &source), fetcher(&table, &source));
    let (alice, bob) = (Process::new(ALICE), Process::new(BOB));
    endpoint.gives(Some(("ONE", 1_000)));
    alices.step(&alice);
    // Alice is stopped for longer than her lease; Bob renews what is refused
    endpoint.gives(Some(("TWO", 10_000)));
    bobs.slot.request_refresh(1);
    bobs.step(bob.at(100_000));
    assert_eq!(bob.events(), [published(2, 10_000)]);
    assert_eq!(alices.step(alice.at(100_100)), FOLLOWER_POLL_MS);
    // Bob dies; by her own schedule Alice would fetch now
    alice.dead.set(BOB);
    alice.events();
    alices.step(alice.at(900_000));
    assert_eq!((alices.slot.status().leader, endpoint.asked()), (ALICE, 2));
    assert_eq!(alice.events(), []);
}

#[test]
fn while_the_source_is_away_the_old_credentials_stay_in_force() {
    let (endpoint, table) = (Endpoint::new(), table());
    let mut fetcher = fetcher(&table, &endpoint.source());
    let process = Process::new(ALICE);
    endpoint.gives(Some(("ONE", 100)));
    fetcher.step(&process);
    endpoint.gives(None);
    process.events();
    // 90 s, then after 0.75 s, 1.5 s, 3 s: the backoff's lower ends
    for (after_ms, failures, retry_in_ms) in
        [(90_000, 1, 750), (90_750, 2, 1_500), (92_250, 3, 3_000)]
    {
        fetcher.step(process.at(after_ms - 1));
        assert_eq!(process.events(), []);
        fetcher.step(process.at(after_ms));
        let Some(Event::Failed { error, failures: seen, retry_in_ms: retry }) =
            process.events().pop()
        else {
            panic!("no failure at {after_ms}")
        };
        assert_eq!((seen, retry), (failures, retry_in_ms));
        assert_eq!(error.to_string(), "container: refused with status 500: no reason given");
        assert_eq!(fetcher.slot.read().unwrap().credentials.access_key_id, "ONE");
    }
    assert_eq!(fetcher.slot.status().failures, 3);
    endpoint.gives(Some(("TWO", 200)));
    fetcher.step(process.at(95_250));
    assert_eq!(process.events(), [published(2, 200)]);
    assert_eq!(fetcher.slot.status().failures, 0);
}

#[test]
fn many_refusals_of_one_generation_are_one_fetch() {
    let (endpoint, table) = (Endpoint::new(), table());
    let mut fetcher = fetcher(&table, &endpoint.source());
    let process = Process::new(ALICE);
    endpoint.gives(Some(("ONE", 1_000)));
    fetcher.step(&process);
    process.events();
    for _ in 0..100 {
        fetcher.slot.request_refresh(1);
    }
    // the same again: a new generation all the same, or requests would wait in vain
    for (after_ms, expected) in [(10_000, vec![published(2, 1_000)]), (10_100, vec![])] {
        fetcher.step(process.at(after_ms));
        assert_eq!(process.events(), expected);
    }
    // refused again at once: not before the spacing is over
    fetcher.slot.request_refresh(2);
    fetcher.step(process.at(10_999));
    assert_eq!((endpoint.asked(), process.events()), (2, vec![]));
    endpoint.gives(Some(("TWO", 1_000)));
    fetcher.step(process.at(11_000));
    assert_eq!((endpoint.asked(), process.events()), (3, vec![published(3, 1_000)]));
}

#[test]
fn the_same_credentials_again_are_no_news() {
    let (endpoint, table) = (Endpoint::new(), table());
    let mut fetcher = fetcher(&table, &endpoint.source());
    let process = Process::new(ALICE);
    endpoint.gives(Some(("ONE", 1_000)));
    fetcher.step(&process);
    fetcher.step(process.at(900_000));
    assert_eq!(process.events(), [published(1, 1_000), Event::Unchanged]);
    assert_eq!(fetcher.slot.generation(), 1);
    assert_eq!(fetcher.slot.status().fetches_good, 2);
}

#[test]
fn a_process_that_ends_lets_another_lead_at_once() {
    let (endpoint, table) = (Endpoint::new(), table());
    let source = endpoint.source();
    endpoint.gives(Some(("ONE", 1_000)));
    let alice = Process::new(ALICE);
    alice.waits_left.set(3);
    let mut alices = fetcher(&table, &source);
    alices.run(&alice);
    assert_eq!(alice.now_ms(), START_MS + 4 * LEADER_POLL_MS);
    assert_eq!(alice.events(), [published(1, 1_000)]);
    let mut bobs = fetcher(&table, &source);
    assert_eq!(bobs.step(&Process::new(BOB)), LEADER_POLL_MS);
    assert_eq!(bobs.slot.status().leader, BOB);
    assert_eq!(endpoint.asked(), 1);
}
