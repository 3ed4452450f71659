//! What a location with `lambda_pass` calls with: made once, when its configuration is merged.

use super::pool::Settings;
use super::request_head;
use crate::aws::sigv4::Signer;
use crate::aws::{AwsPlan, Region};
use crate::directive::{DirectiveError, Place};
use crate::lambda::retry::RetryPlan;
use crate::lambda::{FunctionName, InvokeTarget, LambdaPlan, api_host};
use crate::nginx::credentials::CredentialCell;
use crate::nginx::main_conf::MainConf;
use crate::nginx::memory;
use nginx_sys::{
    NGX_HTTP_UPSTREAM_CREATE, NGX_HTTP_UPSTREAM_FT_ERROR, NGX_HTTP_UPSTREAM_FT_INVALID_HEADER,
    NGX_HTTP_UPSTREAM_FT_NOLIVE, NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT, NGX_HTTP_UPSTREAM_FT_TIMEOUT,
    NGX_OK, ngx_array_t, ngx_cacheline_size, ngx_conf_t, ngx_hash_init_t, ngx_http_conf_ctx_t,
    ngx_http_upstream_conf_t, ngx_http_upstream_hide_headers_hash, ngx_http_upstream_main_conf_t,
    ngx_http_upstream_module, ngx_http_upstream_srv_conf_t, ngx_int_t, ngx_msec_t, ngx_pagesize,
    ngx_str_t,
};
use std::cell::RefCell;
use std::net::IpAddr;
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

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

/// The function of a location whose `lambda_pass` has no variables.
#[derive(Debug)]
pub(super) struct Function {
    /// Where invocations go.
    pub(super) target: InvokeTarget,
    /// The name in logs.
    pub(super) label: Box<str>,
}

/// A location's `lambda_pass`, ready to be called.
pub(in crate::nginx) struct LambdaLocation {
    pub(super) plan: Arc<LambdaPlan>,
    pub(super) retry: RetryPlan,
    /// `None` when the name has variables.
    pub(super) function: Option<Function>,
    /// The name's template, when it has variables.
    pub(super) template: Option<Box<nginx_sys::ngx_http_complex_value_t>>,
    /// The text of `Host`, which is signed.
    pub(super) host: Box<str>,
    pub(super) is_tls: bool,
    /// The region that is signed for; `None` while only the instance's metadata know.
    region: Option<Region>,
    credentials: Rc<CredentialCell>,
    signer: RefCell<Option<Signer>>,
    conf: Box<ngx_http_upstream_conf_t>,
    /// The same, with `error_page` looked into for the status.
    intercepting: Box<ngx_http_upstream_conf_t>,
}

impl std::fmt::Debug for LambdaLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LambdaLocation").field("host", &self.host).finish_non_exhaustive()
    }
}

impl LambdaLocation {
    /// The location's call, or what about it cannot be made.
    ///
    /// # Safety
    /// `cf` is nginx's, in the merge of the level; `main` is its main conf.
    pub(in crate::nginx) unsafe fn build(
        cf: *mut ngx_conf_t,
        main: &mut MainConf,
        plan: &Arc<LambdaPlan>,
        aws: &AwsPlan,
    ) -> Result<Self, DirectiveError> {
        let place = &plan.pass.place;
        let of_name = plan.pass.function.as_ref().and_then(FunctionName::region);
        let of_name = of_name.and_then(Region::parse);
        let region = of_name.clone().or_else(|| aws.region(None).cloned());
        let api = region.as_ref().map(|region| api_host(region.as_str()));
        let reach = reach(plan, api.as_deref())?;
        // SAFETY: the caller's.
        unsafe {
            let (upstream, host) = main.upstream_of(cf, plan, &reach)?;
            let ssl = if reach.is_tls { main.tls_context(cf, plan)? } else { null_mut() };
            let mut conf = upstream_conf(plan, upstream);
            conf.ssl = ssl;
            if let Some(name) = reach.ssl_name.as_deref() {
                conf.ssl_name = constant(cf, name).ok_or_else(|| no_memory(place))?;
            }
            hide_headers(cf, plan, &mut conf).ok_or_else(|| no_memory(place))?;
            let conf = Box::new(conf);
            let mut intercepting = Box::new(std::ptr::read(&*conf));
            intercepting.intercept_errors = 1;
            let template = match &plan.pass.function {
                Some(_) => None,
                None => Some(template(cf, &plan.pass.text).map_err(|error| error.at(place))?),
            };
            Ok(Self {
                retry: RetryPlan {
                    conditions: plan.next_upstream,
                    tries: plan.next_upstream_tries,
                },
                function: function(plan),
                template,
                host: host.into(),
                is_tls: reach.is_tls,
                region,
                credentials: main.credentials_of(aws.source())?,
                signer: RefCell::new(None),
                plan: Arc::clone(plan),
                conf,
                intercepting,
            })
        }
    }

    /// For `u->conf`.
    pub(super) fn conf(&self) -> *mut ngx_http_upstream_conf_t {
        std::ptr::from_ref(&*self.conf).cast_mut()
    }

    /// For `u->conf` once the status is ours and `error_page` may have it.
    pub(super) fn intercepting_conf(&self) -> *mut ngx_http_upstream_conf_t {
        std::ptr::from_ref(&*self.intercepting).cast_mut()
    }

    /// The credentials it is called with.
    pub(super) fn credentials(&self) -> &CredentialCell {
        &self.credentials
    }

    /// Signs a call's head; `None` while the region is not known.
    pub(super) fn with_signer<T>(&self, sign: impl FnOnce(&mut Signer) -> T) -> Option<T> {
        let mut signer = self.signer.borrow_mut();
        if signer.is_none() {
            let region = self.region.clone().or_else(|| self.credentials.region())?;
            *signer = Some(Signer::new(region, request_head::SERVICE));
        }
        signer.as_mut().map(sign)
    }
}

/// Where connections go and by which names.
pub(in crate::nginx) struct Reach {
    pub(in crate::nginx) host: String,
    pub(in crate::nginx) port: u16,
    /// Whether the port was written: a name without one may be an `upstream {}`.
    pub(in crate::nginx) has_port: bool,
    pub(in crate::nginx) must_be_upstream: bool,
    pub(in crate::nginx) is_tls: bool,
    /// The text of `Host`.
    pub(in crate::nginx) host_header: String,
    /// The API's own name: for an `upstream {}`, and for an endpoint that is an address.
    pub(in crate::nginx) api_host: Option<String>,
    /// `lambda_ssl_name`, or the API's own name where the endpoint has none.
    pub(in crate::nginx) ssl_name: Option<String>,
}

fn reach(plan: &LambdaPlan, api: Option<&str>) -> Result<Reach, DirectiveError> {
    let place = &plan.pass.place;
    let Some((endpoint, _)) = &plan.endpoint else {
        let Some(api) = api else {
            let text = "region for \"lambda_pass\" is not known, set \"aws_region\"";
            return Err(DirectiveError::new(text).at(place));
        };
        return Ok(Reach {
            host: api.to_owned(),
            port: 443,
            has_port: true,
            must_be_upstream: false,
            is_tls: true,
            host_header: api.to_owned(),
            api_host: Some(api.to_owned()),
            ssl_name: plan.ssl_name.as_deref().map(str::to_owned),
        });
    };
    let bare = endpoint.host.trim_start_matches('[').trim_end_matches(']');
    let is_address = bare.parse::<IpAddr>().is_ok();
    // Certificates and signatures are for names: an address stands for the API's own.
    let host_header = match api {
        Some(api) if is_address => api.to_owned(),
        _ => endpoint.host_header(),
    };
    let fallback = if is_address { api.map(str::to_owned) } else { None };
    Ok(Reach {
        host: endpoint.host.to_string(),
        port: endpoint.port(),
        has_port: endpoint.port.is_some(),
        must_be_upstream: endpoint.is_bare,
        is_tls: endpoint.is_tls,
        host_header,
        api_host: api.map(str::to_owned),
        ssl_name: plan.ssl_name.as_deref().map(str::to_owned).or(fallback),
    })
}

fn no_memory(place: &Place) -> DirectiveError {
    DirectiveError::new("out of memory").at(place)
}

fn function(plan: &LambdaPlan) -> Option<Function> {
    let name = plan.pass.function.as_ref()?;
    match name {
        FunctionName::Api(function) => {
            Some(Function { target: function.target(plan.pass.stream), label: name.label().into() })
        }
        FunctionName::Url(_) => None,
    }
}

fn milliseconds(time: Duration) -> ngx_msec_t {
    ngx_msec_t::try_from(time.as_millis()).unwrap_or(ngx_msec_t::MAX)
}

/// What an upstream of nginx needs to know, set as the directives of ngx_http_proxy_module would.
unsafe fn upstream_conf(
    plan: &LambdaPlan,
    upstream: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_http_upstream_conf_t {
    let unset = usize::MAX as *mut ngx_array_t;
    // SAFETY: all-zero is how nginx's modules begin; pointers are null or set below.
    let mut conf: ngx_http_upstream_conf_t = unsafe { std::mem::zeroed() };
    conf.upstream = upstream;
    conf.connect_timeout = milliseconds(plan.connect_timeout);
    conf.send_timeout = milliseconds(plan.send_timeout);
    conf.read_timeout = milliseconds(plan.read_timeout);
    conf.next_upstream_timeout = milliseconds(plan.next_upstream_timeout);
    // The first piece of a response; reply.rs makes room for what its length tells.
    // SAFETY: set by nginx before it reads configurations.
    conf.buffer_size = unsafe { ngx_pagesize };
    conf.request_buffering = 1;
    conf.pass_request_headers = 1;
    conf.pass_request_body = 1;
    // Everything, so that the decision is peer.rs's.
    conf.next_upstream = (NGX_HTTP_UPSTREAM_FT_ERROR
        | NGX_HTTP_UPSTREAM_FT_TIMEOUT
        | NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
        | NGX_HTTP_UPSTREAM_FT_NOLIVE
        | NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT) as _;
    conf.hide_headers = unset;
    conf.pass_headers = unset;
    conf.socket_keepalive = 1;
    conf.ssl_session_reuse = 1;
    conf.ssl_server_name = 1;
    conf.ssl_verify = isize::from(plan.ssl_verify);
    conf.module = memory::static_str("lambda");
    conf
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

/// A complex value that is constant text, in the configuration's pool.
unsafe fn constant(
    cf: *mut ngx_conf_t,
    text: &str,
) -> Option<*mut nginx_sys::ngx_http_complex_value_t> {
    // SAFETY: cf's pool is live; all-zero is a value without variables.
    unsafe {
        let size = size_of::<nginx_sys::ngx_http_complex_value_t>();
        let value =
            nginx_sys::ngx_pcalloc((*cf).pool, size).cast::<nginx_sys::ngx_http_complex_value_t>();
        if value.is_null() {
            return None;
        }
        (*value).value = memory::copy((*cf).pool, text.as_bytes())?;
        Some(value)
    }
}

/// A text with nginx variables, compiled.
unsafe fn template(
    cf: *mut ngx_conf_t,
    text: &str,
) -> Result<Box<nginx_sys::ngx_http_complex_value_t>, DirectiveError> {
    let failed = || DirectiveError::new(format!("invalid variables in \"{text}\""));
    // SAFETY: cf's pool is live and keeps the text and the compiled codes.
    unsafe {
        let mut value: Box<nginx_sys::ngx_http_complex_value_t> = Box::new(std::mem::zeroed());
        let mut source = memory::copy((*cf).pool, text.as_bytes()).ok_or_else(failed)?;
        let mut compile: nginx_sys::ngx_http_compile_complex_value_t = std::mem::zeroed();
        compile.cf = cf;
        compile.value = &mut source;
        compile.complex_value = &mut *value;
        let status = nginx_sys::ngx_http_compile_complex_value(&mut compile);
        if status == NGX_OK as ngx_int_t { Ok(value) } else { Err(failed()) }
    }
}

/// The `upstream { }` block of a name, if there is one.
///
/// # Safety
/// `cf` is nginx's, with all of `http` read.
pub(in crate::nginx) unsafe fn find_upstream(
    cf: *mut ngx_conf_t,
    name: &str,
) -> Option<*mut ngx_http_upstream_srv_conf_t> {
    // SAFETY: the upstream module's main conf is in cf's http context; its array holds pointers to blocks.
    unsafe {
        let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let main = *(*http).main_conf.add(ngx_http_upstream_module.ctx_index);
        let upstreams = &(*main.cast::<ngx_http_upstream_main_conf_t>()).upstreams;
        upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>().iter().copied().find(|upstream| {
            (**upstream).flags & NGX_HTTP_UPSTREAM_CREATE as usize != 0
                && memory::bytes((**upstream).host).eq_ignore_ascii_case(name.as_bytes())
        })
    }
}

/// The pool's settings for a reach.
pub(in crate::nginx) fn settings(plan: &LambdaPlan, reach: &Reach) -> Settings {
    let host = reach.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Settings {
        server_name: reach.ssl_name.clone().unwrap_or_else(|| host.clone()),
        host,
        port: reach.port,
        is_tls: reach.is_tls,
        verify: plan.ssl_verify,
        max_idle: plan.keepalive.max_idle as usize,
        idle_timeout_ms: milliseconds(plan.keepalive.timeout),
        min_idle: plan.keepalive.min_idle as usize,
        trusted_certificate: plan.ssl_trusted_certificate.as_ref().map(|(file, _)| file.clone()),
    }
}
