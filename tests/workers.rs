//! Workers come and go: killed, replaced by a reload, ended while a helper thread is at work.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::time::{Duration, Instant};

use harness::gateway::{Transport, with_key};
use harness::http::Request;
use harness::load::{Load, Tally, under_load};
use harness::process::{self, Signal};
use harness::wait::{PATIENCE, scaled};
use harness::{AwsDouble, Flavour, Nginx, NginxBuilder, Outcome, Regex, until};

harness::scenarios![
    a_killed_worker_is_replaced_and_everything_goes_on,
    the_lead_in_fetching_credentials_outlives_its_worker,
    fifty_reloads_under_load_cost_no_request,
    a_thread_that_waits_for_credentials_does_not_delay_the_end,
    a_worker_ends_well_while_a_thread_is_in_tls,
];

const WORKERS: usize = 2;
const CLIENTS: usize = 4;
const KILLS: usize = 6;
const RELOADS: usize = 50;
/// Many, for what is looked for is a race.
const ENDS: usize = 20;
/// Good answers to wait for between two blows, so that each of them falls under load.
const ANSWERS_BETWEEN: u64 = 30;
/// Far below what a worker waits for helper threads if it waits at all.
const LONGEST_QUIT: Duration = Duration::from_secs(2);
/// nginx's own word for what the scenario itself has done.
const KILLED: &str = r"\[alert\].* exited on signal 9";

const FUNCTION: &str = "location /hello { key_auth apps; lambda_pass hello; }\n";

fn gateway(flavour: Flavour, double: &AwsDouble) -> Outcome<NginxBuilder> {
    Ok(Nginx::builder(flavour)?
        .invoking(double, Transport::Tls)?
        .workers(WORKERS)
        .log_level("notice")
        .http("access_log off;")
        .server(FUNCTION))
}

fn hello() -> Request {
    with_key("GET", "/hello")
}

fn wait_until_invoked(nginx: &Nginx) -> Outcome {
    until(PATIENCE, "an invocation to succeed", || {
        nginx.request(&hello()).ok().filter(|response| response.status == 200)
    })?;
    Ok(())
}

/// Kills a worker and waits for another in its place.
fn kill(nginx: &Nginx, pid: u32) -> Outcome {
    process::signal(pid, Signal::KILL)?;
    until(PATIENCE, "another worker", || {
        let workers = nginx.worker_pids();
        (workers.len() == WORKERS && !workers.contains(&pid)).then_some(())
    })
}

fn one(tallies: &[Tally]) -> Outcome<&Tally> {
    Ok(tallies.first().ok_or("no load")?)
}

fn a_killed_worker_is_replaced_and_everything_goes_on(flavour: Flavour) -> Outcome {
    let double = AwsDouble::start()?;
    let nginx = gateway(flavour, &double)?.start()?;
    wait_until_invoked(&nginx)?;
    let request = hello();
    let load =
        Load { address: nginx.address(), clients: CLIENTS, request: &request, expected: "hello" };
    let tallies = under_load(&[load], |tallies| {
        for _ in 0..KILLS {
            one(tallies)?.wait_for(ANSWERS_BETWEEN)?;
            let victim = *nginx.wait_for_workers()?.first().ok_or("no worker")?;
            kill(&nginx, victim)?;
        }
        one(tallies)?.wait_for(ANSWERS_BETWEEN)
    })?;
    // What a killed worker had in hand is lost; nothing is refused for want of keys or credentials.
    let (wrong, lost) = (one(&tallies)?.wrong(), one(&tallies)?.lost());
    if !wrong.is_empty() || lost.len() > KILLS * CLIENTS {
        return Err(format!("wrong: {wrong:?}, lost: {lost:?}\n{}", nginx.log_tail()).into());
    }
    nginx.stop_allowing(&[KILLED])
}

/// The workers that have said they fetched credentials, in the order in which they did.
fn fetchers(nginx: &Nginx) -> Outcome<Vec<u32>> {
    let fetched = Regex::new(r"\[notice\] ([0-9]+)#[^\n]* credentials fetched")?;
    let log = nginx.error_log();
    Ok(fetched
        .captures_iter(&log)
        .filter_map(|found| found.get(1)?.as_str().parse().ok())
        .collect())
}

fn the_lead_in_fetching_credentials_outlives_its_worker(flavour: Flavour) -> Outcome {
    let double = AwsDouble::start()?;
    // Long enough to be used, short enough that the lead is needed again at once.
    double.control("PUT", "/services/imds", r#"{"lifetime_ms": 4000, "renew_before_ms": 2000}"#)?;
    let nginx = gateway(flavour, &double)?.start()?;
    wait_until_invoked(&nginx)?;
    for _ in 0..3 {
        let leader = *fetchers(&nginx)?.last().ok_or("nobody has fetched credentials")?;
        kill(&nginx, leader)?;
        let killed = fetchers(&nginx)?.len();
        let heir = until(PATIENCE, "another worker to fetch credentials", || {
            fetchers(&nginx).ok()?.get(killed..)?.last().copied()
        })?;
        if heir == leader {
            return Err(format!("{leader} fetches though it was killed").into());
        }
        let response = nginx.request(&hello())?;
        if response.status != 200 {
            return Err(format!("{}{}", response.head, response.text()).into());
        }
    }
    nginx.stop_allowing(&[KILLED])
}

fn fifty_reloads_under_load_cost_no_request(flavour: Flavour) -> Outcome {
    let double = AwsDouble::start()?;
    let plain = format!(
        "location /plain {{ proxy_pass http://{}/echo; }}\n",
        double.address("alb")?.trim_start_matches("http://")
    );
    let nginx = gateway(flavour, &double)?.server(&plain).start()?;
    wait_until_invoked(&nginx)?;
    let (function, plain) = (hello(), Request::get("/plain"));
    let load = |request, expected| Load {
        address: nginx.address(),
        clients: CLIENTS / 2,
        request,
        expected,
    };
    let tallies = under_load(&[load(&function, "hello"), load(&plain, "")], |tallies| {
        for _ in 0..RELOADS {
            one(tallies)?.wait_for(ANSWERS_BETWEEN)?;
            nginx.reload()?;
        }
        one(tallies)?.wait_for(ANSWERS_BETWEEN)
    })?;
    let [function, plain] = tallies.as_slice() else { return Err("two loads".into()) };
    let failures = |tally: &Tally| [tally.wrong(), tally.lost()].concat();
    let (ours, nginx_alone) = (failures(function), failures(plain));
    eprintln!(
        "{flavour}: {RELOADS} reloads, {} invocations, {} failed; of {} requests proxied {} failed",
        function.good(),
        ours.len(),
        plain.good(),
        nginx_alone.len()
    );
    if ours.len() > nginx_alone.len() {
        return Err(
            format!("invoked: {ours:?}, proxied: {nginx_alone:?}\n{}", nginx.log_tail()).into()
        );
    }
    nginx.stop()
}

/// Ends nginx with a signal, and is an error when it takes long or ends badly.
fn end_at_once(nginx: Nginx, signal: Signal) -> Outcome {
    let begun = Instant::now();
    nginx.signal(signal)?;
    nginx.stop()?;
    let took = begun.elapsed();
    if took > scaled(LONGEST_QUIT) {
        return Err(format!("nginx took {took:?} to end").into());
    }
    Ok(())
}

fn a_thread_that_waits_for_credentials_does_not_delay_the_end(flavour: Flavour) -> Outcome {
    for signal in [Signal::QUIT, Signal::TERM] {
        let double = AwsDouble::start()?;
        double.control("PUT", "/services/imds", r#"{"mode": "hang"}"#)?;
        let nginx = gateway(flavour, &double)?.start()?;
        nginx.wait_for_workers()?;
        until(PATIENCE, "a fetch that waits", || {
            double.count("/sites/imds/open").ok().filter(|open| *open > 0)
        })?;
        end_at_once(nginx, signal)?;
    }
    Ok(())
}

/// OpenSSL undoes itself at the process's end, and nginx unloads its modules, whatever the thread is in the middle of.
fn a_worker_ends_well_while_a_thread_is_in_tls(flavour: Flavour) -> Outcome {
    let double = AwsDouble::start()?;
    let (sts, ca) = (double.address("lambda_https")?, double.address("ca")?);
    let role = format!(
        "location /role {{
            aws_credentials env;
            aws_assume_role arn:aws:iam::123456789012:role/r sts=https://{sts};
            key_auth apps;
            lambda_pass hello;
        }}\n"
    );
    for _ in 0..ENDS {
        double.control("PUT", "/services/lambda_https", r#"{"mode": "hang"}"#)?;
        let before = double.count("/sites/lambda_https/requests")?;
        let nginx = gateway(flavour, &double)?
            .main(&format!("env SSL_CERT_FILE={ca};\n"))
            .env("SSL_CERT_FILE", ca)
            .env("AWS_ACCESS_KEY_ID", double.address("access_key_id")?)
            .env("AWS_SECRET_ACCESS_KEY", double.address("secret_access_key")?)
            .server(&role)
            .start()?;
        nginx.wait_for_workers()?;
        until(PATIENCE, "a fetch over TLS that waits", || {
            double.count("/sites/lambda_https/requests").ok().filter(|count| *count > before)
        })?;
        nginx.signal(Signal::TERM)?;
        // The reply comes while the worker ends.
        double.control("PUT", "/services/lambda_https", r#"{"mode": "ok"}"#)?;
        end_at_once(nginx, Signal::TERM)?;
    }
    Ok(())
}
