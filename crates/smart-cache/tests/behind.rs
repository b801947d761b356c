//! The bound on what runs behind callers, in a process of its own: it holds for all functions together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use parking_lot::{Condvar, Mutex};
use smart_cache::smart_cache;

static LOADED: AtomicBool = AtomicBool::new(false);
static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

#[smart_cache(ttl = "1ms", stale = "1h")]
fn value(key: u32) -> u32 {
    if LOADED.load(Ordering::SeqCst) {
        let mut open = OPEN.0.lock();
        while !*open {
            OPEN.1.wait(&mut open);
        }
    }
    key
}

#[test]
fn refreshes_behind_callers_are_bounded_and_left_out_beyond() {
    (0..80).for_each(|key| assert_eq!(value(key), key));
    LOADED.store(true, Ordering::SeqCst);
    for key in 0..80 {
        while !value::peek(key).unwrap().remaining().is_zero() {
            thread::yield_now();
        }
        assert_eq!(value(key), key);
    }
    let stats = value::stats();
    assert_eq!((stats.stale_serves, stats.refreshes_skipped, stats.running), (80, 80 - 4 - 64, 68));
    *OPEN.0.lock() = true;
    OPEN.1.notify_all();
    while value::stats().running > 0 {
        thread::yield_now();
    }
    assert_eq!(value::stats().runs, 80 + 68);
}
