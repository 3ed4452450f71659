//! The module: the only room that knows nginx, and the only one with unsafe code.
//!
//! What this room relies on everywhere, and nginx guarantees: a worker runs all callbacks on one thread; a request's, a
//! connection's and a configuration's memory lives as long as its pool; configuration does not change once workers run.
//! A panic never leaves a callback: [`guard`] stands round every one of them.

mod commands;
mod conf;
mod context;
mod error_pages;
mod guard;
mod log;
mod memory;
mod module;
mod phases;
mod request;
mod respond;
mod variables;
