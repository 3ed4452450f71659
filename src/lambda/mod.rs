//! Calls of AWS Lambda, without the network: what is sent for a request and what the answer means.
//!
//! The content handler of a location with `lambda_pass`. Before the call [`event::write_event`] makes the payload and
//! [`InvokeHead`] the head that the signer completes. After it [`ResponseHead`], [`ChunkedDecoder`] and, for streams,
//! [`EventStreamDecoder`] and [`PreludeSplitter`] read the bytes as they come, in any pieces; [`Outcome`] says what the API
//! means and [`reply::read_reply`] what the function does. It fails closed: whatever is no reply of the right shape is a
//! [`Failure`], which has the client's refusal and the log's name in it.

mod api;
mod chunked;
pub mod directives;
mod endpoint;
pub mod event;
mod event_stream;
mod failure;
mod function;
mod http;
mod log_tail;
mod network;
mod percent;
mod prelude;
pub mod reply;
mod request_head;
pub mod retry;

pub use api::{ApiAnswer, ErrorName, Outcome};
pub use chunked::{ChunkedDecoder, InvalidChunk};
pub use directives::{Conditions, Keepalive, LambdaDirectives, LambdaPlan, Pass};
pub use endpoint::Endpoint;
pub use event_stream::{Completion, EventStreamDecoder, StreamError};
pub use failure::Failure;
pub use function::{ApiFunction, FunctionName, FunctionUrl, Invocation, InvokeTarget, api_host};
pub use http::{BodyLength, InvalidHead, ResponseHead};
pub use log_tail::decode_log_tail;
pub use network::Network;
pub use prelude::{EndlessPrelude, PreludeSplitter, Split, announces_prelude};
pub use reply::InvalidReply;
pub use request_head::InvokeHead;
