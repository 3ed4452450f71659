use super::histogram;

/// What is counted request by request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is explained by its help")]
pub enum Family {
    Requests,
    Decisions,
    GatewaySeconds,
    UpstreamSeconds,
    LambdaInvocations,
    LambdaSeconds,
    ConsumerRequests,
    ConsumersReloads,
}

impl Family {
    /// All of them, in the order of the page; the place is the number in shared memory.
    pub const ALL: [Self; 8] = [
        Self::Requests,
        Self::Decisions,
        Self::GatewaySeconds,
        Self::UpstreamSeconds,
        Self::LambdaInvocations,
        Self::LambdaSeconds,
        Self::ConsumerRequests,
        Self::ConsumersReloads,
    ];

    /// The metric's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "apigate_requests_total",
            Self::Decisions => "apigate_policy_decisions_total",
            Self::GatewaySeconds => "apigate_gateway_seconds",
            Self::UpstreamSeconds => "apigate_upstream_seconds",
            Self::LambdaInvocations => "apigate_lambda_invocations_total",
            Self::LambdaSeconds => "apigate_lambda_seconds",
            Self::ConsumerRequests => "apigate_consumer_requests_total",
            Self::ConsumersReloads => "apigate_consumers_reloads_total",
        }
    }

    /// What it counts.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Requests => "Requests by route, method and status",
            Self::Decisions => "What policies decided, by policy and reason",
            Self::GatewaySeconds => "Time of requests without that of their upstreams",
            Self::UpstreamSeconds => "Time of requests spent in their upstreams",
            Self::LambdaInvocations => "Invocations of functions by outcome",
            Self::LambdaSeconds => "Time of invocations",
            Self::ConsumerRequests => "Requests by consumer",
            Self::ConsumersReloads => "Changes of consumer sets by result",
        }
    }

    /// True for a histogram; the others are counters.
    pub const fn is_histogram(self) -> bool {
        matches!(self, Self::GatewaySeconds | Self::UpstreamSeconds | Self::LambdaSeconds)
    }

    /// How many numbers a series of it has.
    pub const fn cells(self) -> usize {
        if self.is_histogram() { histogram::CELLS } else { 1 }
    }
}
