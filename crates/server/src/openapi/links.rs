//! Where an answer leads: from the list of datasets to a dataset, from a dataset to its rows.

use pipeline::Dataset;
use serde_json::{Map, Value, json};

/// An answer that leads somewhere.
struct From {
    path: &'static str,
    links: &'static [Link],
}

/// Where it leads.
struct Link {
    name: &'static str,
    operation: &'static str,
    /// Parameters of the operation, and where in the answer their values are.
    parameters: &'static [(&'static str, &'static str)],
}

const DATASET: &[(&str, &str)] = &[("name", "$response.body#/name")];
const LINKS: [From; 3] = [
    From {
        path: "/api/v1/datasets",
        links: &[
            link("dataset", "describe_dataset", &[("name", "$response.body#/datasets/0/name")]),
            link("rows", "read_rows", &[("name", "$response.body#/datasets/0/name")]),
        ],
    },
    From {
        path: "/api/v1/datasets/{name}",
        links: &[
            link("rows", "read_rows", DATASET),
            link(
                "facets",
                "read_facets",
                &[("name", "$response.body#/name"), ("columns", "$response.body#/schema/fields/0/name")],
            ),
            link("query", "query_rows", DATASET),
            link("refresh", "refresh_dataset", DATASET),
            link("touch", "touch_dataset", DATASET),
        ],
    },
    From {
        path: "/api/v1/cache/entries",
        links: &[link("entry", "describe_entry", &[("key", "$response.body#/entries/0/key")])],
    },
];

const fn link(
    name: &'static str,
    operation: &'static str,
    parameters: &'static [(&'static str, &'static str)],
) -> Link {
    Link { name, operation, parameters }
}

/// From a page of rows to the one behind it.
pub(super) fn next_page(dataset: Option<&Dataset>) -> Value {
    let mut parameters = json!({ "cursor": "$response.header.Next-Cursor" });
    let operation = match dataset {
        Some(dataset) => format!("rows_{}", dataset.name),
        None => {
            parameters["name"] = json!("$request.path.name");
            "read_rows".to_owned()
        }
    };
    let description = "The next page of the same question: with the same parameters, and this cursor.";
    json!({ "operationId": operation, "parameters": parameters, "description": description })
}

/// Adds the links to the operations that the document has.
pub(super) fn add(document: &mut Value) {
    for From { path, links } in LINKS {
        let Some(answer) = document["paths"][path]["get"]["responses"]["200"].as_object_mut() else { continue };
        let links = links.iter().map(|Link { name, operation, parameters }| {
            let parameters: Map<_, _> =
                parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            ((*name).to_owned(), json!({ "operationId": operation, "parameters": parameters }))
        });
        answer.insert("links".to_owned(), Value::Object(links.collect()));
    }
}
