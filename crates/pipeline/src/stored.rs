//! How a cached table keeps its rows: as the source gives them, but for texts of few values, of which it keeps numbers.
//!
//! A column of regions says the same few texts over and over. A table keeps each text once, and for each row its number in
//! two bytes (Arrow's dictionary encoding): an eighth of the memory or less, and less time for every query that reads,
//! copies or groups by the column. All batches of a table share one dictionary for a column.
//!
//! The dataset's schema says nothing of it. A query is bound to that schema, and asked of the table as it is stored
//! ([`BoundQuery::on_stored`](crate::query::BoundQuery::on_stored)); columns get their own types back where types show, in
//! Arrow and Parquet ([`as_declared`]).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayAccessor, ArrayRef, AsArray, DictionaryArray, MutableArrayData, RecordBatch, StringArray, UInt16Array,
    make_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt16Type};
use arrow::error::ArrowError;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::eval;

/// Smaller tables are fast and small enough as they are.
const MIN_ROWS: usize = 8 * 1024;
/// A text that fewer rows have on average is not worth its place in a dictionary.
const ROWS_PER_TEXT: usize = 16;
/// Texts of a dictionary at most: it should stay in a core's cache beside what is done with it.
const MAX_TEXTS: usize = 4 * 1024;

/// Rows as they are stored.
pub(crate) struct Stored {
    /// The schema of the batches.
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    /// The bytes that they take; a dictionary counts once.
    pub(crate) bytes: u64,
}

impl Stored {
    /// Numbers the texts of the columns of few texts. `batches` are of `schema`.
    pub(crate) fn new(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, ArrowError> {
        let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        if rows < MIN_ROWS {
            return Self::as_it_is(schema, batches);
        }
        Self::numbered(schema, batches, (rows / ROWS_PER_TEXT).min(MAX_TEXTS))
    }

    /// Numbers the texts of the columns that have at most so many.
    pub(crate) fn numbered(schema: &SchemaRef, batches: Vec<RecordBatch>, most: usize) -> Result<Self, ArrowError> {
        let of_column = |column| numbered(schema.field(column).data_type(), &batches, column, most);
        let columns: Vec<_> = (0..schema.fields().len()).into_par_iter().map(of_column).collect::<Result<_, _>>()?;
        if columns.iter().all(Option::is_none) {
            return Self::as_it_is(schema, batches);
        }
        let fields = schema.fields().iter().zip(&columns).map(|(field, numbered)| match numbered {
            Some(parts) => Arc::new(retyped(field, parts[0].data_type())),
            None => Arc::clone(field),
        });
        let stored = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()));
        let batch = |(at, batch): (usize, &RecordBatch)| {
            // What was read as one message lies in one piece of memory: what is left of it moves, or nothing is saved.
            let column = |(numbered, column): (&Option<Vec<ArrayRef>>, _)| match numbered {
                Some(parts) => Ok(Arc::clone(&parts[at])),
                None => on_its_own(column),
            };
            let columns = columns.iter().zip(batch.columns()).map(column);
            RecordBatch::try_new(Arc::clone(&stored), columns.collect::<Result<_, _>>()?)
        };
        let batches: Vec<_> = batches.par_iter().enumerate().map(batch).collect::<Result<_, _>>()?;
        let bytes = bytes_of(&batches, &numbered_columns(schema, &stored));
        Ok(Self { schema: stored, batches, bytes })
    }

    fn as_it_is(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, ArrowError> {
        Ok(Self { schema: Arc::clone(schema), bytes: bytes_of(&batches, &[]), batches })
    }
}

/// What stored batches take, where the texts of these columns are numbered. Their dictionaries count once.
pub(crate) fn bytes_of(batches: &[RecordBatch], numbered: &[usize]) -> u64 {
    let dictionary = |batch: &RecordBatch, column: &usize| {
        batch.column(*column).as_any_dictionary_opt().map_or(0, |array| eval::array_bytes(array.values()))
    };
    let dictionaries = |batch| numbered.iter().map(|column| dictionary(batch, column)).sum::<usize>();
    let shared = batches.iter().skip(1).map(dictionaries).sum::<usize>() as u64;
    batches.iter().map(|batch| eval::batch_bytes(batch) as u64).sum::<u64>() - shared
}

/// The columns of `stored` whose texts are numbered, where the dataset has `declared`.
pub(crate) fn numbered_columns(declared: &Schema, stored: &Schema) -> Vec<usize> {
    let is_numbered = |at: &usize| declared.field(*at).data_type() != stored.field(*at).data_type();
    (0..declared.fields().len()).filter(is_numbered).collect()
}

/// The dataset's schema, of that of stored rows and of the columns whose texts are numbered; `None` if they are not.
pub(crate) fn declared(stored: &SchemaRef, numbered: &[usize]) -> Option<SchemaRef> {
    if numbered.is_empty() {
        return Some(Arc::clone(stored));
    }
    let mut fields: Vec<_> = stored.fields().to_vec();
    for at in numbered {
        let field = fields.get_mut(*at)?;
        let DataType::Dictionary(_, texts) = field.data_type() else { return None };
        *field = Arc::new(retyped(field, texts));
    }
    Some(Arc::new(Schema::new_with_metadata(fields, stored.metadata().clone())))
}

/// The rows in the types of `schema`: numbered texts as texts. All other columns have its types already.
pub(crate) fn as_declared(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let is_numbered = |column: &ArrayRef, field: &Field| match column.data_type() {
        DataType::Dictionary(_, texts) => **texts == *field.data_type(),
        _ => false,
    };
    if !batch.columns().iter().zip(schema.fields()).any(|(column, field)| is_numbered(column, field)) {
        return Ok(batch.clone());
    }
    let column = |(column, field): (&ArrayRef, _)| match field {
        field if is_numbered(column, field) => cast(column, field.data_type()),
        _ => Ok(Arc::clone(column)),
    };
    let columns: Vec<_> =
        batch.columns().iter().zip(schema.fields().iter().map(AsRef::as_ref)).map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn retyped(field: &Field, data_type: &DataType) -> Field {
    field.clone().with_data_type(data_type.clone())
}

/// The column with its texts numbered, a part for each batch, if they are texts, and at most so many.
fn numbered(
    data_type: &DataType,
    batches: &[RecordBatch],
    column: usize,
    most: usize,
) -> Result<Option<Vec<ArrayRef>>, ArrowError> {
    let parts = batches.iter().map(|batch| batch.column(column));
    let numbered = match data_type {
        DataType::Utf8 => numbers(parts.map(|part| part.as_string::<i32>()), most),
        DataType::LargeUtf8 => numbers(parts.map(|part| part.as_string::<i64>()), most),
        DataType::Utf8View => numbers(parts.map(|part| part.as_string_view()), most),
        _ => None,
    };
    let Some((texts, numbers)) = numbered else { return Ok(None) };
    let dictionary = cast(&StringArray::from_iter_values(texts), data_type)?;
    let part = |numbers| -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(DictionaryArray::<UInt16Type>::try_new(numbers, Arc::clone(&dictionary))?))
    };
    numbers.into_iter().map(part).collect::<Result<_, _>>().map(Some)
}

/// The distinct texts in the order in which they appear, and each row's number of its own; `None` if there are none, or more
/// than so many.
fn numbers<'a, A: ArrayAccessor<Item = &'a str>>(
    parts: impl Iterator<Item = A>,
    most: usize,
) -> Option<(Vec<&'a str>, Vec<UInt16Array>)> {
    let hash = |text: &str| xxh3_64(text.as_bytes());
    let mut texts: Vec<&str> = Vec::new();
    let mut known: HashTable<u16> = HashTable::new();
    let mut number = |text: &'a str| {
        let is_same = |number: &u16| texts[usize::from(*number)] == text;
        match known.entry(hash(text), is_same, |number| hash(texts[usize::from(*number)])) {
            Entry::Occupied(entry) => Some(*entry.get()),
            Entry::Vacant(entry) => {
                let number = u16::try_from(texts.len()).ok().filter(|number| usize::from(*number) < most)?;
                entry.insert(number);
                texts.push(text);
                Some(number)
            }
        }
    };
    let part = |part: A| {
        let mut numbers = Vec::with_capacity(part.len());
        for row in 0..part.len() {
            numbers.push(if part.is_null(row) { 0 } else { number(part.value(row))? });
        }
        Some(UInt16Array::new(numbers.into(), part.nulls().cloned()))
    };
    let numbers = parts.map(part).collect::<Option<Vec<_>>>()?;
    (!texts.is_empty()).then_some((texts, numbers))
}

/// The column in memory of its own, if it lies in a piece of memory that is more than twice as large.
fn on_its_own(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let data = column.to_data();
    if data.get_slice_memory_size().is_ok_and(|bytes| 2 * bytes >= data.get_array_memory_size()) {
        return Ok(Arc::clone(column));
    }
    Ok(match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => {
            let mut copy = MutableArrayData::new(vec![&data], false, data.len());
            copy.try_extend(0, 0, data.len())?;
            make_array(copy.freeze())
        }
    })
}

#[cfg(test)]
mod tests;
