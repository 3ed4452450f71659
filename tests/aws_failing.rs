//! What lambda_pass does when AWS, the network or the client fails: never a hang, never a second invocation, never half a
//! reply taken for a whole one.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use harness::expect::{expect, expect_equal};
use harness::gateway::with_key_pair;
use harness::http::Request;
use harness::{AwsDouble, Flavour, Outcome};

harness::scenarios![
    a_reply_cut_at_any_byte_is_a_refusal,
    stale_connections_invoke_nothing_twice,
    an_endpoint_may_come_back,
    an_endpoint_may_be_killed,
    a_slow_function_times_out_once,
    an_error_body_names_the_id_that_the_function_was_given,
    every_request_has_an_id_of_its_own,
    a_client_that_goes_away_frees_the_connection,
    six_megabytes_go_both_ways,
];

/// How a function's replies are framed, besides the payload.
const FRAMINGS: [(&str, &str); 2] =
    [("known", ""), ("chunked", r#","chunked":true,"chunk_bytes":40"#)];
/// More than the head of a reply and its body have.
const PAST_THE_END: usize = 700;

fn a_reply_cut_at_any_byte_is_a_refusal(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = with_key_pair(flavour, &aws, "location / { lambda_pass cut; }")?.start()?;
    let mut sent = 0;
    for (framing, more) in FRAMINGS {
        for with in ["fin", "rst"] {
            let mut whole = 0;
            for at in 0.. {
                let spec = format!(
                    r#"{{"payload":{{"statusCode":200,"body":"all of it"}},"cut_at_byte":{at},"cut_with":"{with}"{more}}}"#
                );
                aws.control("PUT", "/functions/cut", &spec)?;
                let request = if at % 2 == 0 { Request::get("/") } else { Request::post("/", "x") };
                let response = nginx.request(&request)?;
                sent += 1;
                match response.status {
                    502 => {
                        expect(&response, 502, r#"{"message":"#)?;
                        expect_equal("whole replies before", whole, 0)?;
                    }
                    _ => {
                        expect(&response, 200, "all of it")?;
                        whole += 1;
                    }
                }
                if whole == 3 {
                    break;
                }
                if at > PAST_THE_END {
                    return Err(format!("{framing} {with}: never whole").into());
                }
            }
        }
    }
    expect_equal("invocations", aws.invocations("cut")?, sent)?;
    nginx.stop()
}

fn stale_connections_invoke_nothing_twice(flavour: Flavour) -> Outcome {
    const REQUESTS: u64 = 60;
    let aws = AwsDouble::start()?;
    aws.control("PUT", "/services/lambda", r#"{"close_after_requests":2,"silent_close":true}"#)?;
    aws.control("PUT", "/functions/once", r#"{"payload":{"statusCode":200}}"#)?;
    let nginx = with_key_pair(flavour, &aws, "location / { lambda_pass once; }")?.start()?;
    // A server that takes a request in and closes without a word may have run it: that one is not sent again.
    let mut answered = 0;
    for _ in 0..REQUESTS {
        let response = nginx.request(&Request::post("/", "x"))?;
        answered += u64::from(response.status == 200);
        if !matches!(response.status, 200 | 502) {
            return Err(response.head.into());
        }
    }
    let invoked = aws.invocations("once")?;
    if answered < REQUESTS / 2 || !(answered..=REQUESTS).contains(&invoked) {
        return Err(
            format!("{REQUESTS} requests, {answered} answers, {invoked} invocations").into()
        );
    }
    nginx.stop()
}

fn an_endpoint_may_come_back(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    aws.control("PUT", "/services/lambda", r#"{"mode":"down"}"#)?;
    let server = "location / { lambda_pass hello; lambda_keepalive 4 min_idle=2; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
    expect(&nginx.get("/")?, 502, "Function endpoint is unreachable")?;
    aws.control("PUT", "/services/lambda", r#"{"mode":"ok"}"#)?;
    expect(&nginx.get("/")?, 200, "hello")?;
    aws.control("PUT", "/services/lambda", r#"{"mode":"reset"}"#)?;
    let before = aws.invocations("hello")?;
    expect(&nginx.get("/")?, 502, "Function endpoint is unreachable")?;
    expect_equal("invocations", aws.invocations("hello")?, before)?;
    aws.control("PUT", "/services/lambda", r#"{"mode":"ok"}"#)?;
    expect(&nginx.get("/")?, 200, "hello")?;
    nginx.stop()
}

fn an_endpoint_may_be_killed(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = with_key_pair(flavour, &aws, "location / { lambda_pass hello; }")?.start()?;
    expect(&nginx.get("/")?, 200, "hello")?;
    drop(aws);
    for _ in 0..3 {
        expect(&nginx.get("/")?, 502, "Function endpoint is unreachable")?;
    }
    nginx.stop()
}

fn a_slow_function_times_out_once(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    aws.control("PUT", "/functions/late", r#"{"payload":null,"hang":true}"#)?;
    let server = "location / { lambda_pass late; lambda_read_timeout 200ms; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
    expect(&nginx.get("/")?, 504, "Function timed out")?;
    expect_equal("invocations", aws.invocations("late")?, 1)?;
    aws.control("GET", "/functions/late?aborted=1&idle=1", "")?;
    nginx.stop()
}

/// nginx makes `$request_id` anew at every look where no configuration names it.
fn an_error_body_names_the_id_that_the_function_was_given(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let spec = r#"{"payload":{"errorType":"E"},"function_error":"Unhandled"}"#;
    aws.control("PUT", "/functions/failing", spec)?;
    let nginx = with_key_pair(flavour, &aws, "location / { lambda_pass failing; }")?.start()?;
    let response = nginx.get("/")?;
    expect(&response, 502, "Function failed")?;
    let told = response.json()?.pointer("/request_id").cloned();
    let recorded = aws.control("GET", "/invocations?function=failing", "")?.json()?;
    let event = recorded.pointer("/invocations/0/event").and_then(|event| event.as_str());
    let event: serde_json::Value = serde_json::from_str(event.unwrap_or_default())?;
    let given = event.pointer("/requestContext/requestId").cloned();
    expect_equal("an id was given", given.is_some(), true)?;
    expect_equal("request id", told, given)?;
    nginx.stop()
}

/// Across two workers and the many ids that one look at the kernel's generator is good for.
fn every_request_has_an_id_of_its_own(flavour: Flavour) -> Outcome {
    const REQUESTS: usize = 600;
    let aws = AwsDouble::start()?;
    let nginx =
        with_key_pair(flavour, &aws, "location / { lambda_pass echo; }")?.workers(2).start()?;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..REQUESTS {
        let event = nginx.get("/")?.json()?;
        let id = event.pointer("/requestContext/requestId").and_then(|id| id.as_str());
        let id = id.ok_or("the event has no request id")?;
        let is_hex = id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        expect_equal("length and digits", (id.len(), is_hex), (32, true))?;
        ids.insert(id.to_owned());
    }
    expect_equal("different ids", ids.len(), REQUESTS)?;
    nginx.stop()
}

fn a_client_that_goes_away_frees_the_connection(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    aws.control("PUT", "/functions/held", r#"{"payload":{"statusCode":200},"hold":true}"#)?;
    let nginx = with_key_pair(flavour, &aws, "location / { lambda_pass held; }")?.start()?;
    let mut client = nginx.connect()?;
    client.send(&Request::get("/").to_bytes())?;
    aws.control("GET", "/functions/held?held=1", "")?;
    drop(client);
    aws.control("GET", "/functions/held?aborted=1&idle=1", "")?;
    expect_equal("invocations", aws.invocations("held")?, 1)?;
    nginx.stop()
}

fn six_megabytes_go_both_ways(flavour: Flavour) -> Outcome {
    const BYTES: usize = 6_000_000;
    let aws = AwsDouble::start()?;
    let server = "client_max_body_size 7m;
        location / { lambda_pass echo-raw payload=raw; }
        location /stream { lambda_pass echo-raw payload=raw stream; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
    let body = format!("\"{}\"", "0123456789".repeat(BYTES / 10));
    for target in ["/", "/stream"] {
        let response = nginx.request(&Request::post(target, body.clone()))?;
        if response.status != 200 || response.text() != body {
            let length = response.body.len();
            return Err(format!("{target}: {length} bytes, {}", response.head).into());
        }
    }
    nginx.stop()
}
