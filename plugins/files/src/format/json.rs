//! JSON: an array of objects, objects one after the other, or one a line.
//!
//! Both formats read all three, so a mislabelled file is no obstacle. A file is never held as a whole:
//! the types are told by a visitor that keeps no values, and the reader takes the elements of a
//! top-level array as they come.

use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Fields, Schema};
use arrow::json::ReaderBuilder;
use plugin_sdk::{BatchIter, Context, Result};

use super::json_rows;
use super::json_text::TextDecoders;
use super::{FileSchema, Format, Pass, ReadPlan, Typing};
use crate::config::Options;
use crate::guess::Guess;
use crate::source_file::{Counted, SourceFile};

/// A document that is an array of objects.
pub(super) static JSON: Json = Json { name: "json", label: "JSON", extensions: &["json"] };

/// One object a line.
pub(super) static NDJSON: Json = Json { name: "ndjson", label: "NDJSON", extensions: &["ndjson", "jsonl"] };

/// Objects in a text.
pub(super) struct Json {
    name: &'static str,
    label: &'static str,
    extensions: &'static [&'static str],
}

impl Format for Json {
    fn name(&self) -> &'static str {
        self.name
    }

    fn label(&self) -> &'static str {
        self.label
    }

    fn extensions(&self) -> &'static [&'static str] {
        self.extensions
    }

    fn typing(&self) -> Typing {
        Typing::Inferred
    }

    fn inspect(&self, pass: &Pass<'_>, file: &SourceFile, options: &Options) -> Result<FileSchema> {
        let unpacked = Arc::default();
        let text = Counted { inner: file.open_text(pass.bytes)?, bytes: Arc::clone(&unpacked) };
        let reader = BufReader::with_capacity(file.buffer(), text);
        let (columns, rows) = json_rows::inspect(pass, reader).map_err(|e| file.failed(e))?;
        let field = |(name, guess): (&str, &Guess)| {
            let data_type = options.types.get(name).cloned().unwrap_or_else(|| guess.data_type());
            Field::new(name, data_type, true)
        };
        let fields: Fields = columns.iter().map(field).collect();
        let guesses = Some(columns.iter().map(|(_, guess)| guess.clone()).collect());
        let row_bytes = unpacked.load(Ordering::Relaxed) / rows.max(1);
        Ok(FileSchema { schema: Arc::new(Schema::new(fields)), guesses, rows: Some(rows), row_bytes })
    }

    fn read(&self, _: &Context, file: &SourceFile, _: &Options, plan: &ReadPlan) -> Result<BatchIter> {
        let fields: Fields = plan.fields.iter().map(|f| Arc::new(f.as_ref().clone().with_nullable(true))).collect();
        let is_empty = fields.is_empty();
        let rows = plan.batch_rows(plan.file.schema.fields().len(), plan.file.row_bytes);
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_flatten(true)
            .with_batch_size(rows.min(MAX_ROWS))
            .with_decoder_factory(Arc::new(TextDecoders))
            .build(BufReader::with_capacity(file.buffer(), file.open_text(&plan.bytes)?))?;
        let file = file.clone();
        Ok(Box::new(reader.map(move |batch| {
            let batch = batch.map_err(|e| file.failed(e))?;
            Ok(if is_empty { without_columns(&batch)? } else { batch })
        })))
    }
}

/// Rows in a batch; the decoder's own working memory is several times the text's.
const MAX_ROWS: usize = 16 << 10;

fn without_columns(batch: &RecordBatch) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?)
}
