//! nginx-conf/directives.md against the tables: what the reference says is what is read.

use super::{CONSUMERS, Entry, LOCATION, MAIN, METHOD};
use crate::directive::Context;

const REFERENCE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/nginx-conf/directives.md"));

/// The sections of the reference that have a syntax block: name, and the block with single spaces.
fn sections() -> Vec<(&'static str, String)> {
    let section = |text: &'static str| {
        let (name, rest) = text.split_once('\n')?;
        let (_, rest) = rest.split_once("```\n")?;
        let (block, _) = rest.split_once("```")?;
        Some((name, block.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    REFERENCE.split("\n### ").skip(1).filter_map(section).collect()
}

/// What the block of a directive must be.
fn block<Level>(entry: &Entry<Level>) -> (&'static str, String) {
    let name = entry.name.to_str().unwrap();
    let end = if entry.syntax.ends_with('}') { "" } else { ";" };
    let separator = if entry.syntax.is_empty() { "" } else { " " };
    let default = match entry.default {
        "" => "—".to_owned(),
        default => format!("{name} {default};"),
    };
    let contexts: Vec<_> = [
        (Context::HTTP, "http"),
        (Context::SERVER, "server"),
        (Context::LOCATION, "location"),
        (Context::IF, "if in location"),
    ]
    .into_iter()
    .filter_map(|(context, shown)| entry.context.contains(context).then_some(shown))
    .collect();
    let (syntax, contexts) = (entry.syntax, contexts.join(", "));
    let text =
        format!("Syntax: {name}{separator}{syntax}{end} Default: {default} Context: {contexts}");
    (name, text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn blocks() -> Vec<(&'static str, String)> {
    let location = LOCATION.iter().chain([METHOD]).map(block);
    location.chain(MAIN.iter().chain([CONSUMERS]).map(block)).collect()
}

#[test]
fn every_directive_has_a_section_with_its_syntax_default_and_context() {
    let sections = sections();
    let wrong: Vec<_> = blocks()
        .into_iter()
        .filter(|(name, text)| {
            sections.iter().filter(|(title, _)| title == name).map(|(_, block)| block).ne([text])
        })
        .map(|(name, text)| {
            let written = sections.iter().find(|(title, _)| *title == name);
            format!("{text}\n  is written as {written:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_section_describes_a_directive_that_does_not_exist() {
    let blocks = blocks();
    let unknown = |title: &str| !blocks.iter().any(|(name, _)| *name == title);
    let unknown: Vec<_> =
        sections().into_iter().map(|(title, _)| title).filter(|title| unknown(title)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn links_within_the_reference_lead_to_a_section() {
    let titles: Vec<_> = sections().into_iter().map(|(title, _)| title).collect();
    for link in REFERENCE.split("](#").skip(1) {
        let target = link.split(')').next().unwrap_or_default();
        assert!(titles.contains(&target), "{target}");
    }
}

#[test]
fn the_readme_shows_the_shortest_configuration_as_it_is() {
    const LAMBDA: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/nginx-conf/lambda.conf"));
    const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let (_, lines) = LAMBDA.split_once("\n\n").unwrap();
    assert!(README.contains(lines), "{lines}");
}
