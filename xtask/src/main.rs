//! One entry point for people and CI: `cargo xtask help` tells what there is.
//!
//! Each task is a module that runs `cargo` and a few other programs in the workspace's root. It
//! keeps no state of its own: what is built lies below `target/`, and every task can be run again.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod run;
mod serve;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask TASK

  build [--debug]       build the server and the bundled plugins:
                          target/larder/larder
                          target/larder/plugins/*.so
                        release unless --debug; a running server keeps its old
                        files and sees the new plugins at once

  serve [ARGS..]        build, then serve data/ on 127.0.0.1:8080 until Ctrl-C;
                        ARGS go to `larder serve` (see `larder serve --help`):
                          cargo xtask serve --listen 127.0.0.1:9000
                          cargo xtask serve --data ~/tables

  test [--all] [FILTER] format check, clippy, then every test, in debug. It needs
                        the Rust toolchain and a C compiler; at the end it names
                        what it left out.
                        --all runs that too (Chromium on /docs, Python clients,
                        spans of a build with the feature otlp) and fails where
                        a tool is missing.
                        FILTER runs only the tests whose path contains it:
                          cargo xtask test broken_plugins

  bench [NAME [ARGS..]] a benchmark in release; without NAME, the list of them

  help                  this text
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let Some((task, rest)) = args.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    match task.as_str() {
        "build" => build::task(rest),
        "serve" => serve::task(rest),
        "test" => test::task(rest),
        "bench" => bench::task(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("no task is called '{other}'; there are build, serve, test, bench and help"),
    }
}
