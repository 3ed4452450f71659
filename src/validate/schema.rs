//! A schema compiled for checking [`Json`] values.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::accept::{self, Acceptor, Source};
use super::faults::{self, Origin};
use super::files::{self, Invalid, LocalFiles};
use super::json::Json;
use super::keywords::{self, Options};
use super::shape::Shape;
use super::tree::{Node, Spent, Tree};
use crate::decision::Fault;

/// A compiled schema. Immutable, shared between locations and threads.
#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator<Tree>,
    /// Some pattern needs to step back, which costs more than its text's length tells.
    steps_back: bool,
    /// Absent where the schema says more than can be followed in one pass.
    acceptor: Option<Acceptor>,
    shape: Shape,
}

/// A place in a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'d> {
    pub(super) document: &'d Value,
    /// The document's address in the registry.
    pub(super) uri: &'d str,
    /// JSON pointer to the schema.
    pub(super) pointer: &'d str,
}

impl Schema {
    /// The schema in a file. `name` is what errors call it.
    pub(super) fn from_file(
        path: &Path,
        name: &str,
        draft: Option<Draft>,
    ) -> Result<Arc<Self>, String> {
        let text =
            files::read_file(path).map_err(|error| format!("cannot read \"{name}\": {error}"))?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        files::read_json(&text)
            .and_then(|schema| Self::compile(&schema, draft, &files::file_uri(&path), &folder))
            .map(Arc::new)
            .map_err(|error| format!("schema \"{name}\" {error}"))
    }

    /// A schema written in the configuration; its references start at `folder`.
    pub(super) fn inline(text: &str, folder: &Path) -> Result<Arc<Self>, String> {
        let folder: PathBuf = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let uri = files::file_uri(&folder.join("inline"));
        files::read_json(text.as_bytes())
            .and_then(|schema| Self::compile(&schema, None, &uri, &folder))
            .map(Arc::new)
            .map_err(|error| format!("schema \"{}\" {error}", first_characters(text)))
    }

    fn compile(
        schema: &Value,
        draft: Option<Draft>,
        uri: &str,
        folder: &Path,
    ) -> Result<Self, Invalid> {
        let draft = draft.unwrap_or(Draft::Draft202012.detect(schema));
        if draft == Draft::Unknown {
            return Err(Invalid::at("/$schema", "unknown draft"));
        }
        let local = LocalFiles::new(folder, schema);
        let shape = Shape::of(schema, &|uri| jsonschema::Retrieve::retrieve(&local, uri).ok(), uri);
        let options = || {
            jsonschema::options_for::<Tree>()
                .with_draft(draft)
                .with_base_uri(uri)
                .with_retriever(local.clone())
        };
        Self::whole(&options, draft, schema, shape)
    }

    /// A schema that is a document of its own, compiled with these options.
    pub(super) fn whole<'r>(
        options: &dyn Fn() -> Options<'r>,
        draft: Draft,
        schema: &Value,
        shape: Shape,
    ) -> Result<Self, Invalid> {
        let (validator, steps_back) = build(options(), draft, schema)?;
        let own = |schema: &Value| Some(build(options(), draft, schema).ok()?.0);
        let source = Source { document: schema, draft, build: &own, build_at: None };
        Ok(Self { validator, steps_back, acceptor: accept::compile(&source, ""), shape })
    }

    /// A part of a larger document, whose registry the options have.
    pub(super) fn part<'r>(
        options: &dyn Fn() -> Options<'r>,
        draft: Draft,
        part: &Part<'_>,
        shape: Shape,
    ) -> Result<Self, Invalid> {
        let reference = |pointer: &str| {
            let fragment = files::percent_encoded(pointer);
            serde_json::json!({ "$ref": format!("{}#{fragment}", part.uri) })
        };
        let (validator, steps_back) = build(options(), draft, &reference(part.pointer))?;
        let own = |schema: &Value| Some(build(options(), draft, schema).ok()?.0);
        let at = |pointer: &str| Some(build(options(), draft, &reference(pointer)).ok()?.0);
        let source = Source { document: part.document, draft, build: &own, build_at: Some(&at) };
        let acceptor = accept::compile(&source, part.pointer);
        Ok(Self { validator, steps_back, acceptor, shape })
    }

    /// True when some pattern needs to step back, so that a check can take long for its text's length.
    pub(super) fn steps_back(&self) -> bool {
        self.steps_back
    }

    /// What texts are to be read as.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// True when a text is JSON, nested `max_depth` levels at most, and certainly conforms; else nothing is known of it.
    pub(super) fn accepts(&self, text: &[u8], max_depth: usize) -> bool {
        self.acceptor.as_ref().is_some_and(|acceptor| acceptor.accepts(text, max_depth))
    }

    /// True when the value conforms.
    pub(super) fn is_valid(&self, value: &Json<'_>) -> bool {
        let spent = Spent::default();
        self.validator.is_valid(Node { value, spent: &spent })
    }

    /// What is wrong with a value that does not conform.
    pub(super) fn faults(&self, value: &Json<'_>, origin: &Origin<'_>) -> Vec<Fault> {
        faults::faults(&self.validator, value, origin)
    }
}

fn first_characters(text: &str) -> String {
    const MAX_SHOWN_CHARS: usize = 64;
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The validator: patterns run in linear time, or with bounded steps where a schema's patterns need to step back; and
/// whether they do.
fn build(
    options: Options<'_>,
    draft: Draft,
    schema: &Value,
) -> Result<(Validator<Tree>, bool), Invalid> {
    let options = with_all_formats(keywords::with_exact_numbers(options), draft)
        .with_pattern_options(PatternOptions::regex());
    match options.build(schema) {
        Ok(validator) => Ok((validator, false)),
        Err(error) if matches!(error.kind(), ValidationErrorKind::Format { format } if format == "regex") =>
        {
            let built = keywords::with_backtracking_patterns(options).build(schema);
            built.map(|validator| (validator, true)).map_err(|error| invalid(&error))
        }
        Err(error) => Err(invalid(&error)),
    }
}

/// Formats that a draft does not define are asserted as the latest draft defines them.
fn with_all_formats(options: Options<'_>, draft: Draft) -> Options<'_> {
    const LATER: [&str; 10] = [
        "duration",
        "idn-email",
        "idn-hostname",
        "iri",
        "iri-reference",
        "json-pointer",
        "relative-json-pointer",
        "uri-reference",
        "uri-template",
        "uuid",
    ];
    LATER.iter().fold(options.should_validate_formats(true), |options, format| {
        if options.is_known_format(draft, format) {
            return options;
        }
        let latest = jsonschema::options()
            .should_validate_formats(true)
            .build(&serde_json::json!({ "format": format }));
        match latest {
            Ok(latest) => options.with_format(*format, move |text: &str| {
                latest.is_valid(&Value::String(text.to_owned()))
            }),
            Err(_) => options,
        }
    })
}

/// Where and why the validator refuses a schema.
pub(super) fn invalid(error: &ValidationError<'_>) -> Invalid {
    let at_type = error.instance_path().as_str().ends_with("/type");
    let reason = match error.kind() {
        // A schema is no secret, and the meta-schemas' own "not valid under any of" says little.
        ValidationErrorKind::AnyOf { .. } if at_type => {
            format!("unknown type {}", error.instance())
        }
        ValidationErrorKind::Referencing(jsonschema::ReferencingError::Unretrievable {
            source,
            ..
        }) => source.to_string(),
        ValidationErrorKind::Format { format } if format == "regex" => {
            "must be a regular expression of ECMA-262".to_owned()
        }
        _ => error.masked().to_string(),
    };
    let place = match error.instance_path().as_str() {
        "" => error.schema_path().as_str(),
        place => place,
    };
    Invalid::at(place, reason)
}
