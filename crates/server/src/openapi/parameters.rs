//! The parameters of questions: those that every dataset has, kept once among the components, and one for each column.

use arrow::datatypes::Field;
use pipeline::Dataset;
use pipeline::format::Format;
use pipeline::query::{aggregates_of, operators_of};
use serde_json::{Value, json};

use super::pattern;
use super::types::{self, Values};

/// Parameters that mean something else; a column of such a name is filtered through `and=(...)`.
const OF_ROWS: [&str; 14] = [
    "select", "distinct", "order", "limit", "offset", "cursor", "having", "and", "or", "not.and", "not.or", "format",
    "raw", "explain",
];
/// Further ones of facets.
const COLUMNS: &str = "columns";
/// Columns that facets are made of at a time.
const MAX_FACETS: usize = 16;
/// A logic tree, as far as a regular expression can tell.
const TREE: &str = r"^ *\([\s\S]+\) *$";
/// Rows of an answer that is only tried out.
const A_FEW: u64 = 10;

/// The parameters that all datasets share, by the names of their components.
pub(super) fn components(max_rows: u64) -> Value {
    let count = |minimum: u64, maximum: u64| json!({ "type": "integer", "minimum": minimum, "maximum": maximum });
    let flag = json!({ "type": "boolean" });
    let text = json!({ "type": "string" });
    let tree = json!({ "type": "string", "pattern": TREE });
    let mut limit = query(
        "limit",
        "The most rows to answer with. Without it, as many as the server gives at most.",
        count(0, max_rows),
    );
    limit["example"] = json!(max_rows.min(A_FEW));
    let mut facets_limit = query("limit", "The most values of each column.", count(1, 1_000));
    facets_limit["schema"]["default"] = json!(20);
    json!({
        "distinct": query("distinct", "Whether rows that are equal in all selected columns are answered with once.", flag.clone()),
        "limit": limit,
        "facets.limit": facets_limit,
        "offset": query("offset", "Rows to skip. To read page by page, `cursor` is quicker and safer.", count(0, u64::MAX)),
        "cursor": query("cursor", "Where the page before ended, as its `Link` has it. Only for the same question, and not with \
            `offset`.", text.clone()),
        "having": query("having", "A condition on groups: `total.gte.100`, `count().gt.5`, \
            `(total.gte.100,or(n.lt.5,n.gt.9))`. Needs an aggregate in `select`.", json!({ "type": "string", "minLength": 1 })),
        "and": query("and", "Conditions that must all hold: `(a.gte.1,or(b.eq.x,c.is.null))`. May be repeated.", tree.clone()),
        "or": query("or", "Conditions of which one must hold: `(a.gte.1,b.eq.x)`. May be repeated.", tree.clone()),
        "not.and": query("not.and", "Conditions that must not all hold. May be repeated.", tree.clone()),
        "not.or": query("not.or", "Conditions of which none must hold. May be repeated.", tree),
        "format": query("format", "How the rows are written; beats `Accept`.",
            json!({ "type": "string", "enum": Format::ALL.map(Format::name) })),
        "raw": query("raw", "CSV without the apostrophe that keeps spreadsheets from taking texts for formulas. Only with \
            `format=csv`.", flag.clone()),
        "explain": query("explain", "How the answer is come by, instead of the answer.", flag),
        "select": query("select", "What to answer with, separated by commas: columns, with another name (`total:amount`) or \
            type (`amount::text`) if need be, `*` for all, and aggregates: `count()`, `amount.sum()`, `avg`, `min`, `max`, \
            `median`, `count_distinct`. With an aggregate, the columns without one make the groups.", text.clone()),
        "order": query("order", "What to sort by, separated by commas: `column`, `column.desc`, `column.asc.nullsfirst`; of \
            groups, the names of the answer's columns or `amount.sum().desc`.", text.clone()),
        "columns": query("columns", "The columns whose values are counted, separated by commas.",
            json!({ "type": "string", "minLength": 1 })),
        "Prefer": header("Prefer", "`count=exact` or `count=estimated` (RFC 7240): how many rows there are in all is told in \
            `Content-Range`. `timing`: `Server-Timing` tells what the answer took. Other preferences are ignored.", text.clone()),
        "If-None-Match": header("If-None-Match", "ETags of answers that the client has: 304 if one of them is still right.", text),
    })
}

/// The parameters of the rows of a dataset, or of any dataset.
pub(super) fn of_rows(dataset: Option<&Dataset>) -> Vec<Value> {
    let mut parameters = dataset.map_or_else(|| vec![path_name()], |dataset| filters(dataset, &OF_ROWS));
    match dataset {
        Some(dataset) => parameters.extend(shaped_by(dataset)),
        None => parameters.extend(["select", "order"].map(shared)),
    }
    parameters.extend(["distinct", "having", "limit", "offset", "cursor"].map(shared));
    parameters.extend(trees(dataset));
    parameters.extend(["format", "raw", "explain", "Prefer", "If-None-Match"].map(shared));
    parameters
}

/// The parameters of the facets of a dataset, or of any dataset.
pub(super) fn of_facets(dataset: Option<&Dataset>) -> Vec<Value> {
    let mut parameters = match dataset {
        Some(dataset) => vec![columns(dataset), shared("facets.limit")],
        None => vec![path_name(), required(&components(0)[COLUMNS]), shared("facets.limit")],
    };
    if let Some(dataset) = dataset {
        parameters.extend(filters(dataset, &[&OF_ROWS[..], &[COLUMNS]].concat()));
    }
    parameters.extend(trees(dataset));
    parameters.push(shared("If-None-Match"));
    parameters
}

/// The parameters of a query as JSON.
pub(super) fn of_query(dataset: Option<&Dataset>) -> Vec<Value> {
    let mut parameters = if dataset.is_none() { vec![path_name()] } else { Vec::new() };
    parameters.push(shared("Prefer"));
    parameters
}

/// A column's name as it stands in conditions and lists.
pub(super) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(plain) && !matches!(name, "and" | "or" | "not") {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The columns that groups can be made by.
pub(super) fn grouping(dataset: &Dataset) -> impl Iterator<Item = &Field> {
    let fields = dataset.schema.fields().iter().map(|field| &**field);
    fields.filter(|field| aggregates_of(field.data_type()).contains(&"count_distinct"))
}

/// The columns of which groups and facets tell most: few values, many rows of each.
pub(super) fn telling(dataset: &Dataset) -> Vec<String> {
    let few = |field: &&Field| matches!(types::values(field.data_type()), Values::Text | Values::Truth);
    let (few, many): (Vec<&Field>, Vec<&Field>) = grouping(dataset).partition(few);
    few.into_iter().chain(many).map(|field| quoted(field.name())).collect()
}

/// The columns that no parameter of the rows is named after, as it means something else.
pub(super) fn hidden(dataset: &Dataset) -> impl Iterator<Item = &str> {
    dataset.schema.fields().iter().map(|field| field.name().as_str()).filter(|name| OF_ROWS.contains(name))
}

/// One parameter for each column whose name is free.
fn filters(dataset: &Dataset, reserved: &[&str]) -> Vec<Value> {
    let fields = dataset.schema.fields().iter().filter(|field| !reserved.contains(&field.name().as_str()));
    fields.map(|field| filter(field)).collect()
}

fn filter(field: &Field) -> Value {
    let metadata = |key: &str| field.metadata().get(key).map(String::as_str);
    let example = types::example_filter(field.data_type());
    let about = metadata("description").map(|text| format!("{text}. ")).unwrap_or_default();
    let unit = metadata("unit").map(|unit| format!(" in {unit}")).unwrap_or_default();
    let kind = types::in_words(field.data_type());
    let operators = operators_of(field.data_type()).join(", ");
    let description = format!(
        "{about}A filter on {kind}{unit}: `operator.value`, such as `{example}`. Operators: {operators}; `not.` negates. May \
         be repeated."
    );
    let schema = json!({ "type": "string", "pattern": pattern::filter(field.data_type()), "examples": [example] });
    query(field.name(), &description, schema)
}

/// `select` and `order` with columns of the dataset for examples. All examples work alone and together.
fn shaped_by(dataset: &Dataset) -> Vec<Value> {
    let names: Vec<String> = dataset.schema.fields().iter().map(|field| quoted(field.name())).collect();
    let components = components(0);
    let (mut select, mut order) = (components["select"].clone(), components["order"].clone());
    let mut examples = json!({
        "columns": { "summary": "Some columns", "value": names.iter().take(3).cloned().collect::<Vec<_>>().join(",") },
    });
    if let Some(key) = telling(dataset).first() {
        examples["columns"]["value"] = json!(with_first(key, &names));
        examples["groups"] =
            json!({ "summary": "How many rows each group has", "value": format!("{key},how_many:count()") });
        order["example"] = json!(format!("{key}.desc"));
    }
    if !names.is_empty() {
        select["examples"] = examples;
    }
    vec![select, order]
}

fn with_first(key: &str, names: &[String]) -> String {
    let others = names.iter().map(String::as_str).filter(|name| *name != key);
    std::iter::once(key).chain(others).take(3).collect::<Vec<_>>().join(",")
}

/// `and`, `or` and their negations, with conditions on columns of the dataset.
fn trees(dataset: Option<&Dataset>) -> Vec<Value> {
    let mut trees: Vec<Value> = ["and", "or", "not.and", "not.or"].map(shared).to_vec();
    let Some(field) = dataset.and_then(|dataset| dataset.schema.fields().first()) else { return trees };
    let components = components(0);
    let name = quoted(field.name());
    let condition = format!("{name}.{}", types::example_filter(field.data_type()));
    for (at, example) in
        [(0, format!("({condition},{name}.not.is.null)")), (1, format!("({condition},{name}.is.null)"))]
    {
        let key = ["and", "or"][at];
        trees[at] = components[key].clone();
        trees[at]["schema"]["examples"] = json!([example]);
    }
    trees
}

/// The columns of facets, as a list of names.
fn columns(dataset: &Dataset) -> Value {
    let names: Vec<String> = grouping(dataset).map(|field| quoted(field.name())).collect();
    let example: Vec<String> = telling(dataset).into_iter().take(2).collect();
    json!({
        "name": COLUMNS,
        "in": "query",
        "required": true,
        "description": "The columns whose values are counted.",
        "style": "form",
        "explode": false,
        "example": example,
        "schema": {
            "type": "array",
            "items": { "type": "string", "enum": names },
            "minItems": 1,
            "maxItems": MAX_FACETS,
            "uniqueItems": true,
        },
    })
}

fn path_name() -> Value {
    json!({
        "name": "name",
        "in": "path",
        "required": true,
        "description": "The dataset",
        "schema": { "type": "string", "minLength": 1 },
    })
}

fn required(parameter: &Value) -> Value {
    let mut parameter = parameter.clone();
    parameter["required"] = json!(true);
    parameter
}

fn shared(component: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{component}") })
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn header(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema })
}
