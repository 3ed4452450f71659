#![no_main]

use std::sync::LazyLock;

use apigate::decision::Decision;
use apigate::validate::{HeadFacts, ValidatePlan, decide_body, decide_head, json};
use apigate_fuzz::{Counting, Head, bounded, plan};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BODY: (&str, &[&str]) = (
    "validate_body",
    &[
        "body.json",
        "content_type=application/json,application/x-www-form-urlencoded,multipart/form-data",
    ],
);
static DETAILED: LazyLock<ValidatePlan> = LazyLock::new(|| plan(&[BODY]));
static BRIEF: LazyLock<ValidatePlan> =
    LazyLock::new(|| plan(&[BODY, ("validate_errors", &["brief"])]));

/// A schema that is followed in one pass, and the same one as the tree alone can be checked.
static ONE_PASS: LazyLock<[ValidatePlan; 2]> = LazyLock::new(|| {
    ["plain.json", "wrapped.json"].map(|schema| plan(&[("validate_body", &[schema])]))
});

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let content_type: &[u8] = match first % 4 {
        0 => b"application/x-www-form-urlencoded",
        1 => b"multipart/form-data; boundary=B",
        _ => b"application/json",
    };
    let headers = vec![(&b"content-type"[..], content_type)];
    let head = Head { method: b"POST", query: b"", headers };
    let facts = HeadFacts { head: &head, path: b"/", served_path: b"/", path_parameters: &[], has_body: false, max_body_bytes: 0 };
    let decided = [&*DETAILED, &*BRIEF].map(|plan| {
        let check = decide_head(plan, &facts).body.expect("a body is wanted");
        bounded(body.len(), || decide_body(plan, &check, body))
    });
    let passes = decided.map(|decision| decision == Decision::Continue);
    assert_eq!(passes[0], passes[1], "detailed and brief differ");
    if content_type == b"application/json" {
        let decided = ONE_PASS.each_ref().map(|plan| {
            let check = decide_head(plan, &facts).body.expect("a body is wanted");
            bounded(body.len(), || decide_body(plan, &check, body)) == Decision::Continue
        });
        assert_eq!(decided[0], decided[1], "one pass and tree differ");
    }
    if let Ok(value) = bounded(body.len(), || json::parse(body, 64)) {
        let other = serde_json::from_slice::<serde_json::Value>(body);
        let out_of_range = |error: &serde_json::Error| error.to_string().contains("out of range");
        assert!(other.as_ref().is_ok() || other.as_ref().is_err_and(out_of_range), "{value:?}");
    }
});
