//! Results as bytes: one entry in [`Format::ALL`] for each way to write a table.
//!
//! JSON is an array of objects with every column in every object, nulls written; NDJSON one object a
//! line; CSV has a header line, and nested columns as JSON text; Arrow is an IPC stream. Dates and
//! times are ISO 8601, binary is hexadecimal, decimals keep all their digits.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};

/// A way to write a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// An array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// A result that cannot be written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The format cannot carry it.
    #[error("write the result as {format}: {source}")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// Why.
        source: Arc<ArrowError>,
    },
    /// There is too much of it.
    #[error("the answer is longer than {max_bytes} bytes")]
    TooLarge {
        /// The bound.
        max_bytes: usize,
    },
}

impl Format {
    /// All formats, the default one first.
    pub const ALL: [Self; 4] = [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow];

    /// The name for `format=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
        }
    }

    /// The media type of the bytes.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The format of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Writes batches of `schema`, into `max_bytes` at most.
    ///
    /// # Errors
    /// A column's type cannot be written in the format, or there is too much to write.
    pub fn encode(self, schema: &SchemaRef, batches: &[RecordBatch], max_bytes: usize) -> Result<Vec<u8>, EncodeError> {
        let mut out = Bounded { bytes: Vec::new(), max_bytes, is_over: false };
        let written = match self {
            Self::Json => json::<JsonArray>(&mut out, batches),
            Self::Ndjson => json::<LineDelimited>(&mut out, batches),
            Self::Csv => csv(&mut out, schema, batches),
            Self::Arrow => ipc(&mut out, schema, batches),
        };
        match written {
            Ok(()) => Ok(out.bytes),
            Err(_) if out.is_over => Err(EncodeError::TooLarge { max_bytes }),
            Err(source) => Err(EncodeError::Unsupported { format: self.name(), source: Arc::new(source) }),
        }
    }
}

/// Takes bytes up to a bound.
struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
    is_over: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max_bytes - self.bytes.len() {
            self.is_over = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn json<F: JsonFormat>(out: impl Write, batches: &[RecordBatch]) -> Result<(), ArrowError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, F>(out);
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

fn ipc(out: impl Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), ArrowError> {
    let mut writer = StreamWriter::try_new(out, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

fn csv(out: impl Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), ArrowError> {
    let flat = |field: &Arc<Field>| match field.data_type() {
        t if t.is_nested() => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        _ => Arc::clone(field),
    };
    let flat_schema = Arc::new(Schema::new(schema.fields().iter().map(flat).collect::<Vec<_>>()));
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
    // The writer takes its header from the first batch, so a result without rows needs an empty one.
    writer.write(&RecordBatch::new_empty(Arc::clone(&flat_schema)))?;
    for batch in batches {
        let columns = batch.columns().iter().map(flatten).collect::<Result<Vec<_>, _>>()?;
        writer.write(&RecordBatch::try_new(Arc::clone(&flat_schema), columns)?)?;
    }
    Ok(())
}

/// A nested column as JSON text, any other as it is.
fn flatten(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    let schema = Arc::new(Schema::new(vec![Field::new("v", column.data_type().clone(), true)]));
    let mut lines = Vec::new();
    json::<LineDelimited>(&mut lines, &[RecordBatch::try_new(schema, vec![Arc::clone(column)])?])?;
    // Each line is `{"v":<value>}`.
    let text = String::from_utf8(lines).map_err(|e| ArrowError::CsvError(e.to_string()))?;
    let values = text.lines().enumerate().map(|(row, line)| {
        let value = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
        if column.is_null(row) { None } else { value }
    });
    Ok(Arc::new(StringArray::from_iter(values)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, BooleanArray, Float64Array, Int64Array, ListArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn table() -> (SchemaRef, RecordBatch) {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("x", DataType::Float64, true),
            Field::new("s", DataType::Utf8, true),
            Field::new("b", DataType::Boolean, true),
            Field::new("l", list.data_type().clone(), true),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(-1), None])),
            Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)])),
            Arc::new(StringArray::from(vec![Some("a,\"b\""), None])),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(list),
        ];
        (Arc::clone(&schema), RecordBatch::try_new(schema, columns).unwrap())
    }

    #[track_caller]
    fn check(format: Format, rows: usize, expected: &str) {
        let (schema, batch) = table();
        let bytes = format.encode(&schema, &[batch.slice(0, rows)], usize::MAX).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn text_formats_write_every_column_and_every_null() {
        let first = r#"{"n":-1,"x":0.5,"s":"a,\"b\"","b":true,"l":[1,null]}"#;
        let second = r#"{"n":null,"x":null,"s":null,"b":null,"l":null}"#;
        check(Format::Json, 2, &format!("[{first},{second}]"));
        check(Format::Ndjson, 2, &format!("{first}\n{second}\n"));
        check(Format::Csv, 2, "n,x,s,b,l\n-1,0.5,\"a,\"\"b\"\"\",true,\"[1,null]\"\n,NaN,,,\n");
    }

    #[test]
    fn an_answer_over_the_bound_is_refused_in_every_format() {
        let (schema, batch) = table();
        for format in Format::ALL {
            let whole = format.encode(&schema, std::slice::from_ref(&batch), usize::MAX).unwrap().len();
            assert!(format.encode(&schema, std::slice::from_ref(&batch), whole).is_ok());
            let error = format.encode(&schema, std::slice::from_ref(&batch), whole - 1).unwrap_err();
            assert!(matches!(error, EncodeError::TooLarge { .. }), "{format:?}: {error}");
        }
    }

    #[test]
    fn a_result_without_rows_is_still_a_document() {
        check(Format::Json, 0, "[]");
        check(Format::Ndjson, 0, "");
        check(Format::Csv, 0, "n,x,s,b,l\n");
        let (schema, _) = table();
        assert_eq!(Format::Json.encode(&schema, &[], usize::MAX).unwrap(), b"[]");
        assert_eq!(Format::Csv.encode(&schema, &[], usize::MAX).unwrap(), b"n,x,s,b,l\n");
        let bytes = Format::Arrow.encode(&schema, &[], usize::MAX).unwrap();
        let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.schema(), schema);
        assert_eq!(reader.count(), 0);
    }
}
