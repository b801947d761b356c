//! What happens in a load, for people: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

const REDRAW: Duration = Duration::from_millis(100);

/// Shows events.
pub(super) enum Bars {
    /// On a terminal.
    Drawn { all: ProgressBar, each: HashMap<String, ProgressBar> },
    /// Elsewhere: a line for each event but progress.
    Lines,
}

impl Bars {
    pub(super) fn new(names: &[&str], on_terminal: bool) -> Self {
        if !on_terminal {
            return Self::Lines;
        }
        let bars = MultiProgress::new();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(32);
        let each = names.iter().map(|name| {
            let bar = bars.add(ProgressBar::new(1_000));
            bar.set_style(style("{prefix} {bar:24} {elapsed:>4} {wide_msg}"));
            bar.set_prefix(format!("{name:width$}"));
            bar.set_message("queued");
            ((*name).to_owned(), bar)
        });
        let each = each.collect();
        let all = bars.add(ProgressBar::new(names.len() as u64));
        all.set_style(style("{prefix} {bar:24} {pos}/{len} {msg}"));
        all.set_prefix(format!("{:width$}", "all"));
        // What is drawn too soon after another drawing is left out: so all of it is drawn again and again.
        all.enable_steady_tick(REDRAW);
        let each: HashMap<String, ProgressBar> = each;
        each.values().for_each(|bar| bar.enable_steady_tick(REDRAW));
        Self::Drawn { all, each }
    }

    /// Shows an event.
    pub(super) fn show(&mut self, name: &str, data: &Value) {
        let of = data["name"].as_str().unwrap_or_default();
        match self {
            Self::Lines if name == "progress" => {}
            Self::Lines => {
                eprintln!("{:>8.3} s  {}", data["at_ms"].as_f64().unwrap_or(0.0) / 1e3, line(name, of, data))
            }
            Self::Drawn { all, each } => {
                if let Some(bar) = each.get(of) {
                    draw(bar, name, data);
                }
                if name == "finished" {
                    all.set_position(data["done"].as_u64().unwrap_or(0));
                    all.set_message(time_left(&data["time_left_ms"]));
                }
                if name == "ended" {
                    each.values().for_each(ProgressBar::abandon);
                    all.abandon();
                }
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are those above.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn draw(bar: &ProgressBar, name: &str, data: &Value) {
    match name {
        "started" => bar.set_message("started"),
        "progress" => {
            let progress = &data["progress"];
            bar.set_position((progress["fraction"].as_f64().unwrap_or(0.0) * 1e3) as u64);
            bar.set_message(format!(
                "{} rows, {}{}",
                progress["rows"],
                progress["stage"].as_str().unwrap_or_default(),
                time_left(&progress["time_left_ms"])
            ));
        }
        "retrying" => bar.set_message(line(name, "", data)),
        "finished" => {
            if data["outcome"]["error"].is_null() {
                bar.set_position(1_000);
            }
            bar.set_message(outcome(&data["outcome"]));
        }
        _ => {}
    }
}

fn line(name: &str, of: &str, data: &Value) -> String {
    match name {
        "began" => match data["total"].as_u64() {
            Some(1) => "began: 1 dataset".to_owned(),
            _ => format!("began: {} datasets", data["total"]),
        },
        "retrying" => {
            let code = data["code"].as_str().unwrap_or("an error");
            format!("{of}{}attempt {} follows after {code}", if of.is_empty() { "" } else { ": " }, data["attempt"])
        }
        "finished" => format!("{of}: {} ({} of {})", outcome(&data["outcome"]), data["done"], data["total"]),
        "ended" => format!("{}: {} failed", data["state"].as_str().unwrap_or("ended"), data["failed"]),
        "gap" => "some events are not kept any more".to_owned(),
        other => format!("{of}: {other}"),
    }
}

/// What came of a request, in a few words.
pub(super) fn outcome(outcome: &Value) -> String {
    match outcome["error"]["detail"].as_str() {
        Some(detail) => format!("failed: {detail}"),
        None => format!(
            "{} rows from {} in {:.2} s",
            outcome["rows"],
            outcome["from"].as_str().unwrap_or("somewhere").replace('_', " "),
            outcome["took_ms"].as_f64().unwrap_or(0.0) / 1e3
        ),
    }
}

fn time_left(ms: &Value) -> String {
    match ms.as_f64() {
        Some(ms) if ms >= 100.0 => format!(", {:.1} s left", ms / 1e3),
        _ => String::new(),
    }
}
