//! Rows made of rows, the plain way: casts, groups in order of first appearance, and every aggregate by its definition.

use std::cmp::Ordering;

use crate::cell::{Cell, Column, Kind, Table};
use crate::item::{Cast, Item};
use crate::literal::render;
use crate::oracle::compare;

/// Why there are no rows: the code of the problem.
pub type Refused = &'static str;

/// A value as another type.
///
/// # Errors
/// When the type does not hold it.
pub fn cast(cell: &Cell, to: Cast) -> Result<Cell, Refused> {
    Ok(match (to, cell) {
        (_, Cell::Null) => Cell::Null,
        (Cast::Text, Cell::Int(_) | Cell::Bool(_) | Cell::Decimal { .. } | Cell::Text(_)) => {
            Cell::Text(render(cell, false))
        }
        (Cast::Float8, Cell::Int(number)) => Cell::Float(*number as f64),
        (Cast::Float8, Cell::Float(number)) => Cell::Float(*number),
        (Cast::Int2 | Cast::Int4 | Cast::Int8, Cell::Int(number)) => {
            let Kind::Int { low, high } = to.kind() else { unreachable!("a type of whole numbers") };
            if *number < low || *number > high {
                return Err("bad_cast");
            }
            Cell::Int(*number)
        }
        _ => panic!("the oracle does not cast {cell:?} to {}", to.name()),
    })
}

/// A column of some rows of a table, cast and named as an item says.
///
/// # Errors
/// When a value cannot be cast.
pub fn project(table: &Table, rows: &[usize], item: &Item) -> Result<Column, Refused> {
    let column = table.column(item.column.as_deref().expect("a column"));
    let cells = rows.iter().map(|&row| match item.cast {
        Some(to) => cast(&column.cells[row], to),
        None => Ok(column.cells[row].clone()),
    });
    let kind = item.cast.map_or(column.kind, Cast::kind);
    Ok(Column { name: item.name().to_owned(), kind, cells: cells.collect::<Result<_, _>>()? })
}

/// One row of each group of `rows`: the items without a function are the key. `hidden` are aggregates that are asked for
/// beside the answer, under their expressions.
///
/// # Errors
/// When a value cannot be cast, or a sum does not fit.
pub fn group(table: &Table, rows: &[usize], items: &[Item], hidden: &[Item]) -> Result<Table, Refused> {
    let keys = items.iter().filter(|item| item.function.is_none());
    let keys: Vec<Column> = keys.map(|item| project(table, rows, item)).collect::<Result<_, _>>()?;
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for at in 0..rows.len() {
        let same = |group: &&mut Vec<usize>| keys.iter().all(|key| is_same(&key.cells[at], &key.cells[group[0]]));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    if keys.is_empty() && groups.is_empty() {
        groups.push(Vec::new());
    }
    let mut keys = keys.into_iter();
    let mut columns = Vec::new();
    for item in items {
        columns.push(match item.function {
            None => {
                let key = keys.next().expect("a key for each item without a function");
                let cells = groups.iter().map(|group| key.cells[group[0]].clone()).collect();
                Column { cells, ..key }
            }
            Some(_) => aggregated(table, rows, &groups, item, item.name())?,
        });
    }
    for item in hidden {
        columns.push(aggregated(table, rows, &groups, item, &item.expression())?);
    }
    Ok(Table { columns, rows: groups.len() })
}

/// Whether two values are one as a key.
fn is_same(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Null, Cell::Null) => true,
        (Cell::Null, _) | (_, Cell::Null) => false,
        (a, b) => compare(a, b) == Some(Ordering::Equal),
    }
}

fn aggregated(
    table: &Table,
    rows: &[usize],
    groups: &[Vec<usize>],
    item: &Item,
    name: &str,
) -> Result<Column, Refused> {
    let function = item.function.expect("an aggregate");
    let named = |kind, cells| Column { name: name.to_owned(), kind, cells };
    let whole = Kind::Int { low: i64::MIN.into(), high: i64::MAX.into() };
    if item.column.is_none() {
        return Ok(named(whole, groups.iter().map(|group| Cell::Int(group.len() as i128)).collect()));
    }
    let column = project(table, rows, item)?;
    let kind = match (function, column.kind) {
        ("count" | "count_distinct", _) => whole,
        ("sum", Kind::Int { low: 0, .. }) => Kind::Int { low: 0, high: u64::MAX.into() },
        ("sum", Kind::Int { .. }) => whole,
        ("sum", Kind::Float32) | ("avg" | "median", _) => Kind::Float64,
        (_, kind) => kind,
    };
    let values = groups.iter().map(|group| {
        let present = group.iter().map(|&at| &column.cells[at]).filter(|cell| **cell != Cell::Null);
        value(function, kind, present.collect())
    });
    Ok(named(kind, values.collect::<Result<_, _>>()?))
}

/// One value of many, none of them null.
fn value(function: &str, kind: Kind, mut cells: Vec<&Cell>) -> Result<Cell, Refused> {
    let order = |a: &&Cell, b: &&Cell| compare(a, b).expect("values of one column compare");
    match function {
        "count" => return Ok(Cell::Int(cells.len() as i128)),
        "count_distinct" => {
            cells.sort_by(order);
            cells.dedup_by(|a, b| order(a, b).is_eq());
            return Ok(Cell::Int(cells.len() as i128));
        }
        _ if cells.is_empty() => return Ok(Cell::Null),
        _ => {}
    }
    Ok(match function {
        "min" => cells.iter().min_by(|a, b| order(a, b)).copied().cloned().expect("a value"),
        "max" => cells.iter().max_by(|a, b| order(a, b)).copied().cloned().expect("a value"),
        "sum" => sum(kind, &cells)?,
        "avg" => Cell::Float(mean(&cells)),
        "median" => {
            cells.sort_by(order);
            let middle = cells.len() / 2;
            Cell::Float(mean(if cells.len() % 2 == 1 { &cells[middle..=middle] } else { &cells[middle - 1..=middle] }))
        }
        other => panic!("{other} is no aggregate"),
    })
}

fn sum(kind: Kind, cells: &[&Cell]) -> Result<Cell, Refused> {
    let whole = |cell: &&Cell| match cell {
        Cell::Int(number) | Cell::Decimal { unscaled: number, .. } => *number,
        other => panic!("{other:?} is no whole number"),
    };
    Ok(match kind {
        Kind::Int { low, high } => {
            let sum: i128 = cells.iter().map(whole).sum();
            if sum < low || sum > high {
                return Err("sum_overflow");
            }
            Cell::Int(sum)
        }
        Kind::Decimal { scale } => Cell::Decimal { unscaled: cells.iter().map(whole).sum(), scale },
        _ => Cell::Float(cells.iter().map(|cell| float(cell)).sum()),
    })
}

fn mean(cells: &[&Cell]) -> f64 {
    if cells.iter().all(|cell| matches!(cell, Cell::Int(_))) {
        let sum: i128 = cells.iter().map(|cell| if let Cell::Int(number) = cell { *number } else { 0 }).sum();
        return sum as f64 / cells.len() as f64;
    }
    cells.iter().map(|cell| float(cell)).sum::<f64>() / cells.len() as f64
}

fn float(cell: &Cell) -> f64 {
    match cell {
        Cell::Int(number) => *number as f64,
        Cell::Float(number) => *number,
        Cell::Decimal { .. } => render(cell, false).parse().expect("a number"),
        other => panic!("{other:?} is no number"),
    }
}

#[cfg(test)]
mod tests {
    use super::{cast, group};
    use crate::cell::{Cell, Column, Kind, Table};
    use crate::item::{Cast, Item};

    fn table() -> Table {
        let numbers = Kind::Int { low: i64::MIN.into(), high: i64::MAX.into() };
        let text = |text: &str| Cell::Text(text.to_owned());
        let columns = vec![
            Column { name: "k".into(), kind: Kind::Text, cells: vec![text("b"), text("a"), Cell::Null, text("b")] },
            Column {
                name: "n".into(),
                kind: numbers,
                cells: vec![Cell::Int(1), Cell::Null, Cell::Int(5), Cell::Int(4)],
            },
        ];
        Table { columns, rows: 4 }
    }

    #[track_caller]
    fn check(function: &'static str, expected: [Cell; 3]) {
        let items = [Item::column("k"), Item::aggregate(function, Some("n"))];
        let groups = group(&table(), &[0, 1, 2, 3], &items, &[]).expect("groups");
        assert_eq!(groups.columns[1].cells, expected, "{function}");
    }

    #[test]
    fn each_aggregate_is_what_its_name_says() {
        check("count", [Cell::Int(2), Cell::Int(0), Cell::Int(1)]);
        check("count_distinct", [Cell::Int(2), Cell::Int(0), Cell::Int(1)]);
        check("sum", [Cell::Int(5), Cell::Null, Cell::Int(5)]);
        check("avg", [Cell::Float(2.5), Cell::Null, Cell::Float(5.0)]);
        check("median", [Cell::Float(2.5), Cell::Null, Cell::Float(5.0)]);
        check("min", [Cell::Int(1), Cell::Null, Cell::Int(5)]);
        check("max", [Cell::Int(4), Cell::Null, Cell::Int(5)]);
    }

    #[test]
    fn no_rows_without_a_key_are_one_group() {
        let items = [Item::aggregate("count", None), Item::aggregate("max", Some("n"))];
        let groups = group(&table(), &[], &items, &[]).expect("groups");
        assert_eq!(
            (groups.rows, &groups.columns[0].cells[0], &groups.columns[1].cells[0]),
            (1, &Cell::Int(0), &Cell::Null)
        );
        assert_eq!(group(&table(), &[], &[Item::column("k"), items[0].clone()], &[]).expect("groups").rows, 0);
    }

    #[test]
    fn a_number_that_does_not_fit_is_not_cast() {
        assert_eq!(cast(&Cell::Int(40_000), Cast::Int2), Err("bad_cast"));
        assert_eq!(cast(&Cell::Int(-5), Cast::Int2), Ok(Cell::Int(-5)));
        assert_eq!(cast(&Cell::Int(-5), Cast::Text), Ok(Cell::Text("-5".into())));
    }
}
