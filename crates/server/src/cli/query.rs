//! `larder query`: rows of a dataset, on the terminal or into a pipe.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use anyhow::Context;
use arrow::ipc::reader::StreamReader;
use arrow::util::pretty::pretty_format_batches;
use clap::ArgMatches;

use super::client::Client;

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
    let body = Client::new(args)?.get(&path, accept)?;
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
    Ok(())
}

/// `text` with what may not stand in a URL, and the bytes of `also`, percent-encoded. What is
/// encoded already stays.
fn in_url(text: &str, also: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let unsafe_byte =
            !byte.is_ascii_graphic() || br#""<>\^`{|}"#.contains(&byte) || also.as_bytes().contains(&byte);
        if unsafe_byte {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_in_a_url_is_encoded_once() {
        assert_eq!(in_url("a=eq.x y&b=in.(1,2)", "#"), "a=eq.x%20y&b=in.(1,2)");
        assert_eq!(in_url("a=eq.\"é\"", "#"), "a=eq.%22%C3%A9%22");
        assert_eq!(in_url("a=eq.50%25", "#"), "a=eq.50%25");
        assert_eq!(in_url("../x?", "/?#&"), "..%2Fx%3F");
    }
}
