//! Schema files: read strictly, numbers kept exact, references followed to files only.

use std::fmt;
use std::path::{Path, PathBuf};

use jsonschema::{Retrieve, Uri};
use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::json::{self, Json};

/// What is wrong with a schema, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// JSON pointer into the schema; empty for the whole.
    pub(super) pointer: String,
    /// What is wrong.
    pub(super) reason: String,
}

impl Invalid {
    /// Something wrong at a pointer.
    pub(super) fn at(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), reason: reason.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is invalid at \"{}\": {}", self.pointer, self.reason)
    }
}

impl std::error::Error for Invalid {}

/// The text of a file, or the system's reason why not.
#[allow(clippy::disallowed_methods, reason = "called while the configuration is read")]
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}

/// A schema's text as a value.
///
/// Errors: not JSON (duplicate names too), or a number that would have to be rounded where a keyword compares with it.
pub(super) fn read_json(text: &[u8]) -> Result<Value, Invalid> {
    let json = json::parse(text, json::MAX_DEPTH)
        .map_err(|error| Invalid::at("", format!("not JSON: {error}")))?;
    to_value(&json, "")
}

fn to_value(json: &Json<'_>, pointer: &str) -> Result<Value, Invalid> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::String(text.clone().into_owned()),
        // No text has one.
        Json::File => Value::Null,
        Json::Number(text) => Value::Number(exact_number(text, pointer)?),
        Json::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| to_value(item, &format!("{pointer}/{index}")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(members) => {
            let mut object = Map::new();
            for (name, value) in members.as_slice() {
                let below = format!("{pointer}/{}", escape(name));
                object.insert(name.clone().into_owned(), to_value(value, &below)?);
            }
            Value::Object(object)
        }
    })
}

/// A name as a token of a JSON pointer.
///
/// Source: RFC 6901 section 3.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn exact_number(text: &str, pointer: &str) -> Result<serde_json::Number, Invalid> {
    const COMPARED: [&str; 7] = [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "enum",
        "const",
    ];
    let number: Option<serde_json::Number> = serde_json::from_str(text).ok();
    let is_exact =
        number.as_ref().is_some_and(|n| Decimal::parse(&n.to_string()) == Decimal::parse(text));
    if is_exact || !pointer.split('/').any(|token| COMPARED.contains(&token)) {
        return Ok(number.unwrap_or_else(|| 0.into()));
    }
    Err(Invalid::at(pointer, format!("the number {text} has too many digits")))
}

/// A pointer as a URI fragment.
pub(super) fn percent_encoded(pointer: &str) -> String {
    let mut encoded = String::new();
    for byte in pointer.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Follows references to files; anything else is remote and refused.
///
/// A schema whose `$id` is `https://example.com/schemas/user.json` may say `"$ref": "address.json"`: what lies under
/// `https://example.com/schemas/` is then looked for in the schema's own folder.
#[derive(Clone, Debug)]
pub(super) struct LocalFiles {
    /// The folder of the schema, absolute.
    pub(super) folder: PathBuf,
    /// The part of the schema's own `$id` that stands for the folder, with its last slash.
    pub(super) own_base: Option<String>,
}

impl LocalFiles {
    /// For a schema in a folder.
    pub(super) fn new(folder: &Path, schema: &Value) -> Self {
        let id = ["$id", "id"].iter().find_map(|name| schema.get(*name)?.as_str());
        let own_base = id
            .filter(|id| id.contains("://"))
            .and_then(|id| Some(id.get(..=id.rfind('/')?)?.to_owned()))
            .filter(|base| base.matches('/').count() > 2);
        Self { folder: folder.to_owned(), own_base }
    }

    fn path(&self, uri: &str) -> Option<PathBuf> {
        let path = match uri.strip_prefix("file://") {
            Some(path) => PathBuf::from(decode_path(path)),
            None => self.folder.join(decode_path(uri.strip_prefix(self.own_base.as_ref()?)?)),
        };
        Some(path)
    }
}

impl Retrieve for LocalFiles {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let remote = || format!("the reference to \"{}\" is remote", uri.as_str());
        let path = self.path(uri.as_str()).ok_or_else(remote)?;
        let file = path.display();
        let text =
            read_file(&path).map_err(|reason| format!("cannot read \"{file}\": {reason}"))?;
        Ok(read_json(&text).map_err(|error| format!("schema \"{file}\" {error}"))?)
    }
}

/// The `file:` address of an absolute path.
pub(super) fn file_uri(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn decode_path(path: &str) -> String {
    let decoded = super::param::decode::percent_decode(path.as_bytes(), false);
    String::from_utf8_lossy(&decoded).into_owned()
}
