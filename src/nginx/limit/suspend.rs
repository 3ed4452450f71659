//! Requests that wait for a store, woken by its answer.

use crate::nginx::context;
use crate::nginx::request::Request;
use crate::nginx::suspend;
use crate::rate_limit::fleet::{Numbers, StoreError};

pub(super) use crate::nginx::suspend::suspend;

/// A request's place among those that wait; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    place: suspend::Ticket,
    /// What came back.
    pub(super) answer: Option<Result<Numbers, StoreError>>,
}

impl Ticket {
    /// A place for a request whose context will own it.
    pub(super) fn new(request: Request<'_>) -> Self {
        Self { place: suspend::Ticket::new(request), answer: None }
    }

    /// What the request is called by.
    pub(super) fn number(&self) -> u64 {
        self.place.number()
    }
}

/// Wakes the request of this number with its answer, unless it is gone. Called from the event loop.
pub(super) fn resume(number: u64, answer: Result<Numbers, StoreError>) {
    suspend::resume(number, |request| {
        // SAFETY: live; no other reference to the context is held here.
        let context = unsafe { context::get(request.raw()) };
        let ticket =
            context.and_then(|context| context.limits.as_mut()).and_then(|limits| limits.ticket());
        if let Some(ticket) = ticket.filter(|ticket| ticket.number() == number) {
            ticket.answer = Some(answer);
        }
    });
}
