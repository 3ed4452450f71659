//! What of a request goes into an event, or into the request to a function URL.

use super::location::LambdaLocation;
use crate::lambda::event::{EventFacts, Forwarded, event_path, strip_prefix, write_event};
use crate::nginx::clock;
use crate::nginx::request::Request;
use std::net::IpAddr;

/// Appends the event; `None` when it is too large.
pub(super) fn write_payload(
    request: Request<'_>,
    location: &LambdaLocation,
    trace_id: &[u8],
    body: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let plan = &location.plan;
    let path = event_path(request.raw_path(), request.normalised_path());
    let stripped = match plan.strip_prefix.as_deref() {
        Some(prefix) => strip_prefix(&path, prefix),
        None => &path,
    };
    with_facts(request, location, &path, trace_id, body, |facts| {
        let facts = EventFacts { path: stripped, ..*facts };
        write_event(plan.pass.payload, &request, &facts, plan.max_request_bytes, out).ok()
    })
}

/// Gathers what there is to say about a request with this path, trace and body (empty when it has none).
pub(super) fn with_facts<T>(
    request: Request<'_>,
    location: &LambdaLocation,
    path: &[u8],
    trace_id: &[u8],
    body: &[u8],
    use_facts: impl FnOnce(&EventFacts<'_>) -> T,
) -> T {
    let plan = &location.plan;
    let route = request.conf().plan.route.as_deref();
    let path_parameters = route.and_then(|route| route.match_path(path)).unwrap_or_default();
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
    use_facts(&EventFacts {
        path,
        whole_path: path,
        host,
        protocol: request.protocol(),
        client_address: request.client_address_text(),
        forwarded: Forwarded::decide(own, is_trusted, &request),
        request_id: request.id(),
        trace_id,
        time_ms: clock::cached_ms(),
        stage: plan.stage.as_deref(),
        route: route.map(|route| route.template()),
        location: request.location_name(),
        path_parameters: &path_parameters,
        body: Some(body).filter(|body| !body.is_empty()),
    })
}
