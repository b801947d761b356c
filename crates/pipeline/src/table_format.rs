//! How tables and results are kept on disk: what is known of them, then an Arrow IPC stream.
//!
//! ```text
//! version: u64 LE | fingerprint length: u8 | fingerprint | length of next: u32 LE | next page
//! | columns whose texts are numbered: how many: u32 LE, which: u32 LE each | Arrow IPC stream (schema, batches)
//! ```
//!
//! The stream is validated when it is read back, as everything is that comes from outside of the process.

use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use cache_core::{Persist, PersistError};
use plugin_sdk::Fingerprint;

use crate::answer::Next;
use crate::eval;
use crate::stored;
use crate::table::Table;

/// Raised whenever what follows is written in another way.
const LAYOUT: u64 = 0x7461_626c_6500_0003;

/// Writes and reads tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableFormat;

impl Persist<Arc<Table>> for TableFormat {
    fn layout(&self) -> u64 {
        LAYOUT
    }

    fn weight(&self, table: &Arc<Table>) -> u64 {
        table.weight()
    }

    fn encode(&self, table: &Arc<Table>) -> Result<Vec<u8>, PersistError> {
        let fingerprint = table.fingerprint.as_bytes();
        let mut bytes = table.version.to_le_bytes().to_vec();
        bytes.push(u8::try_from(fingerprint.len())?);
        bytes.extend_from_slice(fingerprint);
        let next = table.next.as_ref().map(Next::to_text).unwrap_or_default();
        bytes.extend_from_slice(&u32::try_from(next.len())?.to_le_bytes());
        bytes.extend_from_slice(next.as_bytes());
        let numbered = stored::numbered_columns(&table.schema, &table.stored);
        for number in [numbered.len()].iter().chain(&numbered) {
            bytes.extend_from_slice(&u32::try_from(*number)?.to_le_bytes());
        }
        let mut writer = StreamWriter::try_new(bytes, &table.stored)?;
        for batch in &table.batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        Ok(writer.into_inner()?)
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<Arc<Table>, PersistError> {
        let (version, rest) = bytes.split_first_chunk::<8>().ok_or("no version")?;
        let (length, rest) = rest.split_first().ok_or("no fingerprint")?;
        let (fingerprint, rest) = rest.split_at_checked(usize::from(*length)).ok_or("half a fingerprint")?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or("no next page")?;
        let (next, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or("half a next page")?;
        let next = match std::str::from_utf8(next)? {
            "" => None,
            text => Some(Next::from_text(text).ok_or("no such page")?),
        };
        let (length, rest) = rest.split_first_chunk::<4>().ok_or("no numbered columns")?;
        let length = (u32::from_le_bytes(*length) as usize).checked_mul(4).ok_or("too many numbered columns")?;
        let (numbered, stream) = rest.split_at_checked(length).ok_or("half of the numbered columns")?;
        let numbered: Vec<_> =
            numbered.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number) as usize).collect();
        let reader = StreamReader::try_new(stream, None)?;
        let stored_schema = reader.schema();
        let schema = stored::declared(&stored_schema, &numbered).ok_or("a numbered column that is none")?;
        let batches = stored::with_one_array(reader.collect::<Result<_, _>>()?, &numbered)?;
        Ok(Arc::new(Table {
            zones: eval::Zones::new(&stored_schema),
            schema,
            rows: batches.iter().map(|batch| batch.num_rows() as u64).sum(),
            bytes: stored::bytes_of(&batches, &numbered),
            stored: stored_schema,
            batches,
            fingerprint: Fingerprint::new(fingerprint).ok_or("a fingerprint of more than 64 bytes")?,
            next,
            version: u64::from_le_bytes(*version),
        }))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, AsArray, DictionaryArray, Float64Array, RecordBatch, RecordBatchOptions, StringArray,
    };
    use arrow::datatypes::{Int32Type, Schema};

    use super::*;
    use crate::stored::Stored;

    fn table(batches: Vec<RecordBatch>) -> Arc<Table> {
        Arc::new(Table {
            zones: eval::Zones::new(&batches[0].schema()),
            schema: batches[0].schema(),
            stored: batches[0].schema(),
            rows: batches.iter().map(|batch| batch.num_rows() as u64).sum(),
            bytes: 0,
            batches,
            fingerprint: Fingerprint::new(b"v7").unwrap(),
            next: Some(Next::Cursor("token".into())),
            version: 7,
        })
    }

    #[track_caller]
    fn check(batches: Vec<RecordBatch>) {
        let written = table(batches);
        let read = TableFormat.decode(TableFormat.encode(&written).unwrap()).unwrap();
        assert_eq!((read.version, read.rows), (7, written.rows));
        assert_eq!((read.fingerprint.as_bytes(), &read.next), (&b"v7"[..], &written.next));
        assert_eq!((&read.schema, &read.batches), (&written.schema, &written.batches));
    }

    fn batch() -> RecordBatch {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("ä")]));
        let number: ArrayRef = Arc::new(Float64Array::from(vec![0.1, -0.0, 3.0]));
        let words: ArrayRef = Arc::new(["x", "y", "x"].into_iter().collect::<DictionaryArray<Int32Type>>());
        RecordBatch::try_from_iter([("text", text), ("number", number), ("words", words)]).unwrap()
    }

    #[test]
    fn tables_come_back_as_they_were() {
        check(vec![batch(), batch()]);
        check(vec![batch().slice(1, 2)]);
        check(vec![RecordBatch::new_empty(batch().schema())]);
        let rows_only = RecordBatchOptions::new().with_row_count(Some(5));
        check(vec![RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &rows_only).unwrap()]);
    }

    #[test]
    fn numbered_texts_come_back_numbered_with_one_dictionary() {
        let text = |from: usize| {
            StringArray::from_iter((from..from + 9_000).map(|n| (n % 7 > 0).then_some(["a", "ä"][n % 2])))
        };
        let batch = |from| RecordBatch::try_from_iter([("text", Arc::new(text(from)) as ArrayRef)]).unwrap();
        let batches = vec![batch(0), batch(1)];
        let schema = batches[0].schema();
        let Stored { schema: stored, batches, bytes } = Stored::new(&schema, batches).unwrap();
        let written = Table { schema, stored, bytes, ..Arc::into_inner(table(batches)).unwrap() };
        assert_ne!(written.schema, written.stored);
        let written = Arc::new(written);
        let read = TableFormat.decode(TableFormat.encode(&written).unwrap()).unwrap();
        assert_eq!((&read.schema, &read.stored), (&written.schema, &written.stored));
        assert_eq!((&read.batches, read.bytes), (&written.batches, written.bytes));
        let [first, second] = [0, 1].map(|at| read.batches[at].column(0).as_any_dictionary().values());
        assert!(Arc::ptr_eq(first, second), "a dictionary for each batch");
    }

    #[test]
    fn bytes_that_are_no_table_are_refused() {
        let good = TableFormat.encode(&table(vec![batch()])).unwrap();
        for cut in [0, 5, 8, 10, 11, 13, 17, 22, 25, good.len() / 2] {
            assert!(TableFormat.decode(good[..cut].to_vec()).is_err(), "cut at {cut}");
        }
    }
}
