//! Where invocations go: a host of AWS, the connections to it and the signer for its region.
//!
//! Most locations have one destination, made at configuration. A name with variables may tell another region or another
//! function URL, and a region may be known only once the instance's metadata were read: such destinations are made when the
//! first request needs them.

use super::addresses::AddressList;
use super::block::Wrapped;
use super::conf::{Constant, upstream_conf};
use super::pool::{Settings, SharedEndpoint};
use super::request_head::SERVICE;
use crate::aws::Region;
use crate::aws::sigv4::Signer;
use crate::directive::DirectiveError;
use crate::lambda::{Endpoint, FunctionName, LambdaPlan, api_host};
use crate::nginx::main_conf::MainConf;
use nginx_sys::{
    NGX_HTTP_UPSTREAM_CREATE, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_upstream_conf_t,
    ngx_http_upstream_main_conf_t, ngx_http_upstream_module, ngx_http_upstream_srv_conf_t,
    ngx_msec_t, ngx_ssl_t,
};
use std::cell::RefCell;
use std::net::IpAddr;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::time::Duration;

/// The host of AWS that is meant, whatever the connection goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// The API's own name in its region, or the function URL's host.
    host: String,
    region: Region,
    is_url: bool,
}

impl Site {
    /// The site of a function; `region` is where functions are whose names tell no region.
    pub(super) fn of(name: &FunctionName, region: Option<Region>) -> Option<Self> {
        let region = match name.region() {
            Some(text) => Region::parse(text)?,
            None => region?,
        };
        Some(match name {
            FunctionName::Api(_) => Self { host: api_host(region.as_str()), region, is_url: false },
            FunctionName::Url(url) => Self { host: url.host().to_owned(), region, is_url: true },
        })
    }
}

/// A site with everything that is needed to call it.
pub(super) struct Destination {
    pub(super) site: Site,
    /// The text of `Host`, which is signed.
    pub(super) host: Box<str>,
    pub(super) is_tls: bool,
    signer: RefCell<Signer>,
    conf: Box<ngx_http_upstream_conf_t>,
    /// The same, with `error_page` looked into for the status.
    intercepting: Box<ngx_http_upstream_conf_t>,
    /// `None` for an `upstream { }` block.
    addresses: Option<Arc<AddressList>>,
    /// What both confs point to.
    _upstream: Upstream,
    _ssl_name: Option<Box<Constant>>,
}

/// Whose connections a destination uses; shared for as long as the destination lives.
enum Upstream {
    Pool { _endpoint: SharedEndpoint },
    Block { _wrapped: Box<Wrapped> },
}

impl Destination {
    /// For `u->conf`; valid while the destination lives.
    pub(super) fn conf(&self) -> *mut ngx_http_upstream_conf_t {
        std::ptr::from_ref(&*self.conf).cast_mut()
    }

    /// For `u->conf` once the status is ours and `error_page` may have it.
    pub(super) fn intercepting_conf(&self) -> *mut ngx_http_upstream_conf_t {
        std::ptr::from_ref(&*self.intercepting).cast_mut()
    }

    /// True while the host's name was not yet looked up.
    pub(super) fn is_pending(&self) -> bool {
        self.addresses.as_ref().is_some_and(|addresses| addresses.is_pending())
    }

    /// Signs a request's head.
    pub(super) fn sign<T>(&self, sign: impl FnOnce(&mut Signer) -> T) -> T {
        sign(&mut self.signer.borrow_mut())
    }
}

/// What all destinations of a location have in common.
pub(super) struct Ground {
    plan: Arc<LambdaPlan>,
    block: Option<NonNull<ngx_http_upstream_srv_conf_t>>,
    ssl: *mut ngx_ssl_t,
    conf: Box<ngx_http_upstream_conf_t>,
}

impl Ground {
    /// Errors: the endpoint names an `upstream { }` block that is not there; certificates cannot be read.
    ///
    /// # Safety
    /// `cf` is nginx's, in a merge.
    pub(super) unsafe fn new(
        cf: *mut ngx_conf_t,
        main: &mut MainConf,
        plan: &Arc<LambdaPlan>,
    ) -> Result<Self, DirectiveError> {
        let mut block = None;
        if let Some((endpoint, place)) = &plan.endpoint
            && endpoint.port.is_none()
        {
            // SAFETY: the caller's.
            block = unsafe { find_upstream(cf, &endpoint.host) }.and_then(NonNull::new);
            if block.is_none() && endpoint.is_bare {
                let text = format!("host not found in upstream \"{}\"", endpoint.host);
                return Err(DirectiveError::new(text).at(place));
            }
        }
        let is_plain = |is_url| plan.endpoint(is_url).is_some_and(|endpoint| !endpoint.is_tls);
        // SAFETY: the caller's.
        unsafe {
            let needs_tls = !(is_plain(false) && is_plain(true));
            let ssl = if needs_tls { main.tls_context(cf, plan)? } else { null_mut() };
            let no_memory = || DirectiveError::new("out of memory").at(&plan.pass.place);
            let conf = Box::new(upstream_conf(cf, plan).ok_or_else(no_memory)?);
            Ok(Self { plan: Arc::clone(plan), block, ssl, conf })
        }
    }

    /// The destination at a site. With `is_serving` nothing blocks: the host's name is looked up on a helper thread.
    ///
    /// # Safety
    /// Called in the merge that has made `self`, or in a worker that serves its configuration.
    pub(super) unsafe fn destination(
        &self,
        main: &MainConf,
        site: Site,
        is_serving: bool,
    ) -> Destination {
        let reach = Reach::new(&self.plan, &site);
        let name = reach.ssl_name.as_deref();
        let mut addresses = None;
        // SAFETY: blocks and TLS contexts live as long as the configuration; no reference to an endpoint is held.
        let (raw, upstream) = unsafe {
            match self.block {
                Some(block) => {
                    let wrapped = Wrapped::new(block.as_ptr(), name.unwrap_or(&site.host));
                    (wrapped.as_upstream(), Upstream::Block { _wrapped: wrapped })
                }
                None => {
                    let settings = settings(&self.plan, &reach);
                    let ssl = if reach.is_tls { self.ssl } else { null_mut() };
                    let endpoint = main.endpoint(settings, ssl, is_serving);
                    let shared = endpoint.as_ptr().as_mut();
                    addresses = Some(shared.addresses());
                    (shared.as_upstream(), Upstream::Pool { _endpoint: endpoint })
                }
            }
        };
        let ssl_name = name.filter(|_| reach.is_tls).map(Constant::new);
        // SAFETY: a conf is plain data.
        let mut conf = Box::new(unsafe { std::ptr::read(&*self.conf) });
        conf.upstream = raw;
        if reach.is_tls {
            conf.ssl = self.ssl;
        }
        if let Some(name) = &ssl_name {
            conf.ssl_name = name.as_ptr();
        }
        // SAFETY: as above.
        let mut intercepting = Box::new(unsafe { std::ptr::read(&*conf) });
        intercepting.intercept_errors = 1;
        Destination {
            host: if self.block.is_some() { &*site.host } else { &*reach.host_header }.into(),
            is_tls: reach.is_tls,
            signer: RefCell::new(Signer::new(site.region.clone(), SERVICE)),
            site,
            conf,
            intercepting,
            addresses,
            _upstream: upstream,
            _ssl_name: ssl_name,
        }
    }
}

/// Where connections go and by which names.
struct Reach {
    host: String,
    port: u16,
    is_tls: bool,
    /// The text of `Host`.
    host_header: String,
    /// `lambda_ssl_name`, or the site's own name where the endpoint has none.
    ssl_name: Option<String>,
}

impl Reach {
    fn new(plan: &LambdaPlan, site: &Site) -> Self {
        let own = site.host.as_str();
        let Some(endpoint) = plan.endpoint(site.is_url) else {
            return Self {
                host: own.to_owned(),
                port: 443,
                is_tls: true,
                host_header: own.to_owned(),
                ssl_name: plan.ssl_name.as_deref().map(str::to_owned),
            };
        };
        // Certificates and signatures are for names: an address stands for the site's own.
        let stands_for_site = site.is_url || is_address(endpoint);
        let host_header = if stands_for_site { own.to_owned() } else { endpoint.host_header() };
        let ssl_name = plan.ssl_name.as_deref().or(stands_for_site.then_some(own));
        Self {
            host: endpoint.host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: endpoint.port(),
            is_tls: endpoint.is_tls,
            host_header,
            ssl_name: ssl_name.map(str::to_owned),
        }
    }
}

fn is_address(endpoint: &Endpoint) -> bool {
    let bare = endpoint.host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
}

/// The pool's settings for a reach.
fn settings(plan: &LambdaPlan, reach: &Reach) -> Settings {
    Settings {
        server_name: reach.ssl_name.clone().unwrap_or_else(|| reach.host.clone()),
        host: reach.host.clone(),
        port: reach.port,
        is_tls: reach.is_tls,
        verify: plan.ssl_verify,
        max_idle: plan.keepalive.max_idle as usize,
        idle_timeout_ms: milliseconds(plan.keepalive.timeout),
        min_idle: plan.keepalive.min_idle as usize,
        trusted_certificate: plan.ssl_trusted_certificate.as_ref().map(|(file, _)| file.clone()),
    }
}

/// A time in nginx's unit.
pub(super) fn milliseconds(time: Duration) -> ngx_msec_t {
    ngx_msec_t::try_from(time.as_millis()).unwrap_or(ngx_msec_t::MAX)
}

/// The `upstream { }` block of a name, if there is one.
///
/// # Safety
/// `cf` is nginx's, with all of `http` read.
unsafe fn find_upstream(
    cf: *mut ngx_conf_t,
    name: &str,
) -> Option<*mut ngx_http_upstream_srv_conf_t> {
    // SAFETY: the upstream module's main conf is in cf's http context; its array holds pointers to blocks.
    unsafe {
        let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let main = *(*http).main_conf.add(ngx_http_upstream_module.ctx_index);
        let upstreams = &(*main.cast::<ngx_http_upstream_main_conf_t>()).upstreams;
        upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>().iter().copied().find(|upstream| {
            let host = crate::nginx::memory::bytes((**upstream).host);
            (**upstream).flags & NGX_HTTP_UPSTREAM_CREATE as usize != 0
                && host.eq_ignore_ascii_case(name.as_bytes())
        })
    }
}
