//! What all listeners share, and which of them answers a request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;

use crate::clock::Clock;
use crate::credentials::{Issuer, NewCredential, Registry};
use crate::functions::Functions;
use crate::http1::Request;
use crate::python::Python;
use crate::response::Delivery;
use crate::sigv4::{Denial, Expectation, Signed, verify};
use crate::site::{Kind, Site};
use crate::tls::Authority;
use crate::{alb, container, control, imds, lambda, secretsmanager, sts};

/// What the control API sets for the services that hand out credentials and secrets.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The regions in whose scope signatures are accepted where the host names none.
    pub(crate) regions: Vec<String>,
    /// The region that the instance metadata tell.
    pub(crate) imds_region: String,
    /// The instance's role; none: 404.
    pub(crate) imds_role: Option<String>,
    /// What the container endpoint demands in Authorization.
    pub(crate) container_authorization: Option<String>,
    /// What AssumeRole demands as ExternalId.
    pub(crate) external_id: Option<String>,
    /// What AssumeRoleWithWebIdentity demands as token.
    pub(crate) web_identity_token: String,
    /// Lifetimes by service; STS without one obeys DurationSeconds.
    pub(crate) lifetimes: HashMap<Kind, Lifetime>,
}

/// How long credentials live, and how long before their end new ones are handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub(crate) lifetime_ms: i64,
    pub(crate) renew_before_ms: i64,
}

const DEFAULT_LIFETIME: Lifetime =
    Lifetime { lifetime_ms: 6 * 3_600_000, renew_before_ms: 5 * 60_000 };

impl Settings {
    /// The lifetime of the credentials of a service.
    pub(crate) fn lifetime(&self, kind: Kind) -> (i64, i64) {
        let lifetime = self.lifetimes.get(&kind).unwrap_or(&DEFAULT_LIFETIME);
        (lifetime.lifetime_ms, lifetime.renew_before_ms)
    }
}

impl Default for Settings {
    fn default() -> Self {
        let regions =
            ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "cn-north-1", "us-gov-west-1"];
        Self {
            regions: regions.map(String::from).to_vec(),
            imds_region: "us-east-1".into(),
            imds_role: Some("double-role".into()),
            container_authorization: None,
            external_id: None,
            web_identity_token: "double-web-identity-token".into(),
            lifetimes: HashMap::new(),
        }
    }
}

/// One request to the Lambda API or to a function URL, as the control API lists it.
pub(crate) struct Record {
    pub(crate) sequence: u64,
    pub(crate) at_ms: i64,
    pub(crate) site: Kind,
    pub(crate) request: Request,
    pub(crate) function: String,
    pub(crate) qualifier: String,
    pub(crate) request_id: String,
    pub(crate) access_key_id: Option<String>,
    /// The API's exception where it refused.
    pub(crate) refused: Option<String>,
    /// The event: the body, or for function URLs what was made of the request.
    pub(crate) event: bytes::Bytes,
    /// Length of the whole HTTP response.
    pub(crate) response_bytes: usize,
}

/// The last requests, bounded by number and by bytes.
#[derive(Default)]
pub(crate) struct Records {
    ring: Mutex<(VecDeque<Record>, usize)>,
    sequence: AtomicU64,
}

impl Records {
    const MAX: usize = 4096;
    const MAX_BYTES: usize = 64 << 20;

    /// Keeps a record and gives it its number.
    pub(crate) fn push(&self, mut record: Record) {
        record.sequence = self.sequence.fetch_add(1, Relaxed) + 1;
        let mut ring = self.ring.lock();
        ring.1 += record.event.len();
        ring.0.push_back(record);
        while ring.0.len() > Self::MAX || ring.1 > Self::MAX_BYTES {
            let Some(oldest) = ring.0.pop_front() else { break };
            ring.1 -= oldest.event.len();
        }
    }

    /// The last `count` records that `wanted` accepts, oldest first, as `show` puts them.
    pub(crate) fn last(
        &self,
        count: usize,
        wanted: impl Fn(&Record) -> bool,
        show: impl Fn(&Record) -> Value,
    ) -> Vec<Value> {
        let ring = self.ring.lock();
        let mut shown: Vec<Value> =
            ring.0.iter().rev().filter(|record| wanted(record)).take(count).map(show).collect();
        shown.reverse();
        shown
    }

    /// Forgets all records.
    pub(crate) fn clear(&self) {
        *self.ring.lock() = Default::default();
    }
}

/// The state of the double.
pub(crate) struct Double {
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    pub(crate) authority: Authority,
    pub(crate) functions: Functions,
    pub(crate) settings: RwLock<Settings>,
    pub(crate) imds_issuer: Issuer,
    pub(crate) container_issuer: Issuer,
    /// IMDSv2 tokens and the time of their end in milliseconds.
    pub(crate) imds_tokens: Mutex<HashMap<String, i64>>,
    /// Secrets Manager's secrets by name or ARN.
    pub(crate) secrets: RwLock<HashMap<String, String>>,
    /// Function URLs: id to function and whether requests must be signed.
    pub(crate) urls: RwLock<HashMap<String, (String, bool)>>,
    pub(crate) records: Records,
    /// Events that are counted by name, such as `imds.credentials`.
    events: Mutex<BTreeMap<String, u64>>,
    pub(crate) python: Python,
    pub(crate) sites: Vec<Arc<Site>>,
}

impl Double {
    /// A double with these listeners, not started yet.
    pub(crate) fn new(authority: Authority, python: Python, sites: Vec<Arc<Site>>) -> Self {
        Self {
            clock: Clock::default(),
            registry: Registry::new(),
            authority,
            functions: Functions::default(),
            settings: RwLock::default(),
            imds_issuer: Issuer::default(),
            container_issuer: Issuer::default(),
            imds_tokens: Mutex::default(),
            secrets: RwLock::default(),
            urls: RwLock::default(),
            records: Records::default(),
            events: Mutex::default(),
            python,
            sites,
        }
    }

    /// The reply to a request.
    pub(crate) async fn handle(&self, site: &Site, request: Request) -> Delivery {
        let now_ms = self.clock.now_ms();
        let response = match site.kind {
            Kind::LambdaHttp | Kind::LambdaHttps => {
                return lambda::handle(self, site.kind, request).await;
            }
            Kind::Control => control::handle(self, &request).await,
            Kind::Imds => imds::handle(self, &request),
            Kind::Container => container::handle(self, &request),
            Kind::Sts => sts::handle(self, &request),
            Kind::SecretsManager => secretsmanager::handle(self, &request),
            Kind::Alb => alb::handle(&request),
        };
        response.deliver(&request, now_ms)
    }

    /// Counts an event.
    pub(crate) fn count(&self, event: impl Into<String>) {
        *self.events.lock().entry(event.into()).or_default() += 1;
    }

    /// All counted events.
    pub(crate) fn events(&self) -> BTreeMap<String, u64> {
        self.events.lock().clone()
    }

    /// Sets all counts to zero.
    pub(crate) fn reset_counts(&self) {
        self.events.lock().clear();
        self.sites.iter().for_each(|site| site.reset_counts());
        self.functions.all().iter().for_each(|(_, function)| function.reset_counts());
    }

    /// New temporary credentials of a role.
    pub(crate) fn issue(
        &self,
        principal: String,
        lifetime_ms: i64,
    ) -> Arc<crate::credentials::Credential> {
        let new = NewCredential {
            lifetime_ms: Some(lifetime_ms),
            principal: Some(principal),
            ..NewCredential::default()
        };
        self.registry.add(new, self.clock.now_ms())
    }

    /// The credential that signed a request to a service, or why it is refused. The region is the host's
    /// (`SERVICE.REGION.amazonaws.com`), else `region`, else any that the double serves.
    pub(crate) fn authenticate(
        &self,
        request: &Request,
        service: &str,
        region: Option<&str>,
    ) -> Result<Arc<crate::credentials::Credential>, Denial> {
        let of_host = request.header("host").and_then(region_of_host);
        let settings = self.settings.read();
        let one: Vec<String>;
        let regions = match of_host.or(region) {
            Some(region) => {
                one = vec![region.to_owned()];
                &one
            }
            None => &settings.regions,
        };
        let signed = Signed {
            method: request.method(),
            path: request.path(),
            query: request.query(),
            headers: request.headers().collect(),
            body: &request.body,
        };
        let expectation = Expectation { service, regions, now_ms: self.clock.now_ms() };
        verify(&signed, &expectation, &self.registry)
    }
}

/// The region in an AWS host name: `lambda.eu-west-1.amazonaws.com[.cn]`, `ID.lambda-url.eu-west-1.on.aws`.
fn region_of_host(host: &str) -> Option<&str> {
    let host = host.split(':').next().unwrap_or(host);
    let labels: Vec<&str> = host.split('.').collect();
    match labels.as_slice() {
        [_, region, "amazonaws", "com"] | [_, region, "amazonaws", "com", "cn"] => Some(region),
        [_, "lambda-url", region, "on", "aws"] => Some(region),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::region_of_host;

    #[test]
    fn regions_of_hosts() {
        let cases = [
            ("lambda.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("lambda.cn-north-1.amazonaws.com.cn:443", Some("cn-north-1")),
            ("abc.lambda-url.us-east-1.on.aws", Some("us-east-1")),
            ("sts.amazonaws.com", None),
            ("127.0.0.1:8080", None),
        ];
        for (host, region) in cases {
            assert_eq!(region_of_host(host), region, "{host}");
        }
    }
}
