//! Many requests at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loader::{Ask, AsyncDataLoader, Event, FetchOptions, Fetcher, LoadEvent, LoadOptions, LoadRequest, Seen};
use parking_lot::Mutex;
use pipeline::{AnswerFrom, Error, PolicyOverrides, Stage};
use plugin_sdk::ErrorCode;
use serde_json::json;

use crate::source::{Does, Source, error, over, pipeline};

fn requests(names: &[&str]) -> Vec<LoadRequest> {
    names.iter().map(|name| LoadRequest::new(*name)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_loaded_side_by_side_and_a_broken_one_loses_no_other() {
    let source = Source::new(&["a", "b", "c"]);
    let (pipeline, _) = pipeline(&source, FetchOptions::default());
    source.next("b", [Does::Fails(error(ErrorCode::InvalidData))]);
    let loader = AsyncDataLoader::new(pipeline);
    let filters = json!({"n_min": 90, "colour": "red"}).as_object().cloned().unwrap();
    let mut wanted = requests(&["a", "b", "nowhere", "c"]);
    wanted.push(LoadRequest::new("a").named("some").with_filters(filters));
    let query = json!({"where": {"column": "n", "op": "lt", "value": 7}}).as_object().cloned().unwrap();
    wanted.push(LoadRequest { ask: Ask::Json(query), ..LoadRequest::new("a").named("few") });
    let report = loader.load_multiple_datasets(wanted).await;
    let rows =
        |name: &str| report.get(name).unwrap().result.as_ref().map(|loaded| loaded.rows).map_err(Error::to_string);
    assert_eq!((rows("a"), rows("c"), rows("some"), rows("few")), (Ok(100), Ok(100), Ok(10), Ok(7)));
    assert!(rows("b").unwrap_err().contains("as the script says"));
    assert!(rows("nowhere").unwrap_err().contains("no dataset named"));
    assert_eq!(report.get("some").unwrap().result.as_ref().unwrap().ignored_filters, ["colour"]);
    assert_eq!(report.failed(), 2);

    let again = loader.load_multiple_datasets(requests(&["a"])).await;
    let outcome = &again.outcomes[0];
    assert_eq!((outcome.attempts, outcome.result.as_ref().unwrap().from), (0, AnswerFrom::Cache));
    assert_eq!(outcome.result.as_ref().unwrap().answer.as_ref().unwrap().rows, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_sources_that_wait_take_as_long_as_one() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let sources: Vec<(&str, Arc<Source>)> = names.iter().map(|name| (*name, Source::new(&[*name]))).collect();
    sources.iter().for_each(|(_, source)| source.hold(true));
    let fetcher = Fetcher::new(FetchOptions::default());
    let borrowed: Vec<(&str, &Arc<Source>)> = sources.iter().map(|(name, source)| (*name, source)).collect();
    let pipeline = over(&borrowed, &fetcher, PolicyOverrides::default());
    let loader = AsyncDataLoader::with_options(pipeline, LoadOptions { max_workers: 8, ..LoadOptions::default() });
    let load = tokio::spawn(async move { loader.load_multiple_datasets(requests(&names)).await });
    // All of them are called before any has answered.
    while sources.iter().any(|(_, source)| source.running() == 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    sources.iter().for_each(|(_, source)| source.hold(false));
    assert_eq!(load.await.unwrap().failed(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_ends_at_the_deadline_and_leaves_no_work_behind() {
    let source = Source::new(&["a", "b"]);
    let (pipeline, fetcher) = pipeline(&source, FetchOptions::default());
    source.next("b", [Does::Hangs(1)]);
    let options = LoadOptions { deadline: Some(Duration::from_millis(300)), ..LoadOptions::default() };
    let started = Instant::now();
    let report = AsyncDataLoader::with_options(pipeline, options).load_multiple_datasets(requests(&["b", "a"])).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(report.get("a").unwrap().result.is_ok());
    assert!(matches!(report.get("b").unwrap().result, Err(Error::Timeout { .. })));
    while source.running() > 0 || fetcher.gate().running > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The events of each request, in words, and its progress.
fn by_name(events: &[LoadEvent]) -> HashMap<String, (Vec<&'static str>, Vec<Seen>)> {
    let mut told: HashMap<String, (Vec<&'static str>, Vec<Seen>)> = HashMap::new();
    for LoadEvent { event, .. } in events {
        let (name, word) = match event {
            Event::Queued { name } => (name, "queued"),
            Event::Started { name } => (name, "started"),
            Event::Progress { name, seen } => {
                told.entry(name.to_string()).or_default().1.push(*seen);
                continue;
            }
            Event::Retrying { name, .. } => (name, "retrying"),
            Event::Finished { outcome, .. } => (&outcome.name, "finished"),
            _ => continue,
        };
        told.entry(name.to_string()).or_default().0.push(word);
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_as_it_happens_only_grows_and_ends_at_all() {
    let source = Source::new(&["a", "b"]);
    let backoff = loader::Backoff { base: Duration::from_millis(80), max: Duration::from_millis(80) };
    let (pipeline, _) = pipeline(&source, FetchOptions { backoff, ..FetchOptions::default() });
    let attempt = Duration::from_millis(150);
    source.next("a", [Does::Hangs(5), Does::Fails(error(ErrorCode::Unavailable)), Does::Batches(8)]);
    source.hold(true);
    let options = LoadOptions { timeout: attempt, max_workers: 1, ..LoadOptions::default() };
    let events: Arc<Mutex<Vec<LoadEvent>>> = Arc::default();
    let telling = Arc::clone(&events);
    let loader = AsyncDataLoader::with_options(pipeline, options);
    let held = Arc::clone(&source);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        held.hold(false);
    });
    let report = loader.load_data_with_progress(requests(&["a", "b"]), move |event| telling.lock().push(event)).await;
    assert_eq!((report.failed(), report.get("a").unwrap().attempts), (0, 3));
    let events = events.lock();
    assert!(events.is_sorted_by_key(|event| event.at));
    assert!(matches!(events[0].event, Event::Began { requests: 2 }));
    assert!(matches!(events.last().unwrap().event, Event::Ended { failed: 0, cancelled: false }));
    let told = by_name(&events);
    let (words, seen) = &told["a"];
    assert_eq!((words[..2].to_vec(), words.last()), (vec!["queued", "started"], Some(&"finished")));
    assert!(words.contains(&"retrying"), "{words:?}");
    let pairs: Vec<(u64, u64)> = seen.iter().map(|seen| (seen.rows, seen.bytes)).collect();
    assert!(pairs.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{pairs:?}");
    let fractions: Vec<f64> = seen.iter().filter_map(|seen| seen.fraction).collect();
    assert!(fractions.is_sorted() && fractions.last() == Some(&1.0), "{fractions:?}");
    assert_eq!(seen.last().unwrap().stage, Stage::Read);
    // At most ten a second, and the last word.
    let took = report.took.as_secs_f64();
    assert!(seen.len() as f64 <= 2.0 + took * 10.0, "{} in {took} s", seen.len());
    let (words, _) = &told["b"];
    assert_eq!(words, &["queued", "started", "finished"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_load_stops_its_sources_at_each_stage() {
    for stage in ["queued", "scanning", "hanging", "retrying"] {
        let source = Source::new(&["a", "b"]);
        let backoff = loader::Backoff { base: Duration::from_secs(60), max: Duration::from_secs(60) };
        let gate = loader::GateOptions { concurrent: 1, ..loader::GateOptions::default() };
        let (pipeline, fetcher) = pipeline(&source, FetchOptions { backoff, gate, ..FetchOptions::default() });
        match stage {
            "queued" | "scanning" => source.hold(true),
            "hanging" => source.next("a", [Does::Hangs(2)]),
            _ => source.next("a", [Does::Fails(error(ErrorCode::Unavailable))]),
        }
        let names: &[&str] = if stage == "queued" { &["a", "b"] } else { &["a"] };
        let (loader, wanted) = (AsyncDataLoader::new(pipeline.clone()), requests(names));
        let load = tokio::spawn(async move { loader.load_multiple_datasets(wanted).await });
        let is_there = || match stage {
            "queued" => fetcher.gate().queued == 1,
            "retrying" => source.scans() == 1 && fetcher.gate().running == 0,
            _ => source.running() == 1,
        };
        while !is_there() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        load.abort();
        let started = Instant::now();
        while source.running() + fetcher.gate().running + fetcher.gate().queued + pipeline.loads_under_way() > 0 {
            assert!(started.elapsed() < Duration::from_secs(5), "{stage}: work is left behind: {:?}", fetcher.gate());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let scans = source.scans();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(source.scans(), scans, "{stage}");
    }
}
