//! lambda_pass: an upstream of nginx's own kind, with our connections and our idea of a request and a reply.

mod addresses;
mod block;
mod call;
mod collect;
mod conf;
mod destination;
mod ending;
mod event;
mod handler;
mod location;
mod output;
mod peer;
mod pool;
mod renew;
mod reply;
mod request_head;
mod spare;
mod stream;
mod tls;
mod url;
mod warm;

pub(super) use addresses::AddressList;
pub(super) use handler::handle;
pub(super) use location::LambdaLocation;
pub(super) use pool::{Endpoint, Settings, SharedEndpoint};
pub(super) use tls::create_context;
pub(super) use warm::maintain;
