//! DOOR to certificates: the speaker's own authority, which a phone may be told to trust, and the
//! certificate it issues to itself.
//!
//! No board is asked to know the time: what depends on it allows for a clock that is wrong.

use super::rule;
use super::server::Error;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const DAY: u64 = 24 * 3600;
/// 2026-11-01 in seconds since 1970: no clock that is right shows less to this program.
const WRITTEN: u64 = 1_793_491_200;
/// A clock that shows more than twenty years after that is wrong too.
const BEYOND: u64 = WRITTEN + 20 * 365 * DAY;
/// How long a phone that trusts the authority need not do it again.
const AUTHORITY: u64 = 3650 * DAY;
/// The longest some browsers let a certificate live is 398 days.
const LEAF: u64 = 397 * DAY;
/// A clock may be this far ahead of the one it is checked against; and so long before its end a
/// certificate is renewed.
const SLACK: u64 = 30 * DAY;
/// Addresses in one certificate; a change of network adds one, the oldest goes.
const ADDRESSES: usize = 16;
/// Networks the authority can speak for: those of [`rule::is_local`].
const NETWORKS: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];

/// By what a person recognises the authority of a speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 of the certificate as browsers show it: `AB:CD:...`.
    pub sha256: String,
    /// The same in four groups of four digits, to be read aloud: 53 bits.
    pub groups: String,
}

/// What signs. It can do so only for names of this speaker, names below `.local` and addresses of
/// local networks: a key that is stolen is of no use against any site of the internet.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authority {
    name: String,
    /// PEM.
    key: String,
    /// PEM.
    pub(super) certificate: String,
    /// Names it may sign for, beside those below `.local`.
    names: Vec<String>,
}

/// What the speaker shows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leaf {
    /// PEM.
    pub(super) key: String,
    /// PEM.
    pub(super) certificate: String,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    /// Seconds since 1970.
    from: u64,
    until: u64,
}

impl Authority {
    /// A new one for a speaker of these names.
    pub(super) fn found(names: &[String], wall: u64) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let id = hex(&Sha256::digest(key.public_key_raw())[..2], "");
        let host = names.first().map_or("speaker", String::as_str);
        let name = format!("Grok speaker {host} {id}");
        let names = names.iter().filter(|name| is_free(name)).cloned().collect();
        let mut new = Self { name, key: key.serialize_pem(), certificate: String::new(), names };
        let mut params = new.params();
        // In the past whatever the clock shows: a phone whose clock is right must not find it to
        // begin in the future.
        lasts(&mut params, WRITTEN - SLACK, if is_sane(wall) { wall } else { WRITTEN } + AUTHORITY);
        new.certificate = params.self_signed(&key)?.pem();
        Ok(new)
    }

    /// All that the issuer's part of a certificate is made of, and its own but for the years.
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&self.name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let below = |name: &str| GeneralSubtree::DnsName(name.to_owned());
        let networks = NETWORKS.map(|(address, prefix)| {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix))
        });
        let names = ["local", "localhost"].map(below);
        let own = self.names.iter().map(|name| below(name));
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: names.into_iter().chain(own).chain(networks).collect(),
            excluded_subtrees: Vec::new(),
        });
        params
    }

    /// Whether it may sign for a name: one that it may not would spoil the whole certificate.
    fn speaks_for(&self, name: &str) -> bool {
        let below = |known: &str| {
            name.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        !is_free(name) || self.names.iter().any(|known| below(known))
    }

    /// Those of `names` that a certificate of this authority cannot have.
    pub(super) fn left_out<'a>(&self, names: &'a [String]) -> Vec<&'a str> {
        let names = names.iter().map(String::as_str);
        names.filter(|name| !is_address(name) && !self.speaks_for(name)).collect()
    }

    /// A certificate for these names and, beside the addresses of the one before, `address`.
    pub(super) fn issue(
        &self,
        names: &[String],
        before: Option<&Leaf>,
        address: IpAddr,
        wall: u64,
    ) -> Result<Leaf, Error> {
        let mut addresses = before.map_or_else(
            || vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            |leaf| leaf.addresses.clone(),
        );
        if is_worn(address) && !addresses.contains(&address) {
            if addresses.len() >= ADDRESSES {
                addresses.remove(addresses.iter().position(|a| !a.is_loopback()).unwrap_or(0));
            }
            addresses.push(address);
        }
        let signer = Issuer::new(self.params(), KeyPair::from_pem(&self.key)?);
        let mut params = CertificateParams::default();
        params.distinguished_name = named(names.get(1).map_or("grok-speaker", String::as_str));
        let spoken = names.iter().filter(|name| !is_address(name) && self.speaks_for(name));
        for name in spoken.map(String::as_str).chain(["localhost"]) {
            params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
        }
        let ips = addresses.iter().map(|address| SanType::IpAddress(*address));
        params.subject_alt_names.extend(ips);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let from = if is_sane(wall) { wall } else { WRITTEN } - SLACK;
        let until = from + LEAF;
        lasts(&mut params, from, until);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &signer)?.pem();
        let (key, names) = (key.serialize_pem(), names.to_vec());
        Ok(Leaf { key, certificate, names, addresses, from, until })
    }
}

impl Leaf {
    /// Whether it is good for a connection that came in on `address`. With a clock that is known
    /// to be wrong nothing is renewed: those who look at the certificate have one of their own.
    pub(super) fn suits(&self, names: &[String], address: IpAddr, wall: u64) -> bool {
        let lives = !is_sane(wall) || (self.from..self.until - SLACK).contains(&wall);
        // A name that was counted up stays until it is another: after a start it is not known yet.
        let counted = |more: &String| names.iter().any(|own| rule::is_counted_up(more, own));
        let named = self.names.strip_prefix(names).is_some_and(|more| more.iter().all(counted));
        lives && named && (!is_worn(address) || self.addresses.contains(&address))
    }
}

/// Of a certificate in DER.
pub(super) fn fingerprint(der: &[u8]) -> Fingerprint {
    let sum = Sha256::digest(der);
    let number = sum.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let group = |n: u32| number / 10_000_u64.pow(n) % 10_000;
    let groups = [3, 2, 1, 0].map(|n| format!("{:04}", group(n))).join(" ");
    Fingerprint { sha256: hex(&sum, ":").to_ascii_uppercase(), groups }
}

impl From<rcgen::Error> for Error {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

fn is_sane(wall: u64) -> bool {
    (WRITTEN..BEYOND).contains(&wall)
}

/// A name that the words `local` and `localhost` do not cover.
fn is_free(name: &str) -> bool {
    name != "localhost" && !name.ends_with(".local") && !is_address(name)
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

/// An address somebody can type. A link-local one of IPv6 is none: it needs a zone.
fn is_worn(address: IpAddr) -> bool {
    let zoned = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    rule::is_local(address) && !zoned
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// The years of a certificate, in seconds since 1970.
fn lasts(params: &mut CertificateParams, from: u64, until: u64) {
    let [from, until] = [from, until].map(|at| date_time_ymd(1970, 1, 1) + Duration::from_secs(at));
    (params.not_before, params.not_after) = (from, until);
}

fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use std::sync::Arc;

    /// A day of 2027, when the clocks of phones are right.
    const TODAY: u64 = WRITTEN + 100 * DAY;

    fn names() -> Vec<String> {
        ["kitchen", "kitchen.local", "speaker.lan", "10.9.9.9"].map(str::to_owned).to_vec()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whether a browser that trusts the authority and nothing else takes the certificate.
    fn takes(authority: &Authority, certificate: &str, name: &str, at: u64) -> Result<(), String> {
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der(&authority.certificate)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let verdict =
            verifier.build().unwrap().verify_server_cert(&der(certificate), &[], &name, &[], now);
        verdict.map(drop).map_err(|e| format!("{e:?}"))
    }

    #[test]
    fn a_browser_that_trusts_the_authority_takes_every_name_and_address() {
        let authority = Authority::found(&names(), TODAY).unwrap();
        let leaf = authority.issue(&names(), None, ip("192.168.1.5"), TODAY).unwrap();
        let later = authority.issue(&names(), Some(&leaf), ip("fd00::5"), TODAY).unwrap();
        let taken = |leaf: &Leaf, name: &str| takes(&authority, &leaf.certificate, name, TODAY);
        for name in ["kitchen", "kitchen.local", "speaker.lan", "localhost", "127.0.0.1"] {
            assert_eq!(taken(&leaf, name), Ok(()), "{name}");
        }
        assert_eq!(taken(&leaf, "192.168.1.5"), Ok(()));
        assert!(taken(&leaf, "fd00::5").is_err());
        assert_eq!(taken(&later, "fd00::5"), Ok(()));
        assert_eq!(taken(&later, "192.168.1.5"), Ok(()), "the address of before is kept");
        assert!(taken(&leaf, "bedroom.local").unwrap_err().contains("NotValidForName"));
        let other = Authority::found(&names(), TODAY).unwrap();
        assert!(takes(&other, &leaf.certificate, "kitchen.local", TODAY).is_err());
        // No key in what is given away, and no two speakers with one key.
        assert!(!authority.certificate.contains("PRIVATE"));
        assert_ne!(authority.key, other.key);
    }

    #[test]
    fn the_authority_cannot_speak_for_the_internet() {
        let authority = Authority::found(&names(), TODAY).unwrap();
        let forged = |name: SanType| {
            let signer =
                Issuer::new(authority.params(), KeyPair::from_pem(&authority.key).unwrap());
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![name];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            lasts(&mut params, TODAY - DAY, TODAY + DAY);
            params.signed_by(&KeyPair::generate().unwrap(), &signer).unwrap().pem()
        };
        for name in ["bank.example", "local.example", "xlocal", "lan", "192.168.1.5.example"] {
            let forged = forged(SanType::DnsName(name.try_into().unwrap()));
            let verdict = takes(&authority, &forged, name, TODAY).unwrap_err();
            assert!(verdict.contains("NameConstraintViolation"), "{name}: {verdict}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "192.169.0.1"] {
            let forged = forged(SanType::IpAddress(ip(address)));
            let verdict = takes(&authority, &forged, address, TODAY).unwrap_err();
            assert!(verdict.contains("NameConstraintViolation"), "{address}: {verdict}");
        }
        let honest = forged(SanType::DnsName("other.local".try_into().unwrap()));
        assert_eq!(takes(&authority, &honest, "other.local", TODAY), Ok(()));
    }

    #[test]
    fn a_name_of_later_is_left_out_and_spoils_nothing() {
        let authority = Authority::found(&names(), TODAY).unwrap();
        let mut later = names();
        later.extend(["den.local".to_owned(), "panel.example".to_owned()]);
        assert_eq!(authority.left_out(&later), ["panel.example"]);
        let leaf = authority.issue(&later, None, ip("10.0.0.1"), TODAY).unwrap();
        assert_eq!(takes(&authority, &leaf.certificate, "den.local", TODAY), Ok(()));
        assert!(takes(&authority, &leaf.certificate, "panel.example", TODAY).is_err());
    }

    #[test]
    fn a_clock_that_is_wrong_makes_certificates_that_are_good() {
        let seen = WRITTEN + 20 * DAY;
        for wall in [0, WRITTEN - 1, WRITTEN, BEYOND, 4_000_000_000_000] {
            let authority = Authority::found(&names(), wall).unwrap();
            let leaf = authority.issue(&names(), None, ip("10.0.0.1"), wall).unwrap();
            for at in [seen, seen + 300 * DAY] {
                let verdict = takes(&authority, &leaf.certificate, "kitchen.local", at);
                assert_eq!(verdict, Ok(()), "made at {wall}");
            }
            // What is there is not thrown away for a clock that is known to be wrong.
            assert!(leaf.suits(&names(), ip("10.0.0.1"), 0));
            assert!(leaf.suits(&names(), ip("10.0.0.1"), BEYOND));
        }
        // One that is ahead makes an authority that is good today all the same.
        let authority = Authority::found(&names(), TODAY + 5 * 365 * DAY).unwrap();
        let leaf = authority.issue(&names(), None, ip("10.0.0.1"), TODAY).unwrap();
        assert_eq!(takes(&authority, &leaf.certificate, "kitchen.local", TODAY), Ok(()));
    }

    #[test]
    fn a_certificate_is_renewed_in_time_and_when_something_changes() {
        let authority = Authority::found(&names(), TODAY).unwrap();
        let leaf = authority.issue(&names(), None, ip("10.0.0.1"), TODAY).unwrap();
        let suits = |address: &str, at: u64| leaf.suits(&names(), ip(address), at);
        assert_eq!(leaf.until - leaf.from, 397 * DAY);
        assert!(suits("10.0.0.1", TODAY) && suits("10.0.0.1", TODAY + 330 * DAY));
        assert!(suits("127.0.0.1", TODAY) && suits("::1", TODAY));
        assert!(!suits("10.0.0.1", TODAY + 340 * DAY), "30 days before its end");
        assert!(suits("10.0.0.1", TODAY - 20 * DAY), "a clock that fell back a little");
        assert!(!suits("10.0.0.1", TODAY - 40 * DAY), "made by a clock that was ahead");
        assert!(!suits("10.0.0.2", TODAY), "another address");
        assert!(suits("fe80::1", TODAY), "what nobody can type needs no certificate");
        assert!(!leaf.suits(&names()[..2], ip("10.0.0.1"), TODAY), "other names");
        let counted = |n: u8| [names(), vec![format!("kitchen-{n}.local")]].concat();
        assert!(!leaf.suits(&counted(2), ip("10.0.0.1"), TODAY), "a name that was counted up");
        let leaf = authority.issue(&counted(2), Some(&leaf), ip("10.0.0.1"), TODAY).unwrap();
        assert_eq!(takes(&authority, &leaf.certificate, "kitchen-2.local", TODAY), Ok(()));
        let suits = |names: &[String]| leaf.suits(names, ip("10.0.0.1"), TODAY);
        assert!(suits(&counted(2)) && suits(&names()) && !suits(&counted(3)));
        let end = leaf.until;
        assert_eq!(takes(&authority, &leaf.certificate, "kitchen", end - DAY), Ok(()));
        assert!(takes(&authority, &leaf.certificate, "kitchen", end + DAY).is_err());
    }

    #[test]
    fn old_addresses_make_room() {
        let authority = Authority::found(&names(), TODAY).unwrap();
        let mut leaf = authority.issue(&names(), None, ip("10.0.0.0"), TODAY).unwrap();
        for last in 1..30_u8 {
            let address = IpAddr::from([10, 0, 0, last]);
            leaf = authority.issue(&names(), Some(&leaf), address, TODAY).unwrap();
        }
        assert_eq!(leaf.addresses.len(), ADDRESSES);
        assert!(leaf.suits(&names(), ip("127.0.0.1"), TODAY));
        assert!(leaf.suits(&names(), ip("10.0.0.29"), TODAY));
        assert!(!leaf.suits(&names(), ip("10.0.0.1"), TODAY));
    }

    #[test]
    fn a_fingerprint_can_be_read_aloud() {
        // SHA-256 of "abc": ba7816bf 8f01cfea ...
        let print = fingerprint(b"abc");
        assert!(print.sha256.starts_with("BA:78:16:BF:8F:01:CF:EA:41:41"), "{}", print.sha256);
        assert_eq!(print.sha256.len(), 95);
        let number = 0xba78_16bf_8f01_cfea_u64 % 10_000_000_000_000_000;
        assert_eq!(print.groups.replace(' ', ""), format!("{number:016}"));
        assert_eq!(print.groups.split(' ').map(str::len).collect::<Vec<_>>(), [4; 4]);
    }
}
