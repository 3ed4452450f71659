//! Bodies that a helper thread checks: what goes on meanwhile, and what becomes of a client that does not wait.

use std::time::{Duration, Instant};

use harness::http::{Request, Response};
use harness::wait::{PATIENCE, scaled};
use harness::{Echo, Flavour, Nginx, NginxBuilder, Outcome, Regex, until};

harness::scenarios![
    others_are_answered_while_a_large_body_is_checked,
    many_large_bodies_at_once_get_their_own_answers,
    a_client_that_goes_takes_its_request_with_it,
    an_http2_stream_that_is_reset_takes_its_request_with_it,
    a_worker_that_ends_answers_what_it_checks,
];

const MEGABYTE: usize = 1024 * 1024;
/// How long a request may be held up by somebody else's body of a megabyte.
const LONGEST_HOLD_UP: Duration = Duration::from_millis(20);
/// Work of some hundred milliseconds for each megabyte.
const SCHEMA: &str = r#"{"type":"array","items":{"type":"object","required":["id"],
    "properties":{"id":{"type":"integer","minimum":0},"mail":{"type":"string","format":"email"}}}}"#;

fn server(builder: NginxBuilder) -> Outcome<NginxBuilder> {
    let up = Echo::shared()?.address;
    let config = format!(
        "client_max_body_size 64m; client_body_buffer_size 64k;
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

/// The processor time that the worker's helper thread has used, in clock ticks.
fn helper_ticks(worker: u32) -> Option<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{worker}/task")).ok()?;
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.trim() == "apigate-work" {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            // man 5 proc: the fields behind the name in brackets; utime is the 14th of all.
            return stat.rsplit(')').next()?.split_whitespace().nth(11)?.parse().ok();
        }
    }
    None
}

/// Waits until the helper thread is at work: it has used more time than before.
fn wait_for_helper(worker: u32, before: u64) -> Outcome {
    until(PATIENCE, "the helper thread to work", || {
        (helper_ticks(worker)? > before).then_some(())
    })
}

fn only_worker(nginx: &Nginx) -> Outcome<u32> {
    Ok(*nginx.wait_for_workers()?.first().ok_or("no worker")?)
}

fn others_are_answered_while_a_large_body_is_checked(flavour: Flavour) -> Outcome {
    let nginx = server(Nginx::builder(flavour)?)?.start()?;
    let worker = only_worker(&nginx)?;
    // The first one starts the thread.
    expect(&nginx.request(&check(list(MEGABYTE, true)))?, 200, "taken")?;
    let ticks = helper_ticks(worker).ok_or("no helper thread")?;
    let mut slowest = Duration::ZERO;
    let mut answered = 0;
    std::thread::scope(|scope| {
        let large = scope.spawn(|| nginx.request(&check(list(8 * MEGABYTE, false))));
        wait_for_helper(worker, ticks)?;
        let mut connection = nginx.connect()?;
        while !large.is_finished() {
            let begun = Instant::now();
            expect(&connection.request(&Request::get("/"))?, 200, "here")?;
            slowest = slowest.max(begun.elapsed());
            answered += 1;
        }
        let response = large.join().map_err(|_| "the client panicked")??;
        expect(&response, 400, "request body doesn't conform to schema")
    })?;
    // The machine may take the processor away from either side; a check on the event loop would take all of them.
    if answered < 10 {
        return Err(format!("{answered} requests answered meanwhile").into());
    }
    println!("{answered} requests meanwhile, the slowest {slowest:?}");
    nginx.stop()
}
