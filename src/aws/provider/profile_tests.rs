//! Profiles from real files, roles from a real endpoint.

use std::fs;

use super::super::testing::Server;
use super::*;

const STS_REPLY: &str = "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
    <SessionToken>t</SessionToken><Expiration>2026-11-23T12:00:00Z</Expiration>";

/// Fetches a profile from files with these texts, the environment having these variables besides.
fn fetched(
    credentials: &str,
    config: &str,
    variables: &[(&str, &str)],
    name: Option<&str>,
) -> Result<Credentials, String> {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".aws");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("credentials"), credentials).unwrap();
    fs::write(folder.join("config"), config).unwrap();
    let home = [("HOME", home.path().to_str().unwrap())];
    let environment: Environment = home.iter().chain(variables).copied().collect();
    let region = || Region::parse("eu-west-1").ok_or(FetchError::NoRegion);
    let files = ProfileFiles::new(&environment);
    let situation = Situation {
        environment: &environment,
        files: &files,
        now_unix_s: 1_795_428_000,
        region: &region,
    };
    fetch(&situation, name).map_err(|error| error.to_string())
}

fn plain(key: &str, secret: &str) -> Result<Credentials, String> {
    Ok(Credentials::new(key, secret, None, None).unwrap())
}

const CREDENTIALS: &str = "[default]\naws_access_key_id=D\naws_secret_access_key=d\n\
    [orders]\naws_access_key_id=O\naws_secret_access_key=o\n";

#[test]
fn the_profile_is_the_named_one_or_aws_profile_or_default() {
    let variable = [("AWS_PROFILE", "orders")];
    assert_eq!(fetched(CREDENTIALS, "", &[], None), plain("D", "d"));
    assert_eq!(fetched(CREDENTIALS, "", &variable, None), plain("O", "o"));
    assert_eq!(fetched(CREDENTIALS, "", &variable, Some("default")), plain("D", "d"));
    let config = "[profile x]\naws_access_key_id=X\naws_secret_access_key=x\naws_session_token=t";
    let with_token = Credentials::new("X", "x", Some("t"), None).unwrap();
    assert_eq!(fetched("", config, &[], Some("x")), Ok(with_token));
    let both = "[default]\naws_access_key_id=C\naws_secret_access_key=c\n";
    assert_eq!(fetched(CREDENTIALS, both, &[], None), plain("D", "d"));
}

#[test]
fn a_profile_that_cannot_be_used_is_named() {
    for (config, name, expected) in [
        ("", None, "profile: there is no profile \"default\""),
        ("[default]\nregion=eu-west-1", None, "profile: profile \"default\" has no credentials"),
        ("", Some("x"), "profile \"x\": there is none"),
        (
            "[profile x]\naws_access_key_id=X",
            Some("x"),
            "profile \"x\": \"aws_secret_access_key\" is missing",
        ),
        (
            "[profile x]\ncredential_process=/bin/x",
            Some("x"),
            "profile \"x\": \"credential_process\" is not supported",
        ),
        (
            "[profile x]\nrole_arn=r",
            Some("x"),
            "profile \"x\": \"role_arn\" needs \"source_profile\" or \"credential_source\"",
        ),
        (
            "[profile x]\nrole_arn=r\ncredential_source=Mars",
            Some("x"),
            "profile \"x\": its \"credential_source\" is unknown",
        ),
        (
            "[profile x]\nrole_arn=r\nsource_profile=y\n[profile y]\nrole_arn=r\nsource_profile=x",
            Some("x"),
            "profile \"x\" is its own source_profile",
        ),
        (
            "[profile x]\nrole_arn=r\nsource_profile=x",
            Some("x"),
            "profile \"x\" is its own source_profile",
        ),
        ("[profile x]\nrole_arn=r\nsource_profile=y", Some("x"), "profile \"y\": there is none"),
    ] {
        assert_eq!(fetched("", config, &[], name), Err(expected.to_owned()), "{config}");
    }
    let error = fetched("", "[default]\nAKID s3cr3t", &[], None).unwrap_err();
    assert!(error.ends_with("config\": line 2 is neither a section nor a setting"), "{error}");
}

#[test]
fn a_role_is_assumed_with_the_source_profiles_keys() {
    let server = Server::start(|_| (200, STS_REPLY.to_owned()));
    let url = server.url();
    let sts = [("AWS_ENDPOINT_URL_STS", url.as_str())];
    let env_keys = [
        ("AWS_ACCESS_KEY_ID", "E"),
        ("AWS_SECRET_ACCESS_KEY", "e"),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
    ];
    let role = Ok(Credentials::new("ASIA", "role-secret", Some("t"), Some(1_795_435_200)).unwrap());
    let arn = "role_arn=arn:aws:iam::123456789012:role/r";
    let config = format!(
        "[profile a]\n{arn}\nsource_profile=orders\nregion=us-west-2\nrole_session_name=sess\nexternal_id=ext-1\nduration_seconds=1200\n\
         [profile chain]\n{arn}\nsource_profile=a\n\
         [profile self]\n{arn}\nsource_profile=self\naws_access_key_id=S\naws_secret_access_key=s\n\
         [profile env]\n{arn}\ncredential_source=Environment\n"
    );
    assert_eq!(fetched(CREDENTIALS, &config, &sts, Some("a")), role);
    assert_eq!(fetched(CREDENTIALS, &config, &sts, Some("chain")), role);
    assert_eq!(fetched(CREDENTIALS, &config, &sts, Some("self")), role);
    assert_eq!(fetched(CREDENTIALS, &config, &env_keys, Some("env")), role);
    let asked = server.finish();
    let signed_by: Vec<_> = asked
        .iter()
        .map(|asked| {
            let value = asked.header("authorization").unwrap();
            let scope = value.split_once("Credential=").unwrap().1;
            scope.split_once("/sts/").unwrap().0.to_owned()
        })
        .collect();
    assert_eq!(
        signed_by,
        [
            "O/20261123/us-west-2",
            "O/20261123/us-west-2",
            "ASIA/20261123/eu-west-1",
            "S/20261123/eu-west-1",
            "E/20261123/eu-west-1"
        ]
    );
    assert!(
        asked[0].body.ends_with("&RoleSessionName=sess&ExternalId=ext-1&DurationSeconds=1200"),
        "{}",
        asked[0].body
    );
}

#[test]
fn the_files_are_those_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, CREDENTIALS).unwrap();
    let variables = [("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap())];
    assert_eq!(fetched("", "", &variables, None), plain("D", "d"));
    let environment: Environment = variables.iter().copied().collect();
    let config = folder.path().join("config");
    fs::write(&config, "[default]\nregion = ap-south-1\n[profile x]\nregion = nowhere").unwrap();
    let environment = Environment::from_iter([
        ("AWS_SHARED_CREDENTIALS_FILE", environment.get("AWS_SHARED_CREDENTIALS_FILE").unwrap()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ]);
    let files = ProfileFiles::new(&environment);
    let region = |name| files.region(&environment, name);
    assert_eq!(region(None), Region::parse("ap-south-1"));
    assert_eq!(region(Some("x")), None);
    assert_eq!(files.paths().collect::<Vec<_>>(), [path.as_path(), config.as_path()]);
}

#[test]
fn a_key_file_has_a_default_or_a_single_section() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyfile");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        from_key_file(&KeptFile::new(path.clone())).map_err(|error| error.to_string())
    };
    let shown = path.display();
    assert_eq!(read(CREDENTIALS), plain("D", "d"));
    assert_eq!(read("[any]\naws_access_key_id=A\naws_secret_access_key=a\n"), plain("A", "a"));
    for (text, expected) in [
        ("", format!("cannot read \"{shown}\": it has no section \"default\"")),
        ("[a]\n[b]\n", format!("cannot read \"{shown}\": it has no section \"default\"")),
        ("[default]\n", format!("cannot read \"{shown}\": it has no access key")),
        (
            "[default]\naws_access_key_id=A\n",
            "profile \"default\": \"aws_secret_access_key\" is missing".to_owned(),
        ),
        ("AKID\n", format!("cannot read \"{shown}\": line 1 is neither a section nor a setting")),
    ] {
        assert_eq!(read(text), Err(expected));
    }
    fs::remove_file(&path).unwrap();
    let missing = from_key_file(&KeptFile::new(path.clone())).unwrap_err().to_string();
    assert_eq!(missing, format!("cannot read \"{shown}\": No such file or directory (2)"));
}
