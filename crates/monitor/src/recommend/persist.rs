//! On disk too, what is costly to load again.

use std::time::Duration;

use super::evidence::DatasetEvidence;
use super::limits::Limits;
use super::recommendation::{Change, Recommendation, Statement};
use crate::amount::{percent, time};

/// From when on a load is costly.
const COSTLY: Duration = Duration::from_secs(1);
/// From which share of the time on loads are costly together.
const COSTLY_SHARE: f64 = 0.05;
/// Loads that it takes to say so.
const MIN_LOADS: u64 = 3;
/// Data that is fresh for less long does not outlive a restart.
const MIN_TTL: Duration = Duration::from_secs(60);

pub(super) fn recommend(dataset: &DatasetEvidence, limits: &Limits) -> Option<Recommendation> {
    let fits = limits.disk_available > 0 && dataset.table_bytes.unwrap_or(0) <= limits.disk_available;
    if dataset.persist || dataset.loads == 0 || dataset.ttl < MIN_TTL || !fits {
        return None;
    }
    let mean = dataset.mean_load();
    let share = dataset.an_hour(dataset.load_time.as_secs_f64()) / 3600.0;
    let costly = mean >= COSTLY || dataset.loads >= MIN_LOADS && share >= COSTLY_SHARE;
    costly.then(|| of_share(dataset, mean, share))
}

fn of_share(dataset: &DatasetEvidence, mean: Duration, share: f64) -> Recommendation {
    let name = &dataset.name;
    Recommendation {
        id: format!("persist:{name}"),
        title: format!("Keep {name} on disk"),
        observed: Statement::new(
            format!(
                "loading {name} takes {}; its {} loads took {} of the time, and none outlives a restart",
                time(mean),
                dataset.loads,
                percent(share)
            ),
            [
                ("mean_load", mean.as_secs_f64()),
                ("loads", dataset.loads as f64),
                ("load_time", dataset.load_time.as_secs_f64()),
                ("load_share", share),
            ],
        ),
        advice: format!("set persist of {name} to true"),
        expected: Statement::new(
            format!(
                "a restart, or an entry that had to leave the memory, costs a read from disk instead of a load of {}",
                time(mean)
            ),
            [("load_time_saved", mean.as_secs_f64()), ("disk_bytes", dataset.table_bytes.unwrap_or(0) as f64)],
        ),
        change: Change::Persist { dataset: name.clone(), persist: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset() -> DatasetEvidence {
        DatasetEvidence {
            name: "sales".to_owned(),
            span: Duration::from_secs(1_000),
            ttl: Duration::from_secs(60),
            loads: 10,
            load_time: Duration::from_secs(10),
            table_bytes: Some(1_000),
            ..DatasetEvidence::default()
        }
    }

    #[track_caller]
    fn check(dataset: &DatasetEvidence, raised: bool) {
        let found = recommend(dataset, &Limits { disk_available: 1_000, ..Limits::default() });
        let change = raised.then(|| Change::Persist { dataset: "sales".to_owned(), persist: true });
        assert_eq!(found.as_ref().map(|found| found.change.clone()), change, "{found:?}");
        assert!(found.is_none_or(|found| found.id == "persist:sales"));
    }

    #[test]
    fn what_takes_a_second_to_load_is_kept_on_disk() {
        check(&dataset(), true);
        check(&DatasetEvidence { load_time: Duration::from_millis(9_999), ..dataset() }, false);
        check(&DatasetEvidence { loads: 1, load_time: Duration::from_secs(1), ..dataset() }, true);
    }

    #[test]
    fn what_is_loaded_all_the_time_is_kept_on_disk() {
        let often = DatasetEvidence { loads: 1_000, load_time: Duration::from_secs(50), ..dataset() };
        check(&often, true);
        check(&DatasetEvidence { load_time: Duration::from_millis(49_900), ..often.clone() }, false);
        let seldom = DatasetEvidence { loads: 2, load_time: Duration::from_secs(1), span: COSTLY, ..often };
        check(&seldom, false);
    }

    #[test]
    fn what_is_kept_already_or_cannot_be_is_no_matter() {
        check(&DatasetEvidence { persist: true, ..dataset() }, false);
        check(&DatasetEvidence { table_bytes: Some(1_001), ..dataset() }, false);
        check(&DatasetEvidence { table_bytes: None, ..dataset() }, true);
        check(&DatasetEvidence { ttl: Duration::from_secs(59), ..dataset() }, false);
        assert_eq!(recommend(&dataset(), &Limits::default()), None, "there is no disk tier");
    }
}
