//! The command line: help that teaches, queries, configuration in force and mistakes.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tests::{Server, artifacts};

fn larder(args: &[&str]) -> Output {
    larder_with(args, &[])
}

fn larder_with(args: &[&str], env: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    Command::new(artifacts::larder())
        .args(args)
        .current_dir(folder.path())
        .env_clear()
        .envs(env.iter().copied())
        .output()
        .expect("the binary runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_teaches() {
    for (args, words) in [
        (&["--help"][..], &["serve", "query", "plugins", "openapi", "config"][..]),
        (&["serve", "--help"], &["--listen", "--home", "--plugins", "--data", "--config", "--insecure", "LARDER_"]),
        (&["query", "--help"], &["--url", "--format", "year=gt.2020"]),
        (&["plugins", "--help"], &["--url"]),
        (&["openapi", "--help"], &["--url"]),
        (&["config", "--help"], &["LARDER_"]),
    ] {
        let output = larder(args);
        let text = out(&output);
        assert!(output.status.success(), "{args:?}: {}", err(&output));
        for word in words {
            assert!(text.contains(word), "{args:?} does not tell of {word}:\n{text}");
        }
    }
    let version = out(&larder(&["--version"]));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[test]
fn mistakes_are_told_on_standard_error_with_a_status() {
    for (args, words) in [
        (&["srve"][..], &["serve"][..]),
        (&["serve", "--lsten", "x"], &["--listen"]),
        (&["serve", "--listen", "nonsense"], &["listen"]),
        (&["serve", "--config", "nowhere.toml"], &["nowhere.toml"]),
        (&["query", "t", "--url", "http://127.0.0.1:1"], &["127.0.0.1:1"]),
        (&["query", "t", "--url", "nonsense"], &["nonsense"]),
    ] {
        let output = larder(args);
        let text = err(&output).to_lowercase();
        assert!(!output.status.success(), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}: {}", out(&output));
        assert!(!text.contains("panicked"), "{args:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_query_gives_rows_or_the_problem() {
    let server = Server::bundled();
    let good = server.cli(&["query", "sector_analysis", "sector=eq.Education&select=sector,avg_roi"]);
    assert!(good.status.success(), "{}", err(&good));
    assert!(out(&good).contains("Education") && out(&good).contains("2.5"), "{}", out(&good));
    let bad = server.cli(&["query", "sector_analysis", "secter=eq.Education"]);
    assert!(!bad.status.success());
    assert!(err(&bad).contains("sector"), "{}", err(&bad));
    assert!(out(&bad).is_empty());
    let unknown = server.cli(&["query", "sector_analysys"]);
    assert!(!unknown.status.success() && err(&unknown).contains("sector_analysis"), "{}", err(&unknown));
}

#[test]
fn plugins_and_openapi_tell_what_the_server_has() {
    let server = Server::options().plugin("files").file("libbroken.so", "no library").start();
    server.plugin_until("broken", "failed");
    let plugins = server.cli(&["plugins"]);
    let text = out(&plugins);
    assert!(plugins.status.success(), "{}", err(&plugins));
    for word in ["files", "loaded", "broken", "failed"] {
        assert!(text.contains(word), "{text}");
    }
    let document = server.cli(&["openapi"]);
    assert!(document.status.success(), "{}", err(&document));
    let document: Value = serde_json::from_str(&out(&document)).expect("JSON");
    assert_eq!(document, server.get("/openapi.json").expect(200).json());
}

#[test]
fn the_configuration_in_force_comes_with_its_origin() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("larder.toml");
    fs::write(&file, "listen = \"127.0.0.1:7001\"\n").expect("a file");
    let file = file.to_string_lossy().into_owned();
    let line = |output: &Output| {
        let text = out(output);
        assert!(output.status.success(), "{}", err(output));
        text.lines().find(|line| line.contains("listen")).unwrap_or_else(|| panic!("no listen in {text}")).to_owned()
    };
    let default = line(&larder(&["config"]));
    assert!(default.contains("127.0.0.1:8080") && default.contains("default"), "{default}");
    let from_file = line(&larder(&["config", "--config", &file]));
    assert!(from_file.contains("127.0.0.1:7001") && from_file.contains("file"), "{from_file}");
    let env = [("LARDER_LISTEN", "127.0.0.1:7002")];
    let from_env = line(&larder_with(&["config", "--config", &file], &env));
    assert!(from_env.contains("127.0.0.1:7002") && from_env.contains("environment"), "{from_env}");
    let from_flag = line(&larder_with(&["config", "--config", &file, "--listen", "127.0.0.1:7003"], &env));
    assert!(from_flag.contains("127.0.0.1:7003") && from_flag.contains("flag"), "{from_flag}");
}

#[test]
fn a_configuration_file_with_a_mistake_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("larder.toml");
    for (text, word) in
        [("lsten = \"127.0.0.1:1\"\n", "lsten"), ("listen = 5\n", "listen"), ("listen = \n", "larder.toml")]
    {
        fs::write(&file, text).expect("a file");
        let output = larder(&["config", "--config", &file.to_string_lossy()]);
        assert!(!output.status.success(), "{text}: {}", out(&output));
        assert!(err(&output).contains(word), "{text}: {}", err(&output));
    }
}

#[test]
fn a_second_server_on_one_home_is_refused() {
    let server = Server::options().start();
    let output = Command::new(artifacts::larder())
        .args(["serve", "--listen", "127.0.0.1:0", "--home"])
        .arg(server.home())
        .current_dir(server.home())
        .env_clear()
        .output()
        .expect("the binary runs");
    assert!(!output.status.success());
    assert!(err(&output).contains("another"), "{}", err(&output));
    server.get("/livez").expect(200);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let server = Server::options().start();
    let output = larder(&["serve", "--listen", server.address()]);
    assert!(!output.status.success());
    assert!(err(&output).contains(server.address()), "{}", err(&output));
}

#[test]
fn a_part_of_the_rows_is_told() {
    let server = Server::options().plugin("files").arg("--max-rows=3").start();
    let part = server.cli(&["query", "geographic", "select=city", "--format", "csv"]);
    let told = String::from_utf8_lossy(&part.stderr).into_owned();
    assert!(part.status.success() && told.contains("rows 0-2/*") && told.contains("max_rows"), "{told}");
    let cursor = told.split('\'').nth(1).expect("a parameter").to_owned();
    let next = server.cli(&["query", "geographic", "select=city", &cursor, "--format", "csv"]);
    let (first, second) = (String::from_utf8_lossy(&part.stdout), String::from_utf8_lossy(&next.stdout));
    assert_eq!((first.lines().count(), second.lines().count()), (4, 4), "{first}{second}");
    assert_ne!(first.lines().nth(1), second.lines().nth(1));
    let wanted = server.cli(&["query", "geographic", "select=city", "limit=2"]);
    assert!(wanted.stderr.is_empty(), "{}", String::from_utf8_lossy(&wanted.stderr));
}
