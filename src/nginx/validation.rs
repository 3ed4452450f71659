//! Validation at work on a request: the head, then the body as it has come, off the event loop when it is large.
//!
//! A subrequest is a part of the request that made it, whose body it has, and is not judged; nor is the way to an error
//! page, where nginx has thrown the body away and another refusal would hide the error.

use super::body::{self, Body};
use super::context::{self, RequestContext, Validation, ValidationState};
use super::log;
use super::phases::Judged;
use super::request::Request;
use super::suspend::{self, Ticket};
use super::worker;
use crate::decision::Decision;
use crate::lambda::event::event_path;
use crate::validate::{self, HeadFacts, ValidatePlan};
use std::borrow::Cow;
use std::sync::Arc;

/// Looks at operation and parameters.
pub(super) fn head(request: Request<'_>, plan: &Arc<ValidatePlan>) -> Judged {
    let Some(context) = context_of(request) else { return Judged::Failed };
    if is_not_judged(request) || validation_of(context, plan).is_some() {
        return Judged::Decided(Decision::Continue);
    }
    let mut parameters = Vec::new();
    let route = request.conf().plan.route.as_deref();
    let route = route.filter(|_| plan.path_parameter_names().next().is_some());
    let paths = route.map(|_| Paths::of(request));
    if let (Some(route), Some(paths)) = (route, &paths) {
        match paths.in_turn().find_map(|path| route.match_raw(path)) {
            Some(values) => {
                parameters.extend(values.iter().map(|(name, value)| (*name, Some(*value))))
            }
            None => parameters.extend(route.parameter_names().map(|name| (name, None))),
        }
    }
    let is_routed = |name: &&str| !parameters.iter().any(|(known, _)| known == name);
    let names = plan.path_parameter_names().filter(is_routed);
    let captures: Vec<_> = names.map(|name| (name, capture(request, name))).collect();
    let captures = captures.iter().filter(|(_, value)| value.is_some());
    parameters.extend(captures.map(|(name, value)| (*name, value.as_deref())));
    let facts = HeadFacts {
        head: &request,
        path: request.raw_path(),
        served_path: request.normalised_path(),
        path_parameters: &parameters,
        has_body: request.content_length().is_some_and(|length| length > 0),
        max_body_bytes: request.max_body_bytes(),
    };
    let outcome = validate::decide_head(plan, &facts);
    let state = match outcome.body {
        Some(check) => ValidationState::Body(check),
        None => ValidationState::Judged(None),
    };
    context.validation = Some(Validation { plan: Arc::clone(plan), state });
    Judged::Decided(outcome.decision)
}

/// The paths that a request can be said to have, percent-encoded.
struct Paths<'a> {
    /// What a function is told: as received, or resolved where nginx has resolved it.
    told: Cow<'a, [u8]>,
    /// As served, so that an encoded slash for which a template has no place is one, as it is to most applications.
    served: Cow<'a, [u8]>,
    /// As received, before a rewrite.
    received: Option<&'a [u8]>,
}

impl<'a> Paths<'a> {
    fn of(request: Request<'a>) -> Self {
        let (raw, served) = (request.raw_path(), request.normalised_path());
        let received = request.is_internal() && validate::is_resolved(raw);
        Self {
            told: event_path(raw, served),
            served: validate::encoded(served),
            received: received.then_some(raw),
        }
    }

    /// The paths in the order in which a template is tried.
    fn in_turn(&self) -> impl Iterator<Item = &[u8]> {
        [Some(&*self.told), Some(&*self.served), self.received].into_iter().flatten()
    }
}

/// Looks at the body, once all of it is there.
pub(super) fn body(request: Request<'_>, plan: &Arc<ValidatePlan>) -> Judged {
    if is_not_judged(request) {
        return Judged::Decided(Decision::Continue);
    }
    let Some(context) = context_of(request) else { return Judged::Failed };
    let Some(validation) = validation_of(context, plan) else {
        return Judged::Decided(Decision::Continue);
    };
    match &mut validation.state {
        // Nobody but the result should have brought us here.
        ValidationState::Away { .. } => Judged::Waits(suspend::suspend(request)),
        ValidationState::Judged(decision) => {
            Judged::Decided(decision.take().unwrap_or(Decision::Continue))
        }
        ValidationState::Unreadable => unreadable(request),
        ValidationState::Body(_) => {
            if let Body::Coming(status) = body::read(request) {
                return Judged::Waits(status);
            }
            check(request, validation)
        }
    }
}

fn check(request: Request<'_>, validation: &mut Validation) -> Judged {
    let ValidationState::Body(check) = &validation.state else { return Judged::Failed };
    if !check.is_heavy(body::length(request)) {
        let Some(bytes) = body::whole(request) else { return unreadable(request) };
        let decision = validate::decide_body(&validation.plan, check, &bytes);
        validation.state = ValidationState::Judged(None);
        return Judged::Decided(decision);
    }
    let Some(body) = body::detach(request) else { return unreadable(request) };
    let state = std::mem::replace(&mut validation.state, ValidationState::Judged(None));
    let ValidationState::Body(check) = state else { return Judged::Failed };
    let ticket = Ticket::new(request);
    let number = ticket.number();
    validation.state = ValidationState::Away { _ticket: ticket };
    let plan = Arc::clone(&validation.plan);
    worker::offload(move || {
        // Read here, so that bodies that wait for their turn lie in their files and not in memory.
        let decision = body.read().map(|bytes| validate::decide_body(&plan, &check, &bytes));
        worker::post(move || {
            suspend::resume(number, |request| {
                let validation = context_of(request).and_then(|it| it.validation.as_mut());
                if let Some(validation) = validation {
                    validation.state = match decision {
                        Some(decision) => ValidationState::Judged(Some(decision)),
                        None => ValidationState::Unreadable,
                    };
                }
            });
        });
    });
    Judged::Waits(suspend::suspend(request))
}

/// A body that is there and cannot be looked at must not pass for none.
fn unreadable(request: Request<'_>) -> Judged {
    log::write(
        request.log(),
        log::Level::Alert,
        format_args!("validate: cannot read the body's file"),
    );
    Judged::Failed
}

fn is_not_judged(request: Request<'_>) -> bool {
    !request.is_main() || request.shows_error()
}

fn context_of<'a>(request: Request<'a>) -> Option<&'a mut RequestContext> {
    // SAFETY: live; callers hold no other reference to the context.
    unsafe { context::get_or_create(request.raw()) }
}

/// The validation for this plan; one for another location's plan is over.
fn validation_of<'a>(
    context: &'a mut RequestContext,
    plan: &Arc<ValidatePlan>,
) -> Option<&'a mut Validation> {
    context.validation.as_mut().filter(|validation| Arc::ptr_eq(&validation.plan, plan))
}

/// The named capture of a regex location as it was sent: nginx matches what it has decoded. Where it has done more to the
/// path than that, or a rewrite has, the capture is encoded again, as far as that matters.
fn capture<'a>(request: Request<'a>, name: &str) -> Option<Cow<'a, [u8]>> {
    let value = request.named_variable(name).filter(|value| !value.is_empty())?;
    if let Some(sent) = as_sent(request, value) {
        return Some(Cow::Borrowed(sent));
    }
    Some(validate::encoded(value))
}

/// A capture lies in the path that it was captured from.
fn as_sent<'a>(request: Request<'a>, capture: &[u8]) -> Option<&'a [u8]> {
    let path = request.normalised_path();
    let from = capture.as_ptr().addr().checked_sub(path.as_ptr().addr())?;
    let part = from..from.checked_add(capture.len())?;
    validate::part_as_sent(request.raw_path(), path, part).filter(|_| from < path.len())
}
