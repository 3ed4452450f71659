//! How many requests a key may make in a window of time.

mod rate;

pub use rate::{MAX_LIMIT, Rate, Unit};
