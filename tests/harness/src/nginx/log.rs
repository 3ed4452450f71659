//! What nginx logged: reading it, and what in it is a fault.

use std::path::Path;

use regex::Regex;

use crate::Outcome;

/// Log lines that no nginx may leave behind unless a test says so: nginx's own word for a fault,
/// a configuration that failed, a caught panic, a worker that a checker ended.
const FAULTS: &str = r"\[alert\]|\[emerg\]|panicked|exited with code [1-9]";

/// Lines of the log shown when something failed.
const SHOWN_LOG_LINES: usize = 60;

/// All that the nginx of that directory has logged and printed.
pub(super) fn log_text(directory: &Path) -> String {
    let read = |name| {
        let bytes = std::fs::read(directory.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    read("logs/error.log") + &read("logs/stderr.log")
}

/// The last lines of a log, introduced by a line that says so.
pub fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let from = lines.len().saturating_sub(SHOWN_LOG_LINES);
    format!("--- error log\n{}", lines.get(from..).unwrap_or_default().join("\n"))
}

/// The lines of a log that tell of a fault, without those that `allowed` matches.
pub fn faults<'a>(log: &'a str, allowed: &[Regex]) -> Outcome<Vec<&'a str>> {
    let faults = Regex::new(FAULTS)?;
    let is_fault =
        |line: &&str| faults.is_match(line) && !allowed.iter().any(|regex| regex.is_match(line));
    Ok(log.lines().filter(is_fault).collect())
}
