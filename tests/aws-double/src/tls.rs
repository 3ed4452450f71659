//! The double's certificate authority and the server certificates that tests choose from.

use std::sync::Arc;

use parking_lot::RwLock;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const NAMES: [&str; 7] = [
    "lambda.us-east-1.amazonaws.com",
    "lambda.eu-west-1.amazonaws.com",
    "*.lambda-url.us-east-1.on.aws",
    "*.lambda-url.eu-west-1.on.aws",
    "localhost",
    "127.0.0.1",
    "::1",
];

/// Which certificate is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Certificate {
    /// Signed by the authority, valid, with all names.
    Good,
    /// As good, but its validity ended in 2021.
    Expired,
    /// Signed and valid, for `wrong.example` only.
    WrongName,
    /// With all names, signed by itself.
    SelfSigned,
}

/// The newest protocol version served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) enum Version {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// The authority, and what is served at present.
pub(crate) struct Authority {
    /// The authority's certificate.
    pub(crate) ca_pem: String,
    ca: Issuer<'static, KeyPair>,
    served: RwLock<(Certificate, Version, Arc<ServerConfig>)>,
}

impl Authority {
    /// A new authority that serves the good certificate.
    pub(crate) fn new() -> Fallible<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name("aws-double authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2050, 1, 1);
        let ca_pem = params.self_signed(&key)?.pem();
        let ca = Issuer::new(params, key);
        let config = server_config(&ca, Certificate::Good, Version::Tls13)?;
        let served = RwLock::new((Certificate::Good, Version::Tls13, config));
        Ok(Self { ca_pem, ca, served })
    }

    /// What the next handshake is done with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.served.read().2.clone()
    }

    /// Which certificate and version are served.
    pub(crate) fn choice(&self) -> (Certificate, Version) {
        let served = self.served.read();
        (served.0, served.1)
    }

    /// Serves another certificate, with new ticket keys: no session is resumed over a change.
    pub(crate) fn choose(&self, certificate: Certificate, newest: Version) -> Fallible<()> {
        let config = server_config(&self.ca, certificate, newest)?;
        *self.served.write() = (certificate, newest, config);
        Ok(())
    }
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn server_config(
    ca: &Issuer<'static, KeyPair>,
    certificate: Certificate,
    newest: Version,
) -> Fallible<Arc<ServerConfig>> {
    let names: &[&str] =
        if certificate == Certificate::WrongName { &["wrong.example"] } else { &NAMES };
    let key = KeyPair::generate()?;
    let mut params =
        CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name = name("aws-double");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after =
        date_time_ymd(if certificate == Certificate::Expired { 2021 } else { 2049 }, 1, 1);
    let signed = match certificate {
        Certificate::SelfSigned => params.self_signed(&key)?,
        _ => params.signed_by(&key, ca)?,
    };
    const UP_TO_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    const UP_TO_13: &[&SupportedProtocolVersion] =
        &[&rustls::version::TLS13, &rustls::version::TLS12];
    let versions = if newest == Version::Tls12 { UP_TO_12 } else { UP_TO_13 };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(signed.der().to_vec())],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
