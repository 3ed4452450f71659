//! lambda_pass as a content handler: reads the body, builds the event, starts the upstream.

use super::call::Call;
use super::event::write_payload;
use super::location::{Function, LATEST, LambdaLocation, Unreached};
use super::url::UrlRequest;
use super::{collect, ending, output, request_head, spare};
use crate::lambda::event::trace_id;
use crate::lambda::{ErrorName, Failure, FunctionName};
use crate::nginx::guard::guard;
use crate::nginx::request::Request;
use crate::nginx::{body, clock, log, memory};
use nginx_sys::{
    NGX_DONE, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SPECIAL_RESPONSE, NGX_OK,
    ngx_http_finalize_request, ngx_http_read_client_request_body, ngx_http_request_t,
    ngx_http_upstream_create, ngx_http_upstream_init, ngx_int_t,
};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

const FAILED: ngx_int_t = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
/// Room for request line, headers and signature with a session token.
const HEAD_BYTES: usize = 1536;
/// How soon a client may try again while there are no credentials, or no region.
const RETRY_AFTER_S: u32 = 1;
const NOT_YET: Failure = Failure::NoCredentials { retry_after_s: RETRY_AFTER_S };

/// Answers a request of a location with lambda_pass.
pub(in crate::nginx) fn handle(request: Request<'_>, location: &LambdaLocation) -> ngx_int_t {
    if request.content_length().is_some_and(|length| length > location.plan.max_request_bytes) {
        let function = function(request, location).ok();
        let label = function.as_ref().map_or(&location.plan.pass.text, |function| &function.label);
        return ending::refuse_early(request, location, Some(&**label), &Failure::TooLarge);
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

/// Makes the call and hands it to an upstream, or says with which status the request ends.
fn begin(request: Request<'_>, location: &LambdaLocation) -> Result<(), ngx_int_t> {
    let refuse = |label, failure| ending::refuse_early(request, location, label, &failure);
    let function = function(request, location).map_err(|failure| refuse(None, failure))?;
    let body = body::whole(request).ok_or(FAILED)?;
    let call = prepare(request, location, &function, &body)
        .map_err(|failure| refuse(Some(&*function.label), failure))?;
    let raw = request.raw();
    let is_tls = call.destination.is_tls;
    let conf = call.destination.conf();
    // SAFETY: live; the call lives in the request's pool, and so as long as its upstream.
    unsafe {
        if ngx_http_upstream_create(raw.as_ptr()) != NGX_OK as ngx_int_t {
            return Err(FAILED);
        }
        let call = memory::place((*raw.as_ptr()).pool, call).ok_or(FAILED)?;
        let upstream = &mut *(*raw.as_ptr()).upstream;
        upstream.schema = memory::static_str(if is_tls { "https://" } else { "http://" });
        upstream.output.tag = (&raw mut crate::nginx::module::ngx_http_apigate_module).cast();
        upstream.conf = conf;
        upstream.set_ssl(u32::from(is_tls));
        upstream.create_request = Some(request_head::create_request);
        upstream.reinit_request = Some(request_head::reinit_request);
        upstream.process_header = Some(collect::process_header);
        upstream.abort_request = Some(abort_request);
        upstream.finalize_request = Some(ending::finalize_request);
        upstream.input_filter_init = Some(output::input_filter_init);
        upstream.input_filter = Some(output::input_filter);
        upstream.input_filter_ctx = call.as_ptr().cast();
        upstream.set_buffering(0);
        upstream.set_accel(0);
    }
    Ok(())
}

unsafe extern "C" fn abort_request(_request: *mut ngx_http_request_t) {}

fn prepare(
    request: Request<'_>,
    location: &LambdaLocation,
    function: &Rc<Function>,
    body: &[u8],
) -> Result<Call, Failure> {
    let (generation, credentials) = location.credentials().current().ok_or(NOT_YET)?;
    let destination = location.destination(request.main_conf(), &function.name);
    let destination = destination.map_err(|unreached| match unreached {
        Unreached::Pending => NOT_YET,
        Unreached::TooMany => Failure::NoDestination,
    })?;
    if destination.is_pending() {
        return Err(NOT_YET);
    }
    let trace_id = trace_id(&request, request.id(), clock::cached_ms());
    let mut payload = spare::take();
    let mut url = None;
    match &function.name {
        FunctionName::Api(_) => {
            let written = write_payload(request, location, &trace_id, body, &mut payload);
            written.ok_or(Failure::TooLarge)?;
        }
        FunctionName::Url(name) => {
            if body.len() > location.plan.max_request_bytes {
                return Err(Failure::TooLarge);
            }
            payload.extend_from_slice(body);
            url = Some(UrlRequest::new(request, location, name, &trace_id, body));
        }
    }
    let mut head = spare::take();
    head.reserve(HEAD_BYTES);
    Ok(Call {
        request: request.raw(),
        location: NonNull::from(location),
        function: Rc::clone(function),
        destination,
        url,
        credentials: Arc::clone(&credentials),
        generation,
        trace_id,
        payload,
        payload_sha256: [0; 32],
        head,
        response: Default::default(),
        body: Vec::new(),
        renewed: false,
        again: None,
        answered: 0,
        wait_until_ms: 0,
        // SAFETY: an all-zero event is one that is not armed.
        timer: unsafe { std::mem::zeroed() },
        stock_recv: None,
        failed: None,
    })
}

/// The function that the request invokes; a name that is none is in the log.
fn function(request: Request<'_>, location: &LambdaLocation) -> Result<Rc<Function>, Failure> {
    if let Some(function) = &location.function {
        return Ok(Rc::clone(function));
    }
    let text = location.template.as_ref().and_then(|template| request.evaluate(template));
    let name = text.and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| {
        if location.is_latest {
            FunctionName::parse(&format!("{text}{LATEST}"))
        } else {
            FunctionName::parse(text)
        }
    });
    let function = name.map(|name| Rc::new(Function::new(name, location.plan.pass.stream)));
    function.ok_or_else(|| {
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        log::write(
            request.log(),
            log::Level::Error,
            format_args!("lambda: \"{text}\" names no function"),
        );
        Failure::Api(ErrorName::new(b"invalid.function"))
    })
}
