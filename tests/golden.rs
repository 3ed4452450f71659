//! A Flask application behind the adapters that people use, called through nginx, answers as it does when it is called
//! directly.
//!
//! Every request of [`REQUESTS`] goes to the application itself (tests/flask/serve.py) and, through lambda_pass, to the same
//! application behind each adapter and each form of event. What differs must be in [`LIMITS`], with the adapter's reason; a
//! limit that is none any more fails the test.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};

use harness::flavour::project_root;
use harness::http::{Connection, Request, Response, values};
use harness::process::{Process, command};
use harness::wait::PATIENCE;
use harness::{AwsDouble, Flavour, Nginx, Outcome};
use serde_json::{Value, json};

harness::scenarios![adapters_answer_as_the_application_does, the_client_address_is_real_ips];

const HOST: &str = "api.example.com:8443";

/// What is called: function, form of event.
const FORMS: [(&str, &str); 13] = [
    ("flask-serverless-wsgi", "1.0"),
    ("flask-serverless-wsgi", "2.0"),
    ("flask-serverless-wsgi", "alb"),
    ("flask-serverless-wsgi", "alb-multi"),
    ("flask-apig-wsgi", "1.0"),
    ("flask-apig-wsgi", "2.0"),
    ("flask-apig-wsgi", "alb"),
    ("flask-apig-wsgi", "alb-multi"),
    ("flask-aws-wsgi", "1.0"),
    ("flask-mangum", "1.0"),
    ("flask-mangum", "2.0"),
    ("flask-mangum", "alb"),
    ("flask-mangum", "alb-multi"),
];

/// A known difference: function, form (`*` any), request (`*` any), field of the comparison, why it cannot be otherwise.
type Limit = (&'static str, &'static str, &'static str, &'static str, &'static str);

const LIMITS: &[Limit] = &[
    ("*", "1.0", "query", "query text", "adapters write the query anew from the event's map"),
    ("*", "alb", "query", "query text", "as above"),
    ("*", "alb-multi", "query", "query text", "as above"),
    ("flask-aws-wsgi", "1.0", "path", "path", "it does not decode paths"),
    ("flask-aws-wsgi", "1.0", "repeated query", "query text", "it reads the single-value map"),
    ("flask-aws-wsgi", "1.0", "repeated query", "body args", "as above"),
    ("*", "alb", "repeated query", "query text", "the form's map has single values"),
    ("*", "alb", "repeated query", "body args", "as above"),
    ("flask-serverless-wsgi", "alb", "*", "body remote_addr", "it looks at identity alone"),
    ("flask-serverless-wsgi", "alb-multi", "*", "body remote_addr", "as above"),
    (
        "flask-serverless-wsgi",
        "1.0",
        "repeated headers",
        "body headers",
        "it reads the single-value map",
    ),
    ("flask-serverless-wsgi", "alb-multi", "repeated headers", "body headers", "as above"),
    ("flask-aws-wsgi", "1.0", "repeated headers", "body headers", "as above"),
    ("*", "alb", "repeated headers", "body headers", "the form's map has single values"),
    ("flask-apig-wsgi", "alb", "set cookies", "set-cookie", "it writes a single-value map"),
    ("flask-apig-wsgi", "alb", "reply headers", "x-repeated", "as above"),
    ("flask-apig-wsgi", "2.0", "reply headers", "x-repeated", "as above"),
    ("flask-aws-wsgi", "1.0", "set cookies", "set-cookie", "as above"),
    ("flask-aws-wsgi", "1.0", "reply headers", "x-repeated", "as above"),
];

/// The requests by name.
fn requests() -> Vec<(&'static str, Request)> {
    let binary: Vec<u8> = (0..100 * 1024_u32).map(|n| (n * 31 % 251) as u8).collect();
    let multipart = "--XX\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
        Content-Type: text/plain\r\n\r\ncontent of the file\r\n--XX--\r\n";
    let json = "application/json";
    vec![
        ("hello", Request::get("/hello")),
        ("root", Request::get("/")),
        ("prefix", Request::get("/dev/api1/show/x")),
        ("path", Request::get("/show/a%2Fb%20c/%C3%A9+;x%25%20")),
        ("query", Request::get("/show?a=1&b=&c=%20+%2B&d&%C3%A9=%26")),
        ("repeated query", Request::get("/show?a=1&a=2&a=")),
        ("headers", Request::get("/show").header("X-Own", "a, b").header("Accept", "*/*")),
        ("repeated headers", Request::get("/show").header("X-Own", "1").header("X-Own", "2")),
        ("cookies", Request::get("/show").header("Cookie", "a=1; b=\"x y\"; c=")),
        (
            "form",
            Request::post("/show", "a=1&a=2&b=x+y%26")
                .header("Content-Type", "application/x-www-form-urlencoded"),
        ),
        ("json", Request::post("/show", r#"{"a":["é",1]}"#).header("Content-Type", json)),
        ("put", Request::new("PUT", "/show").body("{}").header("Content-Type", json)),
        ("patch", Request::new("PATCH", "/show").body("{}").header("Content-Type", json)),
        ("delete", Request::new("DELETE", "/show/1")),
        ("options", Request::new("OPTIONS", "/show")),
        (
            "upload",
            Request::post("/show", multipart)
                .header("Content-Type", "multipart/form-data; boundary=XX"),
        ),
        (
            "chunked",
            Request::post("/show", r#"{"chunked":true}"#)
                .header("Content-Type", json)
                .header("Transfer-Encoding", "chunked"),
        ),
        (
            "binary both ways",
            Request::post("/upload?back=1", binary)
                .header("Content-Type", "application/octet-stream"),
        ),
        ("binary", Request::get("/binary")),
        ("utf8", Request::get("/utf8")),
        ("set cookies", Request::get("/cookies")),
        ("reply headers", Request::get("/headers")),
        ("redirect", Request::get("/redirect?q=a%26b")),
        ("head", Request::new("HEAD", "/hello")),
        ("empty", Request::new("DELETE", "/empty")),
        ("teapot", Request::get("/status/418")),
        ("not found", Request::get("/users/999999")),
        ("failure", Request::get("/fail")),
    ]
}

/// The application, called directly.
struct Flask {
    address: SocketAddr,
    _input: Option<ChildStdin>,
    _process: Process,
}

fn python() -> PathBuf {
    project_root().join("target/python/bin/python")
}

impl Flask {
    fn start() -> Outcome<Self> {
        let mut serve = command(python());
        serve.arg(project_root().join("tests/flask/serve.py"));
        serve.env("FLASK_USERS_DB", ":memory:").env("PYTHONDONTWRITEBYTECODE", "1");
        serve.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn("serve.py", serve)?;
        let input = process.take_stdin();
        let mut line = String::new();
        let output = process.take_stdout().ok_or("serve.py has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let port = serde_json::from_str::<Value>(&line)?["port"].as_u64().ok_or("no port")?;
        let address = format!("127.0.0.1:{port}").parse()?;
        Ok(Self { address, _input: input, _process: process })
    }

    fn request(&self, request: &Request) -> Outcome<Response> {
        Connection::open(self.address, PATIENCE)?.request(request)
    }
}

/// What is compared of a response: named fields.
fn fields(response: &Response) -> Vec<(String, Value)> {
    let mut fields = vec![("status".to_owned(), json!(response.status))];
    for name in ["content-type", "location", "x-repeated", "x-comma", "x-sha256", "cache-control"] {
        // nginx writes no type on a response that has no content.
        let is_written = response.status != 204 || name != "content-type";
        let value = response.joined(name).filter(|_| is_written);
        fields.push((name.to_owned(), json!(value.as_deref().map(unspaced))));
    }
    let cookies: BTreeSet<&str> = values(&response.headers, "set-cookie").collect();
    fields.push(("set-cookie".to_owned(), json!(cookies)));
    match serde_json::from_slice::<Value>(&response.body) {
        Ok(Value::Object(shown)) => fields.extend(
            shown.into_iter().map(|(name, value)| (format!("body {name}"), comparable(value))),
        ),
        _ => fields.push(("body".to_owned(), json!(response.body))),
    }
    fields
}

/// A header's value without the spaces between the members of a list, which mean nothing.
fn unspaced(value: &str) -> String {
    value.replace(", ", ",").replace("; ", ";")
}

/// A shown field without what only a gateway sends, and without what WSGI leaves out and adapters write as empty.
fn comparable(value: Value) -> Value {
    let Value::Array(lines) = value else {
        return if value == json!("") || value == json!(0) { Value::Null } else { value };
    };
    let is_of_no_interest = |line: &Value| {
        let part = |at: usize| line.get(at).and_then(Value::as_str).unwrap_or_default();
        let (name, value) = (part(0), part(1));
        let is_gateways = name.starts_with("x-forwarded-");
        is_gateways
            || matches!(
                (name, value),
                ("x-amzn-trace-id" | "connection", _)
                    | ("content-length", "0")
                    | ("cookie" | "content-type", "")
            )
    };
    let shown = lines.into_iter().filter(|line| !is_of_no_interest(line));
    shown.map(|line| Value::String(unspaced(&line.to_string()))).collect()
}

fn differences(direct: &Response, through: &Response) -> Vec<(String, Value, Value)> {
    let (direct, through) = (fields(direct), fields(through));
    let names: BTreeSet<&String> = direct.iter().chain(&through).map(|(name, _)| name).collect();
    let of = |fields: &[(String, Value)], name: &str| {
        let found = fields.iter().find(|(have, _)| have == name);
        found.map_or(Value::Null, |(_, value)| value.clone())
    };
    names
        .into_iter()
        .map(|name| (name.clone(), of(&direct, name), of(&through, name)))
        .filter(|(_, direct, through)| direct != through)
        .collect()
}

fn nginx(flavour: Flavour, aws: &AwsDouble) -> Outcome<Nginx> {
    let endpoint = aws.address("lambda_http")?;
    let mut servers = String::new();
    for (function, form) in FORMS {
        servers.push_str(&format!(
            "if ($http_x_form = \"{function} {form}\") {{ lambda_pass {function} payload={form}; }}\n"
        ));
    }
    Nginx::builder(flavour)?
        .env("AWS_ACCESS_KEY_ID", aws.address("access_key_id")?)
        .env("AWS_SECRET_ACCESS_KEY", aws.address("secret_access_key")?)
        .http(&format!("aws_region us-east-1; lambda_endpoint http://{endpoint};"))
        .server(&format!(
            "client_max_body_size 6m; set_real_ip_from 127.0.0.1; real_ip_header X-Real-Ip;
             location / {{ {servers} }}"
        ))
        .start()
}

/// The fields that a limit names.
fn fields_of(limit: &'static str) -> Vec<&'static str> {
    match limit {
        "query text" => vec!["body query_string", "body full_path", "body url"],
        "path" => vec!["body path", "body path_bytes", "body full_path", "body rest", "body url"],
        field => vec![field],
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(300).collect()
}

fn adapters_answer_as_the_application_does(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let flask = Flask::start()?;
    let nginx = nginx(flavour, &aws)?;
    let (mut faults, mut used) = (Vec::new(), BTreeSet::<&Limit>::new());
    for (name, request) in requests() {
        let request = request.header("Host", HOST).close();
        for (function, form) in FORMS {
            // The application shows its request's headers, so both requests have the same.
            let request = request.clone().header("X-Form", &format!("{function} {form}"));
            let direct = flask.request(&request)?;
            let through = nginx.request(&request)?;
            for (field, direct, through) in differences(&direct, &through) {
                let is_limit = |limit: &&Limit| {
                    [(limit.0, function), (limit.1, form), (limit.2, name)]
                        .iter()
                        .all(|(pattern, value)| *pattern == "*" || pattern == value)
                        && fields_of(limit.3).contains(&field.as_str())
                };
                let known: Vec<&Limit> = LIMITS.iter().filter(is_limit).collect();
                if known.is_empty() {
                    let (direct, through) = (short(&direct), short(&through));
                    faults.push(format!(
                        "{function} {form}, {name}, {field}:\n  {direct}\n  {through}"
                    ));
                }
                used.extend(known);
            }
        }
    }
    faults.extend(
        LIMITS
            .iter()
            .filter(|limit| !used.contains(limit))
            .map(|limit| format!("no limit: {limit:?}")),
    );
    if faults.is_empty() { nginx.stop() } else { Err(faults.join("\n").into()) }
}

fn the_client_address_is_real_ips(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let nginx = nginx(flavour, &aws)?;
    for (function, form) in FORMS {
        let request = Request::get("/show")
            .header("X-Form", &format!("{function} {form}"))
            .header("X-Real-Ip", "203.0.113.7")
            .header("X-Forwarded-For", "198.51.100.1");
        let shown = nginx.request(&request)?.json()?;
        let cannot = LIMITS
            .iter()
            .any(|limit| (limit.0, limit.1, limit.3) == (function, form, "body remote_addr"));
        if !cannot && shown["remote_addr"] != "203.0.113.7" {
            return Err(format!("{function} {form}: {}", shown["remote_addr"]).into());
        }
    }
    nginx.stop()
}
