//! What lambda_pass does when AWS, the network or the client fails: never a hang, never a second invocation, never half a
//! reply taken for a whole one.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::http::{Request, Response};
use harness::wait::PATIENCE;
use harness::{AwsDouble, Flavour, Nginx, NginxBuilder, Outcome, Regex, until};

harness::scenarios![
    a_reply_cut_at_any_byte_is_a_refusal,
    a_stream_cut_at_any_byte_is_never_whole,
    a_stream_that_breaks_is_cut_off_and_logged,
    a_stream_is_not_held_back,
    a_stream_waits_for_its_client,
    stale_connections_invoke_nothing_twice,
    an_endpoint_may_come_back,
    an_endpoint_may_be_killed,
    a_slow_function_times_out_once,
    an_error_body_names_the_id_that_the_function_was_given,
    every_request_has_an_id_of_its_own,
    a_client_that_goes_away_frees_the_connection,
    expired_credentials_are_renewed_once,
    credentials_that_stay_refused_are_given_up,
    rotations_under_load_fail_no_request,
    credentials_outlive_their_source,
    a_wrong_clock_is_corrected,
    six_megabytes_go_both_ways,
];

const IMDS: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// An nginx whose functions are the double's and whose credentials the double's key pair.
fn nginx(flavour: Flavour, aws: &AwsDouble, server: &str) -> Outcome<NginxBuilder> {
    let endpoint = aws.address("lambda_http")?;
    let common = format!("aws_region us-east-1; lambda_endpoint http://{endpoint};");
    Ok(Nginx::builder(flavour)?
        .env("AWS_ACCESS_KEY_ID", aws.address("access_key_id")?)
        .env("AWS_SECRET_ACCESS_KEY", aws.address("secret_access_key")?)
        .http(&common)
        .server(server))
}

/// The same with the credentials of the double's instance metadata.
fn nginx_on_instance(flavour: Flavour, aws: &AwsDouble, server: &str) -> Outcome<NginxBuilder> {
    let endpoint = aws.address("lambda_http")?;
    let common = format!("aws_region us-east-1; lambda_endpoint http://{endpoint};");
    Ok(Nginx::builder(flavour)?
        .env(IMDS, &format!("http://{}", aws.address("imds")?))
        .http(&common)
        .server(server))
}

fn number(aws: &AwsDouble, path: &str, pointer: &str) -> Outcome<u64> {
    let json = aws.control("GET", path, "")?.json()?;
    let value = json.pointer(pointer).and_then(serde_json::Value::as_u64);
    Ok(value.unwrap_or(0))
}

fn invocations(aws: &AwsDouble, function: &str) -> Outcome<u64> {
    number(aws, &format!("/functions/{function}"), "/invocations")
}

fn expect(response: &Response, status: u16, text: &str) -> Outcome {
    if response.status == status && response.text().contains(text) {
        return Ok(());
    }
    Err(format!("not {status} {text:?}: {}{}", response.head, response.text()).into())
}

fn expect_equal<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: {got:?} instead of {expected:?}").into())
}

/// How a function's replies are framed, besides the payload.
const FRAMINGS: [(&str, &str); 2] =
    [("known", ""), ("chunked", r#","chunked":true,"chunk_bytes":40"#)];
/// More than the head of a reply and its body have.
const PAST_THE_END: usize = 700;

fn a_reply_cut_at_any_byte_is_a_refusal(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = nginx(flavour, &aws, "location / { lambda_pass cut; }")?.start()?;
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
    expect_equal("invocations", invocations(&aws, "cut")?, sent)?;
    nginx.stop()
}

fn a_stream_cut_at_any_byte_is_never_whole(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = nginx(flavour, &aws, "location / { lambda_pass cut stream; }")?.start()?;
    let mut sent = 0;
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut whole = 0;
        for at in 0.. {
            let spec = format!(
                r#"{{"http_integration":{{"statusCode":200}},"stream":[{{"data":"one,"}},{{"data":"two"}}],
                    "cut_at_byte":{at},"cut_with":"fin"}}"#
            );
            aws.control("PUT", "/functions/cut", &spec)?;
            let request = Request::get("/").version(version);
            let got = nginx.request(&request);
            sent += 1;
            match got {
                Ok(response) if response.status == 200 => {
                    expect_equal("body", response.text().as_str(), "one,two")?;
                    whole += 1;
                }
                Ok(response) => {
                    expect(&response, 502, r#"{"message":"#)?;
                    expect_equal("whole replies before", whole, 0)?;
                }
                // Cut off: the client can tell.
                Err(_) => expect_equal("whole replies before", whole, 0)?,
            }
            if whole == 2 {
                break;
            }
            if at > 2 * PAST_THE_END {
                return Err("never whole".into());
            }
        }
    }
    expect_equal("invocations", invocations(&aws, "cut")?, sent)?;
    nginx.stop()
}

/// What breaks a stream after its first piece, and what the log calls it.
const BREAKS: [(&str, &str); 5] = [
    (
        r#""stream":[{"data":"first"},{"data":"x","corrupt":"message_crc","delay_ms":50}]"#,
        "invalid_reply",
    ),
    (
        r#""stream":[{"data":"first"},{"data":"x","corrupt":"prelude_crc","delay_ms":50}]"#,
        "invalid_reply",
    ),
    (
        r#""stream":[{"data":"first"},{"exception":"ServiceException","data":"{}","delay_ms":50}]"#,
        "ServiceException",
    ),
    (
        r#""stream":[{"data":"first"},{"data":"x","delay_ms":50}],"stream_error":{"ErrorCode":"Runtime.ExitError"}"#,
        "Runtime.ExitError",
    ),
    (r#""stream":[{"data":"first"},{"data":"x","delay_ms":10000}]"#, "timeout"),
];

fn a_stream_that_breaks_is_cut_off_and_logged(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let server = "location / { lambda_pass broken-$arg_n stream; lambda_read_timeout 300ms; }";
    let nginx = nginx(flavour, &aws, server)?.start()?;
    for (number, (stream, error)) in BREAKS.iter().enumerate() {
        let spec = format!(r#"{{"http_integration":{{"statusCode":200}},{stream}}}"#);
        aws.control("PUT", &format!("/functions/broken-{number}"), &spec)?;
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let request = Request::get(&format!("/?n={number}")).version(version).close();
            let mut client = nginx.connect()?;
            client.send(&request.to_bytes())?;
            if let Ok(response) = client.read_response(false) {
                return Err(format!("{stream} passes for whole: {}", response.text()).into());
            }
            let line = format!("function=broken-{number}, error={error}");
            nginx.wait_for_log(&Regex::new(&line)?, PATIENCE)?;
        }
        let function = format!("broken-{number}");
        expect_equal("invocations", invocations(&aws, &function)?, 2)?;
    }
    nginx.stop()
}

fn a_stream_is_not_held_back(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let spec = r#"{"http_integration":{"statusCode":200},
        "stream":[{"data":"first"},{"data":"never","delay_ms":60000}]}"#;
    aws.control("PUT", "/functions/endless", spec)?;
    aws.control("PUT", "/functions/urlendless", spec)?;
    let server = "location / { lambda_pass endless stream; }
        location /url { lambda_pass https://urlendless.lambda-url.us-east-1.on.aws; }";
    let nginx = nginx(flavour, &aws, server)?.start()?;
    for (target, function) in [("/", "endless"), ("/url", "urlendless")] {
        let mut client = TcpStream::connect(nginx.address())?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.write_all(&Request::get(target).to_bytes())?;
        let (mut got, mut bytes) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&got).contains("first") {
            match client.read(&mut bytes)? {
                0 => {
                    return Err(format!("{target} ended: {}", String::from_utf8_lossy(&got)).into());
                }
                count => got.extend_from_slice(&bytes[..count]),
            }
        }
        // The function has not ended, and ends with its client.
        expect_equal(
            "in flight",
            number(&aws, &format!("/functions/{function}"), "/in_flight")?,
            1,
        )?;
        drop(client);
        aws.control("GET", &format!("/functions/{function}?aborted=1&idle=1"), "")?;
    }
    nginx.stop()
}

fn a_stream_waits_for_its_client(flavour: Flavour) -> Outcome {
    const BYTES: usize = 20_000_000;
    let aws = AwsDouble::start()?;
    let spec = format!(r#"{{"payload_fill_bytes":{BYTES}}}"#);
    aws.control("PUT", "/functions/large", &spec)?;
    let server = "location / { lambda_pass large stream; }";
    let nginx = nginx(flavour, &aws, server)?.start()?;
    let mut client = nginx.connect()?;
    client.send(&Request::get("/").close().to_bytes())?;
    aws.control("GET", "/functions/large?invocations=1", "")?;
    if aws.control("GET", "/functions/large?idle=1&timeout_ms=700", "").is_ok() {
        return Err("the stream was taken in though nobody reads it".into());
    }
    let response = client.read_response(false)?;
    let xs = response.body.iter().filter(|byte| **byte == b'x').count();
    // Without a prelude the whole of the reply's JSON is the body.
    if response.status != 200 || xs < BYTES {
        return Err(format!("{xs} of {BYTES} bytes: {}", response.head).into());
    }
    aws.control("GET", "/functions/large?idle=1", "")?;
    nginx.stop()
}

fn stale_connections_invoke_nothing_twice(flavour: Flavour) -> Outcome {
    const REQUESTS: u64 = 60;
    let aws = AwsDouble::start()?;
    aws.control("PUT", "/services/lambda", r#"{"close_after_requests":2,"silent_close":true}"#)?;
    aws.control("PUT", "/functions/once", r#"{"payload":{"statusCode":200}}"#)?;
    let nginx = nginx(flavour, &aws, "location / { lambda_pass once; }")?.start()?;
    // A server that takes a request in and closes without a word may have run it: that one is not sent again.
    let mut answered = 0;
    for _ in 0..REQUESTS {
        let response = nginx.request(&Request::post("/", "x"))?;
        answered += u64::from(response.status == 200);
        if !matches!(response.status, 200 | 502) {
            return Err(response.head.into());
        }
    }
    let invoked = invocations(&aws, "once")?;
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
    let nginx = nginx(flavour, &aws, server)?.start()?;
    expect(&nginx.get("/")?, 502, "Function endpoint is unreachable")?;
    aws.control("PUT", "/services/lambda", r#"{"mode":"ok"}"#)?;
    expect(&nginx.get("/")?, 200, "hello")?;
    aws.control("PUT", "/services/lambda", r#"{"mode":"reset"}"#)?;
    let before = invocations(&aws, "hello")?;
    expect(&nginx.get("/")?, 502, "Function endpoint is unreachable")?;
    expect_equal("invocations", invocations(&aws, "hello")?, before)?;
    aws.control("PUT", "/services/lambda", r#"{"mode":"ok"}"#)?;
    expect(&nginx.get("/")?, 200, "hello")?;
    nginx.stop()
}

fn an_endpoint_may_be_killed(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = nginx(flavour, &aws, "location / { lambda_pass hello; }")?.start()?;
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
    let nginx = nginx(flavour, &aws, server)?.start()?;
    expect(&nginx.get("/")?, 504, "Function timed out")?;
    expect_equal("invocations", invocations(&aws, "late")?, 1)?;
    aws.control("GET", "/functions/late?aborted=1&idle=1", "")?;
    nginx.stop()
}

/// nginx makes `$request_id` anew at every look where no configuration names it.
fn an_error_body_names_the_id_that_the_function_was_given(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let spec = r#"{"payload":{"errorType":"E"},"function_error":"Unhandled"}"#;
    aws.control("PUT", "/functions/failing", spec)?;
    let nginx = nginx(flavour, &aws, "location / { lambda_pass failing; }")?.start()?;
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
    let nginx = nginx(flavour, &aws, "location / { lambda_pass echo; }")?.workers(2).start()?;
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
    let nginx = nginx(flavour, &aws, "location / { lambda_pass held; }")?.start()?;
    let mut client = nginx.connect()?;
    client.send(&Request::get("/").to_bytes())?;
    aws.control("GET", "/functions/held?held=1", "")?;
    drop(client);
    aws.control("GET", "/functions/held?aborted=1&idle=1", "")?;
    expect_equal("invocations", invocations(&aws, "held")?, 1)?;
    nginx.stop()
}

fn expired_credentials_are_renewed_once(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let server = "location / { lambda_pass hello; } location /stream { lambda_pass stream stream; }
        location /url { lambda_pass https://hello.lambda-url.us-east-1.on.aws; }";
    let nginx = nginx_on_instance(flavour, &aws, server)?.start()?;
    expect(&nginx.get("/")?, 200, "hello")?;
    for (round, (target, text)) in
        [("/", "hello"), ("/stream", "three"), ("/url", "hello")].into_iter().enumerate()
    {
        aws.control("POST", "/services/imds/rotate", r#"{"expire_old":true}"#)?;
        expect(&nginx.get(target)?, 200, text)?;
        let refused = number(&aws, "/stats", "/events/lambda.ExpiredTokenException")?;
        expect_equal("refusals", refused, round as u64 + 1)?;
    }
    expect_equal("invocations", invocations(&aws, "hello")?, 3)?;
    nginx.stop()
}

fn credentials_that_stay_refused_are_given_up(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let made = r#"{"access_key_id":"ASIAGONE","secret_access_key":"s","session_token":"t"}"#;
    aws.control("POST", "/credentials", made)?;
    aws.control("POST", "/credentials/ASIAGONE/expire", "")?;
    let endpoint = aws.address("lambda_http")?;
    let nginx = Nginx::builder(flavour)?
        .env("AWS_ACCESS_KEY_ID", "ASIAGONE")
        .env("AWS_SECRET_ACCESS_KEY", "s")
        .env("AWS_SESSION_TOKEN", "t")
        .http(&format!("aws_region us-east-1; lambda_endpoint http://{endpoint};"))
        .server("location / { lambda_pass hello; }")
        .start()?;
    expect(&nginx.get("/")?, 502, "Function could not be invoked")?;
    let refused = number(&aws, "/stats", "/events/lambda.ExpiredTokenException")?;
    expect_equal("refusals", refused, 2)?;
    expect_equal("invocations", invocations(&aws, "hello")?, 0)?;
    nginx.stop()
}

fn rotations_under_load_fail_no_request(flavour: Flavour) -> Outcome {
    const CLIENTS: usize = 4;
    const RENEWALS: u64 = 4;
    const LONGEST: Duration = Duration::from_secs(60);
    let aws = AwsDouble::start()?;
    let lifetime = r#"{"lifetime_ms":4000,"renew_before_ms":3000}"#;
    aws.control("PUT", "/services/imds", lifetime)?;
    let nginx = nginx_on_instance(flavour, &aws, "location / { lambda_pass hello; }")?
        .workers(2)
        .start()?;
    let stop = AtomicBool::new(false);
    let answers = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let load = || -> Outcome {
            while !stop.load(Ordering::Relaxed) {
                expect(&nginx.get("/")?, 200, "hello")?;
                answers.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(load)).collect();
        let renewed = until(LONGEST, "renewals", || {
            let fetched = number(&aws, "/stats", "/events/imds.credentials").unwrap_or(0);
            (fetched > RENEWALS).then_some(())
        });
        // Revoked before their time, too.
        let rotated = aws.control("POST", "/services/imds/rotate", r#"{"expire_old":true}"#);
        let seen = answers.load(Ordering::Relaxed);
        let served = until(PATIENCE, "more answers", || {
            (answers.load(Ordering::Relaxed) > seen + 100).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        rotated?;
        renewed.and(served)
    })?;
    let fetched = number(&aws, "/stats", "/events/imds.credentials")?;
    if fetched > 3 * RENEWALS {
        return Err(format!("{fetched} fetches: more than one worker asks").into());
    }
    nginx.stop()
}

fn credentials_outlive_their_source(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let lifetime = r#"{"lifetime_ms":600000,"renew_before_ms":1}"#;
    aws.control("PUT", "/services/imds", lifetime)?;
    let nginx = nginx_on_instance(flavour, &aws, "location / { lambda_pass hello; }")?.start()?;
    expect(&nginx.get("/")?, 200, "hello")?;
    aws.control("PUT", "/services/imds", r#"{"mode":"down"}"#)?;
    // A refusal makes the source be asked; it stays away, and the old ones go on serving.
    let refusal =
        r#"{"sequence":[{"api_error":"ExpiredTokenException"},{"payload":{"statusCode":200}}]}"#;
    aws.control("PUT", "/functions/refusing", refusal)?;
    expect(&nginx.get("/")?, 200, "hello")?;
    let mut reloaded = nginx;
    reloaded.reload_with("location / { lambda_pass refusing; }")?;
    expect(&reloaded.get("/")?, 200, "")?;
    reloaded.wait_for_log(&Regex::new("aws: credentials not fetched")?, PATIENCE)?;
    expect(&reloaded.get("/")?, 200, "")?;
    expect_equal("invocations", invocations(&aws, "refusing")?, 2)?;
    reloaded.stop()
}

fn a_wrong_clock_is_corrected(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = nginx(flavour, &aws, "location / { lambda_pass hello; }")?.start()?;
    for (offset_ms, refusals) in [(900_000, 1), (-900_000, 2)] {
        aws.control("PUT", "/clock", &format!(r#"{{"offset_ms":{offset_ms}}}"#))?;
        for _ in 0..3 {
            expect(&nginx.get("/")?, 200, "hello")?;
        }
        let refused = number(&aws, "/stats", "/events/lambda.InvalidSignatureException")?;
        expect_equal("refusals", refused, refusals)?;
    }
    nginx.wait_for_log(&Regex::new("lambda: this host's clock is off, -?[0-9]+ s")?, PATIENCE)?;
    expect_equal("invocations", invocations(&aws, "hello")?, 6)?;
    nginx.stop()
}

fn six_megabytes_go_both_ways(flavour: Flavour) -> Outcome {
    const BYTES: usize = 6_000_000;
    let aws = AwsDouble::start()?;
    let server = "client_max_body_size 7m;
        location / { lambda_pass echo-raw payload=raw; }
        location /stream { lambda_pass echo-raw payload=raw stream; }";
    let nginx = nginx(flavour, &aws, server)?.start()?;
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
