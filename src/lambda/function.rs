//! Which function is meant: names, ARNs and function URLs.
//!
//! Sources: AWS Lambda API reference, `Invoke` (FunctionName, Qualifier) and `InvokeWithResponseStream`; "Lambda function
//! URLs"; Signature Version 4, which encodes a path twice for every service but S3.

use std::fmt::Write as _;

use crate::lambda::percent;

const MAX_NAME_BYTES: usize = 140;
const MAX_QUALIFIER_BYTES: usize = 128;

/// A function as `lambda_pass` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionName {
    /// Invoked through the Lambda API.
    Api(ApiFunction),
    /// Called by HTTP.
    Url(FunctionUrl),
}

/// A function of the Lambda API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiFunction {
    /// Name or ARN, without the qualifier.
    identifier: Box<str>,
    name_at: usize,
    region: Option<Box<str>>,
    qualifier: Option<Box<str>>,
}

/// A function URL, `https://ID.lambda-url.REGION.on.aws[/path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUrl {
    host: Box<str>,
    id_bytes: usize,
    region: Box<str>,
    path: Option<Box<str>>,
}

/// How a function is invoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invocation {
    /// The reply is waited for.
    #[default]
    Sync,
    /// The event is queued.
    Async,
    /// Only permissions are checked.
    DryRun,
}

/// The path and query of an invocation, for the request line and for its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvokeTarget {
    /// Path and query of the request line, encoded once.
    pub request_target: Box<str>,
    /// The path of the canonical request, encoded twice.
    pub canonical_path: Box<str>,
    /// The canonical query; empty without a qualifier.
    pub canonical_query: Box<str>,
}

impl FunctionName {
    /// The function that a text names; `None` when it is neither a name, an ARN nor a function URL.
    ///
    /// Shapes: `NAME[:QUALIFIER]`, `ACCOUNT:function:NAME[:QUALIFIER]`,
    /// `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`, `https://ID.lambda-url.REGION.on.aws[/PATH]`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains("://") {
            return FunctionUrl::parse(text).map(Self::Url);
        }
        ApiFunction::parse(text).map(Self::Api)
    }

    /// The region that the name itself tells, which decides endpoint and signature.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Api(function) => function.region.as_deref(),
            Self::Url(url) => Some(&url.region),
        }
    }

    /// The short name for logs and metrics: without ARN and qualifier; a function URL's id.
    pub fn label(&self) -> &str {
        match self {
            Self::Api(function) => function.identifier.get(function.name_at..).unwrap_or_default(),
            Self::Url(url) => url.host.get(..url.id_bytes).unwrap_or_default(),
        }
    }
}

impl ApiFunction {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (prefix, region, tail) = match *parts {
            ["arn", partition, "lambda", region, account, "function", ref tail @ ..]
                if is_partition(partition, region) && is_region(region) && is_account(account) =>
            {
                (6, Some(region), tail)
            }
            [account, "function", ref tail @ ..] if is_account(account) => (2, None, tail),
            ref tail => (0, None, tail),
        };
        let (name, qualifier) = match *tail {
            [name] => (name, None),
            [name, qualifier] if is_qualifier(qualifier) => (name, Some(qualifier)),
            _ => return None,
        };
        if !is_name(name) {
            return None;
        }
        let name_at = parts.iter().take(prefix).map(|part| part.len() + 1).sum();
        let identifier = text.get(..name_at + name.len())?.into();
        let (region, qualifier) = (region.map(Into::into), qualifier.map(Into::into));
        Some(Self { identifier, name_at, region, qualifier })
    }

    /// Where an invocation goes, `stream` with InvokeWithResponseStream.
    pub fn target(&self, stream: bool) -> InvokeTarget {
        let (version, operation) = if stream {
            ("2021-11-15", "response-streaming-invocations")
        } else {
            ("2015-03-31", "invocations")
        };
        // An identifier holds no byte but colons that encoding changes, so these two say it all.
        let path = |colon: &str| {
            let identifier = self.identifier.replace(':', colon);
            format!("/{version}/functions/{identifier}/{operation}")
        };
        let mut request_target = path("%3A");
        let mut canonical_query = String::new();
        if let Some(qualifier) = &self.qualifier {
            canonical_query = format!("Qualifier={}", qualifier.replace('$', "%24"));
            let _ = write!(request_target, "?{canonical_query}");
        }
        InvokeTarget {
            request_target: request_target.into(),
            canonical_path: path("%253A").into(),
            canonical_query: canonical_query.into(),
        }
    }
}

impl FunctionUrl {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://")?;
        let (host, path) = match rest.find('/') {
            Some(at) => (rest.get(..at)?, rest.get(at..)),
            None => (rest, None),
        };
        let (id, rest) = host.split_once(".lambda-url.")?;
        let region = rest
            .strip_suffix(".on.aws")
            .or_else(|| rest.strip_suffix(".on.amazonwebservices.com.cn"))?;
        let is_id =
            !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let is_path =
            path.is_none_or(|path| path.bytes().all(|b| percent::is_path_byte(b) || b == b'%'));
        if !is_id || !is_region(region) || !is_path {
            return None;
        }
        Some(Self {
            host: host.into(),
            id_bytes: id.len(),
            region: region.into(),
            path: path.map(Into::into),
        })
    }

    /// The host for `Host`, SNI and the signature.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL's path; `None` when it has none, so that requests keep theirs.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

/// The Lambda API's host in a region: `lambda.REGION.amazonaws.com`, in China and the isolated regions their own domains.
pub fn api_host(region: &str) -> String {
    let domain = match region {
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        _ if region.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("lambda.{region}.{domain}")
}

fn is_name(name: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_name_byte)
}

fn is_qualifier(qualifier: &str) -> bool {
    let is_alias_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    qualifier == "$LATEST"
        || (1..=MAX_QUALIFIER_BYTES).contains(&qualifier.len())
            && qualifier.bytes().all(is_alias_byte)
}

fn is_account(account: &str) -> bool {
    account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
}

/// True for the partition that a region is in. One that is not known here has regions that are not known either.
fn is_partition(partition: &str, region: &str) -> bool {
    const KNOWN: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match KNOWN.iter().find(|(prefix, _)| region.starts_with(prefix)) {
        Some((_, known)) => partition == *known,
        None => {
            partition.starts_with("aws")
                && partition.split('-').all(is_part)
                && KNOWN.iter().all(|(_, known)| *known != partition)
        }
    }
}

fn is_region(region: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    region.contains('-') && region.split('-').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str, stream: bool) -> InvokeTarget {
        match FunctionName::parse(text) {
            Some(FunctionName::Api(function)) => function.target(stream),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_and_arns_are_told_apart() {
        for (text, region, label) in [
            ("my-function_1", None, "my-function_1"),
            ("hello:prod", None, "hello"),
            ("hello:$LATEST", None, "hello"),
            ("123456789012:function:hello", None, "hello"),
            ("123456789012:function:hello:7", None, "hello"),
            (
                "arn:aws:lambda:eu-central-1:123456789012:function:hello",
                Some("eu-central-1"),
                "hello",
            ),
            (
                "arn:aws-cn:lambda:cn-north-1:123456789012:function:hello:live",
                Some("cn-north-1"),
                "hello",
            ),
            (
                "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:h",
                Some("us-gov-west-1"),
                "h",
            ),
            ("https://abc123.lambda-url.eu-west-1.on.aws", Some("eu-west-1"), "abc123"),
        ] {
            let name = FunctionName::parse(text).unwrap();
            assert_eq!((name.region(), name.label()), (region, label), "{text}");
        }
    }

    #[test]
    fn what_is_no_function_is_refused() {
        for text in [
            "",
            "a b",
            "a/b",
            "../x",
            "hello:",
            "hello:a:b",
            "hello:$OTHER",
            "é",
            "12345:function:hello",
            "123456789012:function:",
            "123456789012:layer:hello",
            "arn:aws:s3:::bucket",
            "arn:aws:lambda::123456789012:function:hello",
            "arn:aws:lambda:eu-central-1:1:function:hello",
            "arn:evil:lambda:eu-central-1:123456789012:function:hello",
            "arn:aws-cn:lambda:eu-central-1:123456789012:function:hello",
            "arn:aws:lambda:cn-north-1:123456789012:function:hello",
            "arn:aws:lambda:us-gov-west-1:123456789012:function:hello",
            "arn:aws:lambda:eu-central-1:123456789012:function:hello:a:b",
            "http://abc123.lambda-url.eu-west-1.on.aws",
            "https://example.com/",
            "https://abc123.lambda-url.eu-west-1.on.aws.evil.example",
            "https://x.y.lambda-url.eu-west-1.on.aws",
            "https://abc123.lambda-url.eu-west-1.on.aws:8443",
            "https://abc123.lambda-url.eu-west-1.on.aws/a?b",
            "https://abc123.lambda-url.eu-west-1.on.aws/a b",
        ] {
            assert_eq!(FunctionName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn targets_are_encoded_once_and_for_signatures_twice() {
        let plain = target("hello", false);
        assert_eq!(&*plain.request_target, "/2015-03-31/functions/hello/invocations");
        assert_eq!(plain.canonical_path, plain.request_target);
        assert_eq!(&*plain.canonical_query, "");

        let arn = target("arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST", false);
        assert_eq!(
            &*arn.request_target,
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af\
             /invocations?Qualifier=%24LATEST"
        );
        assert_eq!(
            &*arn.canonical_path,
            "/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-east-1%253A123456789012\
             %253Afunction%253Af/invocations"
        );
        assert_eq!(&*arn.canonical_query, "Qualifier=%24LATEST");

        assert_eq!(
            &*target("hello:prod", true).request_target,
            "/2021-11-15/functions/hello/response-streaming-invocations?Qualifier=prod"
        );
    }

    #[test]
    fn function_urls_have_host_and_path() {
        for (text, host, path) in [
            ("https://abc.lambda-url.eu-west-1.on.aws", "abc.lambda-url.eu-west-1.on.aws", None),
            (
                "https://abc.lambda-url.eu-west-1.on.aws/",
                "abc.lambda-url.eu-west-1.on.aws",
                Some("/"),
            ),
            (
                "https://abc.lambda-url.cn-north-1.on.amazonwebservices.com.cn/a/b",
                "abc.lambda-url.cn-north-1.on.amazonwebservices.com.cn",
                Some("/a/b"),
            ),
        ] {
            let Some(FunctionName::Url(url)) = FunctionName::parse(text) else { panic!("{text}") };
            assert_eq!((url.host(), url.path()), (host, path), "{text}");
        }
    }

    #[test]
    fn api_hosts_follow_the_partition() {
        for (region, host) in [
            ("eu-central-1", "lambda.eu-central-1.amazonaws.com"),
            ("us-gov-west-1", "lambda.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "lambda.cn-north-1.amazonaws.com.cn"),
            ("us-iso-east-1", "lambda.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "lambda.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(api_host(region), host);
        }
    }
}
