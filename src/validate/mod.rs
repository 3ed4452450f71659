//! Validation: are a request's parameters and its body what a schema or an OpenAPI document says they are?
//!
//! Decided in two steps, after the rate limits and before the content handler: [`decide_head`] looks at operation and
//! parameters and says whether the body is needed; [`decide_body`] looks at the whole body, in whatever way it came.
//! Everything is read and compiled with the configuration. What cannot be read or decided is refused.
//!
//! ```text
//! body ── json / form ──► Json ──► tree (the validator's view of it) ──► schema ──► faults
//! header, query, path ── param (style, decoding) ──► Json ──┘
//! OpenAPI document ── openapi ──► parameters and schemas of the operation
//! ```

mod accept;
mod content_type;
mod decimal;
mod directives;
mod faults;
mod files;
mod form;
mod gzip;
pub mod json;
mod keywords;
mod openapi;
mod param;
mod policy;
mod schema;
mod shape;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
mod tree;

pub use directives::{
    ValidateBody, ValidateDepth, ValidateDirectives, ValidateErrors, ValidateOpenapi, ValidateParam,
};
pub use param::decode::{encoded, is_resolved, part_as_sent};
pub use policy::{
    BodyCheck, HEAVY_BODY_BYTES, HEAVY_PATTERNS_BYTES, HeadFacts, HeadOutcome, ValidatePlan,
    decide_body, decide_head,
};
