//! A plugin written in C against the header alone is a source like any other.

use serde_json::json;
use tests::{Server, artifacts};

#[test]
fn a_plugin_in_c_is_loaded_listed_and_read() {
    let server = Server::options().start();
    artifacts::compile_c("numbers", &server.plugin_folder().join("libnumbers.so"));
    let plugin = server.plugin_until("numbers", "loaded");
    assert!(plugin["steps"].as_array().is_some_and(|steps| steps.iter().all(|step| step["ok"] == true)), "{plugin:#}");
    let datasets = plugin["datasets"].as_array().expect("datasets").clone();
    assert!(!datasets.is_empty(), "{plugin:#}");
    let name = server.datasets()[0].clone();
    let rows = server.rows(&name, "");
    assert!(!rows.is_empty());
    assert_eq!(rows[0].as_object().map(serde_json::Map::len), Some(2), "{}", rows[0]);
    let column = rows[0].as_object().and_then(|row| row.keys().next()).expect("a column").clone();
    let one = server.rows(&name, &format!("select={column}&order={column}.desc&limit=1"));
    let greatest = rows.iter().filter_map(|row| row[&column].as_f64()).fold(f64::MIN, f64::max);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0][&column].as_f64(), Some(greatest));
    let about = server.get(&format!("/api/v1/datasets/{name}")).expect(200).json();
    assert_eq!(about["source"]["name"], json!("numbers"));
}
