//! What holds while a consumers file changes: under load, in every worker, without a reload.
//!
//! `APIGATE_CHANGES=100` changes the file more often than the default, and `APIGATE_RATE=10000` demands as many requests a
//! second meanwhile, which takes a machine that has nothing else to do.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::http::{Connection, Request};
use harness::process::{self, Signal};
use harness::wait::{PATIENCE, scaled};
use harness::{Flavour, Nginx, Outcome, Regex, until};

harness::scenarios![
    every_worker_decides_by_the_changed_file_within_the_interval,
    a_file_that_is_still_being_written_is_not_in_force,
    a_bad_file_is_told_once_for_all_workers,
    a_file_that_workers_cannot_read_is_warned_of,
    a_worker_in_a_dead_ones_place_decides_by_what_was_in_force,
    a_worker_in_a_dead_ones_place_decides_as_the_others_do_while_the_file_is_bad,
    a_key_that_is_not_utf_8_is_not_shown,
];

const WORKERS: usize = 4;
const CLIENTS: usize = 4;
const CHANGES: u64 = 25;
/// Requests that a client sends at once: a client that waits for each answer is no load.
const AT_ONCE: usize = 16;
const WATCH: Duration = Duration::from_millis(400);
/// What a busy machine may take to run the thread that is due.
const SCHEDULING: Duration = Duration::from_millis(400);
/// The consumers beside the one that changes, so that loading takes its time.
const BYSTANDERS: usize = 2_000;

/// The file with the key of one generation.
fn file(generation: u64) -> String {
    let mut text = String::from("{\"consumers\":[");
    for number in 0..BYSTANDERS {
        text.push_str(&format!(
            "{{\"username\":\"b{number}\",\"keys\":[{{\"key\":\"b{number}\"}}]}},"
        ));
    }
    text.push_str(&format!("{{\"username\":\"bob\",\"keys\":[{{\"key\":\"K{generation}\"}}]}}]}}"));
    text
}

fn with_key(key: &str) -> Request {
    Request::get("/here").header("X-Api-Key", key)
}

fn start(flavour: Flavour, watch: Duration, workers: usize, content: &str) -> Outcome<Nginx> {
    let watch = watch.as_millis();
    let nginx = Nginx::builder(flavour)?
        .workers(workers)
        .log_level("notice")
        .file("conf/c.json", content)?
        .file("html/here", "here\n")?
        .http(&format!(
            "consumers c {{ file c.json watch={watch}ms; }} keepalive_requests 100000000;"
        ))
        .server("location / { key_auth c; add_header X-Worker $pid always; }")
        .start()?;
    nginx.wait_for_workers()?;
    Ok(nginx)
}

/// Connections to all workers, `each` to every one.
fn connect_to_all(nginx: &Nginx, each: usize) -> Outcome<Vec<Connection>> {
    let mut by_worker = BTreeMap::<String, Vec<Connection>>::new();
    until(PATIENCE, "connections to every worker", || {
        let mut connection = nginx.connect().ok()?;
        let response = connection.request(&with_key("none")).ok()?;
        let worker = response.header("X-Worker")?.to_owned();
        let connections = by_worker.entry(worker).or_default();
        if connections.len() < each {
            connections.push(connection);
        }
        let full = by_worker.values().filter(|it| it.len() == each).count() == WORKERS;
        full.then_some(())
    })?;
    Ok(by_worker.into_values().flatten().collect())
}

/// When a generation's file was begun and when it was complete.
struct Written {
    begun: Instant,
    done: Option<Instant>,
}

/// How late a decision was: zero when some generation that could be in force between `sent` and `answered` decides so.
fn lateness(
    history: &[Written],
    key: u64,
    accepted: bool,
    sent: Instant,
    answered: Instant,
) -> Option<Duration> {
    let late = |generation: usize, written: &Written| {
        let decides_so = (generation as u64 == key) == accepted;
        if !decides_so || written.begun > answered {
            return None;
        }
        let until = history.get(generation + 1).and_then(|next| next.done).map(|done| done + WATCH);
        Some(until.map_or(Duration::ZERO, |until| sent.saturating_duration_since(until)))
    };
    history.iter().enumerate().filter_map(|(number, written)| late(number, written)).min()
}

#[derive(Default)]
struct Load {
    stop: AtomicBool,
    requests: AtomicU64,
    latest_us: AtomicU64,
}

/// Asks all workers in turn, with the keys of the generations round the newest, and judges every answer.
fn ask(mut connections: Vec<Connection>, history: &RwLock<Vec<Written>>, load: &Load) -> Outcome {
    for turn in 0_u64.. {
        if load.stop.load(Ordering::Relaxed) {
            break;
        }
        let newest = history.read().map_err(|_| "a thread panicked")?.len() as u64 - 1;
        let key = (newest + turn % 3).saturating_sub(1);
        let requests = with_key(&format!("K{key}")).to_bytes().repeat(AT_ONCE);
        for connection in &mut connections {
            let sent = Instant::now();
            connection.send(&requests)?;
            judge(connection, (key, sent), history, load)?;
        }
    }
    Ok(())
}

/// Judges the answers to all that was sent at once, with a key of one generation.
fn judge(
    connection: &mut Connection,
    (key, sent): (u64, Instant),
    history: &RwLock<Vec<Written>>,
    load: &Load,
) -> Outcome {
    for _ in 0..AT_ONCE {
        let response = connection.read_response(false)?;
        let answered = Instant::now();
        let accepted = match response.status {
            200 => true,
            401 => false,
            other => return Err(format!("a request failed with {other}").into()),
        };
        let history = history.read().map_err(|_| "a thread panicked")?;
        let late = lateness(&history, key, accepted, sent, answered);
        drop(history);
        let late = late.ok_or_else(|| format!("key {key} was never decided so: {accepted}"))?;
        if late > scaled(SCHEDULING) {
            let ms = late.as_millis();
            return Err(format!("key {key} accepted={accepted} {ms} ms past the interval").into());
        }
        load.latest_us.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
        load.requests.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Writes the next generation, in one step or in place, and waits until the load has found it everywhere.
fn change(nginx: &Nginx, history: &RwLock<Vec<Written>>, load: &Load) -> Outcome {
    let write = || history.write().map_err(|_| "a thread panicked");
    let generation = {
        let mut history = write()?;
        history.push(Written { begun: Instant::now(), done: None });
        history.len() as u64 - 1
    };
    let text = file(generation);
    if generation.is_multiple_of(2) {
        nginx.write_file("conf/c.json", text)?;
    } else {
        std::fs::write(nginx.directory().join("conf/c.json"), text)?;
    }
    let done = Instant::now();
    if let Some(last) = write()?.last_mut() {
        last.done = Some(done);
    }
    let seen = load.requests.load(Ordering::Relaxed);
    until(PATIENCE, "requests after the interval", || {
        let enough = load.requests.load(Ordering::Relaxed) > seen + 100;
        (done.elapsed() > WATCH && enough || load.stop.load(Ordering::Relaxed)).then_some(())
    })?;
    Ok(())
}

fn every_worker_decides_by_the_changed_file_within_the_interval(flavour: Flavour) -> Outcome {
    let changes = number_of("APIGATE_CHANGES").unwrap_or(CHANGES);
    let nginx = start(flavour, WATCH, WORKERS, &file(0))?;
    let begun = Instant::now();
    let history = RwLock::new(vec![Written { begun, done: Some(begun) }]);
    let load = Load::default();
    let clients: Outcome<Vec<_>> = (0..CLIENTS).map(|_| connect_to_all(&nginx, 1)).collect();
    std::thread::scope(|scope| {
        let (history, load) = (&history, &load);
        let threads: Vec<_> = clients?
            .into_iter()
            .map(|connections| {
                scope.spawn(move || {
                    let asked = ask(connections, history, load);
                    load.stop.store(true, Ordering::Relaxed);
                    asked
                })
            })
            .collect();
        let changed = (0..changes).try_for_each(|_| change(&nginx, history, load));
        load.stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a client panicked")??;
        }
        changed
    })?;
    let requests = load.requests.into_inner();
    let rate = (requests as f64 / begun.elapsed().as_secs_f64()) as u64;
    eprintln!(
        "{flavour}: {} changes, {requests} requests, {rate} a second, latest decision {} ms past the interval",
        history.into_inner()?.len() - 1,
        load.latest_us.into_inner() / 1_000,
    );
    if number_of("APIGATE_RATE").is_some_and(|wanted| rate < wanted) {
        return Err(format!("{rate} requests a second are too few").into());
    }
    nginx.stop()
}

/// A list in YAML is whole at every line end; only that it still grows tells that it is not.
fn a_file_that_is_still_being_written_is_not_in_force(flavour: Flavour) -> Outcome {
    const WATCH: Duration = Duration::from_secs(2);
    const LINE_EVERY: Duration = Duration::from_millis(20);
    let nginx = Nginx::builder(flavour)?
        .log_level("notice")
        .file("conf/c.yaml", "consumers:\n- {username: old, keys: [{key: OLD}]}\n")?
        .file("html/here", "here\n")?
        .http(&format!("consumers c {{ file c.yaml watch={}s; }}", WATCH.as_secs()))
        .server("location / { key_auth c; }")
        .start()?;
    let path = nginx.directory().join("conf/c.yaml");
    let mut growing = OpenOptions::new().write(true).truncate(true).open(path)?;
    growing.write_all(b"consumers:\n- {username: new, keys: [{key: NEW}]}\n")?;
    let begun = Instant::now();
    let mut lines = 0;
    while begun.elapsed() < 2 * WATCH {
        writeln!(growing, "- {{username: more{lines}, keys: [{{key: MORE{lines}}}]}}")?;
        lines += 1;
        let next = Instant::now() + LINE_EVERY;
        until(PATIENCE, "the next line's time", || (Instant::now() >= next).then_some(()))?;
        let (old, new) = (nginx.request(&with_key("OLD"))?, nginx.request(&with_key("NEW"))?);
        if (old.status, new.status) != (200, 401) {
            return Err(format!("{} {} after {lines} lines", old.status, new.status).into());
        }
    }
    drop(growing);
    until(WATCH + SCHEDULING, "the whole file to be in force", || {
        let last = nginx.request(&with_key(&format!("MORE{}", lines - 1))).ok()?;
        let old = nginx.request(&with_key("OLD")).ok()?;
        (last.status == 200 && old.status == 401).then_some(())
    })?;
    nginx.stop()
}

fn a_bad_file_is_told_once_for_all_workers(flavour: Flavour) -> Outcome {
    const WATCH: Duration = Duration::from_millis(100);
    const BAD: &str = "{\"consumers\":[{\"username\":\"\"}]}";
    let nginx = start(flavour, WATCH, WORKERS, &file(0))?;
    let told = || nginx.error_log().matches("[error]").count();
    let all_take = |key: &str| {
        until(PATIENCE, "every worker to take the file", || {
            let mut connections = connect_to_all(&nginx, 1).ok()?;
            let request = with_key(key);
            let good = |it: &mut Connection| it.request(&request).is_ok_and(|it| it.status == 200);
            connections.iter_mut().all(good).then_some(())
        })
    };
    for (round, expected) in (1_u64..).zip([1, 2, 3]) {
        nginx.write_file("conf/c.json", BAD)?;
        until(PATIENCE, "a line of the log", || (told() >= expected).then_some(()))?;
        // What the other workers do not say can only be waited for.
        let silent = Instant::now() + scaled(10 * WATCH);
        until(PATIENCE, "silence", || (Instant::now() > silent).then_some(()))?;
        all_take(&format!("K{}", round - 1))?;
        if told() != expected {
            return Err(format!("{} lines for {expected}\n{}", told(), nginx.log_tail()).into());
        }
        nginx.write_file("conf/c.json", file(round))?;
        all_take(&format!("K{round}"))?;
    }
    nginx.stop()
}

/// Kills a worker as the kernel does that is short of memory, and waits until another one serves in its place.
fn kill_one(nginx: &Nginx) -> Outcome {
    let before = nginx.wait_for_workers()?;
    let dead = *before.first().ok_or("no worker")?;
    process::signal(dead, Signal::KILL)?;
    until(PATIENCE, "a new worker", || {
        let now = nginx.worker_pids();
        (now.len() == before.len() && !now.contains(&dead)).then_some(())
    })?;
    Ok(())
}

fn expect(nginx: &Nginx, key: &str, expected: u16, when: &str) -> Outcome {
    let status = nginx.request(&with_key(key))?.status;
    match status == expected {
        true => Ok(()),
        false => Err(format!("key {key} is answered with {status} {when}").into()),
    }
}

/// The interval is so long that a worker that waits for it is caught.
fn a_worker_in_a_dead_ones_place_decides_by_what_was_in_force(flavour: Flavour) -> Outcome {
    const WATCH: Duration = Duration::from_secs(3);
    let nginx = start(flavour, WATCH, 1, &file(0))?;
    nginx.write_file("conf/c.json", file(1))?;
    until(scaled(2 * WATCH), "the new file", || {
        (nginx.request(&with_key("K1")).ok()?.status == 200).then_some(())
    })?;
    kill_one(&nginx)?;
    expect(&nginx, "K0", 401, "by a new worker")?;
    expect(&nginx, "K1", 200, "by a new worker")?;
    // what the dead have left counts for more than a file that is bad by now
    nginx.write_file("conf/c.json", "bad")?;
    kill_one(&nginx)?;
    expect(&nginx, "K0", 401, "while the file is bad")?;
    expect(&nginx, "K1", 200, "while the file is bad")?;
    // a reload begins anew
    nginx.write_file("conf/c.json", file(2))?;
    nginx.reload()?;
    kill_one(&nginx)?;
    expect(&nginx, "K1", 401, "after a reload")?;
    expect(&nginx, "K2", 200, "after a reload")?;
    nginx.stop_allowing(&[r"\[alert\].* exited on signal 9"])
}

fn a_worker_in_a_dead_ones_place_decides_as_the_others_do_while_the_file_is_bad(
    flavour: Flavour,
) -> Outcome {
    let nginx = start(flavour, Duration::from_millis(200), WORKERS, &file(0))?;
    nginx.write_file("conf/c.json", file(1))?;
    for mut connection in connect_to_all(&nginx, 1)? {
        until(PATIENCE, "the new file", || {
            (connection.request(&with_key("K1")).ok()?.status == 200).then_some(())
        })?;
    }
    nginx.write_file("conf/c.json", "bad")?;
    nginx.wait_for_log(&Regex::new("is left as it was")?, PATIENCE)?;
    kill_one(&nginx)?;
    for mut connection in connect_to_all(&nginx, 1)? {
        let (old, new) =
            (connection.request(&with_key("K0"))?, connection.request(&with_key("K1"))?);
        if (old.status, new.status) != (401, 200) {
            return Err(format!("{} {}", old.status, new.status).into());
        }
    }
    if nginx.error_log().matches("is left as it was").count() != 1 {
        return Err(nginx.log_tail().into());
    }
    nginx.stop_allowing(&[r"\[alert\].* exited on signal 9"])
}

fn a_file_that_workers_cannot_read_is_warned_of(flavour: Flavour) -> Outcome {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        eprintln!("{flavour}: not root, whose workers are somebody else: nothing to warn of");
        return Ok(());
    }
    let builder = Nginx::builder(flavour)?
        .main("user nobody nogroup;")
        .file("conf/open.json", file(0))?
        .file("conf/closed.json", file(0))?
        .file("conf/unwatched.json", file(0))?
        .file("conf/closed/in.json", file(0))?
        .http(
            "consumers a { file open.json; } consumers b { file closed.json; }
             consumers c { file unwatched.json watch=off; } consumers d { file closed/in.json; }",
        );
    let conf: PathBuf = builder.directory().join("conf");
    for (name, mode) in [("closed.json", 0o600), ("unwatched.json", 0o600), ("closed", 0o711)] {
        std::fs::set_permissions(conf.join(name), Permissions::from_mode(mode))?;
    }
    let warned = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("[warn]") && line.contains("#"));
        lines.filter_map(|line| line.split_once(": ")).map(|(_, line)| line.to_owned()).collect()
    };
    let conf = conf.display();
    let line = |file: &str, obstacle: &str| {
        format!(
            "consumers file \"{conf}/{file}\" is watched by workers, whose user \"nobody\" has no access to \"{conf}/{obstacle}\""
        )
    };
    let checked = builder.check()?;
    let found = warned(&checked.text);
    if !checked.accepted || found != [line("closed.json", "closed.json")] {
        return Err(format!("{found:#?}\n{}", checked.text).into());
    }
    std::fs::set_permissions(format!("{conf}/closed"), Permissions::from_mode(0o700))?;
    let found = warned(&builder.check()?.text.replacen(&line("closed.json", "closed.json"), "", 1));
    if !found.contains(&line("closed/in.json", "closed")) {
        return Err(format!("{found:#?}").into());
    }
    Ok(())
}

fn a_key_that_is_not_utf_8_is_not_shown(flavour: Flavour) -> Outcome {
    let checked = Nginx::builder(flavour)?
        .file("conf/lines.conf", b"consumer bob key=SECRET\xff;\n")?
        .http("consumers c { include lines.conf; }")
        .check()?;
    let is_told = checked.text.contains("invalid UTF-8 in word 3 in ");
    match !checked.accepted && is_told && !checked.text.contains("SECRET") {
        true => Ok(()),
        false => Err(checked.text.into()),
    }
}
