//! DOOR rcgen + rustls: a certificate made at start, and the acceptor that shows it.

use super::StandinError;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(crate) use tokio_rustls::TlsAcceptor;

/// The names a client may dial.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The certificate in the folder: its own trust anchor.
const FILE: &str = "cert.pem";

/// Makes a certificate, writes it to `folder` and says where.
pub(crate) fn acceptor(folder: &Path) -> Result<(TlsAcceptor, PathBuf), StandinError> {
    let odd = |error: rcgen::Error| StandinError::Certificate(error.to_string());
    let mut params = rcgen::CertificateParams::new(NAMES.map(str::to_owned)).map_err(odd)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "grok-speaker stand-in");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate().map_err(odd)?;
    let certificate = params.self_signed(&key).map_err(odd)?;
    let path = folder.join(FILE);
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, certificate.pem().as_bytes()));
    written.map_err(|source| StandinError::Write { path: path.clone(), source })?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|b| {
                b.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)
            })
            .map_err(|error| StandinError::Certificate(error.to_string()))?;
    Ok((TlsAcceptor::from(Arc::new(config)), path))
}
