//! Libraries that cannot be loaded are listed with what was tried, and the server goes on.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::{Server, artifacts, poll};

/// Where an ELF header says for which machine it is.
const E_MACHINE: usize = 18;

/// Makes a bad library at a path.
type Make = fn(&Path);

/// Name of the plugin, how it is made, and a word that the failed step must say.
const BAD: [(&str, Make, &[&str]); 10] = [
    ("text", |path| fs::write(path, "#!/bin/sh\necho hello\n").expect("a file"), &["elf"]),
    ("empty", |path| fs::write(path, "").expect("a file"), &["elf", "empty"]),
    ("truncated", |path| write_part(path, 1, 2), &["truncated", "beyond", "end"]),
    ("stump", |path| write_part(path, 1, 5_000), &["truncated", "beyond", "end", "elf"]),
    ("elsewhere", write_for_other_machine, &["machine", "architecture"]),
    ("newer", |path| artifacts::compile_c("newer_abi", path), &["newer", "abi 2"]),
    (
        "stranger",
        |path| artifacts::compile_c("not_a_plugin", path),
        &["not a larder plugin", "larder_plugin_v1", "manifest"],
    ),
    ("crasher", |path| artifacts::compile_c("crash_in_constructor", path), &["signal", "sig"]),
    ("loose", write_for_all, &["writable"]),
    ("unreadable", |path| fs::write(path, [0x7f; 4096]).expect("a file"), &["elf"]),
];

fn write_part(path: &Path, part: usize, of: usize) {
    let bytes = fs::read(artifacts::plugin("synthetic")).expect("a library");
    fs::write(path, &bytes[..bytes.len() * part / of]).expect("a file");
}

fn write_for_other_machine(path: &Path) {
    let mut bytes = fs::read(artifacts::plugin("synthetic")).expect("a library");
    // EM_PPC64: nobody runs these tests there.
    bytes[E_MACHINE..E_MACHINE + 2].copy_from_slice(&21_u16.to_le_bytes());
    fs::write(path, bytes).expect("a file");
}

fn write_for_all(path: &Path) {
    fs::copy(artifacts::plugin("synthetic"), path).expect("a copy");
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("a mode");
}

#[track_caller]
fn check(server: &Server, name: &str, words: &[&str]) {
    let plugin = server.plugin_until(name, "failed");
    let steps = plugin["steps"].as_array().unwrap_or_else(|| panic!("no steps in {plugin:#}"));
    let failed: Vec<&Value> = steps.iter().filter(|step| step["ok"] == false).collect();
    assert_eq!(failed.len(), 1, "one step fails, and the last: {plugin:#}");
    assert_eq!(steps.last(), failed.first().copied(), "{plugin:#}");
    assert!(steps.iter().all(|step| step["name"].is_string()), "{plugin:#}");
    let detail = failed[0]["detail"].as_str().unwrap_or_default().to_lowercase();
    assert!(words.iter().any(|word| detail.contains(word)), "{name}: '{detail}' has none of {words:?}");
    let text = plugin.to_string();
    assert!(!text.contains("/tmp") && !text.contains("/home/"), "a path of the machine: {text}");
}

#[test]
fn libraries_that_cannot_be_loaded_are_listed_as_failed_with_the_steps_that_were_tried() {
    let server = Server::options().plugin("files").start();
    for (name, make, _) in BAD {
        make(&server.plugin_folder().join(format!("lib{name}.so")));
    }
    for (name, _, words) in BAD {
        check(&server, name, words);
    }
    assert_eq!(server.plugin("files")["state"], "loaded");
    assert_eq!(server.rows("sector_analysis", "").len(), 8);
    server.get("/readyz").expect(200);
    let again = server.send("POST", "/api/v1/plugins/reload", &[], Some(b"")).expect(200).json();
    assert!(again["plugins"].as_array().is_some_and(|plugins| plugins.len() > BAD.len()), "{again:#}");
    assert_eq!(server.datasets().len(), 11);
}

#[test]
fn a_server_that_finds_only_broken_libraries_starts_all_the_same() {
    let server = Server::options().file("libtext.so", "no library").start();
    check(&server, "text", &["elf"]);
    assert!(server.datasets().is_empty());
    server.get("/livez").expect(200);
}

#[test]
fn a_link_is_not_followed() {
    let server = Server::options().plugin("files").start();
    symlink(artifacts::plugin("synthetic"), server.plugin_folder().join("libsynthetic.so")).expect("a link");
    server.send("POST", "/api/v1/plugins/reload", &[], Some(b"")).expect(200);
    assert_ne!(server.plugin("synthetic")["state"], "loaded");
    assert_eq!(server.datasets().len(), 11);
}

#[test]
fn a_folder_that_all_may_write_to_gives_no_plugin() {
    let server = Server::options().start();
    fs::set_permissions(server.plugin_folder(), fs::Permissions::from_mode(0o777)).expect("a mode");
    fs::copy(artifacts::plugin("synthetic"), server.plugin_folder().join("libsynthetic.so")).expect("a copy");
    let answer = server.send("POST", "/api/v1/plugins/reload", &[], Some(b""));
    assert!(server.datasets().is_empty(), "{}", answer.text());
    assert!(answer.text().contains("writable") || server.log().contains("writable"), "{}", answer.text());
}

#[test]
fn a_sidecar_with_a_mistake_is_told() {
    for (text, word) in [
        ("[confg]\n", "confg"),
        ("this is no toml", "line 1"),
        ("[config]\nnonsense = 1\n", "nonsense"),
        ("library = \"libnowhere.so\"\n", "libnowhere.so"),
        ("library = \"../libsynthetic.so\"\n", "libsynthetic.so"),
    ] {
        let server = Server::options().plugin("synthetic").file("synthetic.toml", text).start();
        let plugin = server.plugin_until("synthetic", "failed");
        assert!(plugin["steps"].to_string().to_lowercase().contains(word), "{text}: {plugin:#}");
        assert!(!plugin.to_string().contains("/tmp"), "{plugin:#}");
    }
}

#[test]
fn a_policy_with_a_mistake_is_a_failed_step_that_says_which() {
    for (sidecar, word) in
        [("[policy]\nttl = \"soon\"\n", "soon"), ("[datasets.synthetic_orders]\ntlt = \"1s\"\n", "tlt")]
    {
        let server = Server::options().plugin("synthetic").file("synthetic.toml", sidecar).start();
        let plugin = server.plugin("synthetic");
        assert_eq!(plugin["state"], "failed", "{plugin:#}");
        assert!(plugin["steps"].to_string().contains(word), "{plugin:#}");
    }
}

#[test]
fn a_library_that_is_mended_is_loaded() {
    let server = Server::options().file("libsynthetic.so", "no library").start();
    server.plugin_until("synthetic", "failed");
    let beside = server.plugin_folder().join("libsynthetic.new");
    fs::copy(artifacts::plugin("synthetic"), &beside).expect("a copy");
    fs::rename(beside, server.plugin_folder().join("libsynthetic.so")).expect("a rename");
    server.plugin_until("synthetic", "loaded");
    // It is asked for its datasets once it is loaded.
    poll::until_true("its dataset is served", Duration::from_secs(30), || {
        server.get("/api/v1/datasets/synthetic_orders").status == 200
    });
    assert_eq!(server.rows("synthetic_orders", "limit=1").len(), 1);
}
