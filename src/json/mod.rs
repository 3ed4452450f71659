//! JSON as rooms need it that read or write it for every request: borrowed from the text, in one pass.
//!
//! What is read or written at configuration, or seldom, goes through serde_json.
//!
//! Source: RFC 8259.

mod reader;
mod scan;

pub use reader::NotJson;
pub(crate) use reader::{Literal, Reader};
pub(crate) use scan::{find_escape, is_plain};
