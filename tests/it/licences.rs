//! THIRD-PARTY.txt names what is inside the program: nothing is missing, nothing is left over.
//! `make licences` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const CRATES: &str = "== Rust crates\n";
const PAGE: &str = "== npm packages of the page\n";

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Names with their versions below a heading.
fn listed<'a>(file: &'a str, heading: &str) -> BTreeSet<&'a str> {
    let (_, rest) = file.split_once(heading).expect(heading);
    let (list, _) = rest.split_once("\n\n").unwrap();
    list.lines().map(|line| line.split_once("; ").expect(line).0).collect()
}

/// By the same cargo that has built this, of what it has here: the crates of another board are
/// the same or fewer.
#[cfg(target_os = "linux")]
#[test]
fn every_crate_linked_in_is_named() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "grok-speaker"])
        .args(["-e", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    // Packages of this repository have a path.
    let linked = tree.lines().filter(|line| !line.is_empty() && !line.contains('/'));
    let linked: BTreeSet<String> =
        linked.map(|line| line.trim_end_matches(" (*)").replacen(" v", " ", 1)).collect();
    assert!(linked.len() > 100, "{linked:?}");
    let file = read("THIRD-PARTY.txt");
    let named = listed(&file, CRATES);
    let missing: Vec<_> = linked.iter().filter(|one| !named.contains(one.as_str())).collect();
    assert!(missing.is_empty(), "make licences, there are new ones: {missing:?}");
}

#[test]
fn what_is_named_is_what_the_lock_files_say() {
    let lock: toml::Value = toml::from_str(&read("Cargo.lock")).unwrap();
    let locked: BTreeSet<String> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!("{} {}", one["name"].as_str().unwrap(), one["version"].as_str().unwrap())
        })
        .collect();
    let file = read("THIRD-PARTY.txt");
    for one in listed(&file, CRATES) {
        assert!(locked.contains(one), "make licences: {one} is not in Cargo.lock");
    }

    let lock: serde_json::Value = serde_json::from_str(&read("web/package-lock.json")).unwrap();
    let locked = lock["packages"].as_object().unwrap();
    let named: BTreeMap<_, _> =
        listed(&file, PAGE).into_iter().map(|one| one.rsplit_once(' ').unwrap()).collect();
    for (name, version) in &named {
        let known = &locked[&format!("node_modules/{name}")]["version"];
        assert_eq!(known, version, "make licences: {name}");
    }
    for name in locked[""]["dependencies"].as_object().unwrap().keys() {
        assert!(named.contains_key(name.as_str()), "make licences: {name} is not named");
    }
}

/// A text for every number, and a number for every package.
#[test]
fn every_package_has_its_texts() {
    let file = read("THIRD-PARTY.txt");
    let (lists, _) = file.split_once("== Text 1: ").unwrap();
    let packages: Vec<_> = lists.lines().filter(|line| line.contains("; ")).skip(1).collect();
    for line in packages {
        let numbers = line.rsplit_once("; ").unwrap().1;
        for number in numbers.split(' ') {
            let name = line.split_once(';').unwrap().0;
            let heading = file.lines().find(|l| l.starts_with(&format!("== Text {number}: ")));
            assert!(heading.is_some_and(|heading| heading.contains(name)), "{line}: {number}");
        }
    }
}
