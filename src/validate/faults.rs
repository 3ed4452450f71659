//! What the client is told of a value that does not conform: never the value, and no name longer than 64 characters.

use std::borrow::Cow;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::json::Json;
use super::tree::{MAX_ERRORS, MAX_ERRORS_AT_LAST, Node, Spent, Tree};
use crate::decision::{Fault, MAX_FAULTS};

/// Where a checked value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    /// `body`, `header`, `query`, `path` or `cookie`.
    pub(super) location: &'static str,
    /// The parameter's name; `None` for the body.
    pub(super) name: Option<&'a str>,
}

impl Origin<'_> {
    /// A fault of the whole value.
    pub(super) fn fault(&self, keyword: &str, message: impl Into<String>) -> Fault {
        Fault {
            location: self.location,
            name: self.name.map(str::to_owned),
            pointer: String::new(),
            keyword: keyword.to_owned(),
            message: message.into(),
        }
    }
}

/// What is wrong with a value that the validator has found invalid: at least one fault, [`MAX_FAULTS`] at most.
pub(super) fn faults(
    validator: &Validator<Tree>,
    value: &Json<'_>,
    origin: &Origin<'_>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for max_errors in [MAX_ERRORS, MAX_ERRORS_AT_LAST] {
        let spent = Spent::new(max_errors);
        faults = faults_within(validator, Node { value, spent: &spent }, origin);
        if faults.len() >= MAX_FAULTS || spent.errors.get() < max_errors {
            break;
        }
    }
    if faults.is_empty() {
        faults.push(origin.fault("schema", "does not conform to the schema"));
    }
    faults
}

fn faults_within(validator: &Validator<Tree>, node: Node<'_>, origin: &Origin<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let max_errors = node.spent.max_errors;
    for error in validator.iter_errors(node) {
        // Alternatives are numbered after what is wrong with each.
        let kind = error.kind();
        let is_alternative = matches!(
            kind,
            ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. }
        );
        if is_alternative || !is_late(&error, max_errors) {
            add(&error, origin, max_errors, &mut faults);
        }
        if faults.len() >= MAX_FAULTS {
            break;
        }
    }
    faults.truncate(MAX_FAULTS);
    faults
}

/// True for an error made after the document appeared to end.
fn is_late(error: &ValidationError<'_>, max_errors: u64) -> bool {
    error.instance().as_u64().is_some_and(|serial| serial >= max_errors)
}

fn add(error: &ValidationError<'_>, origin: &Origin<'_>, max_errors: u64, faults: &mut Vec<Fault>) {
    let pointer = shortened_pointer(error.instance_path().as_str()).into_owned();
    let (keyword, message) = describe(error);
    faults.push(Fault {
        location: origin.location,
        name: origin.name.map(str::to_owned),
        pointer,
        keyword,
        message,
    });
    // "Matches none of the schemas" helps nobody; what the only schema that was meant says does.
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) =
        error.kind()
    else {
        return;
    };
    if let Some(branch) = meant_branch(context, error.instance_path().as_str()) {
        for inner in branch.iter().filter(|inner| !is_late(inner, max_errors)) {
            add(inner, origin, max_errors, faults);
            if faults.len() >= MAX_FAULTS {
                return;
            }
        }
    }
}

/// The branch of `anyOf` or `oneOf` that the value was written for, when just one comes into question: the value has its
/// type and, where the branches differ in a constant, its constant.
fn meant_branch<'e, 'v>(
    branches: &'e [Vec<ValidationError<'v>>],
    at: &str,
) -> Option<&'e [ValidationError<'v>]> {
    let depth = at.matches('/').count();
    let another = |error: &ValidationError<'_>| match error.kind() {
        ValidationErrorKind::Type { .. } => error.instance_path().as_str() == at,
        ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. } => {
            error.instance_path().as_str().matches('/').count() <= depth + 1
        }
        _ => false,
    };
    let mut meant = branches.iter().filter(|errors| !errors.iter().any(another));
    let first = meant.next()?;
    meant.next().is_none().then_some(first.as_slice())
}

fn describe(error: &ValidationError<'_>) -> (String, String) {
    use ValidationErrorKind as Kind;
    let kind = error.kind();
    let message = match kind {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("must not have {}", names(unexpected))
        }
        Kind::AnyOf { .. } => "must match one of the schemas".to_owned(),
        Kind::OneOfNotValid { .. } => {
            "must match exactly one of the schemas, matches none".to_owned()
        }
        Kind::OneOfMultipleValid { .. } => {
            "must match exactly one of the schemas, matches more".to_owned()
        }
        Kind::Constant { expected_value } => match shown(expected_value) {
            Some(value) => format!("must be {value}"),
            None => "must be the constant of the schema".to_owned(),
        },
        Kind::Enum { options } => match options.as_array().and_then(|options| all_shown(options)) {
            Some(options) => format!("must be one of {options}"),
            None => "must be one of the values of the schema".to_owned(),
        },
        Kind::Contains => "must contain items that match the schema".to_owned(),
        Kind::ContentEncoding { content_encoding } => {
            format!("must be encoded in {content_encoding}")
        }
        Kind::ContentMediaType { content_media_type } => format!("must be {content_media_type}"),
        Kind::Custom { message, .. } => message.clone(),
        Kind::FalseSchema => "must not be present".to_owned(),
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} properties"),
        Kind::MinProperties { limit } => format!("must have at least {limit} properties"),
        Kind::Not { .. } => "must not match the schema".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern \"{pattern}\""),
        Kind::PropertyNames { error } => format!("has a property name that {}", describe(error).1),
        Kind::Required { property } => {
            format!(
                "must have the property \"{}\"",
                shortened(property.as_str().unwrap_or_default())
            )
        }
        Kind::Type { kind } => format!("must be {}", types(kind)),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::UnevaluatedItems { .. } => "must not have further items".to_owned(),
        Kind::UniqueItems => "must have different items".to_owned(),
        _ => "does not conform to the schema".to_owned(),
    };
    let keyword = match kind {
        // The schema `false` has no keyword; the one that it stands under is of use.
        Kind::FalseSchema => {
            let mut tokens = error.schema_path().as_str().rsplit('/');
            let named = |token: &&str| !token.is_empty() && token.parse::<usize>().is_err();
            tokens.find(named).unwrap_or("schema").to_owned()
        }
        kind => kind.keyword().to_owned(),
    };
    (keyword, message)
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.as_str().to_owned(),
        TypeKind::Multiple(many) => {
            many.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// A value of the schema, unless it is long.
fn shown(value: &Value) -> Option<String> {
    const MAX_SHOWN_BYTES: usize = 64;
    Some(value.to_string()).filter(|text| text.len() <= MAX_SHOWN_BYTES)
}

fn all_shown(values: &[Value]) -> Option<String> {
    const MAX_SHOWN_VALUES: usize = 20;
    if values.len() > MAX_SHOWN_VALUES {
        return None;
    }
    Some(values.iter().map(shown).collect::<Option<Vec<_>>>()?.join(", "))
}

fn names(unexpected: &[String]) -> String {
    const MAX_SHOWN_NAMES: usize = 5;
    let shown: Vec<_> = unexpected
        .iter()
        .take(MAX_SHOWN_NAMES)
        .map(|name| format!("\"{}\"", shortened(name)))
        .collect();
    let more = if unexpected.len() > MAX_SHOWN_NAMES { " and more" } else { "" };
    let noun = if unexpected.len() == 1 { "the property" } else { "the properties" };
    format!("{noun} {}{more}", shown.join(", "))
}

/// The most characters of a property name that are shown.
const MAX_NAME_CHARS: usize = 64;

fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        None => Cow::Borrowed(name),
        Some((end, _)) => Cow::Owned(format!("{}...", name.get(..end).unwrap_or_default())),
    }
}

fn shortened_pointer(pointer: &str) -> Cow<'_, str> {
    if pointer.len() <= MAX_NAME_CHARS {
        return Cow::Borrowed(pointer);
    }
    Cow::Owned(pointer.split('/').map(shortened).collect::<Vec<_>>().join("/"))
}
