//! The chain over real files and a real metadata service.

use super::super::provider::testing::{Asked, Server};
use super::*;

/// 2026-11-23T10:00:00Z
const NOW_UNIX_S: u64 = 1_795_428_000;

fn source(
    choice: Choice,
    role: Option<AssumeRole>,
    variables: &[(&str, &str)],
) -> CredentialSource {
    CredentialSource::new(choice, role, None, &Arc::new(variables.iter().copied().collect()))
}

fn key_of(result: Result<Fetched, FetchError>) -> Result<String, String> {
    let key = |fetched: Fetched| fetched.credentials.access_key_id;
    result.map(key).map_err(|error| error.to_string())
}

fn document(key: &str) -> String {
    format!(
        r#"{{"AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T12:00:00Z"}}"#
    )
}

/// Metadata service, container endpoint and STS in one.
fn cloud(asked: &Asked) -> (u16, String) {
    let sts = "<AccessKeyId>STS</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
        <SessionToken>t</SessionToken><Expiration>2026-11-23T12:00:00Z</Expiration>";
    match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", _) => (200, "TOKEN".to_owned()),
        ("POST", _) => (200, sts.to_owned()),
        (_, "/container") => (200, document("CONTAINER")),
        (_, "/latest/meta-data/iam/security-credentials/") => (200, "role".to_owned()),
        (_, "/latest/meta-data/placement/region") => (200, "eu-north-1".to_owned()),
        _ => (200, document("IMDS")),
    }
}

#[test]
fn the_default_chain_takes_the_first_that_is_set_up() {
    let server = Server::start(cloud);
    let (url, folder) = (server.url(), tempfile::tempdir().unwrap());
    let keys = folder.path().join("keys");
    std::fs::write(&keys, "[default]\naws_access_key_id=PROFILE\naws_secret_access_key=s\n")
        .unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let container_url = format!("{url}/container");
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r"),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container_url.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", keys.to_str().unwrap()),
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    for (count, expected) in [(8, "ENV"), (6, "PROFILE"), (5, "CONTAINER"), (4, "STS"), (1, "IMDS")]
    {
        let chain = source(Choice::Default, None, &variables[..count]);
        assert_eq!(key_of(chain.fetch(NOW_UNIX_S)).as_deref(), Ok(expected));
    }
    for (choice, expected) in [
        (Choice::Imds, "IMDS"),
        (Choice::WebIdentity, "STS"),
        (Choice::Container, "CONTAINER"),
        (Choice::Profile(None), "PROFILE"),
        (Choice::Env, "ENV"),
    ] {
        let one = source(choice, None, &variables);
        assert_eq!(key_of(one.fetch(NOW_UNIX_S)).as_deref(), Ok(expected));
    }
}

#[test]
fn a_source_that_is_set_up_and_fails_ends_the_chain() {
    let server = Server::start(cloud);
    let url = server.url();
    let imds = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str());
    let half = source(Choice::Default, None, &[imds, ("AWS_ACCESS_KEY_ID", "ENV")]);
    let error = key_of(half.fetch(NOW_UNIX_S)).unwrap_err();
    assert_eq!(error, "env: \"AWS_SECRET_ACCESS_KEY\" is not set");
    let disabled = ("AWS_EC2_METADATA_DISABLED", "true");
    let error = key_of(source(Choice::Default, None, &[imds, disabled]).fetch(NOW_UNIX_S));
    assert_eq!(error.unwrap_err(), "no source of credentials is set up");
    let error = key_of(source(Choice::Imds, None, &[imds, disabled]).fetch(NOW_UNIX_S));
    assert_eq!(error.unwrap_err(), "imds: \"AWS_EC2_METADATA_DISABLED\" is true");
    assert!(server.finish().is_empty());
}

#[test]
fn a_role_goes_on_top_of_any_and_asks_sts_in_the_region_it_finds() {
    let server = Server::start(cloud);
    let url = server.url();
    let role = AssumeRole {
        arn: "arn:aws:iam::123456789012:role/r".to_owned(),
        session: "edge".to_owned(),
        external_id: None,
        duration_s: None,
        sts_url: Some(url.clone()),
    };
    let imds = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str());
    let variables = [imds, ("AWS_REGION", "us-west-2")];
    for (variables, region) in [(&variables[..1], "eu-north-1"), (&variables, "us-west-2")] {
        let assumed = source(Choice::Imds, Some(role.clone()), variables);
        assert_eq!(key_of(assumed.fetch(NOW_UNIX_S)).as_deref(), Ok("STS"));
        let asked = server.asked();
        let signed = asked.last().and_then(|asked| asked.header("authorization")).unwrap();
        assert!(signed.contains(&format!("Credential=IMDS/20261123/{region}/sts/")), "{signed}");
    }
}

#[test]
fn credentials_that_are_over_are_an_error() {
    let server = Server::start(cloud);
    let url = server.url();
    let imds = source(Choice::Imds, None, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())]);
    assert!(imds.fetch(1_795_435_199).is_ok());
    let over = imds.fetch(1_795_435_200).unwrap_err();
    assert_eq!(over.to_string(), "imds: the credentials have expired already");
    // STS is not even asked with them
    let role = AssumeRole {
        arn: "arn:aws:iam::123456789012:role/r".to_owned(),
        session: "edge".to_owned(),
        external_id: None,
        duration_s: None,
        sts_url: Some(url.clone()),
    };
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
    let assumed = source(Choice::Imds, Some(role), &variables);
    assert_eq!(assumed.fetch(1_795_435_200).unwrap_err(), over);
    assert!(server.finish().iter().all(|asked| asked.method != "POST"));
}

#[test]
fn the_instances_region_comes_with_the_credentials_where_it_is_wanted() {
    let server = Server::start(cloud);
    let url = server.url();
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
    let mut sources = Sources::default();
    let imds = sources.intern(source(Choice::Imds, None, &variables), false);
    assert_eq!(imds.fetch(NOW_UNIX_S).unwrap().region, None);
    let same = sources.intern(source(Choice::Imds, None, &variables), true);
    assert!(Arc::ptr_eq(&imds, &same));
    assert_eq!(imds.fetch(NOW_UNIX_S).unwrap().region, Region::parse("eu-north-1"));
    assert_eq!(sources.iter().count(), 1);
}

#[test]
fn sources_that_differ_have_different_ids_and_say_what_they_are_without_secrets() {
    let role = |external: &str, url: Option<&str>| AssumeRole {
        arn: "arn:aws:iam::123456789012:role/r".to_owned(),
        session: "edge".to_owned(),
        external_id: Some(external.to_owned()),
        duration_s: None,
        sts_url: url.map(str::to_owned),
    };
    let described = [
        (source(Choice::Default, None, &[]), "default"),
        (source(Choice::Default, None, &[("HOME", "/home/x")]), "default"),
        (source(Choice::Profile(None), None, &[]), "profile"),
        (source(Choice::Profile(Some("a".to_owned())), None, &[]), "profile=a"),
        (source(Choice::Static(KeptFile::new("/k".into())), None, &[]), "static /k"),
        (
            source(Choice::Imds, Some(role("e1", None)), &[]),
            "imds role=arn:aws:iam::123456789012:role/r session=edge",
        ),
        (
            source(Choice::Imds, Some(role("e2", None)), &[]),
            "imds role=arn:aws:iam::123456789012:role/r session=edge",
        ),
        (
            source(Choice::Imds, Some(role("e1", Some("https://sts.test/?x=secret"))), &[]),
            "imds role=arn:aws:iam::123456789012:role/r session=edge sts=https://sts.test",
        ),
    ];
    for (number, (source, description)) in described.iter().enumerate() {
        assert_eq!(source.description(), *description);
        let same = described.iter().filter(|(other, _)| other.id() == source.id());
        assert_eq!(same.count(), 1, "{number}");
    }
}
