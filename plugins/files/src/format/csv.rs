//! Delimited text: CSV and TSV.
//!
//! A file is read twice: once to tell the types from all its values (unless all are declared), then,
//! for each scan, into columns of these types. An empty field is null.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use plugin_sdk::{BatchIter, Context, Result, SourceError};

use super::csv_records::{Record, Records, invalid};
use super::{FileSchema, Format, Pass, ReadPlan, Typing};
use crate::config::Options;
use crate::guess::Guess;
use crate::infer::Kinds;
use crate::source_file::SourceFile;

/// Comma-separated values.
pub(super) static CSV: Delimited = Delimited { name: "csv", label: "CSV", extension: ["csv"], delimiter: b',' };

/// Tab-separated values.
pub(super) static TSV: Delimited = Delimited { name: "tsv", label: "TSV", extension: ["tsv"], delimiter: b'\t' };

/// Records that tell how long rows are where nothing else is to be told from them.
const SAMPLE: u64 = 1024;

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

    fn inspect(&self, pass: &Pass<'_>, file: &SourceFile, options: &Options) -> Result<FileSchema> {
        let delimiter = options.delimiter.unwrap_or(self.delimiter);
        let records = Records::new(BufReader::with_capacity(file.buffer(), file.open_text(pass.bytes)?), delimiter);
        inspect_records(pass, records, options).map_err(|e| file.failed(e))
    }

    fn read(&self, _: &Context, file: &SourceFile, options: &Options, plan: &ReadPlan) -> Result<BatchIter> {
        // A type only matters for the columns that are read; the others are skipped as text.
        let mut fields: Vec<Field> =
            plan.file.schema.fields().iter().map(|f| Field::new(f.name(), DataType::Utf8, true)).collect();
        for (&column, field) in plan.columns.iter().zip(&plan.fields) {
            fields[column] = Field::new(field.name(), field.data_type().clone(), true);
        }
        let rows = plan.batch_rows(fields.len(), plan.file.row_bytes);
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_header(options.header)
            .with_delimiter(options.delimiter.unwrap_or(self.delimiter))
            .with_batch_size(rows)
            .with_projection(plan.columns.clone())
            .build_buffered(BufReader::with_capacity(file.buffer(), file.open_text(&plan.bytes)?))?;
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

fn inspect_records<R: BufRead>(pass: &Pass<'_>, mut records: Records<R>, options: &Options) -> Result<FileSchema> {
    let Some(first) = records.next()? else {
        let guesses = Some(Arc::default());
        return Ok(FileSchema { schema: Arc::new(Schema::empty()), guesses, rows: Some(0), row_bytes: 0 });
    };
    let names = column_names(&first, options.header);
    let declared: Vec<Option<&DataType>> = names.iter().map(|name| options.types.get(name)).collect();
    let mut kinds = vec![Kinds::NONE; names.len()];
    let (mut rows, mut bytes) = (None, Mean::default());
    if declared.iter().any(Option::is_none) {
        let mut count = 0u64;
        if !options.header {
            count += 1;
            bytes.add(&first);
            add_record(&mut kinds, &declared, &first)?;
        }
        while let Some(record) = records.next()? {
            if count.is_multiple_of(CHECK_EVERY) {
                pass.check()?;
            }
            count += 1;
            bytes.add(&record);
            add_record(&mut kinds, &declared, &record)?;
        }
        rows = Some(count);
    } else {
        // There is nothing to find out but how long rows are, for which the first ones stand.
        while bytes.records < SAMPLE
            && let Some(record) = records.next()?
        {
            bytes.add(&record);
        }
    }
    let fields: Fields = names
        .iter()
        .zip(declared)
        .zip(&kinds)
        .map(|((name, declared), kinds)| Field::new(name, declared.cloned().unwrap_or_else(|| kinds.data_type()), true))
        .collect();
    let guesses = Some(kinds.into_iter().map(Guess::from).collect());
    Ok(FileSchema { schema: Arc::new(Schema::new(fields)), guesses, rows, row_bytes: bytes.get() })
}

/// How long records are.
#[derive(Default)]
struct Mean {
    records: u64,
    bytes: u64,
}

impl Mean {
    fn add(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.bytes += record.bytes() as u64;
    }

    fn get(&self) -> u64 {
        self.bytes / self.records.max(1)
    }
}

fn add_record(kinds: &mut [Kinds], declared: &[Option<&DataType>], record: &Record<'_>) -> Result<()> {
    if record.len() != kinds.len() {
        let (have, want) = (record.len(), kinds.len());
        return Err(invalid(record.line, &format!("has {have} fields where the first line has {want}")));
    }
    for ((kinds, declared), text) in kinds.iter_mut().zip(declared).zip(record.iter()) {
        if declared.is_none() && !kinds.has(Kinds::TEXT) {
            *kinds = kinds.with(Kinds::of(text));
        }
    }
    Ok(())
}

/// The names of the columns: of the header, made whole and unique, or `column_1` and so on.
fn column_names(first: &Record<'_>, header: bool) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(first.len());
    for (i, value) in first.iter().enumerate() {
        let text = value.trim();
        let base = if header && !text.is_empty() { text.to_owned() } else { format!("column_{}", i + 1) };
        let mut name = base.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}
