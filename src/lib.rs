//! apigate: an API gateway inside nginx.
#![cfg_attr(not(feature = "module"), forbid(unsafe_code))]

pub mod acl;
pub mod consumers;
pub mod decision;
pub mod directive;
pub mod key_auth;
pub mod request;
