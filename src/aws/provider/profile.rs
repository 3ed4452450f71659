//! Profiles in `~/.aws/credentials` and `~/.aws/config`, and the key file of `aws_credentials static`.
//!
//! Source: "Shared config and credentials files" and "Assume role credential provider" of the AWS SDKs and Tools guide.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{FetchError, Origin};
use super::file::KeptFile;
use super::ini::{self, Section};
use super::sts::{self, AssumeRole, WebIdentity};
use super::{Situation, container, from_environment, imds};
use crate::aws::credentials::Credentials;
use crate::aws::environment::Environment;
use crate::aws::region::Region;

const DEFAULT: &str = "default";
/// Settings of profiles that mean a source we do not have.
const UNSUPPORTED: [&str; 4] =
    ["credential_process", "sso_session", "sso_account_id", "mfa_serial"];

/// The two shared files.
#[derive(Clone, Debug)]
pub(crate) struct ProfileFiles {
    credentials: Option<KeptFile>,
    config: Option<KeptFile>,
}

impl ProfileFiles {
    /// The files that the environment names, or those in its home directory.
    pub(crate) fn new(environment: &Environment) -> Self {
        let file = |name, in_home| environment.file(name, in_home).map(KeptFile::new);
        Self {
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
            config: file("AWS_CONFIG_FILE", ".aws/config"),
        }
    }

    /// The files' names, for descriptions.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.credentials, &self.config].into_iter().flatten().map(KeptFile::path)
    }

    /// All profiles; where both files have a setting, that of the credentials file counts.
    fn read(&self) -> Result<BTreeMap<String, Section>, FetchError> {
        let mut all: BTreeMap<String, Section> = BTreeMap::new();
        for file in [&self.config, &self.credentials].into_iter().flatten() {
            for (name, section) in read(file)?.unwrap_or_default() {
                all.entry(name).or_default().extend(section);
            }
        }
        Ok(all)
    }

    /// True when there is no such profile, and no file that cannot be read.
    pub(crate) fn lack(&self, name: &str) -> bool {
        self.read().is_ok_and(|all| !all.contains_key(name))
    }

    /// The region that a profile sets.
    pub(crate) fn region(&self, environment: &Environment, name: Option<&str>) -> Option<Region> {
        let (name, _) = chosen(environment, name);
        Region::parse(self.read().ok()?.get(name)?.get("region")?)
    }
}

fn read(file: &KeptFile) -> Result<Option<BTreeMap<String, Section>>, FetchError> {
    let Some(text) = file.read()? else { return Ok(None) };
    let malformed = |line| FetchError::File {
        path: file.path().to_owned(),
        reason: format!("line {line} is neither a section nor a setting"),
    };
    ini::parse(&text).map(Some).map_err(malformed)
}

/// The profile's name, and whether somebody named it.
fn chosen<'a>(environment: &'a Environment, name: Option<&'a str>) -> (&'a str, bool) {
    let variable =
        || environment.get("AWS_PROFILE").or_else(|| environment.get("AWS_DEFAULT_PROFILE"));
    match name.or_else(variable) {
        Some(name) => (name, true),
        None => (DEFAULT, false),
    }
}

/// The credentials of a profile: the named one, that of `AWS_PROFILE`, or `default`.
pub(crate) fn fetch(
    situation: &Situation<'_>,
    name: Option<&str>,
) -> Result<Credentials, FetchError> {
    let (name, is_named) = chosen(situation.environment, name);
    let profiles = situation.files.read()?;
    if !profiles.contains_key(name) && !is_named {
        let missing = "there is no profile \"default\"".to_owned();
        return Err(FetchError::NotConfigured { origin: Origin::Profile, missing });
    }
    resolve(situation, &profiles, name, &mut Vec::new())
}

fn resolve<'a>(
    situation: &Situation<'_>,
    profiles: &'a BTreeMap<String, Section>,
    name: &'a str,
    visited: &mut Vec<&'a str>,
) -> Result<Credentials, FetchError> {
    let wrong = |what: &str| FetchError::Profile { name: name.to_owned(), what: what.to_owned() };
    let profile = profiles.get(name).ok_or_else(|| wrong("there is none"))?;
    // a profile may be its own source: of its keys, not of its role
    if visited.last() == Some(&name) {
        return keys(name, profile)?.ok_or_else(|| FetchError::Loop { profile: name.to_owned() });
    }
    if visited.contains(&name) {
        return Err(FetchError::Loop { profile: name.to_owned() });
    }
    visited.push(name);
    let setting = |key: &str| profile.get(key).map(String::as_str).filter(|text| !text.is_empty());
    if let Some(key) = UNSUPPORTED.into_iter().find(|key| setting(key).is_some()) {
        return Err(wrong(&format!("\"{key}\" is not supported")));
    }
    let Some(role_arn) = setting("role_arn") else {
        let missing = || format!("profile \"{name}\" has no credentials");
        return keys(name, profile)?.ok_or_else(|| FetchError::NotConfigured {
            origin: Origin::Profile,
            missing: missing(),
        });
    };
    let region = setting("region").and_then(Region::parse);
    let session = setting("role_session_name").unwrap_or(sts::DEFAULT_SESSION);
    if let Some(token_file) = setting("web_identity_token_file") {
        let identity = WebIdentity { token_file, role_arn, session };
        return sts::assume_role_with_web_identity(situation, &identity, region);
    }
    let base = match (setting("source_profile"), setting("credential_source")) {
        (Some(_), Some(_)) => {
            return Err(wrong("it has both \"source_profile\" and \"credential_source\""));
        }
        (Some(source), None) => resolve(situation, profiles, source, visited)?,
        (None, Some("Environment")) => from_environment(situation.environment)?,
        (None, Some("Ec2InstanceMetadata")) => imds::fetch(situation.environment)?,
        (None, Some("EcsContainer")) => container::fetch(situation.environment)?,
        (None, Some(_)) => return Err(wrong("its \"credential_source\" is unknown")),
        (None, None) => {
            return Err(wrong("\"role_arn\" needs \"source_profile\" or \"credential_source\""));
        }
    };
    let role = AssumeRole {
        arn: role_arn.to_owned(),
        session: session.to_owned(),
        external_id: setting("external_id").map(str::to_owned),
        duration_s: setting("duration_seconds").and_then(|text| text.parse().ok()),
        sts_url: None,
    };
    sts::assume_role(situation, &base, &role, region)
}

/// The access key in a profile; `None` when it has none.
fn keys(name: &str, profile: &Section) -> Result<Option<Credentials>, FetchError> {
    let wrong = |what: &str| FetchError::Profile { name: name.to_owned(), what: what.to_owned() };
    let setting = |key: &str| profile.get(key).map(String::as_str).filter(|text| !text.is_empty());
    match (setting("aws_access_key_id"), setting("aws_secret_access_key")) {
        (None, None) => Ok(None),
        (Some(key), Some(secret)) => {
            let credentials = Credentials::new(key, secret, setting("aws_session_token"), None);
            let what = "its access key has characters that no key has";
            credentials.map(Some).ok_or_else(|| wrong(what))
        }
        (None, Some(_)) => Err(wrong("\"aws_access_key_id\" is missing")),
        (Some(_), None) => Err(wrong("\"aws_secret_access_key\" is missing")),
    }
}

/// The access key of a key file: that of its `[default]`, or of its only section.
pub(crate) fn from_key_file(file: &KeptFile) -> Result<Credentials, FetchError> {
    let failed =
        |reason: &str| FetchError::File { path: file.path().to_owned(), reason: reason.to_owned() };
    let profiles = read(file)?.ok_or_else(|| failed("No such file or directory (2)"))?;
    let only = || profiles.iter().next().filter(|_| profiles.len() == 1);
    let Some((name, profile)) = profiles.get_key_value(DEFAULT).or_else(only) else {
        return Err(failed("it has no section \"default\""));
    };
    keys(name, profile)?.ok_or_else(|| failed("it has no access key"))
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
