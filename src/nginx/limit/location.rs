//! What a location's limits need of nginx: variables compiled, and the order in which zones are locked.

use crate::directive::DirectiveError;
use crate::nginx::request::Request;
use crate::nginx::template;
use crate::rate_limit::key::KeyTemplate;
use crate::rate_limit::{Cost, LimitPlan, RateLimitPlan};
use nginx_sys::{ngx_conf_t, ngx_http_complex_value_t};
use std::fmt;

/// The nginx side of a [`RateLimitPlan`].
pub(in crate::nginx) struct LimitLocation {
    values: Vec<Values>,
}

/// The variables of one limit.
#[derive(Default)]
struct Values {
    key: Option<Box<ngx_http_complex_value_t>>,
    cost: Option<Box<ngx_http_complex_value_t>>,
}

impl fmt::Debug for LimitLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitLocation").field("limits", &self.values.len()).finish_non_exhaustive()
    }
}

impl LimitLocation {
    /// Compiles the variables of a plan.
    ///
    /// # Safety
    /// `cf` is nginx's, in the merge of the level.
    pub(in crate::nginx) unsafe fn build(
        cf: *mut ngx_conf_t,
        plan: &RateLimitPlan,
    ) -> Result<Self, DirectiveError> {
        let compile = |limit: &LimitPlan| {
            let mut values = Values::default();
            if let KeyTemplate::Variables(text) = &limit.key {
                // SAFETY: the caller's.
                values.key = Some(unsafe { template::compile(cf, text, &limit.place) }?);
            }
            if let Cost::Variable(text) = &limit.cost {
                // SAFETY: the caller's.
                values.cost = Some(unsafe { template::compile(cf, text, &limit.place) }?);
            }
            Ok(values)
        };
        Ok(Self { values: plan.limits.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// The text of `by=` with variables; empty when it has none or memory is short.
    pub(super) fn key<'a>(&self, request: Request<'a>, position: usize) -> &'a [u8] {
        let value = self.values.get(position).and_then(|values| values.key.as_deref());
        value.and_then(|value| request.evaluate(value)).unwrap_or_default()
    }

    /// What the request costs.
    pub(super) fn cost(&self, request: Request<'_>, position: usize, plan: &LimitPlan) -> u64 {
        if let Cost::Fixed(cost) = plan.cost {
            return cost;
        }
        let value = self.values.get(position).and_then(|values| values.cost.as_deref());
        Cost::read(value.and_then(|value| request.evaluate(value)).unwrap_or_default())
    }
}
