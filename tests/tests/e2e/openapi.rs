//! The live OpenAPI document: its fixed part is the one that was agreed on, the rest follows the data.

use std::fs;

use serde_json::{Map, Value, json};
use tests::{Server, artifacts};

fn document(server: &Server) -> Value {
    server.get("/openapi.json").expect(200).json()
}

/// What does not come from a dataset: the document of a server that has none, without its version's number.
fn fixed_part() -> Value {
    let empty = tempfile::tempdir().expect("a folder");
    let server = Server::over(empty.path());
    assert!(server.datasets().is_empty());
    document(&server)
}

#[test]
fn the_fixed_part_is_the_golden_file() {
    let golden = artifacts::root().join("openapi/openapi.json");
    let now = serde_json::to_string_pretty(&fixed_part()).expect("JSON") + "\n";
    if std::env::var_os("LARDER_BLESS").is_some() {
        fs::write(&golden, &now).expect("the golden file is written");
    }
    let agreed = fs::read_to_string(&golden).unwrap_or_default();
    let difference = agreed.lines().zip(now.lines()).find(|(a, b)| a != b);
    assert!(
        agreed == now,
        "openapi/openapi.json is not what the server says (first difference: {difference:?}); \
         if the change is meant: LARDER_BLESS=1 cargo xtask test the_fixed_part_is_the_golden_file"
    );
}

#[test]
fn datasets_add_to_the_fixed_part_and_change_nothing_of_it() {
    let server = Server::bundled();
    let (fixed, live) = (fixed_part(), document(&server));
    for section in ["/paths", "/components/schemas", "/components/responses", "/components/parameters"] {
        let none = Map::new();
        let part = |document: &Value| document.pointer(section).and_then(Value::as_object).unwrap_or(&none).clone();
        let live = part(&live);
        for (name, value) in part(&fixed) {
            assert_eq!(live.get(&name), Some(&value), "{section}/{name}");
        }
    }
}

#[test]
fn every_dataset_is_a_typed_path_with_a_parameter_for_each_column() {
    let server = Server::bundled();
    let document = document(&server);
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", document["openapi"]);
    let datasets = server.datasets();
    assert!(datasets.len() > 11);
    for name in datasets {
        let get = &document["paths"][format!("/api/v1/datasets/{name}/rows")]["get"];
        assert!(get.is_object(), "{name} is not documented");
        let about = server.get(&format!("/api/v1/datasets/{name}")).expect(200).json();
        let parameters = get["parameters"].as_array().expect("parameters");
        for field in about["schema"]["fields"].as_array().expect("fields") {
            let column = field["name"].as_str().expect("a name");
            let parameter = parameters
                .iter()
                .find(|parameter| parameter["name"] == column && parameter["in"] == "query")
                .unwrap_or_else(|| panic!("{name} has no parameter {column}"));
            assert_eq!(parameter["schema"]["type"], json!("string"), "{name}.{column}");
            assert!(parameter["schema"]["pattern"].is_string(), "{name}.{column}: {parameter:#}");
        }
        for common in ["select", "order", "limit", "offset"] {
            assert!(
                parameters.iter().any(|parameter| parameter["name"] == common || parameter["$ref"].is_string()),
                "{name} {common}"
            );
        }
        assert_eq!(row_schema(&document, get)["type"], json!("object"), "{name}");
    }
}

/// The schema of one row of an operation's JSON answer.
fn row_schema<'a>(document: &'a Value, get: &'a Value) -> &'a Value {
    let list = resolve(document, &get["responses"]["200"]["content"]["application/json"]["schema"]);
    resolve(document, &list["items"])
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("a reference that resolves"),
        None => schema,
    }
}

#[test]
fn row_schemas_have_the_types_of_the_columns() {
    let server = Server::bundled();
    let document = document(&server);
    let get = &document["paths"]["/api/v1/datasets/sector_analysis/rows"]["get"];
    let properties = &row_schema(&document, get)["properties"];
    let has = |column: &str, expected: &str| {
        let found = &properties[column]["type"];
        let found =
            found.as_str().map_or_else(|| found.as_array().cloned().unwrap_or_default(), |one| vec![json!(one)]);
        assert!(found.contains(&json!(expected)), "{column}: {}", properties[column]);
    };
    has("sector", "string");
    has("adoption_rate", "integer");
    has("avg_roi", "number");
}

#[test]
fn what_is_declared_of_columns_is_documented() {
    let declared = "[config.datasets.sectors]\npath = \"sector_analysis.csv\"\n\
        [config.datasets.sectors.columns.avg_roi]\ndescription = \"Return on each dollar\"\nunit = \"USD\"\n";
    let root = format!("[config]\nroot = \"{}\"\n", artifacts::root().join("data").display());
    let server = Server::options().plugin("files").file("files.toml", &(root + declared)).start();
    let about = server.get("/api/v1/datasets/sectors").expect(200).json();
    let fields = about["schema"]["fields"].as_array().expect("fields").clone();
    let field = fields.iter().find(|field| field["name"] == "avg_roi").expect("the column");
    assert_eq!((&field["description"], &field["unit"]), (&json!("Return on each dollar"), &json!("USD")), "{about:#}");

    let document = document(&server);
    let get = &document["paths"]["/api/v1/datasets/sectors/rows"]["get"];
    let column = &row_schema(&document, get)["properties"]["avg_roi"];
    assert_eq!((&column["description"], &column["x-unit"]), (&json!("Return on each dollar"), &json!("USD")));
    let parameters = get["parameters"].as_array().expect("parameters").iter();
    let parameter = parameters.clone().find(|it| it["name"] == "avg_roi").expect("the column's filter");
    let text = parameter["description"].as_str().expect("a description");
    assert!(text.contains("Return on each dollar") && text.contains("in USD"), "{text}");
    assert_eq!(server.rows("sectors", "avg_roi=gt.4").len(), 1, "and nothing else changes");
}

#[test]
fn every_example_of_a_column_can_be_tried_out() {
    let server = Server::bundled();
    let document = document(&server);
    for name in server.datasets() {
        let path = format!("/api/v1/datasets/{name}/rows");
        for parameter in document["paths"][&path]["get"]["parameters"].as_array().expect("parameters") {
            let example = [&parameter["example"], &parameter["schema"]["example"], &parameter["schema"]["examples"][0]]
                .into_iter()
                .chain(
                    parameter["examples"].as_object().into_iter().flat_map(|map| map.values().map(|one| &one["value"])),
                )
                .find(|value| !value.is_null());
            let Some(example) = example else { continue };
            let column = parameter["name"].as_str().expect("a name");
            let value = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            let asked = format!("{path}?{}={}", tests::http::encode(column), tests::http::encode(&value));
            server.get(&asked).expect(200);
        }
    }
}

#[test]
fn no_reference_of_the_document_dangles() {
    let server = Server::bundled();
    let document = document(&server);
    let mut stack = vec![&document];
    let mut references = 0;
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    references += 1;
                    let found = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                    assert!(found.is_some(), "{reference} leads nowhere");
                }
                stack.extend(map.values());
            }
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
    assert!(references > 0);
}

#[test]
fn the_documentation_page_is_served_without_any_other_host() {
    let server = Server::bundled();
    let mut page = server.get("/docs");
    if (300..400).contains(&page.status) {
        page = server.get(page.header("location"));
    }
    let html = page.expect(200).text();
    assert!(html.contains("swagger"), "{html}");
    assert!(!html.contains("//unpkg.") && !html.contains("//cdn."), "{html}");
}
