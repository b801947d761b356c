//! Trees of conditions as JSON: `{"and": [..]}`, `{"or": [..]}`, `{"not": ..}` and `{"column", "op", "value"}`, or the text of
//! one as in a URL, at every level.

use arrow::datatypes::DataType;
use pipeline::Dataset;
use pipeline::query::operators_of;
use serde_json::{Map, Value, json};

use super::pattern::EACH;
use super::types::{self, Values};

/// The schema of a tree, which refers to itself as `component`; on any columns if there is no dataset.
pub(super) fn tree(dataset: Option<&Dataset>, component: &str) -> Value {
    let this = json!({ "$ref": format!("#/components/schemas/{component}") });
    let list = json!({ "type": "array", "items": this, "minItems": 1 });
    let mut either = vec![
        json!({ "type": "string", "description": "The text that the URL has, as in `year.gte.2020` or `(a.gte.1,or(b.eq.x,c.is.null))`" }),
        object(&[("and", list.clone())]),
        object(&[("or", list)]),
        object(&[("not", this)]),
    ];
    match dataset {
        None => either.extend(tests(
            &json!({ "type": "string" }),
            &DataType::Utf8,
            &scalar(&["string", "number", "boolean"]),
        )),
        Some(dataset) => {
            for (columns, data_type) in alike(dataset) {
                either.extend(tests(&json!({ "enum": columns }), data_type, &value(data_type)));
            }
        }
    }
    json!({ "description": "A tree of conditions", "anyOf": either })
}

/// The columns, those together that the same can be asked of.
fn alike(dataset: &Dataset) -> Vec<(Vec<&str>, &DataType)> {
    let mut groups: Vec<(Vec<&str>, &DataType)> = Vec::new();
    for field in dataset.schema.fields() {
        let data_type = field.data_type();
        let same =
            |other: &DataType| value(other) == value(data_type) && operators_of(other) == operators_of(data_type);
        match groups.iter_mut().find(|(_, other)| same(other)) {
            Some((columns, _)) => columns.push(field.name()),
            None => groups.push((vec![field.name()], data_type)),
        }
    }
    groups
}

/// The conditions on columns of a type.
fn tests(column: &Value, data_type: &DataType, value: &Value) -> Vec<Value> {
    let operators = operators_of(data_type);
    let single: Vec<&str> =
        operators.iter().copied().filter(|name| !matches!(*name, "in" | "is" | "isdistinct")).collect();
    let each: Vec<&str> = EACH.into_iter().filter(|name| operators.contains(name)).collect();
    let list = json!({ "type": "array", "items": value });
    let mut or_null = value.clone();
    if let Some(kinds) = or_null["type"].as_array_mut() {
        kinds.push(json!("null"));
    }
    let words = json!([null, true, false, "null", "not_null", "true", "false", "unknown"]);
    let test = |names: &[&str], member: &str, value: Value| {
        object(&[("column", column.clone()), ("op", operator(&names.join("|"))), (member, value)])
    };
    let mut tests = vec![test(&["is"], "value", json!({ "enum": words }))];
    if !single.is_empty() {
        tests.push(test(&single, "value", value.clone()));
        tests.push(test(&["isdistinct"], "value", or_null));
        tests.push(test(&["in", &format!(r"({})\((any|all)\)", each.join("|"))], "value", list.clone()));
        tests.push(test(&each, "any", list.clone()));
        tests.push(test(&each, "all", list));
    }
    tests
}

fn operator(names: &str) -> Value {
    json!({ "type": "string", "pattern": format!(r"^(not\.)?({names})$") })
}

/// An object with these members, all of them.
fn object(members: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let properties: Map<_, _> = members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// What columns of a type are compared with.
fn value(data_type: &DataType) -> Value {
    scalar(match types::values(data_type) {
        Values::Whole | Values::Decimal | Values::Float => &["number", "string"],
        Values::Truth => &["boolean", "string", "integer"],
        _ => &["string"],
    })
}

fn scalar(kinds: &[&str]) -> Value {
    json!({ "type": kinds })
}
