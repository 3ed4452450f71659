//! How a line of nginx.conf gives a key: `sha256:HEX`, `env:NAME`, `file:PATH` or the key itself.

use std::path::PathBuf;

use super::digest::KeyDigest;
use super::directives::Environment;
use crate::directive::Words;

/// Where a key comes from. A key written out is kept as its digest from here on.
#[derive(Clone, Debug)]
pub(super) enum KeySpec {
    Digest(KeyDigest),
    Variable(String),
    FirstLine(PathBuf),
}

impl KeySpec {
    /// The specification; the error never repeats the text.
    pub(super) fn parse(text: &str, words: &Words<'_>) -> Result<Self, &'static str> {
        let spec = match text.split_once(':') {
            Some(("sha256", hex)) => Self::Digest(
                KeyDigest::from_hex(hex)
                    .ok_or("\"key=sha256:\" needs 64 hexadecimal digits behind it")?,
            ),
            Some(("env", "")) => return Err("\"key=env:\" needs a variable's name behind it"),
            Some(("env", name)) => Self::Variable(name.to_owned()),
            Some(("file", "")) => return Err("\"key=file:\" needs a file's name behind it"),
            Some(("file", file)) => Self::FirstLine(words.path(file)),
            _ if text.is_empty() => return Err("\"key=\" is empty"),
            _ => Self::Digest(KeyDigest::of(text.as_bytes())),
        };
        Ok(spec)
    }

    /// The digest of the key, which is looked up where it is kept.
    #[expect(clippy::disallowed_methods, reason = "called while the configuration is read")]
    pub(super) fn resolve(&self, environment: &dyn Environment) -> Result<KeyDigest, String> {
        match self {
            Self::Digest(digest) => Ok(*digest),
            Self::Variable(name) => {
                let key = environment.variable(name).filter(|key| !key.is_empty());
                key.map(|key| KeyDigest::of(key.as_bytes()))
                    .ok_or_else(|| format!("environment variable \"{name}\" is not set"))
            }
            Self::FirstLine(path) => {
                let text = std::fs::read(path)
                    .map_err(|error| format!("cannot read \"{}\": {error}", path.display()))?;
                let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                match line.strip_suffix(b"\r").unwrap_or(line) {
                    b"" => Err(format!("\"{}\" has no key in its first line", path.display())),
                    key => Ok(KeyDigest::of(key)),
                }
            }
        }
    }
}
