//! What a reload may not break. A model for tests that a .t file cannot express.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use harness::http::Request;
use harness::wait::PATIENCE;
use harness::{Flavour, Nginx, Outcome, until};

harness::scenarios![no_request_fails_while_nginx_reloads, a_bad_configuration_leaves_the_old_one];

const CLIENTS: usize = 4;
const RELOADS: u64 = 5;
/// Answers to wait for between two reloads, so that each of them happens under load.
const ANSWERS_BETWEEN: u64 = 50;

/// Sends requests, each on a connection of its own, until told to stop. (On a kept connection
/// nginx itself may close while a request is on its way.)
fn load(nginx: &Nginx, stop: &AtomicBool, answers: &AtomicU64) -> Outcome {
    while !stop.load(Ordering::Relaxed) {
        let response = nginx.request(&Request::get("/"))?;
        if response.status != 200 || response.text() != "here\n" {
            return Err(format!("{}{}", response.head, response.text()).into());
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn reload_under_load(nginx: &Nginx, answers: &AtomicU64) -> Outcome {
    for _ in 0..RELOADS {
        let seen = answers.load(Ordering::Relaxed);
        until(PATIENCE, "more answers", || {
            (answers.load(Ordering::Relaxed) > seen + ANSWERS_BETWEEN).then_some(())
        })?;
        let before = nginx.worker_pids();
        nginx.reload()?;
        let after = nginx.worker_pids();
        if after.iter().any(|pid| before.contains(pid)) {
            return Err(format!("workers {before:?} became {after:?}").into());
        }
    }
    Ok(())
}

fn no_request_fails_while_nginx_reloads(flavour: Flavour) -> Outcome {
    let nginx = Nginx::builder(flavour)?
        .workers(2)
        .server(r#"location / { return 200 "here\n"; }"#)
        .start()?;
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| load(&nginx, &stop, &answers))).collect();
        let reloaded = reload_under_load(&nginx, &answers);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        reloaded
    })?;
    nginx.stop()
}

fn a_bad_configuration_leaves_the_old_one(flavour: Flavour) -> Outcome {
    let mut nginx =
        Nginx::builder(flavour)?.server(r#"location / { return 200 "old\n"; }"#).start()?;
    let workers = nginx.wait_for_workers()?;
    let refused = nginx.reload_with("no_such_directive;");
    let error = refused.err().ok_or("a bad configuration was taken")?.to_string();
    if !error.contains(r#"unknown directive "no_such_directive""#) {
        return Err(error.into());
    }
    if nginx.get("/")?.text() != "old\n" || nginx.worker_pids() != workers {
        return Err("the old configuration is gone".into());
    }
    nginx.reload_with(r#"location / { return 200 "new\n"; }"#)?;
    if nginx.get("/")?.text() != "new\n" {
        return Err("the new configuration is not in force".into());
    }
    let status = nginx.quit()?;
    if status.success() { Ok(()) } else { Err(format!("nginx ended with {status}").into()) }
}
