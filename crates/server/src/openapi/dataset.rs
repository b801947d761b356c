//! One dataset in the document: `/api/v1/datasets/<name>/rows` with a parameter a column, and the
//! schema of its rows among the components.

use pipeline::Dataset;
use pipeline::format::Format;
use serde_json::{Map, Value, json};

use super::types;

/// Parameters that mean something else; a column of such a name is filtered through `and=(...)`.
const RESERVED: &[&str] = &["select", "order", "limit", "offset", "and", "or", "not.and", "not.or", "format"];

/// Adds the path and the row schema of `dataset`.
pub(super) fn add(document: &mut Value, dataset: &Dataset, max_rows: u64) {
    let component = format!("rows.{}", dataset.name);
    document["components"]["schemas"][&component] = row_schema(dataset);
    let path = format!("/api/v1/datasets/{}/rows", dataset.name);
    document["paths"][path] = json!({ "get": operation(dataset, &component, max_rows) });
}

fn operation(dataset: &Dataset, component: &str, max_rows: u64) -> Value {
    let summary = match dataset.description.as_str() {
        "" => format!("Rows of {}", dataset.name),
        text => text.to_owned(),
    };
    json!({
        "tags": ["data"],
        "summary": summary,
        "description": format!("The rows of `{}`, from the source {}.", dataset.name, dataset.source_name),
        "operationId": format!("rows_{}", dataset.name),
        "parameters": parameters(dataset, max_rows),
        "responses": responses(component),
    })
}

fn parameters(dataset: &Dataset, max_rows: u64) -> Vec<Value> {
    let names: Vec<&str> = dataset.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let first = names.first().copied().unwrap_or_default();
    let mut parameters: Vec<Value> = dataset
        .schema
        .fields()
        .iter()
        .filter(|field| !RESERVED.contains(&field.name().as_str()))
        .map(|field| {
            let example = types::example_filter(field.data_type());
            let about = field.metadata().get("description").map(|text| format!("{text}. ")).unwrap_or_default();
            let unit = field.metadata().get("unit").map(|unit| format!(", in {unit}")).unwrap_or_default();
            let kind = types::in_words(field.data_type());
            json!({
                "name": field.name(),
                "in": "query",
                "description": format!("{about}Filter on {kind}{unit}: operator.value, for example `{example}`"),
                "schema": { "type": "string", "pattern": types::PATTERN, "examples": [example] },
            })
        })
        .collect();
    parameters.extend([
        query(
            "select",
            "Columns to answer with, separated by commas",
            json!({ "type": "string", "examples": [first] }),
        ),
        query(
            "order",
            "Columns to sort by: name, name.desc, name.asc.nullsfirst, separated by commas",
            json!({ "type": "string", "examples": [format!("{first}.desc")] }),
        ),
        query(
            "limit",
            "The most rows to answer with",
            json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": max_rows }),
        ),
        query("offset", "Rows to skip", json!({ "type": "integer", "format": "int64", "minimum": 0 })),
        query("and", "Conditions that must all hold: (a.gte.1,b.eq.x)", json!({ "type": "string" })),
        query("or", "Conditions of which one must hold: (a.gte.1,b.eq.x)", json!({ "type": "string" })),
        query("format", "Beats the Accept header", json!({ "type": "string", "enum": Format::ALL.map(Format::name) })),
    ]);
    parameters
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn responses(component: &str) -> Value {
    let rows = json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{component}") } });
    let mut content = Map::new();
    for format in Format::ALL {
        let media = format.media_type().split(';').next().unwrap_or_default();
        let schema = match format {
            Format::Json => rows.clone(),
            Format::JsonColumns => json!({ "type": "object" }),
            Format::Ndjson | Format::Csv | Format::CsvRaw => json!({ "type": "string" }),
            Format::MessagePack | Format::Arrow | Format::ArrowFile | Format::Parquet => {
                json!({ "type": "string", "contentMediaType": media })
            }
        };
        content.insert(media.to_owned(), json!({ "schema": schema }));
    }
    let problem = |description: &str| {
        json!({
            "description": description,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/ProblemDocument" } } },
        })
    };
    json!({
        "200": {
            "description": "The rows",
            "headers": {
                "ETag": { "description": "Validator of this representation", "schema": { "type": "string" } },
                "Age": { "description": "Seconds since the data was read", "schema": { "type": "integer" } },
                "Cache-Control": { "description": "How long a client may keep the answer", "schema": { "type": "string" } },
                "Cache-Status": { "description": "How the answer was found, RFC 9211", "schema": { "type": "string" } },
            },
            "content": content,
        },
        "304": { "description": "The client has them already (If-None-Match)" },
        "400": problem("The query makes no sense"),
        "406": problem("No format is acceptable"),
        "413": problem("The answer is too large"),
        "502": problem("The source failed"),
        "503": problem("The source cannot be reached now"),
        "504": problem("The source did not answer in time"),
    })
}

fn row_schema(dataset: &Dataset) -> Value {
    let mut properties = Map::new();
    for field in dataset.schema.fields() {
        let mut schema = types::json_schema(field.data_type(), field.is_nullable());
        for (key, metadata) in [("description", "description"), ("x-unit", "unit")] {
            if let Some(text) = field.metadata().get(metadata) {
                schema[key] = json!(text);
            }
        }
        properties.insert(field.name().clone(), schema);
    }
    json!({ "type": "object", "description": format!("A row of {}", dataset.name), "properties": properties })
}
