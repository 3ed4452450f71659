//! Which origins' scripts may read the answers of a location, and what their preflights are told.
//!
//! Outermost: a preflight is answered in nginx's rewrite phase, before anything is authenticated or counted, and the headers
//! stand on every response, errors of whatever making included. Decided from the method and the headers of the request.
//! Fails closed: an origin that is not listed, or is none, gets no header, and the browser keeps the answer from it.

mod directives;
mod origin;
mod policy;

pub use directives::{Cors, CorsDirectives, CorsPlan};
pub use policy::{ResponseHeaders, decide, headers_for, is_of_cors, preflight_method};
