//! The JSON Schema Test Suite through our own reader and validator.

#![allow(clippy::disallowed_methods, reason = "the suite is a folder of files")]

use std::path::Path;

use jsonschema::{Draft, Retrieve, Uri};
use serde_json::Value;

use super::files;
use super::json;
use super::schema::Schema;
use super::shape::Shape;
use super::tree::Tree;

/// Cases whose expectation we do not share: file, a part of the test's description, and why.
const EXCEPTIONS: [(&str, &str, &str); 3] = [
    (
        "draft2020-12/format",
        "is only an annotation by default",
        "formats are asserted in every draft",
    ),
    ("draft2019-09/vocabulary", "no validation: invalid number", CUSTOM_META_SCHEMA),
    ("draft2020-12/vocabulary", "no validation: invalid number", CUSTOM_META_SCHEMA),
];
const CUSTOM_META_SCHEMA: &str = "a schema whose $schema is none of the drafts' is refused";

/// The suite's server at `http://localhost:1234/`.
struct Remotes(std::path::PathBuf);

impl Retrieve for Remotes {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let path = uri.as_str().strip_prefix("http://localhost:1234/").ok_or("not a remote")?;
        Ok(files::read_json(&std::fs::read(self.0.join(path))?)?)
    }
}

/// The text of every group's schemas and tests is kept, so that our reader reads it.
#[derive(serde::Deserialize)]
struct Group<'a> {
    description: String,
    #[serde(borrow)]
    schema: &'a serde_json::value::RawValue,
    #[serde(borrow)]
    tests: Vec<Case<'a>>,
}

#[derive(serde::Deserialize)]
struct Case<'a> {
    description: String,
    #[serde(borrow)]
    data: &'a serde_json::value::RawValue,
    valid: bool,
}

fn suite() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/json-schema-test-suite")
}

/// How many cases there were, and how many of them were accepted in one pass.
#[derive(Clone, Copy, Default)]
struct Count {
    all: usize,
    accepted: usize,
}

fn cases_in(folder: &str, draft: Draft, wrong: &mut Vec<String>) -> Count {
    let mut count = Count::default();
    for file in std::fs::read_dir(suite().join(folder)).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let name = format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        for group in serde_json::from_str::<Vec<Group<'_>>>(&text).unwrap() {
            let schema = match files::read_json(group.schema.get().as_bytes()) {
                // Limits that would have to be rounded are refused with the configuration.
                Err(error) if error.reason.ends_with("too many digits") => continue,
                read => read.unwrap(),
            };
            let options = || {
                jsonschema::options_for::<Tree>()
                    .with_draft(draft)
                    .with_retriever(Remotes(suite().join("remotes")))
            };
            let compiled = Schema::whole(&options, draft, &schema, Shape::default());
            let Ok(schema) = compiled else {
                wrong.push(format!("{name}: {}: {}", group.description, compiled.unwrap_err()));
                continue;
            };
            for case in group.tests {
                let value = json::parse(case.data.get().as_bytes(), 64).unwrap();
                let excepted = EXCEPTIONS
                    .iter()
                    .any(|(file, part, _)| *file == name && case.description.contains(part));
                let is_valid = schema.is_valid(&value);
                let is_accepted = schema.accepts(case.data.get().as_bytes(), 64);
                if is_valid != case.valid && !excepted || is_accepted && !is_valid {
                    wrong.push(format!("{name}: {}: {}", group.description, case.description));
                }
                count.all += 1;
                count.accepted += usize::from(is_accepted);
            }
        }
    }
    count
}

fn run(folder: &str, draft: Draft) -> Count {
    let mut wrong = Vec::new();
    let mut count = Count::default();
    for folder in
        [folder.to_owned(), format!("{folder}/optional"), format!("{folder}/optional/format")]
    {
        let counted = cases_in(&folder, draft, &mut wrong);
        count.all += counted.all;
        count.accepted += counted.accepted;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    count
}

#[test]
fn draft_4_cases_pass() {
    let count = run("draft4", Draft::Draft4);
    assert!(count.all > 500 && count.accepted > 100, "{} {}", count.all, count.accepted);
}

#[test]
fn draft_6_cases_pass() {
    let count = run("draft6", Draft::Draft6);
    assert!(count.all > 700 && count.accepted > 100, "{} {}", count.all, count.accepted);
}

#[test]
fn draft_7_cases_pass() {
    let count = run("draft7", Draft::Draft7);
    assert!(count.all > 800 && count.accepted > 100, "{} {}", count.all, count.accepted);
}

#[test]
fn draft_2019_09_cases_pass() {
    let count = run("draft2019-09", Draft::Draft201909);
    assert!(count.all > 1000 && count.accepted > 100, "{} {}", count.all, count.accepted);
}

#[test]
fn draft_2020_12_cases_pass() {
    let count = run("draft2020-12", Draft::Draft202012);
    assert!(count.all > 1000 && count.accepted > 100, "{} {}", count.all, count.accepted);
}
