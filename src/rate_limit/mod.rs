//! How many requests a key may make in a window of time.

mod directives;
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
pub use headers::write_headers;
pub use plan::{Cost, LimitPlan, MAX_COST, RateLimitPlan, store_unavailable};
pub use rate::{MAX_LIMIT, Rate, Unit};
pub use zone::{OnError, RateLimitZone, StorePlan, Sync, ZonePlan};
