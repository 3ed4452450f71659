//! The configurations that the scenarios share: nginx with the module, between a client and aws-double.

use crate::http::Request;
use crate::nginx::NginxBuilder;
use crate::{AwsDouble, Flavour, Nginx, Outcome};

/// The key of the consumer `alice`, who is in [`CONSUMERS`].
pub const KEY: &str = "alice-key";

/// A set of consumers for the `http` context.
pub const CONSUMERS: &str = "consumers apps { consumer alice key=alice-key groups=staff; }\n";

/// How the API is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `lambda_http`
    Plain,
    /// `lambda_https`, its certificate verified
    Tls,
}

impl Transport {
    /// The name that aws-double gives the listener.
    pub fn site(self) -> &'static str {
        match self {
            Self::Plain => "lambda_http",
            Self::Tls => "lambda_https",
        }
    }
}

/// A request with the key.
pub fn with_key(method: &str, target: &str) -> Request {
    Request::new(method, target).header("X-API-Key", KEY)
}

/// An nginx that invokes the double's functions over plain HTTP, signed with the double's key pair.
pub fn with_key_pair(flavour: Flavour, double: &AwsDouble, server: &str) -> Outcome<NginxBuilder> {
    Ok(plain(flavour, double, server)?
        .env("AWS_ACCESS_KEY_ID", double.address("access_key_id")?)
        .env("AWS_SECRET_ACCESS_KEY", double.address("secret_access_key")?))
}

/// The same with the credentials of the double's instance metadata.
pub fn on_instance(flavour: Flavour, double: &AwsDouble, server: &str) -> Outcome<NginxBuilder> {
    let imds = format!("http://{}", double.address("imds")?);
    Ok(plain(flavour, double, server)?.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds))
}

fn plain(flavour: Flavour, double: &AwsDouble, server: &str) -> Outcome<NginxBuilder> {
    let endpoint = double.address("lambda_http")?;
    let common = format!("aws_region us-east-1; lambda_endpoint http://{endpoint};");
    Ok(Nginx::builder(flavour)?.http(&common).server(server))
}

impl NginxBuilder {
    /// Has credentials from the double's instance metadata and invokes its functions.
    pub fn invoking(self, double: &AwsDouble, transport: Transport) -> Outcome<Self> {
        let address = double.address(transport.site())?;
        let endpoint = match transport {
            Transport::Plain => format!("lambda_endpoint http://{address};\n"),
            Transport::Tls => {
                let ca = double.address("ca")?;
                format!(
                    "lambda_endpoint https://{address};\nlambda_ssl_trusted_certificate {ca};\n"
                )
            }
        };
        Ok(self.invoking_at(double, &endpoint)?.http(CONSUMERS))
    }

    /// The same without consumers, the endpoint's directives given.
    pub fn invoking_at(self, double: &AwsDouble, endpoint: &str) -> Outcome<Self> {
        let imds = double.address("imds")?;
        Ok(self
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{imds}"))
            .http("aws_region us-east-1;\naws_credentials imds;\n")
            .http(endpoint))
    }
}

impl AwsDouble {
    /// A number of `GET /stats` by its JSON pointer; 0 when nothing was counted under that name.
    pub fn count(&self, pointer: &str) -> Outcome<u64> {
        self.number("/stats", pointer)
    }

    /// A number of another document of the control API; 0 when it is not there.
    pub fn number(&self, path: &str, pointer: &str) -> Outcome<u64> {
        let document = self.control("GET", path, "")?.json()?;
        Ok(document.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0))
    }

    /// How often a function was invoked.
    pub fn invocations(&self, function: &str) -> Outcome<u64> {
        self.number(&format!("/functions/{function}"), "/invocations")
    }
}
