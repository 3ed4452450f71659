//! nginx's phases: one handler each, which walks the steps of pipeline.rs.

use super::authenticate;
use super::guard::{guard, guard_request};
use super::request::Request;
use super::respond;
use super::validation;
use super::{context, limit, log, mask, method as blocks, metrics};
use crate::config::LocationPlan;
use crate::decision::{Decision, Refusal};
use crate::pipeline::{Mode, Phase, Step, steps};
use crate::request::RequestHead;
use crate::{cors, method, path};
use nginx_sys::{
    NGX_DECLINED, NGX_ERROR, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_OK, ngx_array_push, ngx_array_t,
    ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_core_module,
    ngx_http_handler_pt, ngx_http_phase_t, ngx_http_phases_NGX_HTTP_ACCESS_PHASE,
    ngx_http_phases_NGX_HTTP_LOG_PHASE, ngx_http_phases_NGX_HTTP_POST_READ_PHASE,
    ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE, ngx_http_phases_NGX_HTTP_REWRITE_PHASE,
    ngx_http_phases_NGX_HTTP_SERVER_REWRITE_PHASE, ngx_http_request_t, ngx_int_t,
};
use std::ptr::NonNull;

const DECLINED: ngx_int_t = NGX_DECLINED as ngx_int_t;
const OK: ngx_int_t = NGX_OK as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
const INTERNAL_SERVER_ERROR: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;

/// nginx's own rewrite handler, which ours calls.
static mut STOCK_REWRITE: ngx_http_handler_pt = None;

/// Registers the handlers; NGX_ERROR when memory is short.
///
/// # Safety
/// Called in postconfiguration with nginx's cf.
pub(super) unsafe fn register(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard("phases", ERROR, || {
        // SAFETY: cf->ctx is the http context here, and the core module's main conf is in it.
        let phases = unsafe {
            let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let core = *(*http).main_conf.add(ngx_http_core_module.ctx_index);
            &mut (*core.cast::<ngx_http_core_main_conf_t>()).phases
        };
        // SAFETY: arrays of handlers, live while nginx configures.
        let done = unsafe { push_all(phases) };
        done.map_or(ERROR, |()| NGX_OK as ngx_int_t)
    })
}

/// # Safety
/// The phases are nginx's, while it configures.
unsafe fn push_all(phases: &mut [ngx_http_phase_t]) -> Option<()> {
    fn of(phases: &mut [ngx_http_phase_t], phase: u32) -> Option<&mut ngx_array_t> {
        phases.get_mut(phase as usize).map(|phase| &mut phase.handlers)
    }
    // SAFETY: arrays of handlers.
    unsafe {
        let server_rewrite = of(phases, ngx_http_phases_NGX_HTTP_SERVER_REWRITE_PHASE)?;
        let stock: Vec<ngx_http_handler_pt> = server_rewrite.as_slice().to_vec();
        push_last(server_rewrite, mask::server_rewrite_phase)?;
        wrap_rewrite(of(phases, ngx_http_phases_NGX_HTTP_REWRITE_PHASE)?, &stock)?;
        push_first(of(phases, ngx_http_phases_NGX_HTTP_ACCESS_PHASE)?, access_phase)?;
        let precontent = of(phases, ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE)?;
        push_last(precontent, precontent_phase)?;
        push_last(precontent, authenticate::precontent_phase)?;
        push_last(of(phases, ngx_http_phases_NGX_HTTP_POST_READ_PHASE)?, mask::post_read_phase)?;
        // The log phase alone runs from the first to the last.
        let log = of(phases, ngx_http_phases_NGX_HTTP_LOG_PHASE)?;
        push_first(log, log_phase)?;
        push_first(log, mask::log_phase)
    }
}

type Handler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// Takes the place of nginx's own rewrite handler, found as the one that is in both rewrite phases.
///
/// A handler beside it would break its test for the server's "null location", which runs server-level rewrites once.
unsafe fn wrap_rewrite(handlers: &mut ngx_array_t, stock: &[ngx_http_handler_pt]) -> Option<()> {
    // SAFETY: an array of handlers.
    let registered = unsafe { handlers.as_slice_mut::<ngx_http_handler_pt>() };
    match registered.iter_mut().find(|handler| stock.contains(handler)) {
        Some(handler) => {
            // SAFETY: nginx's main thread, while it configures.
            unsafe { STOCK_REWRITE = *handler };
            *handler = Some(rewrite_phase);
            Some(())
        }
        // SAFETY: the caller's.
        None => unsafe { push_last(handlers, rewrite_phase) },
    }
}

/// Handlers run from the last registered to the first: this one runs before those that are there.
unsafe fn push_last(handlers: &mut ngx_array_t, handler: Handler) -> Option<()> {
    // SAFETY: an array of handlers of a live pool.
    let slot = unsafe { ngx_array_push(handlers).cast::<ngx_http_handler_pt>().as_mut() }?;
    *slot = Some(handler);
    Some(())
}

/// This one runs after those that are there: after `allow`, `deny`, `auth_basic` and `auth_request`.
unsafe fn push_first(handlers: &mut ngx_array_t, handler: Handler) -> Option<()> {
    // SAFETY: an array of handlers of a live pool.
    unsafe {
        push_last(handlers, handler)?;
        handlers.as_slice_mut::<ngx_http_handler_pt>().rotate_right(1);
    }
    Some(())
}

unsafe extern "C" fn rewrite_phase(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request.
    let status = unsafe { before_rewrite(request) };
    // SAFETY: as above; the stock handler is set at configuration.
    match unsafe { STOCK_REWRITE } {
        // SAFETY: as above.
        Some(stock) if status == DECLINED => unsafe { stock(request) },
        _ => status,
    }
}

/// What comes before nginx's own handler: the status that ends the request, or NGX_DECLINED.
unsafe fn before_rewrite(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request.
    unsafe {
        let has_blocks = plan(request).is_some_and(|plan| plan.method.is_some());
        // where faults are armed, too
        if has_blocks || cfg!(feature = "fault-injection") {
            let status = switch(request);
            if status != DECLINED {
                return status;
            }
        }
        run(Phase::Rewrite, request)
    }
}

/// The plan of the location that the request is in now.
///
/// # Safety
/// The request is live or null.
unsafe fn plan<'a>(request: *mut ngx_http_request_t) -> Option<&'a LocationPlan> {
    // SAFETY: the caller's; configuration outlives requests.
    NonNull::new(request).map(|raw| unsafe { &Request::new(raw).conf().plan })
}

/// Hands the request over to the `method` block that holds for it.
unsafe fn switch(request: *mut ngx_http_request_t) -> ngx_int_t {
    guard_request("method block", request, INTERNAL_SERVER_ERROR, |raw| {
        // SAFETY: nginx hands a live request, in the rewrite phase.
        let request = unsafe { Request::new(raw) };
        #[cfg(feature = "fault-injection")]
        super::fault::arm(request.conf());
        // SAFETY: as above.
        unsafe { blocks::switch(request) }
    })
}

unsafe extern "C" fn access_phase(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request.
    unsafe { run(Phase::Access, request) }
}

unsafe extern "C" fn precontent_phase(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request.
    unsafe { run(Phase::Precontent, request) }
}

/// NGX_DECLINED to go on, a status to end the request, NGX_AGAIN or NGX_DONE while something is waited for.
unsafe fn run(phase: Phase, request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request.
    let is_asked = unsafe { plan(request) }.is_some_and(|plan| {
        plan.steps.have_any_of(phase) || (phase == Phase::Rewrite && plan.strips_identity)
    });
    if !is_asked {
        return DECLINED;
    }
    let what = match phase {
        Phase::Rewrite => "rewrite phase",
        Phase::Access => "access phase",
        Phase::Precontent => "precontent phase",
    };
    guard_request(what, request, INTERNAL_SERVER_ERROR, |raw| {
        // SAFETY: nginx hands a live request.
        let request = unsafe { Request::new(raw) };
        let plan = &request.conf().plan;
        if phase == Phase::Rewrite
            && plan.strips_identity
            && authenticate::strip_identity(request).is_none()
        {
            return INTERNAL_SERVER_ERROR;
        }
        // SAFETY: live; no other reference to the context is held here.
        let refused = unsafe { context::get(raw) }.and_then(|context| context.refused.clone());
        let has_spoken = |step| match &refused {
            // A page that tells of a refusal costs nothing.
            Some(_) if step == Step::RateLimit => request.shows_error(),
            Some(refused) => refused.is_by(step, plan),
            None => false,
        };
        for step in steps(phase).iter().filter(|step| plan.steps.have(**step)) {
            if has_spoken(*step) {
                continue;
            }
            match evaluate(*step, request) {
                Judged::Decided(Decision::Continue) => {}
                Judged::Decided(Decision::Refuse(refusal)) => {
                    if let Some(status) = settle(request, refusal) {
                        return status;
                    }
                }
                Judged::Decided(Decision::Answer(reply)) => {
                    return respond::answer(request, &reply);
                }
                Judged::Failed => return INTERNAL_SERVER_ERROR,
                Judged::Waits(status) => return status,
            }
        }
        // NGX_OK tells `satisfy any` that somebody was let in.
        if phase == Phase::Access && plan.key_auth.is_some() { OK } else { DECLINED }
    })
}

/// What came of a step.
pub(super) enum Judged {
    /// The policy's word, or `Continue` where it is not in force.
    Decided(Decision),
    /// The step goes on when something has come; the phase handler's status until then.
    Waits(ngx_int_t),
    /// Memory is short, or a part of the plan is missing.
    Failed,
}

/// Notes a refusal that is not carried out; the log phase tells of it.
pub(super) fn observe(request: Request<'_>, refusal: &Refusal) {
    // SAFETY: live; no other reference to the context is held here.
    if let Some(context) = unsafe { context::get_or_create(request.raw()) } {
        context.record.settle(Mode::Observe, refusal);
    }
}

/// Tells in one line of all that would have been refused, and counts the request.
unsafe extern "C" fn log_phase(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx hands a live request; no other reference to its context is held here.
    let is_asked = NonNull::new(request).is_some_and(|raw| unsafe {
        Request::new(raw).main_conf().metrics.is_some()
            || context::get(raw).is_some_and(|context| context.record.has_observed())
    });
    if !is_asked {
        return OK;
    }
    guard_request("log phase", request, OK, |raw| {
        // SAFETY: nginx hands a live request; no other reference to its context is held here.
        let (request, context) = unsafe { (Request::new(raw), context::get(raw)) };
        if let Some(text) = context.and_then(|context| context.record.observed()) {
            // the request is over, logging it is no news
            let level = log::Level::Notice;
            log::write_without_action(request.log(), level, format_args!("{text}"));
        }
        metrics::log_phase(request);
        OK
    })
}

/// The status that carries the refusal out; `None` when it is only observed.
fn settle(request: Request<'_>, refusal: Refusal) -> Option<ngx_int_t> {
    let mode = request.conf().plan.pipeline.mode;
    if !request.is_main() {
        // The context is that of the request that made this one, which is not refused.
        return (mode == Mode::Enforce).then(|| respond::announce(request, &refusal));
    }
    // SAFETY: live; no other reference to the context is held here.
    let Some(context) = (unsafe { context::get_or_create(request.raw()) }) else {
        return Some(INTERNAL_SERVER_ERROR);
    };
    let enforced = context.record.settle(mode, &refusal);
    enforced.then(|| respond::refuse(request, context, refusal))
}

fn evaluate(step: Step, request: Request<'_>) -> Judged {
    let plan = &request.conf().plan;
    let decision = match step {
        Step::CorsPreflight => cors_preflight(request),
        Step::Path => match &plan.path {
            Some(plan) if request.is_the_clients_own() => path::decide(plan, request.raw_uri()),
            _ => Decision::Continue,
        },
        Step::Method => match &plan.method {
            Some(methods) => method::decide(methods, request.method(), plan.cors.is_some()),
            None => Decision::Continue,
        },
        Step::KeyAuth => match &plan.key_auth {
            Some(plan) => return authenticate::key_auth(request, request.main_conf(), plan),
            None => Decision::Continue,
        },
        Step::Acl => match (&plan.acl, &plan.key_auth) {
            (Some(acl), Some(key_auth)) => {
                return authenticate::acl(request, request.main_conf(), acl, key_auth);
            }
            _ => Decision::Continue,
        },
        Step::RateLimit => match (&plan.rate_limit, &request.conf().limits) {
            (Some(plan), Some(location)) => return limit::rate_limit(request, plan, location),
            _ => Decision::Continue,
        },
        Step::ValidateHead => match &plan.validate {
            Some(plan) => return validation::head(request, plan),
            None => Decision::Continue,
        },
        Step::ValidateBody => match &plan.validate {
            Some(plan) => return validation::body(request, plan),
            None => Decision::Continue,
        },
    };
    Judged::Decided(decision)
}

fn cors_preflight(request: Request<'_>) -> Decision {
    match &request.conf().plan.cors {
        Some(plan) if request.is_main() => {
            // SAFETY: live; no other reference to the context is held here.
            if let Some(context) = unsafe { context::get_or_create(request.raw()) } {
                context.cors = Some(plan.clone());
            }
            cors::decide(plan, &request)
        }
        _ => Decision::Continue,
    }
}
