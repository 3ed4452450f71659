//! A source of credentials: what one `aws_credentials` with its `aws_assume_role` comes to.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::credentials::Credentials;
use super::environment::Environment;
use super::provider::error::{FetchError, Origin};
use super::provider::file::KeptFile;
use super::provider::profile::{self, ProfileFiles};
use super::provider::sts::{self, AssumeRole};
use super::provider::{Situation, container, from_environment, http, imds};
use super::region::Region;

/// Which provider, or all of them.
#[derive(Clone, Debug, Default)]
pub(crate) enum Choice {
    /// The first that is set up: env, profile, container, web_identity, imds.
    #[default]
    Default,
    Env,
    /// `None`: that of `AWS_PROFILE`, else `default`.
    Profile(Option<String>),
    Container,
    WebIdentity,
    Imds,
    Static(KeptFile),
}

/// The name of a source in shared memory: never zero, the same in every worker and after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId(u64);

impl SourceId {
    /// The id of a source that is described so.
    pub fn of(description: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(description).into();
        let word = digest.iter().take(8).fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        Self(word.max(1))
    }

    /// The word that stands for it.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// What a fetch gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Usable at the time of the fetch.
    pub credentials: Credentials,
    /// The instance's region, where a plan has none and the metadata service knows it.
    pub region: Option<Region>,
}

/// Where credentials come from, with everything needed to fetch them.
pub struct CredentialSource {
    id: SourceId,
    description: String,
    choice: Choice,
    role: Option<AssumeRole>,
    region: Option<Region>,
    files: ProfileFiles,
    environment: Arc<Environment>,
    wants_region: AtomicBool,
    instance_region: OnceLock<Region>,
}

impl CredentialSource {
    /// A source. `region` is where STS is asked; without one it is the environment's, the profile's or the instance's.
    pub(crate) fn new(
        choice: Choice,
        role: Option<AssumeRole>,
        region: Option<Region>,
        environment: &Arc<Environment>,
    ) -> Self {
        let files = ProfileFiles::new(environment);
        let description = describe(&choice, role.as_ref());
        let asks_sts = role.is_some() || matches!(choice, Choice::WebIdentity | Choice::Profile(_));
        let sts_region = region.as_ref().filter(|_| asks_sts);
        let external_id = role.as_ref().and_then(|role| role.external_id.as_deref());
        let sts_url = role.as_ref().and_then(|role| role.sts_url.as_deref());
        let paths: Vec<&Path> = files.paths().collect();
        let whole =
            format!("{description}\n{external_id:?}\n{sts_url:?}\n{sts_region:?}\n{paths:?}");
        Self {
            id: SourceId::of(&whole),
            description,
            choice,
            role,
            region,
            files,
            environment: Arc::clone(environment),
            wants_region: AtomicBool::new(false),
            instance_region: OnceLock::new(),
        }
    }

    /// Its name in shared memory.
    pub fn id(&self) -> SourceId {
        self.id
    }

    /// What it is, for logs, metrics and the status document; no secret in it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// True when a plan needs the instance's region with the credentials.
    pub fn wants_region(&self) -> bool {
        self.wants_region.load(Ordering::Relaxed)
    }

    /// The region that a profile of this source sets. Reads files: at configuration only.
    pub(crate) fn profile_region(&self) -> Option<Region> {
        match &self.choice {
            Choice::Default => self.files.region(&self.environment, None),
            Choice::Profile(name) => self.files.region(&self.environment, name.as_deref()),
            _ => None,
        }
    }

    /// The profile that the source names and no file has; `None` also while a file cannot be read. Reads files: at
    /// configuration only.
    pub(crate) fn missing_profile(&self) -> Option<&str> {
        let Choice::Profile(Some(name)) = &self.choice else { return None };
        self.files.lack(name).then_some(name)
    }

    /// Fresh credentials. Blocks for seconds: helper threads only.
    ///
    /// Errors: every [`FetchError`]; [`FetchError::Expired`] for credentials that are over at `now_unix_s`.
    pub fn fetch(&self, now_unix_s: u64) -> Result<Fetched, FetchError> {
        let situation = Situation {
            environment: &self.environment,
            files: &self.files,
            now_unix_s,
            region: &|| self.sts_region(),
        };
        let (origin, base) = self.base(&situation)?;
        let (origin, credentials) = match &self.role {
            None => (origin, base),
            Some(_) if !base.usable_at(now_unix_s) => return Err(FetchError::Expired { origin }),
            Some(role) => (Origin::AssumeRole, sts::assume_role(&situation, &base, role, None)?),
        };
        if !credentials.usable_at(now_unix_s) {
            return Err(FetchError::Expired { origin });
        }
        let region = if self.wants_region() { self.instance_region().ok() } else { None };
        Ok(Fetched { credentials, region })
    }

    /// The credentials without the role on top. A source that is set up and fails ends the chain: to go on would sign with
    /// another identity than the one meant.
    fn base(&self, situation: &Situation<'_>) -> Result<(Origin, Credentials), FetchError> {
        let (one, all);
        let origins: &[Origin] = match &self.choice {
            Choice::Default => {
                all = [
                    Origin::Env,
                    Origin::Profile,
                    Origin::Container,
                    Origin::WebIdentity,
                    Origin::Imds,
                ];
                &all
            }
            choice => {
                one = [origin_of(choice)];
                &one
            }
        };
        for origin in origins {
            match self.fetch_from(*origin, situation) {
                Err(FetchError::NotConfigured { .. }) if origins.len() > 1 => {}
                result => return result.map(|credentials| (*origin, credentials)),
            }
        }
        Err(FetchError::NothingConfigured)
    }

    fn fetch_from(
        &self,
        origin: Origin,
        situation: &Situation<'_>,
    ) -> Result<Credentials, FetchError> {
        match (origin, &self.choice) {
            (Origin::Profile, Choice::Profile(name)) => profile::fetch(situation, name.as_deref()),
            (Origin::Static, Choice::Static(file)) => profile::from_key_file(file),
            (Origin::Profile, _) => profile::fetch(situation, None),
            (Origin::Env, _) => from_environment(&self.environment),
            (Origin::Container, _) => container::fetch(&self.environment),
            (Origin::WebIdentity, _) => sts::web_identity(situation),
            (Origin::Imds, _) => imds::fetch(&self.environment),
            (Origin::Static | Origin::AssumeRole, _) => Err(FetchError::NothingConfigured),
        }
    }

    fn sts_region(&self) -> Result<Region, FetchError> {
        if let Some(region) = &self.region {
            return Ok(region.clone());
        }
        let named = region_of_environment(&self.environment).ok().flatten();
        let known = named.or_else(|| self.profile_region());
        known.map_or_else(|| self.instance_region().map_err(|_| FetchError::NoRegion), Ok)
    }

    /// The instance's region, asked for until it is known once. Blocks for a second or two: at configuration and on helper
    /// threads only.
    pub fn instance_region(&self) -> Result<Region, FetchError> {
        if let Some(region) = self.instance_region.get() {
            return Ok(region.clone());
        }
        let region = imds::region(&self.environment)?;
        Ok(self.instance_region.get_or_init(|| region).clone())
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CredentialSource").field(&self.description).finish()
    }
}

/// `AWS_REGION`, else `AWS_DEFAULT_REGION`; the variable's name and value as an error when it is no region.
pub(crate) fn region_of_environment(
    environment: &Environment,
) -> Result<Option<Region>, (&'static str, String)> {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(text) = environment.get(name) {
            return Region::parse(text).map(Some).ok_or_else(|| (name, text.to_owned()));
        }
    }
    Ok(None)
}

fn origin_of(choice: &Choice) -> Origin {
    match choice {
        Choice::Default | Choice::Env => Origin::Env,
        Choice::Profile(_) => Origin::Profile,
        Choice::Container => Origin::Container,
        Choice::WebIdentity => Origin::WebIdentity,
        Choice::Imds => Origin::Imds,
        Choice::Static(_) => Origin::Static,
    }
}

fn describe(choice: &Choice, role: Option<&AssumeRole>) -> String {
    let mut text = match choice {
        Choice::Default => "default".to_owned(),
        Choice::Profile(Some(name)) => format!("profile={name}"),
        Choice::Static(file) => format!("static {}", file.path().display()),
        other => origin_of(other).as_str().to_owned(),
    };
    if let Some(role) = role {
        text.push_str(&format!(" role={} session={}", role.arn, role.session));
        if let Some(url) = &role.sts_url {
            text.push_str(&format!(" sts={}", http::endpoint_of(url)));
        }
    }
    text
}

/// All sources of a configuration, each once.
#[derive(Debug, Default)]
pub struct Sources(HashMap<SourceId, Arc<CredentialSource>>);

impl Sources {
    /// The one that is there already under the same id, or this one.
    pub(crate) fn intern(
        &mut self,
        source: CredentialSource,
        wants_region: bool,
    ) -> Arc<CredentialSource> {
        let kept = self.0.entry(source.id()).or_insert_with(|| Arc::new(source));
        kept.wants_region.fetch_or(wants_region, Ordering::Relaxed);
        Arc::clone(kept)
    }

    /// Every source, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CredentialSource>> {
        self.0.values()
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
