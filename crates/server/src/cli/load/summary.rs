//! What a load came to, as a table.

use std::io::{self, Write};
use std::path::PathBuf;

use bytesize::ByteSize;
use serde_json::Value;

use crate::cli::columns::{self, Lean};

/// Writes a row for each request, and a line for all.
pub(super) fn print(
    out: &mut impl Write,
    load: &Value,
    requests: &[Value],
    files: &[Option<PathBuf>],
) -> io::Result<()> {
    let heading = [
        ("dataset", Lean::Left),
        ("rows", Lean::Right),
        ("size", Lean::Right),
        ("from", Lean::Left),
        ("attempts", Lean::Right),
        ("time", Lean::Right),
        ("", Lean::Left),
    ];
    let number = |value: &Value| value.as_u64().map_or("-".to_owned(), |number| number.to_string());
    let row = |(request, file): (&Value, &Option<PathBuf>)| {
        let outcome = &request["outcome"];
        let told = match outcome["error"]["detail"].as_str() {
            Some(detail) => format!("failed: {detail}"),
            None if outcome.is_null() => request["state"].as_str().unwrap_or_default().to_owned(),
            None => file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
        };
        let ignored: Vec<&str> =
            outcome["ignored_filters"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let told = match ignored.as_slice() {
            [] => told,
            names => format!("{told} (no columns, so skipped: {})", names.join(", ")).trim_start().to_owned(),
        };
        [
            request["name"].as_str().unwrap_or_default().to_owned(),
            number(&outcome["rows"]),
            outcome["bytes"].as_u64().map_or("-".to_owned(), |bytes| ByteSize(bytes).to_string()),
            outcome["from"].as_str().unwrap_or("-").replace('_', " "),
            number(&outcome["attempts"]),
            outcome["took_ms"].as_f64().map_or("-".to_owned(), |ms| format!("{:.2} s", ms / 1e3)),
            told,
        ]
    };
    let rows: Vec<[String; 7]> = requests.iter().zip(files).map(row).collect();
    columns::write(out, heading, &rows)?;
    writeln!(
        out,
        "{} of {} loaded in {:.2} s",
        load["done"].as_u64().unwrap_or(0) - load["failed"].as_u64().unwrap_or(0),
        load["total"],
        load["elapsed_ms"].as_f64().unwrap_or(0.0) / 1e3
    )
}
