//! Configuration levels: made, filled by commands.rs, merged and compiled.

use super::guard::guard;
use super::limit::LimitLocation;
use super::main_conf::MainConf;
use super::method::Blocks;
use super::metrics::{Metrics, RouteSeries};
use super::upstream::LambdaLocation;
use super::{log, mask, memory, scope};
use crate::config::{LocationDirectives, LocationPlan};
use crate::directive::DirectiveError;
use crate::key_auth::ArgumentName;
use crate::observe::Endpoint;
use crate::route::RoutePlan;
use nginx_sys::{
    ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module,
    ngx_http_handler_pt,
};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};

/// What a server holds.
#[derive(Debug, Default)]
pub(super) struct ServerConf {
    /// Names of arguments that hold keys in any of its locations.
    pub(super) masked: Vec<ArgumentName>,
}

/// One level: `http`, a server, a location, an `if` or `method` block.
#[derive(Debug, Default)]
pub(super) struct LocationConf {
    /// As written here, then merged.
    pub(super) directives: LocationDirectives,
    /// What requests are judged by; default until merged.
    pub(super) plan: LocationPlan,
    /// `lambda_pass`
    pub(super) lambda: Option<Box<LambdaLocation>>,
    /// `apigate_fault`
    #[cfg(feature = "fault-injection")]
    pub(super) fault: Option<Box<str>>,
    /// `rate_limit`
    pub(super) limits: Option<LimitLocation>,
    /// `key_auth_failures`
    pub(super) failures: Option<LimitLocation>,
    /// What the level calls itself in the identity of its counters.
    scope: String,
    /// How many nameless levels have been merged with this one.
    nameless: Cell<usize>,
    /// What requests are counted in.
    pub(super) series: RefCell<RouteSeries>,
    /// The regular expressions of locations that have been merged with this level.
    patterns: RefCell<Vec<Box<[u8]>>>,
    /// The location's `method` blocks.
    pub(super) blocks: Blocks,
    /// Our content handler, where a directive of this level set it or a nameless block inherits it.
    handler: ngx_http_handler_pt,
}

/// Makes the module the content handler of the level that is being read, as `proxy_pass` does.
///
/// # Safety
/// `cf` is live and `conf` is its `ctx`'s location conf.
pub(super) unsafe fn set_handler(
    cf: *mut ngx_conf_t,
    conf: &mut LocationConf,
    handler: ngx_http_handler_pt,
) {
    // SAFETY: the caller's.
    let core = unsafe { core_conf(cf) };
    conf.handler = handler;
    core.handler = handler;
    // SAFETY: a name of the configuration.
    if unsafe { memory::bytes(core.name) }.ends_with(b"/") {
        core.set_auto_redirect(1);
    }
}

/// nginx's own configuration of the level that is being read or merged.
///
/// # Safety
/// `cf` is live, and nothing else refers to that configuration.
pub(super) unsafe fn core_conf<'a>(cf: *mut ngx_conf_t) -> &'a mut ngx_http_core_loc_conf_t {
    // SAFETY: cf->ctx is an http context while http directives are read and merged; the core module is in it.
    unsafe {
        let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = *(*http).loc_conf.add(ngx_http_core_module.ctx_index);
        &mut *core.cast::<ngx_http_core_loc_conf_t>()
    }
}

impl LocationConf {
    /// What the level calls itself in the identity of its counters; empty until merged.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// How many locations before this one have the same regular expression: one may heed case and another not, which nginx does
    /// not keep.
    pub(super) fn next_of_pattern(&self, pattern: &[u8]) -> usize {
        let mut patterns = self.patterns.borrow_mut();
        let before = patterns.iter().filter(|other| ***other == *pattern).count();
        patterns.push(pattern.into());
        before
    }

    /// The number of the next nameless level in this one.
    pub(super) fn next_nameless(&self) -> usize {
        self.nameless.replace(self.nameless.get() + 1)
    }

    /// Takes from the outer level what is not written here, and makes the plan.
    ///
    /// Nameless levels (`if`, `method`, `limit_except`) inherit the content handler, nested locations do not.
    /// *Source*: ngx_http_proxy_merge_loc_conf.
    ///
    /// # Safety
    /// `cf` is nginx's, in the merge of this level, and nobody else has the main conf.
    unsafe fn merge(
        &mut self,
        cf: *mut ngx_conf_t,
        outer: &Self,
        core: &mut ngx_http_core_loc_conf_t,
    ) -> Result<(), DirectiveError> {
        if core.name.len > 0 {
            self.directives.method.check()?;
        }
        // SAFETY: the caller's.
        self.scope = unsafe { scope::of(cf, core, outer) };
        self.directives.set_scope(&self.scope);
        self.directives.merge(&outer.directives);
        if core.noname() != 0 && core.handler.is_none() && outer.handler.is_some() {
            self.handler = outer.handler;
            core.handler = outer.handler;
            self.directives.inherit_handler(&outer.directives);
        }
        // SAFETY: the caller's.
        let main = unsafe { MainConf::of(cf) };
        self.plan = self.directives.compile(&mut main.plan)?;
        // Locations and blocks inside may have what this level lacks.
        let is_innermost = core.locations.is_null() && !self.directives.method.has_blocks();
        if core.name.len > 0 && is_innermost {
            self.directives.key_auth.check_failures()?;
        }
        if core.name.len > 0 && is_innermost || core.noname() != 0 {
            let route = self.plan.route.as_deref();
            self.directives.validate.check_path(|name| {
                let is_of_route = |route: &RoutePlan| route.parameter_names().any(|it| it == name);
                route.is_some_and(is_of_route) || scope::captures(&self.scope, name)
            })?;
        }
        if core.noname() != 0 {
            // It is the same location still.
            self.plan.owns_errors |= outer.plan.owns_errors;
        }
        if let Some(plan) = &self.plan.rate_limit {
            // SAFETY: the caller's.
            self.limits = Some(unsafe { LimitLocation::build(cf, plan) }?);
        }
        if let Some(plan) = &self.plan.key_auth_failures {
            // SAFETY: the caller's.
            self.failures = Some(unsafe { LimitLocation::build(cf, &plan.limits) }?);
        }
        if let Some(plan) = &self.plan.key_auth {
            // SAFETY: the caller's.
            unsafe { mask::collect(cf, main, plan.query_names()) };
        }
        if let Some((plan, aws)) = &self.plan.lambda {
            // SAFETY: the caller's.
            self.lambda = Some(Box::new(unsafe { LambdaLocation::build(cf, main, plan, aws) }?));
        }
        if let Some(Endpoint::Metrics { consumers }) = self.plan.endpoint {
            if main.metrics.is_none() {
                // SAFETY: the caller's; nginx makes zones after it has read the configuration.
                main.metrics = unsafe { Metrics::declare(cf) };
            }
            let metrics = main.metrics.as_mut();
            metrics.ok_or_else(|| DirectiveError::new("out of memory"))?.tell_apart(consumers);
        }
        Ok(())
    }
}

/// A value in the configuration's pool, as create_main_conf and create_loc_conf answer it.
///
/// # Safety
/// `cf` is nginx's.
pub(super) unsafe fn create<T: Default>(cf: *mut ngx_conf_t) -> *mut c_void {
    guard("configuration", std::ptr::null_mut(), || {
        // SAFETY: cf and its pool are live while nginx configures; the pool outlives the configuration.
        let made = unsafe { memory::place((*cf).pool, T::default()) };
        made.map_or(std::ptr::null_mut(), |made| made.as_ptr().cast())
    })
}

/// create_srv_conf
pub(super) unsafe extern "C" fn create_server(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: called by nginx with a live cf.
    unsafe { create::<ServerConf>(cf) }
}

/// create_loc_conf
pub(super) unsafe extern "C" fn create_location(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: called by nginx with a live cf.
    unsafe { create::<LocationConf>(cf) }
}

/// merge_loc_conf: outer levels first, so that `outer` is merged when its locations are.
pub(super) unsafe extern "C" fn merge_location(
    cf: *mut ngx_conf_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_char {
    guard("configuration", NGX_CONF_ERROR, || {
        // SAFETY: both were made by `create_location`, are distinct, and nobody else has them now; nginx sets cf->ctx to
        // the inner level.
        let merged = unsafe {
            let outer = &*outer.cast::<LocationConf>();
            (*inner.cast::<LocationConf>()).merge(cf, outer, core_conf(cf))
        };
        match merged {
            Ok(()) => NGX_CONF_OK,
            Err(error) => {
                log::configuration(cf, &error);
                NGX_CONF_ERROR
            }
        }
    })
}
