//! Keywords that the schema validator leaves to us: bounds on numbers, compared exactly, and patterns that need
//! backtracking, with bounded effort.

use std::cmp::Ordering;

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError, ValidationOptions};
use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::json::Json;
use super::tree::{Node, Tree};

/// The validator's options for our representation.
pub(super) type Options<'r> = ValidationOptions<'r, std::sync::Arc<dyn jsonschema::Retrieve>, Tree>;

type Built<'a> = Result<Box<dyn for<'i> Keyword<'i, Tree>>, ValidationError<'a>>;

/// The options with exact number keywords.
pub(super) fn with_exact_numbers(options: Options<'_>) -> Options<'_> {
    options
        .with_keyword("minimum", |schema, limit, _| bound(schema, limit, Comparison::Minimum))
        .with_keyword("maximum", |schema, limit, _| bound(schema, limit, Comparison::Maximum))
        .with_keyword("exclusiveMinimum", |schema, limit, _| {
            bound(schema, limit, Comparison::ExclusiveMinimum)
        })
        .with_keyword("exclusiveMaximum", |schema, limit, _| {
            bound(schema, limit, Comparison::ExclusiveMaximum)
        })
        .with_keyword("multipleOf", |_, divisor, _| {
            let text = number_text(divisor)?;
            Ok(Box::new(MultipleOf { text }))
        })
}

/// The options with a `pattern` keyword that knows look-around and backreferences.
pub(super) fn with_backtracking_patterns(options: Options<'_>) -> Options<'_> {
    options
        .with_keyword("pattern", |_: &Map<String, Value>, pattern, _: Location| pattern_of(pattern))
}

fn number_text(value: &Value) -> Result<String, ValidationError<'static>> {
    match value {
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(ValidationError::schema("must be a number")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Minimum,
    Maximum,
    ExclusiveMinimum,
    ExclusiveMaximum,
}

impl Comparison {
    fn holds(self, value_to_limit: Ordering) -> bool {
        match self {
            Self::Minimum => value_to_limit.is_ge(),
            Self::Maximum => value_to_limit.is_le(),
            Self::ExclusiveMinimum => value_to_limit.is_gt(),
            Self::ExclusiveMaximum => value_to_limit.is_lt(),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Minimum => "at least",
            Self::Maximum => "at most",
            Self::ExclusiveMinimum => "more than",
            Self::ExclusiveMaximum => "less than",
        }
    }
}

/// A bound; in draft 4 `exclusiveMinimum` is a boolean that sharpens `minimum`.
fn bound<'a>(schema: &Map<String, Value>, limit: &Value, comparison: Comparison) -> Built<'a> {
    let exclusive = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let comparison = match comparison {
        Comparison::Minimum if exclusive("exclusiveMinimum") => Comparison::ExclusiveMinimum,
        Comparison::Maximum if exclusive("exclusiveMaximum") => Comparison::ExclusiveMaximum,
        comparison => comparison,
    };
    if limit.is_boolean() {
        return Ok(Box::new(Nothing));
    }
    Ok(Box::new(Bound { comparison, integer: limit.as_i64(), text: number_text(limit)? }))
}

struct Nothing;

impl<'i> Keyword<'i, Tree> for Nothing {
    fn validate(&self, _: Node<'i>) -> Result<(), ValidationError<'i>> {
        Ok(())
    }

    fn is_valid(&self, _: Node<'i>) -> bool {
        true
    }
}

struct Bound {
    comparison: Comparison,
    integer: Option<i64>,
    text: String,
}

impl<'i> Keyword<'i, Tree> for Bound {
    fn validate(&self, node: Node<'i>) -> Result<(), ValidationError<'i>> {
        let message = || format!("must be {} {}", self.comparison.expected(), self.text);
        if self.is_valid(node) { Ok(()) } else { Err(ValidationError::custom(message())) }
    }

    fn is_valid(&self, node: Node<'i>) -> bool {
        let Json::Number(text) = node.value else {
            return true;
        };
        let ordering = match (self.integer, text.parse::<i64>()) {
            (Some(limit), Ok(number)) => number.cmp(&limit),
            _ => Decimal::parse(text).cmp(&Decimal::parse(&self.text)),
        };
        self.comparison.holds(ordering)
    }
}

struct MultipleOf {
    text: String,
}

impl<'i> Keyword<'i, Tree> for MultipleOf {
    fn validate(&self, node: Node<'i>) -> Result<(), ValidationError<'i>> {
        let message = || format!("must be a multiple of {}", self.text);
        if self.is_valid(node) { Ok(()) } else { Err(ValidationError::custom(message())) }
    }

    fn is_valid(&self, node: Node<'i>) -> bool {
        let Json::Number(text) = node.value else {
            return true;
        };
        Decimal::parse(text).is_multiple_of(&Decimal::parse(&self.text))
    }
}

/// Steps back of one match that every string may cost.
const SHORT_MATCH_STEPS: usize = 1_000;
/// Steps back of one match that [`MAX_LONG_MATCHES`] strings of a document may cost.
const LONG_MATCH_STEPS: usize = 50_000;
/// Strings of a document that are tried again; those after them do not match.
const MAX_LONG_MATCHES: u32 = 16;

/// A pattern with look-around or backreferences. A string that takes too many steps does not match.
struct Pattern {
    source: String,
    short: fancy_regex::Regex,
    long: fancy_regex::Regex,
}

fn pattern_of<'a>(pattern: &Value) -> Built<'a> {
    let invalid = || ValidationError::schema("must be a regular expression of ECMA-262");
    let source = pattern.as_str().ok_or_else(invalid)?.to_owned();
    let translated = jsonschema_regex::to_rust_regex(&source).map_err(|()| invalid())?;
    let build = |steps| {
        let built = fancy_regex::RegexBuilder::new(&translated).backtrack_limit(steps).build();
        built.map_err(|_| invalid())
    };
    let (short, long) = (build(SHORT_MATCH_STEPS)?, build(LONG_MATCH_STEPS)?);
    Ok(Box::new(Pattern { source, short, long }))
}

impl<'i> Keyword<'i, Tree> for Pattern {
    fn validate(&self, node: Node<'i>) -> Result<(), ValidationError<'i>> {
        let message = || format!("must match the pattern \"{}\"", self.source);
        if self.is_valid(node) { Ok(()) } else { Err(ValidationError::custom(message())) }
    }

    fn is_valid(&self, node: Node<'i>) -> bool {
        let Json::String(text) = node.value else {
            return true;
        };
        let text = text.as_ref();
        self.short.is_match(text).unwrap_or_else(|_| {
            let count = &node.spent.long_matches;
            count.set(count.get().saturating_add(1));
            count.get() <= MAX_LONG_MATCHES && self.long.is_match(text).unwrap_or(false)
        })
    }
}
