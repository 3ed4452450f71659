#![no_main]

use std::sync::LazyLock;

use apigate::decision::Decision;
use apigate::validate::{HeadFacts, ValidatePlan, decide_head};
use apigate_fuzz::{Counting, Head, bounded, plan};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SCHEMAS: [&str; 4] = [
    r#"schema={"type":"integer","minimum":3}"#,
    r#"schema={"type":"array","items":{"type":["integer","boolean","null"]},"maxItems":5}"#,
    r#"schema={"type":"object","properties":{"r":{"type":"integer"},"g":{"type":"array","items":{"type":"number"}}}}"#,
    r#"schema={"anyOf":[{"type":"string","format":"date"},{"type":"array"},{"type":"object","required":["r"]},{"enum":[1,null]}]}"#,
];
const STYLES: [(&str, &str); 8] = [
    ("path", "simple"),
    ("path", "label"),
    ("path", "matrix"),
    ("header", "simple"),
    ("query", "form"),
    ("query", "spaceDelimited"),
    ("query", "pipeDelimited"),
    ("query", "deepObject"),
];

type Plans = Vec<[ValidatePlan; 2]>;

static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let mut plans = Vec::new();
    for (place, style) in STYLES {
        for (number, schema) in SCHEMAS.iter().enumerate() {
            let explodes = match style {
                "deepObject" if number < 2 => continue,
                "spaceDelimited" | "pipeDelimited" if number == 0 || number == 2 => continue,
                "deepObject" => &["explode=on"][..],
                "spaceDelimited" | "pipeDelimited" => &["explode=off"],
                _ => &["explode=on", "explode=off"],
            };
            for explode in explodes {
                let style = format!("style={style}");
                let words = [place, "id", "required", schema, &style, explode];
                let line = ("validate_param", &words[..]);
                plans.push([plan(&[line]), plan(&[line, ("validate_errors", &["brief"])])]);
            }
        }
    }
    plans
});

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    let plans = &PLANS[usize::from(*first) % PLANS.len()];
    let head = Head { method: b"GET", query: text, headers: vec![(b"id", text)] };
    let path_parameters = [("id", Some(text))];
    let facts = HeadFacts { head: &head, path: b"/", served_path: b"/", path_parameters: &path_parameters, has_body: false, max_body_bytes: 0 };
    let decided = plans.each_ref().map(|plan| bounded(text.len(), || decide_head(plan, &facts)));
    let passes = decided.map(|outcome| outcome.decision == Decision::Continue);
    assert_eq!(passes[0], passes[1], "detailed and brief differ");
});
