//! Runs one case on one nginx.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use regex::Regex;

use crate::Outcome;
use crate::cases::case::{Case, Control, Exchange, Message, Step};
use crate::cases::expect::{Expectation, forbidden, missing};
use crate::cases::parse::Block;
use crate::cases::services::Services;
use crate::flavour::Flavour;
use crate::http::{Connection, Request, Response};
use crate::nginx::{Nginx, NginxBuilder, faults, tail};
use crate::wait::{scaled, until};

/// Runs a block; the error has everything that is needed to see what went wrong.
pub fn run(flavour: Flavour, block: &Block) -> Outcome {
    let mut builder = Nginx::builder(flavour)?;
    let mut services = Services::new(block.section("isolated").is_some());
    services.set("SERVER_PORT", builder.port()?);
    services.set("TEST_NGINX_SERVER_PORT", builder.port()?);
    services.set("TEST_DIR", builder.directory().display());
    services.set("TEST_NGINX_SERVER_ROOT", builder.directory().display());
    services.set("TEST_NGINX_HTML_DIR", builder.directory().join("html").display());
    services.set("TEST_CERT", builder.directory().join("conf/cert.pem").display());
    services.set("TEST_KEY", builder.directory().join("conf/key.pem").display());
    if block.sections.iter().any(|section| section.value.contains("SECOND_PORT")) {
        services.set("SECOND_PORT", builder.second_port()?);
    }
    let block = block.map(|text| services.expand(text))?;
    let case = Case::from_block(&block)?;

    builder = configured(builder, &case)?;
    for control in &case.control {
        services.aws()?.control(&control.method, &control.path, &control.body)?;
    }
    for command in &case.redis {
        services.redis()?.command(command)?;
    }
    if case.must_die { must_die(&builder, &case) } else { serve(builder, &case, &mut services) }
}

fn configured(mut builder: NginxBuilder, case: &Case) -> Outcome<NginxBuilder> {
    builder = builder.main(&case.main).http(&case.http).server(&case.server);
    builder = builder.workers(case.workers).log_level(&case.log_level);
    if case.ssl {
        builder = builder.tls();
    }
    if case.http2 {
        builder = builder.http2();
    }
    for (name, value) in &case.environment {
        builder = builder.env(name, value);
    }
    for (name, content) in &case.files {
        builder = builder.file(name, content)?;
    }
    Ok(builder)
}

fn must_die(builder: &NginxBuilder, case: &Case) -> Outcome {
    let checked = builder.check()?;
    let log = &checked.text;
    if checked.accepted {
        return Err(format!("nginx -t accepts the configuration\n{}", tail(log)).into());
    }
    // [emerg] is what such a case is about, and what else it says is for the case to expect.
    match judge_log(log, case, &[Regex::new(r"\[emerg\]")?])?.as_slice() {
        [] => Ok(()),
        found => Err(format!("{}\n{}", found.join("\n"), tail(log)).into()),
    }
}

fn serve(builder: NginxBuilder, case: &Case, services: &mut Services) -> Outcome {
    let mut nginx = builder.start()?;
    let mut found = match perform(&nginx, case, services) {
        Ok(found) => found,
        Err(error) => vec![error.to_string()],
    };
    if found.is_empty() {
        // Some lines come after the response. What is still missing then is reported below.
        let there = || missing(&nginx.error_log(), &case.error_log).is_none().then_some(());
        let _ = until(case.timeout, "the error log", there);
    }
    let status = nginx.quit()?;
    let log = nginx.error_log();
    if !status.success() {
        found.push(format!("nginx ended with {status}"));
    }
    found.extend(judge_log(&log, case, &[])?);
    found.extend(judge_access_log(&nginx.access_log(), case));
    if found.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{}", found.join("\n"), tail(&log)).into())
}

fn judge_log(log: &str, case: &Case, allowed: &[Regex]) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    if let Some(pattern) = missing(log, &case.error_log) {
        found.push(format!("error_log: no line matches \"{pattern}\""));
    }
    for line in forbidden(log, &case.no_error_log) {
        found.push(format!("no_error_log: {line}"));
    }
    let allowed = [allowed, &case.error_log].concat();
    for line in faults(log, &allowed)? {
        found.push(format!("the log tells of a fault: {line}"));
    }
    Ok(found)
}

fn judge_access_log(log: &str, case: &Case) -> Vec<String> {
    let absent = missing(log, &case.access_log);
    let absent = absent.map(|pattern| format!("access_log: no line matches \"{pattern}\"\n{log}"));
    let present = forbidden(log, &case.no_access_log);
    absent.into_iter().chain(present.iter().map(|line| format!("no_access_log: {line}"))).collect()
}

/// Does what the case says; returns in what the responses are not as expected.
fn perform(nginx: &Nginx, case: &Case, services: &mut Services) -> Outcome<Vec<String>> {
    if case.pipelined {
        return pipeline(nginx, case);
    }
    let mut found = Vec::new();
    let mut number = 0;
    for step in &case.steps {
        match step {
            Step::Send(exchange) => {
                number += 1;
                let response = send(nginx, case, &exchange.message)
                    .map_err(|error| format!("request {number}: {error}"))?;
                found.extend(report(number, &exchange.expectation, &response));
            }
            Step::Until(exchange) => send_until(nginx, case, exchange)?,
            Step::Reload => nginx.reload()?,
            Step::Write(name, content) => nginx.write_file(name, content)?,
            Step::WaitForLog(pattern) => {
                nginx.wait_for_log(pattern, case.timeout)?;
            }
            Step::Control(control, wanted) => {
                let Control { method, path, body } = control;
                let answer = services.aws()?.control(method, path, body)?;
                if !wanted.is_empty() {
                    let document = answer.json()?;
                    let mismatches = wanted.iter().filter_map(|want| want.mismatch(&document));
                    found.extend(mismatches.map(|why| format!("{method} {path}: {why}")));
                }
            }
            Step::Redis(command, wanted) => {
                let reply = services.redis()?.command(command)?;
                if wanted.as_ref().is_some_and(|wanted| *wanted != reply) {
                    found.push(format!("redis: {command}: expected {wanted:?}, got {reply:?}"));
                }
            }
        }
    }
    Ok(found)
}

fn send_until(nginx: &Nginx, case: &Case, exchange: &Exchange) -> Outcome {
    let mut last = String::new();
    let as_expected = until(case.timeout, "the response expected", || {
        let mismatches = match send(nginx, case, &exchange.message) {
            Ok(response) => exchange.expectation.mismatches(&response),
            Err(error) => vec![error.to_string()],
        };
        last = mismatches.join("\n");
        mismatches.is_empty().then_some(())
    });
    as_expected.map_err(|error| format!("{error}: {last}").into())
}

fn report(number: usize, expectation: &Expectation, response: &Response) -> Option<String> {
    let mismatches = expectation.mismatches(response);
    if mismatches.is_empty() {
        return None;
    }
    let (list, head) = (mismatches.join("\n"), response.head.replace('\r', ""));
    Some(format!("request {number}: {list}\n--- response\n{head}\n{}", response.text()))
}

fn connect(nginx: &Nginx, case: &Case) -> Outcome<Connection> {
    match &case.port {
        Some(port) => {
            Connection::open(SocketAddr::from(([127, 0, 0, 1], port.parse()?)), case.timeout)
        }
        None => nginx.connect_for(case.timeout),
    }
}

fn send(nginx: &Nginx, case: &Case, message: &Message) -> Outcome<Response> {
    match message {
        Message::Request(request) if case.http2 => send_http2(nginx, case, request),
        Message::Request(request) => {
            let request = request.clone().close();
            connect(nginx, case)?.exchange(&request.to_bytes(), request.is_head())
        }
        Message::Raw(bytes) => connect(nginx, case)?.exchange(bytes, bytes.starts_with(b"HEAD ")),
    }
}

/// Writes all requests at once on one connection, and reads the responses in order.
fn pipeline(nginx: &Nginx, case: &Case) -> Outcome<Vec<String>> {
    let mut exchanges = Vec::new();
    for step in &case.steps {
        match step {
            Step::Send(Exchange { message: Message::Request(request), expectation }) => {
                exchanges.push((request.clone(), expectation));
            }
            _ => return Err("pipelined_requests holds requests only".into()),
        }
    }
    if let Some((last, _)) = exchanges.last_mut() {
        *last = last.clone().close();
    }
    let mut connection = connect(nginx, case)?;
    let bytes: Vec<u8> = exchanges.iter().flat_map(|(request, _)| request.to_bytes()).collect();
    connection.send(&bytes)?;
    let mut found = Vec::new();
    for (number, (request, expectation)) in (1..).zip(&exchanges) {
        let response = connection
            .read_response(request.is_head())
            .map_err(|error| format!("request {number}: {error}"))?;
        found.extend(report(number, expectation, &response));
    }
    Ok(found)
}

/// Over HTTP/2, by curl: with prior knowledge, or negotiated where there is TLS.
fn send_http2(nginx: &Nginx, case: &Case, request: &Request) -> Outcome<Response> {
    let (method, target, headers, body) = request.parts();
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--include",
        "--globoff",
        "--path-as-is",
        "--noproxy",
        "*",
    ]);
    curl.args(["--max-time", &scaled(case.timeout).as_secs_f64().to_string()]);
    let scheme = if case.ssl {
        curl.arg("--http2").arg("--cacert").arg(nginx.directory().join("conf/cert.pem"));
        "https"
    } else {
        curl.arg("--http2-prior-knowledge");
        "http"
    };
    if request.is_head() {
        curl.arg("--head");
    } else {
        curl.args(["--request", method]);
    }
    // Headers that curl adds by itself go, then those of the case are added.
    for name in ["User-Agent", "Accept", "Content-Type"] {
        curl.args(["--header", &format!("{name}:")]);
    }
    let host = [("Host".to_owned(), "localhost".to_owned())];
    let named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    for (name, value) in host.iter().filter(|_| !named).chain(headers) {
        curl.args(["--header", &format!("{name}: {value}")]);
    }
    if !body.is_empty() {
        curl.args(["--data-binary", "@-"]);
    }
    let port = case.port.clone().unwrap_or_else(|| nginx.address().port().to_string());
    curl.arg(format!("{scheme}://127.0.0.1:{port}{target}"));
    curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = curl.spawn().map_err(|error| format!("cannot start curl: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A server that refuses early leaves curl no reason to read on.
        let _ = input.write_all(body);
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", output.status, error.trim()).into());
    }
    let response = Response::parse(&output.stdout, request.is_head())?;
    if !response.head.starts_with("HTTP/2 ") {
        return Err(format!("the answer is not HTTP/2: {}", response.head).into());
    }
    Ok(response)
}
