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

#[tokio::test]
async fn a_source_that_does_not_answer_keeps_nobody_elses_changes_from_being_seen() {
    let (mute, source) = (Source::new(ROWS.to_vec()), Source::new(ROWS.to_vec()));
    *mute.offers.lock() = vec!["m1", "m2", "m3", "m4", "m5"];
    for source in [&mute, &source] {
        source.change(ROWS.to_vec(), "v1");
    }
    let pipeline = pipeline(&source, checked_every(OFTEN));
    let muted = SourceHandle { name: "a".into(), ..handle(&mute, "m1", checked_every(OFTEN)) };
    let other = handle(&source, "v2", checked_every(OFTEN));
    pipeline.publish(&[muted, other], Ask::New).wait(PATIENCE);
    for name in ["m1", "m2", "m3", "m4", "m5", "t"] {
        pipeline.load_and_process_data(name, &serde_json::Map::new()).await.unwrap();
    }
    mute.set_speechless(true);
    let asked = mute.fingerprints.load(Ordering::SeqCst);
    pipeline.start_checks();
    until("the mute source is asked", async || mute.fingerprints.load(Ordering::SeqCst) > asked).await;
    source.change(vec![(1, "EU")], "v2");
    until("the new row is served", async || ask(&pipeline, "").await.unwrap().rows == 1).await;
    assert_eq!(mute.fingerprints.load(Ordering::SeqCst), asked + 1, "it is asked one thing at a time");
    mute.set_speechless(false);
}

#[tokio::test]
async fn a_dataset_that_could_not_be_served_is_served_once_it_is_mended() {
    let source = Source::new(ROWS.to_vec());
    source.change(ROWS.to_vec(), "v1");
    *source.broken.lock() = Some(SourceError::invalid_data("line 3 has 2 fields"));
    let pipeline = pipeline(&source, checked_every(OFTEN));
    assert!(matches!(ask(&pipeline, "").await.unwrap_err(), Error::BrokenDataset { .. }));
    // Mended before anybody has looked.
    *source.broken.lock() = None;
    source.change(ROWS.to_vec(), "v2");
    pipeline.start_checks();
    until("it is served", async || ask(&pipeline, "").await.is_ok()).await;
    // And once more, after a look.
    *source.broken.lock() = Some(SourceError::invalid_data("line 3 has 2 fields"));
    source.offers.lock().push("u");
    until("it is broken", async || pipeline.catalog().get("t").is_err()).await;
    *source.broken.lock() = None;
    source.change(ROWS.to_vec(), "v3");
    until("it is served again", async || ask(&pipeline, "").await.is_ok()).await;
}

#[tokio::test]
async fn a_touch_waits_no_longer_than_its_caller() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, checked_every(Duration::ZERO));
    source.set_speechless(true);
    let deadline = Some(std::time::Instant::now() + Duration::from_millis(50));
    let call = CallOptions { deadline, ..CallOptions::new("test") };
    assert!(pipeline.touch("t", &call).await.is_err());
    source.set_speechless(false);
}
