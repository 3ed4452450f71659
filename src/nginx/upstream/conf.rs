//! What an upstream of nginx needs to know, set as the directives of ngx_http_proxy_module would.

use super::destination::milliseconds;
use crate::lambda::LambdaPlan;
use crate::nginx::memory;
use nginx_sys::{
    NGX_HTTP_UPSTREAM_FT_ERROR, NGX_HTTP_UPSTREAM_FT_INVALID_HEADER,
    NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT, NGX_HTTP_UPSTREAM_FT_TIMEOUT, NGX_OK, ngx_array_t,
    ngx_cacheline_size, ngx_conf_t, ngx_hash_init_t, ngx_http_complex_value_t,
    ngx_http_upstream_conf_t, ngx_http_upstream_hide_headers_hash, ngx_int_t, ngx_pagesize,
    ngx_str_t,
};

/// Headers of replies that nginx makes itself or takes for orders.
const HIDDEN_HEADERS: [&str; 8] = [
    "Date",
    "Server",
    "X-Pad",
    "X-Accel-Expires",
    "X-Accel-Redirect",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
];
/// The buffer through which streams pass.
const STREAM_BUFFER_BYTES: usize = 16 * 1024;

/// All of it but the upstream itself and TLS; `None` when memory is short.
///
/// # Safety
/// `cf` is nginx's, in a merge.
pub(super) unsafe fn upstream_conf(
    cf: *mut ngx_conf_t,
    plan: &LambdaPlan,
) -> Option<ngx_http_upstream_conf_t> {
    let unset = usize::MAX as *mut ngx_array_t;
    // SAFETY: all-zero is how nginx's modules begin; pointers are null or set below.
    let mut conf: ngx_http_upstream_conf_t = unsafe { std::mem::zeroed() };
    conf.connect_timeout = milliseconds(plan.connect_timeout);
    conf.send_timeout = milliseconds(plan.send_timeout);
    conf.read_timeout = milliseconds(plan.read_timeout);
    conf.next_upstream_timeout = milliseconds(plan.next_upstream_timeout);
    // The first piece of a response; collect.rs makes room for what its length tells.
    // SAFETY: set by nginx before it reads configurations.
    conf.buffer_size = unsafe { ngx_pagesize };
    if plan.pass.stream || plan.pass.may_be_url() {
        conf.buffer_size = conf.buffer_size.max(STREAM_BUFFER_BYTES);
    }
    conf.request_buffering = 1;
    conf.pass_request_headers = 1;
    conf.pass_request_body = 1;
    // Everything that follows a failed connection, so that the decision is peer.rs's. Without an address there is none to
    // take: nginx would ask for ever.
    conf.next_upstream = (NGX_HTTP_UPSTREAM_FT_ERROR
        | NGX_HTTP_UPSTREAM_FT_TIMEOUT
        | NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
        | NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT) as _;
    conf.hide_headers = unset;
    conf.pass_headers = unset;
    conf.socket_keepalive = 1;
    conf.ssl_session_reuse = 1;
    conf.ssl_server_name = 1;
    conf.ssl_verify = isize::from(plan.ssl_verify);
    conf.module = memory::static_str("lambda");
    // SAFETY: the caller's.
    unsafe { hide_headers(cf, plan, &mut conf)? };
    Some(conf)
}

/// Builds the hash of headers that clients do not get. Without one nginx divides by zero.
unsafe fn hide_headers(
    cf: *mut ngx_conf_t,
    plan: &LambdaPlan,
    conf: &mut ngx_http_upstream_conf_t,
) -> Option<()> {
    let passed = |name: &str| plan.pass_headers.iter().any(|it| it.eq_ignore_ascii_case(name));
    let hidden = HIDDEN_HEADERS.iter().copied().chain(plan.hide_headers.iter().map(|it| &**it));
    let mut names = Vec::new();
    // SAFETY: cf's pool is live; nginx copies what it keeps; the dummy outer conf has no hash to share.
    unsafe {
        for name in hidden.filter(|name| !passed(name)) {
            names.push(memory::copy((*cf).pool, name.as_bytes())?);
        }
        names.push(ngx_str_t::default());
        let mut hash: ngx_hash_init_t = std::mem::zeroed();
        hash.max_size = 512;
        hash.bucket_size = (64 + ngx_cacheline_size - 1) & !(ngx_cacheline_size - 1);
        hash.name = c"lambda_headers_hash".as_ptr().cast_mut();
        let mut outer: ngx_http_upstream_conf_t = std::mem::zeroed();
        outer.hide_headers = conf.hide_headers;
        outer.pass_headers = conf.pass_headers;
        let status = ngx_http_upstream_hide_headers_hash(
            cf,
            conf,
            &mut outer,
            names.as_mut_ptr(),
            &mut hash,
        );
        (status == NGX_OK as ngx_int_t).then_some(())
    }
}

/// A complex value that is constant text.
pub(super) struct Constant {
    value: ngx_http_complex_value_t,
    /// What `value` points to.
    _text: Box<str>,
}

impl Constant {
    /// The value of a text.
    pub(super) fn new(text: &str) -> Box<Self> {
        let text: Box<str> = text.into();
        // SAFETY: all-zero is a value without variables.
        let mut value: ngx_http_complex_value_t = unsafe { std::mem::zeroed() };
        value.value = ngx_str_t { len: text.len(), data: text.as_ptr().cast_mut() };
        Box::new(Self { value, _text: text })
    }

    /// For nginx, which only reads it; valid while the box lives.
    pub(super) fn as_ptr(&self) -> *mut ngx_http_complex_value_t {
        std::ptr::from_ref(&self.value).cast_mut()
    }
}
