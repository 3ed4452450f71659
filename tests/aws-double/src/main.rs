//! `aws-double`: the double of AWS for tests and demonstrations, on loopback only. It verifies what it is sent and
//! refuses in AWS's words.
//!
//! ```text
//! aws-double [--address 127.0.0.1] [--threads 1] [--python PATH] [--python-children 2] [--runner FILE]
//!            [--imds PORT] [--container PORT] [--sts PORT] [--secretsmanager PORT]
//!            [--lambda-http PORT] [--lambda-https PORT] [--alb PORT] [--control PORT]
//! ```
//! Ports default to 0, the kernel's choice. When it is ready it prints one line of JSON on stdout, and it ends when its
//! stdin closes or on SIGTERM (keep stdin open: `sleep infinity | aws-double`):
//!
//! ```text
//! {"imds":"127.0.0.1:40001","container":"127.0.0.1:40002","sts":...,"secretsmanager":...,"lambda_http":...,
//!  "lambda_https":...,"alb":...,"control":...,"ca":"/tmp/.../ca.pem",
//!  "access_key_id":"AKIDEXAMPLE","secret_access_key":"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
//! ```
//! `ca` certifies `lambda.us-east-1.amazonaws.com`, `lambda.eu-west-1.amazonaws.com`, `*.lambda-url.us-east-1.on.aws`,
//! `*.lambda-url.eu-west-1.on.aws`, `localhost`, `127.0.0.1` and `::1`. The key pair is AWS's documented example; it never
//! expires.
//!
//! # What is served
//!
//! - **imds**: IMDSv2. `PUT /latest/api/token`, then `/latest/meta-data/iam/security-credentials/[double-role]`,
//!   `/latest/meta-data/placement/region`, `/latest/meta-data/placement/availability-zone`, `/latest/meta-data/instance-id`,
//!   `/latest/dynamic/instance-identity/document`.
//! - **container**: `/v2/credentials/ID` (ECS) and `/v1/credentials` (EKS pod identity).
//! - **sts**: `AssumeRole`, `AssumeRoleWithWebIdentity` (token `double-web-identity-token`).
//! - **secretsmanager**: `GetSecretValue` of secrets set by the control API.
//! - **lambda_http, lambda_https**: Invoke, InvokeWithResponseStream, function URLs by Host
//!   (`FUNCTION.lambda-url.REGION.on.aws`); unsigned: `/plain` (1 KB), `/plain-echo` (the request's body).
//! - **alb**: any request is answered with `{"method","uri","path","query","headers":[[name,value]],"body"|"body_base64"}`;
//!   `/echo` with 1 KB of text.
//!
//! The region of a signature's scope must be the host's, else the ARN's, else one of us-east-1, us-west-2, eu-west-1,
//! eu-central-1, cn-north-1, us-gov-west-1.
//!
//! # Functions
//!
//! `echo` (proxy reply, body = the event), `echo-raw` (the event), `hello`, `slow-MS`, `throttled`, `denied`, `not-found`,
//! `broken` (ServiceException), `error-handled`, `error-unhandled`, `too-large-reply`, `not-json`, `reset` (RST after the
//! request), `close-early` (FIN instead), `hang`, `binary`, `cookies` and `cookies-v2` (cookies list), `cookies-multi`
//! (multiValueHeaders), `cookies-variants` (spellings of set-cookie), `stream`, `reply-NAME` (the table in `builtins.rs`:
//! `reply-null`, `reply-status-string`, `reply-header-crlf`, `reply-204` ...), and, with `--python`, the Flask
//! application behind its adapters: `flask-serverless-wsgi` (= `flask`), `flask-apig-wsgi`, `flask-aws-wsgi`,
//! `flask-mangum`. Any other name is ResourceNotFoundException until it is set:
//!
//! # Control API
//!
//! JSON over HTTP on `control`; what it changes is in force when it answers. Unknown fields and wrong types are 400 and change nothing; a success is 200.
//!
//! `PUT /functions/NAME` sets how a function replies from now on (a built-in one too); `DELETE` undoes it.
//! All fields are optional:
//!
//! ```text
//! {"payload": ANY                      the reply's JSON, such as {"statusCode":200,"body":"x"}; default null
//!  "payload_raw_base64": "PGI+"        the reply's bytes, JSON or not
//!  "payload_fill_bytes": 6000000       a proxy reply whose body has so many bytes
//!  "like": "echo"                      payload of echo, echo-raw or flask-ADAPTER
//!  "status": 200                       status of the API's response
//!  "headers": {"x-a": "1", "x-b": ["2","3"]}   of the API's response (content-length, connection, content-type replace)
//!  "function_error": "Unhandled"       X-Amz-Function-Error
//!  "api_error": "TooManyRequestsException"     or {"type","status","message","headers":{"Retry-After":"7"}}
//!                                      (can be late or cut, not held; is no invocation)
//!  "log": "a line\n"                   between START and END of the log tail
//!  "delay_ms": 300, "hang": true       before the first byte; for ever
//!  "hold": true                        until POST /functions/NAME/release[?count=N] (default: all that are held)
//!  "chunked": true, "chunk_bytes": 10  Transfer-Encoding: chunked, in chunks of so many bytes
//!  "trickle_ms": 5, "trickle_bytes": 1 writes so many bytes each so many milliseconds
//!  "cut_at_byte": 120, "cut_with": "rst"|"fin"   of the raw HTTP response, head included; an RST can overtake bytes that
//!                                      the client's window had no room for
//!  "close_after": true                 closes without having said so ("headers":{"connection":"close"} says so)
//!  "raw_http_base64": "SFRU..."        the whole response as it is written
//!  "stream": [{"data":"a","delay_ms":5}, {"base64":"/w=="}, {"data":"b","corrupt":"message_crc"|"prelude_crc"},
//!             {"exception":"ServiceException","data":"{}"}]     pieces of a streamed reply (Invoke gets them joined)
//!  "stream_error": {"ErrorCode":"Unhandled","ErrorDetails":"..."}   InvokeComplete's payload
//!  "http_integration": {"statusCode":201,"headers":{},"cookies":[]}  prelude of a streamed reply, and its content type
//!  "sequence": [{...}, {...}]}         one such object an invocation, the last for all later ones
//! ```
//!
//! `GET /functions/NAME` → `{"invocations","in_flight","max_in_flight","held","aborted","first_byte_at_ns"}`. With
//! `?invocations=N`, `held=N`, `in_flight=N`, `aborted=N` (at least) or `idle=1` (none in flight) it answers when that is
//! reached, or 408 after `timeout_ms` (default 10000): tests need no sleeps. `aborted` counts clients that went away before
//! the reply's end; `first_byte_at_ns` is when the first byte of the last reply was about to be written, on the machine's
//! monotonic clock.
//!
//! `GET /invocations[?n=100][&function=NAME]` → the last requests to Lambda, refused ones too, oldest first:
//! `{"invocations":[{"sequence","at_ms","site","method","target","headers":[[name,value]],"function","qualifier",
//! "request_id","access_key_id","refused":null|"InvalidSignatureException","response_bytes","event"|"event_base64"}]}`.
//! `DELETE /invocations` forgets them. At most 4096 and 64 MB are kept.
//!
//! `GET /stats` → `{"sites":{"lambda_https":{"connections","open","requests","tls_full","tls_resumed","tls_failed"},...},
//! "functions":{NAME:{as above}},"events":{"imds.tokens","imds.roles","imds.credentials","imds.unauthorized",
//! "container.credentials","sts.AssumeRole","sts.SignatureDoesNotMatch","lambda.InvalidSignatureException",...}}`.
//! `POST /stats/reset` sets counts to zero.
//!
//! `PUT /services/NAME` (a name of the ready line, or `lambda` for both of its listeners):
//!
//! ```text
//! {"mode": "ok" | "down" | "reset" | "error" | "slow" | "hang"
//!     down: connections are refused, established ones reset unless "keep_existing": true
//!     reset: RST after the request; error: "status" (500); slow: waits "ms" first; hang: until the mode changes
//!  "for_ms": 500                       back to ok after that
//!  "idle_timeout_ms": 200, "close_after_requests": 100, "silent_close": true (no Connection: close); 0 ends them
//!  "lifetime_ms": 5000, "renew_before_ms": 1000    imds, container, sts: credentials handed out from the next issue on
//!  "region": "eu-west-1", "role": "name" ("" for none)    imds
//!  "authorization": "token"            container: what Authorization must be ("" for anything)
//!  "external_id": "x", "web_identity_token": "jwt"        sts
//!  "regions": ["us-east-1"]}           all: accepted in scopes where neither host nor ARN tells
//! ```
//! `POST /services/imds/rotate` (or `container`) with `{"expire_old": true}`: the next fetch gets new credentials; the old
//! ones are expired at once or stay valid.
//!
//! `PUT /tls {"certificate":"good"|"expired"|"wrong-name"|"self-signed","newest":"1.2"|"1.3"}` for the next handshakes.
//! `PUT /clock {"offset_ms":600000}` moves the double's clock (Date, expirations, signature dates); `GET /clock`.
//! `POST /credentials {"access_key_id","secret_access_key","session_token","lifetime_ms","principal"}` makes a key known
//! and returns it (what is absent is made up; temporary when it has a token or a lifetime);
//! `POST /credentials/ID/expire`; `DELETE /credentials/ID`.
//! `PUT /secrets/NAME` with the secret as body. `PUT /urls/ID {"function":"echo","signed":false}` maps a function URL.
//!
//! ```text
//! curl -X PUT $CONTROL/functions/flaky -d '{"sequence":[{"api_error":"TooManyRequestsException"},{"like":"echo"}]}'
//! curl -X PUT $CONTROL/services/imds -d '{"mode":"down","for_ms":3000}'
//! curl "$CONTROL/functions/flaky?invocations=2&timeout_ms=5000"
//! ```

#![forbid(unsafe_code)]

mod alb;
mod builtins;
mod clock;
mod container;
mod control;
mod credentials;
mod double;
mod eventstream;
mod function_url;
mod functions;
mod http1;
mod imds;
mod lambda;
mod options;
mod python;
mod reply;
mod response;
mod secretsmanager;
mod serve;
mod sigv4;
mod site;
mod sts;
mod tls;

use std::io::Write as _;
use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::credentials::{STATIC_ACCESS_KEY_ID, STATIC_SECRET_ACCESS_KEY};
use crate::double::Double;
use crate::options::Options;
use crate::python::Python;
use crate::site::{Kind, Site};
use crate::tls::Authority;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> std::process::ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("aws-double: {why}");
            return 2.into();
        }
    };
    // One thread is the cheapest a request and has no lock to wait for.
    let mut builder = match options.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let outcome = builder.enable_all().build().map_err(Into::into).and_then(|runtime| {
        let outcome = runtime.block_on(run(&options));
        // A blocked read of stdin must not keep the process.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => 0.into(),
        Err(why) => {
            eprintln!("aws-double: {why}");
            1.into()
        }
    }
}

async fn run(options: &Options) -> Fallible<()> {
    let directory = tempfile::Builder::new().prefix("aws-double-").tempdir()?;
    let authority = Authority::new()?;
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, &authority.ca_pem)?;
    let sites = Kind::ALL
        .into_iter()
        .map(|kind| Ok(Arc::new(Site::bind(kind, options.address, options.port(kind))?)))
        .collect::<Fallible<Vec<_>>>()?;
    let python = Python::new(
        options.python.clone(),
        options.runner.clone(),
        directory.path().to_owned(),
        options.python_children,
    );
    let double = Arc::new(Double::new(authority, python, sites));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for site in &double.sites {
        Arc::clone(site).start(Arc::clone(&double))?;
    }

    let mut ready = json!({
        "ca": ca,
        "access_key_id": STATIC_ACCESS_KEY_ID,
        "secret_access_key": STATIC_SECRET_ACCESS_KEY,
    });
    for site in &double.sites {
        ready[site.kind.name()] = site.address().to_string().into();
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}")?;
    stdout.flush()?;

    tokio::select! {
        () = stdin_end() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Returns when whoever started the double has closed its stdin.
async fn stdin_end() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 256];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}
