//! Behaviour as text: each file of `tests/golden/scenario` holds a script, a line of dashes, and
//! the transcript it must give. `UPDATE_GOLDEN=1 cargo test scenario` writes the transcripts anew;
//! the diff is the review.

use std::path::Path;

const RULE: &str = "----\n";

#[test]
fn scenarios_give_their_transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scenario");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let (script, golden) = text.split_once(RULE).unwrap_or((&text, ""));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let transcript = grok_speaker_sim::script::run(script)
            .unwrap_or_else(|line| panic!("{name}: not understood: {line}"));
        if update {
            let script = script.trim_end();
            std::fs::write(&path, format!("{script}\n{RULE}{transcript}")).unwrap();
        } else if transcript != golden {
            wrong.push(format!("{name}:\n{}", difference(golden, &transcript)));
        }
    }
    assert!(count >= 20, "the scenarios are gone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first line that differs, with its neighbours.
fn difference(golden: &str, now: &str) -> String {
    let same = golden.lines().zip(now.lines()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        text.lines().skip(same.saturating_sub(2)).take(5).collect::<Vec<_>>().join("\n  ")
    };
    format!("golden:\n  {}\nnow:\n  {}", around(golden), around(now))
}
