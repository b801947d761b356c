//! The data changes behind the pipeline's back.

use super::*;

fn checked_every(interval: Duration) -> PolicyOverrides {
    PolicyOverrides { check_interval: Some(interval), ..PolicyOverrides::default() }
}

const OFTEN: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_changed_fingerprint_is_seen_without_a_request_and_brings_new_rows() {
    for policy in [checked_every(OFTEN), PolicyOverrides { mode: Some(Mode::Query), ..checked_every(OFTEN) }] {
        let source = Source::new(ROWS.to_vec());
        source.change(ROWS.to_vec(), "v1");
        let pipeline = pipeline(&source, policy);
        pipeline.start_checks();
        assert_eq!(ask(&pipeline, "").await.unwrap().rows, 4);
        source.change(vec![(1, "EU")], "v2");
        until("the new row is served", async || ask(&pipeline, "").await.unwrap().rows == 1).await;
    }
}

#[tokio::test]
async fn the_source_is_asked_no_more_often_than_its_interval_and_only_for_what_was_loaded() {
    let source = Source::new(ROWS.to_vec());
    source.change(ROWS.to_vec(), "v1");
    let pipeline = pipeline(&source, checked_every(Duration::from_secs(3600)));
    pipeline.start_checks();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(source.fingerprints.load(Ordering::SeqCst), 0, "nothing was loaded yet");
    for _ in 0..3 {
        ask(&pipeline, "").await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(source.fingerprints.load(Ordering::SeqCst), 1, "that of the load");
}

#[tokio::test]
async fn a_touch_says_whether_the_data_has_changed() {
    let source = Source::new(ROWS.to_vec());
    source.change(ROWS.to_vec(), "v1");
    let pipeline = pipeline(&source, checked_every(Duration::ZERO));
    let call = CallOptions::new("test");
    ask(&pipeline, "").await.unwrap();

    let touched = pipeline.touch("t", &call).await.unwrap();
    assert_eq!((touched.changed, touched.invalidated), (Some(false), false));
    assert_eq!(ask(&pipeline, "").await.unwrap().from, AnswerFrom::Cache);

    source.change(vec![(1, "EU")], "v2");
    assert_eq!(ask(&pipeline, "").await.unwrap().rows, 4, "nobody has looked yet");
    let touched = pipeline.touch("t", &call).await.unwrap();
    assert_eq!((touched.changed, touched.invalidated), (Some(true), true));
    assert_eq!(ask(&pipeline, "").await.unwrap().rows, 1);
    assert_eq!(pipeline.catalog().get("t").unwrap().checked().unwrap().fingerprint.as_bytes(), b"v2");

    *source.fingerprint.lock() = Err(SourceError::new(ErrorCode::Unavailable, "away"));
    let error = pipeline.touch("t", &call).await.unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error}");
    assert_eq!(ask(&pipeline, "").await.unwrap().from, AnswerFrom::Cache, "nothing is known, nothing was invalidated");

    *source.fingerprint.lock() = Ok(Vec::new());
    let touched = pipeline.touch("t", &call).await.unwrap();
    assert_eq!((touched.changed, touched.invalidated), (None, true), "a source that cannot tell is taken at its word");
    assert_eq!(ask(&pipeline, "").await.unwrap().from, AnswerFrom::Source);
}

#[tokio::test]
async fn a_load_that_finds_the_data_changed_invalidates_what_is_older_and_keeps_what_it_brings() {
    let source = Source::new(ROWS.to_vec());
    source.change(ROWS.to_vec(), "v1");
    let pipeline = pipeline(&source, PolicyOverrides { mode: Some(Mode::Query), ..checked_every(Duration::ZERO) });
    assert_eq!(ask(&pipeline, "region=eq.EU").await.unwrap().rows, 2);
    source.change(vec![(1, "EU")], "v2");
    assert_eq!(ask(&pipeline, "region=eq.EU").await.unwrap().rows, 2, "nobody has looked yet");
    assert_eq!(ask(&pipeline, "year=lt.9").await.unwrap().rows, 1, "this load has looked");
    assert_eq!(ask(&pipeline, "region=eq.EU").await.unwrap().rows, 1, "so nobody sees two states of the data");
    let scans = source.scans();
    for question in ["region=eq.EU", "year=lt.9"] {
        assert_eq!(ask(&pipeline, question).await.unwrap().from, AnswerFrom::Cache, "{question}");
    }
    assert_eq!(source.scans(), scans);
}

#[tokio::test]
async fn a_dataset_that_comes_to_a_source_is_served_without_a_request() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, checked_every(OFTEN));
    pipeline.start_checks();
    source.offers.lock().push("u");
    until("it is in the catalog", async || pipeline.catalog().get("u").is_ok()).await;
    source.offers.lock().remove(0);
    until("the other has left", async || pipeline.catalog().get("t").is_err()).await;
}
