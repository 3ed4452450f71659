//! What the module remembers of a request, from its first phase to its log line.

use super::limit::Limits;
use super::memory;
use super::module::ngx_http_apigate_module;
use super::suspend::Ticket;
use crate::config::LocationPlan;
use crate::consumers::{ConsumerSet, Identity};
use crate::cors::CorsPlan;
use crate::decision::{Decision, Refusal};
use crate::pipeline::{Record, Refused};
use crate::validate::{BodyCheck, ValidatePlan};
use nginx_sys::ngx_http_request_t;
use std::ptr::NonNull;
use std::sync::Arc;

/// Who a request comes from, by which version of which set.
#[derive(Clone, Debug)]
pub(super) struct Authenticated {
    /// The set's number.
    pub(super) set: usize,
    /// The version that knew the key.
    pub(super) version: Arc<ConsumerSet>,
    /// The consumer and the credential in that version; `None` for a preflight, or under observe.
    pub(super) identity: Option<Identity>,
}

/// How far a request's validation is, by the plan that it is for.
#[derive(Debug)]
pub(super) struct Validation {
    /// The plan.
    pub(super) plan: Arc<ValidatePlan>,
    /// What there is to do yet.
    pub(super) state: ValidationState,
}

/// The steps of a validation.
#[derive(Debug)]
pub(super) enum ValidationState {
    /// The head conforms; so must the body.
    Body(BodyCheck),
    /// A helper thread has the body; the request waits.
    Away { _ticket: Ticket },
    /// The body could not be read.
    Unreadable,
    /// Everything was looked at: the decision, until it is carried out.
    Judged(Option<Decision>),
}

/// A header value of the API's, which is mostly a UUID.
pub(super) type ApiText = smallvec::SmallVec<[u8; 36]>;

/// What is known of a request's invocation: `$lambda_*`.
#[derive(Clone, Debug, Default)]
pub(super) struct Invocation {
    /// `$lambda_request_id`
    pub(super) request_id: Option<ApiText>,
    /// `$lambda_version`
    pub(super) version: Option<ApiText>,
    /// `$lambda_log`
    pub(super) log: Option<Box<str>>,
    /// `$lambda_error`
    pub(super) error: Option<Box<str>>,
}

/// One per client request; subrequests and internal redirects share it.
#[derive(Debug, Default)]
pub(super) struct RequestContext {
    /// What key_auth has found, for the set it looked in.
    pub(super) authenticated: Option<Authenticated>,
    /// What key_auth says of a failed key, while a store is asked how many there were.
    pub(super) failed: Option<Box<Decision>>,
    /// What the limits have found and charged.
    pub(super) limits: Limits,
    /// How far validation is.
    pub(super) validation: Option<Validation>,
    /// What is known of the invocation.
    pub(super) invocation: Option<Box<Invocation>>,
    /// What the policies came to.
    pub(super) record: Record,
    /// The refusal that ended the request, for its error body.
    pub(super) refusal: Option<Refusal>,
    /// Who refused, for the location of an error page.
    pub(super) refused: Option<Refused>,
    /// How many headers the response had when a policy answered in the handler's place: it needs no more of ours.
    pub(super) answered: Option<usize>,
    /// The `cors` of the location that was asked for, for error pages that come from elsewhere.
    pub(super) cors: Option<Arc<CorsPlan>>,
}

impl RequestContext {
    /// Whom the request comes from: the username, else what else the consumer is called.
    pub(super) fn consumer_name(&self) -> Option<&str> {
        let authenticated = self.authenticated.as_ref()?;
        let consumer = authenticated.version.consumer(authenticated.identity?.consumer())?;
        Some(consumer.name().as_str())
    }

    /// Keeps the refusal that ends the request in a location with this plan.
    pub(super) fn end_with(&mut self, refusal: Refusal, plan: &LocationPlan) {
        self.refused = Some(Refused::new(refusal.policy, plan));
        self.refusal = Some(refusal);
    }
}

/// The request's context, if any policy has met it.
///
/// # Safety
/// `request` is live, and no other reference to its context is.
pub(super) unsafe fn get<'a>(
    request: NonNull<ngx_http_request_t>,
) -> Option<&'a mut RequestContext> {
    // SAFETY: a request's `main` and `ctx` are set for all its life; the slot is only ever written below.
    unsafe {
        let main = (*request.as_ptr()).main;
        let slot = (*main).ctx.add(ngx_http_apigate_module.ctx_index);
        if (*slot).is_null() {
            *slot = find(main)?.as_ptr().cast();
        }
        Some(&mut *(*slot).cast::<RequestContext>())
    }
}

/// The request's context, made on first use; `None` when memory is short.
///
/// # Safety
/// As [`get`].
pub(super) unsafe fn get_or_create<'a>(
    request: NonNull<ngx_http_request_t>,
) -> Option<&'a mut RequestContext> {
    // SAFETY: as in `get`; the context lives in the main request's pool.
    unsafe {
        if let Some(context) = get(request) {
            return Some(context);
        }
        let main = (*request.as_ptr()).main;
        let made = memory::place_with((*main).pool, RequestContext::default)?;
        *(*main).ctx.add(ngx_http_apigate_module.ctx_index) = made.as_ptr().cast();
        Some(&mut *made.as_ptr())
    }
}

/// The context in its pool: internal redirects clear `r->ctx`, cleanups stay.
///
/// Source: ngx_http_internal_redirect, and ngx_http_realip_module's way out.
unsafe fn find(main: *mut ngx_http_request_t) -> Option<NonNull<RequestContext>> {
    // SAFETY: the pool's cleanup list is live with the request; only `memory::place` sets this handler.
    unsafe {
        let handler = memory::drop_in_pool::<RequestContext> as *const ();
        let mut cleanup = (*(*main).pool).cleanup;
        while let Some(entry) = cleanup.as_ref() {
            if entry.handler.is_some_and(|found| std::ptr::eq(found as *const (), handler)) {
                return NonNull::new(entry.data.cast());
            }
            cleanup = entry.next;
        }
        None
    }
}
