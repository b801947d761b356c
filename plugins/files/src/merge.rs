//! The schema of a dataset, from those of its files and what was declared.
//!
//! Columns are matched by name and keep the order in which they were first seen; one that a file
//! lacks is nullable, and null in that file's rows. Types that were told from values are told anew from
//! the values of all files; types that files store are widened, or do not go together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use plugin_sdk::{Result, SourceError};

use crate::config::Options;
use crate::format::{FileSchema, Typing};
use crate::guess::Guess;

/// A file's name and its columns.
pub(crate) type Part<'a> = (&'a str, &'a FileSchema);

/// The schema that holds the rows of all parts.
pub(crate) fn merge(parts: &[Part<'_>], typing: Typing, options: &Options) -> Result<SchemaRef> {
    let mut columns: Vec<Column> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for (file, part) in parts {
        let mut own = HashSet::new();
        for (at, field) in part.schema.fields().iter().enumerate() {
            if !own.insert(field.name()) {
                let name = field.name();
                return Err(SourceError::invalid_data(format!("'{file}' has two columns named '{name}'")));
            }
            let guess = part.guesses.as_ref().and_then(|guesses| guesses.get(at));
            match index.get(field.name()) {
                Some(&i) => columns[i].add(file, field, guess, options)?,
                None => {
                    index.insert(field.name().clone(), columns.len());
                    let (field, guess) = (Arc::clone(field), guess.cloned());
                    columns.push(Column { field, guess, first: (*file).to_owned(), parts: 1 });
                }
            }
        }
    }
    if columns.is_empty() {
        let name = parts.first().map_or("", |(name, _)| name);
        return Err(SourceError::invalid_data(format!("'{name}' has no columns")));
    }
    let missing = |declared: &str| !index.contains_key(declared);
    let of_nothing = |what: &str, name: &str| {
        SourceError::invalid_config(format!("{what} is declared for column '{name}', which is not there"))
    };
    if let Some(name) = options.types.keys().find(|name| missing(name)) {
        return Err(of_nothing("a type", name));
    }
    if let Some(name) = options.columns.keys().find(|name| missing(name)) {
        return Err(of_nothing("a description or unit", name));
    }
    // A file that holds nothing at all does not make columns nullable.
    let files = parts.iter().filter(|(_, part)| !part.schema.fields().is_empty()).count();
    let fields: Fields = columns.into_iter().map(|column| column.finish(files, typing, options)).collect();
    Ok(Arc::new(Schema::new(fields)))
}

struct Column {
    field: FieldRef,
    /// What the values of all files were, if that decides.
    guess: Option<Guess>,
    first: String,
    parts: usize,
}

impl Column {
    fn add(&mut self, file: &str, field: &FieldRef, guess: Option<&Guess>, options: &Options) -> Result<()> {
        self.parts += 1;
        if options.types.contains_key(field.name()) {
            return Ok(());
        }
        if let (Some(own), Some(other)) = (&mut self.guess, guess) {
            own.join(other);
            return Ok(());
        }
        if self.field == *field {
            return Ok(());
        }
        let (have, come) = (self.field.data_type(), field.data_type());
        let Some(data_type) = common_type(have, come) else {
            return Err(SourceError::invalid_data(format!(
                "column '{}' is of type {have} in '{}' and of type {come} in '{file}'",
                field.name(),
                self.first
            )));
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
            let told = self.guess.as_ref().map_or_else(|| field.data_type().clone(), Guess::data_type);
            field.set_data_type(without_null(&told));
        }
        if let Some(about) = options.columns.get(field.name()) {
            let told = [("description", &about.description), ("unit", &about.unit)];
            let mut metadata = field.metadata().clone();
            metadata.extend(told.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.clone()?))));
            field.set_metadata(metadata);
        }
        let is_nullable = field.is_nullable() || self.parts < files;
        Arc::new(field.with_nullable(is_nullable))
    }
}

/// The type that holds the values of two stored types without loss, as far as there is one.
fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::*;
    Some(match (a, b) {
        _ if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Date32, Timestamp(unit, None)) | (Timestamp(unit, None), Date32) => Timestamp(*unit, None),
        (Timestamp(x, zone), Timestamp(y, other)) if zone == other => Timestamp(finer(*x, *y), zone.clone()),
        (Struct(x), Struct(y)) => Struct(common_fields(x, y)?),
        (List(x), List(y)) => {
            let inner = common_type(x.data_type(), y.data_type())?;
            List(Arc::new(Field::new(x.name(), inner, x.is_nullable() || y.is_nullable())))
        }
        _ if a.is_numeric() && b.is_numeric() => common_number(a, b)?,
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => LargeUtf8,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => LargeBinary,
        (Dictionary(_, x), y) | (y, Dictionary(_, x)) => common_type(x, y)?,
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

/// Structs are cast by position, which must not mix up their fields: these must be the same by name.
fn common_fields(a: &Fields, b: &Fields) -> Option<Fields> {
    let merge = |(x, y): (&FieldRef, &FieldRef)| {
        let inner = (x.name() == y.name()).then(|| common_type(x.data_type(), y.data_type()))??;
        Some(Arc::new(Field::new(x.name(), inner, x.is_nullable() || y.is_nullable())))
    };
    if a.len() == b.len() { a.iter().zip(b).map(merge).collect() } else { None }
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
    use crate::config::About;
    use crate::infer::Kinds;

    fn stored(fields: Vec<Field>) -> FileSchema {
        FileSchema { schema: Arc::new(Schema::new(fields)), guesses: None, rows: None, row_bytes: 0 }
    }

    /// A file with one column, whose type is told from texts.
    fn inferred(texts: &[&str]) -> FileSchema {
        let kinds = texts.iter().fold(Kinds::NONE, |all, text| all.with(Kinds::of(text)));
        let schema = Arc::new(Schema::new(vec![Field::new("x", kinds.data_type(), true)]));
        FileSchema { schema, guesses: Some([Guess::from(kinds)].into()), rows: None, row_bytes: 0 }
    }

    #[track_caller]
    fn check(typing: Typing, a: &FileSchema, b: &FileSchema, expected: Option<DataType>) {
        for parts in [[("a", a), ("b", b)], [("b", b), ("a", a)]] {
            let merged = merge(&parts, typing, &Options::default()).ok();
            let merged = merged.map(|schema| schema.field(0).data_type().clone());
            assert_eq!(merged, expected, "{} and {}", a.schema.field(0), b.schema.field(0));
        }
    }

    #[track_caller]
    fn check_stored(a: DataType, b: DataType, expected: Option<DataType>) {
        let file = |data_type| stored(vec![Field::new("x", data_type, true)]);
        check(Typing::Stored, &file(a), &file(b), expected);
    }

    /// The type of values must be the same whether they are in one file or in two.
    #[track_caller]
    fn check_inferred(a: &[&str], b: &[&str], expected: DataType) {
        check(Typing::Inferred, &inferred(a), &inferred(b), Some(expected.clone()));
        check(Typing::Inferred, &inferred(&[a, b].concat()), &inferred(&[]), Some(expected));
    }

    #[test]
    fn stored_types_widen_without_loss() {
        use DataType::*;
        let micros = Timestamp(TimeUnit::Microsecond, None);
        let nanos = Timestamp(TimeUnit::Nanosecond, None);
        check_stored(Int32, Int64, Some(Int64));
        check_stored(UInt32, Int8, Some(Int64));
        check_stored(UInt64, Int8, None);
        check_stored(Int32, Float32, Some(Float64));
        check_stored(Decimal128(10, 2), Decimal128(8, 4), Some(Decimal128(12, 4)));
        check_stored(Date32, micros.clone(), Some(micros.clone()));
        check_stored(micros, nanos.clone(), Some(nanos));
        check_stored(Null, Int64, Some(Int64));
        check_stored(Utf8, Int64, None);
        check_stored(Utf8View, Utf8, Some(LargeUtf8));
        let pair = |x: &str, y: &str, of: DataType| {
            Struct(vec![Field::new(x, of.clone(), true), Field::new(y, of, true)].into())
        };
        check_stored(pair("x", "y", Int32), pair("x", "y", Int64), Some(pair("x", "y", Int64)));
        check_stored(pair("x", "y", Int32), pair("y", "x", Int64), None);
    }

    #[test]
    fn inferred_types_are_told_from_the_values_of_all_files() {
        use DataType::*;
        let micros = Timestamp(TimeUnit::Microsecond, None);
        let nanos = Timestamp(TimeUnit::Nanosecond, None);
        let (big, fine) = ("18446744073709551616", "2025-06-01T12:00:00.123456789");
        check_inferred(&["1"], &["2.5"], Float64);
        check_inferred(&[], &["1"], Int64);
        check_inferred(&[], &[], Utf8);
        check_inferred(&["true"], &["1"], Utf8);
        check_inferred(&["2025-06-01"], &["1"], Utf8);
        check_inferred(&["00123"], &["45"], Utf8);
        check_inferred(&[big], &["1"], Utf8);
        check_inferred(&[big], &["1.5"], Float64);
        check_inferred(&["2025-06-01"], &["2025-06-01 12:00:00"], micros.clone());
        check_inferred(&["2025-06-01 12:00:00"], &[fine], nanos);
        check_inferred(&["1500-01-01"], &["2025-06-01 12:00:00"], micros);
        check_inferred(&["1500-01-01"], &[fine], Utf8);
        check_inferred(&["1500-01-01T00:00:00"], &[fine], Utf8);
    }

    #[test]
    fn a_column_that_a_file_lacks_is_nullable() {
        let a = stored(vec![Field::new("x", DataType::Int64, false), Field::new("y", DataType::Int64, false)]);
        let b = stored(vec![Field::new("x", DataType::Int64, false)]);
        let merged = merge(&[("a", &a), ("b", &b)], Typing::Stored, &Options::default()).unwrap();
        assert_eq!((merged.field(0).is_nullable(), merged.field(1).is_nullable()), (false, true));
    }

    #[test]
    fn what_cannot_be_merged_names_both_files() {
        let a = stored(vec![Field::new("x", DataType::Utf8, true)]);
        let b = stored(vec![Field::new("x", DataType::Int64, true)]);
        let error = merge(&[("d/a", &a), ("d/b", &b)], Typing::Stored, &Options::default()).unwrap_err();
        assert_eq!(error.message, "column 'x' is of type Utf8 in 'd/a' and of type Int64 in 'd/b'");
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let field = || Field::new("x", DataType::Int64, false);
        let twice = stored(vec![field(), field()]);
        let error = merge(&[("a", &twice)], Typing::Stored, &Options::default()).unwrap_err();
        assert_eq!(error.message, "'a' has two columns named 'x'");
    }

    #[test]
    fn what_was_declared_of_columns_is_told_with_them_and_must_name_one() {
        let a = inferred(&["1", "2"]);
        let declare = |name: &str| {
            let about = About { description: Some("How long".into()), unit: Some("km".into()) };
            Options { columns: [(name.to_owned(), about)].into(), ..Options::default() }
        };
        let merged = merge(&[("a", &a), ("b", &a)], Typing::Inferred, &declare("x")).unwrap();
        let metadata = merged.field(0).metadata();
        assert_eq!((&*metadata["description"], &*metadata["unit"]), ("How long", "km"));
        let error = merge(&[("a", &a)], Typing::Inferred, &declare("z")).unwrap_err();
        assert_eq!(error.message, "a description or unit is declared for column 'z', which is not there");
    }

    #[test]
    fn a_declared_type_wins_and_must_name_a_column() {
        let a = inferred(&["2025-06-01", "soon"]);
        let declare = |name: &str| Options {
            types: [(name.to_owned(), DataType::Date32)].into_iter().collect(),
            ..Options::default()
        };
        let merged = merge(&[("a", &a), ("b", &a)], Typing::Inferred, &declare("x")).unwrap();
        assert_eq!(merged.field(0).data_type(), &DataType::Date32);
        assert!(merge(&[("a", &a)], Typing::Inferred, &declare("z")).is_err());
    }
}
