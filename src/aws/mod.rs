//! AWS without Lambda.

pub mod arn;
pub mod canonical;
pub mod credentials;
pub mod environment;
pub mod provider;
pub mod region;
pub mod sigv4;
