//! Checks with programs from outside: a browser on the documentation page, Python clients, a fuzzer of the API, and a build
//! of the server that is not the usual one.
//!
//! `outside browser CHROMIUM`, `outside python PYTHON`, `outside schemathesis PYTHON` and `outside spans LARDER`;
//! `cargo xtask test --all` runs them.
#![forbid(unsafe_code)]

#[path = "outside/spans.rs"]
mod spans;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use tests::{Server, artifacts};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [check, program] = args.as_slice() else {
        bail!("usage: outside browser CHROMIUM | python PYTHON | metrics PROMTOOL | schemathesis PYTHON | spans LARDER")
    };
    let program = Path::new(program);
    match check.as_str() {
        "browser" => browser(&Server::bundled(), program),
        "python" => python(&Server::bundled(), program),
        "metrics" => metrics(&Server::bundled(), program),
        "schemathesis" => schemathesis(program),
        "spans" => spans::check(program),
        other => bail!("there is no check '{other}'"),
    }
}

/// Opens /docs: every dataset's path must be drawn, and the console must stay silent.
fn browser(server: &Server, chromium: &Path) -> Result<()> {
    let profile = tempfile::tempdir()?;
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("{}/docs/", server.url()))
        .output()
        .with_context(|| format!("cannot run {}", chromium.display()))?;
    let (page, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "chromium failed ({}): {log}", output.status);
    for dataset in server.datasets() {
        // Swagger UI puts a zero-width space after each slash, so that long paths can be broken.
        let path = format!("/api/v1/datasets/{dataset}/rows");
        let drawn = page.replace(['\u{200b}', '\u{feff}'], "").replace("&#8203;", "").replace("<wbr>", "");
        ensure!(drawn.contains(&path), "/docs does not show {path}; the log was:\n{log}\nthe page was:\n{page}");
    }
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    ensure!(complaints.is_empty(), "the console of /docs is not silent:\n{}", complaints.join("\n"));
    println!("/docs shows all {} datasets, and the console is silent", server.datasets().len());
    Ok(())
}

fn python(server: &Server, python: &Path) -> Result<()> {
    for script in ["openapi_is_valid.py", "arrow_is_readable.py"] {
        let path = artifacts::root().join("tests/python").join(script);
        let status = Command::new(python).arg(path).arg(server.url()).status().context("cannot run Python")?;
        ensure!(status.success(), "{script} failed ({status})");
    }
    Ok(())
}

/// Has Prometheus's own tool read the metrics of a server that has something to tell.
fn metrics(server: &Server, promtool: &Path) -> Result<()> {
    for dataset in server.datasets() {
        server.get(&format!("/api/v1/datasets/{dataset}/rows")).expect(200);
    }
    let text = server.get("/metrics").expect(200).text();
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run promtool")?;
    child.stdin.take().context("promtool reads its input")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.trim().is_empty(),
        "promtool complains ({}): {said}\n{text}",
        output.status
    );
    println!("promtool finds nothing in {} lines of metrics", text.lines().count());
    Ok(())
}

/// Columns whose names mean something else, or need quotes.
const ODD: &str = "limit,\"a, b\",\"say \"\"hi\"\"\",größe,and,taken on\n\
    1,x,1.5,true,a.b,2024-01-31\n2,\"y,z\",,false,(c),2024-02-29\n3,,-0.5,,,\n";

/// Tries every operation with data that fits the document and with data that does not: over few datasets, which between
/// them have columns of all common types, as the operations of a dataset are made by its columns alone. What the fuzzer
/// leaves behind goes with the folder that it runs in.
fn schemathesis(python: &Path) -> Result<()> {
    let (data, folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::copy(artifacts::root().join("data/sector_analysis.csv"), data.path().join("sector_analysis.csv"))?;
    fs::write(data.path().join("odd.csv"), ODD)?;
    let server = Server::options().plugin("files").plugin("synthetic").data(data.path()).start();
    let scripts = artifacts::root().join("tests/python");
    let status = Command::new(python)
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(scripts.join("schemathesis.toml"))
        .args(["run", "--no-color", &format!("{}/openapi.json", server.url())])
        .env("SCHEMATHESIS_HOOKS", scripts.join("schemathesis_hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .status()
        .context("cannot run Python")?;
    ensure!(status.success(), "schemathesis found something ({status}); the log of the server:\n{}", server.log());
    Ok(())
}
