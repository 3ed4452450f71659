//! An endpoint's connections: kept, reused, made ahead of need, made anew when the server goes.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use harness::gateway::{Transport, with_key};
use harness::http::Request;
use harness::wait::PATIENCE;
use harness::{AwsDouble, Flavour, Nginx, Outcome, until};

harness::scenarios![
    a_hundred_thousand_invocations_over_tls_need_few_handshakes_and_no_more_memory,
    connections_are_made_ahead_of_the_first_request,
    connections_over_tls_are_made_ahead_of_the_first_request,
    a_server_that_restarts_costs_no_request,
    an_address_that_refuses_costs_no_request,
];

const INVOCATIONS: u64 = 100_000;
const SETTLED_AFTER: u64 = 10_000;
const CLIENTS: usize = 8;
const MOST_HANDSHAKES: u64 = 200;
const MOST_GROWTH_BYTES: u64 = 1024 * 1024;
const MIN_IDLE: u64 = 4;

fn invocation() -> Request {
    with_key("POST", "/echo").body(r#"{"order":17,"note":"a body of some length"}"#)
}

/// Sends until so many invocations have begun in all.
fn invoke(nginx: &Nginx, begun: &AtomicU64, limit: u64) -> Outcome {
    let mut connection = nginx.connect()?;
    let request = invocation();
    while begun.fetch_add(1, Ordering::Relaxed) < limit {
        let response = connection.request(&request)?;
        if response.status != 200 || !response.text().contains(r#"\"order\":17"#) {
            return Err(format!("{}{}", response.head, response.text()).into());
        }
    }
    Ok(())
}

fn invoke_together(nginx: &Nginx, count: u64) -> Outcome {
    let begun = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| invoke(nginx, &begun, count))).collect();
        clients.into_iter().try_for_each(|it| it.join().map_err(|_| "a client panicked")?)
    })
}

fn wait_for_credentials(nginx: &Nginx) -> Outcome {
    until(PATIENCE, "credentials", || {
        nginx.request(&invocation()).ok().filter(|response| response.status == 200)
    })?;
    Ok(())
}

fn a_hundred_thousand_invocations_over_tls_need_few_handshakes_and_no_more_memory(
    flavour: Flavour,
) -> Outcome {
    let double = AwsDouble::start()?;
    let nginx = Nginx::builder(flavour)?
        .invoking(&double, Transport::Tls)?
        .log_level("notice")
        .http("keepalive_requests 1000000; access_log off;")
        .server("location /echo { key_auth apps; lambda_pass echo; }")
        .start()?;
    wait_for_credentials(&nginx)?;
    let worker = *nginx.wait_for_workers()?.first().ok_or("no worker")?;
    invoke_together(&nginx, SETTLED_AFTER)?;
    let settled = Nginx::resident_bytes(worker)?;
    invoke_together(&nginx, INVOCATIONS - SETTLED_AFTER)?;
    let grown = Nginx::resident_bytes(worker)?.saturating_sub(settled);
    let full = double.count("/sites/lambda_https/tls_full")?;
    let resumed = double.count("/sites/lambda_https/tls_resumed")?;
    let failed = double.count("/sites/lambda_https/tls_failed")?;
    let invocations = double.count("/functions/echo/invocations")?;
    let figures = format!(
        "{invocations} invocations, {full} full and {resumed} resumed handshakes, {failed} failed, \
         {settled} bytes in RAM and {grown} more at the end"
    );
    eprintln!("{flavour}: {figures}");
    let few = full + resumed < MOST_HANDSHAKES && failed == 0;
    if invocations < INVOCATIONS || !few || grown > MOST_GROWTH_BYTES {
        return Err(figures.into());
    }
    nginx.stop()
}

fn wait_for_open(double: &AwsDouble, transport: Transport, count: u64) -> Outcome {
    let pointer = format!("/sites/{}/open", transport.site());
    until(PATIENCE, "idle connections", || {
        double.count(&pointer).ok().filter(|open| *open >= count)
    })?;
    Ok(())
}

fn set_service(double: &AwsDouble, body: &str) -> Outcome {
    double.control("PUT", "/services/lambda", body).map(|_| ())
}

/// Connections are there before anybody asks for one, and they are what the first requests get.
fn warms(flavour: Flavour, transport: Transport) -> Outcome {
    let double = AwsDouble::start()?;
    let nginx = Nginx::builder(flavour)?
        .invoking(&double, transport)?
        .http(&format!("lambda_keepalive 8 min_idle={MIN_IDLE};"))
        .server("location /echo { key_auth apps; lambda_pass echo; }")
        .start()?;
    wait_for_open(&double, transport, MIN_IDLE)?;
    if double.count(&format!("/sites/{}/requests", transport.site()))? != 0 {
        return Err("connections were not made before the first request".into());
    }
    // Until there are credentials a request is refused before it takes a connection.
    until(PATIENCE, "credentials", || {
        nginx.error_log().contains("credentials fetched").then_some(())
    })?;
    set_service(&double, r#"{"mode": "down", "keep_existing": true}"#)?;
    let response = nginx.request(&invocation())?;
    if response.status != 200 {
        return Err(format!("{}{}", response.head, response.text()).into());
    }
    nginx.stop()
}

fn connections_are_made_ahead_of_the_first_request(flavour: Flavour) -> Outcome {
    warms(flavour, Transport::Plain)
}

fn connections_over_tls_are_made_ahead_of_the_first_request(flavour: Flavour) -> Outcome {
    warms(flavour, Transport::Tls)
}

fn a_server_that_restarts_costs_no_request(flavour: Flavour) -> Outcome {
    let double = AwsDouble::start()?;
    let nginx = Nginx::builder(flavour)?
        .invoking(&double, Transport::Tls)?
        .http(&format!("lambda_keepalive 8 min_idle={MIN_IDLE};"))
        .server("location /echo { key_auth apps; lambda_pass echo; }")
        .start()?;
    wait_for_credentials(&nginx)?;
    for _ in 0..3 {
        wait_for_open(&double, Transport::Tls, MIN_IDLE)?;
        // What is open is reset, and for the time being nobody listens.
        set_service(&double, r#"{"mode": "down"}"#)?;
        let refused = nginx.request(&invocation())?;
        if refused.status != 502 {
            return Err(format!("{}{}", refused.head, refused.text()).into());
        }
        set_service(&double, r#"{"mode": "ok"}"#)?;
        invoke_together(&nginx, 100)?;
    }
    // Without any request the idle connections come back too.
    set_service(&double, r#"{"mode": "down"}"#)?;
    set_service(&double, r#"{"mode": "ok"}"#)?;
    wait_for_open(&double, Transport::Tls, MIN_IDLE)?;
    nginx.stop()
}

/// `localhost` may be ::1 too, where the double does not listen.
fn an_address_that_refuses_costs_no_request(flavour: Flavour) -> Outcome {
    let double = AwsDouble::start()?;
    let port = double.address("lambda_http")?.rsplit(':').next().unwrap_or_default();
    let endpoint = format!("lambda_endpoint http://localhost:{port};\n");
    let nginx = Nginx::builder(flavour)?
        .invoking_at(&double, &endpoint)?
        .http(&format!("lambda_keepalive 8 min_idle={MIN_IDLE};"))
        .http(harness::gateway::CONSUMERS)
        .server("location /echo { key_auth apps; lambda_pass echo; }")
        .start()?;
    wait_for_open(&double, Transport::Plain, MIN_IDLE)?;
    wait_for_credentials(&nginx)?;
    for _ in 0..20 {
        // Each of them on a fresh connection, for the server closes after every request.
        set_service(&double, r#"{"close_after_requests": 1}"#)?;
        let response = nginx.request(&invocation())?;
        if response.status != 200 {
            return Err(format!("{}{}", response.head, response.text()).into());
        }
    }
    nginx.stop()
}
