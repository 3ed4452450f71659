//! The two decisions: on the head, before anything of the body is read, and on the whole body.

use std::borrow::Cow;
use std::sync::Arc;

use super::content_type::{BodyType, Coding, ContentHeaders, Kind, MediaType};
use super::faults::Origin;
use super::form;
use super::gzip::{self, NotDecoded};
use super::json::{self, Json};
use super::openapi::{Api, Lookup};
use super::param::decode;
use super::param::{Inputs, Parameter, Place};
use super::schema::Schema;
use super::shape::Shape;
use crate::decision::{Decision, Fault, MAX_FAULTS, Policy, Reason, Refusal};
use crate::request::RequestHead;

/// What a location checks.
#[derive(Clone, Debug)]
pub struct ValidatePlan {
    pub(super) parameters: Arc<Vec<Parameter>>,
    pub(super) body: Option<Arc<BodyRule>>,
    pub(super) openapi: Option<Arc<Api>>,
    pub(super) detailed: bool,
    pub(super) max_depth: usize,
    pub(super) content_headers: ContentHeaders,
}

impl ValidatePlan {
    /// The names of the path parameters that `validate_param` asks for.
    pub fn path_parameter_names(&self) -> impl Iterator<Item = &str> {
        let in_path = |parameter: &&Parameter| parameter.place == Place::Path;
        self.parameters.iter().filter(in_path).map(|parameter| parameter.name.as_str())
    }

    /// True when both have what they check from the same directives.
    pub fn has_the_rules_of(&self, other: &Self) -> bool {
        let is_same_body = match (&self.body, &other.body) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let is_same_document = match (&self.openapi, &other.openapi) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let have_none = self.parameters.is_empty() && other.parameters.is_empty();
        let are_same_parameters = have_none || Arc::ptr_eq(&self.parameters, &other.parameters);
        is_same_body && is_same_document && are_same_parameters
    }
}

/// A `validate_body` directive.
#[derive(Debug)]
pub(super) struct BodyRule {
    pub(super) schema: Arc<Schema>,
    pub(super) types: Vec<MediaType>,
    /// Bodies encoded by gzip are decoded for their check.
    pub(super) takes_gzip: bool,
}

/// What is known of a request before its body.
#[derive(Debug)]
pub struct HeadFacts<'a, H> {
    /// Method, query and headers.
    pub head: &'a H,
    /// The path as the client sent it, percent-encoded, without the query.
    pub path: &'a [u8],
    /// The path as it is served: decoded, its dot segments resolved, or what a rewrite made of it.
    pub served_path: &'a [u8],
    /// The path's parameters by name, percent-encoded: named captures of the location, parameters of its `route`. `None`
    /// where the path is not of the route that has the parameter.
    pub path_parameters: &'a [(&'a str, Option<&'a [u8]>)],
    /// A body is announced that is not empty.
    pub has_body: bool,
    /// How long a body may be, and so a decoded one; 0 for as long as it likes.
    pub max_body_bytes: u64,
}

/// The decision on a request's head.
#[derive(Clone, Debug)]
pub struct HeadOutcome {
    /// `Continue`, or what is wrong with the head.
    pub decision: Decision,
    /// What is to be done with the body; `None` when it need not be read.
    pub body: Option<BodyCheck>,
}

/// What is to be done with a body. Owned, so that it can be taken to another thread.
#[derive(Clone, Debug)]
pub struct BodyCheck {
    /// What the body says it is; `None` when it may not be said.
    kind: Option<Kind>,
    is_gzip: bool,
    max_decoded_bytes: usize,
    rules: [Option<Rule>; 2],
}

#[derive(Clone, Debug)]
struct Rule {
    policy: Policy,
    required: bool,
    content: Content,
}

impl Rule {
    fn refuses(&self) -> bool {
        matches!(self.content, Content::Refused)
    }

    fn checked(&self) -> Option<(&Self, &Schema)> {
        match &self.content {
            Content::Checked(schema) => Some((self, schema)),
            Content::Refused | Content::Unchecked => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Content {
    Refused,
    Unchecked,
    Checked(Arc<Schema>),
}

/// Bodies from here on take long enough to be checked away from the event loop.
pub const HEAVY_BODY_BYTES: usize = 128 * 1024;

/// The same where a schema's patterns step back: up to some thousand steps for every string.
pub const HEAVY_PATTERNS_BYTES: usize = 8 * 1024;

/// What an encoded body may become where bodies may be of any length.
const MAX_DECODED_BYTES: usize = 64 * 1024 * 1024;

impl BodyCheck {
    /// True when a body of this length should be checked away from the event loop.
    pub fn is_heavy(&self, body_bytes: usize) -> bool {
        let mut schemas = self.rules.iter().flatten().filter_map(Rule::checked).peekable();
        body_bytes >= HEAVY_BODY_BYTES
            || self.is_gzip && schemas.peek().is_some()
            || body_bytes >= HEAVY_PATTERNS_BYTES && schemas.any(|(_, schema)| schema.steps_back())
    }
}

/// The decision on a request's head: operation and parameters.
pub fn decide_head<H: RequestHead>(plan: &ValidatePlan, facts: &HeadFacts<'_, H>) -> HeadOutcome {
    match check_head(plan, facts) {
        Ok(body) => HeadOutcome { decision: Decision::Continue, body },
        Err(refusal) => HeadOutcome { decision: refusal.into(), body: None },
    }
}

fn check_head<H: RequestHead>(
    plan: &ValidatePlan,
    facts: &HeadFacts<'_, H>,
) -> Result<Option<BodyCheck>, Refusal> {
    let own = Inputs::new(facts.head, facts.path_parameters, &plan.parameters, plan.max_depth);
    check_parameters(plan, Policy::ValidateParam, &plan.parameters, &own)?;
    let body_type = plan.content_headers.body_type(facts.head);
    let kind = body_type.and_then(|body| body.kind());
    let sent = Sent { body_type, kind, coding: plan.content_headers.coding(facts.head) };
    let body = plan.body.as_ref().map(|rule| body_rule(rule, &sent));
    let openapi = match &plan.openapi {
        Some(api) => openapi_rule(plan, api, facts, &sent)?,
        None => None,
    };
    let is_idle = |rule: &Rule| !rule.required && matches!(rule.content, Content::Unchecked);
    let rules = [body, openapi].map(|rule| rule.filter(|rule| !is_idle(rule)));
    if rules.iter().all(Option::is_none) {
        return Ok(None);
    }
    if facts.has_body
        && let Some(rule) = rules.iter().flatten().find(|rule| rule.refuses())
    {
        return Err(content_type_not_allowed(rule));
    }
    let max_decoded_bytes = match usize::try_from(facts.max_body_bytes) {
        Ok(0) | Err(_) => MAX_DECODED_BYTES,
        Ok(most) => most,
    };
    let is_gzip = sent.coding == Coding::Gzip;
    Ok(Some(BodyCheck { kind: sent.kind, is_gzip, max_decoded_bytes, rules }))
}

/// What a request says of its body.
struct Sent<'a> {
    body_type: Option<BodyType<'a>>,
    kind: Option<Kind>,
    coding: Coding,
}

impl<'a> Sent<'a> {
    /// The media type, when the encoding is one that is undone.
    fn readable_type(&self, takes_gzip: bool) -> Option<BodyType<'a>> {
        let is_readable = match self.coding {
            Coding::Identity => true,
            Coding::Gzip => takes_gzip,
            Coding::Other => false,
        };
        self.body_type.filter(|_| is_readable)
    }

    /// What becomes of a body of a type that is allowed: one that is not readable as what it says is refused all the same.
    fn content(&self, schema: &Arc<Schema>) -> Content {
        match self.kind {
            None => Content::Refused,
            Some(Kind::Other) => Content::Unchecked,
            Some(_) => Content::Checked(Arc::clone(schema)),
        }
    }
}

fn body_rule(rule: &BodyRule, sent: &Sent<'_>) -> Rule {
    let is_listed =
        |body: &BodyType<'_>| rule.types.iter().any(|listed| listed.matches(body).is_some());
    let content = match sent.readable_type(rule.takes_gzip).filter(is_listed) {
        Some(_) => sent.content(&rule.schema),
        None => Content::Refused,
    };
    Rule { policy: Policy::ValidateBody, required: true, content }
}

fn openapi_rule<H: RequestHead>(
    plan: &ValidatePlan,
    api: &Api,
    facts: &HeadFacts<'_, H>,
    sent: &Sent<'_>,
) -> Result<Option<Rule>, Refusal> {
    let served = decode::encoded(facts.served_path);
    let found = match api.find_either(facts.head.method(), facts.path, &served) {
        Lookup::Found(found) => found,
        Lookup::Unknown => return Ok(None),
        Lookup::NoPath => return Err(no_operation()),
        Lookup::NoMethod(allow) => return Err(no_method(allow)),
    };
    let inputs = Inputs::new(facts.head, &found.path, &found.operation.parameters, plan.max_depth);
    check_parameters(plan, Policy::ValidateOpenapi, &found.operation.parameters, &inputs)?;
    Ok(found.operation.body.as_ref().map(|body| {
        let readable = sent.readable_type(api.takes_gzip());
        let content = match readable.and_then(|given| body.schema_for(&given)) {
            Some(Some(schema)) => sent.content(schema),
            Some(None) => Content::Unchecked,
            None => Content::Refused,
        };
        Rule { policy: Policy::ValidateOpenapi, required: body.required, content }
    }))
}

fn no_operation() -> Refusal {
    Refusal::new(Policy::ValidateOpenapi, Reason::NoOperation, 404, "No such operation")
}

fn no_method(allow: &str) -> Refusal {
    Refusal::new(Policy::ValidateOpenapi, Reason::Method, 405, "Method not allowed")
        .with_header("Allow", allow)
}

fn check_parameters<H: RequestHead>(
    plan: &ValidatePlan,
    policy: Policy,
    parameters: &[Parameter],
    inputs: &Inputs<'_, H>,
) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    for parameter in parameters {
        parameter.check(inputs, plan.detailed, &mut faults);
        if faults.len() >= MAX_FAULTS || !plan.detailed && !faults.is_empty() {
            break;
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let message = "request param doesn't conform to schema";
    Err(refusal(plan, policy, Reason::ParamSchema, message, faults))
}

fn refusal(
    plan: &ValidatePlan,
    policy: Policy,
    reason: Reason,
    message: &'static str,
    mut faults: Vec<Fault>,
) -> Refusal {
    faults.truncate(MAX_FAULTS);
    let mut refusal = Refusal::new(policy, reason, 400, message);
    if plan.detailed {
        refusal.faults = faults;
    }
    refusal
}

const BODY: Origin<'static> = Origin { location: "body", name: None };

/// The decision on a whole body, empty when the request has none.
pub fn decide_body(plan: &ValidatePlan, check: &BodyCheck, body: &[u8]) -> Decision {
    match check_body(plan, check, body) {
        Ok(()) => Decision::Continue,
        Err(refusal) => refusal.into(),
    }
}

fn check_body(plan: &ValidatePlan, check: &BodyCheck, body: &[u8]) -> Result<(), Refusal> {
    for rule in check.rules.iter().flatten() {
        if body.is_empty() && rule.required {
            let fault = BODY.fault("required", "must be present");
            return Err(does_not_conform(plan, rule, vec![fault]));
        }
        if !body.is_empty() && rule.refuses() {
            return Err(content_type_not_allowed(rule));
        }
    }
    let mut rules = check.rules.iter().flatten().filter_map(Rule::checked).peekable();
    let Some((first, _)) = rules.peek().filter(|_| !body.is_empty()) else {
        return Ok(());
    };
    let body = decode(plan, check, first, body)?;
    let mut document = None;
    for (rule, schema) in rules {
        if check.kind != Some(Kind::Json) {
            check_form(plan, rule, schema, check.kind.as_ref(), &body)?;
            continue;
        }
        if document.is_none() && schema.accepts(&body, plan.max_depth) {
            continue;
        }
        let value = match document.take() {
            Some(value) => value,
            None => json::parse(&body, plan.max_depth).map_err(|_| is_not_json(rule))?,
        };
        check_value(plan, rule, schema, &value)?;
        document = Some(value);
    }
    Ok(())
}

fn content_type_not_allowed(rule: &Rule) -> Refusal {
    let message = "specified Content-Type is not allowed";
    Refusal::new(rule.policy, Reason::ContentType, 415, message)
}

fn is_not_json(rule: &Rule) -> Refusal {
    Refusal::new(rule.policy, Reason::NotJson, 400, "request body is not valid JSON")
}

/// The body without its encoding.
fn decode<'a>(
    plan: &ValidatePlan,
    check: &BodyCheck,
    rule: &Rule,
    body: &'a [u8],
) -> Result<Cow<'a, [u8]>, Refusal> {
    if !check.is_gzip {
        return Ok(Cow::Borrowed(body));
    }
    gzip::decode(body, check.max_decoded_bytes).map(Cow::Owned).map_err(|why| match why {
        NotDecoded::TooLarge => {
            Refusal::new(rule.policy, Reason::TooLarge, 413, "Request body is too large")
        }
        NotDecoded::Broken if check.kind == Some(Kind::Json) => is_not_json(rule),
        NotDecoded::Broken => {
            does_not_conform(plan, rule, vec![BODY.fault("content", "must be encoded by gzip")])
        }
    })
}

fn does_not_conform(plan: &ValidatePlan, rule: &Rule, faults: Vec<Fault>) -> Refusal {
    let message = "request body doesn't conform to schema";
    refusal(plan, rule.policy, Reason::BodySchema, message, faults)
}

fn check_value(
    plan: &ValidatePlan,
    rule: &Rule,
    schema: &Schema,
    value: &Json<'_>,
) -> Result<(), Refusal> {
    if schema.is_valid(value) {
        return Ok(());
    }
    let faults = if plan.detailed { schema.faults(value, &BODY) } else { Vec::new() };
    Err(does_not_conform(plan, rule, faults))
}

/// A form conforms when it does with its fields typed, or with its fields as the strings that they are.
fn check_form(
    plan: &ValidatePlan,
    rule: &Rule,
    schema: &Schema,
    kind: Option<&Kind>,
    body: &[u8],
) -> Result<(), Refusal> {
    let read = |shape: &Shape, typed: bool| match kind {
        Some(Kind::Multipart(boundary)) => {
            form::multipart(body, boundary, shape, typed, plan.max_depth)
        }
        _ => form::urlencoded(body, shape, typed, plan.max_depth),
    };
    let broken = |reason| does_not_conform(plan, rule, vec![BODY.fault("content", reason)]);
    let typed = read(schema.shape(), true).map_err(broken)?;
    if schema.is_valid(&typed) || schema.is_valid(&read(schema.shape(), false).map_err(broken)?) {
        return Ok(());
    }
    check_value(plan, rule, schema, &typed)
}
