//! AWS without Lambda: who signs, with what, and where that comes from.
//!
//! Decides nothing about a request by itself; `lambda` and whatever else calls AWS use it.
//!
//! - Request path: [`sigv4::Signer`] over [`canonical`] forms; [`slot::Slot`] for the credentials in force (one atomic load
//!   while they are unchanged); [`arn::FunctionName`]; [`clock_skew::ClockSkew`].
//! - Configuration: [`directives`] to an [`AwsPlan`], with the [`environment::Environment`] that the master saw.
//! - Helper threads, which may block: a [`fetcher::Fetcher`] a [`source::CredentialSource`]. Every worker runs one; the slot
//!   lets one of them ask the providers when [`refresh::Schedule`] says so, and all read what it publishes.
//!
//! It fails closed: without usable credentials nothing is signed. It fails late: credentials are renewed with 10 to 20 % of
//! their life left, and serve until their very end while the source is away.

pub mod arn;
pub mod canonical;
pub mod clock_skew;
pub mod credentials;
pub mod directives;
pub mod environment;
pub mod fetcher;
mod provider;
pub mod refresh;
pub mod region;
pub mod sigv4;
pub mod slot;
pub mod source;

pub use credentials::Credentials;
pub use directives::{AwsAssumeRole, AwsCredentials, AwsDirectives, AwsPlan, AwsRegion};
pub use environment::Environment;
pub use provider::error::{FailureKind, FetchError, Origin};
pub use region::{Partition, Region};
