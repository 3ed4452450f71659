//! Against a real `redis-server`, started here on loopback.

#![expect(clippy::disallowed_methods, reason = "a real server has real time")]

mod failures;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use proptest::prelude::Rng as _;
use proptest::test_runner::TestRng;
use redis::Commands as _;

use self::server::Server;
use super::*;
use crate::rate_limit::key::{CounterId, FleetKey, Key};
use crate::rate_limit::policy::{Charge, Counting, Spending, Terms, Verdict, check_and_charge};
use crate::rate_limit::rate::{Rate, Unit};
use crate::rate_limit::table::{Fingerprint, Seed, Table};
use crate::rate_limit::window::{Window, WindowKind};

type Arrival = (u64, Answer, Instant);

/// A client with its thread; answers and events arrive on channels.
struct Conversation {
    client: Client<u64>,
    answers: mpsc::Receiver<Arrival>,
    events: mpsc::Receiver<Event>,
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Conversation {
    fn start(url: &str, timeout: Duration) -> Self {
        let started = Instant::now();
        let clock: Clock = Arc::new(move || started.elapsed());
        let address = Address::parse(url).unwrap();
        let (client, runner) =
            Client::new(ClientConfig { zone: "z".to_owned(), address, timeout, clock });
        let (answer, answers) = mpsc::channel();
        let (event, events) = mpsc::channel();
        std::thread::spawn(move || {
            let complete = |given: Answers<u64>| {
                for (token, result) in given {
                    let _ = answer.send((token, result, Instant::now()));
                }
            };
            runner.run(complete, |happened| drop(event.send(happened)));
        });
        Self { client, answers, events }
    }

    /// A conversation whose timeouts do not matter.
    fn patient(server: &Server) -> Self {
        let conversation = Self::start(&server.url(), Duration::from_secs(5));
        conversation.expect(Event::Up);
        conversation
    }

    fn expect(&self, event: Event) {
        assert_eq!(self.events.recv_timeout(PATIENCE), Ok(event));
    }

    fn submit(&self, call: &Call, token: u64) -> Result<(), u64> {
        let submitted = self.client.submit(call, token);
        self.client.wake();
        submitted
    }

    fn ask(&self, call: &Call) -> Answer {
        self.submit(call, 0).map_err(|_| StoreError::Away)?;
        self.answers.recv_timeout(PATIENCE).unwrap().1
    }

    fn passes(&self, demands: &[Demand<'_>]) -> bool {
        let numbers = self.ask(&exact_call(demands)).unwrap();
        let mut verdict = Verdict::default();
        assert!(read_exact(&numbers, Spending::Charge, demands, &mut verdict));
        !verdict.is_refused()
    }
}

fn rates(text: &str) -> Vec<Rate> {
    text.split(' ').map(|rate| Rate::parse(rate).unwrap()).collect()
}

fn terms(rates: &[Rate]) -> Terms<'_> {
    Terms { rates, window: WindowKind::Fixed, cost: 1, counting: Counting::Allowed, dry_run: false }
}

fn exact_call(demands: &[Demand<'_>]) -> Call {
    let mut call = Call::default();
    write_exact(&mut call, Spending::Charge, demands);
    call
}

fn demand(key: FleetKey, terms: Terms<'_>) -> Demand<'_> {
    Demand { number: 0, zone: "z", key, terms }
}

/// The names of all counters but that of probes, which goes by itself.
fn counters(connection: &mut redis::Connection) -> Vec<String> {
    let mut names: Vec<String> = connection.keys("*").unwrap();
    names.retain(|name| *name != counter_name(key(0), Unit::Second));
    names
}

fn key(number: u8) -> FleetKey {
    FleetKey([number; 16])
}

fn counter_name(key: FleetKey, unit: Unit) -> String {
    let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{apigate:z}}:{hex}:{}", unit.symbol())
}

fn words() -> Vec<AtomicU64> {
    (0..64 * 1024 / 8).map(|_| AtomicU64::new(0)).collect()
}

#[test]
fn the_script_knows_the_calendar() {
    let server = Server::start(&[]);
    let units: String = Unit::ALL.iter().map(|unit| unit.symbol()).collect();
    let source = format!(
        "{}local r = {{}} for _, t in ipairs(ARGV) do for u in string.gmatch('{units}', '.') do \
         local s, f = window(u, tonumber(t)) r[#r + 1] = s r[#r + 1] = f end end return r",
        include_str!("windows.lua")
    );
    let mut runner = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[7; 32]);
    let mut moments: Vec<u64> = (0..3_000).map(|_| runner.next_u64() % 4_200_000_000).collect();
    for year in 1970..2100_u64 {
        // Round the ends of February and of the year.
        let january = Window::at(Unit::Year, (year - 1970) * 31_557_600_000 + 86_400_000 * 40);
        for day in [0, 30, 31, 58, 59, 60, 61, 364, 365, 366] {
            moments.push(january.start_ms / 1_000 + day * 86_400);
            moments.push((january.start_ms / 1_000 + day * 86_400).saturating_sub(1));
        }
    }
    for part in moments.chunks(500) {
        let mut call = redis::cmd("EVAL");
        call.arg(&source).arg(0).arg(part);
        let windows: Vec<u64> = call.query(&mut server.connection()).unwrap();
        let mut windows = windows.chunks(2);
        for moment in part {
            for unit in Unit::ALL {
                let expected = Window::at(unit, moment * 1_000);
                let expected = [expected.start_ms / 1_000, expected.end_ms / 1_000];
                assert_eq!(windows.next().unwrap(), expected, "{unit:?} {moment}");
            }
        }
    }
}

#[test]
fn the_store_decides_and_counts_as_the_table_does() {
    let server = Server::start(&[]);
    let conversation = Conversation::patient(&server);
    let words = words();
    let (table, _) = Table::attach(&words, Seed([1, 2])).unwrap();
    let mut random = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[3; 32]);
    // Long windows, so that none ends during the test.
    let lists = ["5r/M 9r/y", "12r/M", "30r/y", "7r/y"].map(rates);
    let (mut here, mut there) = (Verdict::default(), Verdict::default());
    let (mut refusals, mut passes) = (0, 0);
    for _ in 0..2_000 {
        let mut pick = |below: u64| random.next_u64() % below;
        let demands: Vec<(u8, Terms<'_>)> = (0..=pick(2))
            .map(|_| {
                let counting = if pick(5) == 0 { Counting::All } else { Counting::Allowed };
                let window = if pick(2) == 0 { WindowKind::Fixed } else { WindowKind::Sliding };
                let rates = &lists[pick(4) as usize];
                let (cost, dry_run) = (pick(4), pick(5) == 0);
                (pick(25) as u8, Terms { rates, window, cost, counting, dry_run })
            })
            .collect();
        // Two zones, and some requests that are refused elsewhere.
        let zone = |key: &u8| if key.is_multiple_of(2) { "z" } else { "other" };
        let ask = |(number, (k, terms)): (usize, &(u8, Terms<'_>))| {
            let terms = Terms {
                rates: &lists[lists.iter().position(|it| it == terms.rates).unwrap()],
                ..*terms
            };
            Demand { number, zone: zone(k), key: key(*k), terms }
        };
        let asked: Vec<_> = demands.iter().enumerate().map(ask).collect();
        let spending = if pick(10) == 0 { Spending::Refused } else { Spending::Charge };
        let mut call = Call::default();
        write_exact(&mut call, spending, &asked);
        let numbers = conversation.ask(&call).unwrap();
        assert!(read_exact(&numbers, spending, &asked, &mut there));
        let charges: Vec<_> = demands
            .iter()
            .enumerate()
            .map(|(number, (k, terms))| Charge {
                number,
                table,
                key: Fingerprint(u128::from(*k)),
                terms: *terms,
            })
            .collect();
        let now_ms = u64::try_from(numbers[0]).unwrap();
        check_and_charge(&charges, spending, now_ms, &mut here);
        assert_eq!(here.is_refused(), there.is_refused(), "{demands:?}");
        assert_eq!(here.would_refuse(), there.would_refuse(), "{demands:?}");
        assert_eq!(here.retry_after_s(), there.retry_after_s(), "{demands:?}");
        for (here, there) in here.standings().iter().zip(there.standings()) {
            assert_eq!((here.count, here.remaining), (there.count, there.remaining));
            assert_eq!((here.spent, here.added), (there.spent, there.added));
            assert_eq!((here.reset_ms, here.passes), (there.reset_ms, there.passes));
        }
        *(if here.is_refused() { &mut refusals } else { &mut passes }) += 1;
    }
    assert!(refusals > 200 && passes > 200, "{refusals} {passes}");
    for number in 0..25 {
        for unit in [Unit::Month, Unit::Year] {
            let name = counter_name(key(number), unit);
            let name = if number % 2 == 0 { name } else { name.replace(":z}", ":other}") };
            let stored: Option<String> = server.connection().get(name).unwrap();
            let stored = stored.map_or(0, |s| s.split(' ').nth(1).unwrap().parse().unwrap());
            let now_ms = here.standings()[0].count.window.end_ms - 1;
            let (_, count) = table.find(Fingerprint(u128::from(number)), unit, now_ms);
            assert_eq!(stored, count.current, "{number} {unit:?}");
        }
    }
}

#[test]
fn counters_carry_into_the_next_window_and_expire_after_it() {
    let server = Server::start(&[]);
    let mut connection = server.connection();
    let now_ms: (u64, u64) = redis::cmd("TIME").query(&mut connection).unwrap();
    let day = Window::at(Unit::Day, now_ms.0 * 1_000);
    let name = counter_name(key(1), Unit::Day);
    let stored = |days_ago: u64, count: u64| {
        format!("{} {count} 0 1", day.start_ms / 1_000 - days_ago * 86_400)
    };
    let conversation = Conversation::patient(&server);
    let list = rates("10r/d");
    let sliding = Terms { window: WindowKind::Sliding, ..terms(&list) };
    for (days_ago, expected_previous) in [(1, 1_000_000), (2, 0)] {
        let () = connection.set(&name, stored(days_ago, 1_000_000)).unwrap();
        let asked = [demand(key(1), sliding)];
        let numbers = conversation.ask(&exact_call(&asked)).unwrap();
        assert_eq!(numbers[1..4], [(day.start_ms / 1_000) as i64, 0, expected_previous]);
    }
    let seconds: u64 = connection.ttl(&name).unwrap();
    let until_s = day.end_ms / 1_000 + 86_400 - now_ms.0;
    assert!((until_s - 60..=until_s).contains(&seconds), "{seconds} {until_s}");
}

#[test]
fn three_hosts_pass_exactly_the_limit() {
    let server = Server::start(&[]);
    let hosts: Vec<_> = (0..3)
        .map(|_| {
            let conversation = Conversation::patient(&server);
            std::thread::spawn(move || {
                let list = rates("1000r/y");
                let asked = [demand(key(1), terms(&list))];
                for token in 0..2_000 {
                    conversation.submit(&exact_call(&asked), token).unwrap();
                }
                let mut passed = 0;
                for _ in 0..2_000 {
                    let (_, numbers, _) = conversation.answers.recv_timeout(PATIENCE).unwrap();
                    let mut verdict = Verdict::default();
                    let numbers = numbers.unwrap();
                    assert!(read_exact(&numbers, Spending::Charge, &asked, &mut verdict));
                    passed += u64::from(!verdict.is_refused());
                }
                passed
            })
        })
        .collect();
    let passed: u64 = hosts.into_iter().map(|host| host.join().unwrap()).sum();
    assert_eq!(passed, 1_000);
}

const INTERVAL: Duration = Duration::from_secs(1);

/// One host in batch mode.
struct Host {
    words: Vec<AtomicU64>,
    batcher: Batcher,
    conversation: Conversation,
    verdict: Verdict,
}

impl Host {
    fn new(server: &Server, seed: u64) -> Self {
        let words = words();
        Table::attach(&words, Seed([seed, seed])).unwrap();
        let conversation = Conversation::patient(server);
        let batcher = Batcher::new(INTERVAL);
        Self { words, batcher, conversation, verdict: Verdict::default() }
    }

    fn request(&mut self, terms: Terms<'_>, now_ms: u64) -> bool {
        let table = Table::view(&self.words).unwrap();
        let (counter, key) = (CounterId::named("n"), Key::Consumer(b"alice"));
        let local = key.fingerprint(&counter, table.seed());
        let charge = Charge { number: 0, table, key: local, terms };
        check_and_charge(&[charge], Spending::Charge, now_ms, &mut self.verdict);
        for standing in self.verdict.standings() {
            let fleet = key.fleet_name(&counter);
            self.batcher.record(fleet, local, terms.window, standing, now_ms);
        }
        !self.verdict.is_refused()
    }

    fn exchange(&mut self, now_ms: u64) {
        let table = Table::view(&self.words).unwrap();
        for (call, parcel) in self.batcher.flush("z", now_ms) {
            let numbers = self.conversation.ask(&call).unwrap();
            assert!(self.batcher.apply(&table, &parcel, &numbers, now_ms));
        }
    }
}

#[test]
fn hosts_that_exchange_what_they_counted_stay_within_the_bound() {
    let server = Server::start(&[]);
    let seconds: (u64, u64) = redis::cmd("TIME").query(&mut server.connection()).unwrap();
    let now_ms = seconds.0 * 1_000;
    let list = rates("1000r/y");
    let mut hosts = [1, 2, 3].map(|seed| Host::new(&server, seed));
    let mut passed = 0;
    for _ in 0..60 {
        for host in &mut hosts {
            passed += (0..10).filter(|_| host.request(terms(&list), now_ms)).count();
        }
        for host in &mut hosts {
            host.exchange(now_ms);
        }
    }
    // The other two hosts let 10 through in an interval.
    assert!((1_000..=1_000 + 2 * 2 * 10).contains(&passed), "{passed}");
    let stored = counters(&mut server.connection());
    let stored: String = server.connection().get(&stored[0]).unwrap();
    assert_eq!(stored.split(' ').nth(1), Some(passed.to_string().as_str()));
}

#[test]
fn an_idle_host_hears_of_the_others_with_its_first_request() {
    let server = Server::start(&[]);
    let seconds: (u64, u64) = redis::cmd("TIME").query(&mut server.connection()).unwrap();
    let mut now_ms = seconds.0 * 1_000;
    let list = rates("10r/y");
    let [mut idle, mut busy] = [1, 2].map(|seed| Host::new(&server, seed));
    // What an event loop does after a request.
    let request = |host: &mut Host, now_ms| {
        let passes = host.request(terms(&list), now_ms);
        if host.batcher.is_urgent(now_ms) {
            host.exchange(now_ms);
        }
        passes
    };
    assert!(request(&mut idle, now_ms));
    assert_eq!((0..10).filter(|_| request(&mut busy, now_ms)).count(), 9);
    busy.exchange(now_ms);
    now_ms += 60_000;
    assert_eq!((0..10).filter(|_| request(&mut idle, now_ms)).count(), 1);
    assert!(!idle.batcher.is_urgent(now_ms + 60_000));
}

#[test]
fn a_counter_is_urgent_when_it_was_not_handed_over_for_an_interval() {
    let server = Server::start(&[]);
    let mut host = Host::new(&server, 1);
    let list = rates("1000r/y");
    for (now_ms, urgent, due) in [
        (1_000_000_000_000, true, true),
        (1_000_000_000_500, false, false),
        (1_000_000_001_000, false, true),
        (1_000_000_002_001, true, true),
        (1_000_000_002_005, false, false),
    ] {
        host.request(terms(&list), now_ms);
        assert_eq!(host.batcher.is_urgent(now_ms), urgent, "{now_ms}");
        assert_eq!(host.batcher.is_due(now_ms), due, "{now_ms}");
        if urgent {
            let _ = host.batcher.flush("z", now_ms);
        }
    }
}

#[test]
fn what_could_not_be_handed_over_is_kept_and_late_deltas_go_to_their_own_window() {
    let server = Server::start(&[]);
    let seconds: (u64, u64) = redis::cmd("TIME").query(&mut server.connection()).unwrap();
    let today = Window::at(Unit::Day, seconds.0 * 1_000);
    let list = rates("100r/d");
    let mut host = Host::new(&server, 1);
    let sliding = Terms { window: WindowKind::Sliding, ..terms(&list) };
    for _ in 0..5 {
        host.request(sliding, today.start_ms - 1);
    }
    let [(_, parcel)] = <[_; 1]>::try_from(host.batcher.flush("z", 0)).unwrap();
    host.batcher.restore(parcel, today.start_ms);
    for _ in 0..3 {
        host.request(sliding, today.start_ms);
    }
    host.exchange(today.start_ms);
    let names = counters(&mut server.connection());
    let stored: String = server.connection().get(&names[0]).unwrap();
    assert_eq!(stored, format!("{} 3 5 1", today.start_ms / 1_000));
    // A day later nobody needs the first five any more.
    for _ in 0..5 {
        host.request(sliding, today.start_ms - 1 - 86_400_000);
    }
    let [(_, parcel)] = <[_; 1]>::try_from(host.batcher.flush("z", 0)).unwrap();
    host.batcher.restore(parcel, today.end_ms + 86_400_000);
    assert!(host.batcher.flush("z", 0).is_empty());
}
