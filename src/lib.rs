//! An API gateway inside nginx: authentication, groups, rate limits, validation and Lambda calls as directives.
//!
//! Data flows one way:
//!
//! ```text
//! directive text -> Directive -> LocationDirectives -> merge -> compile -> LocationPlan      (nginx -t)
//! request -> phase handler -> facts -> policy::decide -> Decision -> respond                 (each request)
//! ```
//!
//! Everything that decides is plain Rust without nginx, tested by `cargo test`. The room `nginx`, behind the feature
//! `module`, is the only one that knows nginx and the only one with unsafe code.
#![cfg_attr(not(feature = "module"), forbid(unsafe_code))]

pub mod acl;
pub mod aws;
pub mod config;
pub mod consumers;
pub mod cors;
pub mod decision;
pub mod directive;
mod hex;
pub mod json;
pub mod key_auth;
pub mod lambda;
pub mod method;
mod multipart;
pub mod observe;
pub mod path;
pub mod pipeline;
pub mod rate_limit;
pub mod request;
pub mod response_json;
pub mod route;
pub mod validate;

#[cfg(feature = "module")]
#[allow(unsafe_code)]
pub mod nginx;
