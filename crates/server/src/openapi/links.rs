//! Where an answer leads: from the list of datasets to a dataset, from a dataset to its rows.

use serde_json::{Value, json};

/// The path and method of an operation, and the links of its answer: name, operation, parameters.
const LINKS: [(&str, &str, &[(&str, &str, &[(&str, &str)])]); 3] = [
    (
        "/api/v1/datasets",
        "get",
        &[
            ("dataset", "describe_dataset", &[("name", "$response.body#/datasets/0/name")]),
            ("rows", "read_rows", &[("name", "$response.body#/datasets/0/name")]),
        ],
    ),
    (
        "/api/v1/datasets/{name}",
        "get",
        &[
            ("rows", "read_rows", &[("name", "$response.body#/name")]),
            (
                "facets",
                "read_facets",
                &[("name", "$response.body#/name"), ("columns", "$response.body#/schema/fields/0/name")],
            ),
            ("refresh", "refresh_dataset", &[("name", "$response.body#/name")]),
            ("touch", "touch_dataset", &[("name", "$response.body#/name")]),
        ],
    ),
    ("/api/v1/cache/entries", "get", &[("entry", "describe_entry", &[("key", "$response.body#/entries/0/key")])]),
];

/// Adds the links to the operations that the document has.
pub(super) fn add(document: &mut Value) {
    for (path, method, links) in LINKS {
        let Some(answer) = document["paths"][path][method]["responses"]["200"].as_object_mut() else { continue };
        let links = links.iter().map(|(name, operation, parameters)| {
            let parameters: serde_json::Map<_, _> =
                parameters.iter().map(|(name, from)| ((*name).to_owned(), json!(from))).collect();
            ((*name).to_owned(), json!({ "operationId": operation, "parameters": parameters }))
        });
        answer.insert("links".to_owned(), Value::Object(links.collect()));
    }
}
