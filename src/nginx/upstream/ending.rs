//! How invocations end that have no reply: what the client, the log and the variables are told.

use super::call::Call;
use super::location::{LambdaLocation, MAX_DESTINATIONS};
use super::output::{forget_headers, push, write_body};
use crate::decision::Refusal;
use crate::lambda::{Failure, ResponseHead, decode_log_tail};
use crate::nginx::context::{self, ApiText, Invocation, RequestContext};
use crate::nginx::guard::guard_request;
use crate::nginx::request::Request;
use crate::nginx::{log, metrics, respond};
use crate::pipeline::Mode;
use nginx_sys::{
    NGX_ERROR, NGX_HTTP_BAD_GATEWAY, NGX_HTTP_CLIENT_CLOSED_REQUEST, NGX_HTTP_GATEWAY_TIME_OUT,
    NGX_HTTP_SPECIAL_RESPONSE, NGX_OK, ngx_http_request_t, ngx_http_upstream_t, ngx_int_t,
};
use std::ops::Range;

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
/// HTTP/1.1 as nginx counts.
const HTTP_1_1: usize = 1001;

/// The context of the client's own request. What a subrequest comes to (`mirror`, `auth_request`) is not the request's.
fn own_context(request: Request<'_>) -> Option<&mut RequestContext> {
    // SAFETY: live; callers hold no other reference to the context.
    request.is_main().then(|| unsafe { context::get_or_create(request.raw()) }).flatten()
}

/// The status that ends a request whose invocation was not begun; without a `label`, the function's, the log has it already.
pub(super) fn refuse_early(
    request: Request<'_>,
    location: &LambdaLocation,
    label: Option<&str>,
    failure: &Failure,
) -> ngx_int_t {
    if let Some(label) = label {
        log_failure(request, label, failure, b"");
    }
    let refusal = failure.refusal(location.plan.function_error_status);
    metrics::count_invocation(request, location, failure.reason().as_str());
    let Some(context) = own_context(request) else { return ngx_int_t::from(refusal.status as i16) };
    context.invocation.get_or_insert_default().error = Some(failure.name().into());
    // There is nothing to go on with: `policy_mode observe` has no say.
    context.record.settle(Mode::Enforce, &refusal);
    respond::refuse(request, context, refusal)
}

/// Writes a refusal in the function's place; `error_page` may still have its status.
pub(super) fn refuse(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
    failure: &Failure,
) -> ngx_int_t {
    note_failure(request, call, failure);
    if call.response.stream.take().is_some() {
        forget_headers(upstream);
    }
    let refusal = failure.refusal(call.location().plan.function_error_status);
    upstream.headers_in.status_n = refusal.status.into();
    // From here on nginx looks into `error_page` for the status, as it does under proxy_intercept_errors.
    upstream.conf = call.destination.intercepting_conf();
    let content_type = request.conf().plan.pipeline.errors.content_type();
    let headers = refusal.headers.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in headers.chain([("Content-Type", content_type)]) {
        if push(request, upstream, name.as_bytes(), value.as_bytes()).is_none() {
            return ERROR;
        }
    }
    call.body = respond::error_body(request, refusal.status, Some(&refusal));
    remember(request, refusal);
    write_body(upstream, call, request.is_head());
    OK
}

/// Keeps a refusal for variables, logs and error pages.
fn remember(request: Request<'_>, refusal: Refusal) {
    if let Some(context) = own_context(request) {
        // What a function's failure came to is no policy's to observe: there is nothing to go on with.
        context.record.settle(Mode::Enforce, &refusal);
        context.end_with(refusal, &request.conf().plan);
    }
}

/// Remembers what `$lambda_*` variables show.
pub(super) fn note(request: Request<'_>, have: &[u8], head: &ResponseHead, log_tail: bool) {
    let bytes = |range: &Option<Range<usize>>| range.clone().and_then(|range| have.get(range));
    let Some(context) = own_context(request) else { return };
    context.invocation = Some(Box::new(Invocation {
        request_id: bytes(&head.request_id).map(Into::into),
        version: bytes(&head.executed_version).map(Into::into),
        log: bytes(&head.log_result).filter(|_| log_tail).and_then(decode_log_tail),
        error: None,
    }));
}

/// Remembers the log's tail that came at a stream's end, in base64.
pub(super) fn note_log(request: Request<'_>, log_result: &str) {
    if let Some(context) = own_context(request) {
        context.invocation.get_or_insert_default().log = decode_log_tail(log_result.as_bytes());
    }
}

/// Logs a failed invocation and remembers its `$lambda_error`.
fn note_failure(request: Request<'_>, call: &mut Call, failure: &Failure) {
    call.failed = Some(failure.reason());
    let mut request_id = ApiText::new();
    if let Some(context) = own_context(request) {
        let invocation = context.invocation.get_or_insert_default();
        invocation.error = Some(failure.name().into());
        request_id = invocation.request_id.clone().unwrap_or_default();
    }
    log_failure(request, &call.function.label, failure, &request_id);
}

fn log_failure(request: Request<'_>, label: &str, failure: &Failure, request_id: &[u8]) {
    let request_id = String::from_utf8_lossy(request_id);
    let name = failure.name();
    let detail = match failure {
        Failure::InvalidReply(invalid) => format!(", {invalid}"),
        Failure::AnswerTooLarge => ", response is over \"lambda_max_response\"".to_owned(),
        Failure::NoDestination => {
            format!(", {MAX_DESTINATIONS} destinations of \"lambda_pass\" are in use")
        }
        _ => String::new(),
    };
    log::write(
        request.log(),
        log::Level::Error,
        format_args!(
            "lambda: invocation failed, function={label}, error={name}{detail}, \
             request_id={request_id}"
        ),
    );
}

/// u->finalize_request: an end without a response of the API is an outcome too.
pub(super) unsafe extern "C" fn finalize_request(
    request: *mut ngx_http_request_t,
    status: ngx_int_t,
) {
    guard_request("invocation's end", request, (), |raw| {
        // SAFETY: nginx hands a live request whose upstream's input_filter_ctx the content handler set.
        let (request, call, sent) = unsafe {
            let upstream = &*(*raw.as_ptr()).upstream;
            let call = &mut *upstream.input_filter_ctx.cast::<Call>();
            (Request::new(raw), call, upstream.header_sent() != 0)
        };
        super::renew::cancel(call);
        if sent {
            end_of_stream(request, call, status);
        } else if call.failed.is_none()
            && let Some(failure) = failure_of(call, status)
        {
            note_failure(request, call, &failure);
            remember(request, failure.refusal(call.location().plan.function_error_status));
        }
        let outcome = match call.failed {
            Some(reason) => reason.as_str(),
            None if status == NGX_HTTP_CLIENT_CLOSED_REQUEST as ngx_int_t => "aborted",
            None => "success",
        };
        metrics::count_invocation(request, call.location(), outcome);
    });
}

fn failure_of(call: &mut Call, status: ngx_int_t) -> Option<Failure> {
    match u32::try_from(status).unwrap_or(0) {
        NGX_HTTP_GATEWAY_TIME_OUT => Some(Failure::Timeout),
        NGX_HTTP_BAD_GATEWAY => Some(call.response.failure.take().unwrap_or(Failure::Connect)),
        _ => None,
    }
}

/// A stream that ends before its end is cut off, so that the client cannot take it for whole.
fn end_of_stream(request: Request<'_>, call: &mut Call, status: ngx_int_t) {
    let is_whole = call.response.stream.as_ref().is_none_or(|stream| stream.is_over());
    let by_client = status == NGX_HTTP_CLIENT_CLOSED_REQUEST as ngx_int_t;
    if is_whole || by_client || status < NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t {
        return;
    }
    if let Some(failure) = failure_of(call, status) {
        note_failure(request, call, &failure);
    }
    // SAFETY: live; the option is set on the client's own socket, which nginx closes with the request.
    unsafe {
        let raw = request.raw().as_ptr();
        let connection = (*raw).connection;
        if request.is_main() && (*raw).http_version <= HTTP_1_1 && (*raw).chunked() == 0 {
            // Of a response without chunks a reset is the only sign that it is not whole.
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            libc::setsockopt(
                (*connection).fd,
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                std::ptr::from_ref(&linger).cast(),
                size_of::<libc::linger>() as libc::socklen_t,
            );
        }
    }
}
