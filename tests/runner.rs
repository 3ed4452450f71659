//! That the runner of tests/cases fails what must fail. A runner that passes everything would pass
//! its own cases too.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use harness::cases::parse::parse;
use harness::cases::run::run;
use harness::process::{self, Signal};
use harness::wait::PATIENCE;
use harness::{Flavour, Nginx, Outcome, Regex};

harness::scenarios![
    what_is_not_as_expected_fails,
    a_crashed_worker_fails_the_test,
    nothing_is_left_of_a_test_that_fails,
];

/// A block that holds if nothing in it is wrong, something that is wrong with it, and the error.
const WRONG: [(&str, &str); 16] = [
    ("--- error_code: 201", "status: expected 201, got 200"),
    ("--- response_body: hello", "- \"hello\"\n  + \"hello\\n\""),
    ("--- response_body_like: bye", "body: expected to match"),
    ("--- response_headers: X-A: 2", "header X-A: expected Some(\"2\"), got Some(\"1\")"),
    ("--- response_headers: !X-A", "header X-A: expected None, got Some(\"1\")"),
    ("--- response_json: . = 1", "body is not JSON"),
    ("--- error_log: never said\n--- timeout: 50ms", "error_log: no line matches \"never said\""),
    ("--- no_error_log: start worker process", "no_error_log: "),
    ("--- access_log: POST", "access_log: no line matches \"POST\""),
    ("--- no_access_log: GET", "no_access_log: 127.0.0.1"),
    ("--- main_config: worker_rlimit_nofile 2000000000;", "the log tells of a fault: "),
    ("--- main_config: no_such_directive;", "unknown directive \"no_such_directive\""),
    ("--- redis: NOSUCHCOMMAND", "ERR unknown command"),
    ("--- user_files\n>>> ../outside", "is not a file name below the test's directory"),
    ("--- port: 1", "cannot connect to 127.0.0.1:1"),
    (
        "--- server_config: location /x { return 200; } location /x { return 200; }",
        "duplicate location \"/x\"",
    ),
];

const RIGHT: &str = r#"=== a block
--- config
    location / { add_header X-A 1; return 200 "hello\n"; }
--- request: GET /
"#;

fn expect_failure(flavour: Flavour, text: &str, error: &str) -> Outcome {
    let block = parse("x.t", text)?.pop().ok_or("no block")?;
    match run(flavour, &block) {
        Ok(()) => Err(format!("passes, though it must fail with {error:?}:\n{text}").into()),
        Err(got) if got.to_string().contains(error) => Ok(()),
        Err(got) => Err(format!("fails, not with {error:?}:\n{text}\n{got}").into()),
    }
}

fn what_is_not_as_expected_fails(flavour: Flavour) -> Outcome {
    let block = parse("x.t", RIGHT)?.pop().ok_or("no block")?;
    run(flavour, &block)?;
    for (wrong, error) in WRONG {
        expect_failure(flavour, &format!("{RIGHT}{wrong}\n"), error)?;
    }
    let accepted = "=== a\n--- config: return 200;\n--- must_die\n--- error_log: emerg\n";
    expect_failure(flavour, accepted, "nginx -t accepts the configuration")?;
    let refused = "=== a\n--- config: retrun 200;\n--- must_die\n--- error_log: another reason\n";
    expect_failure(flavour, refused, "error_log: no line matches \"another reason\"")?;
    let second = format!("{}\n", RIGHT.replace(": GET /", "\n[\"GET /\", \"GET /\"]"));
    let second = format!("{second}--- error_code: [200, 404]\n");
    expect_failure(flavour, &second, "request 2: status: expected 404, got 200")?;
    let never =
        RIGHT.replace(": GET /", "\n[{\"until\": \"GET /\", \"error_code\": 404}, \"GET /\"]");
    let never = format!("{never}--- timeout: 50ms\n");
    expect_failure(flavour, &never, "status: expected 404, got 200")
}

fn a_crashed_worker_fails_the_test(flavour: Flavour) -> Outcome {
    let nginx = Nginx::builder(flavour)?.server("return 200;").start()?;
    let workers = nginx.wait_for_workers()?;
    for worker in workers {
        process::signal(worker, Signal::SEGV)?;
    }
    nginx.wait_for_log(&Regex::new("exited on signal 11")?, PATIENCE)?;
    match nginx.stop() {
        Ok(()) => Err("nobody minds a crash".into()),
        Err(error) if error.to_string().contains("exited on signal 11") => Ok(()),
        Err(error) => Err(error),
    }
}

fn nothing_is_left_of_a_test_that_fails(flavour: Flavour) -> Outcome {
    let nginx = Nginx::builder(flavour)?.workers(2).server("return 200;").start()?;
    let mut pids = nginx.wait_for_workers()?;
    pids.push(nginx.master_pid());
    let directory = nginx.directory().to_owned();
    drop(nginx);
    for pid in pids {
        if process::title(pid).contains("nginx") {
            return Err(format!("process {pid} still runs").into());
        }
    }
    if directory.exists() {
        return Err(format!("{} is still there", directory.display()).into());
    }
    Ok(())
}
