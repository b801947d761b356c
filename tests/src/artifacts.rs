//! Where the built server and plugins are, and plugins compiled from C.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that `cargo xtask test` fills: `larder`, `plugins/`, `doubles/`.
fn folder() -> PathBuf {
    std::env::var_os("LARDER_TEST_DIR").map_or_else(|| root().join("target/larder-test"), PathBuf::from)
}

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace").to_path_buf()
}

/// The server.
///
/// # Panics
/// When it was not built.
#[track_caller]
pub fn larder() -> PathBuf {
    built(folder().join("larder"))
}

/// A plugin's library by its crate's name: `files`, `synthetic`, `faulty`.
///
/// # Panics
/// When it was not built.
#[track_caller]
pub fn plugin(name: &str) -> PathBuf {
    let file = format!("lib{name}.so");
    let bundled = folder().join("plugins").join(&file);
    if bundled.is_file() { bundled } else { built(folder().join("doubles").join(&file)) }
}

#[track_caller]
fn built(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is missing; `cargo xtask test` builds it and runs the tests", path.display());
    path
}

/// Compiles `tests/plugins/<source>.c` into a shared library at `to`.
///
/// # Panics
/// When it does not compile without a warning.
#[track_caller]
pub fn compile_c(source: &str, to: &Path) {
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root().join("crates/plugin-sdk/include"))
        .arg(root().join("tests/plugins").join(format!("{source}.c")))
        .arg("-o")
        .arg(to)
        .output()
        .expect("cc runs");
    assert!(output.status.success(), "{source}.c: {}", String::from_utf8_lossy(&output.stderr));
}
