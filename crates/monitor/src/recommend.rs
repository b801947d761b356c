//! Recommendations: which settings to change, because of what was seen, and what that is expected to bring.
//!
//! [`recommend`] is a function of [`Evidence`] alone: numbers that its caller has counted, and the settings in force. So a
//! recommendation is there as long as its evidence holds, and one that is followed takes its own reason away. Each rule
//! has numbers for what it saw and for what it expects; it says nothing where there is too little to go by.
//!
//! | rule | asks |
//! |---|---|
//! | `cache_size` | would a larger cache have more hits, or a smaller one as many? |
//! | `ttl` | does the data change far more seldom, or more often, than it is loaded again? |
//! | `persist` | is the data so costly to load that it should outlive a restart? |
//! | `mode` | is it cheaper to keep the whole table, or the results of queries? |
//! | `workers` | do calls wait for each other rather than for their source? |
//!
//! What it does not do: change anything. A [`Change`] is typed, so that whoever serves it can turn it into a request.
//!
//! ```
//! use std::time::Duration;
//! use monitor::recommend::{Change, DatasetEvidence, Evidence, Limits, recommend};
//!
//! // Loaded again every minute for six hours, and not once was it different.
//! let sales = DatasetEvidence {
//!     name: "sales".to_owned(),
//!     span: Duration::from_secs(6 * 3600),
//!     ttl: Duration::from_secs(60),
//!     checks: 360,
//!     loads: 360,
//!     ..DatasetEvidence::default()
//! };
//! let evidence = Evidence { datasets: vec![sales], ..Evidence::default() };
//! let found = recommend(&evidence, &Limits::default());
//! let three_hours = Duration::from_secs(3 * 3600);
//! assert_eq!(found[0].change, Change::Ttl { dataset: "sales".to_owned(), ttl: three_hours });
//! ```

mod evidence;
mod limits;
mod recommendation;

mod cache_size;
mod mode;
mod persist;
mod ttl;
mod workers;

pub use evidence::{CacheEvidence, DatasetEvidence, Evidence, TableOrQuery, WorkerEvidence};
pub use limits::Limits;
pub use recommendation::{Change, Recommendation, Statement};

/// What the evidence speaks for, in the order of the evidence.
pub fn recommend(evidence: &Evidence, limits: &Limits) -> Vec<Recommendation> {
    let mut found = Vec::new();
    found.extend(evidence.caches.iter().filter_map(|cache| cache_size::recommend(cache, limits)));
    for dataset in &evidence.datasets {
        found.extend(ttl::recommend(dataset, limits));
        found.extend(persist::recommend(dataset, limits));
        found.extend(mode::recommend(dataset));
    }
    found.extend(evidence.workers.as_ref().and_then(|workers| workers::recommend(workers, limits)));
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn without_evidence_there_is_nothing_to_recommend() {
        assert_eq!(recommend(&Evidence::default(), &Limits::default()), []);
        let nothing_seen = Evidence {
            caches: vec![CacheEvidence::default()],
            datasets: vec![DatasetEvidence::default()],
            workers: Some(WorkerEvidence::default()),
        };
        assert_eq!(recommend(&nothing_seen, &Limits::default()), []);
    }

    #[test]
    fn a_dataset_can_have_several_recommendations() {
        let slow = DatasetEvidence {
            name: "sales".to_owned(),
            span: Duration::from_secs(24 * 3600),
            ttl: Duration::from_secs(600),
            checks: 144,
            loads: 144,
            load_time: Duration::from_secs(144 * 3),
            ..DatasetEvidence::default()
        };
        let evidence = Evidence { datasets: vec![slow], ..Evidence::default() };
        let found = recommend(&evidence, &Limits { disk_available: 1 << 30, ..Limits::default() });
        let ids: Vec<&str> = found.iter().map(|found| &*found.id).collect();
        assert_eq!(ids, ["ttl:sales", "persist:sales"]);
    }
}
