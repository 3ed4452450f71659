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
    let bounds = Comparison::KEYWORDS.into_iter();
    bounds
        .fold(options, |options, (name, comparison)| {
            options.with_keyword(name, move |schema, limit, _| {
                bound_keyword(schema, limit, comparison)
            })
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
    const KEYWORDS: [(&str, Self); 4] = [
        ("minimum", Self::Minimum),
        ("maximum", Self::Maximum),
        ("exclusiveMinimum", Self::ExclusiveMinimum),
        ("exclusiveMaximum", Self::ExclusiveMaximum),
    ];

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

/// What a schema asks of a number.
#[derive(Debug)]
pub(super) enum NumberRule {
    /// `minimum` and its like.
    Bound(Bound),
    /// `multipleOf`
    MultipleOf(MultipleOf),
}

impl NumberRule {
    /// True when the number, as it is written, is as the keyword asks.
    pub(super) fn holds(&self, number: &str) -> bool {
        match self {
            Self::Bound(bound) => bound.holds(number),
            Self::MultipleOf(divisor) => divisor.holds(number),
        }
    }
}

/// The keywords on numbers of a schema; `None` when one is not what it should be.
pub(super) fn number_rules(schema: &Map<String, Value>) -> Option<Vec<NumberRule>> {
    let mut rules = Vec::new();
    for (name, comparison) in Comparison::KEYWORDS {
        if let Some(limit) = schema.get(name) {
            rules.extend(bound(schema, limit, comparison).ok()?.map(NumberRule::Bound));
        }
    }
    if let Some(divisor) = schema.get("multipleOf") {
        let text = number_text(divisor).ok()?;
        rules.push(NumberRule::MultipleOf(MultipleOf { text }));
    }
    Some(rules)
}

/// A bound; in draft 4 `exclusiveMinimum` is a boolean that sharpens `minimum`, and none itself.
fn bound(
    schema: &Map<String, Value>,
    limit: &Value,
    comparison: Comparison,
) -> Result<Option<Bound>, ValidationError<'static>> {
    let exclusive = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let comparison = match comparison {
        Comparison::Minimum if exclusive("exclusiveMinimum") => Comparison::ExclusiveMinimum,
        Comparison::Maximum if exclusive("exclusiveMaximum") => Comparison::ExclusiveMaximum,
        comparison => comparison,
    };
    if limit.is_boolean() {
        return Ok(None);
    }
    Ok(Some(Bound { comparison, integer: limit.as_i64(), text: number_text(limit)? }))
}

fn bound_keyword<'a>(
    schema: &Map<String, Value>,
    limit: &Value,
    comparison: Comparison,
) -> Built<'a> {
    Ok(match bound(schema, limit, comparison)? {
        Some(bound) => Box::new(bound),
        None => Box::new(Nothing),
    })
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

/// A limit and on which side of it numbers may be.
#[derive(Debug)]
pub(super) struct Bound {
    comparison: Comparison,
    integer: Option<i64>,
    text: String,
}

impl Bound {
    fn holds(&self, number: &str) -> bool {
        let ordering = match (self.integer, number.parse::<i64>()) {
            (Some(limit), Ok(number)) => number.cmp(&limit),
            _ => Decimal::parse(number).cmp(&Decimal::parse(&self.text)),
        };
        self.comparison.holds(ordering)
    }
}

impl<'i> Keyword<'i, Tree> for Bound {
    fn validate(&self, node: Node<'i>) -> Result<(), ValidationError<'i>> {
        let message = || format!("must be {} {}", self.comparison.expected(), self.text);
        if self.is_valid(node) { Ok(()) } else { Err(ValidationError::custom(message())) }
    }

    fn is_valid(&self, node: Node<'i>) -> bool {
        !matches!(node.value, Json::Number(number) if !self.holds(number))
    }
}

/// What a number must be a whole multiple of.
#[derive(Debug)]
pub(super) struct MultipleOf {
    text: String,
}

impl MultipleOf {
    fn holds(&self, number: &str) -> bool {
        Decimal::parse(number).is_multiple_of(&Decimal::parse(&self.text))
    }
}

impl<'i> Keyword<'i, Tree> for MultipleOf {
    fn validate(&self, node: Node<'i>) -> Result<(), ValidationError<'i>> {
        let message = || format!("must be a multiple of {}", self.text);
        if self.is_valid(node) { Ok(()) } else { Err(ValidationError::custom(message())) }
    }

    fn is_valid(&self, node: Node<'i>) -> bool {
        !matches!(node.value, Json::Number(number) if !self.holds(number))
    }
}

/// Steps back of one match that every string may cost.
const SHORT_MATCH_STEPS: usize = 1_000;
/// Steps back of one match that [`MAX_LONG_MATCHES`] strings of a document may cost.
const LONG_MATCH_STEPS: usize = 50_000;
/// Strings of a document that are tried again; those after them do not match.
const MAX_LONG_MATCHES: u32 = 4;

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
