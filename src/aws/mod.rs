//! AWS without Lambda.

pub mod arn;
pub mod clock_skew;
pub mod canonical;
pub mod credentials;
pub mod environment;
pub mod provider;
pub mod refresh;
pub mod region;
pub mod sigv4;
pub mod slot;
pub mod source;
