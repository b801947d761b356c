//! Tables and questions out of thin air. Values come from few, so that they often meet.

use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Asked, Asks, COLUMNS, Cell, Key, Probe, Table, data_type};
use crate::query::{Comparison, Truth};

fn is_unsigned(column: usize) -> bool {
    matches!(COLUMNS[column].0, "u" | "t")
}

fn is_whole(column: usize) -> bool {
    matches!(COLUMNS[column].0, "id" | "i" | "u")
}

fn texts() -> impl Strategy<Value = String> {
    vec(select(vec!['a', 'b', 'A', '_', '%', 'é', ',', '"']), 0..4).prop_map(|chars| chars.into_iter().collect())
}

fn value(column: usize) -> BoxedStrategy<Cell> {
    let step = COLUMNS[column].1;
    if step > 0 {
        let steps = if is_unsigned(column) { 0..13i64 } else { -6..7i64 };
        return steps.prop_map(move |steps| Cell::Micro(steps * step)).boxed();
    }
    match data_type(column) {
        DataType::Boolean => any::<bool>().prop_map(Cell::Bool).boxed(),
        DataType::Binary => vec(select(vec![0u8, 1, 255]), 0..3).prop_map(Cell::Bytes).boxed(),
        DataType::Float32 | DataType::Float64 => {
            select(vec![-1.5, -0.0, 0.0, 0.5, 1.0, 2.0e20, f64::INFINITY, f64::NEG_INFINITY, f64::NAN])
                .prop_map(Cell::Float)
                .boxed()
        }
        _ => texts().prop_map(Cell::Text).boxed(),
    }
}

/// A value to compare with; unless `held`, it may lie between two values of the column.
fn probe(column: usize, held: bool) -> BoxedStrategy<Probe> {
    let step = COLUMNS[column].1;
    let between = select(if held { vec![0] } else { vec![0, 0, step / 2] });
    (value(column), between)
        .prop_map(move |(cell, extra)| {
            let cell = match cell {
                Cell::Micro(micro) => Cell::Micro(micro + extra),
                other => other,
            };
            Probe { text: written(column, &cell), cell }
        })
        .boxed()
}

fn written(column: usize, cell: &Cell) -> String {
    match cell {
        Cell::Null => unreachable!("a probe is never null"),
        Cell::Micro(micro) => match data_type(column) {
            DataType::Date32 | DataType::Timestamp(..) => {
                let text = array_value_to_string(&TimestampMicrosecondArray::from(vec![*micro]), 0).unwrap();
                if micro % 3 == 0 { format!("{text}Z") } else { text.replace('T', " ") }
            }
            DataType::Time32(_) => format!("00:00:{:02}.{:06}", micro / 1_000_000, micro % 1_000_000),
            _ => {
                let sign = if *micro < 0 { "-" } else { "" };
                format!("{sign}{}.{:06}", micro.abs() / 1_000_000, micro.abs() % 1_000_000)
            }
        },
        Cell::Float(float) => float.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Bool(truth) => (if *truth { "T" } else { "off" }).to_owned(),
        Cell::Bytes(bytes) => bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02X}")),
    }
}

fn leaf() -> impl Strategy<Value = Asks> {
    (0..COLUMNS.len()).prop_flat_map(|column| {
        let any = [Comparison::Gt, Comparison::GtEq, Comparison::Lt, Comparison::LtEq];
        let equal = [Comparison::Eq, Comparison::NotEq];
        let whole = is_whole(column);
        let mut leaves = vec![
            (select(any.to_vec()), probe(column, false)).prop_map(move |(c, p)| Asks::Compare(column, c, p)).boxed(),
            (select(equal.to_vec()), probe(column, whole)).prop_map(move |(c, p)| Asks::Compare(column, c, p)).boxed(),
            vec(probe(column, whole), 0..14).prop_map(move |probes| Asks::In(column, probes)).boxed(),
            select(vec![Truth::Null, Truth::NotNull]).prop_map(move |truth| Asks::Is(column, truth)).boxed(),
        ];
        match data_type(column) {
            DataType::Boolean => {
                let truths = vec![Truth::True, Truth::False, Truth::Unknown];
                leaves.push(select(truths).prop_map(move |truth| Asks::Is(column, truth)).boxed());
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                let pattern = || {
                    vec(select(vec!['a', 'b', 'A', '*', '_', '%', 'é']), 0..4).prop_map(|cs| cs.into_iter().collect())
                };
                leaves.push(pattern().prop_map(move |pattern| Asks::Like(column, pattern)).boxed());
                leaves.push(pattern().prop_map(move |pattern| Asks::ILike(column, pattern)).boxed());
            }
            _ => {}
        }
        proptest::strategy::Union::new(leaves)
    })
}

fn filters() -> impl Strategy<Value = Asks> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Asks::And),
            vec(inner.clone(), 1..4).prop_map(Asks::Or),
            inner.prop_map(|inner| Asks::Not(Box::new(inner))),
        ]
    })
}

fn tables() -> impl Strategy<Value = Table> {
    (0..40usize).prop_flat_map(|rows| {
        let columns: Vec<BoxedStrategy<Vec<Cell>>> = (0..COLUMNS.len())
            .map(|column| match column {
                0 => Just((0..rows as i64).map(|row| Cell::Micro(row * 1_000_000)).collect()).boxed(),
                _ => vec(prop_oneof![1 => Just(Cell::Null), 4 => value(column)], rows).boxed(),
            })
            .collect();
        (columns, vec(any::<Index>(), 0..4)).prop_map(|(columns, cuts)| Table { columns, cuts })
    })
}

/// A table, and a question about it that selects `id` at least.
pub(in crate::eval::tests) fn questions() -> impl Strategy<Value = (Table, Asked)> {
    let key = (0..COLUMNS.len(), any::<bool>(), any::<Option<bool>>())
        .prop_map(|(column, descending, nulls_first)| Key { column, descending, nulls_first });
    let names: Vec<String> = COLUMNS[1..].iter().map(|(name, _)| (*name).to_owned()).collect();
    let selected = (proptest::sample::subsequence(names, 0..5), any::<Index>()).prop_map(|(mut names, at)| {
        names.reverse();
        names.insert(at.index(names.len() + 1), "id".to_owned());
        names
    });
    let asked = (
        proptest::option::of(selected),
        proptest::option::weighted(0.8, filters()),
        vec(key, 0..3),
        proptest::option::of(0..30u64),
        prop_oneof![Just(0), 0..20u64],
    );
    (tables(), asked.prop_map(|(select, filter, order, limit, offset)| Asked { select, filter, order, limit, offset }))
}
