//! How a line of nginx.conf gives a key: `sha256:HEX`, `env:NAME`, `file:PATH` or the key itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::digest::KeyDigest;
use super::directives::Environment;
use super::file;
use crate::directive::Words;

/// Where a key comes from. A key written out is kept as its digest from here on.
#[derive(Clone, Debug)]
pub(super) enum KeySpec {
    Digest(KeyDigest),
    Variable(String),
    FirstLine(PathBuf),
}

/// The longest first line: no request carries a longer key.
const MAX_KEY_BYTES: u64 = 64 << 10;

fn first_line(path: &Path) -> std::io::Result<Vec<u8>> {
    let (mut line, limit) = (Vec::new(), MAX_KEY_BYTES + 1);
    BufReader::new(file::open(path)?.take(limit)).read_until(b'\n', &mut line)?;
    if line.len() as u64 == limit && !line.ends_with(b"\n") {
        return Err(std::io::Error::other("its first line is too long"));
    }
    if line.ends_with(b"\n") {
        line.pop();
    }
    Ok(line)
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
    pub(super) fn resolve(&self, environment: &dyn Environment) -> Result<KeyDigest, String> {
        match self {
            Self::Digest(digest) => Ok(*digest),
            Self::Variable(name) => {
                let key = environment.variable(name).filter(|key| !key.is_empty());
                key.map(|key| KeyDigest::of(key.as_bytes()))
                    .ok_or_else(|| format!("environment variable \"{name}\" is not set"))
            }
            Self::FirstLine(path) => {
                let line = first_line(path)
                    .map_err(|error| format!("cannot read \"{}\": {error}", path.display()))?;
                match line.strip_suffix(b"\r").unwrap_or(&line) {
                    b"" => Err(format!("\"{}\" has no key in its first line", path.display())),
                    key => Ok(KeyDigest::of(key)),
                }
            }
        }
    }
}
