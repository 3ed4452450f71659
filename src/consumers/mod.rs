//! Consumer sets: who may call, by which keys, in which groups.
//!
//! A set is declared by a `consumers NAME { }` block. Its lines and its files make one [`ConsumerSet`], which never
//! changes: a changed file makes another set, swapped in whole. Keys are held as SHA-256 only. A file that cannot be read
//! fails `nginx -t`; later on it leaves the set in force that was there before.
//!
//! This is the vocabulary that `key_auth`, `acl` and the operator's endpoints share; nothing is decided here.

mod builder;
mod digest;
mod directives;
mod entry;
mod exchange;
pub mod export;
pub mod file;
mod ids;
mod image;
mod keyspec;
mod lists;
mod records;
mod registry;
mod reported;
mod source;
mod table;
mod text;
mod words;

pub use builder::SetBuilder;
pub use digest::KeyDigest;
pub use directives::{ConsumersBlock, ConsumersPlan, Environment};
pub use entry::{ConsumerEntry, KeyEntry};
pub use exchange::{Carrier, Exchange};
pub use ids::Id;
pub use registry::{
    Consumer, ConsumerIndex, ConsumerSet, Credential, CredentialIndex, Identity, Image, Validity,
};
pub use reported::Reports;
pub use source::{FileSource, LoadError, Loaded, Poll, Stamp, Watcher};
pub use text::Name;
