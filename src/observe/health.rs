use serde::Serialize;

/// What a load balancer is told.
///
/// Requests cannot be served without credentials. All else leaves the gateway serving in some way that is worse than it
/// should be: by an old consumer set, by limits that are not counted in the fleet's store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unavailable: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    status: &'static str,
    #[serde(flatten)]
    health: &'a Health,
}

impl Health {
    /// The body's Content-Type.
    pub const CONTENT_TYPE: &'static str = "application/json; charset=utf-8";

    /// Notes what keeps requests from being served.
    pub fn add_unavailable(&mut self, what: impl Into<String>) {
        self.unavailable.push(what.into());
    }

    /// Notes what is worse than it should be.
    pub fn add_degraded(&mut self, what: impl Into<String>) {
        self.degraded.push(what.into());
    }

    /// The response's status, 200 or 503, and its body.
    pub fn response(&self) -> (u16, Vec<u8>) {
        let (code, status) = match (self.unavailable.is_empty(), self.degraded.is_empty()) {
            (false, _) => (503, "unavailable"),
            (true, false) => (200, "degraded"),
            (true, true) => (200, "ok"),
        };
        // Texts cannot fail to serialise; an empty body would still have the right status.
        let mut body = serde_json::to_vec(&Document { status, health: self }).unwrap_or_default();
        body.push(b'\n');
        (code, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(health: &Health) -> (u16, String) {
        let (code, body) = health.response();
        (code, String::from_utf8(body).unwrap())
    }

    #[test]
    fn only_what_keeps_requests_from_being_served_is_503() {
        let mut health = Health::default();
        assert_eq!(response(&health), (200, "{\"status\":\"ok\"}\n".to_owned()));
        health.add_degraded("redis f");
        let degraded = "{\"status\":\"degraded\",\"degraded\":[\"redis f\"]}\n";
        assert_eq!(response(&health), (200, degraded.to_owned()));
        health.add_unavailable("credentials imds");
        let unavailable = "{\"status\":\"unavailable\",\"unavailable\":[\"credentials imds\"],\
                           \"degraded\":[\"redis f\"]}\n";
        assert_eq!(response(&health), (503, unavailable.to_owned()));
    }
}
