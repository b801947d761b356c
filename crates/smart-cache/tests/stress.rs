//! Calls, invalidations, cancellations and panics at once, with an oracle outside the cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use smart_cache::{global, smart_cache};

/// What the functions compute from.
static TRUTH: AtomicU64 = AtomicU64::new(0);
/// The truth as of the last invalidation that has returned.
static ACKNOWLEDGED: AtomicU64 = AtomicU64::new(0);

#[smart_cache(tags("truth"))]
fn told(key: u64) -> u64 {
    let truth = TRUTH.load(Ordering::SeqCst);
    assert!(!truth.is_multiple_of(13) || key != 0, "now and then it panics");
    truth
}

#[smart_cache(tags("truth"))]
async fn told_later(key: u64) -> Result<u64, u64> {
    let truth = TRUTH.load(Ordering::SeqCst);
    tokio::task::yield_now().await;
    if truth % 11 == key { Err(truth) } else { Ok(truth) }
}

/// Changes the truth and invalidates, in every way that there is.
fn invalidate(round: u64) {
    let truth = TRUTH.fetch_add(1, Ordering::SeqCst) + 1;
    match round % 3 {
        0 => global().invalidate_tag("truth").unwrap(),
        1 => global().clear().unwrap(),
        _ => {
            told::clear().unwrap();
            // Those of the other function are of the old truth still, until it is cleared as well.
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(told_later::clear()).unwrap();
        }
    }
    ACKNOWLEDGED.store(truth, Ordering::SeqCst);
}

#[test]
fn nothing_from_before_an_acknowledged_invalidation_is_ever_served() {
    const ROUNDS: u64 = 10_000;
    thread::scope(|scope| {
        scope.spawn(|| (0..ROUNDS).for_each(invalidate));
        for reader in 0..2 {
            scope.spawn(move || {
                while ACKNOWLEDGED.load(Ordering::SeqCst) < ROUNDS {
                    let known = ACKNOWLEDGED.load(Ordering::SeqCst);
                    if let Ok(truth) = std::panic::catch_unwind(|| told(reader)) {
                        assert!(truth >= known, "{truth} from before {known}");
                    }
                }
            });
        }
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            runtime.block_on(async {
                while ACKNOWLEDGED.load(Ordering::SeqCst) < ROUNDS {
                    let known = ACKNOWLEDGED.load(Ordering::SeqCst);
                    let calls: Vec<_> = (0..8).map(|call| tokio::spawn(told_later(call % 2))).collect();
                    for (number, call) in calls.into_iter().enumerate() {
                        if number % 3 == 0 {
                            call.abort();
                        }
                        let Ok(told) = call.await else { continue };
                        let (Ok(truth) | Err(truth)) = told;
                        assert!(truth >= known, "{truth} from before {known}");
                    }
                }
            });
        });
    });
    assert_eq!((told::stats().running, told_later::stats().running), (0, 0), "no flight is left behind");
}
