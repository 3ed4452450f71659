//! Why there are no credentials. Texts name files, hosts and AWS's error codes, never a key or a token.

use std::fmt;
use std::path::PathBuf;

/// Where credentials come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Environment variables.
    Env,
    /// `~/.aws/credentials` and `~/.aws/config`.
    Profile,
    /// The endpoint of ECS or EKS Pod Identity.
    Container,
    /// A token file and STS.
    WebIdentity,
    /// The instance's metadata service.
    Imds,
    /// A key file of `aws_credentials static`.
    Static,
    /// STS AssumeRole on top of another.
    AssumeRole,
}

impl Origin {
    /// The name in `aws_credentials`, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Profile => "profile",
            Self::Container => "container",
            Self::WebIdentity => "web_identity",
            Self::Imds => "imds",
            Self::Static => "static",
            Self::AssumeRole => "assume_role",
        }
    }
}

/// Why a fetch gave no credentials; `Display` is the reason in nginx's manner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The source is not set up here; the chain goes on to the next.
    NotConfigured {
        /// Whose setting is missing.
        origin: Origin,
        /// Which.
        missing: String,
    },
    /// No source of the chain is set up.
    NothingConfigured,
    /// A setting that cannot be used.
    Invalid {
        /// Whose.
        origin: Origin,
        /// What is wrong with it.
        what: String,
    },
    /// A file that cannot be read.
    File {
        /// Its name.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A profile that cannot be used.
    Profile {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// No answer.
    Unreachable {
        /// Who was asked.
        origin: Origin,
        /// Scheme, host and port.
        endpoint: String,
        /// The client's reason.
        reason: String,
    },
    /// An answer that is a refusal.
    Refused {
        /// Who was asked.
        origin: Origin,
        /// HTTP status.
        status: u16,
        /// AWS's error code, or what the status means here.
        code: String,
    },
    /// An answer that is not understood.
    Unreadable {
        /// Who was asked.
        origin: Origin,
        /// What is wrong with the answer.
        what: &'static str,
    },
    /// Credentials that are over already.
    Expired {
        /// Whose.
        origin: Origin,
    },
    /// STS needs a region, and none is known.
    NoRegion,
    /// A role of a profile that needs itself.
    Loop {
        /// The profile met twice.
        profile: String,
    },
}

impl FetchError {
    /// A short constant name, for metrics and for what is published to other processes.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NotConfigured { .. } | Self::NothingConfigured => FailureKind::NotConfigured,
            Self::Invalid { .. } | Self::Profile { .. } | Self::NoRegion | Self::Loop { .. } => {
                FailureKind::Invalid
            }
            Self::File { .. } => FailureKind::File,
            Self::Unreachable { .. } => FailureKind::Unreachable,
            Self::Refused { .. } => FailureKind::Refused,
            Self::Unreadable { .. } => FailureKind::Unreadable,
            Self::Expired { .. } => FailureKind::Expired,
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured { origin, missing } => {
                write!(f, "{}: {missing}", origin.as_str())
            }
            Self::NothingConfigured => f.write_str("no source of credentials is set up"),
            Self::Invalid { origin, what } => write!(f, "{}: {what}", origin.as_str()),
            Self::File { path, reason } => {
                write!(f, "cannot read \"{}\": {reason}", path.display())
            }
            Self::Profile { name, what } => write!(f, "profile \"{name}\": {what}"),
            Self::Unreachable { origin, endpoint, reason } => {
                write!(f, "{}: no answer from \"{endpoint}\": {reason}", origin.as_str())
            }
            Self::Refused { origin, status, code } => {
                write!(f, "{}: refused with status {status}: {code}", origin.as_str())
            }
            Self::Unreadable { origin, what } => {
                write!(f, "{}: unreadable answer: {what}", origin.as_str())
            }
            Self::Expired { origin } => {
                write!(f, "{}: the credentials have expired already", origin.as_str())
            }
            Self::NoRegion => f.write_str("no region is known for STS"),
            Self::Loop { profile } => {
                write!(f, "profile \"{profile}\" is its own source_profile")
            }
        }
    }
}

impl std::error::Error for FetchError {}

/// [`FetchError`] without its words, as a number that fits an atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing to ask.
    NotConfigured,
    /// A setting that cannot be used.
    Invalid,
    /// A file that cannot be read.
    File,
    /// No answer.
    Unreachable,
    /// A refusal.
    Refused,
    /// An answer that is not understood.
    Unreadable,
    /// Credentials that are over already.
    Expired,
}

impl FailureKind {
    const ALL: [Self; 7] = [
        Self::NotConfigured,
        Self::Invalid,
        Self::File,
        Self::Unreachable,
        Self::Refused,
        Self::Unreadable,
        Self::Expired,
    ];

    /// The name in metrics and in the status document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Invalid => "invalid",
            Self::File => "file",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::Expired => "expired",
        }
    }

    /// Its number, from 1.
    pub(crate) fn code(self) -> u64 {
        Self::ALL.iter().zip(1..).find(|(kind, _)| **kind == self).map_or(0, |(_, code)| code)
    }

    /// The kind with this number; `None` for 0 and what no kind has.
    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}
