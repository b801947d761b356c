//! What must stay true of the tree itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::artifacts::root;

/// Who may depend on whom; anything else is argued in ARCHITECTURE.md first.
const ARROWS: [(&str, &[&str]); 13] = [
    ("cache-core", &[]),
    ("cache-redb", &["cache-core"]),
    ("smart-cache", &["cache-core", "cache-redb", "smart-cache-macros"]),
    ("smart-cache-macros", &[]),
    ("plugin-sdk", &[]),
    ("plugin-host", &["plugin-sdk"]),
    ("pipeline", &["cache-core", "plugin-sdk"]),
    ("loader", &["cache-core", "pipeline", "plugin-sdk"]),
    ("monitor", &[]),
    ("server", &["cache-core", "cache-redb", "loader", "monitor", "pipeline", "plugin-host", "plugin-sdk"]),
    (
        "bench",
        &["cache-core", "cache-redb", "loader", "monitor", "pipeline", "plugin-host", "plugin-sdk", "smart-cache"],
    ),
    ("tests", &[]),
    ("xtask", &[]),
];

/// The crates that may hold unsafe code.
const UNSAFE: [&str; 2] = ["plugin-sdk", "plugin-host"];

/// What writes code into other crates: `expect` would fail in one that has not our lints.
const MACROS: [&str; 2] = ["crates/plugin-sdk/src/export.rs", "crates/smart-cache-macros/src"];

/// The most lines that a file may have.
const MAX_LINES: usize = 600;

/// The tracked files.
fn tracked() -> Vec<PathBuf> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("UTF-8 names");
    // A file that is being removed is tracked until that is committed.
    names.split_terminator('\0').map(PathBuf::from).filter(|path| root().join(path).is_file()).collect()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(root().join(path)).expect("a tracked file")).into_owned()
}

/// Each crate's folder and manifest, by the crate's name; without those that are a workspace of their own.
fn crates() -> BTreeMap<String, (PathBuf, String)> {
    let manifests = tracked().into_iter().filter(|path| path.components().count() > 1 && path.ends_with("Cargo.toml"));
    manifests
        .map(|path| {
            let text = read(&path);
            (path, text)
        })
        .filter(|(_, text)| !text.lines().any(|line| line == "[workspace]"))
        .map(|(path, text)| {
            let name = text.lines().find_map(|line| line.strip_prefix("name = \"")).expect("a package name");
            (name.trim_end_matches('"').to_owned(), (path.parent().expect("a folder").to_path_buf(), text.clone()))
        })
        .collect()
}

/// The names below `[dependencies]`, `[dev-dependencies]` and the like.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut within = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
        } else if within && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().expect("a name");
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn our_crates_depend_on_each_other_only_as_agreed() {
    let crates = crates();
    for (name, (folder, manifest)) in &crates {
        let plugin = folder.starts_with("plugins");
        let allowed = match ARROWS.iter().find(|(known, _)| known == name) {
            Some((_, allowed)) => *allowed,
            None if plugin => &["plugin-sdk"],
            None => panic!("{name} has no place in the architecture"),
        };
        for dependency in dependencies(manifest).iter().filter(|dependency| crates.contains_key(*dependency)) {
            assert!(allowed.contains(&dependency.as_str()), "{name} -> {dependency} is not agreed");
        }
    }
}

#[test]
fn a_folder_is_named_as_its_crate_and_versions_are_kept_in_the_root() {
    for (name, (folder, manifest)) in crates() {
        assert!(folder.ends_with(&name), "{name} lies in {}", folder.display());
        let own = manifest.lines().find(|line| line.contains("version = ") || line.contains("path = \".."));
        assert_eq!(own, None, "{name}: this belongs into the root's manifest");
        let own_lints = UNSAFE.contains(&name.as_str());
        assert!(own_lints || manifest.contains("[lints]\nworkspace = true"), "{name} has not the workspace's lints");
    }
}

#[test]
fn no_rust_file_is_longer_than_600_lines() {
    for path in tracked().iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let lines = read(path).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_module_says_first_what_it_is() {
    // What a compiler is shown to complain about is no module: its lines are numbered in what is expected.
    let is_shown = |path: &Path| path.components().any(|part| part.as_os_str() == "ui");
    let modules = tracked().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    for path in modules.filter(|path| !is_shown(path)) {
        assert!(read(&path).starts_with("//!"), "{} does not begin with its mental model", path.display());
    }
}

#[test]
fn unsafe_code_is_forbidden_where_it_has_no_business() {
    for (name, (folder, _)) in crates() {
        let plugin = folder.starts_with("plugins");
        for root_file in ["src/lib.rs", "src/main.rs"] {
            let path = folder.join(root_file);
            if UNSAFE.contains(&name.as_str()) || plugin || !root().join(&path).is_file() {
                continue;
            }
            assert!(read(&path).contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", path.display());
        }
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let allow = concat!("#[", "allow(");
    let inner = concat!("#![", "allow(");
    for path in tracked().iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text = read(path);
        let allowed = text.contains(allow) || text.contains(inner);
        let is_macro = MACROS.iter().any(|macros| path.starts_with(macros));
        assert!(!allowed || is_macro, "{} allows a lint", path.display());
        assert!(!text.contains(concat!("#[", "ignore")), "{} ignores a test", path.display());
    }
}

#[test]
fn nothing_tracked_names_a_place_of_one_machine() {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    for path in tracked() {
        // Tests speak of homes that must not show; these are made up.
        let text = read(&path).replace(concat!("/ho", "me/ann/"), "").replace(concat!("\"/ho", "me/\""), "");
        for place in places {
            assert!(!text.contains(place), "{} names {place}", path.display());
        }
    }
}

#[test]
fn the_change_log_tells_of_this_version() {
    let manifest = read(Path::new("Cargo.toml"));
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("version = ")).expect("a version").trim_matches('"');
    assert!(read(Path::new("CHANGELOG.md")).contains(version), "CHANGELOG.md does not tell of {version}");
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}
