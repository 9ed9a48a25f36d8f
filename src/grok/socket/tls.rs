//! Whom to trust and which ciphers to prefer.

use super::Error;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The client's side: the system's trust anchors (Mozilla's where it has none) and those of
/// `ca_file`. It keeps session tickets, so one configuration serves every dial.
pub(super) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (good, bad) = roots.add_parsable_certificates(system.certs);
    for error in &system.errors {
        log::debug!(error:% = error; "a part of the system's trust anchors cannot be read");
    }
    if good == 0 {
        log::info!("the system has no trust anchors; using the built-in ones");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    } else if bad > 0 {
        log::debug!(good, bad; "some of the system's trust anchors are malformed");
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    let mut provider = rustls::crypto::ring::default_provider();
    if !has_aes() {
        prefer_chacha(&mut provider.cipher_suites);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let bad = |why: String| Error::CaFile { path: path.display().to_string(), why };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| bad(pem_words(&e)))?;
    let mut added = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| bad(pem_words(&e)))?;
        roots.add(certificate).map_err(|e| bad(format!("certificate {}: {e}", added + 1)))?;
        added += 1;
    }
    if added == 0 {
        return Err(bad("holds no certificate (BEGIN CERTIFICATE)".to_owned()));
    }
    Ok(())
}

fn pem_words(error: &rustls::pki_types::pem::Error) -> String {
    if let rustls::pki_types::pem::Error::Io(error) = error {
        return format!("cannot be read: {error}");
    }
    format!("is not PEM: {error}")
}

/// Puts ChaCha20-Poly1305 first, the rest in the order it had.
fn prefer_chacha(suites: &mut [rustls::SupportedCipherSuite]) {
    suites.sort_by_key(|suite| !format!("{:?}", suite.suite()).contains("CHACHA20"));
}

/// Whether this processor computes AES in hardware. Without (a Pi 4 and older) ChaCha20 is several
/// times cheaper.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        std::arch::is_x86_feature_detected!("aes")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes")
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chacha_comes_first_and_nothing_is_lost() {
        let all = rustls::crypto::ring::default_provider().cipher_suites;
        let mut sorted = all.clone();
        prefer_chacha(&mut sorted);
        let names: Vec<_> = sorted.iter().map(|s| format!("{:?}", s.suite())).collect();
        assert!(names[0].contains("CHACHA20"), "{names:?}");
        assert_eq!(names.iter().take_while(|n| n.contains("CHACHA20")).count(), 3, "{names:?}");
        let rest = |suites: &[rustls::SupportedCipherSuite]| {
            let names = suites.iter().map(|s| format!("{:?}", s.suite()));
            names.filter(|n| !n.contains("CHACHA20")).collect::<Vec<_>>()
        };
        assert_eq!(rest(&sorted), rest(&all));
    }

    #[test]
    fn a_useless_file_of_anchors_is_named() {
        let words = config(Some(Path::new("/nonexistent/ca.pem"))).unwrap_err().to_string();
        assert!(words.starts_with("grok.ca_file /nonexistent/ca.pem: cannot be read"), "{words}");
        let words = config(Some(Path::new("/dev/null"))).unwrap_err().to_string();
        assert!(words.contains("holds no certificate"), "{words}");
    }
}
