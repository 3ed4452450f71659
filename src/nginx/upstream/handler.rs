//! lambda_pass as a content handler: reads the body, builds the event, starts the upstream.

use super::call::Call;
use super::location::{Function, LambdaLocation};
use super::{reply, request_head};
use crate::lambda::event::{EventFacts, Forwarded, event_path, strip_prefix, write_event};
use crate::lambda::{Failure, FunctionName};
use crate::nginx::guard::guard;
use crate::nginx::request::Request;
use crate::nginx::{body, clock, context, memory, respond};
use nginx_sys::{
    NGX_DONE, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SPECIAL_RESPONSE, NGX_OK,
    ngx_http_finalize_request, ngx_http_read_client_request_body, ngx_http_request_t,
    ngx_http_upstream_create, ngx_http_upstream_init, ngx_int_t,
};
use std::borrow::Cow;
use std::net::IpAddr;
use std::ptr::NonNull;
use std::sync::Arc;

const FAILED: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
/// Room for request line, headers and signature with a session token.
const HEAD_BYTES: usize = 1536;
/// How soon a client may try again while there are no credentials.
const CREDENTIALS_RETRY_AFTER_S: u32 = 1;

/// Answers a request of a location with lambda_pass.
pub(in crate::nginx) fn handle(request: Request<'_>, location: &LambdaLocation) -> ngx_int_t {
    if request.content_length().is_some_and(|length| length > location.plan.max_request_bytes) {
        return refuse(request, &Failure::TooLarge, location);
    }
    let raw = request.raw().as_ptr();
    // SAFETY: live; nginx calls `body_arrived` once, at once or later.
    unsafe {
        (*raw).set_request_body_in_single_buf(1);
        let status = ngx_http_read_client_request_body(raw, Some(body_arrived));
        if status >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t {
            return status;
        }
    }
    NGX_DONE as ngx_int_t
}

unsafe extern "C" fn body_arrived(request: *mut ngx_http_request_t) {
    // A panic must end the request, so that nothing but nginx's own functions stands outside of the guard.
    let Some(raw) = NonNull::new(request) else { return };
    let begun = guard("invocation", Err(FAILED), || {
        // SAFETY: nginx hands a live request.
        let request = unsafe { Request::new(raw) };
        match &request.conf().lambda {
            Some(location) => begin(request, location),
            None => Err(FAILED),
        }
    });
    // SAFETY: live; the upstream goes on by itself, a refusal ends the request.
    unsafe {
        match begun {
            Ok(()) => ngx_http_upstream_init(raw.as_ptr()),
            Err(status) => ngx_http_finalize_request(raw.as_ptr(), status),
        }
    }
}

fn refuse(request: Request<'_>, failure: &Failure, location: &LambdaLocation) -> ngx_int_t {
    // SAFETY: live; no other reference to the context is held here.
    let Some(context) = (unsafe { context::get_or_create(request.raw()) }) else { return FAILED };
    context.invocation.get_or_insert_default().error = Some(failure.name().into());
    let refusal = failure.refusal(location.plan.function_error_status);
    let mode = request.conf().plan.pipeline.mode;
    context.record.settle(mode, &refusal);
    respond::refuse(request, context, refusal)
}

/// Makes the call and hands it to an upstream, or says with which status the request ends.
fn begin(request: Request<'_>, location: &LambdaLocation) -> Result<(), ngx_int_t> {
    let Some((generation, credentials)) = location.credentials().current() else {
        let failure = Failure::NoCredentials { retry_after_s: CREDENTIALS_RETRY_AFTER_S };
        return Err(refuse(request, &failure, location));
    };
    let (target, label) = match &location.function {
        // SAFETY: configuration outlives requests.
        Some(Function { target, label }) => unsafe {
            (Cow::Borrowed(&*std::ptr::from_ref(target)), label.clone())
        },
        None => evaluate_function(request, location)?,
    };
    let mut payload = Vec::new();
    if write_payload(request, location, &mut payload).is_none() {
        return Err(refuse(request, &Failure::TooLarge, location));
    }
    let raw = request.raw();
    // SAFETY: live; the call lives in the request's pool, and so as long as its upstream.
    unsafe {
        if ngx_http_upstream_create(raw.as_ptr()) != NGX_OK as ngx_int_t {
            return Err(FAILED);
        }
        let call = Call {
            request: raw,
            location: NonNull::from(location),
            target,
            label,
            credentials: Arc::clone(&credentials),
            generation,
            payload,
            payload_sha256: [0; 32],
            head: Vec::with_capacity(HEAD_BYTES),
            response: Default::default(),
            body: Vec::new(),
            renewed: false,
            again: None,
            answered: 0,
            wait_until_ms: 0,
            timer: std::mem::zeroed(),
            stock_recv: None,
        };
        let call = memory::place((*raw.as_ptr()).pool, call).ok_or(FAILED)?;
        let upstream = &mut *(*raw.as_ptr()).upstream;
        upstream.schema = memory::static_str(if location.is_tls { "https://" } else { "http://" });
        upstream.output.tag = (&raw mut crate::nginx::module::ngx_http_apigate_module).cast();
        upstream.conf = location.conf();
        upstream.set_ssl(u32::from(location.is_tls));
        upstream.create_request = Some(request_head::create_request);
        upstream.reinit_request = Some(request_head::reinit_request);
        upstream.process_header = Some(reply::process_header);
        upstream.abort_request = Some(abort_request);
        upstream.finalize_request = Some(reply::finalize_request);
        upstream.input_filter_init = Some(reply::input_filter_init);
        upstream.input_filter = Some(reply::input_filter);
        upstream.input_filter_ctx = call.as_ptr().cast();
        upstream.set_buffering(0);
        upstream.set_accel(0);
    }
    Ok(())
}

unsafe extern "C" fn abort_request(_request: *mut ngx_http_request_t) {}

/// The function of a name with variables.
fn evaluate_function(
    request: Request<'_>,
    location: &LambdaLocation,
) -> Result<(Cow<'static, crate::lambda::InvokeTarget>, Box<str>), ngx_int_t> {
    let text = location.template.as_ref().and_then(|template| request.evaluate(template));
    let name = text.and_then(|text| std::str::from_utf8(text).ok()).and_then(FunctionName::parse);
    match name {
        Some(FunctionName::Api(function)) => {
            let label = FunctionName::Api(function.clone()).label().into();
            Ok((Cow::Owned(function.target(location.plan.pass.stream)), label))
        }
        _ => {
            let text = String::from_utf8_lossy(text.unwrap_or_default());
            crate::nginx::log::write(
                request.log(),
                crate::nginx::log::Level::Error,
                format_args!("lambda: \"{text}\" names no function"),
            );
            let name = crate::lambda::ErrorName::new(b"invalid.function");
            Err(refuse(request, &Failure::Api(name), location))
        }
    }
}

/// Writes the event; `None` when it is too large.
fn write_payload(request: Request<'_>, location: &LambdaLocation, out: &mut Vec<u8>) -> Option<()> {
    let plan = &location.plan;
    let path = event_path(request.raw_path(), request.normalised_path());
    let route = request.conf().plan.route.as_deref();
    let path_parameters = route.and_then(|route| route.match_path(&path)).unwrap_or_default();
    let stripped = match plan.strip_prefix.as_deref() {
        Some(prefix) => strip_prefix(&path, prefix),
        None => &path,
    };
    let host = request.host();
    let own = Forwarded {
        proto: if request.is_tls() { "https" } else { "http" },
        port: request.server_port(),
        host,
    };
    let is_trusted = !plan.forwarded_from.is_empty()
        && request
            .peer_address()
            .is_some_and(|peer: IpAddr| plan.forwarded_from.iter().any(|it| it.contains(peer)));
    let body = body::bytes(request);
    let facts = EventFacts {
        path: stripped,
        host,
        protocol: request.protocol(),
        client_address: request.client_address_text(),
        forwarded: Forwarded::decide(own, is_trusted, &request),
        request_id: request.variable("request_id"),
        time_ms: clock::cached_ms(),
        stage: plan.stage.as_deref(),
        route: route.map(|route| route.template()),
        location: request.location_name(),
        path_parameters: &path_parameters,
        body: body.as_deref(),
    };
    write_event(plan.pass.payload, &request, &facts, plan.max_request_bytes, out).ok()
}
