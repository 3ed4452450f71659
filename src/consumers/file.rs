//! Consumers files, JSON or YAML, in the project's spelling or Kong's.

mod draft;
mod reader;
mod values;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::de::DeserializeSeed as _;

use super::builder::SetBuilder;
use reader::Reader;

/// Why a consumers file is refused. The file is named by the caller; no key is ever in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Counted from 1; `None` for what is wrong with the file as a whole.
    pub line: Option<u64>,
    /// JSON pointer to what is wrong, also in YAML; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub reason: String,
}

impl FileError {
    fn whole(reason: &str) -> Self {
        Self { line: None, pointer: String::new(), reason: reason.to_owned() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &*self.pointer) {
            (None, "") => {}
            (None, pointer) => write!(f, "at \"{pointer}\": ")?,
            (Some(line), "") => write!(f, "line {line}: ")?,
            (Some(line), pointer) => write!(f, "line {line} at \"{pointer}\": ")?,
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for FileError {}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

impl Format {
    /// By the name's ending; any other file is JSON when it begins with a brace.
    fn of(path: &Path, text: &str) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "yaml" | "yml" => Self::Yaml,
            _ if text.trim_start().starts_with('{') => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// A file, opened to be read; an error for what is no file. A FIFO in its place is not waited for.
pub fn open(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is not a regular file")),
    }
}

/// Adds all consumers of a file to a set. `path` is only looked at for its ending.
///
/// After an error the builder holds part of the file and must be dropped.
pub fn read(path: &Path, bytes: &[u8], builder: &mut SetBuilder) -> Result<(), FileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
        FileError { line: Some(line), ..FileError::whole("it is not UTF-8") }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(FileError::whole("it is empty"));
    }
    let mut reader = Reader::new(builder);
    match Format::of(path, text) {
        Format::Json => read_json(text, &mut reader)?,
        Format::Yaml => read_yaml(text, &mut reader)?,
    }
    reader.finish()
}

fn read_json(text: &str, reader: &mut Reader<'_>) -> Result<(), FileError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = reader.document().deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| {
        let line = Some(error.line() as u64).filter(|line| *line > 0);
        let reason = match error.classify() {
            serde_json::error::Category::Data => None,
            serde_json::error::Category::Eof => Some("the file ends too early"),
            _ => Some("it is not JSON"),
        };
        reader.error(line, reason)
    })
}

fn read_yaml(text: &str, reader: &mut Reader<'_>) -> Result<(), FileError> {
    use serde_saphyr::{Error, options, with_deserializer_from_str_with_options};
    // The file is the operator's own: its size is no attack. Aliases keep their limits.
    let options = options! { budget: None, with_snippet: false };
    let read = with_deserializer_from_str_with_options(text, options, |yaml| {
        reader.document().deserialize(yaml)
    });
    read.map_err(|error| {
        let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
        // The library's own texts quote the file, where keys may stand; these do not.
        let reason = match error.without_snippet() {
            Error::Message { .. }
            | Error::Unexpected { .. }
            | Error::NullIntoString { .. }
            | Error::InvalidScalar { .. }
            | Error::SerdeInvalidType { .. }
            | Error::SerdeInvalidValue { .. } => None,
            Error::MultipleDocuments { .. } => Some("it has more than one YAML document"),
            Error::DuplicateMappingKey { .. } => Some("a field is there twice"),
            Error::UnknownAnchor { .. } => {
                Some("an alias without an anchor; a value that begins with \"*\" needs quotes")
            }
            Error::Eof { .. } => Some("the file ends too early"),
            _ => Some("it is not YAML"),
        };
        reader.error(line, reason)
    })
}

#[cfg(test)]
mod tests;
