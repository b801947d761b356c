//! `larder cache`: what a person sees and does, with a server and on a home that none holds.

use std::process::{Command, Output};

use serde_json::Value;
use tests::cache_status::CacheStatus;
use tests::control::Control;
use tests::{Server, Stopped, artifacts};

use crate::cache_admin::until_on_disk;
use crate::restart_from_disk::controlled;

/// What a command printed, which must have gone well.
#[track_caller]
fn out(output: Output) -> String {
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {error}{text}", output.status);
    text.into_owned()
}

#[track_caller]
fn json(output: Output) -> Value {
    let text = out(output);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
}

/// What a command that must fail told on standard error.
#[track_caller]
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A server with the datasets `a` and `b`, two entries of each in memory and on disk.
fn warm(controls: &[Control; 2]) -> Server {
    let server = controlled(&[(&controls[0], "tags = [\"nightly\"]"), (&controls[1], "")], "");
    for control in controls {
        server.get(&control.rows("limit=2")).expect(200);
    }
    until_on_disk(&server, 4);
    server
}

fn detail(server: &Server, control: &Control) -> String {
    CacheStatus::of(&server.get(&control.rows("limit=2")).expect(200)).detail
}

#[test]
fn help_teaches() {
    let help = |args: &[&str]| out(Command::new(artifacts::larder()).args(args).env_clear().output().expect("it runs"));
    let text = help(&["cache", "--help"]);
    for word in ["stats", "ls", "clear", "invalidate", "verify", "compact"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
    let text = help(&["cache", "invalidate", "--help"]);
    for word in ["--dataset", "--tag", "--prefix", "--key", "--offline", "--url"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

#[test]
fn the_command_line_shows_what_the_server_has() {
    let controls = ["a", "b"].map(Control::new);
    let server = warm(&controls);
    let stats = json(server.cli(&["cache", "stats", "--json"]));
    let served = server.get("/api/v1/cache/stats").expect(200).json();
    for name in ["entries", "total_size_mb", "durable"] {
        assert_eq!(stats[name], served[name], "{name}");
    }
    let text = out(server.cli(&["cache", "stats"]));
    for word in ["entries", "hit", "disk", "B"] {
        assert!(text.contains(word), "no '{word}' in\n{text}");
    }
    let listed = json(server.cli(&["cache", "ls", "--json"]));
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(4), "{listed:#}");
    let text = out(server.cli(&["cache", "ls"]));
    for entry in listed["entries"].as_array().expect("entries") {
        let key = entry["key"].as_str().expect("a key");
        assert!(text.contains(key), "no {key} in\n{text}");
    }
    let of_b = out(server.cli(&["cache", "ls", "--dataset", "b"]));
    assert!(of_b.contains("b/json") && !of_b.contains("a/json"), "{of_b}");
    let one = out(server.cli(&["cache", "ls", "--limit", "1"]));
    assert!(one.contains("a/json") && !one.contains("a/table"), "{one}");
}

#[test]
fn the_command_line_drops_what_it_is_told_to() {
    let controls = ["a", "b"].map(Control::new);
    let server = warm(&controls);
    out(server.cli(&["cache", "invalidate", "--dataset", "b"]));
    assert_eq!(controls.each_ref().map(|control| detail(&server, control)), ["memory", "source"]);
    let told = json(server.cli(&["cache", "invalidate", "--tag", "nightly", "--json"]));
    assert!(told["scope"] == "tag" && told["durable"] == true, "{told:#}");
    assert_eq!(controls.each_ref().map(|control| detail(&server, control)), ["source", "memory"]);
    out(server.cli(&["cache", "invalidate", "--prefix", "b/json"]));
    assert_eq!(controls.each_ref().map(|control| detail(&server, control)), ["memory", "table"]);
    let listed = json(server.cli(&["cache", "ls", "--json"]));
    let key = listed["entries"][0]["key"].as_str().expect("a key").to_owned();
    out(server.cli(&["cache", "invalidate", "--key", &key]));
    assert_eq!(controls.each_ref().map(|control| detail(&server, control)), ["table", "memory"]);
    out(server.cli(&["cache", "clear"]));
    assert_eq!(controls.each_ref().map(|control| detail(&server, control)), ["source", "source"]);
    out(server.cli(&["cache", "verify"]));
    out(server.cli(&["cache", "compact"]));
    assert_eq!(detail(&server, &controls[0]), "memory");
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let controls = ["a", "b"].map(Control::new);
    let server = warm(&controls);
    for (args, word) in [
        (&["cache", "invalidate"][..], "--dataset"),
        (&["cache", "invalidate", "--dataset", "a", "--tag", "t"], "--tag"),
        (&["cache", "invalidate", "--dataset", "nope"], "nope"),
        (&["cache", "ls", "--limit", "0"], "limit"),
        (&["cache", "claer"], "clear"),
    ] {
        let text = refusal(&server.cli(args));
        assert!(text.contains(word), "{args:?}: {text}");
    }
    assert_eq!(controls.each_ref().map(|control| detail(&server, control)), ["memory", "memory"]);
}

/// Does something to the cache of a server that is down; gives where the rows are from afterwards.
#[track_caller]
fn check_offline(down: Stopped, controls: &[Control; 2], args: &[&str], expected: [&str; 2]) -> Server {
    out(down.cli(&[&["cache"], args, &["--offline"]].concat()));
    let server = down.start();
    let found = controls.each_ref().map(|control| detail(&server, control));
    assert_eq!(found, expected.map(str::to_owned), "after {args:?}");
    server
}

#[test]
fn a_home_without_a_server_is_worked_on_offline() {
    let controls = ["a", "b"].map(Control::new);
    // Without a change token, only the invalidation itself tells that the rows are old.
    controls.iter().for_each(|control| control.set_mute(true));
    let down = warm(&controls).stop();
    let stats = json(down.cli(&["cache", "stats", "--offline", "--json"]));
    assert_eq!(stats["disk"]["entries"], 4, "{stats:#}");
    let listed = out(down.cli(&["cache", "ls", "--offline"]));
    assert!(listed.contains("a/table") && listed.contains("b/json"), "{listed}");
    let server = check_offline(down, &controls, &["invalidate", "--dataset", "b"], ["disk", "source"]);
    let server = check_offline(server.stop(), &controls, &["invalidate", "--tag", "nightly"], ["source", "disk"]);
    let server = check_offline(server.stop(), &controls, &["verify"], ["disk", "disk"]);
    let server = check_offline(server.stop(), &controls, &["compact"], ["disk", "disk"]);
    let down = check_offline(server.stop(), &controls, &["clear"], ["source", "source"]).stop();
    let text = refusal(&down.cli(&["cache", "stats"]));
    assert!(text.contains("--offline"), "without a server it is said how to go on: {text}");
}

#[test]
fn a_home_that_a_server_holds_is_not_worked_on_offline() {
    let controls = ["a", "b"].map(Control::new);
    let server = warm(&controls);
    let home = server.home();
    for command in [&["stats"][..], &["ls"], &["clear"], &["invalidate", "--dataset", "a"], &["verify"], &["compact"]] {
        let output = Command::new(artifacts::larder())
            .arg("cache")
            .args(command)
            .args(["--offline", "--home"])
            .arg(&home)
            .current_dir(&home)
            .env_clear()
            .output()
            .expect("the binary runs");
        let text = refusal(&output);
        assert!(text.contains("another"), "{command:?}: {text}");
    }
    assert_eq!(controls.each_ref().map(|control| detail(&server, control)), ["memory", "memory"]);
}
