//! lambda_pass: an upstream of nginx's own kind, with our connections and our idea of a request and a reply.

mod addresses;
mod block;
mod call;
mod handler;
mod location;
mod peer;
mod pool;
mod renew;
mod reply;
mod request_head;
mod tls;
mod warm;

pub(super) use block::wrap_upstream;
pub(super) use handler::handle;
pub(super) use location::{LambdaLocation, Reach, find_upstream, settings};
pub(super) use pool::{Endpoint, Settings};
pub(super) use tls::create_context;
pub(super) use warm::maintain;
