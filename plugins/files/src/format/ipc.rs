//! Arrow IPC, also known as Feather: the file format and the stream format, told apart by the first
//! bytes.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use plugin_sdk::{BatchIter, Context, Result, SourceError};

use super::{FileSchema, Format, MAX_BATCH_ROWS, Pass, ReadPlan, Typing};
use crate::config::Options;
use crate::source_file::{Counted, SourceFile};

const FILE_MAGIC: &[u8; 6] = b"ARROW1";
const FEATHER_1_MAGIC: &[u8; 4] = b"FEA1";

/// Arrow's own format.
pub(super) struct Ipc;

type Input = BufReader<Counted<File>>;

enum Reader {
    File(FileReader<Input>),
    Stream(StreamReader<Input>),
}

impl Format for Ipc {
    fn name(&self) -> &'static str {
        "arrow"
    }

    fn label(&self) -> &'static str {
        "Arrow"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["arrow", "feather", "ipc", "arrows"]
    }

    fn typing(&self) -> Typing {
        Typing::Stored
    }

    fn inspect(&self, pass: &Pass<'_>, file: &SourceFile, _: &Options) -> Result<FileSchema> {
        let reader = open(file, pass.bytes, None)?;
        let schema = Arc::new(Schema::new(reader.schema().fields().clone()));
        Ok(FileSchema { schema, guesses: None, rows: None, row_bytes: 0 })
    }

    fn read(&self, _: &Context, file: &SourceFile, _: &Options, plan: &ReadPlan) -> Result<BatchIter> {
        let reader = open(file, &plan.bytes, Some(plan.columns.clone()))?;
        let file = file.clone();
        Ok(Box::new(reader.flat_map(move |batch| Pieces::of(batch.map_err(|e| file.failed(e))))))
    }
}

fn open(file: &SourceFile, bytes: &Arc<AtomicU64>, columns: Option<Vec<usize>>) -> Result<Reader> {
    let mut input = BufReader::with_capacity(file.buffer(), file.open(bytes)?);
    let mut magic = Vec::new();
    let outcome = input.by_ref().take(6).read_to_end(&mut magic).and_then(|_| input.seek(SeekFrom::Start(0)));
    outcome.map_err(|e| file.failed(e))?;
    if magic.starts_with(FEATHER_1_MAGIC) {
        return Err(file.failed(SourceError::invalid_data("Feather version 1 is not read, write it as version 2")));
    }
    let reader = if magic == FILE_MAGIC {
        FileReader::try_new(input, columns).map(Reader::File)
    } else {
        StreamReader::try_new(input, columns).map(Reader::Stream)
    };
    reader.map_err(|e| file.failed(e))
}

impl Reader {
    fn schema(&self) -> SchemaRef {
        match self {
            Self::File(reader) => reader.schema(),
            Self::Stream(reader) => reader.schema(),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(reader) => reader.next(),
            Self::Stream(reader) => reader.next(),
        }
    }
}

/// A batch, which a file may hold of any length, in pieces of the usual one. Nothing is copied.
struct Pieces {
    rest: Option<Result<RecordBatch>>,
}

impl Pieces {
    fn of(batch: Result<RecordBatch>) -> Self {
        Self { rest: Some(batch) }
    }
}

impl Iterator for Pieces {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rest.take()? {
            Ok(batch) if batch.num_rows() > MAX_BATCH_ROWS => {
                self.rest = Some(Ok(batch.slice(MAX_BATCH_ROWS, batch.num_rows() - MAX_BATCH_ROWS)));
                Some(Ok(batch.slice(0, MAX_BATCH_ROWS)))
            }
            last => Some(last),
        }
    }
}
