//! Cached asynchronous functions: on runtimes of both kinds, and on none.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use smart_cache::smart_cache;
use tokio::sync::{Notify, Semaphore, oneshot};

/// Polls a future once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_result_is_stored_and_the_functions_beside_it_are_async_too() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[smart_cache(tags = [format!("of:{name}")])]
    async fn numbered(name: &str) -> Result<u32, std::fmt::Error> {
        tokio::task::yield_now().await;
        if name.is_empty() { Err(std::fmt::Error) } else { Ok(RUNS.fetch_add(1, Ordering::SeqCst)) }
    }
    assert_eq!((numbered("a").await, numbered("a").await), (Ok(0), Ok(0)));
    assert_eq!(numbered("").await, Err(std::fmt::Error));
    assert_eq!(numbered::refresh("a").await, Ok(1));
    assert_eq!(numbered("a").await, Ok(1));
    numbered::invalidate("a").await.unwrap();
    assert!(numbered::peek("a").is_none());
    assert_eq!(numbered("a").await, Ok(2));
    numbered::clear().await.unwrap();
    assert_eq!(numbered("a").await, Ok(3));
    smart_cache::global().invalidate_tag("of:a").unwrap();
    assert!(numbered::peek("a").is_none());
    let stats = numbered::stats();
    assert_eq!((stats.runs, stats.not_stored, stats.running), (5, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_share_one_run() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static GATE: Semaphore = Semaphore::const_new(0);
    #[smart_cache]
    async fn slow(name: String) -> String {
        RUNS.fetch_add(1, Ordering::SeqCst);
        let _permit = GATE.acquire().await;
        name + "!"
    }
    let tasks: Vec<_> = (0..1_000).map(|_| tokio::spawn(slow("a".to_owned()))).collect();
    while slow::stats().misses < 1_000 {
        tokio::task::yield_now().await;
    }
    GATE.add_permits(1);
    for task in tasks {
        assert_eq!(task.await.unwrap(), "a!");
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn when_the_leader_is_cancelled_one_who_waits_takes_over() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static GATE: Notify = Notify::const_new();
    #[smart_cache]
    async fn slow(name: &str) -> usize {
        if RUNS.fetch_add(1, Ordering::SeqCst) == 0 {
            GATE.notified().await;
        }
        name.len()
    }
    let leader = tokio::spawn(slow("abc"));
    while slow::stats().runs == 0 {
        tokio::task::yield_now().await;
    }
    let waiters: Vec<_> = (0..10).map(|_| tokio::spawn(slow("abc"))).collect();
    while slow::stats().misses < 11 {
        tokio::task::yield_now().await;
    }
    leader.abort();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), 3);
    }
    assert!(leader.await.unwrap_err().is_cancelled());
    assert_eq!(RUNS.load(Ordering::SeqCst), 2, "one run for all who waited");
    let stats = slow::stats();
    assert_eq!((stats.unfinished, stats.running), (1, 0));
}

#[tokio::test]
async fn when_the_leader_panics_those_who_wait_run_the_body_themselves() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[smart_cache(skip(gate))]
    async fn fragile(gate: oneshot::Receiver<()>) -> u32 {
        match RUNS.fetch_add(1, Ordering::SeqCst) {
            0 => {
                gate.await.unwrap();
                panic!("the first run");
            }
            run => run,
        }
    }
    let (open, gate) = oneshot::channel();
    let leader = tokio::spawn(fragile(gate));
    while fragile::stats().runs == 0 {
        tokio::task::yield_now().await;
    }
    let waiters: Vec<_> = (0..5).map(|_| tokio::spawn(fragile(oneshot::channel().1))).collect();
    while fragile::stats().misses < 6 {
        tokio::task::yield_now().await;
    }
    open.send(()).unwrap();
    assert!(leader.await.unwrap_err().is_panic());
    for waiter in waiters {
        assert!(waiter.await.unwrap() >= 1);
    }
    assert_eq!(fragile::stats().running, 0);
}

#[tokio::test]
async fn errors_go_to_their_own_caller_and_the_others_try_themselves() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static GATE: Notify = Notify::const_new();
    /// Neither `Clone` nor `Sync`.
    #[derive(Debug, PartialEq)]
    struct Own(std::cell::Cell<u32>);
    #[smart_cache]
    async fn failing() -> Result<u32, Own> {
        let run = RUNS.fetch_add(1, Ordering::SeqCst);
        if run == 0 {
            GATE.notified().await;
        }
        Err(Own(std::cell::Cell::new(run)))
    }
    let tasks: Vec<_> = (0..5).map(|_| tokio::spawn(failing())).collect();
    while failing::stats().misses < 5 {
        tokio::task::yield_now().await;
    }
    GATE.notify_one();
    let mut errors = Vec::new();
    for task in tasks {
        errors.push(task.await.unwrap().unwrap_err().0.get());
    }
    errors.sort_unstable();
    assert_eq!(errors, [0, 1, 2, 3, 4]);
    assert_eq!(failing::stats().entries, 0);
}

#[tokio::test]
async fn a_call_after_an_invalidation_never_gets_a_result_from_before_it() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static GATE: Notify = Notify::const_new();
    #[smart_cache]
    async fn value() -> u32 {
        let run = RUNS.fetch_add(1, Ordering::SeqCst);
        if run == 0 {
            GATE.notified().await;
        }
        run
    }
    #[track_caller]
    fn check(call: Poll<u32>, expected: Option<u32>) {
        assert_eq!(call, expected.map_or(Poll::Pending, Poll::Ready));
    }
    let mut early = pin!(value());
    check(poll(early.as_mut()), None);
    let mut joined = pin!(value());
    check(poll(joined.as_mut()), None);
    value::clear().await.unwrap();
    check(poll(pin!(value())), Some(1));
    GATE.notify_one();
    check(poll(early.as_mut()), Some(0));
    check(poll(joined.as_mut()), Some(0));
    check(poll(pin!(value())), Some(1));
}

#[test]
fn a_future_needs_no_runtime() {
    #[smart_cache]
    async fn length(text: &str) -> usize {
        text.len()
    }
    let text = "abc".to_owned();
    assert_eq!(poll(pin!(length(&text))), Poll::Ready(3));
    assert_eq!(poll(pin!(length(&text))), Poll::Ready(3));
    assert_eq!(length::stats().hits, 1);
    assert!(matches!(poll(pin!(length::invalidate(&text))), Poll::Ready(Ok(()))));
    assert!(matches!(poll(pin!(length::clear())), Poll::Ready(Ok(()))));
    assert_eq!(poll(pin!(length::refresh(&text))), Poll::Ready(3));
}

#[tokio::test]
async fn calls_of_one_task_share_a_run() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[smart_cache]
    async fn counted() -> u32 {
        tokio::task::yield_now().await;
        RUNS.fetch_add(1, Ordering::SeqCst)
    }
    assert_eq!(tokio::join!(counted(), counted()), (0, 0));
    assert_eq!(tokio::join!(counted::refresh(), counted::refresh()), (1, 1));
    assert_eq!(counted().await, 1);
}
