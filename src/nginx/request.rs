//! A safe view of a request.

use super::conf::LocationConf;
use super::main_conf::MainConf;
use super::memory;
use super::module::ngx_http_apigate_module;
use crate::request::{Header, RequestHead};
use nginx_sys::{
    ngx_http_complex_value_t, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_request_t,
    ngx_list_part_t, ngx_log_t, ngx_str_t, ngx_table_elt_t,
};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::NonNull;

/// HTTP/1.1 as nginx counts.
const HTTP_1_1: usize = 1001;

/// A live request. Borrowed bytes are of its pool and valid while it lives.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    raw: NonNull<ngx_http_request_t>,
    life: std::marker::PhantomData<&'a ngx_http_request_t>,
}

impl<'a> Request<'a> {
    /// # Safety
    /// `raw` is live for `'a`.
    pub(super) unsafe fn new(raw: NonNull<ngx_http_request_t>) -> Self {
        Self { raw, life: std::marker::PhantomData }
    }

    /// nginx's own request, for calls of its functions.
    pub(super) fn raw(self) -> NonNull<ngx_http_request_t> {
        self.raw
    }

    fn get(self) -> &'a ngx_http_request_t {
        // SAFETY: `new`'s caller answers for the life.
        unsafe { self.raw.as_ref() }
    }

    fn bytes(self, text: ngx_str_t) -> &'a [u8] {
        // SAFETY: strings of a request lie in its pool or its connection's buffers, which outlive it.
        unsafe { memory::bytes(text) }
    }

    /// True for the client's own request, false for a subrequest.
    pub(super) fn is_main(self) -> bool {
        std::ptr::eq(self.get().main, self.raw.as_ptr())
    }

    /// True when nginx itself sent the request here: a rewrite, an error page, an internal redirect.
    pub(super) fn is_internal(self) -> bool {
        self.get().internal() != 0
    }

    /// False in a subrequest and on the way to an `error_page`, whose URIs are the configuration's.
    pub(super) fn is_the_clients_own(self) -> bool {
        self.is_main() && self.get().error_page() == 0
    }

    /// True on the way to an `error_page` that does not change the status; named locations, which keep method and body, excepted.
    pub(super) fn shows_error(self) -> bool {
        self.get().err_status != 0 && self.core_conf().named() == 0
    }

    /// True when a filter has made an error of the response, whose headers nginx has cleared then.
    ///
    /// *Source*: ngx_http_filter_finalize_request.
    pub(super) fn is_filters_error(self) -> bool {
        self.get().filter_finalize() != 0
    }

    /// True when the response has this status.
    pub(super) fn has_status(self, status: u16) -> bool {
        self.get().headers_out.status == usize::from(status)
    }

    /// The status as the access log has it; 0 when there was none. *Source*: ngx_http_log_status.
    pub(super) fn final_status(self) -> u16 {
        let request = self.get();
        let status = match (request.err_status, request.headers_out.status) {
            (0, 0) if request.http_version == 9 => 9,
            (0, status) => status,
            (status, _) => status,
        };
        u16::try_from(status).unwrap_or(0)
    }

    /// When the request began, in milliseconds since 1970.
    pub(super) fn started_ms(self) -> u64 {
        let (seconds, milliseconds) = (self.get().start_sec, self.get().start_msec);
        u64::try_from(seconds).unwrap_or(0) * 1_000 + milliseconds as u64
    }

    /// The URI as received, query included.
    pub(super) fn raw_uri(self) -> &'a [u8] {
        self.bytes(self.get().unparsed_uri)
    }

    /// The module's configuration of the location that the request is in.
    pub(super) fn conf(self) -> &'a LocationConf {
        // SAFETY: conf.rs makes one for every level, and configuration outlives requests.
        unsafe {
            &*(*self.get().loc_conf.add(ngx_http_apigate_module.ctx_index)).cast::<LocationConf>()
        }
    }

    /// What the request's location is called: its `route`, else nginx's name of it.
    pub(super) fn route(self) -> Cow<'a, str> {
        match &self.conf().plan.route {
            Some(route) => route.label().into(),
            None => String::from_utf8_lossy(self.bytes(self.core_conf().name)),
        }
    }

    /// nginx's own configuration of the location.
    pub(super) fn core_conf(self) -> &'a ngx_http_core_loc_conf_t {
        // SAFETY: the core module makes one for every level.
        unsafe {
            &*(*self.get().loc_conf.add(ngx_http_core_module.ctx_index))
                .cast::<ngx_http_core_loc_conf_t>()
        }
    }

    /// The connection's log, with the request in its lines.
    pub(super) fn log(self) -> *mut ngx_log_t {
        // SAFETY: a request has a connection for all its life.
        unsafe { (*self.get().connection).log }
    }

    /// The header lines; not to be kept over a change of them (edit.rs).
    pub(super) fn header_lines(self) -> impl Iterator<Item = Header<'a>> {
        // SAFETY: the list is live with the request.
        let lines = unsafe { lines(&self.get().headers_in.headers.part) };
        lines.map(move |line| Header {
            hash: line.hash,
            // SAFETY: nginx's parsers set lowcase_key for every request header, of key's length.
            lowercase_name: unsafe {
                memory::bytes(ngx_str_t { len: line.key.len, data: line.lowcase_key })
            },
            value: self.bytes(line.value),
        })
    }

    /// What `http` alone holds.
    pub(super) fn main_conf(self) -> &'a MainConf {
        // SAFETY: main_conf.rs makes one for every configuration, which outlives requests.
        unsafe {
            let index = ngx_http_apigate_module.ctx_index;
            &*(*self.get().main_conf.add(index)).cast::<MainConf>()
        }
    }

    /// True for HEAD.
    pub(super) fn is_head(self) -> bool {
        self.get().method == nginx_sys::NGX_HTTP_HEAD as usize
    }

    /// The method as received.
    pub(super) fn method_bytes(self) -> &'a [u8] {
        self.bytes(self.get().method_name)
    }

    /// The location's `client_max_body_size`; 0 for bodies of any length.
    pub(super) fn max_body_bytes(self) -> u64 {
        u64::try_from(self.core_conf().client_max_body_size).unwrap_or(0)
    }

    /// The Content-Length, when there is one.
    pub(super) fn content_length(self) -> Option<usize> {
        usize::try_from(self.get().headers_in.content_length_n).ok()
    }

    /// The path as received, percent-encoding kept, without query and fragment: nginx ends the path at either.
    pub(super) fn raw_path(self) -> &'a [u8] {
        let uri = self.bytes(self.get().unparsed_uri);
        let end = uri.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(uri.len());
        uri.get(..end).unwrap_or(uri)
    }

    /// The whole URI as received, the query included.
    pub(super) fn unparsed_uri(self) -> &'a [u8] {
        self.bytes(self.get().unparsed_uri)
    }

    /// `$uri`: decoded once, dot segments resolved, or what a rewrite made of it.
    pub(super) fn normalised_path(self) -> &'a [u8] {
        self.bytes(self.get().uri)
    }

    /// False once a `rewrite ... break` has made another path, which need not begin with the location's name.
    pub(super) fn is_path_of_location(self) -> bool {
        self.get().valid_location() != 0
    }

    /// The host that the client asked for, port included; empty when it named none.
    ///
    /// A whole URI in the request line goes before `Host`, as it does for nginx's choice of a server.
    ///
    /// *Source*: RFC 9112 section 3.2.2.
    pub(super) fn host(self) -> &'a [u8] {
        if let Some(authority) = self.authority() {
            return authority;
        }
        // SAFETY: null or a line of the request's headers.
        match unsafe { self.get().headers_in.host.as_ref() } {
            Some(line) => self.bytes(line.value),
            None => self.bytes(self.get().headers_in.server),
        }
    }

    /// The host and port of a whole URI, or of `:authority`.
    fn authority(self) -> Option<&'a [u8]> {
        let request = self.get();
        if request.host_start.is_null() {
            return None;
        }
        // SAFETY: nginx's parser set the pointers, all into the request line or a header's value, which live as the request.
        let (host, rest) = unsafe {
            let length = |from: *mut u8, to: *mut u8| usize::try_from(to.offset_from(from)).ok();
            let host = length(request.host_start, request.host_end)?;
            let is_line = request.http_version <= HTTP_1_1 && !request.request_end.is_null();
            let rest = if is_line { length(request.host_end, request.request_end)? } else { 0 };
            (host, std::slice::from_raw_parts(request.host_end, rest))
        };
        // The parser leaves out the port of a request line.
        let digits = |rest: &[u8]| rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let port = rest.strip_prefix(b":").map_or(0, |rest| 1 + digits(rest));
        // SAFETY: as above; the port stands right behind the host.
        Some(unsafe { std::slice::from_raw_parts(request.host_start, host + port) })
    }

    /// `$server_protocol`
    pub(super) fn protocol(self) -> &'a str {
        match std::str::from_utf8(self.bytes(self.get().http_protocol)) {
            Ok(protocol) if !protocol.is_empty() => protocol,
            _ => "HTTP/1.0",
        }
    }

    /// True when the client's connection is TLS.
    pub(super) fn is_tls(self) -> bool {
        // SAFETY: a request has a connection for all its life.
        unsafe { !(*self.get().connection).ssl.is_null() }
    }

    /// The port that the client connected to.
    pub(super) fn server_port(self) -> u16 {
        let text = std::str::from_utf8(self.variable("server_port")).unwrap_or_default();
        text.parse().unwrap_or(0)
    }

    /// The client's address after real_ip.
    pub(super) fn client_address_text(self) -> &'a [u8] {
        // SAFETY: as above.
        unsafe { self.bytes((*self.get().connection).addr_text) }
    }

    /// The client's address after real_ip; `None` on a Unix-domain socket.
    pub(super) fn client_address(self) -> Option<IpAddr> {
        // SAFETY: a connection has an address of its family for all its life; real_ip replaces it whole.
        unsafe {
            let address = (*self.get().connection).sockaddr;
            match i32::from(address.as_ref()?.sa_family) {
                libc::AF_INET => {
                    let address = &*address.cast::<libc::sockaddr_in>();
                    Some(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()).into())
                }
                libc::AF_INET6 => {
                    let address = &*address.cast::<libc::sockaddr_in6>();
                    Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
                }
                _ => None,
            }
        }
    }

    /// The peer's address before real_ip; `None` for one that is no IP address.
    pub(super) fn peer_address(self) -> Option<std::net::IpAddr> {
        let before = self.variable("realip_remote_addr");
        let text = if before.is_empty() { self.client_address_text() } else { before };
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// The location's name as written.
    pub(super) fn location_name(self) -> &'a str {
        std::str::from_utf8(self.bytes(self.core_conf().name)).unwrap_or_default()
    }

    /// A complex value's text; `None` when memory is short.
    pub(super) fn evaluate(self, value: &ngx_http_complex_value_t) -> Option<&'a [u8]> {
        let mut text = ngx_str_t::default();
        let value = std::ptr::from_ref(value).cast_mut();
        // SAFETY: both are live; nginx does not write through the value.
        let status =
            unsafe { nginx_sys::ngx_http_complex_value(self.raw.as_ptr(), value, &mut text) };
        (status == 0).then(|| self.bytes(text))
    }

    /// `$request_id`
    pub(super) fn id(self) -> &'a [u8] {
        self.main_conf().request_ids.id_of(self)
    }

    /// A variable by its lower-case name; empty when it is not found.
    pub(super) fn variable(self, name: &'static str) -> &'a [u8] {
        self.lookup(memory::static_str(name)).unwrap_or_default()
    }

    /// A variable by a name that may have capitals; `None` when there is none.
    pub(super) fn named_variable(self, name: &str) -> Option<&'a [u8]> {
        let lowercase = name.to_ascii_lowercase();
        self.lookup(ngx_str_t { len: lowercase.len(), data: lowercase.as_ptr().cast_mut() })
    }

    fn lookup(self, mut name: ngx_str_t) -> Option<&'a [u8]> {
        // SAFETY: the name is in lower case and lives for the call, the key is its hash, as ngx_http_get_variable wants.
        unsafe {
            let key = nginx_sys::ngx_hash_key(name.data, name.len);
            let value = nginx_sys::ngx_http_get_variable(self.raw.as_ptr(), &mut name, key);
            match value.as_ref() {
                Some(value) if value.not_found() == 0 && !value.data.is_null() => {
                    Some(self.bytes(ngx_str_t { len: value.len() as usize, data: value.data }))
                }
                _ => None,
            }
        }
    }
}

impl RequestHead for Request<'_> {
    fn method(&self) -> &[u8] {
        self.bytes(self.get().method_name)
    }

    fn query(&self) -> &[u8] {
        self.bytes(self.get().args)
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.header_lines()
    }
}

/// The lines of a header list.
///
/// # Safety
/// The list is live and not changed while its lines are borrowed.
pub(super) unsafe fn lines(first: &ngx_list_part_t) -> impl Iterator<Item = &ngx_table_elt_t> {
    let mut part = Some(first);
    std::iter::from_fn(move || {
        let current = part?;
        // SAFETY: parts are linked until null, as ngx_list_push makes them.
        part = unsafe { current.next.as_ref() };
        // SAFETY: a part has `nelts` elements at `elts`.
        Some(unsafe {
            match current.nelts {
                0 => &[],
                count => std::slice::from_raw_parts(current.elts.cast::<ngx_table_elt_t>(), count),
            }
        })
    })
    .flatten()
}
