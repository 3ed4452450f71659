//! Functions that take their time hold nobody up.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::gateway::Transport;
use harness::http::{Connection, Request};
use harness::wait::PATIENCE;
use harness::{AwsDouble, Flavour, Nginx, Outcome, until};

harness::scenarios![a_location_answers_at_once_while_150_invocations_are_in_flight];

const IN_FLIGHT: usize = 150;
/// On average: between two of its invocations a client reads and writes.
const ENOUGH_IN_FLIGHT: f64 = 100.0;
const FUNCTION_TIME: Duration = Duration::from_millis(300);
const BAR: Duration = Duration::from_millis(20);
/// Several of the functions' times long, so that all that they do to the worker is in it.
const ROUND_TIME: Duration = Duration::from_secs(2);
/// A machine that is busy with something else spoils a round; a worker that waits spoils them all.
const ROUNDS: usize = 5;

/// Keeps all connections waiting for a reply, which they get and ask anew for one after the other.
fn invoke(connections: &mut [Connection], stop: &AtomicBool, replies: &AtomicU64) -> Outcome {
    let request = Request::get("/slow");
    for connection in connections.iter_mut() {
        connection.send(&request.to_bytes())?;
    }
    while !stop.load(Ordering::Relaxed) {
        for connection in connections.iter_mut() {
            let response = connection.read_response(false)?;
            if response.status != 200 || response.text() != "slept 300 ms" {
                return Err(format!("{}{}", response.head, response.text()).into());
            }
            replies.fetch_add(1, Ordering::Relaxed);
            connection.send(&request.to_bytes())?;
        }
    }
    for connection in connections.iter_mut() {
        connection.read_response(false)?;
    }
    Ok(())
}

/// The 99th percentile of many requests for a file.
fn p99(nginx: &Nginx) -> Outcome<Duration> {
    let mut connection = nginx.connect()?;
    let (mut times, end) = (Vec::new(), Instant::now() + ROUND_TIME);
    while Instant::now() < end {
        let begun = Instant::now();
        let response = connection.request(&Request::get("/file.txt"))?;
        times.push(begun.elapsed());
        if response.status != 200 || response.text() != "a file\n" {
            return Err(format!("{}{}", response.head, response.text()).into());
        }
    }
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().ok_or_else(|| "no samples".into())
}

/// Measures while invocations are in flight; also how many of them there were at a time, on average.
fn measure(nginx: &Nginx, replies: &AtomicU64) -> Outcome<(Duration, f64)> {
    let seen = replies.load(Ordering::Relaxed);
    until(PATIENCE, "the first replies", || {
        (replies.load(Ordering::Relaxed) > seen + IN_FLIGHT as u64).then_some(())
    })?;
    let (before, begun) = (replies.load(Ordering::Relaxed), Instant::now());
    let p99 = p99(nginx)?;
    // Little's law, with the least time that an invocation takes.
    let finished = (replies.load(Ordering::Relaxed) - before) as f64;
    Ok((p99, finished * FUNCTION_TIME.as_secs_f64() / begun.elapsed().as_secs_f64()))
}

/// Whether a round shows what it must.
fn is_good((p99, in_flight): &(Duration, f64)) -> bool {
    *p99 < BAR && *in_flight > ENOUGH_IN_FLIGHT
}

fn a_location_answers_at_once_while_150_invocations_are_in_flight(flavour: Flavour) -> Outcome {
    let double = AwsDouble::start()?;
    let nginx = Nginx::builder(flavour)?
        .invoking(&double, Transport::Plain)?
        .http("keepalive_requests 1000000;")
        .file("html/file.txt", "a file\n")?
        .server("location /slow { lambda_pass slow-300; } location / { }")
        .start()?;
    until(PATIENCE, "credentials", || {
        nginx.get("/slow").ok().filter(|response| response.status == 200)
    })?;
    let mut connections =
        (0..IN_FLIGHT).map(|_| nginx.connect()).collect::<Outcome<Vec<Connection>>>()?;
    let (stop, replies) = (AtomicBool::new(false), AtomicU64::new(0));
    let rounds = std::thread::scope(|scope| {
        let invoking = scope.spawn(|| invoke(&mut connections, &stop, &replies));
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let round = measure(&nginx, &replies);
            let done = round.as_ref().map_or(true, is_good);
            rounds.push(round);
            if done {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        invoking.join().map_err(|_| "the clients panicked")??;
        rounds.into_iter().collect::<Outcome<Vec<_>>>()
    })?;
    eprintln!("{flavour}: p99 and mean invocations in flight, each round: {rounds:?}");
    let most = double.count("/functions/slow-300/max_in_flight")?;
    if most < IN_FLIGHT as u64 {
        return Err(format!("only {most} invocations were in flight").into());
    }
    if !rounds.iter().any(is_good) {
        return Err(format!("p99 and invocations in flight, each round: {rounds:?}").into());
    }
    nginx.stop()
}
