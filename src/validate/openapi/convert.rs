//! The walk over a document that finds its schemas and converts them.

use serde_json::Value;

use super::dialect::{self, Version};
use super::document::METHODS;
use crate::validate::files::{Invalid, escape};
use crate::validate::schema;

/// Converts the schemas of a document, as far as requests can meet them.
pub(super) struct Converter<'d> {
    pub(super) version: Version,
    /// The document as written.
    pub(super) original: &'d Value,
}

impl Converter<'_> {
    /// Converts the whole document.
    pub(super) fn document(&self, document: &mut Value) -> Result<(), Invalid> {
        self.each(document.get_mut("paths"), "/paths", Self::path_item)?;
        let Some(components) = document.get_mut("components") else {
            return Ok(());
        };
        let mut part = |name: &str, convert| {
            self.each(components.get_mut(name), &format!("/components/{name}"), convert)
        };
        part("parameters", Self::parameter)?;
        part("requestBodies", Self::body)?;
        part("pathItems", Self::path_item)?;
        part("schemas", Self::schema)
    }

    fn each(
        &self,
        map: Option<&mut Value>,
        pointer: &str,
        convert: fn(&Self, &mut Value, &str) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        let entries = map.and_then(Value::as_object_mut).into_iter().flatten();
        for (name, entry) in entries.filter(|(name, _)| !name.starts_with("x-")) {
            convert(self, entry, &format!("{pointer}/{}", escape(name)))?;
        }
        Ok(())
    }

    fn path_item(&self, item: &mut Value, pointer: &str) -> Result<(), Invalid> {
        self.parameters(item, pointer)?;
        for method in METHODS {
            let pointer = format!("{pointer}/{method}");
            let Some(operation) = item.get_mut(method) else {
                continue;
            };
            self.parameters(operation, &pointer)?;
            if let Some(body) = operation.get_mut("requestBody") {
                self.body(body, &format!("{pointer}/requestBody"))?;
            }
        }
        Ok(())
    }

    fn parameters(&self, holder: &mut Value, pointer: &str) -> Result<(), Invalid> {
        let list = holder.get_mut("parameters").and_then(Value::as_array_mut);
        for (index, parameter) in list.into_iter().flatten().enumerate() {
            self.parameter(parameter, &format!("{pointer}/parameters/{index}"))?;
        }
        Ok(())
    }

    fn parameter(&self, parameter: &mut Value, pointer: &str) -> Result<(), Invalid> {
        self.body(parameter, pointer)?;
        self.media_type(parameter, pointer)
    }

    fn body(&self, body: &mut Value, pointer: &str) -> Result<(), Invalid> {
        self.each(body.get_mut("content"), &format!("{pointer}/content"), Self::media_type)
    }

    fn media_type(&self, media_type: &mut Value, pointer: &str) -> Result<(), Invalid> {
        match media_type.get_mut("schema") {
            Some(schema) => self.schema(schema, &format!("{pointer}/schema")),
            None => Ok(()),
        }
    }

    fn schema(&self, schema: &mut Value, pointer: &str) -> Result<(), Invalid> {
        dialect::convert(schema, self.version, self.original, pointer)?;
        let checked = match self.version {
            Version::V30 => jsonschema::draft4::meta::validate(schema),
            Version::V31 => jsonschema::draft202012::meta::validate(schema),
        };
        checked.map_err(|error| {
            let Invalid { pointer: below, reason } = schema::invalid(&error);
            Invalid::at(format!("{pointer}{below}"), reason)
        })
    }
}
