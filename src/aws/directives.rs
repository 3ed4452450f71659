//! `aws_region`, `aws_credentials`, `aws_assume_role`.

use std::sync::Arc;

use ureq::http::Uri;

use super::arn::Arn;
use super::environment::Environment;
use super::provider::file::KeptFile;
use super::provider::profile::from_key_file;
use super::provider::sts::{self, AssumeRole};
use super::region::Region;
use super::source::{Choice, CredentialSource, Sources, region_of_environment};
use crate::directive::{Context, Directive, DirectiveError, Parameter, Place, Takes, Words};

/// What one level has written.
#[derive(Clone, Debug, Default)]
pub struct AwsDirectives {
    region: Option<Region>,
    credentials: Option<(Choice, Place)>,
    /// `Some(None)` is `off`.
    assume_role: Option<Option<AssumeRole>>,
}

/// Which region and credentials the calls of a location use.
#[derive(Clone, Debug)]
pub struct AwsPlan {
    written: Option<Region>,
    surrounding: Option<Region>,
    source: Arc<CredentialSource>,
}

impl AwsDirectives {
    /// Takes what this level has not written from the level around it.
    pub fn merge(&mut self, outer: &Self) {
        let Self { region, credentials, assume_role } = outer;
        self.region = self.region.take().or_else(|| region.clone());
        self.credentials = self.credentials.take().or_else(|| credentials.clone());
        self.assume_role = self.assume_role.take().or_else(|| assume_role.clone());
    }

    /// The plan of a location that calls AWS. Reads the profile files for a region.
    ///
    /// Errors: `AWS_REGION` or `AWS_DEFAULT_REGION`, where they are needed, are no regions; a profile that is named is in no
    /// file.
    pub fn compile(
        &self,
        environment: &Arc<Environment>,
        sources: &mut Sources,
    ) -> Result<AwsPlan, DirectiveError> {
        let surrounding = match &self.region {
            Some(_) => None,
            None => region_of_environment(environment).map_err(|(name, value)| {
                let text = format!("invalid region \"{value}\" in environment variable \"{name}\"");
                DirectiveError::new(text)
            })?,
        };
        let (choice, place) = self.credentials.clone().unwrap_or_default();
        let role = self.assume_role.clone().flatten();
        let source = CredentialSource::new(choice, role, self.region.clone(), environment);
        if let Some(name) = source.missing_profile() {
            let text = format!("there is no profile \"{name}\" in \"aws_credentials\" directive");
            return Err(DirectiveError::new(text).at(&place));
        }
        let from_profile = || if self.region.is_none() { source.profile_region() } else { None };
        let surrounding = surrounding.or_else(from_profile);
        let wants_region = self.region.is_none() && surrounding.is_none();
        let source = sources.intern(source, wants_region);
        Ok(AwsPlan { written: self.region.clone(), surrounding, source })
    }
}

impl AwsPlan {
    /// The region of `aws_region`, else of the function's ARN or URL, else of the environment or the profile. `None` when
    /// only the instance's, published beside the credentials, is left.
    pub fn region<'a>(&'a self, of_function: Option<&'a Region>) -> Option<&'a Region> {
        self.written.as_ref().or(of_function).or(self.surrounding.as_ref())
    }

    /// Where the credentials come from.
    pub fn source(&self) -> &Arc<CredentialSource> {
        &self.source
    }
}

/// `aws_region`
#[derive(Debug)]
pub struct AwsRegion;

impl Directive for AwsRegion {
    type Settings = AwsDirectives;
    const NAME: &'static str = "aws_region";
    const SYNTAX: &'static str = "REGION";
    const DEFAULT: &'static str = "";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::One;

    fn parse(words: &Words<'_>, level: &mut AwsDirectives) -> Result<(), DirectiveError> {
        let text = words.first()?;
        let region = Region::parse(text).ok_or_else(|| words.invalid(text))?;
        words.set_once(&mut level.region, region)
    }
}

/// `aws_credentials`
#[derive(Debug)]
pub struct AwsCredentials;

impl Directive for AwsCredentials {
    type Settings = AwsDirectives;
    const NAME: &'static str = "aws_credentials";
    const SYNTAX: &'static str =
        "default | env | profile[=NAME] | container | web_identity | imds | static KEYFILE";
    const DEFAULT: &'static str = "default";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrTwo;

    fn parse(words: &Words<'_>, level: &mut AwsDirectives) -> Result<(), DirectiveError> {
        let first = words.first()?;
        if first == "static" {
            let file = KeptFile::new(words.path(words.second()?));
            from_key_file(&file).map_err(|error| {
                let text = format!("{error} in \"{}\" directive", words.name());
                DirectiveError::new(text)
            })?;
            let choice = Choice::Static(file);
            return words.set_once(&mut level.credentials, (choice, words.place().clone()));
        }
        if let Ok(further) = words.second() {
            return Err(words.invalid(further));
        }
        let choice = match first {
            "default" => Choice::Default,
            "env" => Choice::Env,
            "profile" => Choice::Profile(None),
            "container" => Choice::Container,
            "web_identity" => Choice::WebIdentity,
            "imds" => Choice::Imds,
            _ => match first.strip_prefix("profile=") {
                Some(name) if !name.is_empty() => Choice::Profile(Some(name.to_owned())),
                _ => return Err(words.invalid(first)),
            },
        };
        words.set_once(&mut level.credentials, (choice, words.place().clone()))
    }
}

/// `aws_assume_role`
#[derive(Debug)]
pub struct AwsAssumeRole;

impl Directive for AwsAssumeRole {
    type Settings = AwsDirectives;
    const NAME: &'static str = "aws_assume_role";
    const SYNTAX: &'static str = "ARN [session=NAME] [external_id=ID] [sts=URL] | off";
    const DEFAULT: &'static str = "off";
    const CONTEXT: Context = Context::ANY;
    const TAKES: Takes = Takes::OneOrMore;

    fn parse(words: &Words<'_>, level: &mut AwsDirectives) -> Result<(), DirectiveError> {
        if words.is_off()? {
            return words.set_once(&mut level.assume_role, None);
        }
        let arn = words.first()?;
        if !Arn::parse(arn).is_some_and(|arn| arn.is_role()) {
            return Err(words.invalid(arn));
        }
        let (mut session, mut external_id, mut sts_url) = (None, None, None);
        for parameter in words.parameters(1) {
            match parameter.name {
                "session" => {
                    parameter.set_once(&mut session, checked(&parameter, sts::is_session_name)?)?;
                }
                "external_id" => {
                    parameter
                        .set_once(&mut external_id, checked(&parameter, sts::is_external_id)?)?;
                }
                "sts" => parameter.set_once(&mut sts_url, checked(&parameter, is_url)?)?,
                _ => return Err(parameter.invalid()),
            }
        }
        let role = AssumeRole {
            arn: arn.to_owned(),
            session: session.unwrap_or_else(|| sts::DEFAULT_SESSION.to_owned()),
            external_id,
            duration_s: None,
            sts_url,
        };
        words.set_once(&mut level.assume_role, Some(role))
    }
}

fn checked(
    parameter: &Parameter<'_>,
    is_good: impl Fn(&str) -> bool,
) -> Result<String, DirectiveError> {
    let text = parameter.text()?;
    if is_good(text) { Ok(text.to_owned()) } else { Err(parameter.invalid()) }
}

/// True for `http://HOST[:PORT]` and `https://...`, without path, query and user.
fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
    matches!(uri.scheme_str(), Some("http" | "https")) && authority && bare
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::directive::Place;

    fn read<D: Directive<Settings = AwsDirectives>>(
        level: &mut AwsDirectives,
        text: &str,
        folder: &Path,
    ) -> Result<(), String> {
        let arguments: Vec<&str> = text.split(' ').collect();
        let words = Words::new(D::NAME, &arguments, Place::default(), folder);
        D::parse(&words, level).map_err(|error| error.to_string())
    }

    const ROLE: &str = "arn:aws:iam::123456789012:role/gateway";

    fn level(region: &str, credentials: &str, role: &str) -> AwsDirectives {
        let mut level = AwsDirectives::default();
        for (text, parse) in [
            (region, read::<AwsRegion> as fn(&mut AwsDirectives, &str, &Path) -> _),
            (credentials, read::<AwsCredentials>),
            (role, read::<AwsAssumeRole>),
        ] {
            if !text.is_empty() {
                parse(&mut level, text, Path::new("/etc/nginx")).unwrap();
            }
        }
        level
    }

    fn compile(level: &AwsDirectives, variables: &[(&str, &str)]) -> Result<AwsPlan, String> {
        let environment = Arc::new(variables.iter().copied().collect());
        let plan = level.compile(&environment, &mut Sources::default());
        plan.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), "[default]\n").unwrap();
        let empty = folder.path().join("empty");
        let missing = folder.path().join("missing");
        let invalid =
            |value: &str, name: &str| format!("invalid value \"{value}\" in \"{name}\" directive");
        type Parse = fn(&mut AwsDirectives, &str, &Path) -> Result<(), String>;
        let (region, credentials, role): (Parse, Parse, Parse) =
            (read::<AwsRegion>, read::<AwsCredentials>, read::<AwsAssumeRole>);
        let cases: Vec<(Parse, String, String)> = vec![
            (region, "us-east-1a".into(), invalid("us-east-1a", "aws_region")),
            (region, "off".into(), invalid("off", "aws_region")),
            (credentials, "magic".into(), invalid("magic", "aws_credentials")),
            (credentials, "profile=".into(), invalid("profile=", "aws_credentials")),
            (credentials, "imds x".into(), invalid("x", "aws_credentials")),
            (
                credentials,
                "static".into(),
                "invalid number of arguments in \"aws_credentials\" directive".into(),
            ),
            (
                credentials,
                "static missing".into(),
                format!(
                    "cannot read \"{}\": No such file or directory (2) in \"aws_credentials\" directive",
                    missing.display()
                ),
            ),
            (
                credentials,
                "static empty".into(),
                format!(
                    "cannot read \"{}\": it has no access key in \"aws_credentials\" directive",
                    empty.display()
                ),
            ),
            (role, "gateway".into(), invalid("gateway", "aws_assume_role")),
            (role, format!("{ROLE} session=a"), "invalid parameter \"session=a\"".into()),
            (role, format!("{ROLE} session"), "invalid parameter \"session\"".into()),
            (role, format!("{ROLE} external_id=%"), "invalid parameter \"external_id=%\"".into()),
            (role, format!("{ROLE} sts=sts.test"), "invalid parameter \"sts=sts.test\"".into()),
            (role, format!("{ROLE} sts=ftp://x"), "invalid parameter \"sts=ftp://x\"".into()),
            (role, format!("{ROLE} sts=http://x/y"), "invalid parameter \"sts=http://x/y\"".into()),
            (role, format!("{ROLE} sts=http://u@x"), "invalid parameter \"sts=http://u@x\"".into()),
            (
                role,
                format!("{ROLE} session=ab session=cd"),
                "duplicate parameter \"session=cd\"".into(),
            ),
            (role, format!("{ROLE} mfa=1"), "invalid parameter \"mfa=1\"".into()),
        ];
        for (parse, text, expected) in cases {
            let result = parse(&mut AwsDirectives::default(), &text, folder.path());
            assert_eq!(result, Err(expected), "{text}");
        }
    }

    #[test]
    fn a_directive_stands_once_on_a_level() {
        let mut level = level("eu-west-1", "imds", ROLE);
        let folder = Path::new("/");
        for (result, name) in [
            (read::<AwsRegion>(&mut level, "eu-west-1", folder), "aws_region"),
            (read::<AwsCredentials>(&mut level, "env", folder), "aws_credentials"),
            (read::<AwsAssumeRole>(&mut level, "off", folder), "aws_assume_role"),
        ] {
            assert_eq!(result, Err(format!("\"{name}\" directive is duplicate")));
        }
    }

    #[test]
    fn a_profile_that_is_in_no_file_is_an_error_unless_a_file_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let (config, keys) = (folder.path().join("config"), folder.path().join("credentials"));
        std::fs::write(&config, "[profile edge]\nregion = eu-west-1\n").unwrap();
        let variables = [
            ("AWS_CONFIG_FILE", config.to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", keys.to_str().unwrap()),
        ];
        let level = |name: &str| level("eu-west-1", &format!("profile={name}"), "");
        assert!(compile(&level("edge"), &variables).is_ok());
        let missing = "there is no profile \"nope\" in \"aws_credentials\" directive".to_owned();
        for variables in [&variables[..], &[]] {
            assert_eq!(compile(&level("nope"), variables).unwrap_err(), missing);
        }
        std::fs::create_dir(&keys).unwrap();
        assert!(compile(&level("nope"), &variables).is_ok());
    }

    #[test]
    fn a_level_inherits_what_it_has_not_written_and_off_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::write(&config, "[profile a]\n").unwrap();
        let variables = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
        let outer = level("eu-west-1", "imds", &format!("{ROLE} session=edge"));
        for (inner, description, region) in [
            (AwsDirectives::default(), format!("imds role={ROLE} session=edge"), "eu-west-1"),
            (level("us-east-2", "env", "off"), "env".to_owned(), "us-east-2"),
            (level("", "", "off"), "imds".to_owned(), "eu-west-1"),
            (
                level("", "profile=a", &format!("{ROLE} sts=https://sts.test:444 external_id=e-1")),
                format!("profile=a role={ROLE} session=apigate sts=https://sts.test:444"),
                "eu-west-1",
            ),
        ] {
            let mut merged = inner;
            merged.merge(&outer);
            let plan = compile(&merged, &variables).unwrap();
            assert_eq!(plan.source().description(), description);
            assert_eq!(plan.region(None).map(Region::as_str), Some(region));
        }
        assert_eq!(
            compile(&AwsDirectives::default(), &[]).unwrap().source().description(),
            "default"
        );
    }

    #[test]
    fn the_region_is_the_directives_then_the_functions_then_the_surroundings() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::write(&config, "[default]\nregion = ap-south-1\n").unwrap();
        let config = ("AWS_CONFIG_FILE", config.to_str().unwrap());
        let (first, second) = (("AWS_REGION", "us-west-1"), ("AWS_DEFAULT_REGION", "us-west-2"));
        let function = Region::parse("eu-central-1").unwrap();
        for (written, of_function, variables, expected) in [
            ("eu-west-1", Some(&function), vec![first], Some("eu-west-1")),
            ("", Some(&function), vec![first], Some("eu-central-1")),
            ("", None, vec![first, second], Some("us-west-1")),
            ("", None, vec![second, config], Some("us-west-2")),
            ("", None, vec![config], Some("ap-south-1")),
            ("", None, vec![], None),
        ] {
            let plan = compile(&level(written, "", ""), &variables).unwrap();
            assert_eq!(plan.region(of_function).map(Region::as_str), expected);
            assert_eq!(plan.source().wants_region(), variables.is_empty());
        }
        let wrong = compile(&level("", "", ""), &[("AWS_REGION", "moon")]).unwrap_err();
        assert_eq!(wrong, "invalid region \"moon\" in environment variable \"AWS_REGION\"");
        assert!(compile(&level("eu-west-1", "", ""), &[("AWS_REGION", "moon")]).is_ok());
    }

    #[test]
    fn a_key_file_is_looked_for_beside_the_configuration_and_read_again_at_each_fetch() {
        let folder = tempfile::tempdir().unwrap();
        let write = |key: &str| {
            let text = format!("[default]\naws_access_key_id={key}\naws_secret_access_key=s\n");
            std::fs::write(folder.path().join("keys"), text).unwrap();
        };
        write("ONE");
        let mut level = AwsDirectives::default();
        read::<AwsCredentials>(&mut level, "static keys", folder.path()).unwrap();
        let plan = compile(&level, &[("AWS_REGION", "eu-west-1")]).unwrap();
        for key in ["ONE", "TWO"] {
            write(key);
            let fetched = plan.source().fetch(0).unwrap();
            assert_eq!(fetched.credentials.access_key_id, key);
        }
    }
}
