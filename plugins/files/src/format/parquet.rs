//! Parquet: the columns of the plan, from the row groups that may hold rows that match.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::datatypes::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use plugin_sdk::{BatchIter, Context, Result, SourceError};

use super::{FileSchema, Format, Pass, ReadPlan, Typing, prune};
use crate::config::Options;
use crate::source_file::{Counted, SourceFile};

/// Apache Parquet.
pub(super) struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn label(&self) -> &'static str {
        "Parquet"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["parquet", "pq"]
    }

    fn typing(&self) -> Typing {
        Typing::Stored
    }

    fn inspect(&self, pass: &Pass<'_>, file: &SourceFile, _: &Options) -> Result<FileSchema> {
        let input = Input(file.open(pass.bytes)?);
        let metadata = load(file, &input)?;
        let rows = u64::try_from(metadata.metadata().file_metadata().num_rows()).ok();
        let schema = Arc::new(Schema::new(metadata.schema().fields().clone()));
        Ok(FileSchema { schema, guesses: None, rows, row_bytes: 0 })
    }

    fn read(&self, _: &Context, file: &SourceFile, _: &Options, plan: &ReadPlan) -> Result<BatchIter> {
        let input = Input(file.open(&plan.bytes)?);
        let metadata = load(file, &input)?;
        let mask = ProjectionMask::roots(metadata.parquet_schema(), plan.columns.iter().copied());
        let groups = prune::row_groups(&metadata, &plan.filters);
        let row_bytes = row_bytes(&metadata, &mask);
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata)
            .with_projection(mask)
            .with_batch_size(plan.batch_rows(plan.columns.len(), row_bytes));
        if let Some(groups) = groups {
            builder = builder.with_row_groups(groups);
        }
        let reader = builder.build().map_err(|e| file.failed(source_error(e)))?;
        let file = file.clone();
        Ok(Box::new(reader.map(move |batch| batch.map_err(|e| file.failed(e)))))
    }
}

fn load(file: &SourceFile, input: &Input) -> Result<ArrowReaderMetadata> {
    ArrowReaderMetadata::load(input, ArrowReaderOptions::new()).map_err(|e| file.failed(source_error(e)))
}

/// The bytes of a row in the columns of the mask, where rows are longest: the mean of a row group.
///
/// A text that is repeated is stored once and handed out in full each time, so it is counted in full
/// if the file tells how long its texts are.
fn row_bytes(metadata: &ArrowReaderMetadata, mask: &ProjectionMask) -> u64 {
    let of_group = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        let bytes = columns.map(|(_, column)| {
            column.uncompressed_size().max(column.unencoded_byte_array_data_bytes().unwrap_or(0)).max(0)
        });
        bytes.fold(0i64, i64::saturating_add) / group.num_rows().max(1)
    };
    metadata.metadata().row_groups().iter().map(of_group).max().map_or(0, i64::unsigned_abs)
}

fn source_error(error: ParquetError) -> SourceError {
    SourceError::invalid_data(error.to_string())
}

/// A file whose bytes are counted as they are read.
struct Input(Counted<File>);

impl Length for Input {
    fn len(&self) -> u64 {
        Length::len(&self.0.inner)
    }
}

impl ChunkReader for Input {
    type T = BufReader<Counted<File>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let mut inner = self.0.inner.try_clone()?;
        inner.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(Counted { inner, bytes: Arc::clone(&self.0.bytes) }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        let mut buffer = Vec::new();
        self.get_read(start)?.take(length as u64).read_to_end(&mut buffer)?;
        if buffer.len() < length {
            return Err(ParquetError::EOF(format!("expected {length} bytes at {start}, found {}", buffer.len())));
        }
        Ok(buffer.into())
    }
}
