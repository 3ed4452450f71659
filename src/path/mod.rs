//! Whether a path may mean different things to nginx and to what stands behind it.
//!
//! *Phase*: rewrite, before anybody is authenticated. *From*: the URI as the client sent it. nginx chooses a location by the
//! decoded and resolved path, but hands the path on as received; a server behind it that decodes once more, or knows path
//! parameters, may serve another resource than the one that was authorised. *Fails* closed: what is in doubt is refused.

mod directives;
mod policy;

pub use directives::{PathAmbiguous, PathDirectives};
pub use policy::{PathPlan, decide, is_ambiguous};
