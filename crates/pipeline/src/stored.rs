//! How a cached table keeps its rows: as the source gives them, but for texts of few values, of which it keeps numbers.
//!
//! A column of regions says the same few texts over and over. A table keeps each text once, and for each row its number in
//! two bytes (Arrow's dictionary encoding), which takes less memory, and less time for every query that reads, copies or
//! groups by the column. All batches of a table share one dictionary for a column.
//!
//! The dataset's schema says nothing of it. A query is bound to that schema, and asked of the table as it is stored
//! ([`BoundQuery::on_stored`](crate::query::BoundQuery::on_stored)); columns get their own types back where types show
//! ([`as_declared`]).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayAccessor, ArrayData, ArrayRef, AsArray, DictionaryArray, MutableArrayData, RecordBatch, StringArray,
    UInt16Array, make_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt16Type};
use arrow::error::ArrowError;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::eval;

/// Smaller tables are fast and small enough as they are.
const MIN_ROWS: usize = 8 * 1024;
/// A text that fewer rows have on average is not worth its place in a dictionary.
const ROWS_PER_TEXT: usize = 16;
/// Texts of a dictionary at most, and their bytes: it should stay in a core's cache beside what is done with it.
const MAX_TEXTS: usize = 4 * 1024;
const MAX_DICTIONARY_BYTES: usize = 256 * 1024;
/// The bytes of the longest text that has a number: a few bytes may become so many when they are written.
const MAX_TEXT_BYTES: usize = 1024;

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
        if rows < MIN_ROWS || !schema.fields().iter().all(|field| can_be_copied(field.data_type())) {
            return Ok(Self::as_it_is(schema, batches));
        }
        Self::numbered(schema, batches, (rows / ROWS_PER_TEXT).min(MAX_TEXTS))
    }

    /// Numbers the texts of the columns that have at most so many.
    pub(crate) fn numbered(schema: &SchemaRef, batches: Vec<RecordBatch>, most: usize) -> Result<Self, ArrowError> {
        let of_column = |column| numbered(schema.field(column).data_type(), &batches, column, most);
        let columns: Vec<_> = (0..schema.fields().len()).into_par_iter().map(of_column).collect::<Result<_, _>>()?;
        if columns.iter().all(Option::is_none) {
            return Ok(Self::as_it_is(schema, batches));
        }
        let fields = schema.fields().iter().zip(&columns).map(|(field, numbered)| match numbered {
            Some(parts) => Arc::new(retyped(field, parts[0].data_type())),
            None => Arc::clone(field),
        });
        let stored = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()));
        // Each batch is let go as soon as its successor is there.
        let batch = |(at, batch): (usize, RecordBatch)| {
            let unnumbered = batch.columns().iter().zip(&columns).filter(|(_, numbered)| numbered.is_none());
            let mut unnumbered = on_their_own(unnumbered.map(|(column, _)| Arc::clone(column)).collect())?.into_iter();
            let column = |numbered: &Option<Vec<ArrayRef>>| match numbered {
                Some(parts) => Some(Arc::clone(&parts[at])),
                None => unnumbered.next(),
            };
            RecordBatch::try_new(Arc::clone(&stored), columns.iter().filter_map(column).collect())
        };
        let batches: Vec<_> = batches.into_par_iter().enumerate().map(batch).collect::<Result<_, _>>()?;
        let bytes = bytes_of(&batches, &numbered_columns(schema, &stored));
        Ok(Self { schema: stored, batches, bytes })
    }

    fn as_it_is(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema: Arc::clone(schema), bytes: bytes_of(&batches, &[]), batches }
    }
}

/// What stored batches take, where the texts of these columns are numbered. A dictionary that all share counts once.
pub(crate) fn bytes_of(batches: &[RecordBatch], numbered: &[usize]) -> u64 {
    let [first, rest @ ..] = batches else { return 0 };
    let shared = |batch: &RecordBatch, column: &usize| {
        let [first, other] = [first, batch].map(|batch| batch.column(*column).as_any_dictionary_opt());
        match (first, other) {
            (Some(first), Some(other)) if Arc::ptr_eq(first.values(), other.values()) => {
                eval::array_bytes(other.values())
            }
            _ => 0,
        }
    };
    let shared = |batch| numbered.iter().map(|column| shared(batch, column)).sum::<usize>();
    let bytes = |batch| (eval::batch_bytes(batch), shared(batch));
    let rest = rest.iter().map(bytes).map(|(bytes, shared)| bytes - shared);
    (eval::batch_bytes(first) + rest.sum::<usize>()) as u64
}

/// What the rows of an answer of this schema take, where a numbered text counts as a view of it does: so much is to be
/// written of them, about, and the dictionary is the table's.
pub(crate) fn answer_bytes(batches: &[RecordBatch], schema: &Schema) -> u64 {
    let of_column = |(column, field): (&ArrayRef, &Arc<Field>)| match is_numbered(column, field) {
        true => column.len() * size_of::<u128>(),
        false => eval::array_bytes(column),
    };
    let of_batch = |batch: &RecordBatch| batch.columns().iter().zip(schema.fields()).map(of_column).sum::<usize>();
    batches.iter().map(of_batch).sum::<usize>() as u64
}

/// The same batches with one array for the dictionary of a column, where all parts of it have the same memory.
pub(crate) fn with_one_array(batches: Vec<RecordBatch>, numbered: &[usize]) -> Result<Vec<RecordBatch>, ArrowError> {
    let Some(first) = batches.first().filter(|_| !numbered.is_empty()).cloned() else { return Ok(batches) };
    let batch = |batch: RecordBatch| {
        let mut columns = batch.columns().to_vec();
        for at in numbered {
            let [ours, others] = [&first, &batch].map(|batch| batch.column(*at).as_any_dictionary_opt());
            if let (Some(ours), Some(others)) = (ours, others)
                && ours.values().to_data().ptr_eq(&others.values().to_data())
            {
                columns[*at] = others.with_values(Arc::clone(ours.values()));
            }
        }
        // A table that has numbered columns has columns.
        RecordBatch::try_new(batch.schema(), columns)
    };
    batches.into_iter().map(batch).collect()
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
        *field = match field.data_type() {
            DataType::Dictionary(numbers, texts) if **numbers == DataType::UInt16 && is_text(texts) => {
                Arc::new(retyped(field, texts))
            }
            _ => return None,
        };
    }
    Some(Arc::new(Schema::new_with_metadata(fields, stored.metadata().clone())))
}

/// The rows in the types of `schema`: numbered texts as texts. All other columns have its types already.
pub(crate) fn as_declared(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if !has_numbered(batch, schema) {
        return Ok(batch.clone());
    }
    let column = |(column, field): (&ArrayRef, _)| match field {
        field if is_numbered(column, field) => cast(column, field.data_type()).map(eval::compacted),
        _ => Ok(Arc::clone(column)),
    };
    let columns: Vec<_> =
        batch.columns().iter().zip(schema.fields().iter().map(AsRef::as_ref)).map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Whether a batch has columns of numbered texts, where `schema` has texts.
pub(crate) fn has_numbered(batch: &RecordBatch, schema: &Schema) -> bool {
    batch.columns().iter().zip(schema.fields()).any(|(column, field)| is_numbered(column, field))
}

fn is_numbered(column: &ArrayRef, field: &Field) -> bool {
    matches!(column.data_type(), DataType::Dictionary(_, texts) if **texts == *field.data_type())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
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
    // Nobody outside can prepare texts of one hash.
    let seed = RandomState::new().hash_one(0);
    let hash = |text: &str| xxh3_64_with_seed(text.as_bytes(), seed);
    let (mut texts, mut bytes): (Vec<&str>, _) = (Vec::new(), 0);
    let mut known: HashTable<u16> = HashTable::new();
    let mut number = |text: &'a str| {
        let is_same = |number: &u16| texts[usize::from(*number)] == text;
        match known.entry(hash(text), is_same, |number| hash(texts[usize::from(*number)])) {
            Entry::Occupied(entry) => Some(*entry.get()),
            Entry::Vacant(entry) => {
                bytes += text.len();
                let fits = texts.len() < most && text.len() <= MAX_TEXT_BYTES && bytes <= MAX_DICTIONARY_BYTES;
                let number = u16::try_from(texts.len()).ok().filter(|_| fits)?;
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
        // Not the bits that came, which hold the memory of all that came with them.
        let nulls = part.nulls().filter(|nulls| nulls.null_count() > 0);
        Some(UInt16Array::new(numbers.into(), nulls.map(|nulls| nulls.iter().collect::<BooleanBuffer>().into())))
    };
    let numbers = parts.map(part).collect::<Option<Vec<_>>>()?;
    (!texts.is_empty()).then_some((texts, numbers))
}

/// The columns in memory of their own, if they lie in pieces of memory that are half as large again: what was read as one
/// message lies in one, which is only given back when no column is left in it.
fn on_their_own(columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut pieces = HashMap::new();
    columns.iter().for_each(|column| push_memory(&column.to_data(), &mut pieces));
    let used: usize = columns.iter().map(|column| eval::array_bytes(column)).sum();
    if pieces.values().sum::<usize>() <= used + used / 2 {
        return Ok(columns);
    }
    columns.into_iter().map(copied).collect()
}

/// Adds the pieces of memory that an array lies in: where they begin, and their bytes.
fn push_memory(data: &ArrayData, pieces: &mut HashMap<usize, usize>) {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    for buffer in data.buffers().iter().chain(nulls) {
        pieces.insert(buffer.data_ptr().as_ptr() as usize, buffer.capacity());
    }
    data.child_data().iter().for_each(|child| push_memory(child, pieces));
}

/// Whether [`copied`] leaves nothing of a column in the memory where it was: the values of dictionaries stay, and so do texts
/// of views within other types. A table that has such columns is stored as it is.
fn can_be_copied(data_type: &DataType) -> bool {
    use DataType::*;
    let within =
        |field: &Field| !matches!(field.data_type(), Utf8View | BinaryView) && can_be_copied(field.data_type());
    match data_type {
        Dictionary(..) | RunEndEncoded(..) | Union(..) => false,
        List(item) | LargeList(item) | ListView(item) | LargeListView(item) => within(item),
        FixedSizeList(item, _) | Map(item, _) => within(item),
        Struct(fields) => fields.iter().all(|field| within(field)),
        _ => true,
    }
}

fn copied(column: ArrayRef) -> Result<ArrayRef, ArrowError> {
    // The texts of views first: a copy of these shares them.
    let data = match column.data_type() {
        DataType::Utf8View => column.as_string_view().gc().into_data(),
        DataType::BinaryView => column.as_binary_view().gc().into_data(),
        _ => column.into_data(),
    };
    let mut copy = MutableArrayData::new(vec![&data], false, data.len());
    copy.try_extend(0, 0, data.len())?;
    Ok(make_array(copy.freeze()))
}

#[cfg(test)]
mod tests;
