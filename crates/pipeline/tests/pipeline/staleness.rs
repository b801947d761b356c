//! Data whose time is over: served for a while, and said to be so.

use super::*;

/// Fresh for no time to speak of.
fn stale(while_revalidate: Duration, if_error: Duration) -> PolicyOverrides {
    PolicyOverrides {
        ttl: Some(Duration::from_millis(1)),
        stale_while_revalidate: Some(while_revalidate),
        stale_if_error: Some(if_error),
        check_interval: Some(Duration::ZERO),
        ..PolicyOverrides::default()
    }
}

const LONG: Duration = Duration::from_secs(3600);

/// More than the ttl and a tick of the clock.
const A_MOMENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn what_is_stale_is_served_at_once_and_loaded_again_behind_it() {
    for mode in [Mode::Table, Mode::Query] {
        let source = Source::new(ROWS.to_vec());
        let pipeline = pipeline(&source, PolicyOverrides { mode: Some(mode), ..stale(LONG, Duration::ZERO) });
        ask(&pipeline, "").await.unwrap();
        tokio::time::sleep(A_MOMENT).await;
        *source.rows.lock() = vec![(1, "EU")];
        let answer = ask(&pipeline, "").await.unwrap();
        assert_eq!((answer.rows, answer.from), (4, AnswerFrom::Stale), "{mode:?}");
        until("the new row is served", async || ask(&pipeline, "").await.unwrap().rows == 1).await;
    }
}

#[tokio::test]
async fn what_is_expired_stands_in_for_a_load_that_fails() {
    for mode in [Mode::Table, Mode::Query] {
        let source = Source::new(ROWS.to_vec());
        let pipeline = pipeline(&source, PolicyOverrides { mode: Some(mode), ..stale(Duration::ZERO, LONG) });
        ask(&pipeline, "").await.unwrap();
        tokio::time::sleep(A_MOMENT).await;
        *source.failure.lock() = Some(SourceError::new(ErrorCode::Unavailable, "away"));
        let answer = ask(&pipeline, "").await.unwrap();
        assert_eq!((answer.rows, answer.from), (4, AnswerFrom::StaleOnError), "{mode:?}");
        *source.failure.lock() = None;
        *source.rows.lock() = vec![(1, "EU")];
        until("the source has come back", async || ask(&pipeline, "").await.unwrap().rows == 1).await;
    }
}

#[tokio::test]
async fn without_a_window_what_is_expired_is_not_served() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, stale(Duration::ZERO, Duration::ZERO));
    ask(&pipeline, "").await.unwrap();
    tokio::time::sleep(A_MOMENT).await;
    *source.failure.lock() = Some(SourceError::new(ErrorCode::Unavailable, "away"));
    let error = ask(&pipeline, "").await.unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error}");
}

#[tokio::test]
async fn an_old_table_does_not_stand_in_for_one_that_has_grown_too_large() {
    let source = Source::new(ROWS.to_vec());
    let small = PolicyOverrides { max_bytes: Some(bytesize::ByteSize::kib(10)), ..stale(Duration::ZERO, LONG) };
    let pipeline = pipeline(&source, small);
    ask(&pipeline, "").await.unwrap();
    tokio::time::sleep(A_MOMENT).await;
    *source.rows.lock() = (0..10_000).map(|year| (year, "a region of some length")).collect();
    assert_eq!(years(&ask(&pipeline, "year=lt.3").await.unwrap()), [0, 1, 2]);
    assert_eq!(pipeline.catalog().get("t").unwrap().mode(), Mode::Query);
}

#[tokio::test]
async fn an_old_table_does_not_stand_in_for_one_of_another_schema() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, stale(Duration::ZERO, LONG));
    ask(&pipeline, "").await.unwrap();
    tokio::time::sleep(A_MOMENT).await;
    *source.year_type.lock() = DataType::Float64;
    let error = ask(&pipeline, "").await.unwrap_err();
    assert!(matches!(error, Error::SchemaChanged { .. }), "{error}");
    assert_eq!(ask(&pipeline, "year=gt.2021.5").await.unwrap().rows, 2);
}
