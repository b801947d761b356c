//! A question as the JSON document that is posted, with values of JSON's own types where it has them.

use serde_json::{Map, Value, json};

use crate::cell::{Kind, Table};
use crate::item::Item;
use crate::question::{Condition, Order, Question};

/// The document that asks what the URL of the question asks.
pub fn document(question: &Question, table: &Table) -> Value {
    let mut document = Map::new();
    if !question.select.is_empty() {
        document.insert("select".into(), question.select.iter().map(Item::text).collect());
    }
    if question.distinct {
        document.insert("distinct".into(), json!(true));
    }
    let kind = |name: &str| table.columns.iter().find(|column| column.name == name).map(|column| column.kind);
    if let Some(tree) = all(&question.conditions, &kind) {
        document.insert("where".into(), tree);
    }
    // What groups are asked for here are whole numbers.
    let whole = |_: &str| Some(Kind::Int { low: i128::MIN, high: i128::MAX });
    if let Some(tree) = all(&question.having, &whole) {
        document.insert("having".into(), tree);
    }
    if !question.order.is_empty() {
        document.insert("order".into(), question.order.iter().map(Order::text).collect());
    }
    if let Some(limit) = question.limit {
        document.insert("limit".into(), json!(limit));
    }
    if question.offset > 0 {
        document.insert("offset".into(), json!(question.offset));
    }
    Value::Object(document)
}

fn all(conditions: &[Condition], kind: &impl Fn(&str) -> Option<Kind>) -> Option<Value> {
    match conditions {
        [] => None,
        [only] => Some(tree(only, kind)),
        many => Some(json!({"and": many.iter().map(|part| tree(part, kind)).collect::<Vec<_>>()})),
    }
}

fn tree(condition: &Condition, kind: &impl Fn(&str) -> Option<Kind>) -> Value {
    let trees = |parts: &[Condition]| parts.iter().map(|part| tree(part, kind)).collect::<Vec<_>>();
    match condition {
        Condition::And(parts) => json!({"and": trees(parts)}),
        Condition::Or(parts) => json!({"or": trees(parts)}),
        Condition::Not(inner) => json!({"not": tree(inner, kind)}),
        Condition::Test { column, operator, values } => {
            let typed: Vec<Value> = values.iter().map(|value| typed(kind(column), value)).collect();
            match operator.split_once('(') {
                Some((operator, quantifier)) => {
                    json!({"column": column, "op": operator, quantifier.trim_end_matches(')'): typed})
                }
                None if *operator == "in" => json!({"column": column, "op": "in", "value": typed}),
                None if *operator == "is" => json!({"column": column, "op": "is", "value": truth(&values[0])}),
                None => json!({"column": column, "op": operator, "value": typed[0]}),
            }
        }
    }
}

fn truth(word: &str) -> Value {
    match word {
        "null" => Value::Null,
        "true" => json!(true),
        "false" => json!(false),
        word => json!(word),
    }
}

/// Numbers and truths of JSON where it has them; everything else is text.
fn typed(kind: Option<Kind>, text: &str) -> Value {
    let read = match kind {
        Some(Kind::Int { .. } | Kind::Bool | Kind::Float64) => serde_json::from_str(text).ok(),
        _ => None,
    };
    read.unwrap_or_else(|| json!(text))
}
