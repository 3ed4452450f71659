//! The configurations in nginx-conf/ and docker/, each of them run and asked: what they say they do, they do.
//!
//! What stands in them for a place in the world (ports, paths, addresses) is replaced; every
//! replacement must find its text.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::path::PathBuf;

use harness::flavour::project_root;
use harness::http::{Request, Response};
use harness::wait::PATIENCE;
use harness::{AwsDouble, Echo, Flavour, Nginx, NginxBuilder, Outcome, Redis, Regex, until};

harness::scenarios![lambda, ec2, fleet, demo, docker, hybrid, every_configuration_is_run];

const TESTED: [&str; 5] = ["demo.conf", "ec2.conf", "fleet.conf", "hybrid.conf", "lambda.conf"];

fn folder() -> PathBuf {
    project_root().join("nginx-conf")
}

/// The file's text with the replacements made. The name is relative to nginx-conf/.
fn configuration(name: &str, replacements: &[(&str, &str)]) -> Outcome<String> {
    let mut text = std::fs::read_to_string(folder().join(name))?;
    for (from, to) in replacements {
        if !text.contains(from) {
            return Err(format!("{name} has no \"{from}\"").into());
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

/// nginx with the configuration, and instance metadata of the double's.
fn start(builder: NginxBuilder, text: &str, aws: &AwsDouble) -> Outcome<Nginx> {
    let imds = format!("http://{}", aws.address("imds")?);
    builder.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds).whole(text).start()
}

fn expect(response: &Response, status: u16, part: &str) -> Outcome {
    let (got, text) = (response.status, response.text());
    if got == status && text.contains(part) {
        return Ok(());
    }
    Err(format!("expected {status} and \"{part}\", got {got}: {text}").into())
}

/// The answer to a request, once there are credentials.
fn invoke(nginx: &Nginx, request: &Request) -> Outcome<Response> {
    until(PATIENCE, "credentials", || {
        let answer = nginx.request(request);
        answer.as_ref().map_or(true, |response| response.status != 503).then_some(answer)
    })?
}

fn lambda(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let builder = Nginx::builder(flavour)?;
    let module = format!("load_module {};", flavour.module().display());
    let listen = format!("listen 127.0.0.1:{};", builder.port()?);
    let text = configuration(
        "lambda.conf",
        &[("load_module modules/ngx_http_apigate_module.so;", &module), ("listen 80;", &listen)],
    )?;
    // Region and credentials as they are found on an instance.
    let endpoint = format!("lambda_endpoint http://{};\n", aws.address("lambda_http")?);
    let nginx = start(builder.http(&endpoint), &text, &aws)?;

    expect(&nginx.get("/hello")?, 401, "No API key found in request")?;
    let request = Request::get("/hello").header("X-API-Key", "wrong");
    expect(&nginx.request(&request)?, 401, "Unauthorized")?;
    let request = Request::get("/hello").header("X-API-Key", "change-me");
    expect(&invoke(&nginx, &request)?, 200, "hello")?;
    nginx.stop()
}

const CONSUMERS: &str = r#"{"consumers": [
    {"username": "alice", "groups": ["api1", "api2"], "keys": [{"key": "alice-key"}]},
    {"username": "bob", "groups": ["api2"], "keys": [{"key": "bob-key"}]}
]}"#;

fn start_ec2(flavour: Flavour, aws: &AwsDouble) -> Outcome<Nginx> {
    aws.control("PUT", "/functions/api1", r#"{"like": "echo"}"#)?;
    let builder = Nginx::builder(flavour)?
        .file("conf/consumers.json", CONSUMERS)?
        .file("conf/mime.types", "types { text/html html; }")?;
    let module = format!("load_module {};", flavour.module().display());
    let listen = format!("listen 127.0.0.1:{} default_server;", builder.port()?);
    let page = format!("alias {}/configurator/", folder().display());
    let text = configuration(
        "ec2.conf",
        &[
            ("load_module modules/ngx_http_apigate_module.so;", &module),
            ("listen 80 default_server;", &listen),
            // We are the load balancer.
            ("10.0.0.0/16", "127.0.0.1"),
            ("/var/log/nginx/gateway.log", "logs/access.log"),
            ("file /etc/nginx/consumers.json;", "file consumers.json;"),
            ("internal-api2-123456789.eu-west-1.elb.amazonaws.com", aws.address("alb")?),
            ("alias /srv/configurator/", &page),
        ],
    )?;
    let endpoint = format!("lambda_endpoint http://{};\n", aws.address("lambda_http")?);
    start(builder.http(&endpoint), &text, aws)
}

fn ec2(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = start_ec2(flavour, &aws)?;
    let through_alb = |target: &str, key: &str| {
        Request::get(target)
            .header("Host", "api.example.com")
            .header("X-Forwarded-For", "203.0.113.9")
            .header("X-Forwarded-Proto", "https")
            .header("X-Consumer-Username", "forged")
            .header("X-API-Key", key)
    };

    expect(&nginx.get("/healthz")?, 200, "ok\n")?;
    expect(&nginx.get("/dev/api1/orders")?, 401, "No API key found in request")?;
    let refused = nginx.request(&through_alb("/dev/api1/orders", "bob-key"))?;
    expect(&refused, 403, "You cannot consume this service")?;

    let event = invoke(&nginx, &through_alb("/dev/api1/orders?page=2", "alice-key"))?;
    expect(&event, 200, "")?;
    let event = event.json()?;
    for (pointer, wanted) in [
        ("/path", "/dev/api1/orders"),
        ("/queryStringParameters/page", "2"),
        ("/requestContext/identity/sourceIp", "203.0.113.9"),
        ("/headers/x-forwarded-proto", "https"),
        ("/headers/x-consumer-username", "alice"),
    ] {
        let got = event.pointer(pointer).and_then(|value| value.as_str());
        if got != Some(wanted) {
            return Err(format!("{pointer} is {got:?} and not \"{wanted}\": {event}").into());
        }
    }

    let proxied = nginx.request(&through_alb("/dev/api2/orders", "bob-key"))?;
    expect(&proxied, 200, r#"["X-Consumer-Username","bob"]"#)?;
    expect(&proxied, 200, r#"["Host","api.example.com"]"#)?;
    if proxied.text().contains("bob-key") || proxied.text().contains("forged") {
        return Err(format!("the service saw too much: {}", proxied.text()).into());
    }

    let page = nginx.get("/dev/configurator/some/route")?;
    expect(&page, 200, "<title>Configurator</title>")?;
    if page.header("Cache-Control") != Some("no-cache") {
        return Err(format!("the page may be cached: {}", page.head).into());
    }
    let log = nginx.access_log();
    if !log.contains(r#"203.0.113.9 bob "GET /dev/api1/orders HTTP/1.1" 403 "#)
        || !log.contains(" deny acl group ")
    {
        return Err(format!("the access log does not tell of the refusal: {log}").into());
    }
    nginx.stop()
}

fn start_of_fleet(flavour: Flavour, aws: &AwsDouble, redis: &Redis) -> Outcome<Nginx> {
    let builder = Nginx::builder(flavour)?.file("conf/consumers.json", CONSUMERS)?;
    let module = format!("load_module {};", flavour.module().display());
    let listen = format!("listen 127.0.0.1:{};", builder.port()?);
    let text = configuration(
        "fleet.conf",
        &[
            ("load_module modules/ngx_http_apigate_module.so;", &module),
            ("listen 80;", &listen),
            ("10.0.0.0/16", "127.0.0.1"),
            ("file /etc/nginx/consumers.json;", "file consumers.json;"),
            ("redis.example.internal:6379", &redis.address().to_string()),
            // A machine under load is no Redis that is away.
            ("timeout=50ms", "timeout=5s"),
            ("600r/m 20000r/d", "1r/h 2r/d"),
            ("600r/m zone=fleet", "3r/d zone=fleet"),
            ("20r/m zone=host", "1r/d zone=host"),
            ("internal-api2.example.internal", aws.address("alb")?),
        ],
    )?;
    let endpoint = format!("lambda_endpoint http://{};\n", aws.address("lambda_http")?);
    start(builder.http(&endpoint), &text, aws)
}

fn fleet(flavour: Flavour) -> Outcome {
    let (aws, redis) = (AwsDouble::start()?, Redis::start()?);
    aws.control("PUT", "/functions/api1", r#"{"like": "echo"}"#)?;
    let hosts = [start_of_fleet(flavour, &aws, &redis)?, start_of_fleet(flavour, &aws, &redis)?];
    let request = |target: &str, key: &str| Request::get(target).header("X-API-Key", key);
    let over = "API rate limit exceeded";
    let fetched = Regex::new("credentials fetched")?;
    for host in &hosts {
        // A request that comes too early spends too, and a host counts for itself until it is connected.
        host.wait_for_log(&fetched, PATIENCE)?;
        redis.command("FLUSHALL")?;
        until(PATIENCE, "the host to count in Redis", || {
            host.request(&request("/dev/api2/a", "bob-key")).ok()?;
            redis.command("DBSIZE").ok().filter(|size| size != "0")
        })?;
    }
    redis.command("FLUSHALL")?;

    let [first, second] = &hosts;
    expect(&first.request(&request("/dev/api1/a", "alice-key"))?, 200, "")?;
    expect(&second.request(&request("/dev/api1/a", "alice-key"))?, 429, over)?;

    // Three a day, of whichever host.
    for (host, status) in [(first, 200), (second, 200), (first, 200), (second, 429), (first, 429)] {
        let answer = host.request(&request("/dev/api2/a", "bob-key"))?;
        expect(&answer, status, if status == 429 { over } else { "" })?;
    }

    // Wrong keys are each host's own to count.
    for host in &hosts {
        expect(&host.request(&request("/dev/api1/a", "guess"))?, 401, "Unauthorized")?;
        let slowed = host.request(&request("/dev/api1/a", "guess"))?;
        expect(&slowed, 429, "Too many failed authentications")?;
    }
    hosts.into_iter().try_for_each(Nginx::stop)
}

fn demo(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let builder = Nginx::builder(flavour)?;
    let page = format!("alias {}/configurator/", folder().display());
    let text = configuration(
        "demo.conf",
        &[
            ("@MODULE@", &flavour.module().display().to_string()),
            ("@PORT@", &builder.port()?.to_string()),
            ("@LAMBDA@", aws.address("lambda_https")?),
            ("@CA@", aws.address("ca")?),
            ("@ALB@", aws.address("alb")?),
            ("alias configurator/", &page),
        ],
    )?;
    let nginx = start(builder, &text, &aws)?;

    let alice = |target: &str| Request::get(target).header("X-API-Key", "alice-demo-key");
    let bob = |target: &str| Request::get(target).header("X-API-Key", "bob-demo-key");
    expect(&nginx.get("/dev/api1/hello")?, 401, "No API key found in request")?;
    expect(&nginx.request(&bob("/dev/api1/hello"))?, 403, "You cannot consume this service")?;
    expect(&invoke(&nginx, &alice("/dev/api1/hello"))?, 200, "hello from Flask")?;
    expect(&nginx.request(&alice("/dev/api2/a"))?, 200, r#"["X-Consumer-Username","alice"]"#)?;
    expect(&nginx.get("/dev/configurator/a")?, 200, "<title>Configurator</title>")?;
    nginx.stop()
}

fn docker(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let builder = Nginx::builder(flavour)?;
    let module = format!("load_module {};", flavour.module().display());
    let listen = format!("listen 127.0.0.1:{};", builder.port()?);
    let text = configuration(
        "../docker/nginx.conf",
        &[
            ("load_module modules/ngx_http_apigate_module.so;", &module),
            ("listen 80;", &listen),
            ("127.0.0.1:9002", aws.address("lambda_http")?),
            ("127.0.0.1:9003", aws.address("alb")?),
        ],
    )?;
    let nginx = start(builder, &text, &aws)?;
    let request = |target: &str| Request::get(target).header("X-API-Key", "change-me");
    expect(&nginx.get("/dev/api1/hello")?, 401, "No API key found in request")?;
    expect(&invoke(&nginx, &request("/dev/api1/hello"))?, 200, "hello from Flask")?;
    expect(&nginx.request(&request("/dev/api2/a"))?, 200, r#""uri":"/dev/api2/a""#)?;
    nginx.stop()
}

fn start_hybrid(flavour: Flavour) -> Outcome<Nginx> {
    let schema = std::fs::read(folder().join("user.json"))?;
    let builder = Nginx::builder(flavour)?.file("conf/user.json", schema)?;
    let module = format!("load_module {};", flavour.module().display());
    let listen = format!("listen 127.0.0.1:{};", builder.port()?);
    let text = configuration(
        "hybrid.conf",
        &[
            ("load_module modules/ngx_http_apigate_module.so;", &module),
            ("listen 80;", &listen),
            ("127.0.0.1:9003", &Echo::shared()?.address.to_string()),
        ],
    )?;
    builder.whole(&text).start()
}

/// Sends a request until it is refused for its rate, which must be after exactly `limit` in one minute. `seen` is what the
/// minute has had already.
fn spend(nginx: &Nginx, request: &Request, limit: u64, seen: u64) -> Outcome {
    let mut remaining = limit - seen;
    for _ in 0..=2 * limit {
        let response = nginx.request(request)?;
        let header = |name: &str| response.header(name).and_then(|text| text.parse::<u64>().ok());
        if header("X-RateLimit-Limit-Minute") != Some(limit) {
            return Err(format!("the limit is not {limit}: {}", response.head).into());
        }
        if response.status == 429 {
            let waits = header("Retry-After").is_some_and(|seconds| (1..=60).contains(&seconds));
            if remaining != 0 || !waits {
                return Err(format!("refused with {remaining} left: {}", response.head).into());
            }
            return expect(&response, 429, "API rate limit exceeded");
        }
        let left = header("X-RateLimit-Remaining-Minute").ok_or("no remaining requests told")?;
        // A new minute begins with all of them.
        if left + 1 != remaining && left + 1 != limit {
            return Err(format!("{left} left after {remaining}").into());
        }
        remaining = left;
    }
    Err(format!("more than {limit} requests in a minute").into())
}

fn hybrid(flavour: Flavour) -> Outcome {
    let nginx = start_hybrid(flavour)?;
    let ask = |method: &str, target: &str, key: &str, body: &str| {
        let request = Request::new(method, target).header("Content-Type", "application/json");
        let request = if key.is_empty() { request } else { request.header("X-API-Key", key) };
        nginx.request(&request.body(body))
    };
    let user = r#"{"email":"ann@mail.example","name":"Ann"}"#;

    // GET, and HEAD with it: no key, and none passed on.
    expect(&ask("GET", "/v1/users", "", "")?, 200, r#""uri":"/v1/users""#)?;
    expect(&ask("HEAD", "/v1/users/7?full=1", "", "")?, 200, "")?;
    spend(&nginx, &Request::get("/v1/users?page=2"), 100, 2)?;

    // POST: a key, then the rate, then the schema.
    expect(&ask("POST", "/v1/users", "", user)?, 401, "No API key found in request")?;
    expect(&ask("POST", "/v1/users", "wrong", user)?, 401, "Unauthorized")?;
    let made = ask("POST", "/v1/users", "writer-key", user)?;
    expect(&made, 200, r#""x-consumer-username":"writer""#)?;
    expect(&made, 200, r#""body":"{\"email\":\"ann@mail.example\",\"name\":\"Ann\"}""#)?;
    let refused = ask("POST", "/v1/users", "writer-key", r#"{"email":"ann"}"#)?;
    expect(&refused, 400, r#""path":"/email","keyword":"format""#)?;
    expect(&ask("POST", "/v1/users", "writer-key", r#"{"name":""}"#)?, 400, "doesn't conform")?;
    let post = Request::post("/v1/users", user).header("Content-Type", "application/json");
    spend(&nginx, &post.clone().header("X-API-Key", "writer-key"), 10, 3)?;
    // Each consumer has a count of its own, and so has each method.
    spend(&nginx, &post.header("X-API-Key", "reader-key"), 10, 0)?;

    // DELETE: a key, the group, and an id that is one.
    expect(&ask("DELETE", "/v1/users/7", "", "")?, 401, "No API key found in request")?;
    let refused = ask("DELETE", "/v1/users/7", "writer-key", "")?;
    expect(&refused, 403, "You cannot consume this service")?;
    let refused = ask("DELETE", "/v1/users/ann", "admin-key", "")?;
    expect(&refused, 400, r#""in":"path","name":"id""#)?;
    expect(&ask("DELETE", "/v1/users", "admin-key", "")?, 400, "request param doesn't conform")?;
    expect(&ask("DELETE", "/v1/users/7", "admin-key", "")?, 200, r#""method":"DELETE""#)?;

    // Methods without a block, and other places: a key and no more.
    for (method, target) in [("PUT", "/v1/users/7"), ("GET", "/v1/users/7/posts"), ("POST", "/v2")]
    {
        expect(&ask(method, target, "", "{}")?, 401, "No API key found in request")?;
        let passed = ask(method, target, "reader-key", "{}")?;
        expect(&passed, 200, &format!(r#""method":"{method}","uri":"{target}""#))?;
        expect(&passed, 200, r#""x-consumer-username":"reader""#)?;
        if passed.header("X-RateLimit-Limit-Minute").is_some() || passed.text().contains("-key") {
            return Err(format!("{method} {target}: {}{}", passed.head, passed.text()).into());
        }
    }
    nginx.stop()
}

fn every_configuration_is_run(_flavour: Flavour) -> Outcome {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder())? {
        let name = entry?.file_name().into_string().map_err(|name| format!("{name:?}"))?;
        if name.ends_with(".conf") {
            found.push(name);
        }
    }
    found.sort();
    if found == TESTED { Ok(()) } else { Err(format!("{found:?} is not {TESTED:?}").into()) }
}
