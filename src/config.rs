//! All directives of all rooms, level by level, and the plans they are compiled to.
//!
//! nginx reads a directive, [`LOCATION`] or [`MAIN`] finds its room's parser, the level keeps what it parsed. When nginx
//! merges levels, so does [`LocationDirectives::merge`]; then [`LocationDirectives::compile`] makes the [`LocationPlan`] that
//! requests are judged by. Nothing of this happens while a request waits.

use crate::acl::{self, AclDirectives, AclPlan};
use crate::aws::source::Sources;
use crate::aws::{self, AwsDirectives, AwsPlan, Environment};
use crate::consumers::{ConsumersBlock, ConsumersPlan, Loaded, SetBuilder};
use crate::cors::{self, CorsDirectives, CorsPlan};
use crate::directive::{Context, Directive, DirectiveError, Takes, Words};
use crate::key_auth::{self, KeyAuthDirectives, KeyAuthPlan};
use crate::lambda::directives as lambda;
use crate::lambda::{LambdaDirectives, LambdaPlan};
use crate::method::{self, MethodDirectives, MethodPlan};
use crate::observe::{self, Endpoint, ObserveDirectives};
use crate::path::{self, PathDirectives, PathPlan};
use crate::pipeline::{self, PipelineDirectives, PipelinePlan, Step, Steps};
use crate::rate_limit::key::CounterId;
use crate::rate_limit::{
    self, Rate, RateLimitDirectives, RateLimitPlan, RateLimitZone, RateLimitZones, ZonePlan,
};
use crate::response_json::{self, ResponseJsonDirectives, ResponseJsonPlan};
use crate::route::{self, RouteDirectives, RoutePlan};
use crate::validate::{self, ValidateDirectives, ValidatePlan};
use std::ffi::CStr;
use std::sync::Arc;

/// A directive as nginx's command table needs it. `Level` is [`LocationDirectives`] or [`MainDirectives`].
pub struct Entry<Level> {
    /// The name in nginx.conf, as C compares it.
    pub name: &'static CStr,
    /// Where it may stand.
    pub context: Context,
    /// How many words it takes.
    pub takes: Takes,
    /// True when the directive makes us the location's content handler.
    pub handles: bool,
    /// The reference's syntax line, without the name.
    pub syntax: &'static str,
    /// The reference's default, empty when there is none.
    pub default: &'static str,
    /// Reads the words into the level.
    pub parse: fn(&Words<'_>, &mut Level) -> Result<(), DirectiveError>,
}

macro_rules! entries {
    ($level:ty; $($directive:ty => $field:ident),* $(,)?) => {
        &[$(Entry::<$level> {
            name: {
                const NAME: &str = <$directive as Directive>::NAME;
                const BYTES: &[u8] = &nul_terminated::<{ NAME.len() + 1 }>(NAME);
                match CStr::from_bytes_with_nul(BYTES) {
                    Ok(name) => name,
                    Err(_) => panic!("a directive's name has a NUL"),
                }
            },
            context: <$directive as Directive>::CONTEXT,
            takes: <$directive as Directive>::TAKES,
            handles: <$directive as Directive>::HANDLES,
            syntax: <$directive as Directive>::SYNTAX,
            default: <$directive as Directive>::DEFAULT,
            parse: |words, level| <$directive as Directive>::parse(words, &mut level.$field),
        }),*]
    };
}

const fn nul_terminated<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let (head, _) = bytes.split_at_mut(name.len());
    head.copy_from_slice(name.as_bytes());
    bytes
}

/// The directives that may stand in a location.
pub const LOCATION: &[Entry<LocationDirectives>] = entries![LocationDirectives;
    pipeline::PolicyMode => pipeline,
    pipeline::PolicyErrors => pipeline,
    path::PathAmbiguous => path,
    method::MethodNotAllowed => method,
    key_auth::KeyAuth => key_auth,
    key_auth::KeyAuthFailures => key_auth,
    acl::Acl => acl,
    rate_limit::RateLimit => rate_limit,
    rate_limit::RateLimitStatus => rate_limit,
    rate_limit::RateLimitMessage => rate_limit,
    rate_limit::RateLimitHeaders => rate_limit,
    aws::AwsRegion => aws,
    aws::AwsCredentials => aws,
    aws::AwsAssumeRole => aws,
    lambda::LambdaPass => lambda,
    lambda::LambdaEndpoint => lambda,
    lambda::LambdaConnectTimeout => lambda,
    lambda::LambdaSendTimeout => lambda,
    lambda::LambdaReadTimeout => lambda,
    lambda::LambdaKeepalive => lambda,
    lambda::LambdaNextUpstream => lambda,
    lambda::LambdaNextUpstreamTries => lambda,
    lambda::LambdaNextUpstreamTimeout => lambda,
    lambda::LambdaMaxRequest => lambda,
    lambda::LambdaMaxResponse => lambda,
    lambda::LambdaSslVerify => lambda,
    lambda::LambdaSslTrustedCertificate => lambda,
    lambda::LambdaSslName => lambda,
    lambda::LambdaHideHeader => lambda,
    lambda::LambdaPassHeader => lambda,
    lambda::LambdaFunctionError => lambda,
    lambda::LambdaLogTail => lambda,
    lambda::LambdaStripPrefix => lambda,
    lambda::LambdaStage => lambda,
    lambda::ForwardedFrom => lambda,
    route::Route => route,
    validate::ValidateBody => validate,
    validate::ValidateParam => validate,
    validate::ValidateOpenapi => validate,
    validate::ValidateErrors => validate,
    validate::ValidateDepth => validate,
    cors::Cors => cors,
    response_json::ResponseJson => response_json,
    observe::ApigateMetrics => observe,
    observe::ApigateHealth => observe,
];

/// `method`, whose words are an entry's like any other and whose block nginx/method.rs reads.
pub const METHOD: &Entry<LocationDirectives> =
    &entries![LocationDirectives; method::Method => method][0];

/// `consumers`, whose word names a set and whose block is read line by line.
pub const CONSUMERS: &Entry<MainDirectives> = &Entry {
    name: c"consumers",
    context: Context::HTTP,
    takes: Takes::One,
    handles: false,
    syntax: "NAME { ... }",
    default: "",
    parse: |words, main| {
        main.consumers.push(ConsumersBlock::new(words.first()?, words.place().clone())?);
        Ok(())
    },
};

/// The directives that stand in `http` alone.
pub const MAIN: &[Entry<MainDirectives>] = entries![MainDirectives;
    RateLimitZone => rate_limit,
];

/// What `http` alone holds.
#[derive(Debug, Default)]
pub struct MainDirectives {
    /// `consumers NAME { }`
    pub consumers: Vec<ConsumersBlock>,
    /// `rate_limit_zone`
    pub rate_limit: RateLimitZones,
}

/// A consumer set as it was loaded, and how to load it again.
#[derive(Debug)]
pub struct SetPlan {
    /// The block's lines and files.
    pub plan: Arc<ConsumersPlan>,
    /// The set of this moment.
    pub loaded: Loaded,
    /// The consumers that `anonymous=` names: a version of the set without them is bad.
    pub required: Vec<String>,
}

/// What locations are compiled against: everything that is declared once and used by name.
#[derive(Debug, Default)]
pub struct MainPlan {
    /// The master's environment variables.
    pub environment: Arc<Environment>,
    /// The consumer sets, by number.
    pub sets: Vec<SetPlan>,
    /// The places that credentials come from.
    pub sources: Sources,
    /// The zones of counters, by number.
    pub rate_limit_zones: Vec<ZonePlan>,
}

impl SetPlan {
    /// Lets go of the set, for whoever has it elsewhere and will replace it there.
    pub fn let_go(&mut self) {
        if let Ok(empty) = SetBuilder::new(self.plan.name()).finish() {
            self.loaded.set = Arc::new(empty);
        }
    }
}

impl MainDirectives {
    /// Reads a line of the `consumers` block that was opened last.
    pub fn consumers_line(&mut self, words: &Words<'_>) -> Result<(), DirectiveError> {
        match self.consumers.last_mut() {
            Some(block) => block.line(words),
            None => Err(words.wrong_count()),
        }
    }

    /// The plan, files read.
    pub fn compile(&self, environment: Environment) -> Result<MainPlan, DirectiveError> {
        let variable = |name: &str| environment.get(name).map(str::to_owned);
        let mut sets: Vec<SetPlan> = Vec::with_capacity(self.consumers.len());
        for block in &self.consumers {
            if sets.iter().any(|set| set.plan.name() == block.name()) {
                let message = format!("duplicate consumer set \"{}\"", block.name());
                return Err(DirectiveError::new(message).at(block.place()));
            }
            let plan = Arc::new(block.compile(&variable)?);
            let loaded = plan.load().map_err(|failed| failed.error)?;
            sets.push(SetPlan { plan, loaded, required: Vec::new() });
        }
        Ok(MainPlan {
            environment: Arc::new(environment),
            sets,
            sources: Sources::default(),
            rate_limit_zones: self.rate_limit.zones().to_vec(),
        })
    }
}

/// What one level (`http`, a server, a location, an `if` or `method` block) has written.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each field is the room of its name")]
pub struct LocationDirectives {
    /// True when any directive is written here or above, `off` included.
    pub is_written: bool,
    pub pipeline: PipelineDirectives,
    pub path: PathDirectives,
    pub method: MethodDirectives,
    pub key_auth: KeyAuthDirectives,
    pub acl: AclDirectives,
    pub rate_limit: RateLimitDirectives,
    pub aws: AwsDirectives,
    pub lambda: LambdaDirectives,
    pub route: RouteDirectives,
    pub validate: ValidateDirectives,
    pub cors: CorsDirectives,
    pub response_json: ResponseJsonDirectives,
    pub observe: ObserveDirectives,
}

/// What requests of a location are judged by, and who answers them.
#[derive(Clone, Debug, Default)]
pub struct LocationPlan {
    /// True when any directive of the module is written for the location: identity headers of clients are removed.
    pub strips_identity: bool,
    /// What there is to judge.
    pub steps: Steps,
    /// True when errors of the location have our body.
    pub owns_errors: bool,
    /// How refusals are carried out and written.
    pub pipeline: PipelinePlan,
    /// Whether ambiguous paths are refused.
    pub path: Option<PathPlan>,
    /// The `method` blocks.
    pub method: Option<MethodPlan>,
    /// `key_auth`
    pub key_auth: Option<Arc<KeyAuthPlan>>,
    /// `key_auth_failures`
    pub key_auth_failures: Option<Arc<FailuresPlan>>,
    /// `acl`
    pub acl: Option<Arc<AclPlan>>,
    /// `rate_limit`
    pub rate_limit: Option<Arc<RateLimitPlan>>,
    /// `lambda_pass`, with the region and the credentials it calls with
    pub lambda: Option<(Arc<LambdaPlan>, AwsPlan)>,
    /// `route`
    pub route: Option<Arc<RoutePlan>>,
    /// `validate_*`
    pub validate: Option<Arc<ValidatePlan>>,
    /// Who may read the answers from other origins.
    pub cors: Option<Arc<CorsPlan>>,
    /// How JSON bodies are edited.
    pub response_json: Option<Arc<ResponseJsonPlan>>,
    /// `apigate_metrics`, `apigate_health`
    pub endpoint: Option<Endpoint>,
}

/// How many failed authentications a client may have.
#[derive(Clone, Debug)]
pub struct FailuresPlan {
    /// The limits.
    pub limits: RateLimitPlan,
    /// The status of each limit's refusals, in the same order.
    pub statuses: Vec<u16>,
}

impl LocationDirectives {
    /// Tells the level what to call itself in the identity of its counters; see [`RateLimitDirectives::set_scope`].
    pub fn set_scope(&mut self, scope: &str) {
        self.rate_limit.set_scope(scope);
        self.key_auth.set_scope(scope);
    }

    /// Takes from the outer level what is not written here.
    pub fn merge(&mut self, outer: &Self) {
        self.is_written |= outer.is_written;
        self.pipeline.merge(&outer.pipeline);
        self.path.merge(&outer.path);
        self.method.merge(&outer.method);
        self.key_auth.merge(&outer.key_auth);
        self.acl.merge(&outer.acl);
        self.rate_limit.merge(&outer.rate_limit);
        self.aws.merge(&outer.aws);
        self.lambda.merge(&outer.lambda);
        self.route.merge(&outer.route);
        self.validate.merge(&outer.validate);
        self.cors.merge(&outer.cors);
        self.response_json.merge(&outer.response_json);
    }

    /// Takes the location's content handler, in an `if` or `method` block that has none of its own.
    pub fn inherit_handler(&mut self, location: &Self) {
        self.lambda.inherit_pass(&location.lambda);
        self.observe.inherit_handler(&location.observe);
    }

    /// The plan of a merged level, or which directive cannot be carried out and where it stands.
    pub fn compile(&self, main: &mut MainPlan) -> Result<LocationPlan, DirectiveError> {
        let key_auth = self.key_auth.compile(|name| {
            let number = main.sets.iter().position(|set| set.plan.name() == name)?;
            main.sets.get(number).map(|set| (number, &*set.loaded.set))
        })?;
        if let Some(plan) = &key_auth
            && let (Some(set), Some(name)) = (main.sets.get_mut(plan.set), &plan.anonymous)
        {
            set.required.push(name.to_string());
        }
        let acl = self.acl.compile(key_auth.is_some())?;
        let rate_limit = self.rate_limit.compile(&main.rate_limit_zones)?;
        let key_auth_failures = self.compile_failures(&main.rate_limit_zones)?;
        let lambda = match self.lambda.compile()? {
            Some(plan) => {
                let plan = plan.with_environment(|name| main.environment.get(name))?;
                let aws = self.aws.compile(&main.environment, &mut main.sources)?;
                Some((Arc::new(plan), aws))
            }
            None => None,
        };
        let (path, method) = (self.path.compile(), self.method.compile());
        let validate = self.validate.compile()?.map(Arc::new);
        let owns_errors = self.pipeline.shapes_errors()
            || key_auth.is_some()
            || acl.is_some()
            || rate_limit.is_some()
            || validate.is_some()
            || lambda.is_some();
        let (cors, response_json) = (self.cors.compile(), self.response_json.compile());
        let steps = Steps::in_force(&[
            (Step::CorsPreflight, cors.is_some()),
            (Step::Path, path.is_some()),
            (Step::Method, method.is_some()),
            (Step::KeyAuth, key_auth.is_some()),
            (Step::Acl, acl.is_some()),
            (Step::RateLimit, rate_limit.is_some()),
            (Step::ValidateHead, validate.is_some()),
            (Step::ValidateBody, validate.is_some()),
        ]);
        Ok(LocationPlan {
            strips_identity: self.is_written,
            steps,
            owns_errors,
            pipeline: self.pipeline.compile(),
            path,
            method,
            key_auth: key_auth.map(Arc::new),
            key_auth_failures: key_auth_failures.map(Arc::new),
            acl: acl.map(Arc::new),
            rate_limit: rate_limit.map(Arc::new),
            lambda,
            route: self.route.compile()?.map(Arc::new),
            validate,
            cors,
            response_json,
            endpoint: self.observe.compile(),
        })
    }

    fn compile_failures(&self, zones: &[ZonePlan]) -> Result<Option<FailuresPlan>, DirectiveError> {
        let written = self.key_auth.compile_failures(Rate::parse)?;
        let mut limits = Vec::with_capacity(written.len());
        for (ordinal, limit) in written.iter().enumerate() {
            let zone = ZonePlan::find(zones, &limit.zone, &limit.place)?;
            let scope = format!("key_auth_failures {}", limit.scope);
            let counter = CounterId::placed(&scope, ordinal);
            limits.push((limit.rate, zone, counter, limit.place.clone()));
        }
        if limits.is_empty() {
            return Ok(None);
        }
        let statuses = written.iter().map(|limit| limit.status).collect();
        let limits = RateLimitPlan::of_failures(limits, zones)?;
        Ok(Some(FailuresPlan { limits, statuses }))
    }
}

#[cfg(test)]
mod reference_tests;
