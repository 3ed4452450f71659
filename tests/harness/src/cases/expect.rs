//! Compares a response and a log with what a case expects. Nothing here knows nginx.

use std::fmt::Write as _;

use regex::Regex;
use serde_json::Value;

use crate::Outcome;
use crate::http::Response;

/// Lines of a body shown round a difference.
const SHOWN_BODY_LINES: usize = 40;

/// What is expected of one response; what is empty or None is not looked at.
#[derive(Debug, Default)]
pub struct Expectation {
    /// The status code.
    pub status: u16,
    /// Headers and their value, several joined with ", "; None: there is no such header.
    pub headers: Vec<(String, Option<String>)>,
    /// Headers and what matches the whole of their value.
    pub headers_like: Vec<(String, Regex)>,
    /// Matches the head as received.
    pub head_like: Option<Regex>,
    /// Does not match the head as received.
    pub head_unlike: Option<Regex>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Matches the body.
    pub body_like: Option<Regex>,
    /// Does not match the body.
    pub body_unlike: Option<Regex>,
    /// What holds for the body as JSON.
    pub json: Vec<JsonWant>,
}

/// What holds for one place of a JSON document.
#[derive(Debug)]
pub struct JsonWant {
    pointer: String,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Equal(Value),
    Like(Regex),
    Absent,
}

impl JsonWant {
    /// `POINTER = JSON`, `POINTER ~ REGEX` (of a string, or of the JSON text of anything else) or
    /// `POINTER absent`; POINTER is a JSON pointer (RFC 6901), `""` or `.` the whole document.
    pub fn parse(line: &str) -> Outcome<Self> {
        let (pointer, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let rest = rest.trim();
        let wanted = match rest.split_at_checked(1) {
            _ if rest == "absent" => Wanted::Absent,
            Some(("=", json)) => Wanted::Equal(
                serde_json::from_str(json)
                    .map_err(|error| format!("response_json: {line}: {error}"))?,
            ),
            Some(("~", regex)) => Wanted::Like(Regex::new(regex.trim())?),
            _ => return Err(format!("response_json: {line}: no \"=\", \"~\" or \"absent\"").into()),
        };
        let pointer = if matches!(pointer, "." | "\"\"") { "" } else { pointer };
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("response_json: {line}: a pointer begins with \"/\"").into());
        }
        Ok(Self { pointer: pointer.to_owned(), wanted })
    }

    /// In what the document is not as wanted.
    pub(crate) fn mismatch(&self, document: &Value) -> Option<String> {
        let Self { pointer, wanted } = self;
        let got = document.pointer(pointer);
        let shown = got.map_or_else(|| "nothing".to_owned(), Value::to_string);
        let text = got.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        match wanted {
            Wanted::Equal(value) if got != Some(value) => {
                Some(format!("{pointer}: expected {value}, got {shown}"))
            }
            Wanted::Like(regex) if !text.is_some_and(|text| regex.is_match(&text)) => {
                Some(format!("{pointer}: expected to match {regex}, got {shown}"))
            }
            Wanted::Absent if got.is_some() => {
                Some(format!("{pointer}: expected nothing, got {shown}"))
            }
            _ => None,
        }
    }
}

impl Expectation {
    /// Everything in which the response is not as expected; empty if it is.
    pub fn mismatches(&self, response: &Response) -> Vec<String> {
        let mut found = Vec::new();
        if response.status != self.status {
            found.push(format!("status: expected {}, got {}", self.status, response.status));
        }
        self.compare_head(response, &mut found);
        self.compare_body(response, &mut found);
        found
    }

    fn compare_head(&self, response: &Response, found: &mut Vec<String>) {
        for (name, wanted) in &self.headers {
            let got = response.joined(name);
            if got != *wanted {
                found.push(format!("header {name}: expected {wanted:?}, got {got:?}"));
            }
        }
        for (name, regex) in &self.headers_like {
            let got = response.joined(name);
            if !got.as_deref().is_some_and(|value| regex.is_match(value)) {
                found.push(format!("header {name}: expected to match {regex}, got {got:?}"));
            }
        }
        if let Some(regex) = self.head_like.as_ref().filter(|r| !r.is_match(&response.head)) {
            found.push(format!("head: expected to match {regex}"));
        }
        if let Some(regex) = self.head_unlike.as_ref().filter(|r| r.is_match(&response.head)) {
            found.push(format!("head: expected not to match {regex}"));
        }
    }

    fn compare_body(&self, response: &Response, found: &mut Vec<String>) {
        let text = response.text();
        if let Some(wanted) = self.body.as_ref().filter(|wanted| **wanted != response.body) {
            found.push(format!("body:\n{}", difference(wanted, &response.body)));
        }
        if let Some(regex) = self.body_like.as_ref().filter(|regex| !is_like(regex, &text)) {
            found.push(format!("body: expected to match {regex}"));
        }
        if let Some(regex) = self.body_unlike.as_ref().filter(|regex| is_like(regex, &text)) {
            found.push(format!("body: expected not to match {regex}"));
        }
        if !self.json.is_empty() {
            match response.json() {
                Ok(document) => {
                    found.extend(self.json.iter().filter_map(|want| want.mismatch(&document)));
                }
                Err(error) => found.push(error.to_string()),
            }
        }
    }
}

/// Whether the regex matches. As in Perl, `$` also matches before the newline at the very end.
fn is_like(regex: &Regex, text: &str) -> bool {
    regex.is_match(text) || text.strip_suffix('\n').is_some_and(|text| regex.is_match(text))
}

/// Two bodies line by line: `-` expected, `+` got, ` ` both. Lines that are equal at the beginning
/// and at the end are paired; what is between them is the difference.
fn difference(expected: &[u8], got: &[u8]) -> String {
    let expected: Vec<_> = expected.split_inclusive(|byte| *byte == b'\n').collect();
    let got: Vec<_> = got.split_inclusive(|byte| *byte == b'\n').collect();
    let same = |pairs: &mut dyn Iterator<Item = (&&[u8], &&[u8])>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let head = same(&mut expected.iter().zip(&got));
    let rest = |lines: &[&[u8]]| lines.len().saturating_sub(head);
    let most = rest(&expected).min(rest(&got));
    let tail = same(&mut expected.iter().rev().zip(got.iter().rev())).min(most);

    let mut text = String::new();
    let mut show = |sign: char, lines: &[&[u8]]| {
        for line in lines.iter().take(SHOWN_BODY_LINES) {
            // Quoted, so that a missing newline or a stray byte can be seen.
            let _ = writeln!(text, "  {sign} {:?}", String::from_utf8_lossy(line));
        }
    };
    let (before, after) = (head.saturating_sub(3), expected.len() - tail);
    show(' ', expected.get(before..head).unwrap_or_default());
    show('-', expected.get(head..after).unwrap_or_default());
    show('+', got.get(head..got.len() - tail).unwrap_or_default());
    show(' ', expected.get(after..(after + 3).min(expected.len())).unwrap_or_default());
    text
}

/// The first pattern that no line of the log matches.
pub fn missing<'a>(log: &str, patterns: &'a [Regex]) -> Option<&'a Regex> {
    patterns.iter().find(|pattern| !log.lines().any(|line| pattern.is_match(line)))
}

/// The lines of the log that one of the patterns matches.
pub fn forbidden<'a>(log: &'a str, patterns: &[Regex]) -> Vec<&'a str> {
    let is_forbidden = |line: &&str| patterns.iter().any(|pattern| pattern.is_match(line));
    log.lines().filter(is_forbidden).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Response {
        let text = "HTTP/1.1 401 Unauthorized\r\nX-A: 1\r\nX-A: 2\r\nEmpty:\r\nContent-Length: 31\r\n\r\n\
                    {\"a\":{\"b\":[1,\"two\"]},\"c\":null}\n";
        Response::parse(text.as_bytes(), false).unwrap()
    }

    fn regex(text: &str) -> Option<Regex> {
        Some(Regex::new(text).unwrap())
    }

    fn expecting(change: impl FnOnce(&mut Expectation)) -> Vec<String> {
        let mut expectation = Expectation { status: 401, ..Expectation::default() };
        change(&mut expectation);
        expectation.mismatches(&response())
    }

    #[test]
    fn a_right_expectation_holds() {
        let json = ["/a/b/1 = \"two\"", "/a/b/0 ~ ^1$", "/c = null", "/d absent", ". ~ two"];
        let mismatches = expecting(|e| {
            e.headers = vec![("x-a".into(), Some("1, 2".into())), ("x-b".into(), None)];
            e.headers_like = vec![("X-A".into(), Regex::new("^1.*$").unwrap())];
            e.head_like = regex("401 Un");
            e.head_unlike = regex("X-B");
            e.body = Some(b"{\"a\":{\"b\":[1,\"two\"]},\"c\":null}\n".to_vec());
            e.body_like = regex("null}$");
            e.body_unlike = regex("three");
            e.json = json.iter().map(|line| JsonWant::parse(line).unwrap()).collect();
        });
        assert_eq!(mismatches, Vec::<String>::new());
    }

    #[test]
    fn each_wrong_expectation_fails_by_itself() {
        type Change = fn(&mut Expectation);
        let cases: [(Change, &str); 12] = [
            (|e| e.status = 200, "status: expected 200, got 401"),
            (
                |e| e.headers = vec![("X-A".into(), Some("1".into()))],
                "header X-A: expected Some(\"1\"), got Some(\"1, 2\")",
            ),
            (|e| e.headers = vec![("X-A".into(), None)], "header X-A: expected None"),
            (
                |e| e.headers = vec![("X-B".into(), Some("1".into()))],
                "header X-B: expected Some(\"1\"), got None",
            ),
            (
                |e| e.headers_like = vec![("X-A".into(), Regex::new("^2$").unwrap())],
                "header X-A: expected to match",
            ),
            (
                |e| e.headers_like = vec![("X-B".into(), Regex::new(".*").unwrap())],
                "header X-B: expected to match",
            ),
            (|e| e.head_like = regex("X-B"), "head: expected to match X-B"),
            (|e| e.head_unlike = regex("X-A"), "head: expected not to match X-A"),
            (|e| e.body = Some(b"{}".to_vec()), "body:\n  - \"{}\"\n  + \"{\\\"a"),
            (|e| e.body_like = regex("three"), "body: expected to match three"),
            (|e| e.body_unlike = regex("null}$"), "body: expected not to match null}$"),
            (|e| e.body = Some(Vec::new()), "body:\n  + "),
        ];
        for (change, error) in cases {
            let found = expecting(change);
            assert!(found.len() == 1 && found[0].starts_with(error), "{error}: {found:?}");
        }
        for (line, error) in [
            ("/a/b/0 = \"1\"", "/a/b/0: expected \"1\", got 1"),
            ("/d = null", "/d: expected null, got nothing"),
            ("/c absent", "/c: expected nothing, got null"),
            ("/a/b/1 ~ ^wo", "/a/b/1: expected to match ^wo, got \"two\""),
            ("/d ~ .*", "/d: expected to match .*, got nothing"),
        ] {
            let found = expecting(|e| e.json = vec![JsonWant::parse(line).unwrap()]);
            assert_eq!(found, [error]);
        }
    }

    #[test]
    fn json_expectations_are_read_strictly() {
        for line in ["/a", "/a = ", "/a = {", "a = 1", "/a is 1", "/a ~ ("] {
            assert!(JsonWant::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_difference_shows_what_was_expected_and_what_came() {
        assert_eq!(
            difference(b"a\nb\nc\n", b"a\nB\nc\n"),
            "    \"a\\n\"\n  - \"b\\n\"\n  + \"B\\n\"\n    \"c\\n\"\n"
        );
        assert_eq!(difference(b"a\n", b"a"), "  - \"a\\n\"\n  + \"a\"\n");
        assert_eq!(difference(b"a\na\n", b"a\n"), "    \"a\\n\"\n  - \"a\\n\"\n");
    }

    #[test]
    fn log_patterns_are_matched_by_line() {
        let log = "one two\nthree\n";
        let patterns = |texts: &[&str]| -> Vec<Regex> {
            texts.iter().map(|text| Regex::new(text).unwrap()).collect()
        };
        assert!(missing(log, &patterns(&["two", "^three$"])).is_none());
        assert_eq!(missing(log, &patterns(&["two", "two.*three"])).unwrap().as_str(), "two.*three");
        assert_eq!(forbidden(log, &patterns(&["four", "hre"])), ["three"]);
        assert!(forbidden(log, &patterns(&["four"])).is_empty());
    }
}
