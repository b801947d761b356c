//! An untyped [`Query`] back to URL parameters that [`Query::from_params`] reads as the same query.

use super::params::encode_onto;
use super::select::SelectItem;
use super::{Condition, Direction, Expr, Nulls, Operand, Quantifier, Query, Test, Truth, array};

impl Query {
    /// The query as a percent-encoded query string, without a question mark; empty for the whole dataset.
    pub fn to_params(&self) -> String {
        let mut out = String::new();
        if let Some(items) = &self.select {
            let mut text = String::new();
            join(&mut text, items, push_item);
            push_pair(&mut out, "select", &text);
        }
        if self.distinct {
            push_pair(&mut out, "distinct", "true");
        }
        if let Some(filter) = &self.filter {
            let (name, text) = parameter(filter);
            push_pair(&mut out, name, &text);
        }
        if let Some(having) = &self.having {
            let mut text = String::new();
            match having {
                Expr::And(items) => push_items(&mut text, items),
                single => push_expr(&mut text, single),
            }
            push_pair(&mut out, "having", &text);
        }
        if !self.order.is_empty() {
            let mut text = String::new();
            join(&mut text, &self.order, |text, key| {
                push_operand(text, &key.column);
                text.push_str(if key.direction == Direction::Desc { ".desc" } else { ".asc" });
                match key.nulls {
                    Some(Nulls::First) => text.push_str(".nullsfirst"),
                    Some(Nulls::Last) => text.push_str(".nullslast"),
                    None => {}
                }
            });
            push_pair(&mut out, "order", &text);
        }
        if let Some(limit) = self.limit {
            push_pair(&mut out, "limit", &limit.to_string());
        }
        if self.offset > 0 {
            push_pair(&mut out, "offset", &self.offset.to_string());
        }
        if let Some(cursor) = &self.cursor {
            push_pair(&mut out, "cursor", cursor);
        }
        out
    }
}

/// The parameter's name and its decoded value.
fn parameter(filter: &Expr) -> (&'static str, String) {
    let mut text = String::new();
    let name = match filter {
        Expr::And(items) => {
            push_items(&mut text, items);
            "and"
        }
        Expr::Or(items) => {
            push_items(&mut text, items);
            "or"
        }
        Expr::Not(inner) => match &**inner {
            Expr::Compare(_) => {
                push_items(&mut text, std::slice::from_ref(filter));
                "and"
            }
            Expr::Or(items) => {
                push_items(&mut text, items);
                "not.or"
            }
            Expr::And(items) => {
                push_items(&mut text, items);
                "not.and"
            }
            other @ Expr::Not(_) => {
                push_items(&mut text, std::slice::from_ref(other));
                "not.and"
            }
        },
        Expr::Compare(_) => {
            push_items(&mut text, std::slice::from_ref(filter));
            "and"
        }
    };
    (name, text)
}

fn push_items(text: &mut String, items: &[Expr]) {
    text.push('(');
    join(text, items, push_expr);
    text.push(')');
}

/// Appends an expression as it stands in a logic tree.
pub(super) fn push_expr(text: &mut String, expr: &Expr) {
    match expr {
        Expr::Compare(condition) => push_condition(text, "", condition),
        Expr::Not(inner) if let Expr::Compare(condition) = &**inner => push_condition(text, "not.", condition),
        other => {
            let (name, items) = parameter(other);
            text.push_str(name);
            text.push_str(&items);
        }
    }
}

fn push_condition(text: &mut String, negation: &str, Condition { column, test }: &Condition) {
    push_operand(text, column);
    text.push('.');
    text.push_str(negation);
    match test {
        Test::Compare(comparison, value) => push_single(text, super::Single::Compare(*comparison).name(), value),
        Test::Like(pattern) => push_single(text, "like", pattern),
        Test::ILike(pattern) => push_single(text, "ilike", pattern),
        Test::Match(pattern) => push_single(text, "match", pattern),
        Test::IMatch(pattern) => push_single(text, "imatch", pattern),
        Test::IsDistinct(value) => push_single(text, "isdistinct", value),
        Test::Each(quantifier, single, values) => {
            text.push_str(single.name());
            text.push_str(if *quantifier == Quantifier::Any { "(any)." } else { "(all)." });
            array::push(text, values);
        }
        Test::In(values) => {
            text.push_str("in.(");
            join(text, values, |text, value| push_value(text, value));
            text.push(')');
        }
        Test::Is(truth) => text.push_str(match truth {
            Truth::Null => "is.null",
            Truth::NotNull => "is.not_null",
            Truth::True => "is.true",
            Truth::False => "is.false",
            Truth::Unknown => "is.unknown",
        }),
    }
}

fn push_single(text: &mut String, operator: &str, value: &str) {
    text.push_str(operator);
    text.push('.');
    push_value(text, value);
}

fn push_item(text: &mut String, item: &SelectItem) {
    let (alias, cast) = match item {
        SelectItem::All => return text.push('*'),
        SelectItem::Column { alias, cast, .. } | SelectItem::Aggregate { alias, cast, .. } => (alias, cast),
    };
    if let Some(alias) = alias {
        push_name(text, alias);
        text.push(':');
    }
    match item {
        SelectItem::Aggregate { call, .. } => text.push_str(&call.text()),
        SelectItem::Column { column, .. } => push_name(text, column),
        SelectItem::All => {}
    }
    if let Some(cast) = cast {
        text.push_str("::");
        text.push_str(&cast.name());
    }
}

fn push_operand(text: &mut String, operand: &Operand) {
    match operand {
        Operand::Column(name) => push_name(text, name),
        Operand::Aggregate(call) => text.push_str(&call.text()),
    }
}

/// Appends a name, in quotes where the grammar needs them.
pub(super) fn push_name(text: &mut String, name: &str) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    // "not" and its like are fine as names, for a parenthesis or a second part has to follow a keyword.
    push_quoted_unless(!name.is_empty() && name.chars().all(plain), text, name);
}

fn push_value(text: &mut String, value: &str) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '*' | '%' | '+' | '/' | '@');
    push_quoted_unless(!value.is_empty() && value.chars().all(plain), text, value);
}

fn push_quoted_unless(plain: bool, text: &mut String, value: &str) {
    if plain {
        text.push_str(value);
        return;
    }
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

fn join<T>(text: &mut String, items: &[T], mut push: impl FnMut(&mut String, &T)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        push(text, item);
    }
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    out.push_str(name);
    out.push('=');
    encode_onto(out, value);
}
