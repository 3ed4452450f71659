//! Access by group: whether an authenticated consumer may use a location.
//!
//! Decided in the access phase behind `key_auth`, from the groups of the consumer in the set in force; `deny` wins over
//! `allow`. Fails closed: a request without an identity is refused, and `nginx -t` refuses an `acl` that no `key_auth` feeds.

mod directives;
mod policy;

pub use directives::{Acl, AclDirectives, AclPlan};
pub use policy::{decide, groups_header};
