//! OpenAPI documents: the operation that a request is, its parameters and its body.
//!
//! Versions 3.0 and 3.1, JSON or YAML. The document is read and compiled with the configuration; what is not supported is
//! named there. Of a request, path, method, parameters and body are checked; responses and security are not.

mod convert;
mod dialect;
mod document;
mod paths;

use std::path::Path;
use std::sync::Arc;

use self::document::PathItem;
use self::paths::Router;
use super::content_type::{BodyType, MediaType};
use super::files;
use super::param::Parameter;
use super::schema::Schema;

/// A document ready for requests.
#[derive(Debug)]
pub(super) struct Api {
    base: Vec<Box<[u8]>>,
    deny_unknown: bool,
    takes_gzip: bool,
    router: Router,
    items: Vec<Item>,
}

/// The parameters of `validate_openapi`.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiOptions {
    /// The path that templates are below, in place of the first server's.
    pub(super) base: Option<String>,
    /// Paths and methods that the document lacks are refused.
    pub(super) deny_unknown: bool,
    /// Bodies encoded by gzip are decoded for their check.
    pub(super) takes_gzip: bool,
}

#[derive(Debug)]
struct Item {
    names: Vec<String>,
    operations: Vec<(String, Operation)>,
    allow: String,
}

/// What an operation wants of a request.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RequestBody>,
}

/// What an operation wants of a body.
#[derive(Debug)]
pub(super) struct RequestBody {
    pub(super) required: bool,
    pub(super) media_types: Vec<(MediaType, Option<Arc<Schema>>)>,
}

impl RequestBody {
    /// The schema of the media type that names the body's most exactly: `None` when none does, `Some(None)` when that one
    /// has no schema.
    pub(super) fn schema_for(&self, body: &BodyType<'_>) -> Option<Option<&Arc<Schema>>> {
        let exactness = |(media_type, schema): &'_ (MediaType, Option<Arc<Schema>>)| {
            Some((media_type.matches(body)?, schema.is_some()))
        };
        let best = self.media_types.iter().filter(|entry| exactness(entry).is_some());
        best.max_by_key(|entry| exactness(entry)).map(|(_, schema)| schema.as_ref())
    }
}

/// What a document says of a request's path and method.
#[derive(Debug)]
pub(super) enum Lookup<'a> {
    /// The operation.
    Found(Found<'a>),
    /// Nothing, and that is allowed.
    Unknown,
    /// The path is not in the document.
    NoPath,
    /// The method is not in the document; these are.
    NoMethod(&'a str),
}

/// An operation and the path's parameters, undecoded.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) operation: &'a Operation,
    pub(super) path: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl Api {
    /// The document in a file. `name` is what errors call it.
    pub(super) fn from_file(path: &Path, name: &str, options: ApiOptions) -> Result<Self, String> {
        let text =
            files::read_file(path).map_err(|error| format!("cannot read \"{name}\": {error}"))?;
        Self::new(&text, options).map_err(|error| format!("document \"{name}\" {error}"))
    }

    /// The document in a text.
    pub(super) fn new(text: &[u8], options: ApiOptions) -> Result<Self, files::Invalid> {
        let document = document::read(text)?;
        let version = document::version(&document)?;
        let base = options.base.clone().unwrap_or_else(|| document::base_path(&document));
        let paths = document::paths(document, version, options.base.is_some())?;
        let mut router = Router::default();
        let mut items = Vec::new();
        for PathItem { template, operations } in paths {
            let pointer = format!("/paths/{}", files::escape(&template));
            let names = router
                .add(&template, items.len())
                .map_err(|reason| files::Invalid::at(&*pointer, reason))?;
            for (method, operation) in &operations {
                let path = operation.path_parameters();
                let unknown = path.iter().find(|name| !names.contains(name));
                let unknown = unknown.map(|name| format!("the path has no parameter \"{name}\""));
                let undescribed = names.iter().find(|name| !path.contains(name));
                let undescribed =
                    undescribed.map(|name| format!("the parameter \"{name}\" is not described"));
                if let Some(reason) = unknown.or(undescribed) {
                    let pointer = format!("{pointer}/{}", method.to_ascii_lowercase());
                    return Err(files::Invalid::at(pointer, reason));
                }
            }
            let allow = allow(&operations);
            items.push(Item { names, operations, allow });
        }
        let base = base.trim_end_matches('/');
        let base = paths::segments(base.as_bytes()).into_iter().filter(|part| !part.is_empty());
        let base = base.map(Box::from).collect();
        let ApiOptions { deny_unknown, takes_gzip, .. } = options;
        Ok(Self { base, deny_unknown, takes_gzip, router, items })
    }

    /// True when bodies may be encoded by gzip.
    pub(super) fn takes_gzip(&self) -> bool {
        self.takes_gzip
    }

    /// The operation of a request by its path as sent, or where that is none of the document's as it is served. Both are
    /// percent-encoded and without query.
    ///
    /// A slash that was sent encoded is a part of a parameter, unless only an application that takes it for a slash has a
    /// path like it.
    pub(super) fn find_either<'a>(
        &'a self,
        method: &[u8],
        sent: &'a [u8],
        served: &'a [u8],
    ) -> Lookup<'a> {
        let first = self.find(method, sent);
        if matches!(first, Lookup::Found(_)) || sent == served {
            return first;
        }
        match (first, self.find(method, served)) {
            (_, second @ Lookup::Found(_)) => second,
            (Lookup::NoPath, second) => second,
            (first, _) => first,
        }
    }

    /// The operation of a path.
    fn find<'a>(&'a self, method: &[u8], path: &'a [u8]) -> Lookup<'a> {
        let Some(matched) = self.router.find(&self.base, path) else {
            return if self.deny_unknown { Lookup::NoPath } else { Lookup::Unknown };
        };
        let Some(item) = self.items.get(matched.template) else {
            return Lookup::NoPath;
        };
        let by_method = |method: &[u8]| {
            item.operations
                .iter()
                .find(|(name, _)| name.as_bytes() == method)
                .map(|(_, found)| found)
        };
        let operation = match by_method(method) {
            None if method == b"HEAD" => by_method(b"GET"),
            found => found,
        };
        match operation {
            Some(operation) => {
                let names = item.names.iter().map(String::as_str);
                let path = names.zip(matched.values.into_iter().map(Some)).collect();
                Lookup::Found(Found { operation, path })
            }
            None if self.deny_unknown && item.operations.is_empty() => Lookup::NoPath,
            None if self.deny_unknown => Lookup::NoMethod(&item.allow),
            None => Lookup::Unknown,
        }
    }
}

impl Operation {
    fn path_parameters(&self) -> Vec<&String> {
        let path = self.parameters.iter().filter(|p| p.place == super::param::Place::Path);
        path.map(|parameter| &parameter.name).collect()
    }
}

fn allow(operations: &[(String, Operation)]) -> String {
    let mut methods: Vec<&str> = operations.iter().map(|(method, _)| method.as_str()).collect();
    if methods.contains(&"GET") && !methods.contains(&"HEAD") {
        methods.push("HEAD");
    }
    methods.join(", ")
}
