//! apigate: an API gateway inside nginx.
#![cfg_attr(not(feature = "module"), forbid(unsafe_code))]

pub mod decision;
pub mod directive;
pub mod rate_limit;
pub mod request;
