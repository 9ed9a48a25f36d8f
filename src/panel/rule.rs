//! Which requests are listened to at all: source address, host, origin; and what every answer
//! carries. Pure: addresses are data here.

use std::net::IpAddr;

/// Headers of every answer. Nothing of the page may come from elsewhere, nothing inline runs, and
/// no other page may frame it.
pub const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; media-src 'self' blob:; manifest-src 'self'; \
         worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=()"),
];

/// And of every answer but a page that a browser does not call trustworthy: there it does not heed this, and
/// puts an error about that into its console.
pub const OPENER: (&str, &str) = ("cross-origin-opener-policy", "same-origin");

/// Whether a browser trusts a page of this host: it is encrypted, or of the browser's own machine.
pub fn is_trustworthy(host: &str, secure: bool) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let loopback = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    secure || loopback || name == "localhost"
}

/// Paths that anybody on the local network may ask for.
const OPEN: [&str; 7] =
    ["/", "/healthz", "/api/pair", "/api/session", "/api/trust", "/ca.crt", "/favicon.ico"];

/// Paths at which the cookie alone makes a change. Everything else that a client may do wants the word
/// of the page besides.
const BY_COOKIE: [&str; 2] = ["/api/leave", "/api/trusted"];

/// Whether a request for `path` must say whose page it comes from, as every browser does there.
pub fn wants_origin(path: &str) -> bool {
    BY_COOKIE.contains(&path)
}

/// Whether `remote` may ask for `path` without being paired. Metrics are for this machine alone.
pub fn is_open(path: &str, remote: IpAddr) -> bool {
    OPEN.contains(&path)
        || path.starts_with("/assets/")
        || (path == "/metrics" && remote.to_canonical().is_loopback())
}

/// Whether an address is of this machine or of a local network: loopback, private (RFC 1918),
/// shared (RFC 6598), link-local or unique local.
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// What counts as one neighbour: an IPv4 address, or the /64 an IPv6 address lies in, because a
/// neighbour can take as many of those as it likes.
pub fn neighbour(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
            IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into())
        }
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

/// Whether a `Host` header names this device: the very address the connection came in on, a name
/// of `names`, or `localhost` on loopback. An attacker's name that resolves to us (DNS rebinding)
/// does not. Names are compared as browsers send them: lower case, no final dot, no user, no zone.
pub fn is_our_host(host: &str, local: IpAddr, names: &[String]) -> bool {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else { return false };
        let Ok(address) = inside.parse() else { return false };
        return is_port(after) && IpAddr::V6(address).to_canonical() == local.to_canonical();
    } else {
        host.split_at(host.find(':').unwrap_or(host.len()))
    };
    if !is_port(port) {
        return false;
    }
    if let Ok(address) = name.parse::<std::net::Ipv4Addr>() {
        return IpAddr::V4(address) == local.to_canonical();
    }
    (name == "localhost" && local.to_canonical().is_loopback())
        || names.iter().any(|known| known == name)
}

/// Nothing, or `:` and a port number.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok())
}

/// Whether a page of `origin` is our own page under the accepted `host`. `null` is not. Over TLS
/// neither is a page that came without: anybody on the network can change that. Without, one that
/// came over TLS is: something of the owner stands before us and speaks it.
pub fn is_our_origin(origin: &str, host: &str, secure: bool) -> bool {
    let plain = origin.strip_prefix("http://").filter(|_| !secure);
    plain.or_else(|| origin.strip_prefix("https://")) == Some(host)
}

/// Whether what must stay secret may be asked for on a connection: over TLS, from this machine
/// itself, or where the owner trusts the network.
pub fn may_carry_secrets(secure: bool, remote: IpAddr, trusted: bool) -> bool {
    secure || trusted || remote.to_canonical().is_loopback()
}

/// The name under which neighbours look for a machine of this host name: its first part below
/// `.local`, as every responder has it.
pub fn local_name(hostname: &str) -> String {
    let first = hostname.split('.').next().unwrap_or(hostname);
    format!("{}.local", first.to_ascii_lowercase())
}

/// Names under which the device is reached: its host name, the one below `.local`, and what the
/// owner added; lower case, without a port.
pub fn names(hostname: Option<&str>, added: &[String]) -> Vec<String> {
    let own = hostname.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
    own.iter()
        .flat_map(|name| [name.clone(), local_name(name)])
        .chain(added.iter().map(|name| name.to_ascii_lowercase()))
        .collect()
}

/// Whether `name` is what a responder makes of `own` where another device has that: the same with a
/// number behind it, or with the next one.
pub fn is_counted_up(name: &str, own: &str) -> bool {
    name != own && stem(name).is_some() && stem(name) == stem(own)
}

/// A name below `.local` without that and without the number at its end.
fn stem(name: &str) -> Option<&str> {
    let first = name.strip_suffix(".local")?;
    let counted = first.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
    Some(counted.map_or(first, |(stem, _)| stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_neighbours_are_heard() {
        for near in ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.9", "169.254.7.7"] {
            assert!(is_local(ip(near)), "{near}");
        }
        for near in ["100.64.0.1", "::1", "fe80::1", "fd00::5", "::ffff:192.168.0.2"] {
            assert!(is_local(ip(near)), "{near}");
        }
        for far in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:1.1.1.1"] {
            assert!(!is_local(ip(far)), "{far}");
        }
    }

    #[test]
    fn a_subnet_is_one_neighbour() {
        assert_eq!(neighbour(ip("fd00::1:2")), neighbour(ip("fd00::ffff:1:2:3")));
        assert_ne!(neighbour(ip("fd00::1")), neighbour(ip("fd00:0:0:1::1")));
        assert_ne!(neighbour(ip("fe80::1")), neighbour(ip("fe80::2")));
        assert_eq!(neighbour(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
    }

    #[test]
    fn trustworthy() {
        for own in ["127.0.0.1:8080", "127.0.0.1", "localhost", "localhost:80", "[::1]:8080"] {
            assert!(is_trustworthy(own, false), "{own}");
        }
        for other in ["192.168.1.5:8080", "speaker.local", "[fd00::1]:80", "localhost.evil", ""] {
            assert!(!is_trustworthy(other, false) && is_trustworthy(other, true), "{other}");
        }
    }

    #[test]
    fn hosts() {
        let names = names(Some("Speaker\n"), &["Panel.Lan".into()]);
        let lan = ip("192.168.1.5");
        for good in ["192.168.1.5", "192.168.1.5:8080", "speaker", "speaker.local:80", "panel.lan"]
        {
            assert!(is_our_host(good, lan, &names), "{good}");
        }
        for bad in [
            "evil.example",
            "192.168.1.6",
            "localhost",
            "SPEAKER",
            "speaker.",
            "u@speaker",
            "speaker:80:80",
            "speaker:",
            "speaker:99999",
            "speaker:+80",
            "192.168.1.5.",
            "0xc0a80105",
            "3232235781",
            "[192.168.1.5]",
            "",
            "[",
        ] {
            assert!(!is_our_host(bad, lan, &names), "{bad}");
        }
        assert!(is_our_host("localhost:8080", ip("127.0.0.1"), &names));
        assert!(is_our_host("[fe80::1]:8080", ip("fe80::1"), &names));
        assert!(!is_our_host("[fe80::1%25eth0]:8080", ip("fe80::1"), &names));
        assert!(!is_our_host("[fe80::2]", ip("fe80::1"), &names));
        assert!(is_our_host("10.0.0.1", ip("::ffff:10.0.0.1"), &names));
    }

    #[test]
    fn a_long_host_name_has_a_short_one_on_the_network() {
        assert_eq!(names(Some("kitchen"), &[]), ["kitchen", "kitchen.local"]);
        assert_eq!(names(Some("Kitchen.lan"), &[]), ["kitchen.lan", "kitchen.local"]);
        assert_eq!(names(Some("kitchen.local"), &[])[1], "kitchen.local");
        assert!(names(Some(" "), &[]).is_empty() && names(None, &["a".into()]) == ["a"]);
    }

    #[test]
    fn a_name_is_counted_up_and_not_made_up() {
        for (name, own) in [
            ("kitchen-2.local", "kitchen.local"),
            ("kitchen-12.local", "kitchen.local"),
            ("kitchen-3.local", "kitchen-2.local"),
            ("living-room-2.local", "living-room.local"),
        ] {
            assert!(is_counted_up(name, own), "{name} {own}");
        }
        for name in [
            "kitchen.local",
            "kitchen-2.example",
            "kitchen-2",
            "bath-2.local",
            "kitchen-x.local",
            "kitchen-.local",
            "x.kitchen-2.local",
            "evil.example",
            "",
        ] {
            assert!(!is_counted_up(name, "kitchen.local"), "{name}");
        }
    }

    #[test]
    fn secrets_need_tls_or_the_owners_word() {
        let lan = ip("192.168.1.5");
        assert!(!may_carry_secrets(false, lan, false));
        assert!(may_carry_secrets(true, lan, false) && may_carry_secrets(false, lan, true));
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(may_carry_secrets(false, ip(here), false), "{here}");
        }
    }

    #[test]
    fn origins() {
        assert!(is_our_origin("http://speaker.local:8080", "speaker.local:8080", false));
        assert!(is_our_origin("https://speaker.local", "speaker.local", false));
        assert!(is_our_origin("https://speaker.local", "speaker.local", true));
        assert!(!is_our_origin("http://speaker.local", "speaker.local", true));
        for bad in [
            "null",
            "",
            "http://evil.example",
            "http://speaker.local",
            "http://speaker.local:80801",
            "http://speaker.local:8080/",
            "http://u@speaker.local:8080",
            "ftp://speaker.local:8080",
        ] {
            for secure in [false, true] {
                assert!(!is_our_origin(bad, "speaker.local:8080", secure), "{bad}");
            }
        }
    }
}
