//! Each rule is shown what it forbids, and what it allows.

use super::source::{Source, mask_tests, strip};
use super::{boards, doors, feature_lines, floors, head, named_paths, none, promises, purity};

fn source(text: &str) -> Source {
    Source::new(&mask_tests(&strip(text)))
}

#[track_caller]
fn found(complaints: &[String], what: &str) {
    assert!(complaints.iter().any(|c| c.contains(what)), "{what}: {complaints:?}");
}

#[test]
fn floors_are_kept() {
    let planted = |path, text| floors(path, &source(text));
    found(
        &planted("audio/card/mod.rs", "fn f() { crate::speech::go() }"),
        "`audio` may not name `speech",
    );
    found(
        &planted("audio/mod.rs", "use super::{base::unit, grok};"),
        "`audio` may not name `grok`",
    );
    found(
        &planted("conversation/turn.rs", "use crate::grok::{session, socket::Io};"),
        "grok::socket",
    );
    found(&planted("base/unit.rs", "use crate::host;"), "`base` may not name `host`");
    found(&planted("attic/mod.rs", ""), "no floor");
    found(&planted("grok/socket.rs", "use super::super::config;"), "`grok` may not name `config`");
    none(&planted("grok/session/receive.rs", "use super::super::client;"));
    none(&planted(
        "conversation/turn.rs",
        "use crate::{base::{unit::Moment, pcm}, grok::session::{self, Options}};",
    ));
}

#[test]
fn doors_are_kept() {
    let planted = |path, text| doors(path, &source(text));
    found(&planted("audio/wav.rs", "use ::alsa::pcm;"), "`alsa` has its door");
    found(&planted("base/pcm.rs", "fn f() { tokio::spawn(x) }"), "`tokio` has its door");
    found(&planted("base/pcm.rs", "use thiserror::Error;"), "serde and rtrb only");
    found(&planted("audio/wav.rs", "fn f() -> Result<(), alsa::Error> {}"), "audio/wav.rs:1");
    none(&planted("audio/card/mod.rs", "use alsa::{pcm, Direction};"));
    none(&planted("grok/session.rs", "// tokio::spawn\nconst A: &str = \"tokio::x\";"));
    none(&planted("grok/session.rs", "#[cfg(test)]\nmod tests { use hound::WavReader; }"));
    none(&planted("host/mod.rs", "use crate::config;\nfn f() { config::read() }"));
    found(&planted("host/mod.rs", "fn f() { config::Config::builder() }"), "`config` has its door");
}

#[test]
fn purity_is_kept() {
    let planted = |text| purity("dsp/gain.rs", &source(text));
    found(&planted("use std::{fs, time::{Duration, Instant}};"), "std::fs");
    found(&planted("use std::time::{Duration, Instant};"), "std::time::Instant");
    found(&planted("let t = std::thread::spawn(f);"), "std::thread");
    found(&planted("\n\nuse tokio::sync;"), "dsp/gain.rs:3");
    found(&planted("use std::net::{IpAddr, TcpStream};"), "TcpStream");
    none(&planted("use std::net::IpAddr; use std::time::Duration; fn filesystem(fs: u8) {}"));
}

#[test]
fn lines_are_read() {
    let gate = concat!("#[cfg(feature = ", "\"io\")]\n");
    found(&feature_lines("grok/mod.rs", &format!("{gate}fn dial() {{}}")), "mod lines only");
    none(&feature_lines("grok/mod.rs", &format!("{gate}pub mod socket;")));
    found(&head("src/dsp/mod.rs", "use x;"), "begins with");
    found(&promises("src/a.rs", concat!("// TO", "DO: later")), "src/a.rs:1");
    found(
        &boards("a.rs", "if name == \"ReSpeaker\" {}", &["respeaker".to_owned()]),
        "a board's name",
    );
    assert_eq!(named_paths("the `src/audio/` room, `cargo test`, `board/<name>/`"), ["src/audio/"]);
}

#[test]
fn text_is_told_from_code() {
    let stripped =
        strip("a(\"x::y\"); // z::w\nlet c = 'q'; let r = r#\"u::v\"#; /* m::n */ b::c::<'a>()");
    assert!(!stripped.contains("x::y") && !stripped.contains("z::w"), "{stripped}");
    assert!(!stripped.contains("u::v") && !stripped.contains("m::n"), "{stripped}");
    assert!(stripped.contains("b::c::<'a>()"), "{stripped}");
    assert_eq!(stripped.lines().count(), 2);
    let tests_masked = mask_tests("a::b;\n#[cfg(test)]\nmod tests { fn f() { c::d } }\ne::f;");
    assert!(tests_masked.contains("a::b") && tests_masked.contains("e::f"), "{tests_masked}");
    assert!(!tests_masked.contains("c::d"), "{tests_masked}");
}
