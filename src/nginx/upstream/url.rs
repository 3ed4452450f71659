//! The request to a function URL: the client's own, its path as `proxy_pass` would send it.

use super::event::with_facts;
use super::location::LambdaLocation;
use crate::aws::canonical::canonical_path;
use crate::lambda::FunctionUrl;
use crate::lambda::event::{
    EventFacts, canonical_query, encode_query, event_path, push_path, write_url_head,
};
use crate::nginx::request::Request;
use crate::request::RequestHead;

/// A request to a function URL, ready to be signed.
pub(super) struct UrlRequest {
    pub(super) method: Box<[u8]>,
    /// Request line and headers.
    pub(super) head: Vec<u8>,
    pub(super) canonical_path: String,
    pub(super) canonical_query: String,
}

impl UrlRequest {
    /// The request as the URL's function gets it.
    pub(super) fn new(
        request: Request<'_>,
        location: &LambdaLocation,
        url: &FunctionUrl,
        trace_id: &[u8],
        body: &[u8],
    ) -> Self {
        let path = path(request, location, url);
        let query = encode_query(request.query());
        let mut target = path.clone();
        if !query.is_empty() {
            target.push(b'?');
            target.extend_from_slice(query.as_bytes());
        }
        let mut head = Vec::new();
        with_facts(request, location, &path, trace_id, body, |facts| {
            let facts = EventFacts { host: url.host().as_bytes(), ..*facts };
            write_url_head(&request, &facts, &target, &mut head);
        });
        Self {
            method: request.method_bytes().into(),
            head,
            canonical_path: canonical_path(&path),
            canonical_query: canonical_query(&query),
        }
    }
}

/// Without a path of the URL the client's, where it is the one that was authorised; else the URL's in place of the
/// location's, and after a `rewrite ... break` the rewritten one alone. A URL with variables is taken as it is.
///
/// *Source*: ngx_http_proxy_create_request.
fn path(request: Request<'_>, location: &LambdaLocation, url: &FunctionUrl) -> Vec<u8> {
    let Some(own) = url.path() else {
        return event_path(request.raw_path(), request.normalised_path()).into_owned();
    };
    let mut path = Vec::new();
    if location.template.is_some() {
        path.extend_from_slice(own.as_bytes());
    } else if request.is_path_of_location() {
        path.extend_from_slice(own.as_bytes());
        let rest = request.normalised_path().get(location.name_bytes..).unwrap_or_default();
        push_path(&mut path, rest);
    } else {
        push_path(&mut path, request.normalised_path());
    }
    path
}
