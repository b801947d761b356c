//! `bench`: the benchmarks of the bench crate, in release, against a server that was just built; and those of
//! bench/peers, a workspace of its own, so that nothing else ever compiles what is compared with.

use std::path::PathBuf;

use anyhow::Result;

use crate::build::{Profile, build};
use crate::run::{cargo, command, run, target_dir};

/// `cargo xtask bench [NAME [ARGS..]]`.
pub(crate) fn task(args: &[String]) -> Result<()> {
    match args.first().map(String::as_str) {
        Some("memory" | "disk") => peers(args),
        Some("all") => {
            server(args)?;
            peers(&["memory".to_owned()])?;
            peers(&["disk".to_owned()])
        }
        _ => server(args),
    }
}

fn server(args: &[String]) -> Result<()> {
    let name = args.first().map(String::as_str);
    // One cargo call for all, so that everything is built with the same features, once.
    build(Profile::Release, &["bench"])?;
    let mut bench = command(target_dir().join("release/bench"));
    let mut args = args.iter();
    bench.args(args.next());
    if let Some("pipeline" | "all") = name
        && let Some(python) = python("pipeline-venv", &["polars", "duckdb", "pyarrow"])
    {
        bench.arg("--python").arg(python);
    }
    run(bench.args(args))
}

fn peers(args: &[String]) -> Result<()> {
    let target = target_dir().join("peers");
    run(cargo()
        .args(["build", "--release", "--manifest-path", "bench/peers/Cargo.toml", "--target-dir"])
        .arg(&target))?;
    let mut peers = command(target.join("release/peers"));
    peers.args(args);
    if args.first().is_some_and(|name| name == "disk")
        && let Some(python) = python("diskcache-venv", &["diskcache"])
    {
        peers.arg("--python").arg(python);
    }
    run(&mut peers)
}

/// A Python with `packages`, in a virtual environment below `target/`; without it those peers are left out, which the
/// benchmark says.
fn python(venv: &str, packages: &[&str]) -> Option<PathBuf> {
    let venv = target_dir().join(venv);
    let python = venv.join("bin/python");
    let made = python.is_file() || run(command("python3").args(["-m", "venv", "--clear"]).arg(&venv)).is_ok();
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2"];
    (made && run(command(&python).args(pip).args(packages)).is_ok()).then_some(python)
}
