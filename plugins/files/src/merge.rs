//! The schema of a dataset, from those of its files and what was declared.
//!
//! Columns are matched by name and keep the order in which they were first seen; one that a file
//! lacks is nullable, and null in that file's rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use plugin_sdk::{Result, SourceError};

use crate::config::Options;
use crate::format::Typing;

/// A file's name and its columns.
pub(crate) type Part<'a> = (&'a str, &'a Schema);

/// The schema that holds the rows of all parts.
pub(crate) fn merge(parts: &[Part<'_>], typing: Typing, options: &Options) -> Result<SchemaRef> {
    let mut columns: Vec<Column> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for (file, schema) in parts {
        let mut own = HashSet::new();
        for field in schema.fields() {
            if !own.insert(field.name()) {
                let name = field.name();
                return Err(SourceError::invalid_data(format!("'{file}' has two columns named '{name}'")));
            }
            match index.get(field.name()) {
                Some(&i) => columns[i].add(file, field, typing, options)?,
                None => {
                    index.insert(field.name().clone(), columns.len());
                    columns.push(Column { field: Arc::clone(field), first: (*file).to_owned(), parts: 1 });
                }
            }
        }
    }
    if columns.is_empty() {
        let name = parts.first().map_or("", |(name, _)| name);
        return Err(SourceError::invalid_data(format!("'{name}' has no columns")));
    }
    if let Some(missing) = options.types.keys().find(|name| !index.contains_key(*name)) {
        return Err(SourceError::invalid_config(format!(
            "a type is declared for column '{missing}', which is not there"
        )));
    }
    // A file that holds nothing at all does not make columns nullable.
    let files = parts.iter().filter(|(_, schema)| !schema.fields().is_empty()).count();
    let fields: Fields = columns.into_iter().map(|column| column.finish(files, typing, options)).collect();
    Ok(Arc::new(Schema::new(fields)))
}

struct Column {
    field: FieldRef,
    first: String,
    parts: usize,
}

impl Column {
    fn add(&mut self, file: &str, field: &FieldRef, typing: Typing, options: &Options) -> Result<()> {
        self.parts += 1;
        if self.field == *field || options.types.contains_key(field.name()) {
            return Ok(());
        }
        let (have, come) = (self.field.data_type(), field.data_type());
        let data_type = match (common_type(have, come, typing), typing) {
            (Some(common), _) => common,
            (None, Typing::Inferred) => DataType::Utf8,
            (None, Typing::Stored) => {
                return Err(SourceError::invalid_data(format!(
                    "column '{}' is of type {have} in '{}' and of type {come} in '{file}'",
                    field.name(),
                    self.first
                )));
            }
        };
        let is_nullable = self.field.is_nullable() || field.is_nullable();
        let metadata = self.field.metadata().clone();
        self.field = Arc::new(Field::new(field.name(), data_type, is_nullable).with_metadata(metadata));
        Ok(())
    }

    fn finish(self, files: usize, typing: Typing, options: &Options) -> FieldRef {
        let mut field = self.field.as_ref().clone();
        if let Some(declared) = options.types.get(field.name()) {
            field.set_data_type(declared.clone());
        } else if typing == Typing::Inferred {
            field.set_data_type(without_null(field.data_type()));
        }
        let is_nullable = field.is_nullable() || self.parts < files;
        Arc::new(field.with_nullable(is_nullable))
    }
}

/// The type that holds the values of both without loss, as far as there is one.
fn common_type(a: &DataType, b: &DataType, typing: Typing) -> Option<DataType> {
    use DataType::*;
    Some(match (a, b) {
        _ if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Date32, Timestamp(unit, None)) | (Timestamp(unit, None), Date32) => Timestamp(*unit, None),
        (Timestamp(x, zone), Timestamp(y, other)) if zone == other => Timestamp(finer(*x, *y), zone.clone()),
        (Struct(x), Struct(y)) => Struct(common_fields(x, y, typing)?),
        (List(x), List(y)) => {
            let inner = common_type(x.data_type(), y.data_type(), typing)
                .or_else(|| (typing == Typing::Inferred).then_some(Utf8))?;
            List(Arc::new(Field::new(x.name(), inner, x.is_nullable() || y.is_nullable())))
        }
        _ if a.is_numeric() && b.is_numeric() => common_number(a, b)?,
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => LargeUtf8,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => LargeBinary,
        (Dictionary(_, x), y) | (y, Dictionary(_, x)) => common_type(x, y, typing)?,
        _ => return None,
    })
}

fn common_number(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::*;
    let width = |t: &DataType| t.primitive_width().unwrap_or(8);
    Some(match (a, b) {
        _ if a.is_signed_integer() && b.is_signed_integer() || a.is_unsigned_integer() && b.is_unsigned_integer() => {
            if width(a) >= width(b) {
                a.clone()
            } else {
                b.clone()
            }
        }
        // One is signed, the other not: the next wider signed type holds both, if there is one.
        _ if a.is_integer() && b.is_integer() => match width(a).max(width(b)) {
            1 => Int16,
            2 => Int32,
            _ if UInt64 != *a && UInt64 != *b => Int64,
            _ => return None,
        },
        _ if a.is_floating() && b.is_floating() => {
            if width(a) >= width(b) {
                a.clone()
            } else {
                b.clone()
            }
        }
        _ if a.is_floating() && b.is_integer() || a.is_integer() && b.is_floating() => Float64,
        (Decimal128(p, s), Decimal128(q, t)) => {
            let scale = (*s).max(*t);
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let precision = u8::try_from(whole + i16::from(scale)).ok().filter(|p| *p <= 38)?;
            Decimal128(precision, scale)
        }
        _ => return None,
    })
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    [TimeUnit::Nanosecond, TimeUnit::Microsecond, TimeUnit::Millisecond]
        .into_iter()
        .find(|unit| *unit == a || *unit == b)
        .unwrap_or(TimeUnit::Second)
}

fn common_fields(a: &Fields, b: &Fields, typing: Typing) -> Option<Fields> {
    let mut merged: Vec<FieldRef> = Vec::new();
    for field in a {
        merged.push(match b.find(field.name()) {
            None => Arc::new(field.as_ref().clone().with_nullable(true)),
            Some((_, other)) => {
                let inner = common_type(field.data_type(), other.data_type(), typing)
                    .or_else(|| (typing == Typing::Inferred).then_some(DataType::Utf8))?;
                Arc::new(Field::new(field.name(), inner, field.is_nullable() || other.is_nullable()))
            }
        });
    }
    let added = b.iter().filter(|field| a.find(field.name()).is_none());
    merged.extend(added.map(|field| Arc::new(field.as_ref().clone().with_nullable(true))));
    // Stored structs are cast by position, which must not mix up their fields.
    let is_same = merged.len() == a.len() && a.iter().zip(b).all(|(x, y)| x.name() == y.name()) && a.len() == b.len();
    (typing == Typing::Inferred || is_same).then(|| merged.into())
}

/// The type with text where no value told a better one.
fn without_null(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(without_null(field.data_type())));
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(field) => DataType::List(inner(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typing: Typing, a: DataType, b: DataType, expected: Option<DataType>) {
        let schema = |t: DataType| Schema::new(vec![Field::new("x", t, true)]);
        let (first, second) = (schema(a.clone()), schema(b.clone()));
        for parts in [[("a", &first), ("b", &second)], [("b", &second), ("a", &first)]] {
            let merged = merge(&parts, typing, &Options::default()).ok();
            assert_eq!(merged.map(|s| s.field(0).data_type().clone()), expected, "{a} and {b}");
        }
    }

    #[test]
    fn types_widen_without_loss() {
        use DataType::*;
        let micros = Timestamp(TimeUnit::Microsecond, None);
        let nanos = Timestamp(TimeUnit::Nanosecond, None);
        check(Typing::Inferred, Int64, Float64, Some(Float64));
        check(Typing::Inferred, Null, Int64, Some(Int64));
        check(Typing::Inferred, Null, Null, Some(Utf8));
        check(Typing::Inferred, Date32, micros.clone(), Some(micros.clone()));
        check(Typing::Inferred, micros, nanos.clone(), Some(nanos));
        check(Typing::Inferred, Boolean, Int64, Some(Utf8));
        check(Typing::Inferred, Date32, Int64, Some(Utf8));
        check(Typing::Stored, Int32, Int64, Some(Int64));
        check(Typing::Stored, UInt32, Int8, Some(Int64));
        check(Typing::Stored, UInt64, Int8, None);
        check(Typing::Stored, Int32, Float32, Some(Float64));
        check(Typing::Stored, Decimal128(10, 2), Decimal128(8, 4), Some(Decimal128(12, 4)));
        check(Typing::Stored, Utf8, Int64, None);
        check(Typing::Stored, Utf8View, Utf8, Some(LargeUtf8));
    }

    #[test]
    fn a_column_that_a_file_lacks_is_nullable() {
        let a = Schema::new(vec![Field::new("x", DataType::Int64, false), Field::new("y", DataType::Int64, false)]);
        let b = Schema::new(vec![Field::new("x", DataType::Int64, false)]);
        let merged = merge(&[("a", &a), ("b", &b)], Typing::Stored, &Options::default()).unwrap();
        assert_eq!((merged.field(0).is_nullable(), merged.field(1).is_nullable()), (false, true));
    }

    #[test]
    fn what_cannot_be_merged_names_both_files() {
        let a = Schema::new(vec![Field::new("x", DataType::Utf8, true)]);
        let b = Schema::new(vec![Field::new("x", DataType::Int64, true)]);
        let error = merge(&[("d/a", &a), ("d/b", &b)], Typing::Stored, &Options::default()).unwrap_err();
        assert_eq!(error.message, "column 'x' is of type Utf8 in 'd/a' and of type Int64 in 'd/b'");
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let field = || Field::new("x", DataType::Int64, false);
        let twice = Schema::new(vec![field(), field()]);
        let error = merge(&[("a", &twice)], Typing::Stored, &Options::default()).unwrap_err();
        assert_eq!(error.message, "'a' has two columns named 'x'");
    }

    #[test]
    fn a_declared_type_wins_and_must_name_a_column() {
        let a = Schema::new(vec![Field::new("x", DataType::Utf8, true)]);
        let declare = |name: &str| Options {
            types: [(name.to_owned(), DataType::Date32)].into_iter().collect(),
            ..Options::default()
        };
        let merged = merge(&[("a", &a)], Typing::Inferred, &declare("x")).unwrap();
        assert_eq!(merged.field(0).data_type(), &DataType::Date32);
        assert!(merge(&[("a", &a)], Typing::Inferred, &declare("z")).is_err());
    }
}
