//! What derived schemas cannot say of the cache's entries: how a key is written, and that a body names exactly one thing.

use serde_json::{Map, Value, json};

/// A dataset's name, a slash, and the key within it.
const KEY: &str = r"^[^/]+/[\s\S]+$";
const EXAMPLE: &str = "sector_analysis/table";
const MEMBERS: [&str; 4] = ["dataset", "tag", "prefix", "key"];

/// Completes the cache's operations.
pub(super) fn complete(document: &mut Value) {
    let entries = &mut document["paths"];
    for method in ["get", "delete"] {
        let key = parameter(&mut entries["/api/v1/cache/entries/{key}"][method], "key");
        if let Some(key) = key {
            // Whoever tries the operation sees that the slash is part of the key.
            key.insert("example".into(), json!(EXAMPLE));
        }
    }
    if let Some(after) = parameter(&mut entries["/api/v1/cache/entries"]["get"], "after") {
        after.insert("schema".into(), json!({ "type": "string", "pattern": KEY, "examples": [EXAMPLE] }));
    }
    exactly_one(&mut document["components"]["schemas"]["InvalidateBody"]);
}

fn parameter<'a>(operation: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    let parameters = operation["parameters"].as_array_mut()?;
    parameters.iter_mut().find(|parameter| parameter["name"] == name)?.as_object_mut()
}

/// One member is a text that is not empty; the others are null or missing.
fn exactly_one(body: &mut Value) {
    for name in MEMBERS {
        body["properties"][name]["minLength"] = json!(1);
    }
    body["properties"]["key"]["pattern"] = json!(KEY);
    let one = |name: &str| json!({ "required": [name], "properties": { name: { "type": "string" } } });
    body["oneOf"] = MEMBERS.map(one).into();
    body["examples"] = json!([{ "dataset": "sector_analysis" }]);
}
