//! The command line: `larder serve` and the small client commands beside it.

mod cache;
mod client;
mod columns;
mod inspect;
mod load;
mod query;
mod report;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{Layers, SETTINGS};

const ABOUT: &str = "Serves the datasets of data-source plugins as documented, filterable, cached REST resources";

const EXAMPLES: &str = "\
Examples:
  larder serve                                   serve ./data on http://127.0.0.1:8080
  larder serve --listen 127.0.0.1:9000 --plugins ./plugins
  larder query sector_analysis 'adoption_rate=gte.70&order=avg_roi.desc&limit=3'
  larder query sector_analysis 'select=sector,avg_roi' --format csv
  larder load sales prices --out today           many datasets at once, into Parquet files
  larder cache stats                             what is kept, in memory and on disk
  larder report                                  how the server performs, what to change
  larder plugins                                 what was found in the plugin folder
  larder config                                  the settings in force and where each came from

A plugin is a shared library: copy it into the plugin folder of a running server, and its datasets
are served within two seconds.";

const SERVE_HELP: &str = "\
Settings are taken from larder.toml (or --config FILE), then from the environment (LARDER_<NAME>,
such as LARDER_MAX_ROWS), then from these flags; the later wins. `larder config` shows the outcome.
What was changed while a server ran (PATCH /api/v1/settings, or a dataset's policy) is kept in the home and
wins over all of these, until it is taken back. In the file, [datasets.NAME] sets ttl, load_timeout, max_bytes, mode, persist, stale_while_revalidate,
stale_if_error, check_interval, client_max_age, refresh_every, warm and tags of one dataset:

  [datasets.sector_analysis]
  ttl = \"15m\"
  tags = [\"daily\"]";

const QUERY_HELP: &str = "\
PARAMS are those of the URL: column=operator.value, select, order, limit, offset, and=(..), or=(..).
Operators: eq neq gt gte lt lte in is like ilike, each with not. in front if need be.

Examples:
  larder query investment_trends 'select=year,total_investment&year=gt.2020'
  larder query sector_analysis 'sector=in.(Technology,Healthcare)' --format ndjson";

/// Runs the command line.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let outcome = match matches.subcommand() {
        Some(("serve", args)) => serve::serve(args),
        Some(("query", args)) => query::query(args),
        Some(("load", args)) => load::load(args),
        Some(("report", args)) => report::report(args),
        Some(("cache", args)) => cache::cache(args),
        Some(("plugins", args)) => inspect::plugins(args),
        Some(("openapi", args)) => inspect::openapi(args),
        Some(("config", args)) => inspect::config(args),
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough, as in `larder query .. | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larder: failed to {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.into_iter().any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

fn command() -> Command {
    Command::new("larder")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(Command::new("serve").about("Start the server").after_help(SERVE_HELP)))
        .subcommand(
            with_server(Command::new("query").about("Read rows of a dataset").after_help(QUERY_HELP))
                .arg(Arg::new("dataset").required(true).help("Name of the dataset"))
                .arg(Arg::new("params").num_args(0..).help("Parameters, as in the URL"))
                .arg(
                    Arg::new("format")
                        .long("format")
                        .value_parser(PossibleValuesParser::new(["table", "json", "ndjson", "csv", "arrow"]))
                        .help("Form of the answer [default: table on a terminal, else json]"),
                ),
        )
        .subcommand(with_server(load::command()))
        .subcommand(with_server(report::command()))
        .subcommand(cache::command())
        .subcommand(with_server(Command::new("plugins").about("Show the plugins and what was tried to load each")))
        .subcommand(
            with_server(Command::new("openapi").about("Print the OpenAPI document of the running server")).arg(
                Arg::new("fixed")
                    .long("fixed")
                    .action(ArgAction::SetTrue)
                    .help("The part without datasets; needs no server"),
            ),
        )
        .subcommand(with_settings(
            Command::new("config").about("Print the settings in force and where each came from").after_help(SERVE_HELP),
        ))
}

/// Adds a flag for every setting, and `--config`.
fn with_settings(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Configuration file [default: larder.toml, if it is there]");
    SETTINGS.iter().fold(command.arg(config), |command, setting| {
        let flag = setting.name.replace('_', "-");
        let arg = Arg::new(setting.name).long(flag);
        let help = match setting.default {
            "" | "false" => setting.help.to_owned(),
            default => format!("{} [default: {default}]", setting.help),
        };
        command.arg(match setting.name {
            "insecure" => arg.action(ArgAction::SetTrue).help(help),
            _ => arg.value_name("VALUE").help(help),
        })
    })
}

/// Adds what finds the running server.
fn with_server(command: Command) -> Command {
    command
        .arg(Arg::new("url").long("url").value_name("URL").help("Address of the server [default: from --home]"))
        .arg(Arg::new("home").long("home").value_name("DIR").help("Home of the server [default: .larder]"))
        .arg(Arg::new("config").long("config").value_name("FILE").help("Configuration file of the server"))
}

/// The settings of the file, the environment and these flags.
fn layers(args: &ArgMatches) -> anyhow::Result<Layers> {
    let environment = || std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let file = args
        .get_one::<String>("config")
        .cloned()
        .or_else(|| environment().find(|(name, _)| name == "LARDER_CONFIG").map(|(_, file)| file))
        .map(PathBuf::from);
    // A client command has but a few of the flags. Asked for one that it does not have, clap answers with an error in a
    // debug build and with nothing in a release build.
    let flags = SETTINGS.iter().filter_map(|setting| match setting.name {
        "insecure" => {
            let given = args.try_get_one::<bool>("insecure").ok().flatten().copied();
            given.unwrap_or(false).then(|| ("insecure", "true".to_owned()))
        }
        name => args.try_get_one::<String>(name).ok().flatten().map(|value| (name, value.clone())),
    });
    Ok(Layers::collect(file.as_deref(), environment(), flags)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
