//! How long an invalidation takes to be acknowledged while others write: its stamp is durable by then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use cache_core::{Namespace, Scope};

use super::place::Place;
use super::store::Store;
use super::values::Values;
use crate::report::{Goal, Line, section};

const INVALIDATIONS: usize = 300;

/// Prints the times.
pub(super) fn run() -> anyhow::Result<()> {
    section(
        "An acknowledged invalidation, while another thread fills the cache with values of 4 KiB without a pause",
        &[],
    );
    let (values, place) = (Values::new(4_096), Place::new()?);
    let store = Store::open(&place)?;
    let done = AtomicBool::new(false);
    let (millis, rate) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (began, mut written) = (Instant::now(), 0);
            while !done.load(Ordering::Relaxed) {
                store.fill((0..1_000).map(|step| ((written + step) % 20_000, values.get(step))))?;
                written += 1_000;
            }
            anyhow::Ok(written as f64 / began.elapsed().as_secs_f64())
        });
        let millis = invalidate(&store);
        done.store(true, Ordering::Relaxed);
        let rate = writer.join().expect("the writer does not panic").context("write beside the invalidations")?;
        anyhow::Ok((millis?, rate))
    })?;
    let middle = millis[millis.len() / 2];
    let beside = format!("{rate:.0} writes/s");
    Line::new("median", format!("{middle:.2} ms")).peer("beside", beside).print(middle, Goal::AtMost(10.0, " ms"));
    Line::new("  99th percentile", format!("{:.2} ms", millis[millis.len() * 99 / 100])).inform();
    Ok(())
}

/// The times in milliseconds, the shortest first.
fn invalidate(store: &Store) -> anyhow::Result<Vec<f64>> {
    let mut millis = Vec::with_capacity(INVALIDATIONS);
    for number in 0..INVALIDATIONS {
        let scope = Scope::Namespace(Namespace::new(format!("other-{}", number % 10)));
        let began = Instant::now();
        store.cache.invalidate_blocking(&scope).context("invalidate a namespace")?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    millis.sort_by(f64::total_cmp);
    Ok(millis)
}
