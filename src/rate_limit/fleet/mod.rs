//! The store that the hosts of a fleet count in: Redis 5 or later, a single node without Sentinel. Scripts use nothing that 5.0
//! lacks: no `SET` with KEEPTTL or GET (6.0, 6.2), and effects are replicated, which `TIME` before a write needs.
//!
//! Exact mode is one script call a request, judged and charged in Redis with Redis's own clock, so the clocks of the hosts do not
//! matter. Batch mode counts on the host and exchanges deltas.
//!
//! Without an answer in time the breaker opens, and the caller does what `on_error` says, without waiting.

mod address;
mod batch;
mod breaker;
mod client;
mod connector;
mod error;
mod exact;
mod link;
mod queue;
mod script;

pub use address::Address;
pub use batch::{Batcher, Parcel};
pub use breaker::Breaker;
pub use client::{Answer, Answers, Client, ClientConfig, Clock, Event, Runner};
pub use error::StoreError;
pub use exact::{Demand, read_exact, write_exact};
pub use script::{Call, Numbers};

#[cfg(test)]
#[cfg(feature = "process-tests")]
mod tests;
