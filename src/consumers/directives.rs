//! The lines of a `consumers NAME { }` block.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::builder::SetBuilder;
use super::entry::{ConsumerEntry, KeyEntry, check_group, check_name, looks_like_a_name};
use super::ids::parse_uuid;
use super::keyspec::KeySpec;
use super::source::{FileSource, LoadError, Loaded, Stamp};
use crate::directive::{DirectiveError, Parameter, Place, Words, parse_time};

/// The environment's variables as they were when nginx was started.
pub trait Environment {
    /// The variable's value.
    fn variable(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Environment for F {
    fn variable(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// How often a file is looked at when `watch=` does not say.
const DEFAULT_WATCH: Duration = Duration::from_secs(1);

/// A `consumers` block as written.
#[derive(Clone, Debug)]
pub struct ConsumersBlock {
    name: Arc<str>,
    place: Place,
    consumers: Vec<ConsumerLine>,
    files: Vec<FileSource>,
}

/// A `consumer` line as written.
#[derive(Clone, Debug)]
struct ConsumerLine {
    entry: ConsumerEntry<'static>,
    keys: Vec<KeySpec>,
    place: Place,
}

impl ConsumersBlock {
    /// An empty block. `place` is that of its opening line.
    ///
    /// Errors: a name that is empty or no name at all.
    pub fn new(name: &str, place: Place) -> Result<Self, DirectiveError> {
        // "off" could never be named: key_auth takes it for its own word
        if check_name(name).is_err() || name == "off" {
            return Err(DirectiveError::new(format!("invalid consumer set name \"{name}\"")));
        }
        Ok(Self { name: name.into(), place, consumers: Vec::new(), files: Vec::new() })
    }

    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the block begins.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Reads one line of the block. Kinds of sources are told apart here and nowhere else.
    pub fn line(&mut self, words: &Words<'_>) -> Result<(), DirectiveError> {
        match words.name() {
            "consumer" => self.consumers.push(consumer(words)?),
            "file" => self.files.push(file(words)?),
            other => {
                // not repeated when it may be a key
                let name = Some(other).filter(|name| looks_like_a_name(name));
                let name = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
                let message = format!("unknown directive{name} in \"consumers\" block");
                return Err(DirectiveError::new(message));
            }
        }
        Ok(())
    }

    /// The block with its keys looked up. Files are not read yet.
    ///
    /// Errors: a variable that is not set, a key file that cannot be read.
    pub fn compile(&self, environment: &dyn Environment) -> Result<ConsumersPlan, DirectiveError> {
        let mut consumers = Vec::with_capacity(self.consumers.len());
        for line in &self.consumers {
            let mut entry = line.entry.clone();
            for key in &line.keys {
                let digest = key
                    .resolve(environment)
                    .map_err(|why| DirectiveError::new(why).at(&line.place))?;
                entry.keys.push(KeyEntry::new(digest));
            }
            consumers.push((entry, line.place.clone()));
        }
        let (name, place) = (self.name.clone(), self.place.clone());
        let (files, configuration) = (self.files.clone(), RandomState::new().hash_one(()));
        Ok(ConsumersPlan { name, place, consumers, files, configuration })
    }
}

/// A set's lines and sources, ready to be loaded as often as the sources change.
#[derive(Clone)]
pub struct ConsumersPlan {
    name: Arc<str>,
    place: Place,
    consumers: Vec<(ConsumerEntry<'static>, Place)>,
    files: Vec<FileSource>,
    /// a number of the configuration that it is of, the same in all of its processes
    configuration: u64,
}

impl ConsumersPlan {
    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the block begins.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The files behind the set.
    pub fn files(&self) -> &[FileSource] {
        &self.files
    }

    /// A number of the set that these versions of the files make, the same in every process of one configuration. Another
    /// configuration may have other lines.
    pub(super) fn version(&self, stamps: &[Stamp]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.configuration, stamps).hash(&mut hasher);
        // zero stands for none
        hasher.finish().max(1)
    }

    /// True when a change of a file is to take effect without a reload.
    pub fn is_watched(&self) -> bool {
        self.files.iter().any(|file| file.watch.is_some())
    }

    /// The set, from the lines and a fresh reading of every file, with the version of every file.
    ///
    /// Errors: what is wrong, at the place of the line or of the `file` directive. Never a key.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let mut builder = SetBuilder::new(&self.name);
        for (entry, place) in &self.consumers {
            builder.add(entry, true).map_err(|reason| LoadError::lasting(reason, place))?;
        }
        let mut stamps = Vec::with_capacity(self.files.len());
        for source in &self.files {
            stamps.push(source.read_into(&mut builder)?);
        }
        let set = builder.finish().map_err(|reason| LoadError::lasting(reason, &self.place))?;
        Ok(Loaded { set: Arc::new(set), stamps })
    }
}

impl fmt::Debug for ConsumersPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumersPlan")
            .field("name", &self.name)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// `consumer USERNAME [id=] [custom_id=] [groups=] [tags=] [key=]...`
fn consumer(words: &Words<'_>) -> Result<ConsumerLine, DirectiveError> {
    const PARAMETERS: [&str; 5] = ["id=", "custom_id=", "groups=", "tags=", "key="];
    let username = words.first()?;
    if PARAMETERS.iter().any(|parameter| username.starts_with(parameter)) {
        // not repeated: it may be a key
        return Err(DirectiveError::new("\"consumer\" must have a name before its parameters"));
    }
    let mut entry = ConsumerEntry { username: Some(name(username)?), ..Default::default() };
    let (mut groups, mut tags, mut keys) = (None, None, Vec::new());
    for (position, parameter) in (1..).zip(words.parameters(1)) {
        match parameter.name {
            "id" => parameter.set_once(&mut entry.id, id(&parameter)?)?,
            "custom_id" => once(&parameter, &mut entry.custom_id)?,
            "groups" => parameter.set_once(&mut groups, names(&parameter, check_group)?)?,
            "tags" => parameter.set_once(&mut tags, names(&parameter, check_name)?)?,
            "key" => {
                let spec = KeySpec::parse(parameter.value.unwrap_or_default(), words);
                keys.push(spec.map_err(DirectiveError::new)?);
            }
            other if parameter.value.is_some() => {
                // the value may be a key behind a misspelled name
                return Err(DirectiveError::new(format!("invalid parameter \"{other}=\"")));
            }
            _ => {
                let message = format!("invalid parameter number {position} of \"consumer\"");
                return Err(DirectiveError::new(message));
            }
        }
    }
    (entry.groups, entry.tags) = (groups.unwrap_or_default(), tags.unwrap_or_default());
    Ok(ConsumerLine { entry, keys, place: words.place().clone() })
}

/// `file PATH [watch=TIME|off]`
fn file(words: &Words<'_>) -> Result<FileSource, DirectiveError> {
    let path: PathBuf = words.path(words.first()?);
    let mut watch = None;
    for parameter in words.parameters(1) {
        match (parameter.name, parameter.value) {
            ("watch", Some("off")) => parameter.set_once(&mut watch, None)?,
            ("watch", _) => {
                let interval = parameter.parsed(parse_time)?;
                if interval.is_zero() {
                    return Err(parameter.invalid());
                }
                parameter.set_once(&mut watch, Some(interval))?;
            }
            _ => return Err(parameter.invalid()),
        }
    }
    let place = words.place().clone();
    Ok(FileSource { path, watch: watch.unwrap_or(Some(DEFAULT_WATCH)), place })
}

type Name = Cow<'static, str>;

/// A name, or an error that says what is wrong with it.
fn name(text: &str) -> Result<Name, DirectiveError> {
    check_name(text).map_err(|why| DirectiveError::new(format!("invalid name: {why}")))?;
    Ok(Cow::Owned(text.to_owned()))
}

/// A UUID in its canonical spelling.
fn id(parameter: &Parameter<'_>) -> Result<Name, DirectiveError> {
    let id = parameter.text()?.to_ascii_lowercase();
    if parse_uuid(&id).is_none() {
        return Err(DirectiveError::new(format!("{}, it must be a UUID", parameter.invalid())));
    }
    Ok(Cow::Owned(id))
}

fn once(parameter: &Parameter<'_>, slot: &mut Option<Name>) -> Result<(), DirectiveError> {
    parameter.set_once(slot, name(parameter.text()?)?)
}

fn names(
    parameter: &Parameter<'_>,
    check: fn(&str) -> Result<(), String>,
) -> Result<Vec<Name>, DirectiveError> {
    let names = parameter.names()?;
    if names.iter().any(|name| check(name).is_err()) {
        return Err(parameter.invalid());
    }
    Ok(names.into_iter().map(Cow::Owned).collect())
}

#[cfg(test)]
mod tests;
