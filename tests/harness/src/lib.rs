//! What the whole-process tests are built of. A crate of its own, so that it is compiled once for
//! all of `tests/*.rs` and its own tests run without an nginx.
//!
//! ```text
//! flavour    which nginx binaries there are, and where scripts/build leaves them
//! nginx      one nginx with its own directory and its own port: start, reload, quit, its log
//! aws_double, redis, echo    its neighbours
//! http       an HTTP/1.1 client that sends exactly the bytes it is told to
//! process    the guard that ends whatever a test started
//! wait       polling for a condition
//! gateway    the configurations that scenarios share
//! expect     what scenarios expect
//! load       clients that send while a scenario does something to nginx
//! scenario   main() of a test written in Rust: one trial for each function and flavour
//! cases      the runner of tests/cases/*.t; the format is described in tests/cases.rs
//! ```
#![forbid(unsafe_code)]

pub mod aws_double;
pub mod cases;
pub mod echo;
pub mod expect;
pub mod flavour;
pub mod gateway;
pub mod http;
pub mod load;
pub mod nginx;
pub mod process;
pub mod redis;
pub mod scenario;
pub mod tls;
pub mod wait;

pub use aws_double::AwsDouble;
pub use echo::Echo;
pub use flavour::Flavour;
pub use nginx::{Nginx, NginxBuilder};
pub use process::Process;
pub use redis::Redis;
pub use regex::{self, Regex};
pub use wait::until;

/// What every step of a test returns. The error's text is what the reader of a failed test sees.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
