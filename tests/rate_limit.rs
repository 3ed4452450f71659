//! What limits must hold to under load, over several hosts, and while something breaks.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::expect::expect_equal;
use harness::http::{Connection, Request};
use harness::nginx::{faults, tail};
use harness::process::{Signal, signal};
use harness::wait::PATIENCE;
use harness::{Flavour, Nginx, NginxBuilder, Outcome, Redis, Regex, until};

harness::scenarios![
    exactly_the_limit_passes_on_two_workers,
    exactly_the_limit_passes_on_three_hosts_with_one_redis,
    exactly_the_limit_passes_while_nginx_reloads,
    killed_workers_leave_counters_and_no_lock,
    batches_pass_the_limit_of_each_host_at_most,
    what_a_worker_has_counted_is_handed_over_when_it_ends,
    a_redis_that_hangs_costs_one_timeout_and_nobody_else,
    counting_in_redis_resumes_when_it_is_back,
    clients_that_go_while_redis_is_asked_harm_nobody,
    what_is_counted_here_is_given_back_when_a_client_goes_while_redis_is_asked,
    a_full_zone_lets_new_keys_through_and_says_so_once,
];

const LIMIT: u64 = 1_000;
const REQUESTS: u64 = 20_000;
const CONNECTIONS: u64 = 64;
/// So long that no request of a busy machine runs into it where redis is well.
const LONG: &str = "timeout=30s";

fn gateway(flavour: Flavour, zone: &str, limit: &str) -> Outcome<NginxBuilder> {
    Ok(Nginx::builder(flavour)?
        .log_level("notice")
        .http(&format!("keepalive_requests 1000000; rate_limit_zone api:{zone};"))
        .server(&format!(
            "location /t {{ rate_limit {limit} zone=api; empty_gif; }}
             location /free {{ empty_gif; }}"
        )))
}

fn redis_zone(redis: &Redis, parameters: &str) -> String {
    format!("1m redis=redis://{} {parameters}", redis.address())
}

/// Waits until so many workers have said that they count in redis.
fn wait_for_redis(nginx: &Nginx, times: usize) -> Outcome {
    let said = || nginx.error_log().matches("counts in redis").count() >= times;
    until(PATIENCE, "workers to count in redis", || said().then_some(()))
        .map_err(|error| format!("{error}\n{}", nginx.log_tail()).into())
}

/// Sends a share of the requests over one connection; how many passed.
fn send(nginx: &Nginx, requests: u64, answered: &AtomicU64) -> Outcome<u64> {
    let mut connection = nginx.connect_for(Duration::from_secs(60))?;
    let (request, mut passed) = (Request::get("/t"), 0);
    for _ in 0..requests {
        let response = connection.request(&request)?;
        match response.status {
            200 => passed += 1,
            429 => {}
            _ => return Err(format!("{}{}", response.head, response.text()).into()),
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(passed)
}

/// Sends requests over many connections, which share the hosts; how many passed.
fn storm(hosts: &[Nginx], requests: u64, answered: &AtomicU64) -> Outcome<u64> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = hosts
            .iter()
            .cycle()
            .take(CONNECTIONS as usize)
            .zip(0..CONNECTIONS)
            .map(|(host, number)| {
                let share = requests / CONNECTIONS + u64::from(number < requests % CONNECTIONS);
                scope.spawn(move || send(host, share, answered))
            })
            .collect();
        clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?).sum()
    })
}

fn expect_exactly(passed: u64) -> Outcome {
    if passed == LIMIT { Ok(()) } else { Err(format!("{passed} of {LIMIT} passed").into()) }
}

/// What a response says is left.
fn remaining(nginx: &Nginx) -> Outcome<u64> {
    let response = nginx.get("/t")?;
    let left = response.header("RateLimit-Remaining").ok_or_else(|| response.head.clone())?;
    Ok(left.parse()?)
}

fn exactly_the_limit_passes_on_two_workers(flavour: Flavour) -> Outcome {
    let nginx = gateway(flavour, "1m", "1000r/y 1000r/M")?.workers(2).start()?;
    nginx.wait_for_workers()?;
    let passed = storm(std::slice::from_ref(&nginx), REQUESTS, &AtomicU64::new(0))?;
    expect_exactly(passed)?;
    nginx.stop()
}

fn exactly_the_limit_passes_on_three_hosts_with_one_redis(flavour: Flavour) -> Outcome {
    let redis = Redis::start()?;
    let zone = redis_zone(&redis, LONG);
    let hosts = (0..3)
        .map(|_| gateway(flavour, &zone, "1000r/y 1000r/M")?.workers(2).start())
        .collect::<Outcome<Vec<_>>>()?;
    for host in &hosts {
        wait_for_redis(host, 2)?;
    }
    expect_exactly(storm(&hosts, REQUESTS, &AtomicU64::new(0))?)?;
    hosts.into_iter().try_for_each(Nginx::stop)
}

/// Each request has a connection of its own: on a kept one nginx itself may close while a request is on its way.
fn exactly_the_limit_passes_while_nginx_reloads(flavour: Flavour) -> Outcome {
    const CLIENTS: u64 = 4;
    const EACH: u64 = 500;
    let nginx = gateway(flavour, "1m", "1000r/y")?.workers(2).start()?;
    let (answered, stop) = (AtomicU64::new(0), AtomicU64::new(0));
    let client = || -> Outcome<u64> {
        let (mut passed, mut sent) = (0, 0);
        // However fast they are answered, requests go on until the last reload is over.
        while sent < EACH || stop.load(Ordering::Relaxed) == 0 {
            sent += 1;
            passed += u64::from(nginx.get("/t")?.status == 200);
            answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(passed)
    };
    let passed: Outcome<u64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let reloads = (0..3).try_for_each(|_| -> Outcome {
            let seen = answered.load(Ordering::Relaxed);
            until(PATIENCE, "more answers", || {
                (answered.load(Ordering::Relaxed) > seen + 50).then_some(())
            })?;
            nginx.reload()
        });
        stop.store(1, Ordering::Relaxed);
        reloads?;
        clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?).sum()
    });
    expect_exactly(passed.map_err(|error| format!("{error}\n{}", nginx.log_tail()))?)?;
    nginx.stop()
}

fn killed_workers_leave_counters_and_no_lock(flavour: Flavour) -> Outcome {
    const KILLS: usize = 5;
    let mut nginx = gateway(flavour, "1m", "1000000r/y")?.workers(2).start()?;
    nginx.wait_for_workers()?;
    let (passed, stop) = (AtomicU64::new(0), AtomicU64::new(0));
    let client = || {
        while stop.load(Ordering::Relaxed) == 0 {
            let Ok(mut connection) = nginx.connect() else { continue };
            // Until the worker that serves it is killed.
            while stop.load(Ordering::Relaxed) == 0
                && connection.request(&Request::get("/t")).is_ok_and(|it| it.status == 200)
            {
                passed.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| -> Outcome {
        for _ in 0..4 {
            scope.spawn(client);
        }
        let kills = (0..KILLS).try_for_each(|_| {
            let seen = passed.load(Ordering::Relaxed);
            until(PATIENCE, "more answers", || {
                (passed.load(Ordering::Relaxed) > seen + 200).then_some(())
            })?;
            let victims = nginx.wait_for_workers()?;
            victims.iter().try_for_each(|pid| signal(*pid, Signal::KILL))?;
            until(PATIENCE, "new workers", || {
                let now = nginx.worker_pids();
                let fresh = now.iter().all(|pid| !victims.contains(pid));
                (fresh && now.len() == victims.len()).then_some(())
            })
        });
        stop.store(1, Ordering::Relaxed);
        kills
    })?;
    // Whoever was cut off may have been charged or not.
    let (seen, spent) = (passed.load(Ordering::Relaxed), 1_000_000 - remaining(&nginx)? - 1);
    let most = seen + 4 * (KILLS as u64 + 1);
    if !(seen..=most).contains(&spent) {
        return Err(format!("{seen} to {most} requests passed, {spent} were charged").into());
    }
    let status = nginx.quit()?;
    let log = nginx.error_log();
    let killed = Regex::new(r"worker process \d+ exited on signal 9")?;
    let lock = Regex::new("shared memory zone .* was locked by")?;
    let faults = faults(&log, &[killed, lock])?;
    if status.success() && faults.is_empty() {
        Ok(())
    } else {
        Err(format!("nginx ended with {status}, {faults:?}\n{}", tail(&log)).into())
    }
}

fn batches_pass_the_limit_of_each_host_at_most(flavour: Flavour) -> Outcome {
    let redis = Redis::start()?;
    let zone = redis_zone(&redis, &format!("sync=100ms {LONG}"));
    let hosts = (0..2)
        .map(|_| gateway(flavour, &zone, "1000r/y")?.workers(2).start())
        .collect::<Outcome<Vec<_>>>()?;
    for host in &hosts {
        wait_for_redis(host, 2)?;
    }
    let passed = storm(&hosts, 6_000, &AtomicU64::new(0))?;
    if !(LIMIT..=LIMIT * hosts.len() as u64).contains(&passed) {
        return Err(format!("{passed} passed").into());
    }
    // What one host has spent, the other learns.
    for host in &hosts {
        until(PATIENCE, "the fleet's count", || {
            (host.get("/t").ok()?.status == 429).then_some(())
        })?;
    }
    hosts.into_iter().try_for_each(Nginx::stop)
}

fn what_a_worker_has_counted_is_handed_over_when_it_ends(flavour: Flavour) -> Outcome {
    let redis = Redis::start()?;
    let zone = redis_zone(&redis, &format!("sync=1h {LONG}"));
    let first = gateway(flavour, &zone, "1000r/y")?.start()?;
    wait_for_redis(&first, 1)?;
    for _ in 0..5 {
        first.get("/t")?;
    }
    first.stop()?;
    // The probe's own is gone after a second.
    until(PATIENCE, "one counter in redis", || {
        (redis.command("DBSIZE").ok()? == "1").then_some(())
    })?;
    // An exact host in the same fleet goes on from there.
    let zone = redis_zone(&redis, LONG);
    let second = gateway(flavour, &zone, "1000r/y")?.start()?;
    wait_for_redis(&second, 1)?;
    let left = remaining(&second)?;
    if left != 994 {
        return Err(format!("{left} are left").into());
    }
    second.stop()
}

fn a_redis_that_hangs_costs_one_timeout_and_nobody_else(flavour: Flavour) -> Outcome {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let redis = Redis::start()?;
    let nginx = gateway(flavour, &redis_zone(&redis, "timeout=2s nodes=4"), "1000r/y")?.start()?;
    wait_for_redis(&nginx, 1)?;
    if remaining(&nginx)? != 999 {
        return Err("the first request is not counted in redis".into());
    }
    redis.process().signal(Signal::STOP)?;
    let (mut waiting, begun) = (nginx.connect()?, Instant::now());
    waiting.send(&Request::get("/t").to_bytes())?;
    let free = nginx.get("/free")?;
    if free.status != 200 || begun.elapsed() >= TIMEOUT {
        return Err(format!("another location waited for {:?}", begun.elapsed()).into());
    }
    let local = waiting.read_response(false)?;
    let first = begun.elapsed();
    if local.header("RateLimit-Limit") != Some("250") || first > TIMEOUT + PATIENCE / 2 {
        return Err(format!("after {first:?}: {}", local.head).into());
    }
    // The breaker is open: each waiting would take forty seconds.
    let begun = Instant::now();
    for _ in 0..20 {
        let response = nginx.get("/t")?;
        if response.status != 200 || response.header("RateLimit-Limit") != Some("250") {
            return Err(response.head.into());
        }
    }
    let rest = begun.elapsed();
    eprintln!("{flavour}: first {first:?}, twenty more {rest:?}");
    if rest > TIMEOUT {
        return Err(format!("requests waited for a store that is away: {rest:?}").into());
    }
    redis.process().signal(Signal::CONT)?;
    wait_for_redis(&nginx, 2)?;
    let response = nginx.get("/t")?;
    if response.header("RateLimit-Limit") != Some("1000") {
        return Err(response.head.into());
    }
    nginx.stop()
}

fn counting_in_redis_resumes_when_it_is_back(flavour: Flavour) -> Outcome {
    let redis = Redis::start()?;
    let address = redis.address();
    let zone = redis_zone(&redis, "timeout=5s on_error=deny");
    let nginx = gateway(flavour, &zone, "1000r/y")?.start()?;
    wait_for_redis(&nginx, 1)?;
    if remaining(&nginx)? != 999 {
        return Err("the first request is not counted in redis".into());
    }
    drop(redis);
    let refused = nginx.get("/t")?;
    if refused.status != 503 || refused.header("Retry-After").is_none() {
        return Err(refused.head.into());
    }
    let _redis = Redis::start_on(address, &[])?;
    let begun = Instant::now();
    let back = until(PATIENCE, "redis to be asked again", || {
        nginx.get("/t").ok().filter(|response| response.status == 200)
    })?;
    eprintln!("{flavour}: resumed after {:?}", begun.elapsed());
    if back.header("RateLimit-Remaining") != Some("999") {
        return Err(back.head.into());
    }
    nginx.stop()
}

fn clients_that_go_while_redis_is_asked_harm_nobody(flavour: Flavour) -> Outcome {
    let redis = Redis::start()?;
    let nginx = gateway(flavour, &redis_zone(&redis, "timeout=3s"), "1000r/y")?.start()?;
    wait_for_redis(&nginx, 1)?;
    redis.process().signal(Signal::STOP)?;
    let asked = (0..50)
        .map(|_| {
            let mut connection = nginx.connect()?;
            connection.send(&Request::get("/t").to_bytes())?;
            Ok(connection)
        })
        .collect::<Outcome<Vec<Connection>>>()?;
    // On one thread: this answer comes when all of the requests have been read.
    nginx.get("/free")?;
    drop(asked);
    let gone = || nginx.access_log().matches("\"GET /t HTTP/1.1\" 499").count() == 50;
    until(PATIENCE, "nginx to notice that they have gone", || gone().then_some(()))?;
    redis.process().signal(Signal::CONT)?;
    let left = until(PATIENCE, "redis to count", || {
        remaining(&nginx).ok().filter(|_| nginx.get("/t").is_ok())
    })?;
    if left >= LIMIT {
        return Err(format!("{left} are left").into());
    }
    nginx.stop()
}

fn what_is_counted_here_is_given_back_when_a_client_goes_while_redis_is_asked(
    flavour: Flavour,
) -> Outcome {
    let redis = Redis::start()?;
    let nginx = gateway(flavour, &redis_zone(&redis, "timeout=30s"), "1000r/y")?
        .http("rate_limit_zone here:1m;")
        .server(
            "location /both {
                 rate_limit 1000r/y zone=here by=service name=all;
                 rate_limit 1000r/y zone=api;
                 empty_gif;
             }
             location /here { rate_limit 1000r/y zone=here by=service name=all cost=$arg_cost; empty_gif; }",
        )
        .start()?;
    wait_for_redis(&nginx, 1)?;
    let left = || -> Outcome<u64> {
        let response = nginx.get("/here?cost=0")?;
        let left = response.header("RateLimit-Remaining").ok_or("nothing is told")?;
        Ok(left.parse()?)
    };
    nginx.get("/both")?;
    expect_equal("left after a request that stayed", left()?, 999)?;
    redis.process().signal(Signal::STOP)?;
    let mut asked = Vec::new();
    for _ in 0..50 {
        let mut connection = nginx.connect()?;
        connection.send(&Request::get("/both").to_bytes())?;
        asked.push(connection);
    }
    // On one thread: this answer comes when all of the requests have been read.
    expect_equal("left while Redis is asked", left()?, 949)?;
    drop(asked);
    let gone = || nginx.access_log().matches("\"GET /both HTTP/1.1\" 499").count() == 50;
    until(PATIENCE, "nginx to notice that they have gone", || gone().then_some(()))?;
    expect_equal("left when they have gone", left()?, 999)?;
    redis.process().signal(Signal::CONT)?;
    nginx.get("/both")?;
    expect_equal("left in the end", left()?, 998)?;
    nginx.stop()
}

fn a_full_zone_lets_new_keys_through_and_says_so_once(flavour: Flavour) -> Outcome {
    let nginx = gateway(flavour, "32k", "1r/y")?
        .server("location /key { rate_limit 1r/y zone=api by=$arg_key; empty_gif; }")
        .start()?;
    let mut connection = nginx.connect()?;
    let mut ask = |key: u32| -> Outcome<u16> {
        Ok(connection.request(&Request::get(&format!("/key?key={key}")))?.status)
    };
    for key in 0..3_000 {
        if ask(key)? != 200 {
            return Err(format!("key {key} is refused, though it is new").into());
        }
    }
    // Those that were there first are there still.
    for key in 0..100 {
        if ask(key)? != 429 {
            return Err(format!("key {key} has lost its counter").into());
        }
    }
    let pattern = Regex::new("zone \"api\" is full, keys are let through uncounted")?;
    nginx.wait_for_log(&pattern, PATIENCE)?;
    let lines = nginx.error_log().lines().filter(|line| pattern.is_match(line)).count();
    if lines != 1 {
        return Err(format!("{lines} lines tell of a full zone").into());
    }
    nginx.stop()
}
