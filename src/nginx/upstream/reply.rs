//! Makes the client's response of the API's, once it is whole.

use super::call::{Again, Call};
use super::collect::filled;
use super::ending::{note, refuse};
use super::output::{end_without_body, pass_api_headers, write_reply};
use crate::lambda::reply::read_reply;
use crate::lambda::{ApiAnswer, Failure, Outcome, ResponseHead};
use crate::nginx::clock;
use crate::nginx::request::Request;
use nginx_sys::{
    NGX_ERROR, NGX_HTTP_UPSTREAM_INVALID_HEADER, NGX_OK, ngx_http_upstream_t, ngx_int_t,
};
use std::ops::Range;

const OK: ngx_int_t = NGX_OK as ngx_int_t;
const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
const INVALID: ngx_int_t = NGX_HTTP_UPSTREAM_INVALID_HEADER as ngx_int_t;
const ACCEPTED: u16 = 202;
const NO_CONTENT: u16 = 204;

/// The response is whole: the client's is made of it.
pub(super) fn finish(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &mut Call,
) -> ngx_int_t {
    // SAFETY: the buffer holds the head and the decoded body.
    let have: &[u8] = unsafe { filled(&upstream.buffer) };
    let Some(head) = call.response.head.take() else { return INVALID };
    let payload = have.get(head.length..call.response.decoded_end).unwrap_or_default();
    let location = call.location();
    upstream.set_keepalive(u32::from(!head.is_last));
    let outcome = outcome(have, &head, payload);
    note(request, have, &head, location.plan.log_tail);
    match outcome {
        Outcome::Reply => {
            let passed = pass_api_headers(request, upstream, &location.plan, have);
            match read_reply(payload, location.plan.pass.payload) {
                _ if passed.is_none() => ERROR,
                Ok(reply) => write_reply(request, upstream, call, reply),
                Err(invalid) => refuse(request, upstream, call, &Failure::InvalidReply(invalid)),
            }
        }
        Outcome::Accepted => end_with_status(request, upstream, call, have, ACCEPTED),
        Outcome::DryRun => end_with_status(request, upstream, call, have, NO_CONTENT),
        Outcome::CredentialsRejected(_) if !call.renewed => {
            call.renewed = true;
            super::renew::begin(upstream, call)
        }
        Outcome::ClockSkew { .. } if !call.renewed => {
            call.renewed = true;
            let date = head.date.and_then(|date| have.get(date)).unwrap_or_default();
            super::renew::correct_clock(call, &String::from_utf8_lossy(date))
        }
        refused if asks_again(call, &refused, head.status) => INVALID,
        refused => match Failure::from_outcome(refused) {
            Some(failure) => refuse(request, upstream, call, &failure),
            None => INVALID,
        },
    }
}

fn outcome(have: &[u8], head: &ResponseHead, payload: &[u8]) -> Outcome {
    let field = |range: &Option<Range<usize>>| range.clone().and_then(|range| have.get(range));
    let answer = ApiAnswer {
        status: head.status,
        error_type: field(&head.error_type),
        function_error: field(&head.function_error),
        retry_after: field(&head.retry_after),
        date: field(&head.date),
        body: payload,
    };
    // Against the time that was signed with, so that a clock once corrected is not blamed again.
    Outcome::new(&answer, i64::try_from(clock::aws_s()).unwrap_or(i64::MAX))
}

/// True when the plan has another attempt made for this answer of the API, which did not run the function.
fn asks_again(call: &mut Call, outcome: &Outcome, status: u16) -> bool {
    let retry = &call.location().retry;
    let status = if matches!(outcome, Outcome::Throttled { .. }) { 429 } else { status };
    let is_api = matches!(outcome, Outcome::Throttled { .. } | Outcome::Api(_));
    if !is_api || !retry.conditions.covers_status(status) {
        return false;
    }
    call.answered += 1;
    if !retry.has_tries_left(call.answered) {
        return false;
    }
    call.again = Some(Again::Ready);
    true
}

fn end_with_status(
    request: Request<'_>,
    upstream: &mut ngx_http_upstream_t,
    call: &Call,
    have: &[u8],
    status: u16,
) -> ngx_int_t {
    if pass_api_headers(request, upstream, &call.location().plan, have).is_none() {
        return ERROR;
    }
    upstream.headers_in.status_n = status.into();
    end_without_body(upstream, if status == NO_CONTENT { -1 } else { 0 });
    OK
}
