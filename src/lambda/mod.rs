//! Calls AWS Lambda: builds the event, reads the reply, maps what the API says.

mod chunked;
mod endpoint;
pub mod event;
mod function;
mod http;
mod network;
mod percent;
mod prelude;
pub mod reply;

pub use chunked::{ChunkedDecoder, InvalidChunk};
pub use endpoint::Endpoint;
pub use function::{ApiFunction, FunctionName, FunctionUrl, Invocation, InvokeTarget, api_host};
pub use http::{BodyLength, InvalidHead, ResponseHead};
pub use network::Network;
pub use prelude::{EndlessPrelude, PreludeSplitter, Split, announces_prelude};
