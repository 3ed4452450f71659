//! What a location with `lambda_pass` calls with: made once, when its configuration is merged.

use super::destination::{Destination, Ground, Site};
use crate::aws::{AwsPlan, Region};
use crate::directive::DirectiveError;
use crate::lambda::retry::RetryPlan;
use crate::lambda::{FunctionName, InvokeTarget, LambdaPlan};
use crate::nginx::conf::core_conf;
use crate::nginx::credentials::CredentialCell;
use crate::nginx::main_conf::MainConf;
use crate::nginx::metrics::FunctionSeries;
use crate::nginx::{log, template};
use nginx_sys::{ngx_conf_t, ngx_http_complex_value_t};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The most destinations of one location: names with variables must not fill the memory, nor have the resolver asked without
/// end.
pub(super) const MAX_DESTINATIONS: usize = 64;

/// The qualifier that is no variable.
pub(super) const LATEST: &str = ":$LATEST";

/// The function of a location whose `lambda_pass` has no variables.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: FunctionName,
    /// Where invocations go; `None` for a function URL.
    pub(super) target: Option<InvokeTarget>,
    /// The name in logs.
    pub(super) label: Box<str>,
}

impl Function {
    /// A function as requests need it.
    pub(super) fn new(name: FunctionName, stream: bool) -> Self {
        let target = match &name {
            FunctionName::Api(function) => Some(function.target(stream)),
            FunctionName::Url(_) => None,
        };
        Self { label: name.label().into(), target, name }
    }
}

/// A location's `lambda_pass`, ready to be called.
pub(in crate::nginx) struct LambdaLocation {
    pub(super) plan: Arc<LambdaPlan>,
    pub(super) retry: RetryPlan,
    /// `None` when the name has variables.
    pub(super) function: Option<Rc<Function>>,
    /// The name's template without [`LATEST`], when it has variables.
    pub(super) template: Option<Box<ngx_http_complex_value_t>>,
    /// Whether [`LATEST`] follows what the template gives.
    pub(super) is_latest: bool,
    /// The bytes of a path that a function URL's path stands in for.
    pub(super) name_bytes: usize,
    /// The region of functions whose names tell none; `None` while only the instance's metadata know.
    region: Option<Region>,
    credentials: Rc<CredentialCell>,
    ground: Ground,
    /// What invocations are counted in.
    pub(in crate::nginx) series: RefCell<FunctionSeries>,
    /// The one that was used last is the last.
    destinations: RefCell<Vec<Rc<Destination>>>,
}

impl std::fmt::Debug for LambdaLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LambdaLocation").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// Why a function cannot be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreached {
    /// The region, or the address of its endpoint, is not known yet.
    Pending,
    /// The location has [`MAX_DESTINATIONS`], and all of them are in use.
    TooMany,
}

impl LambdaLocation {
    /// The function as it stands in nginx.conf.
    pub(in crate::nginx) fn written(&self) -> &str {
        &self.plan.pass.text
    }

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
        // SAFETY: the caller's.
        unsafe {
            check_path(cf, plan)?;
            let text = &*plan.pass.text;
            let (text, is_latest) =
                text.strip_suffix(LATEST).map_or((text, false), |name| (name, true));
            let template = match &plan.pass.function {
                Some(_) => None,
                None => Some(template::compile(cf, text, place)?),
            };
            let name = plan.pass.function.clone();
            let is_told = name.as_ref().and_then(FunctionName::region).is_some();
            let region = aws.region(None).cloned();
            let location = Self {
                retry: RetryPlan {
                    conditions: plan.next_upstream,
                    tries: plan.next_upstream_tries,
                },
                function: name.map(|name| Rc::new(Function::new(name, plan.pass.stream))),
                template,
                is_latest,
                name_bytes: core_conf(cf).name.len,
                region: if is_told { region } else { region.or_else(|| main.ask_region(aws)) },
                credentials: main.credentials_of(aws.source()).map_err(|error| error.at(place))?,
                ground: Ground::new(cf, main, plan)?,
                plan: Arc::clone(plan),
                series: RefCell::default(),
                destinations: RefCell::default(),
            };
            location.foresee(main);
            Ok(location)
        }
    }

    /// Makes the destination that is already known.
    unsafe fn foresee(&self, main: &MainConf) {
        let site = match &self.function {
            Some(function) => Site::of(&function.name, self.region.clone()),
            None => FunctionName::parse("any").and_then(|any| Site::of(&any, self.region.clone())),
        };
        match site {
            Some(site) => {
                // SAFETY: `build`'s caller's.
                let made = unsafe { self.ground.destination(main, site, false) };
                self.destinations.borrow_mut().push(Rc::new(made));
            }
            None => log::process(
                log::Level::Warn,
                format_args!(
                    "lambda: region for \"{}\" is not known until the instance's metadata tell it",
                    self.plan.pass.text
                ),
            ),
        }
    }

    /// Where a function's invocations go. The destination that was used longest ago makes room for a new one.
    pub(super) fn destination(
        &self,
        main: &MainConf,
        name: &FunctionName,
    ) -> Result<Rc<Destination>, Unreached> {
        let mut known = self.destinations.borrow_mut();
        if self.function.is_some()
            && let Some(only) = known.first()
        {
            return Ok(Rc::clone(only));
        }
        let region = self.region.clone().or_else(|| self.credentials.region());
        let site = Site::of(name, region).ok_or(Unreached::Pending)?;
        if let Some(at) = known.iter().position(|it| it.site == site) {
            let found = known.remove(at);
            known.push(Rc::clone(&found));
            return Ok(found);
        }
        if known.len() >= MAX_DESTINATIONS {
            // One whose host is being looked up has a helper thread, of which there must not be any number.
            let is_idle = |it: &Rc<Destination>| Rc::strong_count(it) == 1 && !it.is_pending();
            let oldest = known.iter().position(is_idle).ok_or(Unreached::TooMany)?;
            drop(known.remove(oldest));
            main.release_endpoints();
        }
        // SAFETY: a request of this configuration is being served.
        let made = Rc::new(unsafe { self.ground.destination(main, site, true) });
        known.push(Rc::clone(&made));
        Ok(made)
    }

    /// The credentials it is called with.
    pub(super) fn credentials(&self) -> &CredentialCell {
        &self.credentials
    }
}

/// A function URL's path takes the place of the location's, which only a prefix has.
///
/// *Source*: ngx_http_proxy_pass.
unsafe fn check_path(cf: *mut ngx_conf_t, plan: &LambdaPlan) -> Result<(), DirectiveError> {
    let Some(FunctionName::Url(url)) = &plan.pass.function else { return Ok(()) };
    // SAFETY: `build`'s caller's.
    let core = unsafe { core_conf(cf) };
    if url.path().is_some() && (!core.regex.is_null() || core.named() != 0) {
        let text = "\"lambda_pass\" cannot have a path in location given by regular expression, or \
                    inside named location";
        return Err(DirectiveError::new(text).at(&plan.pass.place));
    }
    Ok(())
}
