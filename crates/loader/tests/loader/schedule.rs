//! Datasets that are loaded before anybody asks.

use std::time::Duration;

use loader::{FetchOptions, Fetcher, Schedule};
use pipeline::PolicyOverrides;

use crate::source::{Source, over};

#[tokio::test]
async fn a_dataset_is_refreshed_at_its_interval_one_at_a_time() {
    let source = Source::new(&["a"]);
    let fetcher = Fetcher::new(FetchOptions::default());
    let policy = PolicyOverrides {
        refresh_every: Some(Duration::from_millis(300)),
        warm: Some(true),
        ..PolicyOverrides::default()
    };
    let pipeline = over(&[("s", &source)], &fetcher, policy);
    let schedule = Schedule::new(pipeline.clone(), 2);
    let warm: Vec<String> = schedule.warm_requests().into_iter().map(|request| request.source).collect();
    assert_eq!(warm, ["a"]);
    let running = tokio::spawn(schedule.run());
    while source.scans() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // While one is under way, no other begins.
    source.hold(true);
    while source.running() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let scans = source.scans();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(source.scans(), scans);
    source.hold(false);
    running.abort();
}

#[tokio::test]
async fn a_dataset_without_an_interval_is_left_alone() {
    let source = Source::new(&["a"]);
    let fetcher = Fetcher::new(FetchOptions::default());
    let pipeline = over(&[("s", &source)], &fetcher, PolicyOverrides::default());
    let schedule = Schedule::new(pipeline, 2);
    assert!(schedule.warm_requests().is_empty());
    let running = tokio::spawn(schedule.run());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(source.scans(), 0);
    running.abort();
}
