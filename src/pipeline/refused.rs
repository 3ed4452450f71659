//! The way to an error page: which of its location's policies have had their say.

use std::sync::Arc;

use super::Step;
use crate::acl::AclPlan;
use crate::config::LocationPlan;
use crate::decision::Policy;
use crate::key_auth::KeyAuthPlan;
use crate::validate::ValidatePlan;

/// Who refused a request, and what was in force where that happened.
///
/// `error_page` leads to another location. A directive that both have from a level around them has spoken, and must not
/// stand between the client and the page that tells it so. What the other location has of its own is asked: an error is
/// no way in.
#[derive(Clone, Debug)]
pub struct Refused {
    policy: Policy,
    key_auth: Option<Arc<KeyAuthPlan>>,
    acl: Option<Arc<AclPlan>>,
    validate: Option<Arc<ValidatePlan>>,
}

impl Refused {
    /// A refusal by this policy under this plan.
    pub fn new(policy: Policy, plan: &LocationPlan) -> Self {
        let (key_auth, acl) = (plan.key_auth.clone(), plan.acl.clone());
        Self { policy, key_auth, acl, validate: plan.validate.clone() }
    }

    /// True when it is this step's directive, as it is in force under `plan`, that has refused the request. `key_auth` and
    /// `acl` are one in this: both say who may.
    pub fn is_by(&self, step: Step, plan: &LocationPlan) -> bool {
        match (step, self.policy) {
            (
                Step::KeyAuth | Step::Acl,
                Policy::KeyAuth | Policy::KeyAuthFailures | Policy::Acl,
            ) => {
                self.key_auth.as_ref().map(|plan| plan.place())
                    == plan.key_auth.as_ref().map(|plan| plan.place())
                    && self.acl.as_ref().map(|plan| plan.place())
                        == plan.acl.as_ref().map(|plan| plan.place())
            }
            (
                Step::ValidateHead | Step::ValidateBody,
                Policy::ValidateBody | Policy::ValidateParam | Policy::ValidateOpenapi,
            ) => match (&self.validate, &plan.validate) {
                (Some(refusing), Some(plan)) => refusing.has_the_rules_of(plan),
                _ => false,
            },
            _ => false,
        }
    }
}
