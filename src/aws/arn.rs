//! Amazon Resource Names and the names of functions.

use super::region::{Partition, Region};

/// An ARN, split.
///
/// Source: "Amazon Resource Names (ARNs)" in the AWS IAM reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn` ...
    pub partition: Partition,
    /// `lambda`, `iam` ...
    pub service: &'a str,
    /// Empty for services without regions, such as IAM.
    pub region: &'a str,
    /// Twelve digits, or empty.
    pub account: &'a str,
    /// All behind the fifth colon, never empty.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The ARN; `None` for what is not one of a known partition with a well-formed region and account.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let ("arn", partition) = (next()?, Partition::parse(next()?)?) else { return None };
        let (service, region, account, resource) = (next()?, next()?, next()?, next()?);
        let well_formed = !service.is_empty()
            && (region.is_empty() || Region::parse(region).is_some())
            && (account.is_empty() || is_account(account))
            && !resource.is_empty()
            && resource.bytes().all(|byte| byte.is_ascii_graphic());
        well_formed.then_some(Self { partition, service, region, account, resource })
    }

    /// True for an IAM role's ARN.
    pub fn is_role(&self) -> bool {
        self.service == "iam"
            && self.region.is_empty()
            && !self.account.is_empty()
            && self.resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A function as Lambda's Invoke takes it: a name, a partial or a full ARN, with or without a qualifier.
///
/// Source: the pattern of `FunctionName` in the Lambda API reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionName<'a> {
    /// All but the qualifier: what goes into the path, percent-encoded.
    pub unqualified: &'a str,
    /// The name alone, for metrics and logs.
    pub name: &'a str,
    /// A version, an alias, or `$LATEST`.
    pub qualifier: Option<&'a str>,
    /// The region of a full ARN.
    pub region: Option<&'a str>,
}

/// The longest function name, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The longest version or alias, in bytes.
const MAX_QUALIFIER_BYTES: usize = 128;

impl<'a> FunctionName<'a> {
    /// The function; `None` for what Lambda would not take as one. Allocates nothing.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (region, tail) = if text.starts_with("arn:") {
            let arn = Arn::parse(text)?;
            let tail = arn.resource.strip_prefix("function:")?;
            if arn.service != "lambda" || arn.region.is_empty() || arn.account.is_empty() {
                return None;
            }
            (Some(arn.region), tail)
        } else {
            let after_account = match text.split_once(':') {
                Some((account, rest)) if is_account(account) && rest.starts_with("function:") => {
                    rest
                }
                _ => text,
            };
            (None, after_account.strip_prefix("function:").unwrap_or(after_account))
        };
        let (name, qualifier) = match tail.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (tail, None),
        };
        if !is_word(name, MAX_NAME_BYTES) || !qualifier.is_none_or(is_qualifier) {
            return None;
        }
        let qualifier_bytes = qualifier.map_or(0, |qualifier| qualifier.len() + 1);
        let unqualified = text.get(..text.len() - qualifier_bytes)?;
        Some(Self { unqualified, name, qualifier, region })
    }
}

fn is_qualifier(text: &str) -> bool {
    matches!(text, "$LATEST" | "$LATEST.PUBLISHED") || is_word(text, MAX_QUALIFIER_BYTES)
}

fn is_word(text: &str, max_bytes: usize) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= max_bytes && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_of_every_partition_are_read() {
        let arn = Arn::parse("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:1").unwrap();
        assert_eq!(
            arn,
            Arn {
                partition: Partition::China,
                service: "lambda",
                region: "cn-north-1",
                account: "123456789012",
                resource: "function:f:1",
            }
        );
        for bad in [
            "",
            "arn:aws:lambda",
            "arn:aws:lambda:us-east-1:123456789012:",
            "arn:amazon:lambda:us-east-1:123456789012:function:f",
            "arn:aws:lambda:us-east:123456789012:function:f",
            "arn:aws:lambda:us-east-1:1234:function:f",
            "arn:aws:iam::123456789012:role/a b",
            "ARN:aws:iam::123456789012:role/a",
        ] {
            assert_eq!(Arn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_role_is_told_from_other_arns() {
        for (text, expected) in [
            ("arn:aws:iam::123456789012:role/gateway", true),
            ("arn:aws-us-gov:iam::123456789012:role/path/to/gateway", true),
            ("arn:aws:iam::123456789012:user/gateway", false),
            ("arn:aws:iam::123456789012:role/", false),
            ("arn:aws:iam:::role/gateway", false),
            ("arn:aws:sts::123456789012:role/gateway", false),
        ] {
            assert_eq!(Arn::parse(text).unwrap().is_role(), expected, "{text}");
        }
    }

    #[test]
    fn functions_are_named_in_every_way_lambda_takes() {
        let full = "arn:aws:lambda:eu-west-1:123456789012:function:orders";
        for (text, unqualified, name, qualifier, region) in [
            ("orders", "orders", "orders", None, None),
            ("orders:live", "orders", "orders", Some("live"), None),
            ("orders:$LATEST", "orders", "orders", Some("$LATEST"), None),
            ("function:orders", "function:orders", "orders", None, None),
            ("123456789012:function:orders", "123456789012:function:orders", "orders", None, None),
            (
                "123456789012:function:orders:7",
                "123456789012:function:orders",
                "orders",
                Some("7"),
                None,
            ),
            (full, full, "orders", None, Some("eu-west-1")),
            (
                "arn:aws:lambda:eu-west-1:123456789012:function:orders:live",
                full,
                "orders",
                Some("live"),
                Some("eu-west-1"),
            ),
        ] {
            let expected = FunctionName { unqualified, name, qualifier, region };
            assert_eq!(FunctionName::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_lambda_would_not_take_is_no_function() {
        for bad in [
            "",
            ":live",
            "orders:",
            "orders:live:1",
            "orders/../x",
            "or ders",
            "ordérs",
            "orders:$OLDEST",
            "1234:function:orders",
            "123456789012:layer:orders",
            "arn:aws:lambda:eu-west-1:123456789012:layer:orders",
            "arn:aws:s3:eu-west-1:123456789012:function:orders",
            "arn:aws:lambda::123456789012:function:orders",
            "arn:aws:lambda:eu-west-1:123456789012:function:",
            "0123456789012345678901234567890123456789012345678901234567890123x",
        ] {
            assert_eq!(FunctionName::parse(bad), None, "{bad}");
        }
    }
}
