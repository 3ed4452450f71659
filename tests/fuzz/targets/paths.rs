#![no_main]

use std::sync::LazyLock;

use apigate::decision::Decision;
use apigate::validate::{HeadFacts, ValidatePlan, decide_body, decide_head};
use apigate_fuzz::{Counting, Head, bounded, plan};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static PLAN: LazyLock<ValidatePlan> = LazyLock::new(|| {
    plan(&[("validate_openapi", &["../data/openapi/harbour.yaml", "base=/", "unknown=deny"])])
});
const METHODS: [&[u8]; 4] = [b"GET", b"POST", b"HEAD", b"PATCH"];

// METHOD-BYTE PATH ? QUERY \0 BODY
fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    let (line, body) = split(text, 0);
    let (path, query) = split(line, b'?');
    let content_type = &b"application/json"[..];
    let head = Head {
        method: METHODS[usize::from(*first) % METHODS.len()],
        query,
        headers: vec![(b"content-type", content_type), (b"cookie", query)],
    };
    let facts = HeadFacts { head: &head, path, served_path: path, path_parameters: &[], has_body: false, max_body_bytes: 0 };
    // Made before anything is counted.
    let plan = &*PLAN;
    let outcome = bounded(text.len(), || decide_head(plan, &facts));
    if let (Decision::Continue, Some(check)) = (&outcome.decision, &outcome.body) {
        bounded(text.len(), || decide_body(plan, check, body));
    }
});

fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == at) {
        Some(position) => (&text[..position], &text[position + 1..]),
        None => (text, b""),
    }
}
