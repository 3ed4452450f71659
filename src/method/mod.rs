//! Blocks of a location that hold for some methods only, and what becomes of the other methods.
//!
//! *Phase*: rewrite, before anybody is authenticated. *From*: the method as received. nginx/method.rs makes a configuration
//! level of every block and hands requests over to theirs; here is which block that is, and the refusal of methods without
//! one. *Fails* closed: under `method_not_allowed` what no block names is refused.

mod directives;
mod policy;

pub use directives::{Method, MethodDirectives, MethodNotAllowed};
pub use policy::{MethodName, MethodPlan, decide};
