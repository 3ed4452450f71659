//! How many requests a key may make in a window of time.

mod headers;
pub mod key;
pub mod policy;
mod rate;
pub mod table;
pub mod window;

pub use headers::write_headers;
pub use rate::{MAX_LIMIT, Rate, Unit};
