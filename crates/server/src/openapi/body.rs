//! A query as JSON: the schema of the body, for one dataset or for any.

use arrow::datatypes::DataType;
use pipeline::Dataset;
use pipeline::format::Format;
use serde_json::{Map, Value, json};

use super::conditions;
use super::parameters::{quoted, telling};
use super::types::{self, Values};

/// The tree of conditions on columns of whatever name.
const ANY_TREE: &str = "Query.where";

/// The request body of a query on a dataset, or on any.
pub(super) fn request(dataset: Option<&Dataset>, component: &str) -> Value {
    let mut content = json!({ "schema": { "$ref": format!("#/components/schemas/{component}") } });
    content["examples"] = match dataset {
        Some(dataset) => examples(dataset),
        None => json!({ "rows": { "summary": "Some rows", "value": { "limit": 10 } } }),
    };
    json!({ "required": true, "content": { "application/json": content } })
}

/// The schema of the body: `component` itself, and the tree of conditions that it refers to.
pub(super) fn add_schemas(schemas: &mut Value, dataset: Option<&Dataset>, component: &str, max_rows: u64) {
    let tree = format!("{component}.where");
    schemas[&tree] = conditions::tree(dataset, &tree);
    schemas[component] = query(dataset, &tree, max_rows);
}

fn query(dataset: Option<&Dataset>, tree: &str, max_rows: u64) -> Value {
    let count = |maximum: u64| json!({ "type": ["integer", "null"], "minimum": 0, "maximum": maximum });
    let flag = json!({ "type": ["boolean", "null"] });
    let items = |about: &str, least: u64| {
        let list = json!({ "type": "array", "items": { "type": "string" }, "minItems": least });
        json!({ "description": about, "anyOf": [list, { "type": "string" }, { "type": "null" }] })
    };
    let condition = |about: &str, tree: &str| {
        let tree = json!({ "$ref": format!("#/components/schemas/{tree}") });
        json!({ "description": about, "anyOf": [tree, { "type": "null" }] })
    };
    let described = |about: &str, mut schema: Value| {
        schema["description"] = json!(about);
        schema
    };
    let formats: Vec<Value> = Format::ALL.iter().map(|format| json!(format.name())).chain([Value::Null]).collect();
    json!({
        "type": "object",
        "description": match dataset {
            Some(dataset) => format!("A query on {}", dataset.name),
            None => "A query".to_owned(),
        },
        "additionalProperties": false,
        "properties": {
            "select": items("Columns, casts, new names and aggregates, as in the URL: a list, or one text", 1),
            "distinct": described("Whether equal rows are answered with once", flag.clone()),
            "where": condition("Conditions on rows", tree),
            "having": condition("Conditions on groups: on names of the answer, or aggregates as in `amount.sum()`", ANY_TREE),
            "order": items("What to sort by, as in the URL: a list, or one text", 0),
            "limit": described("The most rows to answer with", count(max_rows)),
            "offset": described("Rows to skip", count(u64::MAX)),
            "cursor": described("Where the page before ended", json!({ "type": ["string", "null"] })),
            "format": described("How the rows are written; beats `Accept`", json!({ "enum": formats })),
            "raw": described("CSV without the apostrophe before formulas", flag.clone()),
            "count": described("How the rows of the whole answer are counted; beats `Prefer`",
                json!({ "enum": ["exact", "estimated", "planned", null] })),
            "explain": described("How the answer is come by, instead of the answer", flag.clone()),
            "filters": filters(dataset),
            "strict": described("Whether a filter that names no column is an error, and not skipped", flag),
        },
    })
}

/// A dashboard's filters.
fn filters(dataset: Option<&Dataset>) -> Value {
    let mut properties = Map::new();
    for field in dataset.into_iter().flat_map(|dataset| dataset.schema.fields()) {
        let bound = |text: &str| json!({ "type": ["number", "string", "null"], "description": text });
        let scalar = json!({ "type": ["number", "string", "boolean", "null"] });
        let value = json!({ "anyOf": [scalar, { "type": "array", "items": scalar }] });
        properties.insert(field.name().clone(), value);
        let kind = types::values(field.data_type());
        if !matches!(kind, Values::Text | Values::Truth | Values::Bytes | Values::Other) {
            properties.insert(format!("{}_min", field.name()), bound("The least value"));
            properties.insert(format!("{}_max", field.name()), bound("The greatest value"));
        }
    }
    json!({
        "type": ["object", "null"],
        "description": "A dashboard's short form: `<column>_min`, `<column>_max`, a column with one value or a list, or its \
                        plural. What names no column is skipped, and listed beside the rows.",
        "properties": properties,
    })
}

fn is_number(data_type: &DataType) -> bool {
    matches!(types::values(data_type), Values::Whole | Values::Decimal | Values::Float)
}

/// Bodies that work on the dataset.
fn examples(dataset: &Dataset) -> Value {
    let names: Vec<String> = dataset.schema.fields().iter().map(|field| quoted(field.name())).take(3).collect();
    let Some(first) = dataset.schema.fields().first() else {
        return json!({ "rows": { "summary": "Some rows", "value": { "limit": 10 } } });
    };
    let condition = json!({ "not": { "column": first.name(), "op": "is", "value": null } });
    let mut examples = json!({
        "rows": { "summary": "Some rows", "value": { "select": names, "where": condition, "limit": 10 } },
    });
    if let Some(key) = telling(dataset).first() {
        examples["groups"] = json!({
            "summary": "How many rows each group has",
            "value": { "select": [key, "how_many:count()"], "having": "how_many.gte.1", "order": ["how_many.desc"], "limit": 10 },
        });
    }
    let bounded = dataset.schema.fields().iter().find(|field| is_number(field.data_type()));
    let filters = bounded.map_or_else(|| json!({}), |field| json!({ format!("{}_min", field.name()): 0 }));
    examples["dashboard"] = json!({ "summary": "A dashboard's filters", "value": { "filters": filters, "limit": 10 } });
    examples
}
