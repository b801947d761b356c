//! The plain answer to a question: row by row, value by value, in three-valued logic.
//!
//! It knows no index, kernel, batch or canonical form. What it takes for right:
//! a comparison with null is unknown; NaN equals NaN and is greater than every number; -0 equals 0;
//! strings compare by their bytes; rows that sort alike keep the table's order; nulls come last in
//! ascending and first in descending order unless the question says otherwise.

use std::cmp::Ordering;

use crate::cell::{Cell, Kind, Table};
use crate::item::Item;
use crate::literal::parse;
use crate::pattern;
use crate::question::{Condition, Order, Question};
use crate::stage::{self, Refused};

/// The indexes of the rows that answer a question without groups, in order.
pub fn answer(table: &Table, question: &Question) -> Vec<usize> {
    let rows = fulfilling(table, &question.conditions);
    window(table, rows, &question.order, question)
}

/// The rows that answer any question that selects columns by name.
///
/// # Errors
/// The code of the problem, when a value cannot be cast or a sum does not fit.
pub fn rows(table: &Table, question: &Question) -> Result<Table, Refused> {
    if !question.distinct && question.select.iter().all(|item| item.function.is_none()) {
        let plain = |order: &Order| Order { column: behind(&question.select, &order.column), ..order.clone() };
        let order: Vec<Order> = question.order.iter().map(plain).collect();
        let rows = window(table, fulfilling(table, &question.conditions), &order, question);
        return projected(table, &rows, &question.select);
    }
    let hidden: Vec<Item> = expressions(question).iter().filter_map(|text| aggregate(text)).collect();
    let groups = stage::group(table, &fulfilling(table, &question.conditions), &question.select, &hidden)?;
    let kept = window(&groups, fulfilling(&groups, &question.having), &question.order, question);
    let names: Vec<Item> = question.select.iter().map(|item| Item::column(item.name())).collect();
    projected(&groups, &kept, &names)
}

fn projected(table: &Table, rows: &[usize], items: &[Item]) -> Result<Table, Refused> {
    let columns = items.iter().map(|item| stage::project(table, rows, item));
    Ok(Table { columns: columns.collect::<Result<_, _>>()?, rows: rows.len() })
}

/// The column that a name of the answer stands for.
fn behind(select: &[Item], name: &str) -> String {
    let named = select.iter().find(|item| item.alias.as_deref() == Some(name) && item.cast.is_none());
    named.and_then(|item| item.column.clone()).unwrap_or_else(|| name.to_owned())
}

/// What groups are ordered by and asked for.
fn expressions(question: &Question) -> Vec<String> {
    fn of(condition: &Condition, found: &mut Vec<String>) {
        match condition {
            Condition::Test { column, .. } => found.push(column.clone()),
            Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| of(part, found)),
            Condition::Not(inner) => of(inner, found),
        }
    }
    let mut found: Vec<String> = question.order.iter().map(|order| order.column.clone()).collect();
    question.having.iter().for_each(|condition| of(condition, &mut found));
    found.sort();
    found.dedup();
    found
}

/// Reads `column.function()`; `None` for a name.
fn aggregate(text: &str) -> Option<Item> {
    const FUNCTIONS: [&str; 7] = ["count_distinct", "count", "sum", "avg", "min", "max", "median"];
    let call = text.strip_suffix("()")?;
    let (column, function) = call.rsplit_once('.').map_or((None, call), |(column, function)| (Some(column), function));
    let function = FUNCTIONS.into_iter().find(|known| *known == function).expect("a function");
    Some(Item::aggregate(function, column))
}

fn fulfilling(table: &Table, conditions: &[Condition]) -> Vec<usize> {
    let fulfils = |&row: &usize| conditions.iter().all(|condition| holds(table, condition, row) == Some(true));
    (0..table.rows).filter(fulfils).collect()
}

fn window(table: &Table, mut rows: Vec<usize>, order: &[Order], question: &Question) -> Vec<usize> {
    rows.sort_by(|&a, &b| {
        let keys = order.iter().map(|order| sort_order(table, order, a, b));
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
    if operator == "isdistinct" {
        return Some(*cell == Cell::Null || against(kind, cell, value) != Ordering::Equal);
    }
    if let Some((operator, quantifier)) = operator.split_once('(') {
        let each = values.iter().map(|value| test(kind, cell, operator, std::slice::from_ref(value)));
        return fold(each, quantifier == "any)");
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
            pattern::like(text, value)
        } else {
            pattern::like(&text.to_lowercase(), &value.to_lowercase())
        });
    }
    if let "match" | "imatch" = operator {
        let Cell::Text(text) = cell else { panic!("only strings match something") };
        return Some(if operator == "match" {
            pattern::found(text, value)
        } else {
            pattern::found(&text.to_lowercase(), &value.to_lowercase())
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

#[cfg(test)]
mod tests {
    use super::{answer, compare};
    use crate::cell::{Cell, Column, Kind, Table};
    use crate::question::{Condition, Question};

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
