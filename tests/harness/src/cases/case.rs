//! A block's sections → what is to be set up, sent and expected. Knows what the sections mean.

use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use crate::Outcome;
use crate::cases::expect::{Expectation, JsonWant};
use crate::cases::parse::{Block, Section};
use crate::cases::values::{
    body_pattern, bytes, filled_lines, header_pattern, header_want, log_pattern, pair, raw_bytes,
    request,
};
use crate::http::{Headers, Request};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// One case, ready to run.
pub struct Case {
    /// `main_config`.
    pub main: String,
    /// `http_config`.
    pub http: String,
    /// `server_config` and `config`.
    pub server: String,
    /// `user_files` and `conf_files`: names relative to the case's directory, and contents.
    pub files: Vec<(String, String)>,
    /// `env`.
    pub environment: Vec<(String, String)>,
    /// `control`.
    pub control: Vec<Control>,
    /// `redis`.
    pub redis: Vec<String>,
    /// `workers`.
    pub workers: usize,
    /// `log_level`.
    pub log_level: String,
    /// `timeout`: how long to wait for a response or a line of the log.
    pub timeout: Duration,
    /// `port`, in place of the server's own.
    pub port: Option<String>,
    /// `ssl`.
    pub ssl: bool,
    /// `http2`.
    pub http2: bool,
    /// `must_die`.
    pub must_die: bool,
    /// `pipelined_requests` in place of `request`.
    pub pipelined: bool,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// `error_log`.
    pub error_log: Vec<Regex>,
    /// `no_error_log`.
    pub no_error_log: Vec<Regex>,
    /// `access_log`.
    pub access_log: Vec<Regex>,
    /// `no_access_log`.
    pub no_access_log: Vec<Regex>,
}

/// A request to the control listener of aws-double.
pub struct Control {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its JSON.
    pub body: String,
}

/// What is done between start and end of nginx.
pub enum Step {
    /// Send a request and compare its response.
    Send(Exchange),
    /// Send a request again and again until its response is as expected.
    Until(Exchange),
    /// Reload nginx and wait for the new workers.
    Reload,
    /// Write a file.
    Write(String, String),
    /// Wait for a line of the error log.
    WaitForLog(Regex),
    /// Talk to aws-double, and compare its answer.
    Control(Control, Vec<JsonWant>),
    /// Send a command to Redis, and compare its reply if there is one to compare with.
    Redis(String, Option<String>),
}

/// A request and what is expected of its response.
pub struct Exchange {
    /// What is sent.
    pub message: Message,
    /// What is to come back.
    pub expectation: Expectation,
}

/// What is sent.
pub enum Message {
    /// A request that the client completes with the headers it needs.
    Request(Request),
    /// These bytes.
    Raw(Vec<u8>),
}

impl Case {
    /// Reads a block. The error names file and line of the section that is wrong.
    pub fn from_block(block: &Block) -> Outcome<Self> {
        let reader = Reader { block };
        let case = reader.case()?;
        reader.check_that_it_tests_something(&case)?;
        Ok(case)
    }
}

struct Reader<'a> {
    block: &'a Block,
}

impl Reader<'_> {
    /// The block's error at a section, or at the block itself.
    fn fail<T>(&self, section: &str, why: impl std::fmt::Display) -> Outcome<T> {
        let line = self.block.section(section).map_or(self.block.line, |section| section.line);
        Err(format!("{}:{line}: {section}: {why}", self.block.file).into())
    }

    fn text(&self, name: &str) -> &str {
        self.block.text(name).unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        self.block.section(name).is_some()
    }

    fn case(&self) -> Outcome<Case> {
        Ok(Case {
            main: self.text("main_config").to_owned(),
            http: self.text("http_config").to_owned(),
            server: [self.text("server_config"), self.text("config")].concat(),
            files: [self.files("user_files", "html")?, self.files("conf_files", "conf")?].concat(),
            environment: self.pairs("env", '=')?,
            control: self.lines("control", Control::parse)?,
            redis: self.lines("redis", |line| Ok(line.to_owned()))?,
            workers: self.number("workers")?.unwrap_or(1),
            log_level: self.block.text("log_level").unwrap_or("info").trim().to_owned(),
            timeout: self.timeout()?,
            port: self.block.text("port").map(|text| text.trim().to_owned()),
            ssl: self.has("ssl"),
            http2: self.has("http2"),
            must_die: self.has("must_die"),
            pipelined: self.has("pipelined_requests"),
            steps: self.steps()?,
            error_log: self.lines("error_log", log_pattern)?,
            no_error_log: self.lines("no_error_log", log_pattern)?,
            access_log: self.lines("access_log", log_pattern)?,
            no_access_log: self.lines("no_access_log", log_pattern)?,
        })
    }

    /// A block that cannot fail is a mistake, as is one that expects a response to nothing.
    fn check_that_it_tests_something(&self, case: &Case) -> Outcome {
        let sends = case.steps.iter().any(|step| matches!(step, Step::Send(_)));
        let answered = self
            .block
            .sections
            .iter()
            .find(|section| section.name.contains("response") || section.name == "error_code");
        match answered {
            Some(section) if !sends => return self.fail(&section.name, "there is no request"),
            _ => {}
        }
        if case.must_die && sends {
            return self.fail("must_die", "nginx that does not start answers no request");
        }
        if case.must_die && case.error_log.is_empty() {
            return self.fail("must_die", "needs error_log: why must it?");
        }
        if !sends && case.error_log.is_empty() && case.no_error_log.is_empty() {
            return self.fail("request", "missing, and the block expects nothing else");
        }
        if case.http2 && (self.has("raw_request") || case.pipelined) {
            return self.fail("http2", "does not go with raw_request and pipelined_requests");
        }
        let skip = self.text("skip_flavour").trim();
        if self.has("skip_flavour") {
            let (name, reason) = skip.split_once(' ').unwrap_or((skip, ""));
            if crate::Flavour::from_name(name).is_err() || reason.is_empty() {
                return self.fail("skip_flavour", "must be a flavour and the reason");
            }
        }
        Ok(())
    }

    fn lines<T>(&self, name: &str, read: impl Fn(&str) -> Outcome<T>) -> Outcome<Vec<T>> {
        let lines = self.text(name).lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| read(line).or_else(|error| self.fail(name, format!("{line}: {error}"))))
            .collect()
    }

    fn pairs(&self, name: &str, separator: char) -> Outcome<Headers> {
        self.lines(name, |line| pair(line, separator))
    }

    fn number(&self, name: &str) -> Outcome<Option<usize>> {
        let Some(text) = self.block.text(name) else { return Ok(None) };
        text.trim().parse().map(Some).or_else(|_| self.fail(name, "must be a number"))
    }

    fn timeout(&self) -> Outcome<Duration> {
        let Some(text) = self.block.text("timeout") else { return Ok(DEFAULT_TIMEOUT) };
        let text = text.trim();
        let (digits, unit) = match text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (text.trim_end_matches('s'), 1000),
        };
        match digits.parse::<u64>() {
            Ok(number) => Ok(Duration::from_millis(number * unit)),
            Err(_) => self.fail("timeout", "must be seconds, or milliseconds as in 500ms"),
        }
    }

    /// `>>> NAME` lines, each followed by the file's content.
    fn files(&self, name: &str, directory: &str) -> Outcome<Vec<(String, String)>> {
        let mut files: Vec<(String, String)> = Vec::new();
        for line in self.text(name).lines() {
            if let Some(file) = line.strip_prefix(">>>") {
                files.push((format!("{directory}/{}", file.trim()), String::new()));
            } else if let Some((_, content)) = files.last_mut() {
                content.push_str(line);
                content.push('\n');
            } else {
                return self.fail(name, "must begin with \">>> NAME\"");
            }
        }
        Ok(files)
    }

    fn steps(&self) -> Outcome<Vec<Step>> {
        let names = ["request", "raw_request", "pipelined_requests"];
        let mut present = names.iter().filter_map(|name| self.block.section(name));
        let Some(section) = present.next() else { return Ok(Vec::new()) };
        if let Some(other) = present.next() {
            return self.fail(&other.name, format!("does not go with {}", section.name));
        }
        let array = section.value.trim_start().starts_with('[');
        if !array && section.name == "pipelined_requests" {
            return self.fail(&section.name, "must be a JSON array");
        }
        let items = match array {
            true => self.array(section)?,
            // The newline that ends the section is not the body's.
            false => {
                let text = section.value.strip_suffix('\n').unwrap_or(&section.value);
                vec![Value::String(text.to_owned())]
            }
        };
        let count = items.iter().filter(|item| item.is_string()).count();
        let expected = Expected::read(self, array.then_some(count))?;
        let mut index = 0;
        let mut steps = Vec::new();
        for item in &items {
            let step = match item {
                Value::String(text) => {
                    index += 1;
                    self.send(section, text, &expected, index - 1).map(Step::Send)
                }
                other => self.other_step(section, other),
            };
            steps.push(step.or_else(|error| self.fail(&section.name, error))?);
        }
        Ok(steps)
    }

    fn array(&self, section: &Section) -> Outcome<Vec<Value>> {
        serde_json::from_str(&section.value)
            .or_else(|error| self.fail(&section.name, format!("is no JSON array: {error}")))
    }

    fn send(
        &self,
        section: &Section,
        text: &str,
        expected: &Expected,
        index: usize,
    ) -> Outcome<Exchange> {
        let message = if section.name == "raw_request" {
            Message::Raw(raw_bytes(text, section.latin1)?)
        } else {
            let headers = expected.value("more_headers", index).unwrap_or_default();
            Message::Request(request(text, &headers, section.latin1)?)
        };
        Ok(Exchange { message, expectation: expected.expectation(self, index)? })
    }

    /// The steps that are no requests: objects in the array of requests.
    fn other_step(&self, section: &Section, item: &Value) -> Outcome<Step> {
        let object = item.as_object().ok_or("a step is a string or an object")?;
        let text = |name: &str| -> Outcome<String> {
            let text = object.get(name).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| format!("step {item}: \"{name}\" must be a string").into())
        };
        let optional = |name: &str| object.contains_key(name).then(|| text(name)).transpose();
        let step = STEPS.iter().find(|(name, _)| object.contains_key(*name));
        let (step, members) = step.ok_or_else(|| format!("unknown step {item}"))?;
        let known = |key: &str| key == *step || members.contains(&key);
        if let Some(key) = object.keys().find(|key| !known(key)) {
            return Err(format!("step {item}: unknown member \"{key}\"").into());
        }
        Ok(match *step {
            "reload" => Step::Reload,
            "write" => Step::Write(text("write")?, text("content")?),
            "wait_for_log" => Step::WaitForLog(log_pattern(&text("wait_for_log")?)?),
            "control" => {
                let wanted = optional("response_json")?.unwrap_or_default();
                let wanted = filled_lines(&wanted).map(JsonWant::parse).collect::<Outcome<_>>()?;
                Step::Control(Control::parse(&text("control")?)?, wanted)
            }
            "redis" => Step::Redis(text("redis")?, optional("reply")?),
            _ => {
                let headers = optional("more_headers")?.unwrap_or_default();
                let code = object.get("error_code").map(Value::to_string);
                let body = optional("response_body_like")?;
                let expectation = Expectation {
                    status: code.as_deref().unwrap_or("200").parse()?,
                    body_like: body.as_deref().map(body_pattern).transpose()?,
                    ..Expectation::default()
                };
                let request = request(&text("until")?, &headers, section.latin1)?;
                Step::Until(Exchange { message: Message::Request(request), expectation })
            }
        })
    }
}

/// The steps that are no requests, and the members that each may have besides its name.
const STEPS: [(&str, &[&str]); 6] = [
    ("reload", &[]),
    ("write", &["content"]),
    ("wait_for_log", &[]),
    ("control", &["response_json"]),
    ("redis", &["reply"]),
    ("until", &["error_code", "more_headers", "response_body_like"]),
];

/// The sections that hold one value for all requests, or an array with one for each.
const PER_REQUEST: [&str; 10] = [
    "more_headers",
    "error_code",
    "response_headers",
    "response_headers_like",
    "raw_response_headers_like",
    "raw_response_headers_unlike",
    "response_body",
    "response_body_like",
    "response_body_unlike",
    "response_json",
];

/// The values of [`PER_REQUEST`], one for each request.
struct Expected(Vec<(&'static str, Vec<Option<String>>)>);

impl Expected {
    /// `count` is the number of requests in the array of requests, if it is one.
    fn read(reader: &Reader<'_>, count: Option<usize>) -> Outcome<Self> {
        let mut all = Vec::new();
        for name in PER_REQUEST {
            let Some(section) = reader.block.section(name) else { continue };
            let values = match count {
                Some(count) if section.value.trim_start().starts_with('[') => {
                    let values = reader.array(section)?;
                    if values.len() != count {
                        let have = values.len();
                        return reader
                            .fail(name, format!("has {have} values for {count} requests"));
                    }
                    let text = |value| match value {
                        Value::Null => None,
                        Value::String(text) => Some(text),
                        other => Some(other.to_string()),
                    };
                    values.into_iter().map(text).collect()
                }
                count => vec![Some(section.value.clone()); count.unwrap_or(1)],
            };
            all.push((name, values));
        }
        Ok(Self(all))
    }

    fn value(&self, name: &str, index: usize) -> Option<String> {
        let (_, values) = self.0.iter().find(|(have, _)| *have == name)?;
        values.get(index)?.clone()
    }

    fn expectation(&self, reader: &Reader<'_>, index: usize) -> Outcome<Expectation> {
        let wrong = |name: &str, error: &dyn std::fmt::Display| -> Box<_> {
            format!("{name}: {error}").into()
        };
        let regex = |name: &str| -> Outcome<Option<Regex>> {
            let text = self.value(name, index);
            text.map(|text| body_pattern(&text)).transpose().map_err(|error| wrong(name, &error))
        };
        let lines = |name: &str| self.value(name, index).unwrap_or_default();
        let latin1 = reader.block.section("response_body").is_some_and(|section| section.latin1);
        let body = self.value("response_body", index);
        let code = self.value("error_code", index);
        let code = code.as_deref().map(str::trim).unwrap_or("200");
        Ok(Expectation {
            status: code.parse().map_err(|error| wrong("error_code", &error))?,
            headers: filled_lines(&lines("response_headers"))
                .map(header_want)
                .collect::<Outcome<_>>()?,
            headers_like: filled_lines(&lines("response_headers_like"))
                .map(header_pattern)
                .collect::<Outcome<_>>()?,
            head_like: regex("raw_response_headers_like")?,
            head_unlike: regex("raw_response_headers_unlike")?,
            body: body.map(|body| bytes(&body, latin1)).transpose()?,
            body_like: regex("response_body_like")?,
            body_unlike: regex("response_body_unlike")?,
            json: filled_lines(&lines("response_json"))
                .map(JsonWant::parse)
                .collect::<Outcome<_>>()?,
        })
    }
}

impl Control {
    /// `METHOD PATH [JSON]`
    fn parse(line: &str) -> Outcome<Self> {
        let mut words = line.trim().splitn(3, ' ').map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err("must be METHOD PATH [JSON]".into());
        };
        let body = words.next().unwrap_or_default();
        if !body.is_empty() {
            serde_json::from_str::<Value>(&body)?;
        }
        Ok(Self { method, path, body })
    }
}

#[cfg(test)]
#[path = "case_tests.rs"]
mod tests;
