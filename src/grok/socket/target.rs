//! The address of the service, taken apart once.

use super::Error;
use std::net::IpAddr;

/// Whom to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// TLS or not.
    pub(super) secure: bool,
    /// Name or address, without brackets.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// Path and, where the owner wrote one, query.
    path: String,
}

impl Target {
    /// Takes a URL apart.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let bad = |why| Error::BadUrl { url: url.to_owned(), why };
        let uri: http::Uri = url
            .parse()
            .map_err(|_| bad("not an address; it looks like wss://api.x.ai/v1/realtime"))?;
        let secure = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(bad("it must begin with wss:// (or ws:// for this machine)")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            // The part before the @ may be a password: it is not repeated.
            let url = "***".to_owned();
            return Err(Error::BadUrl { url, why: "a user name before the host is not supported" });
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        // The library overlooks a port that is no number.
        let port = match authority.as_str().get(authority.host().len()..) {
            Some("") | None if secure => 443,
            Some("") | None => 80,
            Some(text) => text
                .strip_prefix(':')
                .and_then(|text| text.parse().ok())
                .filter(|&port| port != 0)
                .ok_or_else(|| bad("its port is not one of 1..65535"))?,
        };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let target = Self { secure, host: host.to_owned(), port, path };
        if !secure && !target.is_loopback() {
            return Err(Error::PlainAbroad { host: target.host });
        }
        Ok(target)
    }

    /// Whether it is this very machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Path and query of the request line, the parameters escaped.
    pub(super) fn request_path(&self, query: &[(String, String)]) -> String {
        let mut path = self.path.clone();
        for (name, value) in query {
            path.push(if path.contains('?') { '&' } else { '?' });
            escape(name, &mut path);
            path.push('=');
            escape(value, &mut path);
        }
        path
    }

    /// Value of the `Host` header: without the port where it is the usual one.
    pub(super) fn host_header(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.secure { 443 } else { 80 } {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 section 2.3.
fn escape(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let t = Target::parse("wss://api.x.ai/v1/realtime").unwrap();
        assert_eq!((t.secure, t.host.as_str(), t.port), (true, "api.x.ai", 443));
        assert_eq!(t.host_header(), "api.x.ai");
        let t = Target::parse("ws://[::1]:8123").unwrap();
        assert_eq!(
            (t.host.as_str(), t.port, t.host_header().as_str()),
            ("::1", 8123, "[::1]:8123")
        );
        assert_eq!(t.request_path(&[]), "/");
    }

    #[test]
    fn parameters_are_escaped_and_join_what_is_there() {
        let query = [("model".to_owned(), "a b&c=ü".to_owned()), ("x.y".into(), "1".into())];
        let t = Target::parse("wss://h/v1/realtime").unwrap();
        assert_eq!(t.request_path(&query), "/v1/realtime?model=a%20b%26c%3D%C3%BC&x.y=1");
        let t = Target::parse("wss://h/p?q=1").unwrap();
        assert_eq!(t.request_path(&query[1..]), "/p?q=1&x.y=1");
    }

    #[test]
    fn plain_leaves_this_machine_under_no_name() {
        for url in ["ws://localhost/x", "ws://127.0.0.1:1", "ws://127.9.9.9:1", "ws://[::1]:1"] {
            assert!(Target::parse(url).is_ok(), "{url}");
        }
        for url in ["ws://api.x.ai/", "ws://127.0.0.1.evil.example/", "ws://10.0.0.1/"] {
            assert!(matches!(Target::parse(url), Err(Error::PlainAbroad { .. })), "{url}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for url in ["", "api.x.ai", "http://api.x.ai/", "wss:///v1", "wss://h:0/", "wss://h:99999/"]
        {
            let words = Target::parse(url).unwrap_err().to_string();
            assert!(words.starts_with(&format!("grok.url \"{url}\": ")), "{words}");
        }
        let words = Target::parse("wss://me:secret@h/").unwrap_err().to_string();
        assert!(!words.contains("secret"), "{words}");
    }
}
