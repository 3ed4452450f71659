//! The files behind a set: how a change is seen, and when it is taken.
//!
//! Nothing here starts a thread or reads a clock: whoever does calls [`Watcher::poll`].

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::builder::SetBuilder;
use super::directives::ConsumersPlan;
use super::exchange::{Exchange, Turn};
use super::file;
use super::registry::ConsumerSet;
use crate::directive::{DirectiveError, Place};

/// A `file` line.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// The file.
    pub path: PathBuf,
    /// How soon a change takes effect; `None` for `watch=off`.
    pub watch: Option<Duration>,
    /// Where the line stands.
    pub place: Place,
}

/// Which version of a file there is, told by inode, size and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// There is no such file, or it cannot be looked at.
    Missing,
    /// There is one.
    Present {
        /// the device and the inode on it
        inode: (u64, u64),
        /// bytes
        size: u64,
        /// nanoseconds since 1970
        modified_ns: i128,
    },
}

impl Stamp {
    /// The version that a path leads to now.
    #[expect(clippy::disallowed_methods, reason = "called by a helper thread")]
    pub fn of(path: &Path) -> Self {
        std::fs::metadata(path).map_or(Self::Missing, |metadata| Self::from(&metadata))
    }
}

impl From<&std::fs::Metadata> for Stamp {
    fn from(metadata: &std::fs::Metadata) -> Self {
        const NS_PER_S: i128 = 1_000_000_000;
        let modified_ns =
            i128::from(metadata.mtime()) * NS_PER_S + i128::from(metadata.mtime_nsec());
        let inode = (metadata.dev(), metadata.ino());
        Self::Present { inode, size: metadata.size(), modified_ns }
    }
}

/// Why a set cannot be made of its lines and files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// What is wrong, and where the line or the `file` directive stands.
    pub error: DirectiveError,
    /// True when the files cannot be read, which may pass without a change of theirs.
    pub may_pass: bool,
}

impl LoadError {
    /// What a reading would always find.
    pub(super) fn lasting(reason: impl Into<String>, place: &Place) -> Self {
        Self { error: DirectiveError::new(reason).at(place), may_pass: false }
    }
}

impl FileSource {
    /// Adds the file's consumers to a set and returns the version that was read.
    pub(super) fn read_into(&self, builder: &mut SetBuilder) -> Result<Stamp, LoadError> {
        let path = self.path.display();
        let (bytes, stamp) = read_whole(&self.path).map_err(|error| {
            let error = DirectiveError::new(format!("cannot read \"{path}\": {error}"));
            LoadError { error: error.at(&self.place), may_pass: true }
        })?;
        file::read(&self.path, &bytes, builder).map_err(|error| {
            let reason = format!("consumers file \"{path}\" is invalid: {error}");
            LoadError::lasting(reason, &self.place)
        })?;
        Ok(stamp)
    }
}

/// A file's bytes and version; an error when it is written while it is read.
fn read_whole(path: &Path) -> std::io::Result<(Vec<u8>, Stamp)> {
    let mut file = file::open(path)?;
    let before = file.metadata()?;
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0) + 1);
    file.read_to_end(&mut bytes)?;
    let (before, after) = (Stamp::from(&before), Stamp::from(&file.metadata()?));
    if before != after {
        return Err(std::io::Error::other("it is being written"));
    }
    Ok((bytes, after))
}

/// A set with the version of every file it was made from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The set.
    pub set: Arc<ConsumerSet>,
    /// One for each of the plan's files, in its order.
    pub stamps: Vec<Stamp>,
}

/// What a look at the files has found.
#[derive(Clone, Debug)]
pub enum Poll {
    /// Nothing to do.
    Unchanged,
    /// A new version, to be put in the place of the old one.
    Swap(Arc<ConsumerSet>),
    /// A new version that cannot be used, said once; the old one stays in force.
    Bad(String),
}

/// Watches the files of one set.
///
/// A change is taken when two looks in a row have found the same version, so that a file that is being written is left
/// alone. Looks are half the interval apart, and a quarter after a change was seen: a change that is written in one go is
/// in force within the interval. A process that starts does not wait so long, see [`Watcher::begin`].
#[derive(Debug)]
pub struct Watcher {
    plan: Arc<ConsumersPlan>,
    required: Vec<String>,
    /// the versions that the master has read; of files that are not watched they stay
    first: Vec<Stamp>,
    /// the version in force
    in_force: u64,
    /// the version that the last look found, when it is not `in_force`
    seen: Option<u64>,
    bad: Option<Bad>,
    next_ms: u64,
    /// the other processes that watch them
    exchange: Option<Exchange>,
    /// since when another process has been at work on `seen`
    waits_since_ms: Option<u64>,
    has_begun: bool,
}

/// The version that was tried last and found bad.
#[derive(Debug)]
struct Bad {
    version: u64,
    reason: String,
    /// when it is to be tried again though it is the same
    may_pass: bool,
}

/// How soon to ask again for what another process is making.
const ASK_AGAIN_MS: u64 = 20;
/// How long another process may take.
const LONGEST_WAIT_MS: u64 = 60_000;

impl Watcher {
    /// Watches the files of `plan` from `now_ms` on. `required` are the usernames that `anonymous=` names for this set.
    pub fn new(
        plan: Arc<ConsumersPlan>,
        loaded: &Loaded,
        required: Vec<String>,
        now_ms: u64,
    ) -> Self {
        let mut watcher = Self {
            in_force: plan.version(&loaded.stamps),
            plan,
            required,
            first: loaded.stamps.clone(),
            seen: None,
            bad: None,
            next_ms: now_ms,
            exchange: None,
            waits_since_ms: None,
            has_begun: false,
        };
        watcher.next_ms = now_ms + watcher.pause_ms();
        watcher
    }

    /// Has other processes take the versions that this one makes, and this one theirs.
    pub fn with_exchange(self, exchange: Exchange) -> Self {
        Self { exchange: Some(exchange), ..self }
    }

    /// When to call [`Watcher::poll`] next, on the clock that it is given; `None` when no file is watched.
    pub fn next_ms(&self) -> Option<u64> {
        self.shortest_watch().map(|_| self.next_ms)
    }

    /// Why the files as they are now are not in force, if so.
    pub fn degraded(&self) -> Option<&str> {
        self.bad.as_ref().map(|bad| bad.reason.as_str())
    }

    /// A number of what is wrong, the same in every process that finds the same wrong with the same version.
    pub fn fault(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.bad.as_ref().map(|bad| (bad.version, &bad.reason)).hash(&mut hasher);
        hasher.finish()
    }

    /// True when [`Watcher::begin`] has come to an end, which polls may have to wait for.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The look of a process that starts, before it decides anything: what is in force elsewhere counts, whatever the files are
    /// like now. When that cannot be had the files do, at once.
    pub fn begin(&mut self, now_ms: u64) -> Poll {
        let stamps = self.look();
        let version = self.plan.version(&stamps);
        if version == self.in_force {
            self.has_begun = true;
            return Poll::Unchanged;
        }
        let last = self.exchange.as_mut().and_then(|exchange| exchange.last(self.plan.name()));
        if let Some((last, set)) = last
            && let Ok(set) = self.check(Arc::new(set))
        {
            self.has_begun = true;
            return self.settle(last, Ok(set));
        }
        self.seen = Some(version);
        if self.exchange.as_ref().is_some_and(|exchange| !exchange.has_lost()) {
            // The change is in force nowhere yet, and may be being written.
            self.has_begun = true;
            self.next_ms = now_ms + self.pause_ms() / 2;
            return Poll::Unchanged;
        }
        self.take_up(stamps, version, now_ms)
    }

    /// Looks at the files when it is time to, and loads them when they have changed and come to rest.
    pub fn poll(&mut self, now_ms: u64) -> Poll {
        if self.shortest_watch().is_none() || now_ms < self.next_ms {
            return Poll::Unchanged;
        }
        let stamps = self.look();
        let version = self.plan.version(&stamps);
        if version == self.in_force {
            self.bad = None;
        }
        let known = self.bad.as_ref().filter(|bad| bad.version == version);
        if version == self.in_force || known.is_some_and(|bad| !bad.may_pass) {
            self.rest(now_ms);
            return Poll::Unchanged;
        }
        if known.is_none() && self.seen != Some(version) {
            self.seen = Some(version);
            self.waits_since_ms = None;
            self.next_ms = now_ms + self.pause_ms() / 2;
            return Poll::Unchanged;
        }
        self.take_up(stamps, version, now_ms)
    }

    /// Has a version in force that has come to rest, or waits for whoever is at work on it.
    fn take_up(&mut self, stamps: Vec<Stamp>, version: u64, now_ms: u64) -> Poll {
        let turn = self.turn(version, now_ms);
        if matches!(turn, Turn::Wait) {
            self.next_ms = now_ms + ASK_AGAIN_MS;
            return Poll::Unchanged;
        }
        self.has_begun = true;
        self.rest(now_ms);
        match turn {
            Turn::Take(set) => {
                let checked = self.check(Arc::from(set));
                self.settle(version, checked)
            }
            _ => self.load(stamps, version),
        }
    }

    /// Nothing is in hand until the next look.
    fn rest(&mut self, now_ms: u64) {
        self.seen = None;
        self.waits_since_ms = None;
        self.next_ms = now_ms + self.pause_ms();
    }

    /// Whose turn it is to make a version.
    fn turn(&mut self, version: u64, now_ms: u64) -> Turn {
        let Some(exchange) = &mut self.exchange else { return Turn::Make };
        let turn = exchange.turn(self.plan.name(), version);
        let since_ms = *self.waits_since_ms.get_or_insert(now_ms);
        match turn {
            Turn::Wait if now_ms.saturating_sub(since_ms) >= LONGEST_WAIT_MS => Turn::Make,
            turn => turn,
        }
    }

    /// Half the interval.
    fn pause_ms(&self) -> u64 {
        let watch = self.shortest_watch().unwrap_or(Duration::from_secs(2));
        u64::try_from(watch.as_millis() / 2).unwrap_or(u64::MAX / 2).max(1)
    }

    fn shortest_watch(&self) -> Option<Duration> {
        self.plan.files().iter().filter_map(|file| file.watch).min()
    }

    /// The versions there are now; a file that is not watched counts as unchanged.
    fn look(&self) -> Vec<Stamp> {
        let files = self.plan.files().iter().zip(&self.first);
        files.map(|(file, first)| file.watch.map_or(*first, |_| Stamp::of(&file.path))).collect()
    }

    /// Makes the set of these versions, for the other processes too.
    fn load(&mut self, stamps: Vec<Stamp>, version: u64) -> Poll {
        let loaded = self.plan.load();
        if self.look() != stamps {
            // written meanwhile: neither its contents nor its faults count
            if let Some(exchange) = &mut self.exchange {
                exchange.leave(version);
            }
            return Poll::Unchanged;
        }
        let checked = match loaded {
            Ok(loaded) => self.check(loaded.set),
            Err(LoadError { error, may_pass }) => Err((error.to_string(), may_pass)),
        };
        let set = match (&mut self.exchange, checked) {
            (Some(exchange), Ok(set)) => Ok(exchange.made(version, set)),
            (Some(exchange), Err(fault)) => {
                exchange.leave(version);
                Err(fault)
            }
            (None, checked) => checked,
        };
        self.settle(version, set)
    }

    /// The set, when it has everybody that it must have.
    fn check(&self, set: Arc<ConsumerSet>) -> Result<Arc<ConsumerSet>, Fault> {
        match self.required.iter().find(|name| set.by_username(name).is_none()) {
            None => Ok(set),
            Some(name) => {
                let reason = format!(
                    "it lacks the consumer \"{name}\", whom an \"anonymous\" parameter names"
                );
                Err((reason, false))
            }
        }
    }

    fn settle(&mut self, version: u64, set: Result<Arc<ConsumerSet>, Fault>) -> Poll {
        match set {
            Ok(set) => {
                self.in_force = version;
                self.bad = None;
                Poll::Swap(set)
            }
            Err((reason, may_pass)) => {
                let reason =
                    format!("consumer set \"{}\" is left as it was: {reason}", self.plan.name());
                let before = self.fault();
                self.bad = Some(Bad { version, reason: reason.clone(), may_pass });
                if self.fault() == before { Poll::Unchanged } else { Poll::Bad(reason) }
            }
        }
    }
}

/// What is wrong with a version, and whether that may pass.
type Fault = (String, bool);

#[cfg(test)]
mod tests;
