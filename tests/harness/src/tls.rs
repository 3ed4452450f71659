//! The certificate of the servers under test, and the client that trusts it.

use std::net::TcpStream;
use std::sync::OnceLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslStream};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use crate::Outcome;

/// A self-signed certificate for `localhost` and 127.0.0.1 and its key, both PEM.
pub struct Certificate {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

/// The certificate of this run; made once, good for a day.
pub fn certificate() -> Outcome<&'static Certificate> {
    static MADE: OnceLock<Result<Certificate, ErrorStack>> = OnceLock::new();
    let made = MADE.get_or_init(make);
    made.as_ref().map_err(|error| format!("cannot make a certificate: {error}").into())
}

fn make() -> Result<Certificate, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    let (now, tomorrow) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(1)?);
    builder.set_not_before(&now)?;
    builder.set_not_after(&tomorrow)?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok(Certificate { certificate: builder.build().to_pem()?, key: key.private_key_to_pem_pkcs8()? })
}

/// A TLS client's stream, the server's certificate verified against [`certificate`].
pub fn client(stream: TcpStream) -> Outcome<SslStream<TcpStream>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.cert_store_mut().add_cert(X509::from_pem(&certificate()?.certificate)?)?;
    Ok(connector.build().connect("localhost", stream)?)
}
