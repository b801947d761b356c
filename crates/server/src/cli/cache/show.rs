//! The documents of the cache's endpoints, for people.

use std::io::{self, Write};
use std::time::Duration;

use bytesize::ByteSize;
use serde_json::Value;

use crate::cli::columns::{self, Lean::Left, Lean::Right};

pub(super) fn stats(out: &mut impl Write, stats: &Value) -> io::Result<()> {
    let caches = ["tables", "bodies"].map(|name| {
        let cache = &stats[name];
        [
            name.to_owned(),
            count(&cache["entries"]),
            size(&cache["bytes"]),
            size(&cache["max_bytes"]),
            share(&cache["hit_rate"]),
            count(&cache["hits"]),
            count(&cache["disk_hits"]),
            count(&cache["misses"]),
            seconds(&cache["load_seconds_saved"]),
            age(&cache["oldest_age_seconds"]),
        ]
    });
    let heading = [
        ("memory", Left),
        ("entries", Right),
        ("size", Right),
        ("of", Right),
        ("hit rate", Right),
        ("hits", Right),
        ("from disk", Right),
        ("misses", Right),
        ("time saved", Right),
        ("oldest", Right),
    ];
    // A cache that no server holds is on disk alone.
    if !stats["tables"].is_null() {
        columns::write(out, heading, &caches)?;
        writeln!(out)?;
    }
    disk(out, &stats["disk"])?;
    let used = |dataset: &&Value| dataset["memory_entries"] != 0 || dataset["disk_entries"] != 0;
    let rows: Vec<_> = list(&stats["datasets"]).iter().filter(used).map(dataset).collect();
    if !rows.is_empty() {
        let heading = [
            ("dataset", Left),
            ("in memory", Right),
            ("size", Right),
            ("on disk", Right),
            ("size", Right),
            ("hits", Right),
            ("rows", Right),
            ("age", Right),
        ];
        writeln!(out)?;
        columns::write(out, heading, &rows)?;
    }
    Ok(())
}

fn disk(out: &mut impl Write, disk: &Value) -> io::Result<()> {
    if disk.is_null() {
        return writeln!(out, "disk: nothing is kept on disk");
    }
    writeln!(
        out,
        "disk: {} entries, {} of {}, file {}",
        count(&disk["entries"]),
        size(&disk["bytes"]),
        size(&disk["max_bytes"]),
        size(&disk["file_bytes"])
    )?;
    writeln!(
        out,
        "      {} written, {} queued, {} dropped, {} made room, {} expired, {} unreadable, {} recoveries",
        count(&disk["writes"]),
        count(&disk["queued"]),
        count(&disk["dropped"]),
        count(&disk["evictions"]),
        count(&disk["expirations"]),
        count(&disk["corrupt"]),
        count(&disk["recoveries"])
    )?;
    match disk["degraded"].as_str() {
        Some(reason) => writeln!(out, "      DEGRADED, memory only: {reason}"),
        None => Ok(()),
    }
}

fn dataset(dataset: &Value) -> [String; 8] {
    [
        text(&dataset["name"]),
        count(&dataset["memory_entries"]),
        size(&dataset["memory_bytes"]),
        count(&dataset["disk_entries"]),
        size(&dataset["disk_bytes"]),
        count(&dataset["hits"]),
        count(&dataset["rows"]),
        age(&dataset["age_seconds"]),
    ]
}

pub(super) fn entries(out: &mut impl Write, document: &Value) -> io::Result<()> {
    let rows: Vec<_> = list(&document["entries"]).iter().map(entry).collect();
    if rows.is_empty() {
        return writeln!(out, "no entries");
    }
    let heading = [
        ("key", Left),
        ("tier", Left),
        ("state", Left),
        ("age", Right),
        ("ttl left", Right),
        ("size", Right),
        ("on disk", Right),
        ("hits", Right),
    ];
    columns::write(out, heading, &rows)?;
    if !document["next"].is_null() {
        writeln!(out, "... and more: raise --limit, or choose a --dataset")?;
    }
    Ok(())
}

fn entry(entry: &Value) -> [String; 8] {
    [
        text(&entry["key"]),
        text(&entry["tier"]),
        text(&entry["state"]),
        age(&entry["age_seconds"]),
        age(&entry["ttl_seconds"]),
        size(&entry["bytes"]),
        size(&entry["stored_bytes"]),
        count(&entry["hits"]),
    ]
}

pub(super) fn invalidated(out: &mut impl Write, document: &Value) -> io::Result<()> {
    let names: Vec<String> = list(&document["datasets"]).iter().map(text).collect();
    let what = match document["target"].as_str() {
        Some(target) => format!("{} '{target}'", text(&document["scope"])),
        None => "everything".to_owned(),
    };
    let durable = if document["durable"] == true { "" } else { " (in memory: nothing is kept on disk)" };
    writeln!(out, "dropped {what}{durable}")?;
    if names.is_empty() {
        return writeln!(out, "no dataset that is served now was touched");
    }
    writeln!(out, "datasets: {}", names.join(", "))
}

pub(super) fn verified(out: &mut impl Write, report: &Value) -> io::Result<()> {
    for finding in list(&report["findings"]) {
        writeln!(out, "{}", text(finding))?;
    }
    let (records, bytes) = (count(&report["records"]), size(&report["bytes"]));
    match report["ok"] == true {
        true => writeln!(out, "sound: {records} records, {bytes}"),
        false => {
            writeln!(out, "damaged: {records} records, {bytes}, can be read back, {} cannot", count(&report["bad"]))
        }
    }
}

pub(super) fn compacted(out: &mut impl Write, report: &Value) -> io::Result<()> {
    let [before, after] = ["file_bytes_before", "file_bytes_after"].map(|name| size(&report[name]));
    writeln!(out, "{before} -> {after} in {:.1} s", report["duration_ms"].as_f64().unwrap_or_default() / 1e3)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn count(value: &Value) -> String {
    value.as_u64().map_or("-".into(), |number| number.to_string())
}

fn size(value: &Value) -> String {
    value.as_u64().map_or("-".into(), |bytes| ByteSize(bytes).to_string())
}

fn share(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |rate| format!("{:.1} %", rate * 100.0))
}

/// A span that may be short: with a decimal.
fn seconds(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |seconds| format!("{seconds:.1} s"))
}

/// An age, or what is left of a time to live, which may be over: its two largest units.
fn age(value: &Value) -> String {
    let Some(seconds) = value.as_f64() else { return "-".into() };
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = Duration::from_secs(seconds.abs() as u64);
    let text = humantime::format_duration(whole).to_string();
    format!("{sign}{}", text.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(write: impl FnOnce(&mut Vec<u8>, &Value) -> io::Result<()>, document: Value) -> String {
        let mut out = Vec::new();
        write(&mut out, &document).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check_age(value: Value, expected: &str) {
        assert_eq!(age(&value), expected, "{value}");
    }

    #[test]
    fn ages_have_two_units_and_a_sign() {
        check_age(json!(0.4), "0s");
        check_age(json!(59.9), "59s");
        check_age(json!(3_725.0), "1h 2m");
        check_age(json!(-5.2), "-5s");
        check_age(Value::Null, "-");
    }

    #[test]
    fn entries_are_listed_with_units() {
        let entry = json!({
            "key": "sales/table@7", "tier": "both", "state": "fresh", "age_seconds": 61.0, "ttl_seconds": -2.5,
            "bytes": 2048, "stored_bytes": null, "hits": 3,
        });
        let text = shown(entries, json!({ "entries": [entry], "next": "sales/table@7" }));
        assert!(text.contains("sales/table@7  both  fresh  1m 1s       -2s  2.0 KiB        -     3"), "{text}");
        assert!(text.contains("and more"), "{text}");
        assert_eq!(shown(entries, json!({ "entries": [], "next": null })), "no entries\n");
    }

    #[test]
    fn an_invalidation_says_what_it_touched() {
        let document = json!({ "scope": "tag", "target": "daily", "durable": false, "datasets": ["a", "b"] });
        let text = shown(invalidated, document);
        assert_eq!(text, "dropped tag 'daily' (in memory: nothing is kept on disk)\ndatasets: a, b\n");
    }

    #[test]
    fn a_report_of_bad_records_names_them() {
        let report = json!({ "ok": false, "records": 9, "bytes": 1024, "bad": 1, "findings": ["record x"] });
        assert_eq!(shown(verified, report), "record x\ndamaged: 9 records, 1.0 KiB, can be read back, 1 cannot\n");
    }
}
