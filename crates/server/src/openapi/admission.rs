//! What any request may be answered with before it comes to its handler, and what all of them share.

use serde_json::{Value, json};

use super::problems;

const WRITES: [&str; 4] = ["post", "put", "patch", "delete"];

/// Adds to every operation the errors of whoever lets requests in, where it does not describe them itself.
pub(super) fn add(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let mut statuses = vec![414, 421, 500];
            if WRITES.contains(&method.as_str()) {
                statuses.extend([403, 415]);
            }
            if operation.get("requestBody").is_some() {
                statuses.push(413);
            }
            if path.starts_with("/api/") {
                statuses.push(503);
            }
            let Some(responses) = operation["responses"].as_object_mut() else { continue };
            for (status, response) in problems::of(&statuses) {
                responses.entry(status).or_insert(response);
            }
            responses.sort_keys();
            for response in responses.values_mut().filter_map(Value::as_object_mut) {
                if !response.contains_key("$ref") {
                    let headers = response.entry("headers").or_insert_with(|| json!({}));
                    headers["X-Request-Id"] = json!({ "$ref": "#/components/headers/X-Request-Id" });
                }
            }
        }
    }
}
