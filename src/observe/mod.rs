//! What operators see from outside: metrics in Prometheus' text format, and whether requests can be served.
//!
//! Requests are counted when they are logged, into numbers that lie in shared memory and outlive workers and reloads
//! ([`counters`]). What has a place of its own already (credentials, zones, sets) is looked up when somebody asks. Nothing is
//! counted where no location serves it.

pub mod counters;
mod directives;
mod family;
mod health;
mod histogram;
mod text;

pub use directives::{ApigateHealth, ApigateMetrics, Endpoint, ObserveDirectives};
pub use family::Family;
pub use health::Health;
pub use histogram::record_ms;
pub use text::{Labels, Page};
