//! What `http` alone holds: consumer sets, endpoints, credentials, and the threads that keep them fresh.
#![allow(
    clippy::disallowed_methods,
    reason = "the master's environment is read here, at configuration"
)]

use super::conf::{LocationConf, create};
use super::credentials::{self, CredentialCell};
use super::guard::guard;
use super::limit::{self, LimitZone};
use super::metrics::Metrics;
use super::request_id::RequestIds;
use super::sets::{self, ConsumerSetCell};
use super::shared::Zone;
use super::upstream::{AddressList, Endpoint, Settings, SharedEndpoint, create_context};
use super::{clock, log, upstream, worker};
use crate::aws::slot::MAX_SOURCES;
use crate::aws::source::CredentialSource;
use crate::aws::{AwsPlan, Environment, Region};
use crate::config::{MainDirectives, MainPlan, SetPlan};
use crate::directive::DirectiveError;
use crate::key_auth::ArgumentName;
use crate::lambda::LambdaPlan;
use crate::observe::{Health, Labels, Page};
use crate::rate_limit::policy::Verdict;
use nginx_sys::{ngx_conf_t, ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_module, ngx_ssl_t};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use parking_lot::Mutex;
use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{c_char, c_void};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often names of endpoints are resolved anew, and how soon one that has no address.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);
const RESOLVE_AGAIN: Duration = Duration::from_secs(1);
/// How long a worker waits for credentials before it serves.
const FIRST_CREDENTIALS_MS: u64 = 500;
const FIRST_CREDENTIALS_LOOK: Duration = Duration::from_millis(2);

/// What `http` alone holds.
#[derive(Default)]
pub(super) struct MainConf {
    /// As written.
    pub(super) directives: MainDirectives,
    /// The levels (all modules') of locations that have `method` blocks.
    pub(super) with_blocks: Vec<*mut *mut c_void>,
    /// Names of arguments that hold keys in any server.
    pub(super) masked: Vec<ArgumentName>,
    /// Compiled when all of `http` is read.
    pub(super) plan: MainPlan,
    /// The consumer sets in force, by number.
    pub(super) sets: Vec<ConsumerSetCell>,
    /// The zones of counters, by number.
    pub(super) limit_zones: Vec<LimitZone>,
    /// On the request in hand.
    pub(super) verdict: RefCell<Verdict>,
    /// The indexes of variables that are made of a request's header lines, once a request has asked.
    pub(super) header_variables: OnceCell<Box<[usize]>>,
    endpoints: RefCell<Vec<SharedEndpoint>>,
    /// The endpoints' names, for the thread that keeps them fresh.
    names: Arc<Mutex<Vec<Arc<AddressList>>>>,
    /// Whether that thread runs.
    has_watcher: Cell<bool>,
    /// What the metadata service has said at configuration; `None` until it is asked.
    instance_region: Option<Option<Region>>,
    tls_contexts: Vec<(Option<PathBuf>, *mut ngx_ssl_t)>,
    credentials: Vec<(Arc<CredentialSource>, Rc<CredentialCell>)>,
    /// Counts requests, where a location serves metrics.
    pub(super) metrics: Option<Metrics>,
    /// Makes `$request_id`.
    pub(super) request_ids: RequestIds,
    credentials_zone: Option<Zone>,
    sets_zone: Option<Zone>,
}

impl MainConf {
    /// The main conf of a configuration.
    ///
    /// # Safety
    /// `cf` is nginx's, within `http`; no other reference to the conf is held.
    pub(super) unsafe fn of<'a>(cf: *mut ngx_conf_t) -> &'a mut Self {
        // SAFETY: the caller's; create_main made it.
        unsafe {
            let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let index = super::module::ngx_http_apigate_module.ctx_index;
            &mut *(*(*http).main_conf.add(index)).cast::<Self>()
        }
    }

    /// The endpoint with these settings.
    ///
    /// With `is_serving` nothing blocks: the host's name is looked up on a helper thread.
    ///
    /// # Safety
    /// `ssl` is null or lives as long as the configuration; no reference to an endpoint is held.
    pub(super) unsafe fn endpoint(
        &self,
        settings: Settings,
        ssl: *mut ngx_ssl_t,
        is_serving: bool,
    ) -> SharedEndpoint {
        let mut endpoints = self.endpoints.borrow_mut();
        // SAFETY: the list shares its endpoints.
        let is_known =
            |it: &&SharedEndpoint| *unsafe { it.as_ptr().as_ref() }.settings() == settings;
        if let Some(known) = endpoints.iter().find(is_known) {
            return known.clone();
        }
        // SAFETY: the caller's.
        let endpoint = unsafe { SharedEndpoint::new(settings, ssl) };
        endpoints.push(endpoint.clone());
        // SAFETY: just made.
        let addresses = unsafe { endpoint.as_ptr().as_ref() }.addresses();
        if is_serving && !addresses.is_fixed() {
            let list = Arc::clone(&addresses);
            worker::spawn("apigate-name", move || {
                // What fails is asked for again by the thread that keeps names fresh.
                let _ = list.resolve();
            });
            self.watch_names([addresses]);
        } else if let Err(error) = addresses.resolve() {
            let host = addresses.host();
            log::process(
                log::Level::Warn,
                format_args!("lambda: \"{host}\" is not resolved yet, error={error}"),
            );
        }
        endpoint
    }

    /// Lets go of the endpoints that no destination has any more. One with a connection on its way stays until it is asked for
    /// again, or until the next time.
    pub(super) fn release_endpoints(&self) {
        self.endpoints.borrow_mut().retain(|endpoint| {
            if !endpoint.is_alone() {
                return true;
            }
            let raw = endpoint.as_ptr();
            // SAFETY: the list shares the endpoint, and no destination does; a request has its destination.
            let (addresses, is_over) = unsafe { (raw.as_ref().addresses(), Endpoint::retire(raw)) };
            if is_over {
                self.names.lock().retain(|list| !Arc::ptr_eq(list, &addresses));
            }
            !is_over
        });
    }

    /// The instance's region, asked for once a configuration; `None` when the metadata service does not tell it.
    ///
    /// Without it requests are refused until it is published beside the credentials.
    pub(super) fn ask_region(&mut self, aws: &AwsPlan) -> Option<Region> {
        self.instance_region.get_or_insert_with(|| aws.source().instance_region().ok()).clone()
    }

    /// Waits a moment for the first credentials, so that the first requests find them: connections wait in the listening
    /// socket meanwhile. After a reload they are there at once.
    fn await_credentials(&self) {
        let deadline_ms = clock::now_ms() + FIRST_CREDENTIALS_MS;
        let is_missing = |(_, cell): &(_, Rc<CredentialCell>)| !cell.is_newer_than(0);
        while self.credentials.iter().any(is_missing) && clock::now_ms() < deadline_ms {
            std::thread::park_timeout(FIRST_CREDENTIALS_LOOK);
        }
    }

    /// Has the names looked up again and again; starts the thread that does it.
    fn watch_names(&self, lists: impl IntoIterator<Item = Arc<AddressList>>) {
        let mut names = self.names.lock();
        names.extend(lists.into_iter().filter(|list| !list.is_fixed() || list.is_empty()));
        if names.is_empty() || self.has_watcher.replace(true) {
            return;
        }
        let names = Arc::clone(&self.names);
        worker::spawn("apigate-names", move || {
            loop {
                let lists = names.lock().clone();
                let missing = lists.iter().any(|list| list.is_empty());
                std::thread::park_timeout(if missing { RESOLVE_AGAIN } else { RESOLVE_EVERY });
                for (level, news) in lists.iter().filter_map(|list| list.refresh()) {
                    worker::post(move || log::process(level, format_args!("lambda: {news}")));
                }
            }
        });
    }

    /// The TLS context for a location's trusted certificates.
    ///
    /// # Safety
    /// `cf` is nginx's, in a merge.
    pub(super) unsafe fn tls_context(
        &mut self,
        cf: *mut ngx_conf_t,
        plan: &LambdaPlan,
    ) -> Result<*mut ngx_ssl_t, DirectiveError> {
        let trusted = plan.ssl_trusted_certificate.as_ref();
        let file = trusted.map(|(file, _)| file.clone());
        if let Some((_, context)) = self.tls_contexts.iter().find(|(known, _)| *known == file) {
            return Ok(*context);
        }
        let place = trusted.map_or(&plan.pass.place, |(_, place)| place);
        // SAFETY: the caller's.
        let context = unsafe { create_context(cf, file.as_deref()) };
        let context = context.map_err(|error| error.at(place))?;
        self.tls_contexts.push((file, context));
        Ok(context)
    }

    /// The cell of a source.
    pub(super) fn credentials_of(
        &mut self,
        source: &Arc<CredentialSource>,
    ) -> Result<Rc<CredentialCell>, DirectiveError> {
        let known = self.credentials.iter().find(|(known, _)| known.id() == source.id());
        if let Some((_, cell)) = known {
            return Ok(Rc::clone(cell));
        }
        if self.credentials.len() == MAX_SOURCES {
            let text = format!("too many sources of credentials, at most {MAX_SOURCES}");
            return Err(DirectiveError::new(text));
        }
        let zone = self.credentials_zone.ok_or_else(|| DirectiveError::new("out of memory"))?;
        let cell = Rc::new(CredentialCell::new(Arc::clone(source), zone));
        self.credentials.push((Arc::clone(source), Rc::clone(&cell)));
        Ok(cell)
    }

    /// The conf of the running configuration; `None` without an `http` block.
    pub(super) fn current<'a>() -> Option<&'a Self> {
        // SAFETY: the cycle of a worker and its configuration live as long as the worker.
        unsafe { Self::of_cycle(nginx_sys::ngx_cycle.as_ref()?) }
    }

    /// The conf of a cycle; `None` without an `http` block.
    ///
    /// # Safety
    /// The cycle is configured, and lives during `'a`.
    pub(super) unsafe fn of_cycle<'a>(cycle: &ngx_cycle_t) -> Option<&'a Self> {
        // SAFETY: the caller's.
        unsafe { Self::at(cycle)?.as_ref() }
    }

    /// # Safety
    /// The cycle is configured.
    unsafe fn at(cycle: &ngx_cycle_t) -> Option<*mut Self> {
        // SAFETY: the caller's; create_main made the conf.
        unsafe {
            let http = *cycle.conf_ctx.add(ngx_http_module.index);
            let http = http.cast::<ngx_http_conf_ctx_t>().as_ref()?;
            let index = super::module::ngx_http_apigate_module.ctx_index;
            Some((*http.main_conf.add(index)).cast::<Self>())
        }
    }

    /// Leaves the sets to their cells: a version that has been replaced is to be nowhere.
    ///
    /// # Safety
    /// The cycle is configured; no reference to its conf is held.
    pub(super) unsafe fn leave_sets_to_cells(cycle: &ngx_cycle_t) {
        // SAFETY: the caller's; the reference is gone when this is done.
        if let Some(main) = unsafe { Self::at(cycle).and_then(|main| main.as_mut()) } {
            main.plan.sets.iter_mut().for_each(SetPlan::let_go);
        }
    }

    /// Ends what must not be cut in two by the worker's end.
    pub(super) fn stop(&self) {
        limit::stop(&self.limit_zones);
    }

    /// Writes what is not counted request by request but has a place of its own.
    pub(super) fn write_metrics(&self, page: &mut Page) {
        let sources: Vec<_> =
            self.credentials.iter().filter_map(|(_, cell)| cell.status()).collect();
        page.metric(
            "apigate_credentials_expiry_timestamp_seconds",
            "gauge",
            "When the first of the credentials of AWS in force end, in seconds since 1970",
            sources
                .iter()
                .filter_map(|(end_s, _)| *end_s)
                .min()
                .map(|end| (Labels::default(), end)),
        );
        let fetched: u64 = sources.iter().map(|(_, status)| status.fetches_good).sum();
        let failed: u64 = sources.iter().map(|(_, status)| status.fetches_bad).sum();
        let results = [("success", fetched), ("failure", failed)];
        page.metric(
            "apigate_credentials_refreshes_total",
            "counter",
            "Fetches of credentials by result",
            results
                .into_iter()
                .filter(|_| !sources.is_empty())
                .map(|(result, number)| (Labels::default().with("result", result), number)),
        );
        limit::write_metrics(&self.limit_zones, page);
        page.metric(
            "apigate_consumers",
            "gauge",
            "Consumers in force by set",
            self.plan.sets.iter().zip(&self.sets).map(|(set, cell)| {
                (Labels::default().with("set", set.plan.name()), cell.current().len())
            }),
        );
    }

    /// Whether requests can be served, and what is worse than it should be.
    pub(super) fn health(&self) -> Health {
        let mut health = Health::default();
        for (source, cell) in &self.credentials {
            if cell.current().is_none() {
                health.add_unavailable(format!("credentials {}", source.description()));
            }
        }
        for (set, cell) in self.plan.sets.iter().zip(&self.sets) {
            if cell.is_degraded() {
                health.add_degraded(format!("consumers {}", set.plan.name()));
            }
        }
        for zone in limit::zones_without_store(&self.limit_zones) {
            health.add_degraded(format!("redis {zone}"));
        }
        health
    }

    /// The files that workers watch.
    pub(super) fn watched_files(&self) -> impl Iterator<Item = &Path> {
        let files = self.plan.sets.iter().flat_map(|set| set.plan.files());
        files.filter(|file| file.watch.is_some()).map(|file| &*file.path)
    }

    /// Starts what a worker does beside requests.
    pub(super) fn start(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.attach();
        }
        limit::start(&self.limit_zones);
        sets::start(&self.sets, &self.plan.sets, self.sets_zone);
        for (_, cell) in &self.credentials {
            cell.start();
        }
        self.await_credentials();
        let mut names = Vec::new();
        for endpoint in self.endpoints.borrow().iter() {
            // SAFETY: the list shares its endpoints; no reference to one is held.
            unsafe {
                upstream::maintain(endpoint.as_ptr());
                names.push(endpoint.as_ptr().as_ref().addresses());
            }
        }
        self.watch_names(names);
    }
}

/// create_main_conf
pub(super) unsafe extern "C" fn create_main(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: called by nginx with a live cf.
    unsafe { create::<MainConf>(cf) }
}

/// init_main_conf: all of `http` is read, nothing is merged yet.
pub(super) unsafe extern "C" fn init_main(cf: *mut ngx_conf_t, conf: *mut c_void) -> *mut c_char {
    guard("configuration", NGX_CONF_ERROR, || {
        // SAFETY: `create_main` made it, and nobody else has it now.
        let main = unsafe { &mut *conf.cast::<MainConf>() };
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        match main.directives.compile(variables.collect::<Environment>()) {
            Ok(plan) => main.plan = plan,
            Err(error) => {
                log::configuration(cf, &error);
                return NGX_CONF_ERROR;
            }
        }
        main.sets = main.plan.sets.iter().map(ConsumerSetCell::new).collect();
        // SAFETY: nginx makes zones after it has read the configuration.
        main.credentials_zone = unsafe { credentials::declare_zone(cf) };
        if main.plan.sets.iter().any(|set| set.plan.is_watched()) {
            // SAFETY: as above.
            main.sets_zone = unsafe { sets::declare_zone(cf) };
        }
        for plan in &main.plan.rate_limit_zones {
            // SAFETY: as above.
            let Some(zone) = (unsafe { LimitZone::declare(cf, plan) }) else {
                let text = format!("cannot declare zone \"{}\"", plan.name);
                log::configuration(cf, &DirectiveError::new(text).at(&plan.place));
                return NGX_CONF_ERROR;
            };
            main.limit_zones.push(zone);
        }
        // SAFETY: cf->ctx is the context of `http`; nobody else has its location conf now.
        unsafe {
            let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let index = super::module::ngx_http_apigate_module.ctx_index;
            let level = &mut *(*(*http).loc_conf.add(index)).cast::<LocationConf>();
            level.directives.set_scope("http");
        }
        NGX_CONF_OK
    })
}
