//! What is true of a row, found out in the plainest way.

mod random;

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{SortOptions, cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use plugin_sdk::{Filter, FilterOp};
use proptest::sample::Index;

pub(super) use random::questions;

use crate::eval::Pushdown;
use crate::query::{Comparison, Expr, Test, Truth};

/// The columns of every table, and how many microunits (of a number, or of a second) one step of their values is.
pub(super) const COLUMNS: [(&str, i64); 17] = [
    ("id", 1_000_000),
    ("i", 1_000_000),
    ("u", 1_000_000),
    ("price", 10_000),
    ("wide price", 10_000),
    ("day", 86_400_000_000),
    ("at", 1_000),
    ("local", 1_000_000),
    ("t", 1_000_000),
    ("f", 0),
    ("f32", 0),
    ("s", 0),
    ("dict", 0),
    ("large,s", 0),
    ("view", 0),
    ("and", 0),
    ("bin", 0),
];

fn data_type(column: usize) -> DataType {
    match COLUMNS[column].0 {
        "id" => DataType::Int64,
        "i" => DataType::Int32,
        "u" => DataType::UInt8,
        "price" => DataType::Decimal128(9, 2),
        "wide price" => DataType::Decimal256(40, 2),
        "day" => DataType::Date32,
        "at" => DataType::Timestamp(TimeUnit::Millisecond, Some("+02:00".into())),
        "local" => DataType::Timestamp(TimeUnit::Second, None),
        "t" => DataType::Time32(TimeUnit::Second),
        "f" => DataType::Float64,
        "f32" => DataType::Float32,
        "s" => DataType::Utf8,
        "dict" => DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8)),
        "large,s" => DataType::LargeUtf8,
        "view" => DataType::Utf8View,
        "and" => DataType::Boolean,
        _ => DataType::Binary,
    }
}

/// A value as the oracle has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Micro(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    Bytes(Vec<u8>),
}

/// A value to compare with, and how it is written.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    text: String,
    cell: Cell,
}

/// A table by columns, and where it is cut into batches.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Vec<Cell>>,
    cuts: Vec<Index>,
}

impl Table {
    pub(super) fn rows(&self) -> usize {
        self.columns[0].len()
    }

    pub(super) fn batch(&self) -> RecordBatch {
        let fields: Vec<Field> =
            (0..COLUMNS.len()).map(|at| Field::new(COLUMNS[at].0, data_type(at), at != 0)).collect();
        let arrays = (0..COLUMNS.len()).map(|at| array(at, &self.columns[at])).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    pub(super) fn cut(&self, whole: &RecordBatch) -> Vec<RecordBatch> {
        let mut ends: Vec<usize> = self.cuts.iter().map(|cut| cut.index(self.rows() + 1)).collect();
        ends.extend([0, self.rows()]);
        ends.sort_unstable();
        ends.windows(2).map(|pair| whole.slice(pair[0], pair[1] - pair[0])).collect()
    }
}

fn array(column: usize, cells: &[Cell]) -> ArrayRef {
    let (data_type, step) = (data_type(column), COLUMNS[column].1);
    if step > 0 {
        let steps = Int64Array::from_iter(cells.iter().map(|cell| match cell {
            Cell::Micro(micro) => Some(micro.div_euclid(step)),
            _ => None,
        }));
        return stepped(&steps, &data_type);
    }
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(cells.iter().map(|cell| match cell {
            Cell::Bool(truth) => Some(*truth),
            _ => None,
        }))),
        DataType::Binary => Arc::new(BinaryArray::from_iter(cells.iter().map(|cell| match cell {
            Cell::Bytes(bytes) => Some(bytes.as_slice()),
            _ => None,
        }))),
        DataType::Float32 | DataType::Float64 => {
            let floats = Float64Array::from_iter(cells.iter().map(|cell| match cell {
                Cell::Float(float) => Some(*float),
                _ => None,
            }));
            cast(&floats, &data_type).unwrap()
        }
        _ => {
            let texts = StringArray::from_iter(cells.iter().map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                _ => None,
            }));
            cast(&texts, &data_type).unwrap()
        }
    }
}

/// Numbers of steps as a type whose unit is the step.
fn stepped(steps: &Int64Array, data_type: &DataType) -> ArrayRef {
    match data_type {
        DataType::Date32 | DataType::Time32(_) => cast(&cast(steps, &DataType::Int32).unwrap(), data_type).unwrap(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            let units = arrow::array::Decimal128Array::from_iter(steps.iter().map(|step| step.map(i128::from)));
            cast(&units.with_precision_and_scale(*precision.min(&38), *scale).unwrap(), data_type).unwrap()
        }
        _ => cast(steps, data_type).unwrap(),
    }
}

/// A condition as the oracle has it.
#[derive(Debug, Clone)]
pub(super) enum Asks {
    And(Vec<Asks>),
    Or(Vec<Asks>),
    Not(Box<Asks>),
    Compare(usize, Comparison, Probe),
    In(usize, Vec<Probe>),
    Like(usize, String),
    ILike(usize, String),
    Is(usize, Truth),
}

impl Asks {
    pub(super) fn to_expr(&self) -> Expr {
        let column = |at: &usize| COLUMNS[*at].0;
        let each = |items: &[Self]| items.iter().map(Self::to_expr).collect();
        match self {
            Self::And(items) => Expr::And(each(items)),
            Self::Or(items) => Expr::Or(each(items)),
            Self::Not(inner) => Expr::Not(Box::new(inner.to_expr())),
            Self::Compare(at, comparison, probe) => {
                Expr::compare(column(at), Test::Compare(*comparison, probe.text.clone()))
            }
            Self::In(at, probes) => {
                Expr::compare(column(at), Test::In(probes.iter().map(|probe| probe.text.clone()).collect()))
            }
            Self::Like(at, pattern) => Expr::compare(column(at), Test::Like(pattern.clone())),
            Self::ILike(at, pattern) => Expr::compare(column(at), Test::ILike(pattern.clone())),
            Self::Is(at, truth) => Expr::compare(column(at), Test::Is(*truth)),
        }
    }

    /// Whether the condition is true for a row; `None` if it is unknown.
    pub(super) fn holds(&self, table: &Table, row: usize) -> Option<bool> {
        let cell = |at: &usize| &table.columns[*at][row];
        match self {
            Self::And(items) => decided(items.iter().map(|item| item.holds(table, row)).collect(), false),
            Self::Or(items) => decided(items.iter().map(|item| item.holds(table, row)).collect(), true),
            Self::Not(inner) => inner.holds(table, row).map(|truth| !truth),
            Self::Compare(at, comparison, probe) => {
                let order = equality(cell(at), &probe.cell)?;
                Some(match comparison {
                    Comparison::Eq => order.is_eq(),
                    Comparison::NotEq => order.is_ne(),
                    Comparison::Gt => order.is_gt(),
                    Comparison::GtEq => order.is_ge(),
                    Comparison::Lt => order.is_lt(),
                    Comparison::LtEq => order.is_le(),
                })
            }
            Self::In(_, probes) if probes.is_empty() => Some(false),
            Self::In(at, probes) => {
                let found: Option<Vec<Ordering>> = probes.iter().map(|probe| equality(cell(at), &probe.cell)).collect();
                Some(found?.iter().any(|order| order.is_eq()))
            }
            Self::Like(at, pattern) => match cell(at) {
                Cell::Text(text) => Some(matches(&chars(text), &chars(pattern))),
                _ => None,
            },
            Self::ILike(at, pattern) => match cell(at) {
                Cell::Text(text) => Some(matches(&chars(&text.to_lowercase()), &chars(&pattern.to_lowercase()))),
                _ => None,
            },
            Self::Is(at, truth) => Some(match truth {
                Truth::Null | Truth::Unknown => *cell(at) == Cell::Null,
                Truth::NotNull => *cell(at) != Cell::Null,
                Truth::True => *cell(at) == Cell::Bool(true),
                Truth::False => *cell(at) == Cell::Bool(false),
            }),
        }
    }
}

/// One `decisive` answer decides; without one, one that is unknown leaves all unknown.
fn decided(answers: Vec<Option<bool>>, decisive: bool) -> Option<bool> {
    if answers.contains(&Some(decisive)) {
        Some(decisive)
    } else {
        answers.iter().all(Option::is_some).then_some(!decisive)
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*' | '%', rest @ ..] => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
        [c, rest @ ..] => text.first() == Some(c) && matches(&text[1..], rest),
    }
}

/// How a filter sees two values: zeros are equal, NaN is the greatest; `None` if one is null.
fn equality(left: &Cell, right: &Cell) -> Option<Ordering> {
    Some(match (left, right) {
        (Cell::Micro(left), Cell::Micro(right)) => left.cmp(right),
        (Cell::Float(left), Cell::Float(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
        (Cell::Text(left), Cell::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Cell::Bool(left), Cell::Bool(right)) => left.cmp(right),
        (Cell::Bytes(left), Cell::Bytes(right)) => left.cmp(right),
        _ => return None,
    })
}

/// A key to order by.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) column: usize,
    pub(super) descending: bool,
    pub(super) nulls_first: Option<bool>,
}

/// A question.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) select: Option<Vec<String>>,
    pub(super) filter: Option<Asks>,
    pub(super) order: Vec<Key>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

impl Asked {
    /// How two rows are ordered; rows that compare equal stay as they are.
    pub(super) fn compare(&self, table: &Table, left: usize, right: usize) -> Ordering {
        let each = self.order.iter().map(|key| {
            let (left, right) = (&table.columns[key.column][left], &table.columns[key.column][right]);
            let options =
                SortOptions { descending: key.descending, nulls_first: key.nulls_first.unwrap_or(key.descending) };
            let order = match (left, right) {
                (Cell::Null, Cell::Null) => return Ordering::Equal,
                (Cell::Null, _) => return if options.nulls_first { Ordering::Less } else { Ordering::Greater },
                (_, Cell::Null) => return if options.nulls_first { Ordering::Greater } else { Ordering::Less },
                (Cell::Float(left), Cell::Float(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
                (left, right) => equality(left, right).unwrap(),
            };
            if options.descending { order.reverse() } else { order }
        });
        each.fold(Ordering::Equal, Ordering::then)
    }
}

/// What a source gives that applies every filter, in the simplest way there is.
pub(super) fn scan(batch: &RecordBatch, asked: &Pushdown) -> RecordBatch {
    let keep = (0..batch.num_rows()).map(|row| asked.filters.iter().all(|filter| admits(batch, filter, row)));
    let mut kept = filter_record_batch(batch, &BooleanArray::from_iter(keep.map(Some))).unwrap();
    if let Some(limit) = asked.limit {
        kept = kept.slice(0, kept.num_rows().min(usize::try_from(limit).unwrap()));
    }
    match &asked.projection {
        Some(columns) => kept.project(columns).unwrap(),
        None => kept,
    }
}

fn admits(batch: &RecordBatch, filter: &Filter, row: usize) -> bool {
    let column = batch.column(filter.column);
    assert_eq!(column.data_type(), filter.values.data_type(), "values are of the column's type");
    match filter.op {
        FilterOp::IsNull => return column.is_null(row),
        FilterOp::IsNotNull => return column.is_valid(row),
        _ if column.is_null(row) => return false,
        _ => {}
    }
    let plain = |array: &ArrayRef| match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).unwrap(),
        _ => array.clone(),
    };
    let (column, values) = (plain(column), plain(&filter.values));
    let compare = arrow::array::make_comparator(&column, &values, SortOptions::default()).unwrap();
    match filter.op {
        FilterOp::In => (0..values.len()).any(|at| compare(row, at).is_eq()),
        FilterOp::Eq => compare(row, 0).is_eq(),
        FilterOp::NotEq => compare(row, 0).is_ne(),
        FilterOp::Gt => compare(row, 0).is_gt(),
        FilterOp::GtEq => compare(row, 0).is_ge(),
        FilterOp::Lt => compare(row, 0).is_lt(),
        _ => compare(row, 0).is_le(),
    }
}
