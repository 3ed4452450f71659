//! The room's behaviour, from directives to decisions.

mod body;
mod configuration;
mod openapi;
mod params;

use std::path::Path;

use super::*;
use crate::decision::{Decision, Refusal};
use crate::directive::{Directive, DirectiveError, Place, Words};
use crate::request::testing::Written;

/// A configuration folder with files of its own.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.0.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// One level of configuration, a line a directive; words are separated by single spaces outside `'...'`.
    pub(super) fn level(&self, lines: &[&str]) -> Result<ValidateDirectives, DirectiveError> {
        let mut level = ValidateDirectives::default();
        for line in lines {
            let all = words(line);
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let (name, arguments) = all.split_first().unwrap();
            let words = Words::new(name, arguments, Place::default(), self.path());
            match *name {
                ValidateBody::NAME => ValidateBody::parse(&words, &mut level),
                ValidateParam::NAME => ValidateParam::parse(&words, &mut level),
                ValidateOpenapi::NAME => ValidateOpenapi::parse(&words, &mut level),
                ValidateErrors::NAME => ValidateErrors::parse(&words, &mut level),
                ValidateDepth::NAME => ValidateDepth::parse(&words, &mut level),
                other => panic!("{other}"),
            }?;
        }
        Ok(level)
    }

    pub(super) fn plan(&self, lines: &[&str]) -> ValidatePlan {
        self.level(lines).unwrap().compile().unwrap().unwrap()
    }

    pub(super) fn error(&self, lines: &[&str]) -> String {
        self.level(lines).map(|_| ()).unwrap_err().to_string()
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('\'').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// What a request gets: nothing, or status, message and `POINTER KEYWORD` of each fault.
pub(super) type Outcome = Result<(), (u16, String, Vec<String>)>;

pub(super) fn decide(plan: &ValidatePlan, head: &Written, path: &str, body: &[u8]) -> Outcome {
    decide_with(plan, head, path, &[], body)
}

pub(super) fn decide_with(
    plan: &ValidatePlan,
    head: &Written,
    path: &str,
    path_parameters: &[(&str, &[u8])],
    body: &[u8],
) -> Outcome {
    outcome(refusal(plan, head, path, path_parameters, body))
}

pub(super) fn outcome(refusal: Option<Refusal>) -> Outcome {
    match refusal {
        None => Ok(()),
        Some(refusal) => Err((
            refusal.status,
            refusal.message.into_owned(),
            refusal.faults.iter().map(|f| format!("{} {}", f.pointer, f.keyword)).collect(),
        )),
    }
}

pub(super) fn refusal(
    plan: &ValidatePlan,
    head: &Written,
    path: &str,
    path_parameters: &[(&str, &[u8])],
    body: &[u8],
) -> Option<Refusal> {
    let path = path.as_bytes();
    let sent: Vec<_> = path_parameters.iter().map(|(name, value)| (*name, Some(*value))).collect();
    let facts = HeadFacts {
        head,
        path,
        served_path: path,
        path_parameters: &sent,
        has_body: false,
        max_body_bytes: 0,
    };
    refusal_of(plan, &facts, body)
}

pub(super) fn refusal_of(
    plan: &ValidatePlan,
    facts: &HeadFacts<'_, Written>,
    body: &[u8],
) -> Option<Refusal> {
    let outcome = decide_head(plan, facts);
    let decision = match (outcome.decision, outcome.body) {
        (Decision::Continue, Some(check)) => decide_body(plan, &check, body),
        (decision, _) => decision,
    };
    match decision {
        Decision::Continue => None,
        Decision::Refuse(refusal) => Some(refusal),
        Decision::Answer(answer) => panic!("{answer:?}"),
    }
}

pub(super) fn get(query: &str) -> Written {
    Written::new("GET", query, &[])
}

pub(super) fn post(content_type: &str) -> Written {
    Written::new("POST", "", &[("Content-Type", content_type)])
}

pub(super) const BAD_PARAM: &str = "request param doesn't conform to schema";
pub(super) const BAD_BODY: &str = "request body doesn't conform to schema";
