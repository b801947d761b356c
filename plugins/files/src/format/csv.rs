//! Delimited text: CSV and TSV.
//!
//! A file is read twice: once to tell the types from all its values (unless all are declared), then,
//! for each scan, into columns of these types. An empty field is null.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use csv::{ByteRecord, ErrorKind};
use plugin_sdk::{BatchIter, Context, Result, SourceError};

use super::{FileSchema, Format, ReadPlan, Typing, batch_rows};
use crate::config::Options;
use crate::infer::Kinds;
use crate::source_file::{BUFFER, SourceFile};

/// Comma-separated values.
pub(super) static CSV: Delimited = Delimited { name: "csv", label: "CSV", extension: ["csv"], delimiter: b',' };

/// Tab-separated values.
pub(super) static TSV: Delimited = Delimited { name: "tsv", label: "TSV", extension: ["tsv"], delimiter: b'\t' };

/// Records between two looks at whether the caller gave up.
const CHECK_EVERY: u64 = 4096;

/// A text whose records are lines and whose fields are separated by one character.
pub(super) struct Delimited {
    name: &'static str,
    label: &'static str,
    extension: [&'static str; 1],
    delimiter: u8,
}

impl Format for Delimited {
    fn name(&self) -> &'static str {
        self.name
    }

    fn label(&self) -> &'static str {
        self.label
    }

    fn extensions(&self) -> &'static [&'static str] {
        if self.delimiter == b',' { &CSV.extension } else { &TSV.extension }
    }

    fn typing(&self) -> Typing {
        Typing::Inferred
    }

    fn inspect(&self, ctx: &Context, file: &SourceFile, options: &Options) -> Result<FileSchema> {
        let bytes = Arc::new(AtomicU64::new(0));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(options.delimiter.unwrap_or(self.delimiter))
            .has_headers(false)
            .buffer_capacity(BUFFER)
            .from_reader(file.open_text(&bytes)?);
        inspect_records(ctx, &mut reader, options).map_err(|e| file.failed(e))
    }

    fn read(&self, _: &Context, file: &SourceFile, options: &Options, plan: &ReadPlan) -> Result<BatchIter> {
        // A type only matters for the columns that are read; the others are skipped as text.
        let mut fields: Vec<Field> =
            plan.file.schema.fields().iter().map(|f| Field::new(f.name(), DataType::Utf8, true)).collect();
        for (&column, field) in plan.columns.iter().zip(&plan.fields) {
            fields[column] = Field::new(field.name(), field.data_type().clone(), true);
        }
        let rows = batch_rows(fields.len(), plan.file.rows, file.stamp.size);
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_header(options.header)
            .with_delimiter(options.delimiter.unwrap_or(self.delimiter))
            .with_batch_size(rows)
            .with_projection(plan.columns.clone())
            .build_buffered(std::io::BufReader::with_capacity(BUFFER, file.open_text(&plan.bytes)?))?;
        let file = file.clone();
        Ok(Box::new(reader.map(move |batch| batch.map_err(|e| file.failed(readable(e.into()))))))
    }
}

/// Arrow's reader ends its messages with the whole row, which may be long and nobody's business, and
/// counts lines from zero.
fn readable(mut error: SourceError) -> SourceError {
    const LINE: &str = " at line ";
    if let Some(at) = error.message.find(". Row data:") {
        error.message.truncate(at);
    }
    if let Some(at) = error.message.rfind(LINE) {
        let digits = at + LINE.len();
        let rest = &error.message[digits..];
        let end = digits + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if let Ok(number) = error.message[digits..end].parse::<u64>() {
            error.message.replace_range(digits..end, &(number + 1).to_string());
        }
    }
    error
}

fn inspect_records<R: Read>(ctx: &Context, reader: &mut csv::Reader<R>, options: &Options) -> Result<FileSchema> {
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(record_error)? {
        return Ok(FileSchema { schema: Arc::new(Schema::empty()), rows: Some(0) });
    }
    let names = column_names(&record, options.header)?;
    let declared: Vec<Option<&DataType>> = names.iter().map(|name| options.types.get(name)).collect();
    let mut kinds = vec![Kinds::NONE; names.len()];
    let mut rows = None;
    if declared.iter().any(Option::is_none) {
        let mut count = 0u64;
        if !options.header {
            count += 1;
            add_record(&mut kinds, &declared, &record)?;
        }
        while reader.read_byte_record(&mut record).map_err(record_error)? {
            if count.is_multiple_of(CHECK_EVERY) {
                ctx.check()?;
            }
            count += 1;
            add_record(&mut kinds, &declared, &record)?;
        }
        rows = Some(count);
    }
    let fields: Fields = names
        .iter()
        .zip(declared)
        .zip(kinds)
        .map(|((name, declared), kinds)| Field::new(name, declared.cloned().unwrap_or_else(|| kinds.data_type()), true))
        .collect();
    Ok(FileSchema { schema: Arc::new(Schema::new(fields)), rows })
}

fn add_record(kinds: &mut [Kinds], declared: &[Option<&DataType>], record: &ByteRecord) -> Result<()> {
    for ((kinds, declared), value) in kinds.iter_mut().zip(declared).zip(record) {
        let text = std::str::from_utf8(value).map_err(|_| not_utf8(record))?;
        if declared.is_none() && !kinds.has(Kinds::TEXT) {
            *kinds = kinds.with(Kinds::of(text));
        }
    }
    Ok(())
}

/// The names of the columns: of the header, made whole and unique, or `column_1` and so on.
fn column_names(first: &ByteRecord, header: bool) -> Result<Vec<String>> {
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(first.len());
    for (i, value) in first.iter().enumerate() {
        let text = std::str::from_utf8(value).map_err(|_| not_utf8(first))?.trim();
        let base = if header && !text.is_empty() { text.to_owned() } else { format!("column_{}", i + 1) };
        let mut name = base.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        names.push(name);
    }
    Ok(names)
}

fn not_utf8(record: &ByteRecord) -> SourceError {
    let line = record.position().map_or(1, csv::Position::line);
    SourceError::invalid_data(format!("line {line} is not valid UTF-8"))
}

fn record_error(error: csv::Error) -> SourceError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.into_kind() {
        ErrorKind::Io(io) => io.into(),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            SourceError::invalid_data(format!("line {line} has {len} fields where the first line has {expected_len}"))
        }
        _ => SourceError::invalid_data(format!("line {line} is not a record")),
    }
}
