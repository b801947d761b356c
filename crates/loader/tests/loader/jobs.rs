//! Loads in the background.

use std::time::Duration;

use loader::{Event, FetchOptions, JobState, Jobs, JobsOptions, LoadOptions, LoadRequest};
use tokio::runtime::Handle;

use crate::source::{Does, Source, pipeline};

fn jobs(source: &std::sync::Arc<Source>, options: JobsOptions) -> (Jobs, loader::Fetcher) {
    let (pipeline, fetcher) = pipeline(source, FetchOptions::default());
    (Jobs::new(pipeline, options, Handle::current()), fetcher)
}

fn one() -> Vec<LoadRequest> {
    vec![LoadRequest::new("a")]
}

#[tokio::test]
async fn a_job_is_found_watched_and_read_again_from_where_one_was() {
    let source = Source::new(&["a", "b"]);
    let (jobs, _) = jobs(&source, JobsOptions::default());
    let job = jobs.start(vec![LoadRequest::new("a"), LoadRequest::new("b")], LoadOptions::default()).unwrap();
    let mut seen = Vec::new();
    loop {
        let (events, has_gap) = job.events_after(seen.len() as u64, 2).await;
        assert!(!has_gap && events.len() <= 2);
        if events.is_empty() {
            break;
        }
        seen.extend(events);
    }
    assert!(seen.iter().map(|(number, _)| *number).eq(1..=seen.len() as u64));
    assert!(matches!(seen.last().unwrap().1.event, Event::Ended { failed: 0, cancelled: false }));
    let (rest, _) = job.events_after(seen.len() as u64 - 1, 100).await;
    assert_eq!(rest.len(), 1);
    job.wait().await;
    let look = jobs.get(&job.id).unwrap().look();
    assert_eq!((look.state, look.done(), look.failed()), (JobState::Finished, 2, 0));
    assert_eq!(jobs.list().len(), 1);
    assert!(jobs.get("0000").is_none());
}

#[tokio::test]
async fn a_cancelled_job_says_so_and_stops_its_source() {
    let source = Source::new(&["a"]);
    let (jobs, fetcher) = jobs(&source, JobsOptions::default());
    source.next("a", [Does::Hangs(1)]);
    let job = jobs.start(one(), LoadOptions::default()).unwrap();
    while source.running() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(job.cancel() && !job.cancel());
    job.wait().await;
    assert_eq!((job.look().state, job.look().done()), (JobState::Cancelled, 0));
    let mut last = 0;
    loop {
        let (events, _) = job.events_after(last, 100).await;
        let Some((number, event)) = events.last() else { break };
        last = *number;
        if let Event::Ended { cancelled, .. } = event.event {
            assert!(cancelled);
        }
    }
    while source.running() > 0 || fetcher.gate().running > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn jobs_are_bounded_in_number_and_forgotten_after_a_while() {
    let source = Source::new(&["a"]);
    let options = JobsOptions { max_running: 1, max_kept: 2, keep_for: Duration::from_secs(3600) };
    let (jobs, _) = jobs(&source, options);
    source.hold(true);
    let first = jobs.start(one(), LoadOptions::default()).unwrap();
    assert_eq!(jobs.start(one(), LoadOptions::default()).unwrap_err().running, 1);
    source.hold(false);
    first.wait().await;
    for _ in 0..3 {
        jobs.start(one(), LoadOptions::default()).unwrap().wait().await;
    }
    assert_eq!(jobs.list().len(), 2);
    assert!(jobs.get(&first.id).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_over_is_kept_for_its_time() {
    let source = Source::new(&["a"]);
    let (jobs, _) = jobs(&source, JobsOptions { keep_for: Duration::from_secs(60), ..JobsOptions::default() });
    let job = jobs.start(one(), LoadOptions::default()).unwrap();
    job.wait().await;
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(jobs.get(&job.id).is_some());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(jobs.get(&job.id).is_none());
}
