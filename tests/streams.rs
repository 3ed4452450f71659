//! Replies that go to the client as they come: soon, whole or cut off, and no faster than they are taken.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use harness::expect::{expect, expect_equal};
use harness::gateway::with_key_pair;
use harness::http::Request;
use harness::wait::{PATIENCE, monotonic_ns, scaled};
use harness::{AwsDouble, Flavour, Nginx, Outcome, Regex};

harness::scenarios![
    a_stream_cut_at_any_byte_is_never_whole,
    a_stream_that_breaks_is_cut_off_and_logged,
    a_stream_that_breaks_is_reset_over_http2,
    a_stream_is_not_held_back,
    a_stream_waits_for_its_client,
    the_first_bytes_of_a_stream_come_within_5_ms,
    a_stream_over_lambda_max_response_is_cut_off,
];

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

/// More than the head of a reply and its body have.
const PAST_THE_END: usize = 1400;

/// What is cut: where it is asked for, how the function replies, and the client's version of HTTP. Each says `one,two`, in few
/// pieces: an RST overtakes those that are still to be sent.
const CUT: [(&str, &str, &str); 5] = [
    (
        "/api",
        r#""http_integration":{"statusCode":200},"stream":[{"data":"one,"},{"data":"two"}]"#,
        "HTTP/1.1",
    ),
    ("/api", r#""stream":[{"data":"one,"},{"data":"two"}]"#, "HTTP/1.0"),
    ("/url", r#""payload":{"statusCode":200,"body":"one,two"}"#, "HTTP/1.1"),
    (
        "/url",
        r#""payload":{"statusCode":200,"body":"one,two"},"chunked":true,"chunk_bytes":3"#,
        "HTTP/1.0",
    ),
    (
        "/url",
        r#""http_integration":{"statusCode":200},"stream":[{"data":"one,"},{"data":"two"}]"#,
        "HTTP/1.1",
    ),
];

fn a_stream_cut_at_any_byte_is_never_whole(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let server = "location /api { lambda_pass cut stream; }
        location /url { lambda_pass https://cut.lambda-url.us-east-1.on.aws; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
    let mut sent = 0;
    for (target, reply, version) in CUT {
        for with in ["fin", "rst"] {
            let request = Request::get(target).version(version);
            let tried =
                cut_everywhere(&nginx, &aws, &request, &format!(r#"{reply},"cut_with":"{with}""#));
            sent += tried.map_err(|error| format!("{target} {reply} {with}: {error}"))?;
        }
    }
    expect_equal("invocations", aws.invocations("cut")?, sent)?;
    nginx.stop()
}

/// Cuts the reply at each of its bytes in turn until it is whole; how many requests that took.
fn cut_everywhere(nginx: &Nginx, aws: &AwsDouble, request: &Request, reply: &str) -> Outcome<u64> {
    let (mut sent, mut whole) = (0, 0);
    for at in 0..PAST_THE_END {
        aws.control("PUT", "/functions/cut", &format!(r#"{{{reply},"cut_at_byte":{at}}}"#))?;
        sent += 1;
        match nginx.request(request) {
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
            return Ok(sent);
        }
    }
    Err("never whole".into())
}

fn a_stream_that_breaks_is_cut_off_and_logged(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let server = "location / { lambda_pass broken-$arg_n stream; lambda_read_timeout 300ms; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
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
        expect_equal("invocations", aws.invocations(&function)?, 2)?;
    }
    nginx.stop()
}

fn a_stream_that_breaks_is_reset_over_http2(flavour: Flavour) -> Outcome {
    const NOT_CLOSED_CLEANLY: i32 = 92;
    let aws = AwsDouble::start()?;
    let server = "location / { lambda_pass broken stream; lambda_read_timeout 300ms; }";
    let nginx = with_key_pair(flavour, &aws, server)?.http2().start()?;
    let url = format!("http://{}/", nginx.address());
    for (stream, _) in BREAKS {
        let spec = format!(r#"{{"http_integration":{{"statusCode":200}},{stream}}}"#);
        aws.control("PUT", "/functions/broken", &spec)?;
        let mut curl = Command::new("curl");
        curl.args(["--http2-prior-knowledge", "--silent", "--max-time", "10", &url]);
        let got = curl.output()?;
        let (body, code) = (String::from_utf8_lossy(&got.stdout), got.status.code());
        // A piece is sent on before the sum at its end tells that it is broken.
        let is_cut = body.starts_with("first") && code == Some(NOT_CLOSED_CLEANLY);
        expect_equal(&format!("{stream}: {body} {code:?}"), is_cut, true)?;
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
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
    for (target, function) in [("/", "endless"), ("/url", "urlendless")] {
        let mut client = send(&nginx, &Request::get(target))?;
        let got = read_until(&mut client, "first")?;
        expect_equal(&got, got.contains("first"), true)?;
        // The function has not ended, and ends with its client.
        expect_equal("in flight", aws.number(&format!("/functions/{function}"), "/in_flight")?, 1)?;
        drop(client);
        aws.control("GET", &format!("/functions/{function}?aborted=1&idle=1"), "")?;
    }
    nginx.stop()
}

/// Everything up to where `text` is, or to the connection's end.
fn read_until(client: &mut TcpStream, text: &str) -> Outcome<String> {
    let (mut got, mut bytes) = (String::new(), [0; 4096]);
    while !got.contains(text) {
        match client.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => got.push_str(&String::from_utf8_lossy(&bytes[..count])),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(got)
}

fn send(nginx: &Nginx, request: &Request) -> Outcome<TcpStream> {
    let mut client = TcpStream::connect(nginx.address())?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(&request.to_bytes())?;
    Ok(client)
}

/// A busy machine makes nothing faster: one round of several whose median is good is proof.
const ROUNDS: usize = 5;
const REPLIES: usize = 50;
const LONGEST_TO_FIRST_BYTES: Duration = Duration::from_millis(5);

fn the_first_bytes_of_a_stream_come_within_5_ms(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    // The client waits by then, and the stream goes on after its first bytes.
    let spec = r#"{"http_integration":{"statusCode":200},"delay_ms":2,
        "stream":[{"data":"first"},{"data":"last","delay_ms":2}]}"#;
    aws.control("PUT", "/functions/soon", spec)?;
    let server = "location /api { lambda_pass soon stream; }
        location /url { lambda_pass https://soon.lambda-url.us-east-1.on.aws; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
    for (target, text) in [("/api", "first"), ("/url", "HTTP/1.1 200")] {
        let mut medians = Vec::new();
        while medians.len() < ROUNDS && medians.last().is_none_or(|it| *it > LONGEST_TO_FIRST_BYTES)
        {
            let delays: Outcome<Vec<_>> =
                (0..REPLIES).map(|_| delay(&nginx, &aws, target, text)).collect();
            let mut delays = delays?;
            delays.sort_unstable();
            medians.push(delays[REPLIES / 2]);
        }
        eprintln!("{flavour}: {target}: first bytes after {medians:?}");
        if medians.iter().all(|median| *median > scaled(LONGEST_TO_FIRST_BYTES)) {
            return Err(format!("{target}: {medians:?}").into());
        }
    }
    nginx.stop()
}

/// How long the first bytes of a reply take from the function to the client, which looks for `text`.
fn delay(nginx: &Nginx, aws: &AwsDouble, target: &str, text: &str) -> Outcome<Duration> {
    let mut client = send(nginx, &Request::get(target).close())?;
    let got = read_until(&mut client, text)?;
    let seen_ns = monotonic_ns();
    expect_equal(&got, got.contains(text), true)?;
    let written_ns = aws.number("/functions/soon", "/first_byte_at_ns")?;
    read_until(&mut client, "last")?;
    Ok(Duration::from_nanos(seen_ns.saturating_sub(written_ns)))
}

/// Where a reply that is too long is asked for, how it comes, and what its client gets of it: nothing but a refusal, or less
/// than all.
const TOO_LONG: [(&str, &str, Option<&str>); 4] = [
    (
        "/api",
        r#""stream":[{"data":"0123456789"},{"data":"abcdefghij","delay_ms":20}]"#,
        Some("0123456789"),
    ),
    ("/api", r#""stream":[{"data":"0123456789abcdefghij"}]"#, None),
    ("/url", r#""payload":{"statusCode":200,"body":"0123456789abcdefghij"}"#, None),
    (
        "/url",
        r#""http_integration":{"statusCode":200},"stream":[{"data":"0123456789"},{"data":"abcdefghij","delay_ms":20}]"#,
        Some("0123456789"),
    ),
];

fn a_stream_over_lambda_max_response_is_cut_off(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let server = "lambda_max_response 15;
        location /api { lambda_pass long$arg_n stream; }
        location /url { lambda_pass https://long$arg_n.lambda-url.us-east-1.on.aws; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
    for (number, (target, reply, beginning)) in TOO_LONG.into_iter().enumerate() {
        let function = format!("long{number}");
        aws.control("PUT", &format!("/functions/{function}"), &format!("{{{reply}}}"))?;
        let request = Request::get(&format!("{target}?n={number}")).close();
        match beginning {
            None => {
                let refused = nginx.request(&request)?;
                expect(
                    &refused,
                    502,
                    "An invalid response was received from the upstream function",
                )?;
            }
            Some(beginning) => {
                let got = read_until(&mut send(&nginx, &request)?, "\r\n0\r\n")?;
                let is_cut =
                    got.contains(beginning) && !got.contains("fghij") && !got.contains("\r\n0\r\n");
                expect_equal(&format!("{target} {reply} is cut: {got}"), is_cut, true)?;
            }
        }
        let line = "error=invalid_reply, response is over \"lambda_max_response\"";
        nginx.wait_for_log(&Regex::new(&format!("{function}.*{line}"))?, PATIENCE)?;
        aws.control("GET", &format!("/functions/{function}?idle=1"), "")?;
        expect_equal("invocations", aws.invocations(&function)?, 1)?;
    }
    nginx.stop()
}

fn a_stream_waits_for_its_client(flavour: Flavour) -> Outcome {
    const BYTES: usize = 20_000_000;
    let aws = AwsDouble::start()?;
    let spec = format!(r#"{{"payload_fill_bytes":{BYTES}}}"#);
    aws.control("PUT", "/functions/large", &spec)?;
    let server = "location / { lambda_pass large stream; }";
    let nginx = with_key_pair(flavour, &aws, server)?.start()?;
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
