//! How many requests a key may make in a window of time.
//!
//! Decides after authentication and ACL, from the request's key and the counters in a shared zone ([`table`]) or in Redis
//! ([`fleet`]). What a location has written is checked first and charged together ([`policy::check_and_charge`]), so that
//! exactly the limit passes, on one worker or many.
//!
//! Atomic means within one store: a location whose directives use zones of this host and a Redis in exact mode looks at the
//! former, asks Redis, then charges the former. A refusal that comes in between has spent in Redis.
//!
//! It fails open where memory is short: a key that finds no room in a full zone passes and is counted as such. Without the store
//! of the fleet, `on_error` says which way it fails.

mod directives;
pub mod fleet;
mod headers;
pub mod key;
mod plan;
pub mod policy;
mod rate;
pub mod table;
pub mod window;
mod zone;

pub use directives::{
    RateLimit, RateLimitDirectives, RateLimitHeaders, RateLimitMessage, RateLimitStatus,
};
pub use headers::{is_header, write_headers};
pub use plan::{Cost, LimitPlan, MAX_COST, RateLimitPlan, store_unavailable};
pub use rate::{MAX_LIMIT, Rate, Unit};
pub use zone::{OnError, RateLimitZone, RateLimitZones, StorePlan, Sync, ZonePlan};
