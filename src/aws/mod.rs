//! AWS without Lambda.

pub mod arn;
pub mod canonical;
pub mod credentials;
pub mod region;
pub mod sigv4;
