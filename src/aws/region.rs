//! Regions and partitions.

use std::fmt;
use std::sync::Arc;

/// A region's name, such as `eu-central-1`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region(Arc<str>);

/// The longest name taken for a region; the longest in use has 16 characters.
const MAX_REGION_BYTES: usize = 32;

impl Region {
    /// The region; `None` for what cannot be one: words of lower-case letters and digits joined by `-`, at least three of
    /// them, of which the first has letters only and the last digits only (`us-east-1a` is a zone, no region).
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split('-').collect();
        let ([first, middle @ .., last], 3..=6) = (words.as_slice(), words.len()) else {
            return None;
        };
        let made_of = |word: &str, good: fn(&u8) -> bool| {
            !word.is_empty() && word.as_bytes().iter().all(good)
        };
        let well_formed = text.len() <= MAX_REGION_BYTES
            && made_of(first, u8::is_ascii_lowercase)
            && middle.iter().all(|word| {
                made_of(word, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
            && made_of(last, u8::is_ascii_digit);
        well_formed.then(|| Self(text.into()))
    }

    /// The region that a function URL's host names, `ID.lambda-url.REGION.on.aws`; `None` for another host.
    pub fn of_function_url_host(host: &str) -> Option<Self> {
        let (id, rest) = host.split_once(".lambda-url.")?;
        let (region, suffix) = rest.split_once('.')?;
        let known = !id.is_empty() && !id.contains('.') && suffix.starts_with("on.");
        if known { Self::parse(region) } else { None }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition the region is in.
    pub fn partition(&self) -> Partition {
        Partition::of_region(self.as_str())
    }

    /// The host of a service's regional endpoint, `lambda.cn-north-1.amazonaws.com.cn`.
    pub fn endpoint_host(&self, service: &str) -> String {
        format!("{service}.{self}.{}", self.partition().dns_suffix())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The separate clouds of AWS.
///
/// Source: partitions.json of botocore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// `aws`
    Aws,
    /// `aws-cn`, China
    China,
    /// `aws-us-gov`, GovCloud
    GovCloud,
    /// `aws-iso`
    Iso,
    /// `aws-iso-b`
    IsoB,
    /// `aws-iso-e`
    IsoE,
    /// `aws-iso-f`
    IsoF,
    /// `aws-eusc`, European Sovereign Cloud
    EuropeanSovereign,
}

impl Partition {
    const ALL: [Self; 8] = [
        Self::Aws,
        Self::China,
        Self::GovCloud,
        Self::Iso,
        Self::IsoB,
        Self::IsoE,
        Self::IsoF,
        Self::EuropeanSovereign,
    ];

    /// The partition with this name; `None` when there is none.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == name)
    }

    fn of_region(region: &str) -> Self {
        const PREFIXES: [(&str, Partition); 7] = [
            ("cn-", Partition::China),
            ("us-gov-", Partition::GovCloud),
            ("us-iso-", Partition::Iso),
            ("us-isob-", Partition::IsoB),
            ("eu-isoe-", Partition::IsoE),
            ("us-isof-", Partition::IsoF),
            ("eusc-", Partition::EuropeanSovereign),
        ];
        let found = PREFIXES.into_iter().find(|(prefix, _)| region.starts_with(prefix));
        found.map_or(Self::Aws, |(_, partition)| partition)
    }

    /// The name as ARNs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
            Self::Iso => "aws-iso",
            Self::IsoB => "aws-iso-b",
            Self::IsoE => "aws-iso-e",
            Self::IsoF => "aws-iso-f",
            Self::EuropeanSovereign => "aws-eusc",
        }
    }

    /// What the names of its endpoints end in.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
            Self::Iso => "c2s.ic.gov",
            Self::IsoB => "sc2s.sgov.gov",
            Self::IsoE => "cloud.adc-e.uk",
            Self::IsoF => "csp.hci.ic.gov",
            Self::EuropeanSovereign => "amazonaws.eu",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_region_is_one() {
        for good in
            ["us-east-1", "ap-southeast-5", "us-gov-west-1", "eu-isoe-west-1", "mx-central-1"]
        {
            assert_eq!(Region::parse(good).as_ref().map(Region::as_str), Some(good));
        }
        for bad in [
            "",
            "us",
            "us-east",
            "us-east-1a",
            "us-east-",
            "-east-1",
            "us--1",
            "US-EAST-1",
            "us-east-1.evil.example",
            "us east-1",
            "us-east-1/",
            "u1-east-1",
            "us-eastttttttttttttttttttttttttt-1",
        ] {
            assert_eq!(Region::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_in_its_regions_partition() {
        for (region, partition, host) in [
            ("eu-central-1", "aws", "lambda.eu-central-1.amazonaws.com"),
            ("cn-northwest-1", "aws-cn", "lambda.cn-northwest-1.amazonaws.com.cn"),
            ("us-gov-east-1", "aws-us-gov", "lambda.us-gov-east-1.amazonaws.com"),
            ("us-iso-east-1", "aws-iso", "lambda.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "lambda.us-isob-east-1.sc2s.sgov.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "lambda.eu-isoe-west-1.cloud.adc-e.uk"),
            ("us-isof-south-1", "aws-iso-f", "lambda.us-isof-south-1.csp.hci.ic.gov"),
            ("eusc-de-east-1", "aws-eusc", "lambda.eusc-de-east-1.amazonaws.eu"),
        ] {
            let region = Region::parse(region).unwrap();
            assert_eq!(region.partition().as_str(), partition);
            assert_eq!(Partition::parse(partition), Some(region.partition()));
            assert_eq!(region.endpoint_host("lambda"), host);
        }
        assert_eq!(Partition::parse("aws-mars"), None);
    }

    #[test]
    fn a_function_url_names_its_region() {
        for (host, region) in [
            ("abc123.lambda-url.eu-west-1.on.aws", Some("eu-west-1")),
            ("abc123.lambda-url.eu-west-1.example.com", None),
            ("a.b.lambda-url.eu-west-1.on.aws", None),
            (".lambda-url.eu-west-1.on.aws", None),
            ("abc123.lambda-url.nowhere.on.aws", None),
            ("lambda.eu-west-1.amazonaws.com", None),
        ] {
            let found = Region::of_function_url_host(host);
            assert_eq!(found.as_ref().map(Region::as_str), region, "{host}");
        }
    }
}
