//! One invocation: what a request's upstream works on, from the whole body to the whole reply.

use super::destination::Destination;
use super::location::{Function, LambdaLocation};
use super::spare;
use super::stream::Stream;
use super::url::UrlRequest;
use crate::aws::credentials::Credentials;
use crate::decision::Reason;
use crate::lambda::event::TraceId;
use crate::lambda::retry::RetryPlan;
use crate::lambda::{ChunkedDecoder, Failure, ResponseHead};
use nginx_sys::{ngx_event_t, ngx_http_request_t, ngx_recv_pt};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

/// `u->input_filter_ctx` of a request that invokes a function; lives in the request's pool.
pub(super) struct Call {
    /// The request, for callbacks that get the call alone.
    pub(super) request: NonNull<ngx_http_request_t>,
    /// The location's plan, which outlives requests.
    pub(super) location: NonNull<LambdaLocation>,
    /// What is invoked.
    pub(super) function: Rc<Function>,
    /// Where the invocation goes.
    pub(super) destination: Rc<Destination>,
    /// The request to a function URL; `None` for the API.
    pub(super) url: Option<UrlRequest>,
    /// What it was signed with.
    pub(super) credentials: Arc<Credentials>,
    /// Counts publications of the source; a refused generation is asked to be renewed.
    pub(super) generation: u64,
    /// The trace that the API is told of.
    pub(super) trace_id: TraceId,
    /// The payload, sent from here.
    pub(super) payload: Vec<u8>,
    /// The payload's SHA-256.
    pub(super) payload_sha256: [u8; 32],
    /// Request line, headers and signature, sent from here.
    pub(super) head: Vec<u8>,
    /// What has been read of the response.
    pub(super) response: Response,
    /// The reply's body where it is not a piece of nginx's buffer; written from here.
    pub(super) body: Vec<u8>,
    /// Whether a refused signature has already been answered by a second attempt.
    pub(super) renewed: bool,
    /// Why the response asks for another attempt.
    pub(super) again: Option<Again>,
    /// Attempts that the API has answered without running the function.
    pub(super) answered: u32,
    /// Until when fresh credentials are waited for.
    pub(super) wait_until_ms: u64,
    /// Armed while fresh credentials are waited for.
    pub(super) timer: ngx_event_t,
    /// The connection's own `recv`, while another stands in for it.
    pub(super) stock_recv: ngx_recv_pt,
    /// Why the invocation failed, once that is logged and remembered.
    pub(super) failed: Option<Reason>,
}

/// Why an invocation is sent again although the API answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The credentials were refused; newer ones are waited for.
    AwaitingCredentials,
    /// Now.
    Ready,
}

impl Drop for Call {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.payload));
        spare::give(std::mem::take(&mut self.head));
    }
}

/// What has been read of one attempt's response.
#[derive(Default)]
pub(super) struct Response {
    /// Whether a byte came.
    pub(super) received: bool,
    /// The head, once it is complete.
    pub(super) head: Option<ResponseHead>,
    /// Where decoded body ends in nginx's buffer.
    pub(super) decoded_end: usize,
    /// For chunked bodies.
    pub(super) chunks: ChunkedDecoder,
    /// Why it is no good response, when it is not.
    pub(super) failure: Option<Failure>,
    /// Whether the connection's end has told the body's.
    pub(super) ended: bool,
    /// The body, when it goes to the client as it comes.
    pub(super) stream: Option<Stream>,
}

impl Call {
    /// The location's plan.
    pub(super) fn location(&self) -> &'static LambdaLocation {
        // SAFETY: configuration outlives requests.
        unsafe { &*self.location.as_ptr() }
    }

    /// Whether any byte of a response came.
    pub(super) fn has_received(&self) -> bool {
        self.response.received
    }

    /// Whether the response asks for another attempt.
    pub(super) fn asks_again(&self) -> bool {
        self.again == Some(Again::Ready)
    }

    /// What is tried again.
    pub(super) fn next_upstream(&self) -> &'static RetryPlan {
        &self.location().retry
    }
}
