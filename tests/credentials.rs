//! Credentials while requests come: renewed ahead of their end, replaced when refused, kept when their source is away.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::expect::{expect, expect_equal};
use harness::gateway::{on_instance, with_key_pair};
use harness::http::Request;
use harness::load::{Load, under_load};
use harness::wait::PATIENCE;
use harness::{AwsDouble, Flavour, Nginx, Outcome, Regex, until};

harness::scenarios![
    expired_credentials_are_renewed_once,
    credentials_that_stay_refused_are_given_up,
    an_hour_of_rotations_under_load_fails_no_request,
    one_worker_asks_and_a_revocation_fails_no_request,
    credentials_outlive_their_source,
    a_wrong_clock_is_corrected,
    a_role_is_assumed_though_the_clock_is_wrong,
];

fn expired_credentials_are_renewed_once(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let server = "location / { lambda_pass hello; } location /stream { lambda_pass stream stream; }
        location /url { lambda_pass https://hello.lambda-url.us-east-1.on.aws; }";
    let nginx = on_instance(flavour, &aws, server)?.start()?;
    expect(&nginx.get("/")?, 200, "hello")?;
    for (round, (target, text)) in
        [("/", "hello"), ("/stream", "three"), ("/url", "hello")].into_iter().enumerate()
    {
        aws.control("POST", "/services/imds/rotate", r#"{"expire_old":true}"#)?;
        expect(&nginx.get(target)?, 200, text)?;
        let refused = aws.count("/events/lambda.ExpiredTokenException")?;
        expect_equal("refusals", refused, round as u64 + 1)?;
    }
    expect_equal("invocations", aws.invocations("hello")?, 3)?;
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
    let refused = aws.count("/events/lambda.ExpiredTokenException")?;
    expect_equal("refusals", refused, 2)?;
    expect_equal("invocations", aws.invocations("hello")?, 0)?;
    nginx.stop()
}

/// Roles whose credentials live for [`ROLE_LIFETIME`], asked for until there were as many renewals as an hour has with
/// credentials that live a minute each.
const ROLES: usize = 24;
const ROLE_LIFETIME: Duration = Duration::from_secs(10);
const RENEWALS: u64 = 60;
const LONGEST: Duration = Duration::from_secs(60);

fn an_hour_of_rotations_under_load_fails_no_request(flavour: Flavour) -> Outcome {
    const CLIENTS: usize = 3;
    let aws = AwsDouble::start()?;
    let lifetime = format!(r#"{{"lifetime_ms":{}}}"#, ROLE_LIFETIME.as_millis());
    aws.control("PUT", "/services/sts", &lifetime)?;
    let sts = aws.address("sts")?;
    let location = |number: usize| {
        format!(
            "location = /{number} {{ lambda_pass hello;
                aws_assume_role arn:aws:iam::123456789012:role/r session=s-{number} sts=http://{sts}; }}\n"
        )
    };
    let server: String = (0..ROLES).map(location).collect();
    let nginx = on_instance(flavour, &aws, &server)?.workers(2).start()?;
    for number in 0..ROLES {
        let answers =
            || nginx.get(&format!("/{number}")).ok().filter(|answer| answer.status == 200);
        until(PATIENCE, "the first credentials", answers)?;
    }
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let load = || -> Outcome {
        while !stop.load(Ordering::Relaxed) {
            // The workers take turns with connections.
            let mut client = nginx.connect()?;
            for number in 0..ROLES {
                expect(&client.request(&Request::get(&format!("/{number}")))?, 200, "hello")?;
                answers.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(load)).collect();
        let has_failed = || clients.iter().any(std::thread::ScopedJoinHandle::is_finished);
        let renewed = until(LONGEST, "renewals", || {
            let fetched = aws.count("/events/sts.AssumeRole").unwrap_or(0);
            (fetched >= ROLES as u64 + RENEWALS || has_failed()).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        renewed
    })?;
    let (answers, fetched) = (answers.into_inner(), aws.count("/events/sts.AssumeRole")?);
    eprintln!("{flavour}: {answers} answers, {fetched} credentials");
    let late = aws.count("/events/lambda.ExpiredTokenException")?;
    expect_equal("requests with credentials that had ended", late, 0)?;
    nginx.stop()
}

fn one_worker_asks_and_a_revocation_fails_no_request(flavour: Flavour) -> Outcome {
    const CLIENTS: usize = 4;
    let aws = AwsDouble::start()?;
    let nginx =
        on_instance(flavour, &aws, "location / { lambda_pass hello; }")?.workers(2).start()?;
    expect(&nginx.get("/")?, 200, "hello")?;
    expect_equal("fetches", aws.count("/events/imds.credentials")?, 1)?;
    let request = Request::get("/");
    let load =
        Load { address: nginx.address(), clients: CLIENTS, request: &request, expected: "hello" };
    let tallies = under_load(&[load], |tallies| {
        tallies[0].wait_for(100)?;
        aws.control("POST", "/services/imds/rotate", r#"{"expire_old":true}"#)?;
        tallies[0].wait_for(200)
    })?;
    expect_equal("wrong answers", tallies[0].wrong(), Vec::new())?;
    expect_equal("lost requests", tallies[0].lost(), Vec::new())?;
    expect_equal("fetches", aws.count("/events/imds.credentials")?, 2)?;
    nginx.stop()
}

fn credentials_outlive_their_source(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let lifetime = r#"{"lifetime_ms":600000,"renew_before_ms":1}"#;
    aws.control("PUT", "/services/imds", lifetime)?;
    let nginx = on_instance(flavour, &aws, "location / { lambda_pass hello; }")?.start()?;
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
    expect_equal("invocations", aws.invocations("refusing")?, 2)?;
    reloaded.stop()
}

fn a_wrong_clock_is_corrected(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = with_key_pair(flavour, &aws, "location / { lambda_pass hello; }")?.start()?;
    for (offset_ms, refusals) in [(900_000, 1), (-900_000, 2)] {
        aws.control("PUT", "/clock", &format!(r#"{{"offset_ms":{offset_ms}}}"#))?;
        for _ in 0..3 {
            expect(&nginx.get("/")?, 200, "hello")?;
        }
        let refused = aws.count("/events/lambda.InvalidSignatureException")?;
        expect_equal("refusals", refused, refusals)?;
    }
    nginx.wait_for_log(&Regex::new("lambda: this host's clock is off, -?[0-9]+ s")?, PATIENCE)?;
    expect_equal("invocations", aws.invocations("hello")?, 6)?;
    nginx.stop()
}

fn a_role_is_assumed_though_the_clock_is_wrong(flavour: Flavour) -> Outcome {
    for offset_ms in [900_000, -900_000] {
        let aws = AwsDouble::start()?;
        aws.control("PUT", "/clock", &format!(r#"{{"offset_ms":{offset_ms}}}"#))?;
        let server = format!(
            "location / {{ lambda_pass hello;
                aws_assume_role arn:aws:iam::123456789012:role/r sts=http://{}; }}",
            aws.address("sts")?
        );
        let nginx = with_key_pair(flavour, &aws, &server)?.start()?;
        expect(&nginx.get("/")?, 200, "hello")?;
        let refused = aws.count("/events/sts.SignatureDoesNotMatch")?;
        expect_equal("refusals", refused, 1)?;
        nginx.stop()?;
    }
    Ok(())
}
