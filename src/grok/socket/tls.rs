//! Whom to trust and which ciphers to prefer.

use super::Error;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use std::path::Path;
use std::sync::Arc;

/// The system's trust anchors in one file: Debian and its kin, Fedora and its kin. The folder
/// beside it holds the same ones again, in hundreds of files.
const BUNDLES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
/// What an owner may point elsewhere with.
const PLACES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// Services whose session tickets are kept: there is one.
const SERVICES: usize = 1;

/// The finished configuration, for every dial the same: it keeps session tickets.
pub(super) type Ready = Shared<BoxFuture<'static, Arc<ClientConfig>>>;

/// All of a configuration but the system's trust anchors: what can be wrong is known already.
pub(super) struct Draft {
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    roots: RootCertStore,
}

/// The client's side, with the trust anchors of `ca_file`.
pub(super) fn draft(ca_file: Option<&Path>) -> Result<Draft, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    let mut provider = rustls::crypto::ring::default_provider();
    if !has_aes() {
        prefer_chacha(&mut provider.cipher_suites);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?;
    Ok(Draft { builder, roots })
}

impl Draft {
    /// Reads the system's trust anchors beside everything else: that takes a small board tens of
    /// milliseconds. Must be called inside a tokio runtime.
    pub(super) fn begin(self) -> Ready {
        let finishing = tokio::task::spawn_blocking(move || Arc::new(self.finish()));
        let finished = finishing.map(|ended| match ended {
            Ok(config) => config,
            // Nobody aborts it: it has panicked.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        });
        finished.boxed().shared()
    }

    fn finish(self) -> ClientConfig {
        let Self { builder, mut roots } = self;
        add_system(&mut roots);
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SERVICES);
        config
    }
}

/// Adds the system's trust anchors, Mozilla's where it has none.
fn add_system(roots: &mut RootCertStore) {
    let elsewhere = PLACES.iter().any(|name| std::env::var_os(name).is_some());
    if !elsewhere && BUNDLES.iter().any(|path| add_bundle(roots, Path::new(path)) > 0) {
        return;
    }
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
}

/// Adds what is good in a bundle, one certificate after the other; how many there were.
fn add_bundle(roots: &mut RootCertStore, path: &Path) -> usize {
    let Ok(certificates) = CertificateDer::pem_file_iter(path) else { return 0 };
    let before = roots.len();
    for certificate in certificates {
        let words = match certificate {
            Ok(certificate) => roots.add(certificate).err().map(|error| error.to_string()),
            Err(error) => Some(pem_words(&error)),
        };
        if let Some(words) = words {
            log::debug!(path:% = path.display(); "one of the system's trust anchors: {words}");
        }
    }
    roots.len() - before
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
    fn a_bundle_is_read_up_to_the_last_that_is_good() {
        let mut roots = RootCertStore::empty();
        assert_eq!(add_bundle(&mut roots, Path::new("/nonexistent/bundle.crt")), 0);
        let Some(bundle) = BUNDLES.iter().map(Path::new).find(|path| path.exists()) else { return };
        let path = std::env::temp_dir().join(format!("grok-speaker-bundle-{}", std::process::id()));
        let begin = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = std::fs::read_to_string(bundle).unwrap();
        std::fs::write(&path, format!("{begin}{text}{begin}")).unwrap();
        let added = add_bundle(&mut roots, &path);
        std::fs::remove_file(&path).unwrap();
        let all = rustls_native_certs::load_certs_from_paths(Some(bundle), None).certs;
        let (good, _) = RootCertStore::empty().add_parsable_certificates(all);
        assert!(good > 0);
        assert_eq!((added, roots.len()), (good, good));
    }

    #[test]
    fn a_useless_file_of_anchors_is_named() {
        let words = draft(Some(Path::new("/nonexistent/ca.pem"))).err().unwrap().to_string();
        assert!(words.starts_with("grok.ca_file /nonexistent/ca.pem: cannot be read"), "{words}");
        let words = draft(Some(Path::new("/dev/null"))).err().unwrap().to_string();
        assert!(words.contains("holds no certificate"), "{words}");
    }
}
