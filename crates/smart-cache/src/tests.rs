//! What happens as time passes, by a clock that is moved by hand. Each test has a clock of its own: a cache takes that
//! of the thread that calls its function first.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use cache_core::{Clock, ManualClock};
use parking_lot::Mutex;
use smart_cache_macros::smart_cache;

use crate::stats::FunctionStats;

thread_local! {
    static CLOCK: ManualClock = ManualClock::new();
}

/// The clock of this thread.
pub(crate) fn clock() -> Clock {
    CLOCK.with(ManualClock::clock)
}

fn pass(seconds: u64) {
    CLOCK.with(|clock| clock.advance(Duration::from_secs(seconds)));
}

/// Waits for what runs behind the callers of a function.
fn settle(stats: impl Fn() -> FunctionStats) {
    while stats().running > 0 {
        thread::yield_now();
    }
}

static RUNS: [AtomicU32; 9] = [const { AtomicU32::new(0) }; 9];

fn run(of: usize) -> u32 {
    RUNS[of].fetch_add(1, Ordering::SeqCst)
}

#[test]
fn a_result_is_served_for_its_ttl_and_no_longer() {
    #[smart_cache(ttl = "1m")]
    fn value() -> u32 {
        run(0)
    }
    assert_eq!(value(), 0);
    pass(59);
    assert_eq!(value(), 0);
    assert_eq!(value::peek().unwrap().remaining(), Duration::from_secs(1));
    pass(1);
    assert!(value::peek().is_none());
    assert_eq!(value(), 1);
}

#[test]
fn a_stale_result_is_served_while_one_call_runs_behind() {
    #[smart_cache(ttl = 60, stale = "30s", tags = [name])]
    fn value(name: &str, more: Vec<u8>) -> Option<(u32, usize)> {
        Some((run(1), name.len() + more.len()))
    }
    let call = || value("abc", vec![1, 2]).unwrap();
    assert_eq!(call(), (0, 5));
    pass(60);
    assert_eq!(call(), (0, 5), "it is served although its ttl is over");
    settle(value::stats);
    assert_eq!(call(), (1, 5), "and has been loaded again");
    assert_eq!(value::peek("abc", vec![1, 2]).unwrap().tags().map(|tag| &**tag).collect::<Vec<_>>(), ["abc"]);
    pass(90);
    assert_eq!(call(), (2, 5), "beyond the window it is loaded at once");
    let stats = value::stats();
    assert_eq!((stats.stale_serves, stats.runs, stats.hits), (1, 3, 1));
}

#[test]
fn however_many_are_served_stale_one_call_runs_behind_them() {
    static GATE: Mutex<Option<Receiver<()>>> = Mutex::new(None);
    #[smart_cache(ttl = 60, stale = 60)]
    fn value(_name: String) -> u32 {
        if let Some(gate) = GATE.lock().take() {
            gate.recv().unwrap();
        }
        run(2)
    }
    let call = || value("a".to_owned());
    assert_eq!(call(), 0);
    pass(60);
    let (open, gate) = channel();
    *GATE.lock() = Some(gate);
    assert_eq!((0..100).map(|_| call()).sum::<u32>(), 0);
    open.send(()).unwrap();
    settle(value::stats);
    assert_eq!(call(), 1);
    assert_eq!(value::stats().runs, 2);
}

#[test]
fn a_refresh_that_panics_leaves_the_stale_result_and_the_threads() {
    #[smart_cache(ttl = 60, stale = 60)]
    fn value() -> u32 {
        let run = run(3);
        assert!(run == 0 || run > 10, "as it was meant to");
        run
    }
    assert_eq!(value(), 0);
    pass(60);
    for _ in 0..10 {
        assert_eq!(value(), 0);
        settle(value::stats);
    }
    value();
    settle(value::stats);
    assert_eq!(value(), 11);
    assert_eq!(value::stats().unfinished, 10);
}

#[test]
fn an_older_result_stands_in_for_an_error() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    #[smart_cache(ttl = 60, stale_if_error = "1h")]
    fn value(name: &str) -> Result<u32, String> {
        if FAILS.load(Ordering::SeqCst) { Err(name.to_owned()) } else { Ok(run(4)) }
    }
    assert_eq!(value("a"), Ok(0));
    FAILS.store(true, Ordering::SeqCst);
    pass(60);
    assert_eq!(value("a"), Ok(0));
    assert_eq!(value::refresh("a"), Err("a".into()), "who asks for a new result is told of the error");
    assert_eq!(value("b"), Err("b".into()), "there is none for other arguments");
    pass(3600);
    assert_eq!(value("a"), Err("a".into()), "nor beyond the window");
    FAILS.store(false, Ordering::SeqCst);
    assert_eq!(value("a"), Ok(1));
    value::invalidate("a").unwrap();
    FAILS.store(true, Ordering::SeqCst);
    assert_eq!(value("a"), Err("a".into()), "nor after an invalidation");
    assert_eq!(value::stats().stale_on_error, 1);
}

#[test]
fn what_stands_in_for_an_error_is_not_older_than_that_allows() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    /// Without a runtime nothing stale is served, and the errors are seen.
    #[smart_cache(ttl = 60, stale = "1h", stale_if_error = "1m")]
    async fn value() -> Result<u32, String> {
        if FAILS.load(Ordering::SeqCst) { Err("down".into()) } else { Ok(run(8)) }
    }
    let call = || crate::park::block_on(value());
    assert_eq!(call(), Ok(0));
    FAILS.store(true, Ordering::SeqCst);
    pass(119);
    assert_eq!(call(), Ok(0));
    pass(1);
    assert_eq!(call(), Err("down".into()), "however long it may be served stale");
    assert!(value::peek().is_some());
}

struct Object {
    id: u32,
}

/// A clone is what the refresh keeps.
impl Clone for Object {
    fn clone(&self) -> Self {
        Self { id: self.id + 100 }
    }
}

impl Object {
    #[smart_cache(ttl = 60, stale = 60, key = name)]
    fn value(&self, name: &str) -> (u32, u32) {
        (self.id + name.len() as u32, run(5))
    }
}

#[test]
fn a_method_is_refreshed_on_a_clone() {
    let object = Object { id: 1 };
    assert_eq!(object.value("a"), (2, 0));
    pass(60);
    assert_eq!(object.value("a"), (2, 0));
    settle(Object::value_stats);
    assert_eq!(object.value("a"), (102, 1));
}

#[tokio::test]
async fn a_stale_result_of_an_async_function_is_served_while_a_task_runs_behind() {
    #[smart_cache(ttl = 60, stale = 60)]
    async fn value(name: &str, more: &[u8]) -> (u32, usize) {
        tokio::task::yield_now().await;
        (run(6), name.len() + more.len())
    }
    let name = "abc".to_owned();
    assert_eq!(value(&name, &[1]).await, (0, 4));
    pass(60);
    assert_eq!(value(&name, &[1]).await, (0, 4));
    while value::stats().running > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(value(&name, &[1]).await, (1, 4));
    assert_eq!(value::stats().stale_serves, 1);
}

#[test]
fn without_a_runtime_nothing_runs_behind_and_nothing_stale_is_served() {
    #[smart_cache(ttl = 60, stale = 60)]
    async fn value() -> u32 {
        run(7)
    }
    assert_eq!(crate::park::block_on(value()), 0);
    pass(60);
    assert_eq!(crate::park::block_on(value()), 1);
}

#[test]
fn a_cache_that_cannot_be_opened_comes_down_to_calling_the_function() {
    use crate::function::{Function, Settings};
    let broken = Function::<u32>::open(Settings {
        name: "broken".into(),
        ttl: Duration::ZERO,
        max_entries: 100,
        stale: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        version: 0,
        source: 0,
    });
    for result in [1, 2] {
        let missed = broken.hit(|_| ()).err().unwrap();
        assert_eq!(missed.run(|| result), result);
        let missed = broken.hit(|_| ()).err().unwrap();
        assert_eq!(crate::park::block_on(missed.run_async(|| async { Err::<u32, _>(result) })), Err(result));
    }
    assert!(broken.peek(None).is_none());
    broken.invalidate(broken.key(|_| ())).unwrap();
    broken.clear().unwrap();
    assert!(broken.stats().problem.unwrap().contains("ttl"));
}
