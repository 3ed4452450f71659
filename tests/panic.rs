//! A panic costs a request and never a worker. The module is one that panics on demand
//! (src/nginx/fault.rs); the guard that catches it is every module's.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use harness::gateway::{Transport, with_key};
use harness::http::{Request, Response};
use harness::wait::PATIENCE;
use harness::{AwsDouble, Flavour, Nginx, Outcome, until};

harness::scenarios![a_panic_in_a_callback_ends_the_request_with_500_and_the_worker_lives];

/// Callbacks that run before anything is sent, and the location whose requests come to them.
const BEFORE_THE_RESPONSE: [(&str, &str); 11] = [
    ("rewrite phase", "/function"),
    ("access phase", "/function"),
    ("precontent phase", "/file"),
    ("access phase", "/body"),
    ("content handler", "/function"),
    ("invocation", "/function"),
    ("create request", "/function"),
    ("peer init", "/function"),
    ("peer get", "/function"),
    ("peer session", "/function"),
    ("reply", "/function"),
];

/// Callbacks that run when it is too late for another response, or that stand in nobody's way.
const OTHERS: [(&str, &str); 5] = [
    ("peer free", "/function"),
    ("invocation's end", "/function"),
    ("header filter", "/file"),
    ("body filter", "/file"),
    ("variables", "/file"),
];

fn request(kind: &str, target: &str) -> Request {
    match kind {
        "/body" => Request::post(target, "apikey=alice-key")
            .header("Content-Type", "application/x-www-form-urlencoded"),
        _ => with_key("GET", target),
    }
}

/// The target of the location that has a callback panic.
fn target(index: usize) -> String {
    format!("/panic{index}")
}

fn locations() -> String {
    let all = BEFORE_THE_RESPONSE.iter().chain(&OTHERS);
    let faulty = all.enumerate().map(|(index, (callback, kind))| {
        let target = target(index);
        let body = match *kind {
            "/body" => "key_auth apps body=apikey; lambda_pass hello;",
            // what has nothing to do in a location is not called there
            "/file" => {
                "key_auth apps; validate_param query a; cors; response_json remove=a;
                 types { } default_type application/json; try_files /index.json =404;"
            }
            _ => "key_auth apps; lambda_pass hello;",
        };
        format!(
            "location = {target} {{ {body} add_header X-Policy $policy_name;
             apigate_fault \"panic_in={callback}\"; }}\n"
        )
    });
    faulty.chain(["location /hello { key_auth apps; lambda_pass hello; }\n".to_owned()]).collect()
}

fn is_hello(response: &Response) -> bool {
    response.status == 200 && response.text() == "hello"
}

/// Sends the request that panics, and looks whether the worker is the same and serves.
fn survives(nginx: &Nginx, index: usize, callback: &str, kind: &str) -> Outcome<Outcome<Response>> {
    let workers = nginx.wait_for_workers()?;
    let panicked = format!("panicked in {callback}: on demand");
    let answer = nginx.request(&request(kind, &target(index)));
    until(PATIENCE, &panicked, || nginx.error_log().contains(&panicked).then_some(()))?;
    let after = nginx.request(&with_key("GET", "/hello"))?;
    if !is_hello(&after) || nginx.worker_pids() != workers {
        return Err(
            format!("after a panic in {callback}: {}{}", after.head, nginx.log_tail()).into()
        );
    }
    Ok(answer)
}

fn a_panic_in_a_callback_ends_the_request_with_500_and_the_worker_lives(
    flavour: Flavour,
) -> Outcome {
    // The guard is the same code on all of them.
    if flavour != Flavour::Vendored {
        return Ok(());
    }
    let double = AwsDouble::start()?;
    let nginx = Nginx::builder(flavour)?
        .with_faults()
        .invoking(&double, Transport::Tls)?
        // Every attempt has a connection of its own, and so all of the peer's callbacks.
        .http("lambda_keepalive 0;")
        .file("html/index.json", "{\"a\":1}")?
        .server(&locations())
        .start()?;
    until(PATIENCE, "credentials", || {
        nginx.request(&with_key("GET", "/hello")).ok().filter(is_hello)
    })?;
    for (index, (callback, kind)) in BEFORE_THE_RESPONSE.iter().enumerate() {
        let answer = survives(&nginx, index, callback, kind)?;
        let response = answer.map_err(|error| format!("panic in {callback}: {error}"))?;
        if response.status != 500 {
            return Err(format!("panic in {callback}: {}{}", response.head, response.text()).into());
        }
    }
    for (index, (callback, kind)) in OTHERS.iter().enumerate() {
        // Whether there is a response, and which, is the callback's affair.
        let _ = survives(&nginx, BEFORE_THE_RESPONSE.len() + index, callback, kind)?;
    }
    nginx.stop_allowing(&[r"\[alert\].* panicked in .*: on demand", r"^thread .* panicked at "])
}
