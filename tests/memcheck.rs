//! nginx under valgrind's memcheck, over a round of requests that comes to most of the module: no access to memory that is
//! not there, and what is lost does not grow with requests.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::collections::BTreeMap;

use harness::gateway::{KEY, Transport, with_key};
use harness::http::Request;
use harness::process::Signal;
use harness::wait::{PATIENCE, slow_down};
use harness::{AwsDouble, Echo, Flavour, Nginx, Outcome, Regex, until};

harness::scenarios![memory_is_used_well_and_not_lost];

/// Under valgrind everything takes so many times longer.
const SLOWNESS: u32 = 10;
/// Rounds of requests for the first worker, and for the one after the reload.
const FEW_ROUNDS: usize = 2;
const MANY_ROUNDS: usize = 8;
/// What one worker may lose more than another without having lost anything for each round.
const CHANCE_BYTES: u64 = 1024;

const VALGRIND: &str = "valgrind --quiet --trace-children=yes --leak-check=full \
    --show-leak-kinds=definite --errors-for-leak-kinds=none --num-callers=30";

/// The text of a file with a body's schema.
const SCHEMA: &str = r#"{"type": "object", "required": ["email"],
 "properties": {"email": {"type": "string", "format": "email"}}}"#;

/// Larger than nginx's buffer for a body: it lies in a file.
const LARGE_BODY_BYTES: usize = 200_000;

fn server(echo: u16) -> String {
    format!(
        r#"
policy_errors json;
error_page 418 /teapot.txt;
key_auth apps header=x-api-key query=apikey cookie=session body=apikey;
location = /teapot.txt {{ key_auth off; }}
location /proxied {{ proxy_pass http://127.0.0.1:{echo}; }}
location /kept {{ key_auth apps query=apikey cookie=session hide=off; proxy_pass http://127.0.0.1:{echo}; }}
location /staff {{ acl allow=staff; try_files /file.txt =404; }}
location /others {{ acl deny=staff; try_files /file.txt =404; }}
location /echo {{ lambda_pass echo; lambda_log_tail on; add_header X-Id $lambda_request_id; }}
location /flask {{ route "/flask/{{name}}"; lambda_strip_prefix /flask; lambda_pass echo; }}
location /named {{ lambda_pass $arg_function; }}
location /teapot {{ lambda_function_error 418; lambda_pass error-unhandled; }}
location /many {{ lambda_next_upstream error throttled; lambda_pass throttled; }}
location /block {{ lambda_endpoint https://double; lambda_pass binary; }}
location /cookies {{ lambda_pass cookies-multi; }}
location /methods {{
    method_not_allowed;
    method GET {{ lambda_pass hello; }}
    method POST {{ proxy_pass http://127.0.0.1:{echo}; }}
}}
location /valid {{
    cors origins=https://a.example credentials;
    validate_param query page 'schema={{"type":"integer"}}';
    validate_body schema.json;
    lambda_pass echo;
}}
location /limited {{
    rate_limit 1000000r/h zone=counts by=ip name=all;
    rate_limit 1r/h zone=counts by=header:x-one cost=$http_x_cost name=one;
    try_files /file.txt =404;
}}
location /guessing {{ key_auth_failures 1000000r/h zone=counts; lambda_pass hello; }}
location /edited {{ response_json remove=secret; proxy_pass http://127.0.0.1:{echo}/reply; }}
"#
    )
}

/// Requests with the status that each is answered with.
fn round() -> Vec<(Request, u16)> {
    let get = |target: &str| with_key("GET", target);
    let form = |target: &str, body: String| {
        Request::post(target, body).header("Content-Type", "application/x-www-form-urlencoded")
    };
    let json = |target: &str, body: &str| {
        with_key("POST", target).header("Content-Type", "application/json").body(body)
    };
    let mut round = vec![
        (get("/proxied?a=1"), 200),
        (Request::get(&format!("/proxied?a=1&apikey={KEY}&b=%20")), 200),
        (Request::get("/proxied").header("Cookie", &format!("a=1; session={KEY}; b=2")), 200),
        (form("/proxied", format!("a=1&apikey={KEY}&b=2")), 200),
        (
            Request::post("/proxied", format!(r#"{{"a":[1],"apikey":"{KEY}"}}"#))
                .header("Content-Type", "application/json"),
            200,
        ),
        (form("/proxied", format!("apikey={KEY}&b={}", "x".repeat(LARGE_BODY_BYTES))), 200),
        (Request::get(&format!("/kept?apikey={KEY}")), 200),
        (Request::get("/proxied"), 401),
        (Request::get("/proxied").header("X-API-Key", "wrong"), 401),
        (Request::get("/proxied?apikey=wrong"), 401),
        (Request::get("/proxied").header("Cookie", "session=wrong"), 401),
        (form("/proxied", "apikey=wrong".to_owned()), 401),
        (get("/proxied?apikey=other"), 401),
        (get("/staff"), 200),
        (get("/others"), 403),
        (get("/none"), 404),
        (get("/echo?a=1&a=2&b=%C3%A9"), 200),
        (with_key("HEAD", "/echo"), 200),
        (
            with_key("POST", "/echo").header("Content-Type", "image/png").body([0, 159, 146, 150]),
            200,
        ),
        (with_key("POST", "/echo").body(vec![b'x'; LARGE_BODY_BYTES]), 200),
        (with_key("POST", "/echo").header("Transfer-Encoding", "chunked").body("in chunks"), 200),
        (get("/flask/some%20thing"), 200),
        (get("/named?function=hello"), 200),
        (get("/named?function=reply-204"), 204),
        (get("/named?function=reply-header-crlf"), 502),
        (get("/named?function=not-json"), 502),
        (get("/named?function=denied"), 502),
        (get("/named?function=reset"), 502),
        (get("/named?function=close-early"), 502),
        (get("/named?function=too:many:colons:here"), 502),
        (get("/teapot"), 418),
        (get("/many"), 429),
        (get("/block"), 200),
        (get("/cookies"), 200),
        (get("/methods"), 200),
        (form("/methods", format!("apikey={KEY}")), 200),
        (with_key("DELETE", "/methods"), 405),
        (json("/valid?page=1", r#"{"email":"a@b.example"}"#), 200),
        (json("/valid?page=1", r#"{"email":17}"#), 400),
        (json("/valid?page=x", r#"{"email":"a@b.example"}"#), 400),
        (json("/valid", "{"), 400),
        (
            get(
                "/edited?status=200&header=Content-Type:application/json&body={\"secret\":1,\"a\":2}",
            ),
            200,
        ),
    ];
    let preflight = Request::new("OPTIONS", "/valid")
        .header("Origin", "https://a.example")
        .header("Access-Control-Request-Method", "POST");
    round.push((preflight, 204));
    round
}

/// Sends the requests so many times on one connection, as a client with keepalive does.
fn send(nginx: &Nginx, rounds: usize) -> Outcome {
    let mut connection = nginx.connect()?;
    for _ in 0..rounds {
        for (request, status) in round() {
            let response = connection.request(&request)?;
            if response.status != status {
                let (method, target, ..) = request.parts();
                return Err(format!(
                    "{method} {target}: expected {status}, got {}{}\n{}",
                    response.head,
                    response.text(),
                    nginx.log_tail()
                )
                .into());
            }
            if response.header("Connection") == Some("close") {
                connection = nginx.connect()?;
            }
        }
    }
    Ok(())
}

/// The worker that was started last, by nginx's log: valgrind hides titles, which tell it otherwise.
fn last_worker(nginx: &Nginx) -> Outcome<Option<u32>> {
    let started = Regex::new(r"start worker process ([0-9]+)")?;
    let log = nginx.error_log();
    Ok(started.captures_iter(&log).last().and_then(|found| found.get(1)?.as_str().parse().ok()))
}

/// What valgrind wrote about each process.
fn reports(nginx: &Nginx) -> Outcome<BTreeMap<u32, String>> {
    let mut reports = BTreeMap::new();
    for entry in std::fs::read_dir(nginx.directory().join("logs"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(pid) = name.strip_prefix("valgrind.") {
            reports.insert(pid.parse()?, std::fs::read_to_string(&path)?);
        }
    }
    Ok(reports)
}

/// The bytes that a report calls definitely lost.
fn lost(report: &str) -> Outcome<u64> {
    let lost = Regex::new(
        r"([0-9,]+) (?:\([0-9,]+ direct, [0-9,]+ indirect\) )?bytes in [0-9,]+ blocks are definitely lost",
    )?;
    let bytes = |found: harness::regex::Captures<'_>| {
        found.get(1)?.as_str().replace(',', "").parse::<u64>().ok()
    };
    Ok(lost.captures_iter(report).filter_map(bytes).sum::<u64>())
}

fn judge(nginx: &Nginx, few: u32, many: u32) -> Outcome {
    let faults = Regex::new(r"Invalid |uninitialised|Mismatched|overlap in|Process terminating")?;
    let reports = reports(nginx)?;
    for (pid, report) in &reports {
        if faults.is_match(report) {
            return Err(format!("valgrind finds fault with process {pid}:\n{report}").into());
        }
    }
    let report = |pid| reports.get(&pid).ok_or_else(|| format!("no report of worker {pid}"));
    let (few, many) = (report(few)?, report(many)?);
    let (lost_in_few, lost_in_many) = (lost(few)?, lost(many)?);
    eprintln!(
        "definitely lost: {lost_in_few} bytes in {FEW_ROUNDS} rounds, {lost_in_many} in {MANY_ROUNDS}"
    );
    if lost_in_many > lost_in_few + CHANCE_BYTES {
        return Err(format!("{lost_in_few} bytes are lost, then {lost_in_many}:\n{many}").into());
    }
    Ok(())
}

fn memory_is_used_well_and_not_lost(flavour: Flavour) -> Outcome {
    slow_down(SLOWNESS);
    let (double, echo) = (AwsDouble::start()?, Echo::start()?);
    let https = double.address("lambda_https")?;
    let builder = Nginx::builder(flavour)?;
    let reports = builder.directory().join("logs/valgrind.%p");
    let mut nginx = builder
        .wrapper(&format!("{VALGRIND} --log-file={}", reports.display()))
        .invoking(&double, Transport::Tls)?
        .http(&format!(
            "rate_limit_zone counts:1m;
             upstream double {{ server {https}; keepalive 4; }}
             lambda_keepalive 8 min_idle=2;
             keepalive_requests 100000;
             client_body_buffer_size 8k;\n"
        ))
        .file("conf/schema.json", SCHEMA)?
        .file("html/file.txt", "a file\n")?
        .file("html/teapot.txt", "a teapot\n")?
        .server(&server(echo.address.port()))
        .start()?;
    until(PATIENCE, "credentials", || {
        nginx.request(&with_key("GET", "/echo")).ok().filter(|response| response.status == 200)
    })?;
    let few = last_worker(&nginx)?.ok_or("no worker")?;
    send(&nginx, FEW_ROUNDS)?;
    nginx.signal(Signal::HUP)?;
    nginx.wait_for_log(
        &Regex::new(&format!("worker process {few} exited with code 0"))?,
        PATIENCE,
    )?;
    let many =
        last_worker(&nginx)?.filter(|pid| *pid != few).ok_or("no worker after the reload")?;
    send(&nginx, MANY_ROUNDS)?;
    let status = nginx.quit()?;
    if !status.success() {
        return Err(format!("nginx ended with {status}\n{}", nginx.log_tail()).into());
    }
    judge(&nginx, few, many)
}
