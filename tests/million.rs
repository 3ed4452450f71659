//! What a large set of consumers costs: the time to start, the memory of all processes together, a lookup; and what a counter
//! costs in a zone that has many.
//!
//! `APIGATE_MILLION=1` takes a million consumers; without it there are a tenth of that, held to a tenth of the limits.
//! Figures are printed. Both times are judged by what they take of a processor, because what else the machine does
//! meanwhile is not ours; a lookup is judged in `cargo test --release` alone.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use apigate::consumers::{ConsumerSet, KeyDigest, SetBuilder, file};
use apigate::rate_limit::key::{CounterId, Key};
use apigate::rate_limit::policy::{Charge, Counting, Spending, Terms, Verdict, check_and_charge};
use apigate::rate_limit::table::{Seed, Table, zone_bytes_for};
use apigate::rate_limit::window::WindowKind;
use apigate::rate_limit::{Rate, Unit};
use harness::expect::expect_equal;
use harness::http::Request;
use harness::wait::scaled;
use harness::{Flavour, Nginx, NginxBuilder, Outcome, until};

harness::scenarios![
    a_large_set_starts_soon_and_is_shared_by_all_workers,
    a_large_set_that_has_changed_is_shared_by_all_workers,
    a_lookup_takes_no_time,
    a_counter_among_a_million_takes_no_time,
];

const MILLION: u64 = 1_000_000;
const WORKERS: usize = 4;
/// `nginx -t` and the start of nginx, both of which read the file.
const START_LIMIT_PER_MILLION: Duration = Duration::from_secs(5);
/// What both take with no consumers, and a clock's tick.
const EMPTY_START: Duration = Duration::from_millis(200);
const BYTES_LIMIT: u64 = 200;
/// What the memory of other things may differ by from one start to another.
const NOISE_BYTES: u64 = 4 << 20;
const LOOKUP_LIMIT: Duration = Duration::from_micros(1);
/// For a request's key and the counter of one rate.
const COUNTER_LIMIT: Duration = Duration::from_micros(2);
/// What a debug build may take longer, and still not look at many counters for one.
const UNOPTIMISED: u32 = 10;
/// prime, and larger than any step between neighbours
const STRIDE: u64 = 7_368_787;

const SET: &str = "consumers c { file c.json; }";

fn count() -> u64 {
    if std::env::var_os("APIGATE_MILLION").is_some() { MILLION } else { MILLION / 10 }
}

fn name(number: u64) -> String {
    format!("consumer-{number:07}")
}

fn key(number: u64) -> String {
    format!("key-of-consumer-{number:07}")
}

/// The file, made once for all tests.
fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| file_of(count()));
    &JSON
}

fn file_of(count: u64) -> String {
    let mut text = String::from("{\"consumers\":[\n");
    for number in 0..count {
        let separator = if number == 0 { "" } else { ",\n" };
        let digest = KeyDigest::of(key(number).as_bytes()).to_hex();
        let name = name(number);
        let _ = write!(
            text,
            "{separator}{{\"username\":\"{name}\",\"keys\":[{{\"sha256\":\"{digest}\"}}]}}"
        );
    }
    text.push_str("\n]}\n");
    text
}

fn builder(flavour: Flavour, json: &str) -> Outcome<NginxBuilder> {
    Ok(Nginx::builder(flavour)?
        .workers(WORKERS)
        .file("conf/c.json", json)?
        .file("html/here", "here\n")?
        .server("location / { key_auth c; }"))
}

/// The memory of the master and its workers; what they share is counted once.
fn memory_bytes(nginx: &Nginx) -> Outcome<u64> {
    Ok(workers_memory_bytes(nginx)? + pss_bytes([nginx.master_pid()])?)
}

fn workers_memory_bytes(nginx: &Nginx) -> Outcome<u64> {
    pss_bytes(nginx.wait_for_workers()?)
}

fn pss_bytes(pids: impl IntoIterator<Item = u32>) -> Outcome<u64> {
    let mut total_kib = 0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        total_kib += kib.ok_or("no Pss in smaps_rollup")?.trim().parse::<u64>()?;
    }
    Ok(total_kib << 10)
}

/// The processor time that a process has taken so far.
fn processor_time(pid: u32) -> Outcome<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, is the second field; user and system time are the 14th and the 15th.
    let fields = text.rsplit_once(") ").ok_or("no name in stat")?.1;
    let ticks =
        fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(ticks * TICK)
}

/// The processor time that this thread has taken so far.
fn own_time() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn ask(nginx: &Nginx, key: &str) -> Outcome<u16> {
    Ok(nginx.request(&Request::get("/here").header("X-Api-Key", key))?.status)
}

/// Every worker has looked keys up, so that what looking up writes to is no longer shared.
fn use_it(nginx: &Nginx, count: u64) -> Outcome {
    const LOOKUPS: u64 = 400;
    for number in (0..count).step_by(usize::try_from((count / LOOKUPS).max(1))?) {
        let status = ask(nginx, &key(number))?;
        if status != 200 {
            return Err(format!("{status} for consumer {number}").into());
        }
    }
    match ask(nginx, "nobody's")? {
        401 => Ok(()),
        other => Err(format!("{other} for a key that nobody has").into()),
    }
}

fn a_large_set_starts_soon_and_is_shared_by_all_workers(flavour: Flavour) -> Outcome {
    let small = builder(flavour, &file_of(1))?.http(SET).start()?;
    use_it(&small, 1)?;
    let small_bytes = memory_bytes(&small)?;
    small.stop()?;

    let count = count();
    let builder = builder(flavour, json())?.http(SET);
    let begun = Instant::now();
    let checked = builder.check()?;
    if !checked.accepted {
        return Err(checked.text.into());
    }
    let checked_in = begun.elapsed();
    let nginx = builder.start()?;
    until(Duration::from_secs(30), "an answer", || ask(&nginx, &key(count - 1)).ok())?;
    let started_in = begun.elapsed() - checked_in;
    let busy = processor_time(nginx.master_pid())?;
    use_it(&nginx, count)?;
    let bytes = memory_bytes(&nginx)?.saturating_sub(small_bytes);
    nginx.stop()?;

    let text_bytes = count * name(0).len() as u64;
    let per_consumer = bytes.saturating_sub(text_bytes + NOISE_BYTES) / count;
    eprintln!(
        "{flavour}: {count} consumers, nginx -t {checked_in:.2?}, start {started_in:.2?} \
         of which {busy:.2?} busy, {} MiB in all processes more than with one, {} bytes each beyond the text",
        bytes >> 20,
        bytes.saturating_sub(text_bytes) / count,
    );
    let limit = START_LIMIT_PER_MILLION * u32::try_from(count)? / u32::try_from(MILLION)?;
    if 2 * busy > scaled(limit + EMPTY_START) {
        return Err(format!("{busy:?} of processor time for a start").into());
    }
    if per_consumer > BYTES_LIMIT {
        return Err(format!("{per_consumer} bytes a consumer beyond its name").into());
    }
    Ok(())
}

/// One worker reads the file, and the others take what it has made of it.
fn a_large_set_that_has_changed_is_shared_by_all_workers(flavour: Flavour) -> Outcome {
    let start = |json: &str| {
        let builder = builder(flavour, json)?.log_level("notice");
        builder.http("consumers c { file c.json watch=200ms; }").start()
    };
    // what workers take with a set of one consumer, as it was read and as it was read again
    let changed = |nginx: &Nginx, json: &str, key: &str| {
        nginx.write_file("conf/c.json", json)?;
        until(Duration::from_secs(60), "every worker to have the file", || {
            (nginx.error_log().matches(" reloaded, ").count() >= WORKERS).then_some(())
        })?;
        for _ in 0..100 {
            expect_equal("the status of a consumer of the new file", ask(nginx, key)?, 200)?;
        }
        workers_memory_bytes(nginx)
    };
    let small = start(&file_of(1))?;
    let small_bytes = changed(&small, &file_of(2), &key(1))?;
    small.stop()?;

    let count = count();
    let nginx = start(json())?;
    let bytes = changed(&nginx, &file_of(count + 1), &key(count))?.saturating_sub(small_bytes);
    nginx.stop()?;
    let text_bytes = count * name(0).len() as u64;
    eprintln!(
        "{flavour}: {count} consumers and a change, {} MiB in {WORKERS} workers more than with two, {} bytes each beyond the text",
        bytes >> 20,
        bytes.saturating_sub(text_bytes) / count,
    );
    let per_consumer = bytes.saturating_sub(text_bytes + NOISE_BYTES) / count;
    if per_consumer > BYTES_LIMIT {
        return Err(format!("{per_consumer} bytes a consumer beyond its name").into());
    }
    Ok(())
}

fn load(json: &str) -> Outcome<ConsumerSet> {
    let mut builder = SetBuilder::new("c");
    file::read(Path::new("c.json"), json.as_bytes(), &mut builder)?;
    Ok(builder.finish()?)
}

/// In no order, so that nothing of the set is in the processor's caches by luck.
fn a_lookup_takes_no_time(flavour: Flavour) -> Outcome {
    const LOOKUPS: u64 = 100_000;
    let count = count();
    let set = load(json())?;
    let keys: Vec<String> = (0..LOOKUPS).map(|turn| key(turn * STRIDE % count)).collect();
    let begun = own_time()?;
    let found = keys
        .iter()
        .filter(|key| black_box(set.lookup(&KeyDigest::of(black_box(key.as_bytes())))).is_some())
        .count();
    let each = (own_time()? - begun) / u32::try_from(LOOKUPS)?;
    eprintln!("{flavour}: a lookup among {count} consumers, hash of the key included, {each:?}");
    if found as u64 != LOOKUPS {
        return Err(format!("{found} keys found of {LOOKUPS}").into());
    }
    if !cfg!(debug_assertions) && each > LOOKUP_LIMIT {
        return Err(format!("{each:?} a lookup").into());
    }
    Ok(())
}

/// Charges each key once, in no order; the processor time for one.
fn charge_all(table: Table<'_>, keys: &[String]) -> Outcome<Duration> {
    let rates = [Rate { limit: 1_000, unit: Unit::Day }];
    let (window, counting) = (WindowKind::Fixed, Counting::Allowed);
    let terms = Terms { rates: &rates, window, cost: 1, counting, dry_run: false };
    let counter = CounterId::named("million");
    let mut verdict = Verdict::default();
    let mut lost = 0;
    let begun = own_time()?;
    for key in keys {
        let key = Key::Header(black_box(key.as_bytes())).fingerprint(&counter, table.seed());
        let charge = Charge { number: 0, table, key, terms };
        check_and_charge(&[charge], Spending::Charge, 1_000, &mut verdict);
        lost += verdict.untracked();
    }
    let each = (own_time()? - begun) / u32::try_from(keys.len())?;
    if lost == 0 { Ok(each) } else { Err(format!("{lost} keys found no room").into()) }
}

fn a_counter_among_a_million_takes_no_time(flavour: Flavour) -> Outcome {
    let count = count();
    let words: Vec<AtomicU64> = (0..zone_bytes_for(count) / 8).map(|_| AtomicU64::new(0)).collect();
    let (table, _) = Table::attach(&words, Seed([1, 2])).map_err(|_| "the zone is too small")?;
    let keys: Vec<String> = (0..count).map(|turn| key(turn * STRIDE % count)).collect();
    let inserted = charge_all(table, &keys)?;
    let found = charge_all(table, &keys)?;
    let occupied = table.stats().occupied;
    eprintln!(
        "{flavour}: of {occupied} counters one is inserted in {inserted:?}, found in {found:?}"
    );
    if occupied != count {
        return Err(format!("{occupied} counters for {count} keys").into());
    }
    let limit = COUNTER_LIMIT * if cfg!(debug_assertions) { UNOPTIMISED } else { 1 };
    if inserted.max(found) > limit {
        return Err(format!("{inserted:?} to insert a counter, {found:?} to find it").into());
    }
    Ok(())
}
