//! The plain answer to a question: row by row, value by value, in three-valued logic.
//!
//! It knows no index, kernel, batch or canonical form. What it takes for right:
//! a comparison with null is unknown; NaN equals NaN and is greater than every number; -0 equals 0;
//! strings compare by their bytes; rows that sort alike keep the table's order; nulls come last in
//! ascending and first in descending order unless the question says otherwise.

use std::cmp::Ordering;

use crate::cell::{Cell, Kind, Table};
use crate::literal::parse;
use crate::question::{Condition, Order, Question};

/// The indexes of the rows that answer a question, in order.
pub fn answer(table: &Table, question: &Question) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..table.rows)
        .filter(|&row| question.conditions.iter().all(|condition| holds(table, condition, row) == Some(true)))
        .collect();
    rows.sort_by(|&a, &b| {
        let keys = question.order.iter().map(|order| sort_order(table, order, a, b));
        keys.fold(Ordering::Equal, Ordering::then)
    });
    rows.into_iter().skip(question.offset).take(question.limit.unwrap_or(usize::MAX)).collect()
}

fn sort_order(table: &Table, order: &Order, a: usize, b: usize) -> Ordering {
    let cells = &table.column(&order.column).cells;
    let nulls_first = order.nulls_first.unwrap_or(order.descending);
    match (&cells[a], &cells[b]) {
        (Cell::Null, Cell::Null) => Ordering::Equal,
        (Cell::Null, _) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (_, Cell::Null) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (a, b) => {
            let ordering = compare(a, b).expect("values of one column compare");
            if order.descending { ordering.reverse() } else { ordering }
        }
    }
}

/// Whether a condition holds in a row; `None` is unknown.
pub fn holds(table: &Table, condition: &Condition, row: usize) -> Option<bool> {
    match condition {
        Condition::Not(inner) => holds(table, inner, row).map(|value| !value),
        Condition::And(parts) => fold(parts.iter().map(|part| holds(table, part, row)), false),
        Condition::Or(parts) => fold(parts.iter().map(|part| holds(table, part, row)), true),
        Condition::Test { column, operator, values } => {
            let column = table.column(column);
            test(column.kind, &column.cells[row], operator, values)
        }
    }
}

/// `decisive` if any part is, else unknown if any part is, else the opposite.
fn fold(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.collect();
    if parts.contains(&Some(decisive)) {
        Some(decisive)
    } else if parts.contains(&None) {
        None
    } else {
        Some(!decisive)
    }
}

fn test(kind: Kind, cell: &Cell, operator: &str, values: &[String]) -> Option<bool> {
    let value = values.first().map_or("", String::as_str);
    if operator == "is" {
        return Some(match value {
            "null" | "unknown" => *cell == Cell::Null,
            "not_null" => *cell != Cell::Null,
            "true" => *cell == Cell::Bool(true),
            "false" => *cell == Cell::Bool(false),
            other => panic!("is.{other} is no test"),
        });
    }
    if *cell == Cell::Null {
        return None;
    }
    if operator == "in" {
        return Some(values.iter().any(|value| against(kind, cell, value) == Ordering::Equal));
    }
    if let "like" | "ilike" = operator {
        let Cell::Text(text) = cell else { panic!("only strings are like something") };
        return Some(if operator == "like" {
            like(text, value)
        } else {
            like(&text.to_lowercase(), &value.to_lowercase())
        });
    }
    let ordering = against(kind, cell, value);
    Some(match operator {
        "eq" => ordering.is_eq(),
        "neq" => ordering.is_ne(),
        "gt" => ordering.is_gt(),
        "gte" => ordering.is_ge(),
        "lt" => ordering.is_lt(),
        "lte" => ordering.is_le(),
        other => panic!("{other} is no operator"),
    })
}

fn against(kind: Kind, cell: &Cell, text: &str) -> Ordering {
    let value = parse(kind, text).unwrap_or_else(|| panic!("'{text}' is no {kind:?}"));
    compare(cell, &value).unwrap_or_else(|| panic!("{cell:?} and {value:?} do not compare"))
}

/// The order of two values that are not null; `None` when they are of different kinds.
pub fn compare(a: &Cell, b: &Cell) -> Option<Ordering> {
    Some(match (a, b) {
        (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
        (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
        (Cell::Float(a), Cell::Float(b)) => match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => a.partial_cmp(b)?,
        },
        (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
        (Cell::Day(a), Cell::Day(b)) => a.cmp(b),
        (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
        (Cell::Instant(a), Cell::Instant(b)) => a.cmp(b),
        (Cell::Decimal { unscaled: a, scale: x }, Cell::Decimal { unscaled: b, scale: y }) => {
            let to = (*x).max(*y);
            // A number too long for this scale is farther from zero than any of the column's.
            let scaled = |n: i128, scale: u32| 10_i128.checked_pow(to - scale).and_then(|ten| n.checked_mul(ten));
            match (scaled(*a, *x), scaled(*b, *y)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => 0.cmp(b),
                (None, Some(_)) => a.cmp(&0),
                (None, None) => return None,
            }
        }
        _ => return None,
    })
}

/// SQL's LIKE with `*` as another `%` and a backslash that takes the next character as it is.
fn like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%' | '*', rest @ ..] => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
            ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
            ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && matches(&text[1..], rest),
        }
    }
    matches(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::{answer, compare, like};
    use crate::cell::{Cell, Column, Kind, Table};
    use crate::question::{Condition, Question};

    #[test]
    fn like_matches_whole_strings() {
        for (text, pattern, expected) in [
            ("Texas", "T*s", true),
            ("Texas", "t*", false),
            ("Texas", "%x%", true),
            ("Texas", "Te_as", true),
            ("Texas", "Texa", false),
            ("a%b", "a\\%b", true),
            ("acb", "a\\%b", false),
            ("", "*", true),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn unknown_is_neither_true_nor_false() {
        let column = Column {
            name: "a".into(),
            kind: Kind::Int { low: 0, high: 9 },
            cells: vec![Cell::Int(1), Cell::Null, Cell::Int(2)],
        };
        let table = Table { columns: vec![column], rows: 3 };
        let ask = |condition| answer(&table, &Question { conditions: vec![condition], ..Question::default() });
        let one = Condition::test("a", "eq", &["1"]);
        assert_eq!(ask(one.clone()), [0]);
        assert_eq!(ask(one.clone().negated()), [2]);
        assert_eq!(ask(Condition::Or(vec![one, Condition::test("a", "is", &["null"])])), [0, 1]);
    }

    #[test]
    fn decimals_of_different_scales_compare_by_value() {
        let decimal = |unscaled, scale| Cell::Decimal { unscaled, scale };
        assert!(compare(&decimal(100, 2), &decimal(1, 0)).is_some_and(|o| o.is_eq()));
        assert!(compare(&decimal(101, 2), &decimal(1_005, 3)).is_some_and(|o| o.is_gt()));
        assert!(compare(&decimal(-5, 2), &decimal(0, 0)).is_some_and(|o| o.is_lt()));
    }
}
