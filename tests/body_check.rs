//! Bodies that a helper thread checks: what goes on meanwhile, and what becomes of a client that does not wait.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::http::{Request, Response};
use harness::wait::PATIENCE;
use harness::{Echo, Flavour, Nginx, NginxBuilder, Outcome, Regex, until};

harness::scenarios![
    others_are_answered_while_a_large_body_is_checked,
    many_large_bodies_at_once_get_their_own_answers,
    a_client_that_goes_takes_its_request_with_it,
    an_http2_stream_that_is_reset_takes_its_request_with_it,
    a_worker_that_ends_answers_what_it_checks,
    a_body_in_a_file_is_read_without_a_free_descriptor,
];

const MEGABYTE: usize = 1024 * 1024;
/// How long a request may be held up by somebody else's body of a megabyte.
const LONGEST_HOLD_UP: Duration = Duration::from_millis(20);
/// Just large enough for the helper thread.
const HEAVY: usize = 160 * 1024;
/// Work for longer than it takes to notice that it has begun.
const LARGE: usize = 16 * MEGABYTE;
/// What the helper thread has worked when it is certain to be at a large body, and far from its end.
const AT_WORK: Duration = Duration::from_millis(3);
const CLIENTS: usize = 12;
const SCHEMA: &str = r#"{"type":"array","items":{"type":"object","required":["id"],
    "properties":{"id":{"type":"integer","minimum":0},"mail":{"type":"string","format":"email"}}}}"#;

fn server(builder: NginxBuilder) -> Outcome<NginxBuilder> {
    let up = Echo::shared()?.address;
    let config = format!(
        "keepalive_requests 1000000; client_max_body_size 64m; client_body_buffer_size 64k;
         location / {{ return 200 \"here\\n\"; }}
         location /check {{ validate_body schema.json; proxy_pass http://{up}/reply?body=taken; }}"
    );
    Ok(builder.file("conf/schema.json", SCHEMA)?.server(&config))
}

/// A list of about this size, all of whose items conform, or all but the last.
fn list(bytes: usize, conforms: bool) -> String {
    let mut text = String::with_capacity(bytes + 64);
    let mut id = 0;
    while text.len() < bytes {
        text.push(if id == 0 { '[' } else { ',' });
        text.push_str(&format!(r#"{{"id":{id},"mail":"user{id}@mail.example"}}"#));
        id += 1;
    }
    text.push_str(if conforms { "]" } else { r#",{"id":-1}]"# });
    text
}

fn check(body: String) -> Request {
    Request::post("/check", body).header("Content-Type", "application/json")
}

fn expect(response: &Response, status: u16, text: &str) -> Outcome {
    if response.status == status && response.text().contains(text) {
        return Ok(());
    }
    Err(format!("expected {status} and {text:?}: {}{}", response.head, response.text()).into())
}

/// The processor time that the worker's helper thread has used.
fn helper_time(worker: u32) -> Option<Duration> {
    let tasks = std::fs::read_dir(format!("/proc/{worker}/task")).ok()?;
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.trim() == "apigate-work" {
            return time_in(&task.path()).ok();
        }
    }
    None
}

/// Waits until the helper thread is at work on a large body.
fn wait_for_helper(worker: u32, before: Duration) -> Outcome {
    until(PATIENCE, "the helper thread to work", || {
        (helper_time(worker)? > before + AT_WORK).then_some(())
    })
}

fn only_worker(nginx: &Nginx) -> Outcome<u32> {
    Ok(*nginx.wait_for_workers()?.first().ok_or("no worker")?)
}

/// How long the event loop's thread has been on a processor: unlike the clock, a busy machine does not make it longer.
fn loop_time(worker: u32) -> Outcome<Duration> {
    time_in(&PathBuf::from(format!("/proc/{worker}/task/{worker}")))
}

/// The processor time of the thread that a folder of /proc is about.
fn time_in(task: &Path) -> Outcome<Duration> {
    let text = std::fs::read_to_string(task.join("schedstat"))?;
    let nanoseconds = text.split(' ').next().ok_or("an empty schedstat")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

fn others_are_answered_while_a_large_body_is_checked(flavour: Flavour) -> Outcome {
    let nginx = server(Nginx::builder(flavour)?)?.start()?;
    let worker = only_worker(&nginx)?;
    // The first one starts the thread.
    expect(&nginx.request(&check(list(LARGE, true)))?, 200, "taken")?;
    let before = helper_time(worker).ok_or("no helper thread")?;
    let mut answered = 0;
    std::thread::scope(|scope| {
        let large = scope.spawn(|| nginx.request(&check(list(LARGE, false))));
        wait_for_helper(worker, before)?;
        let mut connection = nginx.connect()?;
        while !large.is_finished() {
            expect(&connection.request(&Request::get("/"))?, 200, "here")?;
            answered += 1;
        }
        let response = large.join().map_err(|_| "the client panicked")??;
        expect(&response, 400, "request body doesn't conform to schema")
    })?;
    if answered < 10 {
        return Err(format!("{answered} requests answered meanwhile").into());
    }
    let before = loop_time(worker)?;
    expect(&nginx.request(&check(list(MEGABYTE, true)))?, 200, "taken")?;
    let held_up = loop_time(worker)? - before;
    if held_up > LONGEST_HOLD_UP {
        return Err(format!("a body of 1 MB held the event loop up for {held_up:?}").into());
    }
    nginx.stop()
}

fn many_large_bodies_at_once_get_their_own_answers(flavour: Flavour) -> Outcome {
    let nginx = server(Nginx::builder(flavour)?)?.start()?;
    std::thread::scope(|scope| {
        let ask = |conforms| nginx.request(&check(list(HEAVY, conforms)));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| (number % 3 != 0, scope.spawn(move || ask(number % 3 != 0))))
            .collect();
        for (conforms, client) in clients {
            let response = client.join().map_err(|_| "a client panicked")??;
            match conforms {
                true => expect(&response, 200, "taken")?,
                false => expect(&response, 400, "request body doesn't conform to schema")?,
            }
        }
        Outcome::Ok(())
    })?;
    nginx.stop()
}

/// With one descriptor left, for the body's file, there is none to read it by.
fn a_body_in_a_file_is_read_without_a_free_descriptor(flavour: Flavour) -> Outcome {
    const DESCRIPTORS: usize = 64;
    let document = r#"{"openapi":"3.0.3","info":{"title":"t","version":"1"},"paths":{"/check":{"post":{
        "requestBody":{"content":{"application/json":{"schema":{"type":"array"}}}},"responses":{}}}}}"#;
    let nginx = Nginx::builder(flavour)?
        .file("conf/api.json", document)?
        .main(&format!("worker_rlimit_nofile {DESCRIPTORS};"))
        .server("location / { client_body_buffer_size 1k; validate_openapi api.json; }")
        .start()?;
    let worker = only_worker(&nginx)?;
    let open = || Some(std::fs::read_dir(format!("/proc/{worker}/fd")).ok()?.count());
    let body = |text: &str| check(format!("{}{text}", " ".repeat(4096)));
    let at_first = open();
    let mut asking = nginx.connect()?;
    expect(&asking.request(&body("[]"))?, 404, "")?;
    let has_closed_the_file = || (open()? == at_first? + 1).then_some(());
    until(PATIENCE, "the body's file to be closed", has_closed_the_file)?;
    let mut idle = Vec::new();
    while open().is_some_and(|count| count + 1 < DESCRIPTORS) {
        let before = open();
        idle.push(nginx.connect()?);
        until(PATIENCE, "the connection to be taken", || (open() > before).then_some(()))?;
    }
    expect(&asking.request(&body("{}"))?, 400, "request body doesn't conform to schema")?;
    drop(idle);
    nginx.stop()
}

/// Waits until nginx has logged the request with this status.
fn wait_for_status(nginx: &Nginx, status: u16) -> Outcome {
    let wanted = Regex::new(&format!(r#"" {status} \d+ ""#))?;
    until(PATIENCE, "the request in the access log", || {
        wanted.is_match(&nginx.access_log()).then_some(())
    })
}

fn a_client_that_goes_takes_its_request_with_it(flavour: Flavour) -> Outcome {
    let nginx = server(Nginx::builder(flavour)?)?.start()?;
    let worker = only_worker(&nginx)?;
    expect(&nginx.request(&check(list(HEAVY, true)))?, 200, "taken")?;
    let before = helper_time(worker).ok_or("no helper thread")?;
    let mut connection = nginx.connect()?;
    connection.send(&check(list(LARGE, true)).to_bytes())?;
    wait_for_helper(worker, before)?;
    drop(connection);
    wait_for_status(&nginx, 499)?;
    // The result that nobody waits for any more comes before this one.
    expect(&nginx.request(&check(list(HEAVY, false)))?, 400, "conform")?;
    if only_worker(&nginx)? != worker {
        return Err("another worker".into());
    }
    nginx.stop()
}

/// A frame of HTTP/2, RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A request on stream 1, sent without waiting for the server's settings.
fn http2_request(body: &[u8]) -> Vec<u8> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    // Static entries 3 and 6 (POST, http), then names of the static table with values written out.
    let mut head = vec![0x83, 0x86];
    for (name, value) in [(4, "/check"), (1, "localhost"), (31, "application/json")] {
        match name {
            31 => head.extend([0x0f, 31 - 15]),
            name => head.push(name),
        }
        head.push(value.len() as u8);
        head.extend_from_slice(value.as_bytes());
    }
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &head));
    for part in body.chunks(16 * 1024) {
        bytes.extend(frame(DATA, 0, 1, part));
    }
    bytes.extend(frame(DATA, END_STREAM, 1, &[]));
    bytes
}

fn an_http2_stream_that_is_reset_takes_its_request_with_it(flavour: Flavour) -> Outcome {
    const RST_STREAM: u8 = 3;
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    // A client may send that much at once; nginx's own limit of a stream is 64k.
    let builder = Nginx::builder(flavour)?.http2().http("http2_body_preread_size 64m;");
    let nginx = server(builder)?.start()?;
    let worker = only_worker(&nginx)?;
    let mut connection = nginx.connect()?;
    connection.send(&http2_request(list(LARGE, true).as_bytes()))?;
    wait_for_helper(worker, Duration::ZERO)?;
    connection.send(&frame(RST_STREAM, 0, 1, &CANCEL))?;
    wait_for_status(&nginx, 499)?;
    let log = nginx.wait_for_log(&Regex::new("client canceled stream 1")?, PATIENCE);
    drop(connection);
    log?;
    // The thread takes one after the other.
    let mut next = nginx.connect()?;
    next.send(&http2_request(list(HEAVY, true).as_bytes()))?;
    wait_for_status(&nginx, 200)?;
    drop(next);
    if only_worker(&nginx)? != worker {
        return Err("another worker".into());
    }
    nginx.stop()
}

fn a_worker_that_ends_answers_what_it_checks(flavour: Flavour) -> Outcome {
    let nginx = server(Nginx::builder(flavour)?)?.start()?;
    let worker = only_worker(&nginx)?;
    let response = std::thread::scope(|scope| {
        let large = scope.spawn(|| nginx.request(&check(list(LARGE, true))));
        wait_for_helper(worker, Duration::ZERO)?;
        nginx.reload()?;
        large.join().map_err(|_| "the client panicked")?
    })?;
    expect(&response, 200, "taken")?;
    if only_worker(&nginx)? == worker {
        return Err("the same worker after a reload".into());
    }
    nginx.stop()
}
