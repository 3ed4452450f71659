//! `method` against nginx itself: a location with a block behaves, for the block's methods, as a location in which the
//! block's directives stand themselves, and for all others as a location without the block.
//!
//! Each configuration makes servers of the same lines: `both` has the block; of `one` and `two` the method chooses, `one`
//! with the block's lines in the location, `two` without. Answers and access logs of both sides must be the same. `none` is
//! another `two`: a configuration whose block makes no difference is a failure as well, for it would prove nothing.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use harness::http::{Request, Response};
use harness::wait::PATIENCE;
use harness::{Echo, Flavour, Nginx, Outcome, Regex, until};

#[path = "method_differential/configurations.rs"]
mod configurations;

use configurations::{CONFIGURATIONS, Configuration};

harness::scenarios![a_block_is_a_location_of_its_own];

/// Of one length, so that no Content-Length tells them apart.
const HOSTS: [&str; 4] = ["both.test", "one-.test", "two-.test", "none.test"];
const FILES: [(&str, &str); 10] = [
    ("html/a/f.txt", "in a\n"),
    ("html/a/index.html", "index of a\n"),
    ("html/b/f.txt", "in b, somewhat longer than the other file\n"),
    ("html/b/home.txt", "home of b\n"),
    ("html/p/f.txt", "in p\n"),
    ("html/inner/x", "x\n"),
    ("html/inc", "included\n"),
    ("html/ssi/f.txt", "<!--#include virtual=\"/inc\" --><!--#echo var=\"request_method\" -->\n"),
    ("conf/users", "u:{PLAIN}p\n"),
    ("conf/schema.json", r#"{"type":"object","required":["n"]}"#),
];

fn a_block_is_a_location_of_its_own(flavour: Flavour) -> Outcome {
    let mut failures = Vec::new();
    for configuration in CONFIGURATIONS {
        if let Err(error) = compare(flavour, configuration) {
            failures.push(format!("{}: {error}", configuration.name));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n\n").into()) }
}

impl Configuration {
    /// The server of one name, its location filled with `lines`.
    fn server(&self, host: &str, lines: &str) -> String {
        let location = format!("location {} {{ {} {lines} }}", self.location, self.common);
        let location = match self.around {
            "" => location,
            around => around.replace("%LOCATION%", &location),
        };
        format!(
            "server {{ listen 127.0.0.1:$PORT; server_name {host}; root html; log_subrequest on; \
             access_log logs/{host} compared; {} {location} }}\n",
            self.server
        )
        .replace("%HOST%", host)
    }

    fn http(&self) -> String {
        let format =
            r#"log_format compared "$request_method $uri $status $sent_http_content_type";"#;
        let block = format!("{} method {} {{ {} }}", self.others, self.methods, self.block);
        let mut http = format!("{format}\n");
        for host in HOSTS {
            http.push_str(&self.http.replace("%HOST%", host));
        }
        for (host, lines) in
            HOSTS.iter().zip([block.as_str(), self.block, self.others, self.others])
        {
            http.push_str(&self.server(host, lines));
        }
        http
    }

    /// The map of the method: the server without blocks that a request belongs to.
    fn alone(&self, method: &str) -> &'static str {
        let mut named = self.methods.split(' ');
        let is_named = |name: &str| self.methods.split(' ').any(|known| known == name);
        let is_in_block = is_named(method) || (method == "HEAD" && named.any(|name| name == "GET"));
        if is_in_block { HOSTS[1] } else { HOSTS[2] }
    }
}

fn compare(flavour: Flavour, configuration: &Configuration) -> Outcome {
    let mut builder = Nginx::builder(flavour)?;
    for (name, content) in FILES {
        builder = builder.file(name, content)?;
    }
    let port = builder.port()?.to_string();
    let up = Echo::shared()?.address.to_string();
    let http = configuration.http().replace("$PORT", &port).replace("$UP", &up);
    let nginx = builder.http(&http).start()?;
    let mut makes_a_difference = false;
    for text in configuration.requests {
        let (method, request) = request(text)?;
        let ask = |host: &str| -> Outcome<Response> {
            nginx.request(&request.clone().header("Host", host)).map(neutral)
        };
        let blocks = ask(HOSTS[0])?;
        let alone = ask(configuration.alone(method))?;
        if blocks != alone {
            return Err(format!(
                "{text:?} with a block:\n{}{}\nin a location of its own:\n{}{}",
                blocks.head,
                blocks.text(),
                alone.head,
                alone.text()
            )
            .into());
        }
        if configuration.alone(method) == HOSTS[1] {
            makes_a_difference |= ask(HOSTS[3])? != blocks;
        }
    }
    if !makes_a_difference {
        return Err("the block makes no difference".into());
    }
    until(PATIENCE, "the same access log", || {
        (log(&nginx, &HOSTS[..1]) == log(&nginx, &HOSTS[1..3])).then_some(())
    })
    .map_err(|error| {
        let logs = [log(&nginx, &HOSTS[..1]), log(&nginx, &HOSTS[1..3])];
        format!("{error}: {logs:#?}")
    })?;
    nginx.stop()
}

/// The lines that these servers have logged, whatever came first.
fn log(nginx: &Nginx, hosts: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for host in hosts {
        let path = nginx.directory().join("logs").join(host);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    lines
}

/// `METHOD TARGET [NAME:VALUE]...`, and a body on the lines below.
fn request(text: &str) -> Outcome<(&str, Request)> {
    let (line, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = line.split(' ');
    let method = words.next().ok_or("a request has a method")?;
    let target = words.next().ok_or("a request has a target")?;
    let mut request = Request::new(method, target).body(body);
    for header in words {
        let (name, value) = header.split_once(':').ok_or("a header has a colon")?;
        request = request.header(name, &value.replace('_', " "));
    }
    Ok((method, request))
}

/// Ids of consumers and credentials, which depend on the name of their set.
const UUID: &str = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

/// The response without what differs from server to server and from moment to moment.
fn neutral(response: Response) -> Response {
    let hosts = HOSTS.join("|");
    let changing = format!(
        r#"(?m){hosts}|"connection":\d+|"request_id":"[0-9a-f]+"|{UUID}|^(Date|Expires|ETag|Last-Modified): .*$"#
    );
    let Ok(changing) = Regex::new(&changing) else { return response };
    let text = |text: &str| changing.replace_all(text, "-").into_owned();
    // The upstream tells the number of its connection, and numbers have more or less digits.
    let is_echo = response.header("Content-Type") == Some("application/json");
    let lines = response.head.split("\r\n").map(text);
    let lines: Vec<_> =
        lines.filter(|line| !is_echo || !line.starts_with("Content-Length:")).collect();
    let body = match std::str::from_utf8(&response.body) {
        Ok(body) => text(body).into_bytes(),
        Err(_) => response.body.clone(),
    };
    Response { status: response.status, head: lines.join("\n"), headers: Vec::new(), body }
}
