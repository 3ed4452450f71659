//! Calls AWS Lambda: builds the event, reads the reply, maps what the API says.

mod endpoint;
pub mod event;
mod function;
mod network;
mod percent;
pub mod reply;

pub use endpoint::Endpoint;
pub use function::{ApiFunction, FunctionName, FunctionUrl, Invocation, InvokeTarget, api_host};
pub use network::Network;
