//! DOOR to TLS and the file of certificates: what the panel's connections are encrypted with.

use super::ca::{self, Authority, Fingerprint, Leaf};
use super::pairing::Wall;
use super::server::{Error, own_names};
use super::state_file;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsAcceptor;

/// File of the certificates and their keys in the state directory.
const FILE: &str = "tls.json";
/// A larger file was not written by us: two keys and two certificates are below 4 kB.
const FILE_MAX: u64 = 64 * 1024;

/// The speaker's own authority and the certificate it shows. Shared by the panel thread and by who
/// shows the fingerprint.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    file: PathBuf,
    names: Vec<String>,
    wall: Wall,
    set_aside: Option<String>,
    fingerprint: Fingerprint,
    authority: Authority,
    shown: Mutex<Shown>,
}

/// The certificate of today, ready for use.
struct Shown {
    leaf: Leaf,
    config: Arc<ServerConfig>,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    authority: Authority,
    leaf: Leaf,
}

/// The same, to be written.
#[derive(Serialize)]
struct ToStore<'a> {
    authority: &'a Authority,
    leaf: &'a Leaf,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("file", &self.0.file).finish_non_exhaustive()
    }
}

impl Tls {
    /// With the authority of earlier runs; the first run makes it. A file that cannot be understood
    /// is set aside ([`Tls::set_aside`] says so); a directory that cannot be written keeps it in
    /// memory. `hosts` are further names of the speaker, without port.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn open(state_dir: &Path, hosts: &[String], wall: Wall) -> Result<Self, Error> {
        let file = state_dir.join(FILE);
        let names = own_names(hosts);
        let (stored, set_aside) = match load(&file) {
            Ok(stored) => (stored, None),
            Err(why) => {
                let words = "browsers must be told to trust the speaker again";
                (None, Some(state_file::put_aside(&file, &why, words)))
            }
        };
        let (authority, leaf, config, fresh) = match stored {
            Some((Stored { authority, leaf }, config)) => (authority, leaf, config, false),
            None => {
                let now = wall();
                let authority = Authority::found(&names, now)?;
                let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let leaf = authority.issue(&names, None, here, now)?;
                let config = configure(&leaf).map_err(Error::Certificate)?;
                (authority, leaf, config, true)
            }
        };
        let anchor = CertificateDer::from_pem_slice(authority.certificate.as_bytes());
        let fingerprint = ca::fingerprint(&anchor.map_err(|e| Error::Certificate(e.to_string()))?);
        for name in authority.left_out(&names) {
            log::warn!(
                "the speaker's certificate cannot be for {name}, which it did not have when {} \
                 was made; take the file away to have one that is, and trust the speaker again",
                file.display()
            );
        }
        let shown = Mutex::new(Shown { leaf, config });
        let inner = Inner { file, names, wall, set_aside, fingerprint, authority, shown };
        if fresh {
            inner.store(&inner.shown.lock().unwrap_or_else(PoisonError::into_inner).leaf);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// For a person: which file was set aside at the start and why.
    pub fn set_aside(&self) -> Option<&str> {
        self.0.set_aside.as_deref()
    }

    /// By what a person recognises this speaker.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// The authority's certificate in PEM, to be trusted.
    pub(super) fn anchor(&self) -> &str {
        &self.0.authority.certificate
    }

    /// For a connection that came in on this address of ours, while neighbours know us by `alias` too.
    /// Renews the certificate when it does not suit any more; one that cannot be renewed is shown as it is.
    pub(super) fn acceptor(&self, local: IpAddr, alias: Option<String>) -> TlsAcceptor {
        let inner = &self.0;
        let (local, now) = (local.to_canonical(), (inner.wall)());
        let mut shown = inner.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<_> = inner.names.iter().cloned().chain(alias).collect();
        if !shown.leaf.suits(&names, local, now) {
            match inner.renew(&names, &shown.leaf, local, now) {
                Ok(fresh) => *shown = fresh,
                Err(error) => log::warn!(error:%; "the certificate cannot be renewed"),
            }
        }
        TlsAcceptor::from(Arc::clone(&shown.config))
    }
}

impl Inner {
    fn renew(
        &self,
        names: &[String],
        before: &Leaf,
        local: IpAddr,
        now: u64,
    ) -> Result<Shown, Error> {
        let leaf = self.authority.issue(names, Some(before), local, now)?;
        let config = configure(&leaf).map_err(Error::Certificate)?;
        self.store(&leaf);
        log::info!(address:% = local; "the panel shows a new certificate");
        Ok(Shown { leaf, config })
    }

    fn store(&self, leaf: &Leaf) {
        let stored = ToStore { authority: &self.authority, leaf };
        let text = serde_json::to_vec_pretty(&stored).unwrap_or_default();
        if let Err(error) = state_file::replace(&self.file, &text) {
            log::warn!(
                file:% = self.file.display(), error:%;
                "certificates could not be stored; browsers must trust new ones after a restart"
            );
        }
    }
}

/// `None` when there is no file yet.
fn load(file: &Path) -> Result<Option<(Stored, Arc<ServerConfig>)>, String> {
    let Some(bytes) = state_file::read(file, FILE_MAX)? else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    // A key of another certificate shows here.
    let config = configure(&stored.leaf)?;
    Ok(Some((stored, config)))
}

/// HTTP/1.1 only: what the panel limits and times, it limits and times there.
fn configure(leaf: &Leaf) -> Result<Arc<ServerConfig>, String> {
    let chain = CertificateDer::from_pem_slice(leaf.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes());
    let (chain, key) = (chain.map_err(|e| e.to_string())?, key.map_err(|e| e.to_string())?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![chain], key))
        .map_err(|e| e.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::token;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicU64, Ordering};

    const TODAY: u64 = 1_800_000_000;
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A directory of its own for one test, removed afterwards.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("panel-tls-{}", token::any_u32())))
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.0.join(FILE)).unwrap()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn open(dir: &Dir) -> Tls {
        Tls::open(&dir.0, &[], Arc::new(|| TODAY)).unwrap()
    }

    #[test]
    fn the_authority_is_made_once_and_its_key_is_ours_alone() {
        let dir = Dir::new();
        let tls = open(&dir);
        let mode = std::fs::metadata(dir.0.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = dir.text();
        let later = open(&dir);
        assert_eq!((later.set_aside(), later.fingerprint()), (None, tls.fingerprint()));
        assert_eq!(later.anchor(), tls.anchor());
        later.acceptor(HERE, None);
        assert_eq!(dir.text(), text, "nothing is written while nothing changes");
        assert!(!format!("{later:?}").contains("PRIVATE"));
        assert_ne!(open(&Dir::new()).fingerprint(), tls.fingerprint());
    }

    #[test]
    fn a_new_address_and_the_end_of_the_year_renew_the_certificate_but_not_the_authority() {
        let dir = Dir::new();
        let now = Arc::new(AtomicU64::new(TODAY));
        let wall = Arc::clone(&now);
        let wall = Arc::new(move || wall.load(Ordering::Relaxed));
        let tls = Tls::open(&dir.0, &[], wall).unwrap();
        let shown = || -> (String, String) {
            let stored: Stored = serde_json::from_str(&dir.text()).unwrap();
            (stored.authority.certificate, stored.leaf.certificate)
        };
        let first = shown();
        tls.acceptor("192.168.7.7".parse().unwrap(), None);
        let second = shown();
        assert!(second.0 == first.0 && second.1 != first.1);
        tls.acceptor("::ffff:192.168.7.7".parse().unwrap(), None);
        assert_eq!(shown(), second);
        now.fetch_add(380 * 24 * 3600, Ordering::Relaxed);
        tls.acceptor(HERE, None);
        let third = shown();
        assert!(third.0 == first.0 && third.1 != second.1);
        // The address that is known stays.
        tls.acceptor("192.168.7.7".parse().unwrap(), None);
        assert_eq!(shown(), third);
    }

    #[test]
    fn a_bad_file_is_set_aside_and_said() {
        let whole = Dir::new();
        open(&whole);
        let whole = whole.text();
        let other = Dir::new();
        open(&other);
        let other: serde_json::Value = serde_json::from_str(&other.text()).unwrap();
        let mut mixed: serde_json::Value = serde_json::from_str(&whole).unwrap();
        mixed["leaf"]["key"] = other["leaf"]["key"].clone();
        for bad in ["", "\0\0", &whole[..whole.len() / 2], "{}", &mixed.to_string()] {
            let dir = Dir::new();
            std::fs::create_dir_all(&dir.0).unwrap();
            std::fs::write(dir.0.join(FILE), bad).unwrap();
            let tls = open(&dir);
            let words = tls.set_aside().unwrap();
            assert!(words.contains("tls.json.bad") && words.contains("trust"), "{words}");
            assert!(!words.contains("PRIVATE"));
            assert_eq!(open(&dir).fingerprint(), tls.fingerprint());
        }
    }

    #[test]
    fn without_a_place_to_write_it_works_until_the_restart() {
        let tls = Tls::open(Path::new("/proc/nowhere"), &[], Arc::new(|| 0)).unwrap();
        tls.acceptor("10.0.0.1".parse().unwrap(), None);
        assert_eq!(tls.fingerprint().groups.len(), 19);
    }
}
