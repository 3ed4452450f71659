//! Limits that are counted in Redis, while Redis hangs, dies, changes its mind or hides behind TLS.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::http::{Request, Response};
use harness::process::Signal;
use harness::tls::certificate;
use harness::wait::PATIENCE;
use harness::{Flavour, Nginx, Outcome, Redis, Regex, until};

harness::scenarios![
    an_outage_of_redis_is_felt_by_nobody_but_for_one_timeout,
    batches_of_three_hosts_stay_within_the_bound,
    an_idle_host_hears_of_the_others_with_its_first_request,
    tls_a_user_with_few_rights_and_a_database_are_used,
    forgotten_scripts_cost_no_request,
    a_changed_password_is_survived_and_a_reload_brings_the_new_one,
    a_failover_and_the_way_back_keep_the_count,
];

const LIMIT: u64 = 1_000_000;
/// What one of four nodes has when Redis is away.
const SHARE: u64 = LIMIT / 4;
/// The default of `timeout=`.
const TIMEOUT: Duration = Duration::from_millis(50);

/// A host whose one limit tells by its size who counts: the fleet, or the host alone.
fn host(flavour: Flavour, zone: &str, main: &str) -> Outcome<Nginx> {
    let nginx = Nginx::builder(flavour)?
        .log_level("notice")
        .main(main)
        .file("conf/zone.conf", format!("rate_limit_zone api:1m {zone};"))?
        .http("keepalive_requests 1000000; include zone.conf;")
        .server(&format!(
            "location /t {{ rate_limit {LIMIT}r/y zone=api by=service; empty_gif; }}
             location /free {{ empty_gif; }}"
        ))
        .start()?;
    nginx.wait_for_workers()?;
    Ok(nginx)
}

fn wait_for_redis(nginx: &Nginx, times: usize) -> Outcome {
    let said = || nginx.error_log().matches("counts in redis").count() >= times;
    until(PATIENCE, "nginx to count in redis", || said().then_some(()))
        .map_err(|error| format!("{error}\n{}", nginx.log_tail()).into())
}

fn number(response: &Response, header: &str) -> Outcome<u64> {
    Ok(response.header(header).ok_or_else(|| response.head.clone())?.parse()?)
}

/// What is left of the fleet's limit; an error when the host counts alone.
fn remaining(nginx: &Nginx) -> Outcome<u64> {
    let response = nginx.get("/t")?;
    if number(&response, "RateLimit-Limit")? != LIMIT {
        return Err(format!("the host counts alone\n{}", nginx.log_tail()).into());
    }
    number(&response, "RateLimit-Remaining")
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, not {expected:?}").into())
    }
}

/// A limited request under load.
#[derive(Clone, Copy, Debug)]
struct Sample {
    begun: Instant,
    took: Duration,
    limit: u64,
}

impl Sample {
    fn ended(&self) -> Instant {
        self.begun + self.took
    }
}

/// Sends limited requests at a steady pace: a client that sends the next one when the last is answered would load nginx the
/// more, the less it waits for Redis.
fn pace(nginx: &Nginx, stop: &AtomicBool, samples: &Mutex<Vec<Sample>>) -> Outcome {
    const PACE: Duration = Duration::from_millis(5);
    let mut connection = nginx.connect()?;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let response = connection.request(&Request::get("/t"))?;
        let took = begun.elapsed();
        expect("status", response.status, 200)?;
        let limit = number(&response, "RateLimit-Limit")?;
        samples.lock().map_err(|_| "poisoned")?.push(Sample { begun, took, limit });
        std::thread::sleep(PACE.saturating_sub(took));
    }
    Ok(())
}

/// The 99th percentile of many requests to a location without limits.
fn p99(nginx: &Nginx) -> Outcome<Duration> {
    const REQUESTS: usize = 3_000;
    let mut connection = nginx.connect()?;
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        expect("status", connection.request(&Request::get("/free"))?.status, 200)?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[REQUESTS * 99 / 100])
}

/// What an outage was like.
#[derive(Debug)]
struct Outage {
    /// Of the other location meanwhile.
    p99: Duration,
    /// The slowest limited request before the first was judged without Redis.
    first: Duration,
    /// The slowest one after that.
    later: Duration,
    /// From Redis's return to the first request that is counted in it.
    resumed: Duration,
}

fn outage(
    nginx: &Nginx,
    samples: &Mutex<Vec<Sample>>,
    begin: impl FnOnce() -> Outcome,
    end: impl FnOnce() -> Outcome,
) -> Outcome<Outage> {
    let find = |since: Instant, limit: u64| {
        let samples = samples.lock().ok()?;
        samples.iter().find(|it| it.begun >= since && it.limit == limit).map(Sample::ended)
    };
    let begun = Instant::now();
    begin()?;
    let opened = until(PATIENCE, "the host's share", || find(begun, SHARE))?;
    let p99 = p99(nginx)?;
    let ended = Instant::now();
    end()?;
    let back = until(PATIENCE, "the fleet's count", || find(ended, LIMIT))?;
    let samples = samples.lock().map_err(|_| "poisoned")?;
    let slowest = |from: Instant, to: Instant| {
        let within = samples.iter().filter(|it| it.begun < to && it.ended() >= from);
        within.map(|it| it.took).max().unwrap_or_default()
    };
    let mut alone = samples.iter().filter(|it| it.begun > opened && it.ended() < ended);
    if let Some(other) = alone.find(|it| it.limit != SHARE) {
        return Err(format!("counted in a redis that is away: {other:?}").into());
    }
    let first = slowest(begun, opened);
    let later = samples.iter().filter(|it| it.begun > opened && it.begun < back);
    let later = later.map(|it| it.took).max().unwrap_or_default();
    Ok(Outage { p99, first, later, resumed: back - ended })
}

/// A healthy time, a Redis that hangs, and one that is killed.
struct Round {
    healthy: Duration,
    outages: [Outage; 2],
}

impl Round {
    fn is_good(&self) -> bool {
        self.outages.iter().all(|outage| {
            2 * outage.p99 <= 3 * self.healthy
                && outage.first <= 2 * TIMEOUT
                && outage.later < TIMEOUT
                && outage.resumed <= Duration::from_secs(2)
        })
    }
}

fn an_outage_of_redis_is_felt_by_nobody_but_for_one_timeout(flavour: Flavour) -> Outcome {
    const CLIENTS: usize = 8;
    /// A machine that is busy with something else spoils a round; a worker that waits spoils them all.
    const ROUNDS: usize = 8;
    let mut redis = Redis::start()?;
    let address = redis.address();
    let nginx = host(flavour, &format!("redis=redis://{address} nodes=4"), "")?;
    wait_for_redis(&nginx, 1)?;
    let (stop, samples) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let rounds = std::thread::scope(|scope| -> Outcome<Vec<Round>> {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| pace(&nginx, &stop, &samples))).collect();
        let mut round = || -> Outcome<Round> {
            let healthy = p99(&nginx)?;
            let process = redis.process();
            let hangs = outage(
                &nginx,
                &samples,
                || process.signal(Signal::STOP),
                || process.signal(Signal::CONT),
            )?;
            let process = redis.process();
            let mut back = None;
            let dies = outage(
                &nginx,
                &samples,
                || process.signal(Signal::KILL),
                || {
                    back = Some(Redis::start_on(address, &[])?);
                    Ok(())
                },
            )?;
            redis = back.ok_or("redis is not back")?;
            Ok(Round { healthy, outages: [hangs, dies] })
        };
        let mut rounds = Vec::new();
        while rounds.len() < ROUNDS && !rounds.last().is_some_and(Round::is_good) {
            match round() {
                Ok(round) => rounds.push(round),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        Ok(rounds)
    })?;
    for Round { healthy, outages: [hangs, dies] } in &rounds {
        eprintln!("{flavour}: p99 {healthy:?}; hangs {hangs:?}; dies {dies:?}");
    }
    if !rounds.last().is_some_and(Round::is_good) {
        return Err("no round was good".into());
    }
    nginx.stop()
}

fn batches_of_three_hosts_stay_within_the_bound(flavour: Flavour) -> Outcome {
    const BATCH_LIMIT: usize = 2_000;
    const INTERVAL: Duration = Duration::from_millis(100);
    /// Two round trips, and timers and clients of a busy machine that come late.
    const SLACK: Duration = Duration::from_millis(300);
    let redis = Redis::start()?;
    let zone = format!("redis=redis://{} sync=100ms timeout=30s", redis.address());
    let hosts = (0..3)
        .map(|_| {
            Nginx::builder(flavour)?
                .log_level("notice")
                .workers(2)
                .http(&format!("keepalive_requests 1000000; rate_limit_zone api:1m {zone};"))
                .server(&format!(
                    "location /t {{ rate_limit {BATCH_LIMIT}r/y zone=api by=service; empty_gif; }}"
                ))
                .start()
        })
        .collect::<Outcome<Vec<_>>>()?;
    for host in &hosts {
        wait_for_redis(host, 2)?;
    }
    // When requests have passed, until all hosts refuse.
    let passed = |host: &Nginx| -> Outcome<Vec<Instant>> {
        let mut connection = host.connect()?;
        let mut times = Vec::new();
        loop {
            match connection.request(&Request::get("/t"))?.status {
                200 => times.push(Instant::now()),
                429 => return Ok(times),
                other => return Err(format!("status {other}").into()),
            }
        }
    };
    let times: Outcome<Vec<Vec<Instant>>> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            hosts.iter().chain(&hosts).map(|host| scope.spawn(move || passed(host))).collect();
        clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?).collect()
    });
    let mut times = times?.concat();
    times.sort_unstable();
    let (total, full) = (times.len(), *times.get(BATCH_LIMIT - 1).ok_or("too few passed")?);
    let late = *times.last().ok_or("nothing passed")? - full;
    eprintln!("{flavour}: {total} passed of {BATCH_LIMIT}, the last {late:?} after the limit");
    if late > 2 * INTERVAL + SLACK || total > BATCH_LIMIT * hosts.len() {
        return Err(format!("{total} passed of {BATCH_LIMIT}, the last {late:?} later").into());
    }
    hosts.into_iter().try_for_each(Nginx::stop)
}

fn an_idle_host_hears_of_the_others_with_its_first_request(flavour: Flavour) -> Outcome {
    const BATCH_LIMIT: usize = 500;
    let redis = Redis::start()?;
    let zone = format!("redis=redis://{} sync=3s timeout=30s", redis.address());
    let host = || {
        Nginx::builder(flavour)?
            .log_level("notice")
            .http(&format!("keepalive_requests 1000000; rate_limit_zone api:1m {zone};"))
            .server(&format!(
                "location /t {{ rate_limit {BATCH_LIMIT}r/y zone=api by=service; empty_gif; }}"
            ))
            .start()
    };
    let (idle, busy) = (host()?, host()?);
    wait_for_redis(&idle, 1)?;
    wait_for_redis(&busy, 1)?;
    let spend = |host: &Nginx| -> Outcome<usize> {
        let mut connection = host.connect()?;
        for passed in 0..=BATCH_LIMIT {
            if connection.request(&Request::get("/t"))?.status == 429 {
                return Ok(passed);
            }
        }
        Err("nothing is refused".into())
    };
    expect("status", idle.get("/t")?.status, 200)?;
    spend(&busy)?;
    let total = "EVAL \"for _, k in ipairs(redis.call('KEYS', '*:y')) do \
                 return tonumber(string.match(redis.call('GET', k), ' (%d+)')) end\" 0";
    until(PATIENCE, "the busy host to hand over", || {
        (redis.command(total).ok()?.parse::<usize>().ok()? >= BATCH_LIMIT).then_some(())
    })?;
    // It has heard of nothing for longer than that.
    let passed = spend(&idle)?;
    if passed > BATCH_LIMIT / 4 {
        return Err(format!("{passed} passed").into());
    }
    idle.stop()?;
    busy.stop()
}

/// A free port that is not the server's own.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A Redis that speaks TLS on a second port, and plain for the test.
fn tls_redis(directory: &Path) -> Outcome<(Redis, u16)> {
    let files = ["cert.pem", "key.pem"].map(|name| directory.join(name));
    std::fs::write(&files[0], &certificate()?.certificate)?;
    std::fs::write(&files[1], &certificate()?.key)?;
    let [certificate, key] = files.map(|file| file.to_string_lossy().into_owned());
    let port = free_port()?;
    let mut arguments = vec!["--tls-port".to_owned(), port.to_string()];
    for (name, value) in [("ca-cert", &certificate), ("cert", &certificate), ("key", &key)] {
        arguments.extend([format!("--tls-{name}-file"), value.clone()]);
    }
    arguments.extend(["--tls-auth-clients".to_owned(), "no".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Ok((Redis::start_with(&arguments)?, port))
}

fn tls_a_user_with_few_rights_and_a_database_are_used(flavour: Flavour) -> Outcome {
    let directory = tempfile::tempdir()?;
    let (redis, port) = tls_redis(directory.path())?;
    // What the reference says such a user needs.
    let rights = "~{apigate:* +evalsha +script|load +get +set +time +ping +select";
    redis.command(&format!("ACL SETUSER gate reset on >p@ss {rights}"))?;
    let zone = format!("redis=rediss://gate:p%40ss@127.0.0.1:{port}/5 timeout=5s nodes=4");
    // nginx's workers have only those variables of the environment that it is told to leave.
    let trust = format!("env SSL_CERT_FILE={};", directory.path().join("cert.pem").display());
    let nginx = host(flavour, &zone, &trust)?;
    wait_for_redis(&nginx, 1)?;
    expect("left", remaining(&nginx)?, LIMIT - 1)?;
    expect("left", remaining(&nginx)?, LIMIT - 2)?;
    expect("keys of database 0", redis.command("DBSIZE")?, "0".to_owned())?;
    redis.command("SWAPDB 0 5")?;
    // That of the probe goes by itself.
    until(PATIENCE, "one key in database 5", || {
        (redis.command("DBSIZE").ok()? == "1").then_some(())
    })?;
    nginx.stop()?;

    // A certificate that nobody vouches for is refused.
    let nginx = host(flavour, &zone, "")?;
    let pattern =
        Regex::new("reason=no connection to redis, its certificate is refused, self-signed")?;
    let line = nginx.wait_for_log(&pattern, PATIENCE)?;
    expect("a line without the password", line.contains("p@ss") || line.contains("p%40"), false)?;
    expect("limit", number(&nginx.get("/t")?, "RateLimit-Limit")?, SHARE)?;
    nginx.stop()
}

fn forgotten_scripts_cost_no_request(flavour: Flavour) -> Outcome {
    let redis = Redis::start()?;
    let nginx = host(flavour, &format!("redis=redis://{} timeout=5s", redis.address()), "")?;
    wait_for_redis(&nginx, 1)?;
    for spent in 1..=50 {
        if spent % 5 == 0 {
            redis.command("SCRIPT FLUSH")?;
        }
        expect("left", remaining(&nginx)?, LIMIT - spent)?;
    }
    expect("times that redis was said to be away", away(&nginx), 0)?;
    nginx.stop()
}

/// How often nginx has said that Redis is away.
fn away(nginx: &Nginx) -> usize {
    nginx.error_log().matches("cannot count in redis").count()
}

/// Waits until the fleet's limit is in force; what is left of it then.
fn wait_for_count(nginx: &Nginx) -> Outcome<u64> {
    until(PATIENCE, "the fleet's count", || remaining(nginx).ok())
        .map_err(|error| format!("{error}\n{}", nginx.log_tail()).into())
}

fn a_changed_password_is_survived_and_a_reload_brings_the_new_one(flavour: Flavour) -> Outcome {
    let redis = Redis::start()?;
    let user = |password: &str| {
        redis.command(&format!("ACL SETUSER gate reset on >{password} ~{{apigate:* +@all"))
    };
    user("first")?;
    let zone = |password: &str| {
        let address = redis.address();
        format!("redis=redis://gate:{password}@{address} timeout=5s nodes=4")
    };
    let nginx = host(flavour, &zone("first"), "")?;
    wait_for_redis(&nginx, 1)?;
    expect("left", remaining(&nginx)?, LIMIT - 1)?;
    // Sessions outlive a change; what comes after them is refused.
    user("second")?;
    expect("left", remaining(&nginx)?, LIMIT - 2)?;
    redis.command("CLIENT KILL USER gate")?;
    until(PATIENCE, "nginx to count alone", || {
        let limit = number(&nginx.get("/t").ok()?, "RateLimit-Limit").ok()?;
        (limit == SHARE).then_some(())
    })?;
    nginx.write_file("conf/zone.conf", format!("rate_limit_zone api:1m {};", zone("second")))?;
    nginx.reload()?;
    let left = wait_for_count(&nginx)?;
    if !(LIMIT - 10..LIMIT - 2).contains(&left) {
        return Err(format!("{left} are left").into());
    }
    for secret in ["first", "second"] {
        expect("the log has the password", nginx.error_log().contains(secret), false)?;
    }
    nginx.stop()
}

fn a_failover_and_the_way_back_keep_the_count(flavour: Flavour) -> Outcome {
    let (first, second) = (Redis::start()?, Redis::start()?);
    let nginx = host(flavour, &format!("redis=redis://{} nodes=4", first.address()), "")?;
    wait_for_redis(&nginx, 1)?;
    let hand_over = |from: &Redis| {
        until(PATIENCE, "a failover", || from.command("FAILOVER").ok())?;
        until(PATIENCE, "the other to be the master", || {
            let answer = from.command("SET probe 1");
            answer.is_err_and(|error| error.to_string().contains("READONLY")).then_some(())
        })
    };
    second.command(&format!("REPLICAOF 127.0.0.1 {}", first.address().port()))?;
    for _ in 0..5 {
        wait_for_count(&nginx)?;
    }
    hand_over(&first)?;
    until(PATIENCE, "nginx to count alone", || {
        let limit = number(&nginx.get("/t").ok()?, "RateLimit-Limit").ok()?;
        (limit == SHARE).then_some(())
    })?;
    hand_over(&second)?;
    let left = wait_for_count(&nginx)?;
    if !(LIMIT - 100..LIMIT - 5).contains(&left) {
        return Err(format!("{left} are left").into());
    }
    nginx.stop()
}
