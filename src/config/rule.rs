//! The rules for text values, as plain tests.

use std::net::{IpAddr, SocketAddr};

/// Longest path or URL: what systems take.
const LONG: usize = 4096;
/// Longest name.
const NAME: usize = 128;
/// Longest name of a speaker, in characters.
const SPEAKER: usize = 32;
/// Longest instructions, in characters.
const INSTRUCTIONS: usize = 16_000;

/// `wss://` anywhere, `ws://` only to this machine; no user, no fragment, visible ASCII.
pub(super) fn url(text: &str) -> bool {
    if text.len() > LONG || !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains('#') {
        return false;
    }
    let (rest, plain) = match (text.strip_prefix("wss://"), text.strip_prefix("ws://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return false,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some(name) = authority(&rest[..end]) else { return false };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let here = name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.is_loopback());
    here || !plain
}

/// The host of `host[:port]`, where both are valid.
fn authority(text: &str) -> Option<&str> {
    let (name, port) = match text.rfind(':') {
        Some(at) if !text.ends_with(']') => (&text[..at], Some(&text[at + 1..])),
        Some(_) | None => (text, None),
    };
    let port_good = port.is_none_or(|p| {
        p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|p| p > 0)
    });
    let name_good = match name.strip_prefix('[') {
        Some(inner) => {
            inner.strip_suffix(']').is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok())
        }
        None => host_name(name),
    };
    (port_good && name_good).then_some(name)
}

fn host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

pub(super) fn host(text: &str) -> bool {
    host_name(text) || text.parse::<IpAddr>().is_ok()
}

pub(super) fn identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Words for people on one line: shown in pages, said on the network and printed in terminals, so nothing
/// in them moves a cursor or turns the direction of what stands around.
pub(super) fn name(text: &str) -> bool {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().count() <= SPEAKER
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || turns(c))
}

pub(super) fn instructions(text: &str) -> bool {
    text.chars().count() <= INSTRUCTIONS
        && text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t')
}

/// A BCP-47 tag: a language of 2 or 3 letters, then subtags of 1 to 8. The service ignores Spanish
/// and Portuguese without a region silently, so they are refused here.
pub(super) fn language(text: &str) -> bool {
    if text == "auto" {
        return true;
    }
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<_> = parts.collect();
    let needs_region =
        ["es", "pt"].iter().any(|l| first.eq_ignore_ascii_case(l)) && rest.is_empty();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && rest
            .iter()
            .all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
        && !needs_region
}

pub(super) fn path_or_none(text: &str) -> bool {
    // A key pasted where its file belongs must not be taken for a path.
    text.is_empty() || (path(text) && !text.starts_with("xai-"))
}

fn path(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONG
        && !text.starts_with('~')
        && text.chars().all(|c| !c.is_control())
}

pub(super) fn device(text: &str) -> bool {
    match text.strip_prefix("file:") {
        Some(file) => path(file),
        None => path(text) && text.trim() == text,
    }
}

pub(super) fn address(text: &str) -> bool {
    text == "off" || text.parse::<SocketAddr>().is_ok()
}

pub(super) fn folder(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

pub(super) fn wake_word(text: &str) -> bool {
    path(text) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in [
            "wss://api.x.ai/v1/realtime",
            "wss://host",
            "wss://host:8443/a?b=c",
            "wss://[2001:db8::1]:443/",
            "ws://localhost:9000/v1/realtime",
            "ws://127.0.0.1:1",
            "ws://127.9.9.9/",
            "ws://[::1]:80/",
        ] {
            assert!(url(good), "{good}");
        }
        for bad in [
            "",
            "http://host",
            "wss://",
            "wss:///path",
            "ws://example.org/",
            "ws://10.0.0.1/",
            "ws://localhost.example.org/",
            "wss://user@host/",
            "wss://host:0/",
            "wss://host:99999/",
            "wss://host:/",
            "wss://host/#part",
            "wss://ho st/",
            "wss://[::1/",
            "wss://a..b/",
            "WSS://host",
            "ws://localhost@example.org/",
            "wss://höst/",
            "wss://host:+80/",
        ] {
            assert!(!url(bad), "{bad}");
        }
    }

    #[test]
    fn languages() {
        for good in ["auto", "en", "fr", "pt-BR", "es-MX", "zh-Hant-TW", "fil"] {
            assert!(language(good), "{good}");
        }
        for bad in ["", "es", "pt", "ES", "e", "english", "en-", "en_US", "fr-toolongtag"] {
            assert!(!language(bad), "{bad}");
        }
    }

    #[test]
    fn names_and_paths() {
        assert!(device("default") && device("file:/a b.wav") && device("hw:CARD=x,DEV=0"));
        assert!(!device("") && !device("file:") && !device(" x") && !device("file:~/a.wav"));
        assert!(host("speaker.lan") && host("::1") && !host("http://x") && !host("a:80"));
        assert!(folder("my-board_2") && !folder("../x") && !folder("") && !folder("a/b"));
        assert!(path_or_none("") && path_or_none("/x") && !path_or_none("xai-123"));
        assert!(address("off") && address("[::]:8080") && !address("8080") && !address(":8080"));
    }
}
