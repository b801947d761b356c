//! An invalidation by name reaches what was kept under that name, whatever the dataset looked like then.

use std::fs;

use serde_json::json;
use tests::Server;
use tests::cache_status::CacheStatus;
use tests::control::Control;
use tests::poll::{PATIENCE, until};

use crate::cache_admin::invalidate;
use crate::restart_from_disk::{controlled, versions};

/// Writes another sidecar into the plugin folder of a running server.
fn rewrite(server: &Server, sidecar: &str) {
    let beside = server.plugin_folder().join("synthetic.toml.new");
    fs::write(&beside, sidecar).expect("a file");
    fs::rename(beside, server.plugin_folder().join("synthetic.toml")).expect("a rename");
}

fn tags(server: &Server) -> serde_json::Value {
    server.get("/api/v1/datasets/t").json()["tags"].clone()
}

#[test]
fn a_tag_that_a_dataset_was_given_later_reaches_what_was_kept_before() {
    let control = Control::new("t");
    control.set_mute(true);
    let server = controlled(&[(&control, "tags = [\"old\"]")], "");
    server.get(&control.rows("")).expect(200);
    control.set_version(2);
    rewrite(&server, &Control::sidecar(&[(&control, "tags = [\"old\", \"new\"]")]));
    until("the dataset has its new tag", PATIENCE, || (tags(&server) == json!(["old", "new"])).then_some(()));
    invalidate(&server, &json!({"tag": "new"})).expect(200);
    assert_eq!(versions(&server.get(&control.rows("")).expect(200)), [2]);
}

#[test]
fn what_another_configuration_had_kept_goes_with_the_name() {
    let control = Control::new("t");
    control.set_mute(true);
    let (first, second) = (Control::sidecar(&[(&control, "tags = [\"a\"]")]), {
        let other = Control::sidecar(&[(&control, "tags = [\"b\"]")]);
        other.replace("seed = 1", "seed = 2")
    });
    for scope in [json!({"dataset": "t"}), json!({"prefix": "t"}), json!({"tag": "b"})] {
        let server = Server::options().plugin("synthetic").file("synthetic.toml", &first).start();
        let before = versions(&server.get(&control.rows("")).expect(200))[0];
        rewrite(&server, &second);
        until("the other configuration is served", PATIENCE, || (tags(&server) == json!(["b"])).then_some(()));
        control.set_version(before + 1);
        invalidate(&server, &scope).expect(200);
        rewrite(&server, &first);
        until("the first one is back", PATIENCE, || (tags(&server) == json!(["a"])).then_some(()));
        let answer = server.get(&control.rows("")).expect(200);
        assert_eq!(versions(&answer), [before + 1], "after {scope}");
    }
}

#[test]
fn what_a_plugin_had_kept_goes_while_it_is_out() {
    let control = Control::new("t");
    control.set_mute(true);
    let sidecar = Control::sidecar(&[(&control, "")]);
    let server = Server::options().plugin("synthetic").file("synthetic.toml", &sidecar).start();
    server.get(&control.rows("")).expect(200);
    for (round, scope) in [json!({"dataset": "t"}), json!({"prefix": "t"})].iter().enumerate() {
        let placed = server.plugin_folder().join("synthetic.toml");
        fs::remove_file(&placed).expect("the sidecar");
        until("it is out", PATIENCE, || (server.get(&control.rows("")).status == 404).then_some(()));
        control.set_version(round as i64 + 10);
        let told = invalidate(&server, scope).expect(200).json();
        assert_eq!(told["datasets"], json!(["t"]), "{told:#}");
        rewrite(&server, &sidecar);
        until("it is back", PATIENCE, || (server.get(&control.rows("limit=1")).status == 200).then_some(()));
        let answer = server.get(&control.rows("")).expect(200);
        assert_eq!(versions(&answer), [round as i64 + 10], "after {scope}");
        assert!(!CacheStatus::of(&answer).hit || round == 0, "{:?}", answer.header("cache-status"));
    }
    invalidate(&server, &json!({"dataset": "nobody"})).expect(404);
}
