//! Which members of a JSON body leave or enter it on its way to the client.
//!
//! Decided when the whole body is there, between the content handler and the client, from the body alone. The text outside of
//! what is edited stays byte for byte the same: numbers, order, white space. Fails closed: a body that cannot be edited is an
//! error, unless the directive says `unreadable=pass`, because the edit may be what keeps a secret in.

mod directives;
mod document;
mod path;
mod policy;

pub use directives::{OnUnreadable, ResponseJson, ResponseJsonDirectives, ResponseJsonPlan};
pub use policy::{NotJson, edit, is_json};
