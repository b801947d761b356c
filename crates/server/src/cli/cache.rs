//! `larder cache`: looking at the cache and dropping from it, through the running server or, with `--offline`, on the
//! disk of a home that no server holds. Both give the same documents.

mod coverage;
mod offline;
mod show;

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use serde_json::{Map, Value, json};

use self::offline::Offline;
use super::client::{Client, in_url};
use crate::invalidation::Target;

/// Entries of one request to a server.
const PAGE: usize = 1_000;

const HELP: &str = "\
Examples:
  larder cache stats                              what is kept, how often it was hit
  larder cache ls --dataset sales                 entries with age, ttl left, size, hits
  larder cache invalidate --tag daily             drop all that is kept of datasets with this tag
  larder cache invalidate --key sales/table       drop one entry
  larder cache verify --offline                   read every record of a home that no server holds";

/// The command with its subcommands.
pub(super) fn command() -> Command {
    Command::new("cache")
        .about("Look at the cache, drop from it, check it")
        .after_help(HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_backend(Command::new("stats").about("What is kept, by tier and dataset, and how it was used")))
        .subcommand(
            with_backend(Command::new("ls").about("List the entries"))
                .arg(Arg::new("dataset").long("dataset").value_name("NAME").help("Of this dataset alone"))
                .arg(
                    Arg::new("limit")
                        .long("limit")
                        .value_name("N")
                        .value_parser(value_parser!(u32).range(1..))
                        .default_value("100")
                        .help("How many"),
                ),
        )
        .subcommand(with_backend(Command::new("clear").about("Drop everything")))
        .subcommand(
            with_backend(Command::new("invalidate").about("Drop what one of these names"))
                .arg(target("dataset", "All that is kept of this dataset"))
                .arg(target("tag", "All that is kept of datasets with this tag"))
                .arg(target("prefix", "All datasets whose names begin so; with a slash, keys of one dataset"))
                .arg(target("key", "One entry, as `larder cache ls` shows it; without its version, all versions of it"))
                .group(ArgGroup::new("target").args(["dataset", "tag", "prefix", "key"]).required(true)),
        )
        .subcommand(with_backend(
            Command::new("verify").about("Read every record on disk; fails when one cannot be read back"),
        ))
        .subcommand(with_backend(Command::new("compact").about("Make the file on disk as small as it can be")))
}

fn target(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(name.to_uppercase()).help(help)
}

fn with_backend(command: Command) -> Command {
    super::with_server(command)
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the document as JSON"))
        .arg(
            Arg::new("offline")
                .long("offline")
                .action(ArgAction::SetTrue)
                .conflicts_with("url")
                .help("Work on the disk of a home that no server holds"),
        )
}

/// Runs a subcommand.
pub(super) fn cache(args: &ArgMatches) -> anyhow::Result<()> {
    let Some((name, args)) = args.subcommand() else { return Ok(()) };
    let backend = Backend::open(args)?;
    let document = match name {
        "stats" => backend.stats()?,
        "ls" => backend.entries(args)?,
        "clear" => backend.invalidate(&Target::All)?,
        "invalidate" => backend.invalidate(&target_of(args).context("say what to drop")?)?,
        "verify" => backend.verify()?,
        _ => backend.compact()?,
    };
    let mut out = std::io::stdout().lock();
    if args.get_flag("json") {
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        match name {
            "stats" => show::stats(&mut out, &document)?,
            "ls" => show::entries(&mut out, &document)?,
            "verify" => show::verified(&mut out, &document)?,
            "compact" => show::compacted(&mut out, &document)?,
            _ => show::invalidated(&mut out, &document)?,
        }
    }
    if name == "verify" && document["ok"] != true {
        bail!(
            "find the cache sound; the next server drops what cannot be read, and loads it again when it is asked for"
        );
    }
    Ok(())
}

fn target_of(args: &ArgMatches) -> Option<Target> {
    let named = |scope: &str| args.get_one::<String>(scope).cloned();
    let target = named("dataset").map(Target::Dataset).or_else(|| named("tag").map(Target::Tag));
    target.or_else(|| named("prefix").map(Target::Prefix)).or_else(|| named("key").map(Target::Key))
}

/// Who does the work.
enum Backend {
    Server(Client),
    Disk(Box<Offline>),
}

impl Backend {
    fn open(args: &ArgMatches) -> anyhow::Result<Self> {
        Ok(if args.get_flag("offline") {
            Self::Disk(Box::new(Offline::open(&super::layers(args)?)?))
        } else {
            Self::Server(Client::with_advice(args, "; without a server, --offline works on its home")?)
        })
    }

    fn stats(&self) -> anyhow::Result<Value> {
        match self {
            Self::Server(client) => client.json("GET", "/api/v1/cache/stats", None),
            Self::Disk(offline) => offline.stats(),
        }
    }

    fn entries(&self, args: &ArgMatches) -> anyhow::Result<Value> {
        let limit = args.get_one::<u32>("limit").map_or(100, |limit| *limit as usize);
        let dataset = args.get_one::<String>("dataset").map(String::as_str);
        match self {
            Self::Server(client) => pages(client, dataset, limit),
            Self::Disk(offline) => offline.entries(dataset, limit),
        }
    }

    fn invalidate(&self, target: &Target) -> anyhow::Result<Value> {
        match (self, target.parts()) {
            (Self::Server(client), (scope, Some(name))) => {
                let body = Map::from_iter([(scope.to_owned(), json!(name))]);
                client.json("POST", "/api/v1/cache/invalidate", Some(&Value::Object(body)))
            }
            (Self::Server(client), (_, None)) => client.json("DELETE", "/api/v1/cache", None),
            (Self::Disk(offline), _) => offline.invalidate(target),
        }
    }

    fn verify(&self) -> anyhow::Result<Value> {
        match self {
            Self::Server(client) => client.json("POST", "/api/v1/cache/verify", None),
            Self::Disk(offline) => offline.verify(),
        }
    }

    fn compact(&self) -> anyhow::Result<Value> {
        match self {
            Self::Server(client) => client.json("POST", "/api/v1/cache/compact", None),
            Self::Disk(offline) => offline.compact(),
        }
    }
}

/// The first `limit` entries, page by page, as one document.
fn pages(client: &Client, dataset: Option<&str>, limit: usize) -> anyhow::Result<Value> {
    let mut entries: Vec<Value> = Vec::new();
    let mut next = Value::Null;
    loop {
        let mut path = format!("/api/v1/cache/entries?limit={}", (limit - entries.len()).min(PAGE));
        for (name, value) in [("dataset", dataset), ("after", next.as_str())] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", in_url(value, "%+&#")));
            }
        }
        let mut page = client.json("GET", &path, None)?;
        if let Value::Array(found) = page["entries"].take() {
            entries.extend(found);
        }
        next = page["next"].take();
        if next.is_null() || entries.len() >= limit {
            return Ok(json!({ "entries": entries, "next": next }));
        }
    }
}
