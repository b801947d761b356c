//! `build`: the server and the bundled plugins, put where they can be started from.
//!
//! Two layouts, alike but for their contents: `target/larder` for people, `target/larder-test` for
//! the end-to-end tests, which also holds the plugin that misbehaves on demand. A file is put in
//! place by a rename: a running server may have the old one mapped, and writing into a mapped
//! library kills whoever mapped it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::run::{cargo, root, run, target_dir};

/// The test double for broken plugins: built for tests, never placed for people.
const TEST_DOUBLE: &str = "faulty";

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// Quick to run.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// `cargo xtask build [--debug]`.
pub(crate) fn task(args: &[String]) -> Result<()> {
    let profile = match args {
        [] => Profile::Release,
        [flag] if flag == "--debug" => Profile::Debug,
        _ => bail!("usage: cargo xtask build [--debug]"),
    };
    let larder = build(profile, &[])?;
    println!("{}", larder.display());
    Ok(())
}

/// Builds and places what people run; gives the path of the server. `also` are further packages.
pub(crate) fn build(profile: Profile, also: &[&str]) -> Result<PathBuf> {
    let plugins: Vec<String> = plugins()?.into_iter().filter(|name| name != TEST_DOUBLE).collect();
    let mut command = cargo();
    command.args(["build", "--package", "server"]);
    for package in plugins.iter().map(String::as_str).chain(also.iter().copied()) {
        command.args(["--package", package]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    run(&mut command)?;
    place(profile, &target_dir().join("larder"), &plugins, &[])
}

/// Builds and places what the end-to-end tests start: the whole workspace, so that `cargo test`
/// finds the same features built and builds nothing twice.
pub(crate) fn build_for_tests() -> Result<()> {
    run(cargo().args(["build", "--workspace"]))?;
    let (double, plugins): (Vec<String>, Vec<String>) = plugins()?.into_iter().partition(|name| name == TEST_DOUBLE);
    place(Profile::Debug, &target_dir().join("larder-test"), &plugins, &double)?;
    Ok(())
}

/// The crates below `plugins/` that make a library, in order of their names.
fn plugins() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("plugins")).context("cannot read plugins/")? {
        let folder = entry?.path();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("\"cdylib\"") {
            names.extend(folder.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Puts the server into `to`, `plugins` into `to/plugins` and `doubles` into `to/doubles`.
fn place(profile: Profile, to: &Path, plugins: &[String], doubles: &[String]) -> Result<PathBuf> {
    let built = target_dir().join(profile.folder());
    for (folder, names) in [("plugins", plugins), ("doubles", doubles)] {
        if names.is_empty() {
            continue;
        }
        let folder = to.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // Larder refuses a plugin folder that others may write to, whatever the umask here.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        for name in names {
            let file = format!("lib{}.so", name.replace('-', "_"));
            put(&built.join(&file), &folder.join(&file))?;
        }
    }
    let larder = to.join("larder");
    put(&built.join("larder"), &larder)?;
    Ok(larder)
}

/// Copies beside the destination and renames over it; leaves an equal file alone, so that a running
/// server does not load the same library again.
fn put(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let name = to.file_name().expect("a destination has a name").to_string_lossy();
    let temporary = to.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::write(&temporary, &bytes)
        .and_then(|()| fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&temporary, to))
        .with_context(|| format!("cannot write {}", to.display()))
}
