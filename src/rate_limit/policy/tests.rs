use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::rate_limit::table::Seed;
use crate::rate_limit::write_headers;

const NOW_MS: u64 = 1_795_430_430_000; // Monday 2026-11-23T10:40:30Z

fn words() -> Vec<AtomicU64> {
    (0..64 * 1024 / 8).map(|_| AtomicU64::new(0)).collect()
}

fn rates(text: &str) -> Vec<Rate> {
    text.split(' ').map(|rate| Rate::parse(rate).unwrap()).collect()
}

fn terms(rates: &[Rate]) -> Terms<'_> {
    Terms { rates, window: WindowKind::Fixed, cost: 1, counting: Counting::Allowed, dry_run: false }
}

/// A table and the demands of one location.
struct Location<'a> {
    table: Table<'a>,
    charges: Vec<Charge<'a>>,
    verdict: Verdict,
}

impl<'a> Location<'a> {
    fn new(words: &'a [AtomicU64], terms: &[(u128, Terms<'a>)]) -> Self {
        let (table, _) = Table::attach(words, Seed([1, 2])).unwrap();
        let charge = |(number, (key, terms)): (usize, &(u128, Terms<'a>))| Charge {
            number,
            table,
            key: Fingerprint(*key),
            terms: *terms,
        };
        Self {
            table,
            charges: terms.iter().enumerate().map(charge).collect(),
            verdict: Verdict::default(),
        }
    }

    fn request(&mut self, now_ms: u64) -> bool {
        check_and_charge(&self.charges, Spending::Charge, now_ms, &mut self.verdict);
        !self.verdict.is_refused()
    }

    fn passed(&mut self, requests: usize, now_ms: u64) -> usize {
        (0..requests).filter(|_| self.request(now_ms)).count()
    }

    fn count(&self, key: u128, unit: Unit) -> u64 {
        self.table.find(Fingerprint(key), unit, NOW_MS).1.current
    }

    fn headers(&self) -> String {
        let mut text = String::new();
        if let Some(tightest) = self.verdict.tightest() {
            let shown = [tightest.rate.limit, tightest.remaining, Verdict::reset_s(tightest)];
            write_headers(&self.verdict, shown, |name, value| {
                text += &format!("{name}: {value}\n")
            });
        }
        text
    }
}

#[test]
fn headers_show_every_rate_and_the_tightest_with_the_request_counted() {
    let (words, rates) = (words(), rates("5r/m 100r/d"));
    let mut location = Location::new(&words, &[(1, terms(&rates))]);
    assert!(location.request(NOW_MS));
    assert_eq!(
        location.headers(),
        "X-RateLimit-Limit-Minute: 5\nX-RateLimit-Remaining-Minute: 4\n\
         X-RateLimit-Limit-Day: 100\nX-RateLimit-Remaining-Day: 99\n\
         RateLimit-Limit: 5\nRateLimit-Remaining: 4\nRateLimit-Reset: 30\n"
    );
    assert_eq!(location.verdict.retry_after_s(), None);
    location.passed(4, NOW_MS);
    assert!(!location.request(NOW_MS + 1));
    assert_eq!(
        location.headers(),
        "X-RateLimit-Limit-Minute: 5\nX-RateLimit-Remaining-Minute: 0\n\
         X-RateLimit-Limit-Day: 100\nX-RateLimit-Remaining-Day: 95\n\
         RateLimit-Limit: 5\nRateLimit-Remaining: 0\nRateLimit-Reset: 30\n"
    );
    assert_eq!(location.verdict.retry_after_s(), Some(30));
    assert!(location.request(NOW_MS + 30_000));
}

#[test]
fn every_unit_has_its_header() {
    let (words, rates) = (words(), rates("1r/s 2r/m 3r/h 4r/d 5r/w 6r/M 7r/y"));
    let mut location = Location::new(&words, &[(1, terms(&rates))]);
    location.request(NOW_MS);
    assert_eq!(
        location.headers(),
        "X-RateLimit-Limit-Second: 1\nX-RateLimit-Remaining-Second: 0\n\
         X-RateLimit-Limit-Minute: 2\nX-RateLimit-Remaining-Minute: 1\n\
         X-RateLimit-Limit-Hour: 3\nX-RateLimit-Remaining-Hour: 2\n\
         X-RateLimit-Limit-Day: 4\nX-RateLimit-Remaining-Day: 3\n\
         X-RateLimit-Limit-Week: 5\nX-RateLimit-Remaining-Week: 4\n\
         X-RateLimit-Limit-Month: 6\nX-RateLimit-Remaining-Month: 5\n\
         X-RateLimit-Limit-Year: 7\nX-RateLimit-Remaining-Year: 6\n\
         RateLimit-Limit: 1\nRateLimit-Remaining: 0\nRateLimit-Reset: 1\n"
    );
}

#[test]
fn a_tie_for_tightest_goes_to_the_longer_window_and_one_unit_shows_its_least_remaining() {
    let (words, first, second) = (words(), rates("10r/m 10r/h"), rates("3r/m"));
    let mut location = Location::new(&words, &[(1, terms(&first)), (2, terms(&second))]);
    location.request(NOW_MS);
    assert_eq!(location.verdict.of_unit(Unit::Minute).unwrap().rate.limit, 3);
    location.charges.pop();
    location.request(NOW_MS);
    let tightest = location.verdict.tightest().unwrap();
    assert_eq!((tightest.rate.unit, tightest.remaining), (Unit::Hour, 8));
    assert_eq!(tightest.reset_ms, 1_170_000);
}

#[test]
fn a_refused_request_spends_nothing_anywhere_unless_a_directive_counts_all() {
    let (words, tight, wide) = (words(), rates("2r/m 100r/d"), rates("100r/h"));
    let all = Terms { counting: Counting::All, ..terms(&wide) };
    let mut location = Location::new(&words, &[(1, terms(&tight)), (2, terms(&wide)), (3, all)]);
    assert_eq!(location.passed(7, NOW_MS), 2);
    assert_eq!(location.count(1, Unit::Minute), 2);
    assert_eq!(location.count(1, Unit::Day), 2);
    assert_eq!(location.count(2, Unit::Hour), 2);
    assert_eq!(location.count(3, Unit::Hour), 7);
}

#[test]
fn a_directive_that_counts_all_counts_beyond_its_own_limit() {
    let (words, rates) = (words(), rates("3r/m"));
    let all = Terms { counting: Counting::All, window: WindowKind::Sliding, ..terms(&rates) };
    let mut location = Location::new(&words, &[(1, all)]);
    assert_eq!(location.passed(10, NOW_MS), 3);
    assert_eq!(location.count(1, Unit::Minute), 10);
    // In the next minute, 10 × left/60 + 1 <= 3 after 48 s.
    assert_eq!(location.verdict.retry_after_s(), Some(30 + 48));
    assert_eq!(location.verdict.tightest().unwrap().remaining, 0);
}

#[test]
fn dry_run_refuses_nobody_shows_nothing_and_counts_as_if_it_did() {
    let (words, tight, wide) = (words(), rates("2r/m"), rates("4r/m"));
    let watched = Terms { dry_run: true, ..terms(&tight) };
    let mut location = Location::new(&words, &[(1, watched), (2, terms(&wide))]);
    assert_eq!(location.passed(3, NOW_MS), 3);
    assert!(location.verdict.would_refuse());
    assert_eq!(location.count(1, Unit::Minute), 2);
    assert_eq!(location.count(2, Unit::Minute), 3);
    assert_eq!(location.verdict.tightest().unwrap().rate.limit, 4);
    assert!(!location.headers().contains(": 2\n"));
    assert_eq!(location.passed(3, NOW_MS), 1);
    assert_eq!(location.verdict.retry_after_s(), Some(30));
    let mut alone = Location::new(&words, &[(1, watched)]);
    assert!(alone.request(NOW_MS));
    assert_eq!(alone.headers(), "");
}

#[test]
fn costs_are_spent_whole_or_not_at_all_and_zero_always_passes() {
    let (words, rates) = (words(), rates("10r/m"));
    let with = |cost| Terms { cost, ..terms(&rates) };
    for (cost, passes, remaining) in
        [(0, true, 10), (6, true, 4), (5, false, 4), (4, true, 0), (1, false, 0), (0, true, 0)]
    {
        let mut location = Location::new(&words, &[(1, with(cost))]);
        assert_eq!(location.request(NOW_MS), passes, "{cost}");
        assert_eq!(location.verdict.tightest().unwrap().remaining, remaining, "{cost}");
    }
    let mut location = Location::new(&words, &[(2, with(1_000_000))]);
    assert!(!location.request(NOW_MS));
    assert_eq!(location.verdict.retry_after_s(), Some(30));
}

#[test]
fn a_counter_that_two_directives_share_is_charged_once() {
    let (words, strict, lax) = (words(), rates("3r/m"), rates("5r/m"));
    let dear = Terms { cost: 2, ..terms(&lax) };
    let mut location = Location::new(&words, &[(1, terms(&strict)), (1, dear)]);
    assert!(location.request(NOW_MS));
    assert_eq!(location.count(1, Unit::Minute), 2);
    assert!(location.request(NOW_MS));
    assert_eq!(location.count(1, Unit::Minute), 4);
    assert!(!location.request(NOW_MS));
    assert_eq!(location.count(1, Unit::Minute), 4);
    // Other directives see what these spent.
    let mut other = Location::new(&words, &[(1, terms(&lax))]);
    assert_eq!(other.passed(3, NOW_MS), 1);
}

#[test]
fn a_changed_limit_keeps_what_was_spent() {
    let (words, before, after) = (words(), rates("10r/m"), rates("4r/m"));
    assert_eq!(Location::new(&words, &[(1, terms(&before))]).passed(3, NOW_MS), 3);
    assert_eq!(Location::new(&words, &[(1, terms(&after))]).passed(5, NOW_MS), 1);
    assert_eq!(Location::new(&words, &[(1, terms(&before))]).passed(20, NOW_MS), 6);
}

#[test]
fn a_request_that_is_refused_elsewhere_spends_only_where_all_are_counted() {
    let (words, rates) = (words(), rates("2r/m"));
    let all = Terms { counting: Counting::All, ..terms(&rates) };
    let mut location = Location::new(&words, &[(1, terms(&rates)), (2, all)]);
    for _ in 0..2 {
        let Location { charges, verdict, .. } = &mut location;
        check_and_charge(charges, Spending::Refused, NOW_MS, verdict);
        assert!(!location.verdict.is_refused());
    }
    assert_eq!((location.count(1, Unit::Minute), location.count(2, Unit::Minute)), (0, 2));
    assert_eq!(location.verdict.standings()[0].remaining, 2);
}

#[test]
fn directives_that_share_a_counter_all_tell_what_is_left_in_it() {
    let (words, few, many) = (words(), rates("10r/d"), rates("100r/d"));
    let dear = Terms { cost: 5, ..terms(&many) };
    let mut location = Location::new(&words, &[(1, terms(&few)), (1, dear)]);
    assert!(location.request(NOW_MS));
    let left = |location: &Location<'_>| -> Vec<_> {
        location.verdict.standings().iter().map(|standing| standing.remaining).collect()
    };
    assert_eq!(left(&location), [5, 95]);
    assert!(location.request(NOW_MS));
    assert_eq!(left(&location), [0, 90]);
    assert!(!location.request(NOW_MS));
    assert_eq!(left(&location), [0, 90]);
    // One that spends on refused requests tells those that do not, too.
    let all = Terms { counting: Counting::All, ..dear };
    let mut location = Location::new(&words, &[(1, terms(&few)), (1, all)]);
    assert!(!location.request(NOW_MS));
    assert_eq!(left(&location), [0, 85]);
}

#[test]
fn what_is_given_back_is_what_was_added_and_only_in_its_window() {
    let (words, rates) = (words(), rates("9r/m 9r/h"));
    let dear = Terms { cost: 3, window: WindowKind::Sliding, ..terms(&rates) };
    let mut location = Location::new(&words, &[(1, terms(&rates)), (1, dear), (2, dear)]);
    let give_back = |location: &Location<'_>, now_ms| {
        let counter =
            |number: usize| location.charges.get(number).map(|charge| (charge.table, charge.key));
        give_back(&location.verdict, counter, now_ms);
    };
    let counts = |location: &Location<'_>| {
        [(1, Unit::Minute), (1, Unit::Hour), (2, Unit::Minute), (2, Unit::Hour)]
            .map(|(key, unit)| location.count(key, unit))
    };
    location.request(NOW_MS);
    location.request(NOW_MS);
    give_back(&location, NOW_MS);
    assert_eq!(counts(&location), [3, 3, 3, 3]);
    // Twice what is there is no less than nothing.
    give_back(&location, NOW_MS);
    give_back(&location, NOW_MS);
    assert_eq!(counts(&location), [0; 4]);
    location.request(NOW_MS);
    give_back(&location, NOW_MS + 30_000);
    assert_eq!(counts(&location), [3, 0, 3, 0]);
}

#[test]
fn keys_beyond_a_full_table_pass_and_those_within_stay_limited() {
    let (words, rates) = (words(), rates("1r/d"));
    let mut location = Location::new(&words, &[(0, terms(&rates))]);
    let mut untracked = 0;
    for key in 0..4_000_u128 {
        location.charges[0].key =
            Fingerprint((key << 64) | (key * 0x9e37_79b9_7f4a_7c15 % (1 << 64)));
        assert!(location.request(NOW_MS));
        untracked += location.verdict.untracked();
    }
    let stats = location.table.stats();
    assert_eq!((stats.full, stats.occupied), (untracked, 4_000 - untracked));
    assert!(stats.occupied > stats.capacity * 9 / 10);
    location.charges[0].key = Fingerprint(0);
    assert!(!location.request(NOW_MS));
}

#[test]
fn threads_that_share_a_table_pass_exactly_the_limit() {
    let words: Arc<Vec<AtomicU64>> = Arc::new(words());
    Table::attach(&words, Seed([1, 2])).unwrap();
    let mutex = Arc::new(Mutex::new(()));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (words, mutex) = (Arc::clone(&words), Arc::clone(&mutex));
            std::thread::spawn(move || {
                let (many, few) = (rates("1000r/m 5000r/h"), rates("1500r/d"));
                let mut location = Location {
                    table: Table::view(&words).unwrap(),
                    charges: Vec::new(),
                    verdict: Verdict::default(),
                };
                for (key, rates) in [(1, &many), (2, &few)] {
                    let (table, terms) = (location.table, terms(rates));
                    let number = location.charges.len();
                    location.charges.push(Charge { number, table, key: Fingerprint(key), terms });
                }
                (0..2_000_u64)
                    .filter(|number| {
                        let _held = mutex.lock().unwrap();
                        // The clocks of workers differ by a little, also round a minute's end.
                        location.request(NOW_MS + 25_000 + number * 5 - thread)
                    })
                    .count()
            })
        })
        .collect();
    let passed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    // 4,000 requests come in each of two minutes: 1,000 of the first and the 500 that the day still has.
    assert_eq!(passed, 1_500);
}

/// A rate limiter written the slow way: every charge is kept with its time.
#[derive(Default)]
struct Model {
    charges: Vec<(u64, u64)>,
}

impl Model {
    fn spent(&self, from_ms: u64, to_ms: u64) -> u64 {
        let within = |(at, _): &&(u64, u64)| from_ms <= *at && *at < to_ms;
        self.charges.iter().filter(within).map(|(_, cost)| cost).sum()
    }

    fn fits(&self, rate: Rate, kind: WindowKind, cost: u64, now_ms: u64) -> bool {
        use crate::rate_limit::window::Window;
        let window = Window::at(rate.unit, now_ms);
        let mut estimate = self.spent(window.start_ms, window.end_ms) as f64;
        if kind == WindowKind::Sliding && window.start_ms > 0 {
            let previous = Window::at(rate.unit, window.start_ms - 1);
            let left = (window.end_ms - now_ms) as f64 / window.length_ms() as f64;
            estimate += self.spent(previous.start_ms, previous.end_ms) as f64 * left;
        }
        estimate + cost as f64 <= rate.limit as f64 + 1e-9
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Three years of requests in steps from a millisecond to a month: the table decides as a full history would.
    #[test]
    fn decisions_are_those_of_a_full_history(
        start_ms in 1_690_000_000_000..1_780_000_000_000_u64,
        sliding in any::<bool>(),
        limits in (1..6_u64, 6..12_u64, 12..30_u64),
        units in proptest::sample::subsequence(Unit::ALL.to_vec(), 3),
        steps in proptest::collection::vec((0..8_u32, 0..1_000_u64, 0..4_u64), 1..120),
    ) {
        let words = words();
        let limits = [limits.0, limits.1, limits.2];
        let rates: Vec<Rate> =
            units.iter().zip(limits).map(|(unit, limit)| Rate { limit, unit: *unit }).collect();
        let window = if sliding { WindowKind::Sliding } else { WindowKind::Fixed };
        let (mut model, mut now_ms) = (Model::default(), start_ms);
        for (scale, amount, cost) in steps {
            now_ms += amount * [0, 1, 30, 900, 30_000, 800_000, 3_000_000, 30_000_000][scale as usize] / 10;
            let terms = Terms { cost, window, ..terms(&rates) };
            let mut location = Location::new(&words, &[(77 << 64 | 5, terms)]);
            let expected = cost == 0 || rates.iter().all(|rate| model.fits(*rate, window, cost, now_ms));
            prop_assert_eq!(location.request(now_ms), expected);
            if expected {
                model.charges.push((now_ms, cost));
            }
            for standing in location.verdict.standings() {
                prop_assert!(standing.remaining <= standing.rate.limit);
                let spent = model.spent(standing.count.window.start_ms, standing.count.window.end_ms);
                prop_assert_eq!(standing.count.current, spent);
                prop_assert!(spent <= standing.rate.limit);
            }
            if !expected {
                let wait_s = location.verdict.retry_after_s().unwrap();
                prop_assert!(wait_s >= 1);
                let then_ms = now_ms + wait_s * 1_000;
                if cost <= limits[0] {
                    prop_assert!(rates.iter().all(|rate| model.fits(*rate, window, cost, then_ms)));
                }
            }
        }
    }
}
