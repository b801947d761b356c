//! `test`: format, lints, every test, and with `--all` the checks that need more than a toolchain, or another build.
//!
//! What is left out is named at the end: a green run that silently skipped something is a lie.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::build::build_for_tests;
use crate::run::{answers, cargo, command, run, target_dir};

/// A check that needs a tool from outside, or a build of its own.
struct Extra {
    /// Its name for the program that runs it.
    name: &'static str,
    what: &'static str,
    needs: &'static str,
    install: &'static str,
    present: fn() -> bool,
}

const EXTRAS: [Extra; 5] = [
    Extra {
        name: "browser",
        what: "/docs in a headless Chromium",
        needs: "chromium",
        install: "apt-get install chromium",
        present: || chromium().is_some(),
    },
    Extra {
        name: "python",
        what: "Python: /openapi.json is valid 3.1, pyarrow reads the Arrow stream",
        needs: "python3 with venv",
        install: "apt-get install python3-venv",
        present: has_venv,
    },
    Extra {
        name: "metrics",
        what: "promtool: /metrics keeps to Prometheus's conventions",
        needs: "promtool",
        install: "apt-get install prometheus",
        present: || on_path(&["promtool"]).is_some(),
    },
    Extra {
        name: "schemathesis",
        what: "schemathesis: every operation takes what the document says, and refuses the rest",
        needs: "python3 with venv",
        install: "apt-get install python3-venv",
        present: has_venv,
    },
    Extra {
        name: "spans",
        what: "a build with the feature otlp: its lints, and that spans reach a collector",
        needs: "a build of its own",
        install: "nothing",
        present: || true,
    },
];

/// `cargo xtask test [--all] [FILTER]`.
pub(crate) fn task(args: &[String]) -> Result<()> {
    let (flags, filters): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| flag.as_str() != "--all") {
        bail!("'{unknown}' is no option of `cargo xtask test [--all] [FILTER]`");
    }
    if filters.len() > 1 {
        bail!("usage: cargo xtask test [--all] [FILTER]; there is one filter, {} were given", filters.len());
    }
    let all = !flags.is_empty();
    if all {
        demand_tools()?;
    }
    if !answers(&mut command("cc")) {
        bail!("the tests compile plugins written in C and found no `cc`; install one: apt-get install gcc");
    }

    let mut left_out = Vec::new();
    match filters.first() {
        Some(filter) => left_out.push(format!("format check, clippy and the tests that '{filter}' does not match")),
        None => lint(&mut left_out)?,
    }
    if all && filters.is_empty() && !left_out.is_empty() {
        bail!("--all leaves nothing out, but a tool is missing for: {}", left_out.join("; "));
    }
    build_for_tests()?;
    run(cargo().args(["test", "--workspace", "--no-fail-fast"]).args(&filters))?;
    // A build of its own: under this feature the cache runs on shuttle's locks and tasks alone.
    let schedules = ["test", "-p", "cache-core", "--features", "shuttle", "--test", "schedules"];
    run(cargo().args(schedules).args(&filters))?;

    for extra in &EXTRAS {
        if all {
            run_extra(extra)?;
        } else {
            left_out.push(format!("{} (needs {}; --all runs it)", extra.what, extra.needs));
        }
    }
    if left_out.is_empty() {
        println!("xtask: everything ran, nothing was left out");
    } else {
        println!("xtask: passed; left out:");
        left_out.iter().for_each(|what| println!("  - {what}"));
    }
    Ok(())
}

/// Fails at once, with all that is missing, and not after half an hour with the first of it.
fn demand_tools() -> Result<()> {
    let missing: Vec<String> = EXTRAS
        .iter()
        .filter(|extra| !(extra.present)())
        .map(|extra| format!("{} (for: {}; install it: {})", extra.needs, extra.what, extra.install))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("--all needs tools that are missing:\n  {}", missing.join("\n  "));
}

fn lint(left_out: &mut Vec<String>) -> Result<()> {
    if answers(cargo().arg("fmt")) {
        run(cargo().args(["fmt", "--all", "--check"]))?;
    } else {
        left_out.push("format check (needs rustfmt: rustup component add rustfmt)".into());
    }
    if answers(cargo().arg("clippy")) {
        run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    } else {
        left_out.push("lints (needs clippy: rustup component add clippy)".into());
    }
    Ok(())
}

fn run_extra(extra: &Extra) -> Result<()> {
    let mut outside = command(target_dir().join("debug/outside"));
    outside.arg(extra.name);
    match extra.name {
        "browser" => outside.args(chromium()),
        "metrics" => outside.args(on_path(&["promtool"])),
        "spans" => outside.arg(larder_with_otlp()?),
        _ => outside.arg(python_venv()?),
    };
    run(&mut outside)
}

/// The server with the feature `otlp`, checked and built: of the whole workspace, so that all else is built as it is already.
fn larder_with_otlp() -> Result<PathBuf> {
    let with = ["--workspace", "--features", "server/otlp", "--bin", "larder"];
    if answers(cargo().arg("clippy")) {
        run(cargo().arg("clippy").args(with).args(["--", "--deny", "warnings"]))?;
    }
    run(cargo().arg("build").args(with))?;
    // The next build of the workspace puts another one in its place.
    let (built, larder) = (target_dir().join("debug/larder"), target_dir().join("larder-test/larder-otlp"));
    std::fs::copy(&built, &larder).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(larder)
}

fn has_venv() -> bool {
    command("python3").args(["-c", "import venv, ensurepip"]).status().is_ok_and(|status| status.success())
}

/// The first Chromium on the path.
fn chromium() -> Option<PathBuf> {
    on_path(&["chromium", "chromium-browser", "google-chrome"])
}

/// The first program of one of these names.
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut programs = env::split_paths(&path).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    programs.find(|program| program.is_file())
}

/// A Python with what the scripts import, in a virtual environment below `target/`.
fn python_venv() -> Result<PathBuf> {
    let venv = target_dir().join("python-venv");
    let python = venv.join("bin/python");
    if !python.is_file() {
        run(command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    }
    run(command(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args([
        "--retries",
        "5",
        "--requirement",
        "tests/python/requirements.txt",
    ]))?;
    Ok(python)
}
