//! How many requests a key may make in a window of time.
//!
//! Decides after authentication and ACL, from the request's key and the counters in a shared zone ([`table`]) or in Redis
//! ([`fleet`]). What a location has written is checked first and charged together ([`policy::check_and_charge`]), so that
//! exactly the limit passes, on one worker or many.
//!
//! Within one Redis in exact mode that is one script call for everything, whatever zones it is in; a location cannot use two.
//! What else counts on this host is charged before Redis is asked and given back when Redis refuses, so that a refused request
//! spends nothing; until then another request may be refused for it.
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
pub use headers::{header_count, is_header, write_headers};
pub use plan::{Cost, LimitPlan, MAX_COST, RateLimitPlan, store_unavailable};
pub use rate::{MAX_LIMIT, Rate, Unit};
pub use zone::{OnError, RateLimitZone, RateLimitZones, StorePlan, Sync, ZonePlan};
