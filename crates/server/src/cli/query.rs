//! `larder query`: rows of a dataset, on the terminal or into a pipe.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use arrow::ipc::reader::StreamReader;
use arrow::util::pretty::pretty_format_batches;
use clap::ArgMatches;

use super::client::{Answer, Client, in_url};

pub(super) fn query(args: &ArgMatches) -> anyhow::Result<()> {
    let dataset = args.get_one::<String>("dataset").map(String::as_str).unwrap_or_default();
    let params: Vec<&str> = args.get_many::<String>("params").unwrap_or_default().map(String::as_str).collect();
    let terminal = std::io::stdout().is_terminal();
    let format = match args.get_one::<String>("format").map(String::as_str) {
        Some(given) => given,
        None if terminal => "table",
        None => "json",
    };
    let accept = match format {
        "table" | "arrow" => "application/vnd.apache.arrow.stream",
        "csv" => "text/csv",
        "ndjson" => "application/x-ndjson",
        _ => "application/json",
    };
    let path = format!("/api/v1/datasets/{}/rows?{}", in_url(dataset, "/?#&"), in_url(&params.join("&"), "#"));
    let Answer { body, rest } = Client::new(args)?.get(&path, accept)?;
    let mut out = std::io::stdout().lock();
    if format == "table" {
        let reader = StreamReader::try_new(body.as_slice(), None).context("read the answer")?;
        let batches = reader.collect::<Result<Vec<_>, _>>().context("read the answer")?;
        writeln!(out, "{}", pretty_format_batches(&batches).context("lay out the table")?)?;
    } else {
        out.write_all(&body).context("write the answer")?;
        if format == "json" {
            writeln!(out)?;
        }
    }
    if let Some((rows, cursor)) = rest.filter(|_| !params.iter().any(|param| param.contains("limit="))) {
        eprintln!("larder: rows {rows}: the server gives no more at once (max_rows); the next ones: 'cursor={cursor}'");
    }
    Ok(())
}
