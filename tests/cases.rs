//! Runs the cases of `tests/cases/*.t`: each block is a test of its own, on an nginx of its own, on
//! every flavour that `scripts/build` makes. Its name is `FLAVOUR::FILE::NAME`.
//!
//! ```text
//! scripts/build --nginx all && cargo build -p aws-double
//! cargo test --features process-tests --test cases              all of them
//! cargo test --features process-tests --test cases -- key_auth  those with key_auth in their name
//! ```
//!
//! Environment: `APIGATE_FLAVOURS=vendored` (a comma list; default all), `APIGATE_CASES=DIR` (a
//! directory of more cases), `RUST_TEST_THREADS=N` (default one a core), `APIGATE_KEEP=1` (leave the
//! directories of the cases), `APIGATE_WRAPPER="valgrind ..."` (words before nginx's own),
//! `APIGATE_SLOWNESS=N` (every patience times N), `AWS_DOUBLE=PATH` (in place of the one cargo built).
//! A wrapper that hides nginx's process titles, as valgrind does, hides the end of a reload too.
//!
//! # The format
//!
//! It is that of Test::Nginx, without Perl:
//!
//! ```text
//! === a name that says what must hold
//! Why, if the name does not say it.
//! --- config
//!     location /t { return 200 "hello\n"; }
//! --- request: GET /t
//! --- response_body
//! hello
//! ```
//!
//! A value stands behind `:` on the section's own line, without newline, or on the lines below,
//! where blank lines at both ends do not count and every line has its newline. Filters stand behind
//! the name: `chomp` removes the last newline, `json` reads the value as a JSON string (for
//! control characters), `latin1` makes each character of a `request`, `raw_request` or
//! `response_body` one byte (for bytes that are not UTF-8: `--- request latin1 json`). There is no
//! `eval`. Before the first block stand comments only. Whatever is not known is an error with file
//! and line, before any test runs.
//!
//! ## Set-up
//!
//! | section | |
//! |---|---|
//! | `main_config`, `http_config` | directives of these contexts |
//! | `server_config`, `config` | directives of the server, in this order |
//! | `user_files`, `conf_files` | `>>> NAME` and the lines of a file, below html/ or conf/; relative names in nginx.conf are relative to conf/ |
//! | `env` | `NAME=VALUE` lines: nginx's environment, which has nothing else of ours |
//! | `control` | `METHOD PATH [JSON]` lines sent to aws-double's control listener before nginx starts |
//! | `redis` | commands as redis-cli takes them, sent before nginx starts |
//! | `workers` | number of worker processes; default 1 |
//! | `log_level` | of the error log; default `info` |
//! | `ssl` | the server has TLS, and requests are sent over it |
//! | `http2` | the server speaks HTTP/2, and requests are sent over it |
//! | `port` | where to send requests, in place of the server's own port |
//! | `isolated` | an aws-double and Redis of the block's own; otherwise all blocks share one each, and keep apart by the names they use |
//! | `timeout` | how long to wait for a response or a line of the log: `5` or `500ms`; default 5 s |
//! | `skip_flavour` | `FLAVOUR REASON`: what this nginx cannot do |
//!
//! ## Requests
//!
//! `request` is `METHOD TARGET [VERSION]` with the body on the lines below, its last newline
//! excepted. `Host: localhost`, `Connection: close` and `Content-Length` are added unless
//! `more_headers` has them; `Transfer-Encoding: chunked` there cuts the body into chunks.
//! `raw_request` is sent as it is: a string with CRLF in it (`json`) byte for byte; otherwise the
//! lines of the head get CRLF and the empty line at their end.
//!
//! Several requests are a JSON array, each on a connection of its own; `pipelined_requests` are an
//! array sent at once on one connection. Then `more_headers` and every expectation of a response
//! may be an array too, with one value for each request (`null`: none), or a plain value for all.
//! Objects in the array of requests are steps between them:
//!
//! | step | |
//! |---|---|
//! | `{"reload": true}` | reloads, and waits until only new workers take connections |
//! | `{"write": "conf/NAME", "content": TEXT}` | replaces a file, in one step |
//! | `{"wait_for_log": TEXT or "qr/REGEX/"}` | waits for a line of the error log |
//! | `{"until": REQUEST, "error_code": N, "more_headers": TEXT, "response_body_like": REGEX}` | sends the request again and again until it is answered so; code 200 if not given |
//! | `{"control": "METHOD PATH [JSON]", "response_json": LINES}` | talks to aws-double; its answer is as `response_json` below |
//! | `{"redis": COMMAND, "reply": TEXT}` | talks to Redis; the first line of its reply, without type sign, is TEXT |
//!
//! ## Expectations
//!
//! | section | |
//! |---|---|
//! | `error_code` | the status; 200 if not given |
//! | `response_headers` | `NAME: VALUE` lines; repeated headers are joined with `, `; `!NAME` or `NAME:` is absent |
//! | `response_headers_like` | `NAME: REGEX` lines; the whole value matches |
//! | `raw_response_headers_like`, `raw_response_headers_unlike` | a regex over the head as received |
//! | `response_body` | the body, exactly |
//! | `response_body_like`, `response_body_unlike` | a regex; `.` matches newlines too, `$` as in Perl also before the last newline |
//! | `response_json` | lines `POINTER = JSON`, `POINTER ~ REGEX`, `POINTER absent`; `.` is the whole document |
//! | `error_log`, `no_error_log` | lines, each of which some line, or no line, of the error log contains; `qr/REGEX/` and `qr/REGEX/i` match |
//! | `access_log`, `no_access_log` | the same of the access log |
//! | `must_die` | `nginx -t` refuses the configuration, for the reason in `error_log` |
//!
//! What must be logged is waited for; what must not is judged after nginx has quit gracefully. In
//! every block, unexpected `[alert]` or `[emerg]` lines (leaked connections and crashed workers are
//! such), a panic, and an exit with any other status than 0 are failures.
//!
//! ## Variables, in every section
//!
//! | variable | |
//! |---|---|
//! | `$SERVER_PORT`, `$TEST_NGINX_SERVER_PORT` | the server's port |
//! | `$SECOND_PORT` | a port for a `listen 127.0.0.1:$SECOND_PORT;` of the block's own |
//! | `$TEST_DIR`, `$TEST_NGINX_SERVER_ROOT` | the block's directory, with conf/, html/, logs/ |
//! | `$TEST_NGINX_HTML_DIR` | its html/ |
//! | `$TEST_CERT`, `$TEST_KEY` | a certificate for localhost and 127.0.0.1, which is its own CA, and its key |
//! | `$UPSTREAM_PORT` | an upstream that answers what it was sent, see tests/harness/src/echo.rs |
//! | `$REDIS_PORT` | a Redis server |
//! | `$IMDS`, `$STS`, `$CONTAINER`, `$SECRETSMANAGER`, `$LAMBDA_HTTP`, `$LAMBDA_HTTPS`, `$CONTROL`, `$ALB` | aws-double's addresses, `127.0.0.1:PORT` |
//! | `$CA`, `$ACCESS_KEY_ID`, `$SECRET_ACCESS_KEY` | the path of its CA, and the key pair it takes |
//!
//! `${NAME}` is the same, except in a regex.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::cases::main(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"))
}
