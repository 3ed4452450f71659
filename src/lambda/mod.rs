//! Calls AWS Lambda: builds the event, reads the reply, maps what the API says.

mod api;
mod chunked;
pub mod directives;
mod endpoint;
pub mod event;
mod event_stream;
mod failure;
mod function;
mod http;
mod network;
mod percent;
mod prelude;
pub mod reply;
mod request_head;

pub use api::{ApiAnswer, ErrorName, Outcome};
pub use chunked::{ChunkedDecoder, InvalidChunk};
pub use directives::{Conditions, Keepalive, LambdaDirectives, LambdaPlan, Pass};
pub use endpoint::Endpoint;
pub use event_stream::{Completion, EventStreamDecoder, StreamError};
pub use failure::Failure;
pub use function::{ApiFunction, FunctionName, FunctionUrl, Invocation, InvokeTarget, api_host};
pub use http::{BodyLength, InvalidHead, ResponseHead};
pub use network::Network;
pub use prelude::{EndlessPrelude, PreludeSplitter, Split, announces_prelude};
pub use request_head::InvokeHead;
