//! Where invocations go: names whose addresses change, IPv6, and certificates.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have left out"
)]

use std::fs::write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::expect::{expect, expect_equal};
use harness::http::Request;
use harness::load::{Load, under_load};
use harness::wait::PATIENCE;
use harness::{AwsDouble, Flavour, Nginx, NginxBuilder, Outcome, Regex, until};

harness::scenarios![
    a_name_that_gets_another_address_is_followed_without_a_failure,
    a_name_that_is_not_known_at_start_is_found_later,
    ipv6_addresses_are_reached,
    certificates_are_verified_against_the_systems_roots_unless_a_file_is_given,
    certificates_that_are_no_good_are_refused_and_logged,
    idle_connections_are_not_made_to_a_server_with_a_bad_certificate,
    function_urls_that_clients_make_up_lock_nobody_out,
    destinations_with_requests_are_not_given_up,
];

/// The endpoint whose addresses the tests say.
const NAME: &str = "lambda.endpoints.test";
/// How long a name's new address may take to be seen.
const LONGEST: Duration = Duration::from_secs(30);

/// An nginx that signs with the double's key pair and sends to `endpoint`.
fn nginx(flavour: Flavour, aws: &AwsDouble, endpoint: &str) -> Outcome<NginxBuilder> {
    Ok(Nginx::builder(flavour)?
        .env("AWS_ACCESS_KEY_ID", aws.address("access_key_id")?)
        .env("AWS_SECRET_ACCESS_KEY", aws.address("secret_access_key")?)
        .http(&format!("aws_region us-east-1; lambda_endpoint {endpoint};"))
        .server("location / { lambda_pass hello; }"))
}

/// nginx with an /etc/hosts of its own, `hosts` in its directory, which the test writes while it runs.
fn with_own_hosts(nginx: NginxBuilder, hosts: &str) -> Outcome<NginxBuilder> {
    let nginx = nginx.file("hosts", hosts)?.file("nsswitch.conf", "hosts: files\n")?.file(
        "own-hosts.sh",
        "mount --bind \"$1/hosts\" /etc/hosts || exit 1\n\
             [ ! -e /etc/nsswitch.conf ] || mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf\n\
             shift\nexec \"$@\"\n",
    )?;
    let directory = nginx.directory().display().to_string();
    Ok(nginx.wrapper(&format!(
        "unshare --mount --propagation private sh {directory}/own-hosts.sh {directory}"
    )))
}

/// The file is bound, so that it must be written in place.
fn set_hosts(nginx: &Nginx, hosts: &str) -> Outcome {
    Ok(write(nginx.directory().join("hosts"), hosts)?)
}

/// False, and said so, where a process may not have mounts of its own.
fn has_mount_namespaces() -> bool {
    let mut unshare = Command::new("unshare");
    let status = unshare.args(["--mount", "--propagation", "private", "true"]).status();
    let may = status.is_ok_and(|status| status.success());
    if !may {
        eprintln!("left out: this process may not have an /etc/hosts of its own (unshare --mount)");
    }
    may
}

/// A second double at another loopback address, its Lambda on the same port as the first one's.
fn beside(aws: &AwsDouble, address: &str) -> Outcome<AwsDouble> {
    let port = aws.address("lambda_http")?.rsplit(':').next().unwrap_or_default();
    AwsDouble::start_with(&["--address", address, "--lambda-http", port])
}

fn a_name_that_gets_another_address_is_followed_without_a_failure(flavour: Flavour) -> Outcome {
    if !has_mount_namespaces() {
        return Ok(());
    }
    let old = AwsDouble::start()?;
    let new = beside(&old, "127.0.0.2")?;
    let port = old.address("lambda_http")?.rsplit(':').next().unwrap_or_default().to_owned();
    let nginx = nginx(flavour, &old, &format!("http://{NAME}:{port}"))?;
    let nginx = with_own_hosts(nginx, &format!("127.0.0.1 {NAME}\n"))?.start()?;
    let request = Request::get("/");
    let load = Load { address: nginx.address(), clients: 2, request: &request, expected: "hello" };
    let tallies = under_load(&[load], |tallies| {
        tallies[0].wait_for(50)?;
        set_hosts(&nginx, &format!("127.0.0.2 {NAME}\n"))?;
        until(LONGEST, "the new address", || new.invocations("hello").ok().filter(|n| *n > 0))?;
        tallies[0].wait_for(50)?;
        // Kept connections to the old one are not used any more.
        let before = old.invocations("hello")?;
        tallies[0].wait_for(50)?;
        expect_equal("invocations at the old address", old.invocations("hello")?, before)?;
        old.control("PUT", "/services/lambda", r#"{"mode":"down"}"#)?;
        tallies[0].wait_for(50)?;
        // A name that is gone keeps its addresses.
        set_hosts(&nginx, "\n")?;
        let line =
            format!("\\[error\\].*lambda: \"{NAME}\" does not resolve, its last addresses stay");
        nginx.wait_for_log(&Regex::new(&line)?, LONGEST)?;
        tallies[0].wait_for(50)
    })?;
    let line = format!("\\[notice\\].*lambda: \"{NAME}\" has the addresses 127.0.0.2:{port}");
    nginx.wait_for_log(&Regex::new(&line)?, PATIENCE)?;
    expect_equal("wrong answers", tallies[0].wrong(), Vec::new())?;
    expect_equal("lost requests", tallies[0].lost(), Vec::new())?;
    nginx.stop()
}

fn a_name_that_is_not_known_at_start_is_found_later(flavour: Flavour) -> Outcome {
    if !has_mount_namespaces() {
        return Ok(());
    }
    let aws = AwsDouble::start()?;
    let port = aws.address("lambda_http")?.rsplit(':').next().unwrap_or_default().to_owned();
    let nginx = nginx(flavour, &aws, &format!("http://{NAME}:{port}"))?;
    let nginx = with_own_hosts(nginx, "\n")?.start()?;
    nginx.wait_for_log(&Regex::new(&format!("lambda: \"{NAME}\" is not resolved"))?, PATIENCE)?;
    expect(&nginx.get("/")?, 502, "Function endpoint is unreachable")?;
    set_hosts(&nginx, &format!("127.0.0.1 {NAME}\n"))?;
    until(PATIENCE, "the name", || nginx.get("/").ok().filter(|answer| answer.status == 200))?;
    nginx.stop()
}

fn ipv6_addresses_are_reached(flavour: Flavour) -> Outcome {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("left out: this machine has no ::1");
        return Ok(());
    }
    let aws = AwsDouble::start_with(&["--address", "::1"])?;
    for (scheme, site) in [("http", "lambda_http"), ("https", "lambda_https")] {
        let trusted = format!("lambda_ssl_trusted_certificate {};", aws.address("ca")?);
        let nginx = nginx(flavour, &aws, &format!("{scheme}://{}", aws.address(site)?))?
            .http(&trusted)
            .http("log_format to \"to $upstream_addr\"; access_log logs/to.log to;")
            .http("lambda_keepalive 4 min_idle=1;")
            .start()?;
        for _ in 0..3 {
            expect(&nginx.get("/")?, 200, "hello")?;
        }
        let to = format!("to {}\n", aws.address(site)?);
        let log = nginx.directory().join("logs/to.log");
        let is_told = || std::fs::read_to_string(&log).ok().filter(|log| log.contains(&to));
        until(PATIENCE, &to, is_told)?;
        nginx.stop()?;
    }
    Ok(())
}

fn set_certificate(aws: &AwsDouble, certificate: &str) -> Outcome {
    aws.control("PUT", "/tls", &format!(r#"{{"certificate":"{certificate}"}}"#)).map(|_| ())
}

fn over_tls(flavour: Flavour, aws: &AwsDouble) -> Outcome<NginxBuilder> {
    nginx(flavour, aws, &format!("https://{}", aws.address("lambda_https")?))
}

fn certificates_are_verified_against_the_systems_roots_unless_a_file_is_given(
    flavour: Flavour,
) -> Outcome {
    let (aws, stranger) = (AwsDouble::start()?, AwsDouble::start()?);
    let (ca, others) = (aws.address("ca")?, stranger.address("ca")?);
    // OpenSSL reads the system's roots where this variable says.
    for (roots, file, status) in
        [(ca, None, 200), (others, None, 502), (others, Some(ca), 200), (ca, Some(others), 502)]
    {
        let file = file.map(|file| format!("lambda_ssl_trusted_certificate {file};"));
        let nginx = over_tls(flavour, &aws)?
            .env("SSL_CERT_FILE", roots)
            .env("SSL_CERT_DIR", "/nowhere")
            .http(&file.clone().unwrap_or_default())
            .start()?;
        let answer = nginx.get("/")?;
        expect(&answer, status, "").map_err(|error| format!("{roots} {file:?}: {error}"))?;
        nginx.stop()?;
    }
    Ok(())
}

/// Certificates, and what the log says of each.
const BAD: [(&str, &str); 3] = [
    ("expired", r"upstream SSL certificate verify error: \(10:certificate has expired\)"),
    (
        "wrong-name",
        r#"upstream SSL certificate does not match "lambda\.us-east-1\.amazonaws\.com""#,
    ),
    ("self-signed", r"upstream SSL certificate verify error: \(18:self.signed certificate\)"),
];

fn certificates_that_are_no_good_are_refused_and_logged(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let ca = aws.address("ca")?;
    let nginx = over_tls(flavour, &aws)?
        .http(&format!("lambda_ssl_trusted_certificate {ca}; lambda_keepalive off;"))
        .server("location /unverified { lambda_pass hello; lambda_ssl_verify off; }")
        .start()?;
    let is_told = Regex::new("function=hello, error=connect")?;
    for (certificate, line) in BAD {
        set_certificate(&aws, "good")?;
        expect(&nginx.get("/")?, 200, "hello")?;
        set_certificate(&aws, certificate)?;
        expect(&nginx.get("/")?, 502, "Function endpoint is unreachable")?;
        nginx.wait_for_log(&Regex::new(&format!(r"\[error\].*{line}"))?, PATIENCE)?;
        nginx.wait_for_log(&is_told, PATIENCE)?;
        expect(&nginx.get("/unverified")?, 200, "hello")?;
    }
    expect_equal("invocations", aws.invocations("hello")?, 2 * BAD.len() as u64)?;
    nginx.stop()
}

fn idle_connections_are_not_made_to_a_server_with_a_bad_certificate(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    set_certificate(&aws, "wrong-name")?;
    let ca = Path::new(aws.address("ca")?).display();
    let nginx = over_tls(flavour, &aws)?
        .http(&format!("lambda_ssl_trusted_certificate {ca}; lambda_keepalive 4 min_idle=2;"))
        .start()?;
    let line =
        r#"\[error\].*lambda: certificate of "lambda\.us-east-1\.amazonaws\.com" is not trusted"#;
    nginx.wait_for_log(&Regex::new(line)?, PATIENCE)?;
    set_certificate(&aws, "good")?;
    until(PATIENCE, "idle connections", || {
        aws.count("/sites/lambda_https/open").ok().filter(|open| *open >= 2)
    })?;
    expect_equal("requests", aws.count("/sites/lambda_https/requests")?, 0)?;
    expect(&nginx.get("/")?, 200, "hello")?;
    nginx.stop()
}

/// The most destinations that a location keeps.
const MOST: u64 = 64;

/// An nginx whose clients name the function URL, `over` being the endpoint and what else is said of it.
fn named_by_clients(flavour: Flavour, aws: &AwsDouble, over: &str) -> Outcome<Nginx> {
    Nginx::builder(flavour)?
        .env("AWS_ACCESS_KEY_ID", aws.address("access_key_id")?)
        .env("AWS_SECRET_ACCESS_KEY", aws.address("secret_access_key")?)
        .http(&format!("aws_region us-east-1; {over}"))
        .server("location / { lambda_pass https://$arg_id.lambda-url.us-east-1.on.aws; }")
        .start()
}

fn map_url(aws: &AwsDouble, id: &str, function: &str) -> Outcome {
    aws.control("PUT", &format!("/urls/{id}"), &format!(r#"{{"function":"{function}"}}"#))?;
    Ok(())
}

fn function_urls_that_clients_make_up_lock_nobody_out(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    for site in ["lambda_http", "lambda_https"] {
        let scheme = if site == "lambda_http" { "http" } else { "https" };
        let over = format!(
            "lambda_endpoint {scheme}://{}; lambda_ssl_trusted_certificate {};",
            aws.address(site)?,
            aws.address("ca")?
        );
        let nginx = named_by_clients(flavour, &aws, &over)?;
        map_url(&aws, "own", "hello")?;
        for number in 0..2 * MOST {
            map_url(&aws, &format!("other{number}"), "hello")?;
            expect(&nginx.get(&format!("/?id=other{number}"))?, 200, "hello")?;
            expect(&nginx.get("/?id=own")?, 200, "hello")?;
        }
        // The one that is always used is never given up, and what is given up leaves no connection behind.
        let connections = aws.count(&format!("/sites/{site}/connections"))?;
        expect_equal("connections", connections, 2 * MOST + 1)?;
        until(PATIENCE, "connections are closed", || {
            aws.count(&format!("/sites/{site}/open")).ok().filter(|open| *open <= MOST)
        })?;
        expect(&nginx.get("/?id=other0")?, 200, "hello")?;
        nginx.stop()?;
    }
    Ok(())
}

fn destinations_with_requests_are_not_given_up(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let over = format!("lambda_endpoint http://{};", aws.address("lambda_http")?);
    let nginx = named_by_clients(flavour, &aws, &over)?;
    map_url(&aws, "last", "hello")?;
    let mut waiting = Vec::new();
    for number in 0..MOST {
        map_url(&aws, &format!("busy{number}"), "hang")?;
        let mut client = nginx.connect()?;
        client.send(&Request::get(&format!("/?id=busy{number}")).to_bytes())?;
        waiting.push(client);
    }
    until(PATIENCE, "invocations", || aws.invocations("hang").ok().filter(|n| *n == MOST))?;
    expect(&nginx.get("/?id=last")?, 502, "Function could not be invoked")?;
    let line = r#"\[error\].*function=last, error=destinations, 64 destinations of "lambda_pass" are in use"#;
    nginx.wait_for_log(&Regex::new(line)?, PATIENCE)?;
    drop(waiting);
    until(PATIENCE, "room", || nginx.get("/?id=last").ok().filter(|answer| answer.status == 200))?;
    nginx.stop()
}
