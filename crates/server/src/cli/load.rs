//! `larder load`: many datasets at once, with a bar for each and one for all, and their rows in files.

mod bars;
mod summary;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, value_parser};
use pipeline::format::Format;
use serde_json::{Map, Value, json};

use self::bars::Bars;
use super::client::{Client, in_url};

const HELP: &str = "\
Loads datasets side by side, through the server's cache, and writes their rows to files if there is an --out.
On a terminal there is a bar for each dataset and one for all; otherwise each event is a line. The exit code
is not 0 if any of them failed. Ctrl-C cancels the load.

Examples:
  larder load sales prices --workers 8
  larder load sales prices --out today --format parquet
  larder load sales --filters '{\"year_min\": 2024}' --out today";

pub(super) fn command() -> Command {
    let formats = Format::ALL.map(Format::name);
    Command::new("load")
        .about("Load many datasets at once, and write their rows to files")
        .after_help(HELP)
        .arg(Arg::new("datasets").required(true).num_args(1..).value_name("DATASET").help("Names of the datasets"))
        .arg(number("workers", "N", "4").help("Datasets that are worked on at a time"))
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("TIME")
                .help("Bound on one attempt to read a source [default: 30s]"),
        )
        .arg(number("retries", "N", "2").help("How often a failed attempt is made again"))
        .arg(Arg::new("deadline").long("deadline").value_name("TIME").help("Bound on the whole load [default: none]"))
        .arg(Arg::new("filters").long("filters").value_name("JSON").help("A dashboard's filters, for all datasets"))
        .arg(Arg::new("out").long("out").value_name("DIR").help("Folder for the rows: DIR/<dataset>.<format>"))
        .arg(
            Arg::new("format")
                .long("format")
                .value_parser(PossibleValuesParser::new(formats))
                .help("Format of the files [default: parquet]"),
        )
}

fn number(name: &'static str, value: &'static str, default: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(value_parser!(u16)).default_value(default)
}

pub(super) fn load(args: &ArgMatches) -> anyhow::Result<()> {
    let client = Client::new(args)?;
    let out = args.get_one::<String>("out").map(PathBuf::from);
    if let Some(folder) = &out {
        fs::create_dir_all(folder).with_context(|| format!("make the folder '{}'", folder.display()))?;
    }
    let format = args.get_one::<String>("format").map_or("parquet", String::as_str);
    let body = body(args, format)?;
    let begun = client.json("POST", "/api/v1/loads", Some(&body))?;
    let path = begun["links"]["self"].as_str().context("read the answer")?.to_owned();
    cancel_on_interrupt(Client::new(args)?, path.clone());
    follow(&client, &begun)?;
    let load = client.json("GET", &path, None)?;
    let requests = load["requests"].as_array().cloned().unwrap_or_default();
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    for request in &requests {
        let name = request["name"].as_str().unwrap_or_default();
        let file = match (&out, request["outcome"]["result"].as_str()) {
            (_, None) => Err(None),
            (None, Some(_)) => Ok(None),
            (Some(folder), Some(result)) => write(&client, folder, name, result, format).map(Some).map_err(Some),
        };
        // One that fails keeps none of the others from its file; why a load failed stands in the summary.
        files.push(file.unwrap_or_else(|error| {
            if let Some(error) = error {
                eprintln!("larder: failed to write '{name}': {error:#}");
            }
            failed.push(name);
            None
        }));
    }
    summary::print(&mut io::stdout().lock(), &load, &requests, &files)?;
    match failed.as_slice() {
        [] => Ok(()),
        names => bail!("load {} of {} datasets: {}", names.len(), requests.len(), names.join(", ")),
    }
}

fn body(args: &ArgMatches, format: &str) -> anyhow::Result<Value> {
    let filters: Option<Map<String, Value>> = match args.get_one::<String>("filters") {
        Some(text) => Some(serde_json::from_str(text).context("read --filters as a JSON object")?),
        None => None,
    };
    let request = |name: &String| {
        let mut request = json!({ "source": name, "format": format });
        if let Some(filters) = &filters {
            request["filters"] = Value::Object(filters.clone());
        }
        request
    };
    // Whoever names one twice wants it once.
    let mut seen = HashSet::new();
    let names = args.get_many::<String>("datasets").unwrap_or_default().filter(|name| seen.insert(name.as_str()));
    let mut body = json!({
        "requests": names.map(request).collect::<Vec<_>>(),
        "max_workers": args.get_one::<u16>("workers"),
        "retries": args.get_one::<u16>("retries"),
    });
    for bound in ["timeout", "deadline"] {
        if let Some(time) = args.get_one::<String>(bound) {
            body[bound] = json!(time);
        }
    }
    Ok(body)
}

/// Shows what happens until the load is over. A stream that breaks is taken up where it was.
fn follow(client: &Client, begun: &Value) -> anyhow::Result<()> {
    let events = begun["links"]["events"].as_str().context("read the answer")?;
    let names: Vec<&str> =
        begun["requests"].as_array().into_iter().flatten().filter_map(|request| request["name"].as_str()).collect();
    let mut bars = Bars::new(&names, io::stderr().is_terminal());
    let (mut last, mut breaks) = (0_u64, 0);
    loop {
        let (before, reader) = (last, client.stream(events, last)?);
        match read_events(reader, &mut last, &mut bars) {
            Ok(true) => return Ok(()),
            // The server ends the stream with the load, or because it stops.
            Ok(false) if last > before => breaks = 0,
            Ok(false) | Err(_) if breaks < 5 => breaks += 1,
            Ok(false) => bail!("follow the load: the server ends the stream again and again"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the load is over.
fn read_events(reader: impl io::Read, last: &mut u64, bars: &mut Bars) -> io::Result<bool> {
    let (mut name, mut data) = (String::new(), String::new());
    for line in BufReader::new(reader).lines() {
        let line = line?;
        match line.split_once(": ") {
            Some(("id", id)) => *last = id.parse().unwrap_or(*last),
            Some(("event", event)) => event.clone_into(&mut name),
            Some(("data", text)) => text.clone_into(&mut data),
            _ if line.is_empty() && !name.is_empty() => {
                bars.show(&name, &serde_json::from_str(&data).unwrap_or_default());
                if name == "ended" {
                    return Ok(true);
                }
                name.clear();
            }
            _ => {}
        }
    }
    Ok(false)
}

/// Writes the rows of a request beside the file that they are to replace, and then in its place.
fn write(client: &Client, folder: &Path, name: &str, result: &str, format: &str) -> anyhow::Result<PathBuf> {
    let extension = match format {
        "json-columns" => "json",
        "arrow-file" => "arrow",
        "arrow" => "arrows",
        other => other,
    };
    let (path, beside) = (folder.join(format!("{name}.{extension}")), folder.join(format!(".{name}.{extension}.part")));
    let written = || -> anyhow::Result<()> {
        let mut file = File::create(&beside).with_context(|| format!("make '{}'", beside.display()))?;
        client.download(&format!("{}?format={format}", in_url(result, "?#&")), &mut file)?;
        file.flush()?;
        fs::rename(&beside, &path).with_context(|| format!("make '{}'", path.display()))
    };
    written().inspect_err(|_| drop(fs::remove_file(&beside))).map(|()| path)
}

/// Whoever breaks off does not want the load either.
fn cancel_on_interrupt(client: Client, path: String) {
    let waiting = move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(tokio::signal::ctrl_c())?;
        client.json("DELETE", &path, None).map_err(|error| anyhow!("cancel the load: {error:#}"))?;
        eprintln!("larder: the load was cancelled");
        // As a shell says of what a signal has ended.
        std::process::exit(130)
    };
    // Without it an interrupt ends the program alone, and the load goes on.
    let _ = std::thread::Builder::new().name("interrupt".into()).spawn(waiting);
}
