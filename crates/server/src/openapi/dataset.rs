//! The questions about rows: for any dataset (`/api/v1/datasets/{name}/rows`), and for each with paths, parameters and
//! schemas of its own.

use pipeline::Dataset;
use serde_json::{Map, Value, json};

use super::{body, parameters, responses, types};

/// The component of a query on any dataset.
const ANY_QUERY: &str = "Query";

/// Completes the operations on any dataset: summaries and descriptions are the handlers', all else is made here, as it is
/// for each dataset.
pub(super) fn complete(document: &mut Value, max_rows: u64) {
    body::add_schemas(&mut document["components"]["schemas"], None, ANY_QUERY, max_rows);
    let row = json!({ "type": "object", "description": "A row" });
    let mut put = |path: &str, method: &str, parts: Parts| {
        if let Some(operation) = document["paths"][path][method].as_object_mut() {
            operation.extend(parts.0);
        }
    };
    put("/api/v1/datasets/{name}/rows", "get", Parts::rows(None, &row));
    put("/api/v1/datasets/{name}/facets", "get", Parts::facets(None));
    put("/api/v1/datasets/{name}/query", "post", Parts::query(None, &row, ANY_QUERY));
}

/// Adds the paths and schemas of `dataset`.
pub(super) fn add(document: &mut Value, dataset: &Dataset, max_rows: u64) {
    let (rows, query) = (format!("rows.{}", dataset.name), format!("query.{}", dataset.name));
    let schemas = &mut document["components"]["schemas"];
    schemas[&rows] = row_schema(dataset);
    body::add_schemas(schemas, Some(dataset), &query, max_rows);
    let row = json!({ "$ref": format!("#/components/schemas/{rows}") });
    let paths = &mut document["paths"];
    let mut put = |what: &str, method: &str, summary: String, description: String, parts: Parts| {
        let mut operation = json!({
            "tags": ["data"],
            "summary": summary,
            "description": description,
            "operationId": format!("{what}_{}", dataset.name),
        });
        if let Some(operation) = operation.as_object_mut() {
            operation.extend(parts.0);
        }
        paths[format!("/api/v1/datasets/{}/{what}", dataset.name)] = json!({ method: operation });
    };
    let name = &dataset.name;
    let summary = if dataset.description.is_empty() { format!("Rows of {name}") } else { dataset.description.clone() };
    put("rows", "get", summary, about(dataset), Parts::rows(Some(dataset), &row));
    if parameters::grouping(dataset).next().is_some() {
        let description =
            "How often each value of some columns occurs, among the rows that fulfil the filters.".to_owned();
        put("facets", "get", format!("Values of {name}"), description, Parts::facets(Some(dataset)));
    }
    let description =
        "The rows that a query as JSON asks for: what the URL of the rows says, for long filters.".to_owned();
    put("query", "post", format!("Query {name}"), description, Parts::query(Some(dataset), &row, &query));
}

/// Parameters, body and responses of an operation.
struct Parts(Map<String, Value>);

impl Parts {
    fn rows(dataset: Option<&Dataset>, row: &Value) -> Self {
        Self::new(parameters::of_rows(dataset), None, responses::of_rows(dataset, row))
    }

    fn facets(dataset: Option<&Dataset>) -> Self {
        Self::new(parameters::of_facets(dataset), None, responses::of_facets())
    }

    fn query(dataset: Option<&Dataset>, row: &Value, component: &str) -> Self {
        Self::new(parameters::of_query(dataset), Some(body::request(dataset, component)), responses::of_query(row))
    }

    fn new(parameters: Vec<Value>, body: Option<Value>, responses: Map<String, Value>) -> Self {
        let mut parts = Map::new();
        parts.insert("parameters".into(), Value::Array(parameters));
        parts.extend(body.map(|body| ("requestBody".to_owned(), body)));
        parts.insert("responses".into(), Value::Object(responses));
        Self(parts)
    }
}

fn about(dataset: &Dataset) -> String {
    let mut text = format!(
        "The rows of `{}`, from the source {}. Each column is a parameter, `column=operator.value`, and all of them must \
         hold; `select`, `order` and `limit` shape the answer.",
        dataset.name, dataset.source_name
    );
    let hidden: Vec<String> = parameters::hidden(dataset).map(|name| format!("`{name}`")).collect();
    if !hidden.is_empty() {
        text.push_str(&format!(
            " Parameters called {} mean something else: filter those columns through `and=({}.eq.1)`.",
            hidden.join(", "),
            hidden[0].trim_matches('`')
        ));
    }
    text
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
    let description = format!("A row of {}. With `select`, the columns that it names.", dataset.name);
    let fields = dataset.schema.fields().iter();
    let example: Map<_, _> =
        fields.map(|field| (field.name().clone(), types::example_value(field.data_type()))).collect();
    json!({ "type": "object", "description": description, "properties": properties, "examples": [example] })
}
