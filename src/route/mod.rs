//! The template of a location's paths: names for path parameters, the event's resource, and the label of metrics.
//!
//! Matched once a request, on the path that was authorised and before any prefix is stripped from it. It decides nothing:
//! a path that does not match has no parameters, and who needs one judges that.

mod directives;
mod template;

pub use directives::{Route, RouteDirectives, RoutePlan};
pub use template::{PathParameters, Template};
