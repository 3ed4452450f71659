//! Calls AWS Lambda: builds the event, reads the reply, maps what the API says.

pub mod event;
mod percent;
pub mod reply;
