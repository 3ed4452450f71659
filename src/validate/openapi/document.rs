//! An OpenAPI document read into operations: references followed, schemas converted and compiled.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::Registry;
use serde_json::{Value, json};

use super::convert::Converter;
use super::dialect::{self, Version};
use super::{Operation, RequestBody};
use crate::validate::content_type::MediaType;
use crate::validate::files::{self, Invalid, escape};
use crate::validate::param::{Content, Parameter, Place, Style, decode};
use crate::validate::schema::{Part, Schema};
use crate::validate::shape::Shape;
use crate::validate::tree::Tree;

const DOCUMENT_URI: &str = "file:///openapi";
/// The fields of a path item that are operations.
pub(super) const METHODS: [&str; 8] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Its other fields.
const ITEM_FIELDS: [&str; 5] = ["$ref", "summary", "description", "servers", "parameters"];

/// A path template of a document with its operations, by upper-case method.
#[derive(Debug)]
pub(super) struct PathItem {
    /// The template as written, without the base path.
    pub(super) template: String,
    pub(super) operations: Vec<(String, Operation)>,
}

/// The value of a document in JSON or YAML.
pub(super) fn read(text: &[u8]) -> Result<Value, Invalid> {
    if text.trim_ascii_start().starts_with(b"{") {
        return files::read_json(text);
    }
    let text = std::str::from_utf8(text).map_err(|error| Invalid::at("", error.to_string()))?;
    // YAML 1.2's booleans: a parameter may be called "on". The file is the operator's own, so its size needs no bounds.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        budget: None,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let reason = error.to_string();
        Invalid::at("", format!("not YAML: {}", reason.lines().next().unwrap_or_default()))
    })
}

/// The document's version, or why it cannot be used.
pub(super) fn version(document: &Value) -> Result<Version, Invalid> {
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    let found = match version.splitn(3, '.').collect::<Vec<_>>().as_slice() {
        ["3", "0", ..] => Version::V30,
        ["3", "1", ..] => Version::V31,
        _ => return Err(Invalid::at("/openapi", "the version must be 3.0 or 3.1")),
    };
    match document.get("jsonSchemaDialect").and_then(Value::as_str) {
        Some(other) if !dialect::is_known_dialect(other) => {
            Err(Invalid::at("/jsonSchemaDialect", "unsupported dialect"))
        }
        _ => Ok(found),
    }
}

/// The path of the first server, without a slash at its end; empty when there is none.
pub(super) fn base_path(document: &Value) -> String {
    let server = document.pointer("/servers/0");
    let url = server.and_then(|server| server.get("url")?.as_str()).unwrap_or_default();
    let mut url = url.to_owned();
    let variables = server.and_then(|server| server.get("variables")?.as_object());
    for (name, variable) in variables.into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let path = match url.split_once("://") {
        Some((_, behind)) => behind.split_once('/').map_or("", |(_, path)| path),
        None => url.trim_start_matches('/'),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// All paths and operations of a document.
pub(super) fn paths(
    mut document: Value,
    version: Version,
    ignores_servers: bool,
) -> Result<Vec<PathItem>, Invalid> {
    let original = document.clone();
    Converter { version, original: &original }.document(&mut document)?;
    let registry = Registry::new()
        .draft(version.draft())
        .add(DOCUMENT_URI, version.draft().create_resource(document.clone()))
        .and_then(|registry| registry.prepare())
        .map_err(|error| Invalid::at("", error.to_string()))?;
    let reader = Reader {
        document: &document,
        registry: &registry,
        version,
        ignores_servers,
        schemas: RefCell::default(),
    };
    let paths = match document.get("paths") {
        Some(Value::Object(paths)) => Some(paths),
        // A document of version 3.1 may have nothing but components, or webhooks.
        None if version == Version::V31 => None,
        _ => return Err(Invalid::at("/paths", "must be an object")),
    };
    paths
        .into_iter()
        .flatten()
        .filter(|(template, _)| !template.starts_with("x-"))
        .map(|(template, item)| reader.path_item(template, item))
        .collect()
}

/// Reads the operations of a converted document.
struct Reader<'d> {
    document: &'d Value,
    registry: &'d Registry<'d>,
    version: Version,
    ignores_servers: bool,
    /// Compiled schemas by their pointer.
    schemas: RefCell<HashMap<String, Arc<Schema>>>,
}

impl<'d> Reader<'d> {
    /// The node behind `$ref`, and its own pointer.
    fn resolve(&self, mut node: &'d Value, pointer: &str) -> Result<(&'d Value, String), Invalid> {
        const MAX_HOPS: usize = 8;
        let mut pointer = pointer.to_owned();
        for _ in 0..MAX_HOPS {
            let Some(reference) = node.get("$ref").and_then(Value::as_str) else {
                return Ok((node, pointer));
            };
            let target = reference.strip_prefix('#').map(percent_decoded);
            let target = target.and_then(|target| Some((self.document.pointer(&target)?, target)));
            (node, pointer) = target.ok_or_else(|| {
                let reason =
                    format!("the reference to \"{reference}\" leads to nothing in the document");
                Invalid::at(format!("{pointer}/$ref"), reason)
            })?;
        }
        Err(Invalid::at(format!("{pointer}/$ref"), "references lead in a circle"))
    }

    fn path_item(&self, template: &str, item: &'d Value) -> Result<PathItem, Invalid> {
        let (item, pointer) = self.resolve(item, &format!("/paths/{}", escape(template)))?;
        let fields = item.as_object().ok_or_else(|| Invalid::at(&*pointer, "must be an object"))?;
        let is_known = |name: &&String| {
            METHODS.contains(&name.as_str())
                || ITEM_FIELDS.contains(&name.as_str())
                || name.starts_with("x-")
        };
        if let Some(unknown) = fields.keys().find(|name| !is_known(name)) {
            let pointer = format!("{pointer}/{}", escape(unknown));
            return Err(Invalid::at(pointer, "neither a method nor a field of a path"));
        }
        self.refuse_servers(item, &pointer)?;
        let shared = self.parameters(item, &pointer)?;
        let mut operations = Vec::new();
        for method in METHODS {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let read = self.operation(operation, &format!("{pointer}/{method}"), &shared)?;
            operations.push((method.to_ascii_uppercase(), read));
        }
        Ok(PathItem { template: template.to_owned(), operations })
    }

    fn refuse_servers(&self, node: &Value, pointer: &str) -> Result<(), Invalid> {
        if self.ignores_servers || node.get("servers").is_none() {
            return Ok(());
        }
        let reason = "servers of a path or operation are not supported without \"base\"";
        Err(Invalid::at(format!("{pointer}/servers"), reason))
    }

    fn operation(
        &self,
        operation: &'d Value,
        pointer: &str,
        shared: &[Parameter],
    ) -> Result<Operation, Invalid> {
        if !operation.is_object() {
            return Err(Invalid::at(pointer, "must be an object"));
        }
        self.refuse_servers(operation, pointer)?;
        let mut parameters = self.parameters(operation, pointer)?;
        for parameter in shared {
            if !parameters.iter().any(|own| own.is_same_as(parameter)) {
                parameters.push(parameter.clone());
            }
        }
        let body = operation.get("requestBody");
        let body =
            body.map(|body| self.body(body, &format!("{pointer}/requestBody"))).transpose()?;
        Ok(Operation { parameters, body })
    }

    fn parameters(&self, holder: &'d Value, pointer: &str) -> Result<Vec<Parameter>, Invalid> {
        let mut read: Vec<Parameter> = Vec::new();
        let list = holder.get("parameters").and_then(Value::as_array).into_iter().flatten();
        for (index, parameter) in list.enumerate() {
            let written = format!("{pointer}/parameters/{index}");
            let (parameter, pointer) = self.resolve(parameter, &written)?;
            let Some(parameter) = self.parameter(parameter, &pointer)? else {
                continue;
            };
            if read.iter().any(|other| other.is_same_as(&parameter)) {
                return Err(Invalid::at(written, "the parameter is there already"));
            }
            read.push(parameter);
        }
        Ok(read)
    }

    /// A parameter; `None` for headers that OpenAPI describes elsewhere.
    fn parameter(&self, node: &'d Value, pointer: &str) -> Result<Option<Parameter>, Invalid> {
        let text = |name: &str| node.get(name).and_then(Value::as_str);
        let wrong = |name: &str| Invalid::at(format!("{pointer}/{name}"), "unsupported value");
        let name = text("name").ok_or_else(|| wrong("name"))?;
        let place = text("in").and_then(Place::parse).ok_or_else(|| wrong("in"))?;
        let described_elsewhere = ["accept", "content-type", "authorization"];
        if place == Place::Header && described_elsewhere.contains(&&*name.to_ascii_lowercase()) {
            return Ok(None);
        }
        let style = match text("style") {
            Some(style) => Style::parse(style).filter(|style| style.fits(place)),
            None => Some(Style::default_of(place)),
        };
        let style = style.ok_or_else(|| wrong("style"))?;
        let flag = |name: &str| node.get(name).and_then(Value::as_bool);
        let explode = flag("explode").unwrap_or(style.default_explode());
        let required = place == Place::Path || flag("required") == Some(true);
        let content = self.parameter_content(node, pointer)?;
        let mut parameter = Parameter::new(name, place, required, content, style, explode)
            .map_err(|reason| Invalid::at(pointer, reason))?;
        parameter.allow_empty = flag("allowEmptyValue") == Some(true);
        Ok(Some(parameter))
    }

    fn parameter_content(&self, node: &'d Value, pointer: &str) -> Result<Content, Invalid> {
        if let Some(schema) = node.get("schema") {
            return Ok(Content::Styled(self.schema(schema, &format!("{pointer}/schema"))?));
        }
        let Some(content) = node.get("content").and_then(Value::as_object) else {
            return Ok(Content::Any);
        };
        let pointer = format!("{pointer}/content");
        let mut entries = content.iter();
        let (Some((name, media_type)), None) = (entries.next(), entries.next()) else {
            return Err(Invalid::at(pointer, "a parameter must have one media type"));
        };
        let pointer = format!("{pointer}/{}", escape(name));
        if !MediaType::parse(name).is_some_and(|media_type| media_type.is_json()) {
            return Err(Invalid::at(pointer, "parameters of this media type are not supported"));
        }
        match media_type.get("schema") {
            Some(schema) => Ok(Content::Json(self.schema(schema, &format!("{pointer}/schema"))?)),
            None => Ok(Content::Any),
        }
    }

    fn body(&self, node: &'d Value, pointer: &str) -> Result<RequestBody, Invalid> {
        let (node, pointer) = self.resolve(node, pointer)?;
        let required = node.get("required") == Some(&Value::Bool(true));
        let mut media_types = Vec::new();
        for (name, media_type) in
            node.get("content").and_then(Value::as_object).into_iter().flatten()
        {
            let pointer = format!("{pointer}/content/{}", escape(name));
            let parsed =
                MediaType::parse(name).ok_or_else(|| Invalid::at(&*pointer, "not a media type"))?;
            let schema = media_type.get("schema");
            let schema = schema.map(|schema| self.schema(schema, &format!("{pointer}/schema")));
            let schema = schema.transpose()?;
            self.refuse_form_parts(&parsed, media_type, schema.as_deref(), &pointer)?;
            media_types.push((parsed, schema));
        }
        Ok(RequestBody { required, media_types })
    }

    /// Refuses what is not done with forms: styles of single fields, and structures in urlencoded ones.
    fn refuse_form_parts(
        &self,
        media_type: &MediaType,
        node: &Value,
        schema: Option<&Schema>,
        pointer: &str,
    ) -> Result<(), Invalid> {
        if !media_type.is_form() {
            return Ok(());
        }
        let fields = node.get("encoding").and_then(Value::as_object).into_iter().flatten();
        for (field, encoding) in fields {
            let is_default =
                |name: &str, value: Value| encoding.get(name).is_none_or(|v| *v == value);
            if !(is_default("style", json!("form")) && is_default("explode", json!(true))) {
                let pointer = format!("{pointer}/encoding/{}", escape(field));
                return Err(Invalid::at(pointer, "styles of form fields are not supported"));
            }
        }
        match schema.and_then(|schema| schema.shape().structured_property()) {
            Some(field) if media_type.is_urlencoded() => {
                let reason =
                    format!("the object \"{field}\" in a urlencoded form is not supported");
                Err(Invalid::at(format!("{pointer}/schema"), reason))
            }
            _ => Ok(()),
        }
    }

    /// The compiled schema at a pointer.
    fn schema(&self, schema: &Value, pointer: &str) -> Result<Arc<Schema>, Invalid> {
        // Most schemas are references to a few components.
        let target = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) if schema.as_object().is_some_and(|schema| schema.len() == 1) => {
                reference.strip_prefix('#').map(percent_decoded)
            }
            _ => None,
        };
        let target = target.unwrap_or_else(|| pointer.to_owned());
        if let Some(compiled) = self.schemas.borrow().get(&target) {
            return Ok(Arc::clone(compiled));
        }
        let shape = Shape::within(self.document, schema, DOCUMENT_URI);
        let draft = self.version.draft();
        let options = || {
            jsonschema::options_for::<Tree>()
                .with_draft(draft)
                .with_registry(self.registry)
                .with_format("byte", is_base64)
                .offline()
        };
        let part = Part { document: self.document, uri: DOCUMENT_URI, pointer: &target };
        let compiled = Schema::part(&options, draft, &part, shape)
            .map_err(|error| Invalid::at(pointer, error.reason))?;
        let compiled = Arc::new(compiled);
        self.schemas.borrow_mut().insert(target, Arc::clone(&compiled));
        Ok(compiled)
    }
}

fn is_base64(text: &str) -> bool {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).is_ok()
}

fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&decode::percent_decode(text.as_bytes(), false)).into_owned()
}
