//! The module: the only room that knows nginx, and the only one with unsafe code.
//!
//! What this room relies on everywhere, and nginx guarantees: a worker runs all callbacks on one thread; a request's, a
//! connection's and a configuration's memory lives as long as its pool; configuration does not change once workers run.
//! A panic never leaves a callback: [`guard`] stands round every one of them.

mod authenticate;
mod body;
mod clock;
mod commands;
mod conf;
mod content;
mod context;
mod credentials;
mod edit;
mod error_pages;
#[cfg(feature = "fault-injection")]
mod fault;
mod guard;
mod limit;
mod log;
mod main_conf;
mod mask;
mod memory;
mod method;
mod metrics;
mod module;
mod next_filter;
mod phases;
mod readable;
mod request;
mod request_id;
mod respond;
mod response_headers;
mod response_json;
mod scope;
mod sets;
mod shared;
mod shared_image;
mod suspend;
mod template;
mod upstream;
mod validation;
mod variables;
mod worker;
