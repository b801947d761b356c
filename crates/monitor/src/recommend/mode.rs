//! The whole table where queries scan the source over and over, the results of queries where the table is hardly used.

use std::time::Duration;

use super::evidence::{DatasetEvidence, TableOrQuery};
use super::recommendation::{Change, Recommendation, Statement};
use crate::amount::{bytes, percent, time};

/// So many different queries are many.
const MANY_QUERIES: u64 = 8;
/// A table of so many bytes is large.
const LARGE: u64 = 64 << 20;
/// Loads below which nothing is known.
const MIN_LOADS: u64 = 4;
/// The share of the table's rows that is a small part.
const SMALL_PART: f64 = 0.01;

pub(super) fn recommend(dataset: &DatasetEvidence) -> Option<Recommendation> {
    match dataset.mode {
        TableOrQuery::Query => table(dataset),
        TableOrQuery::Table => query(dataset),
    }
}

fn table(dataset: &DatasetEvidence) -> Option<Recommendation> {
    let (size, full) = (dataset.table_bytes?, dataset.full_load_time?);
    if dataset.distinct_queries < MANY_QUERIES || size > dataset.max_bytes {
        return None;
    }
    // The table would have been loaded again after each ttl.
    let ttls = if dataset.ttl.is_zero() { dataset.loads as f64 } else { dataset.span.div_duration_f64(dataset.ttl) };
    let by_table = full.mul_f64(ttls.clamp(1.0, (dataset.loads as f64).max(1.0)));
    if dataset.load_time <= by_table {
        return None;
    }
    let name = &dataset.name;
    Some(Recommendation {
        id: format!("mode:{name}"),
        title: format!("Keep the whole table of {name}"),
        observed: Statement::new(
            format!(
                "{} different queries of {name} read its source {} times, for {} in all; the whole table takes {} to \
                 load and {} to keep",
                dataset.distinct_queries,
                dataset.loads,
                time(dataset.load_time),
                time(full),
                bytes(size)
            ),
            [
                ("distinct_queries", dataset.distinct_queries as f64),
                ("loads", dataset.loads as f64),
                ("load_time", dataset.load_time.as_secs_f64()),
                ("full_load_time", full.as_secs_f64()),
                ("table_bytes", size as f64),
                ("max_bytes", dataset.max_bytes as f64),
            ],
        ),
        advice: format!("set the mode of {name} to table"),
        expected: saved(dataset, by_table),
        change: Change::Mode { dataset: name.clone(), mode: TableOrQuery::Table },
    })
}

fn saved(dataset: &DatasetEvidence, by_table: Duration) -> Statement {
    let an_hour = |spent: Duration| dataset.an_hour(spent.as_secs_f64());
    let (now, then) = (an_hour(dataset.load_time), an_hour(by_table));
    let sentence =
        format!("about {then:.1} s of loading an hour instead of {now:.1} s, and every further query from memory");
    Statement::new(sentence, [("load_time_per_hour", then), ("load_time_per_hour_saved", now - then)])
}

fn query(dataset: &DatasetEvidence) -> Option<Recommendation> {
    let (size, rows) = (dataset.table_bytes?, dataset.table_rows?);
    let could_have_returned = rows as f64 * dataset.queries as f64;
    if could_have_returned == 0.0 {
        return None;
    }
    let part = dataset.rows_returned as f64 / could_have_returned;
    let hardly_used = dataset.loads >= MIN_LOADS && dataset.loads > dataset.queries && part <= SMALL_PART;
    if size < LARGE || !hardly_used {
        return None;
    }
    let name = &dataset.name;
    Some(Recommendation {
        id: format!("mode:{name}"),
        title: format!("Keep the results of queries of {name}"),
        observed: Statement::new(
            format!(
                "the table of {name} ({}) was loaded {} times for {} queries, which returned {} of its rows",
                bytes(size),
                dataset.loads,
                dataset.queries,
                percent(part)
            ),
            [
                ("table_bytes", size as f64),
                ("table_rows", rows as f64),
                ("loads", dataset.loads as f64),
                ("load_time", dataset.load_time.as_secs_f64()),
                ("queries", dataset.queries as f64),
                ("rows_returned", dataset.rows_returned as f64),
                ("row_share", part),
            ],
        ),
        advice: format!("set the mode of {name} to query"),
        expected: Statement::new(
            format!(
                "at most {} reads of the source instead of {}, and {} of memory are free",
                dataset.queries,
                dataset.loads,
                bytes(size)
            ),
            [("loads", dataset.queries as f64), ("row_share", part), ("bytes_freed", size as f64)],
        ),
        change: Change::Mode { dataset: name.clone(), mode: TableOrQuery::Query },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight queries scan for ten seconds; the whole table would take five.
    fn scanned() -> DatasetEvidence {
        DatasetEvidence {
            name: "sales".to_owned(),
            span: Duration::from_secs(3_600),
            ttl: Duration::from_secs(3_600),
            mode: TableOrQuery::Query,
            max_bytes: 1_000,
            table_bytes: Some(1_000),
            full_load_time: Some(Duration::from_secs(5)),
            loads: 20,
            load_time: Duration::from_secs(10),
            queries: 100,
            distinct_queries: 8,
            ..DatasetEvidence::default()
        }
    }

    /// A table of 64 MiB, loaded five times for four queries of ten rows.
    fn unused() -> DatasetEvidence {
        DatasetEvidence {
            name: "sales".to_owned(),
            span: Duration::from_secs(3_600),
            ttl: Duration::from_secs(600),
            mode: TableOrQuery::Table,
            max_bytes: 1 << 30,
            table_bytes: Some(64 << 20),
            table_rows: Some(1_000),
            loads: 5,
            queries: 4,
            rows_returned: 40,
            ..DatasetEvidence::default()
        }
    }

    #[track_caller]
    fn check(dataset: &DatasetEvidence, mode: Option<TableOrQuery>) {
        let found = recommend(dataset);
        let change = mode.map(|mode| Change::Mode { dataset: "sales".to_owned(), mode });
        assert_eq!(found.as_ref().map(|found| found.change.clone()), change, "{found:?}");
        assert!(found.is_none_or(|found| found.id == "mode:sales"));
    }

    #[test]
    fn a_table_that_is_scanned_over_and_over_is_kept_as_a_whole() {
        check(&scanned(), Some(TableOrQuery::Table));
        check(&DatasetEvidence { load_time: Duration::from_secs(5), ..scanned() }, None);
        check(&DatasetEvidence { distinct_queries: 7, ..scanned() }, None);
        check(&DatasetEvidence { mode: TableOrQuery::Table, ..scanned() }, None);
    }

    #[test]
    fn a_table_has_to_fit_and_to_be_known() {
        check(&DatasetEvidence { table_bytes: Some(1_001), ..scanned() }, None);
        check(&DatasetEvidence { table_bytes: None, ..scanned() }, None);
        check(&DatasetEvidence { full_load_time: None, ..scanned() }, None);
    }

    #[test]
    fn a_table_is_loaded_again_after_each_ttl() {
        check(&DatasetEvidence { ttl: Duration::from_secs(1_801), ..scanned() }, Some(TableOrQuery::Table));
        check(&DatasetEvidence { ttl: Duration::from_secs(1_800), ..scanned() }, None);
        // But never more often than it is asked for.
        let seldom = DatasetEvidence { ttl: Duration::from_secs(1), loads: 1, ..scanned() };
        check(&seldom, Some(TableOrQuery::Table));
        check(&DatasetEvidence { ttl: Duration::ZERO, ..scanned() }, None);
    }

    #[test]
    fn a_large_table_that_is_hardly_used_is_not_kept() {
        check(&unused(), Some(TableOrQuery::Query));
        check(&DatasetEvidence { rows_returned: 41, ..unused() }, None);
        check(&DatasetEvidence { queries: 5, ..unused() }, None);
        check(&DatasetEvidence { loads: 3, queries: 2, rows_returned: 2, ..unused() }, None);
        check(&DatasetEvidence { table_bytes: Some((64 << 20) - 1), ..unused() }, None);
        check(&DatasetEvidence { mode: TableOrQuery::Query, ..unused() }, None);
    }

    #[test]
    fn a_source_that_gives_all_its_rows_whatever_is_asked_is_better_kept_as_a_whole() {
        check(&DatasetEvidence { queries: 0, rows_returned: 0, ..unused() }, None);
    }
}
