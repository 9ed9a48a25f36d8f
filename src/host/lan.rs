//! DOOR nix: under which names and addresses neighbours find this machine.

use crate::panel::rule;
use std::net::{IpAddr, SocketAddr};

/// Addresses that are said at most: a machine with many bridges has more, and nobody reads them.
const SAID: usize = 4;

/// `http://..` or `https://..` as a person types it; by `alias` where the name is another's.
pub(super) fn urls(scheme: &str, address: SocketAddr, alias: Option<&str>) -> Vec<String> {
    let port = address.port();
    let usual = (scheme, port) == ("http", 80) || (scheme, port) == ("https", 443);
    let port = if usual { String::new() } else { format!(":{port}") };
    hosts(address.ip(), alias).into_iter().map(|host| format!("{scheme}://{host}{port}/")).collect()
}

/// Who a neighbour asks for what listens on `ip`: the name first, then what works where names do
/// not.
pub(super) fn hosts(ip: IpAddr, alias: Option<&str>) -> Vec<String> {
    let typed = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if !ip.is_unspecified() {
        return vec![typed(ip)];
    }
    let ips = addresses(ip.is_ipv4()).into_iter().map(typed);
    std::iter::once(alias.map_or_else(name, str::to_owned)).chain(ips).collect()
}

/// The address as it is said aloud: the first number a neighbour can type, and the port if it has to
/// be typed. Letters are not said.
pub(super) fn said(address: SocketAddr) -> Option<String> {
    let ip = address.ip();
    let own = if ip.is_unspecified() { addresses(true) } else { vec![ip] };
    let ip = own.into_iter().find(|ip| ip.is_ipv4() && !ip.is_loopback())?;
    Some(if address.port() == 80 { ip.to_string() } else { format!("{ip}:{}", address.port()) })
}

/// What the machine is called, for people.
pub(super) fn host() -> String {
    name().trim_end_matches(".local").to_owned()
}

/// The name under which neighbours find this machine.
fn name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok());
    name.map_or_else(|| "localhost".to_owned(), |name| rule::local_name(&name))
}

/// Of this machine on local networks, as far as a neighbour can type them.
fn addresses(only_v4: bool) -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let mut found: Vec<IpAddr> = interfaces
        .filter_map(|interface| {
            let storage = interface.address?;
            let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .filter(|ip| rule::is_local(*ip) && !ip.is_loopback() && (ip.is_ipv4() || !only_v4))
        .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()))
        .collect();
    // What is short to type first.
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    found.truncate(SAID);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_what_to_type() {
        let said = |scheme, address: &str| urls(scheme, address.parse().unwrap(), None);
        assert_eq!(said("http", "127.0.0.1:8080"), ["http://127.0.0.1:8080/"]);
        assert_eq!(said("https", "[fd00::1]:8443"), ["https://[fd00::1]:8443/"]);
        let any = said("http", "0.0.0.0:8080");
        assert!(any[0].starts_with("http://") && any[0].ends_with(".local:8080/"), "{any:?}");
        assert!(any.len() <= 1 + SAID && any[1..].iter().all(|url| url.ends_with(":8080/")));
        assert!(any.iter().all(|url| !url.contains("127.0.0.1") && !url.contains('[')), "{any:?}");
        let counted = urls("http", "0.0.0.0:80".parse().unwrap(), Some("kitchen-2.local"));
        assert_eq!(counted[0], "http://kitchen-2.local/");
        assert!(counted[1..].iter().all(|url| !url.contains(".local")), "{counted:?}");
        // The port a browser takes by itself is not said.
        assert!(said("http", "[::]:80")[0].ends_with(".local/"));
        assert!(said("https", "0.0.0.0:443")[0].ends_with(".local/"));
        assert!(said("https", "0.0.0.0:80")[0].ends_with(".local:80/"));
    }

    #[test]
    fn numbers_alone_are_said() {
        let aloud = |address: &str| said(address.parse().unwrap());
        assert_eq!(aloud("192.168.1.7:80").unwrap(), "192.168.1.7");
        assert_eq!(aloud("192.168.1.7:8080").unwrap(), "192.168.1.7:8080");
        assert_eq!((aloud("127.0.0.1:8080"), aloud("[fd00::1]:80")), (None, None));
        if let Some(any) = aloud("0.0.0.0:8080") {
            assert!(any.ends_with(":8080") && !any.starts_with("127."), "{any}");
        }
    }
}
