//! Sorting that ends when the query has to.
//!
//! The sorts of the standard library and of rayon cannot be left half-way, except by a comparison that does not return. Here one
//! comparison in some thousands asks whether to go on, and if not, unwinds out of the sort, past the panic hook, as this
//! is no panic. It is caught around the sort, and what was sorted is not looked at again.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rayon::prelude::*;

use super::narrow::Position;
use super::{EvalError, Run};

/// What unwinds.
struct Stopped(EvalError);

/// How many comparisons there are to each that asks; a power of two.
const ASKS: u32 = 4096;

/// Sorts the `count` least of `entries`, and drops the others. `position` is what tells entries apart.
///
/// # Errors
/// The run is over.
pub(super) fn sort_least<T: Send>(
    mut entries: Vec<T>,
    count: usize,
    on_all_threads: bool,
    run: &Run,
    position: impl Fn(&T) -> Position + Sync,
    compare: impl Fn(&T, &T) -> Ordering + Sync,
) -> Result<Vec<T>, EvalError> {
    let compare = |left: &T, right: &T| {
        // Which comparison asks is told from what is compared: that costs less than to count.
        if (position(left).1 ^ position(right).1) & (ASKS - 1) == 0
            && let Err(error) = run.check()
        {
            resume_unwind(Box::new(Stopped(error)));
        }
        compare(left, right)
    };
    run.check()?;
    let sorting = || {
        if count < entries.len() {
            if count > 0 {
                entries.select_nth_unstable_by(count - 1, compare);
            }
            entries.truncate(count);
        }
        if on_all_threads {
            entries.par_sort_unstable_by(compare);
        } else {
            entries.sort_unstable_by(compare);
        }
        entries
    };
    catch_unwind(AssertUnwindSafe(sorting)).map_err(|payload| match payload.downcast::<Stopped>() {
        Ok(stopped) => stopped.0,
        Err(panic) => resume_unwind(panic),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    fn entries() -> Vec<(u64, Position)> {
        let mixed = |n: u32| u64::from(n.wrapping_mul(2_654_435_761)) << 8;
        (0..300_000).map(|n| (mixed(n), (n / 65_536, n % 65_536))).collect()
    }

    #[test]
    fn the_least_come_sorted() {
        let mut expected = entries();
        expected.sort();
        for count in [0, 1, 1_000, 299_999, 300_000, usize::MAX] {
            for on_all_threads in [false, true] {
                let run = Run::unbounded();
                let found = sort_least(entries(), count, on_all_threads, &run, |entry| entry.1, Ord::cmp).unwrap();
                assert_eq!(found, expected[..count.min(expected.len())]);
            }
        }
    }

    #[test]
    fn it_ends_soon_after_the_run() {
        for on_all_threads in [false, true] {
            let (run, compared) = (Run::unbounded(), AtomicUsize::new(0));
            let counting = |left: &(u64, Position), right: &(u64, Position)| {
                if compared.fetch_add(1, Relaxed) == 200_000 {
                    run.cancel();
                }
                left.cmp(right)
            };
            let found = sort_least(entries(), usize::MAX, on_all_threads, &run, |entry| entry.1, counting);
            assert!(matches!(found, Err(EvalError::Cancelled)), "{:?}", found.map(|all| all.len()));
            let compared = compared.into_inner();
            assert!(compared < 1_000_000, "{compared} comparisons, where a whole sort takes five millions");
        }
    }

    #[test]
    #[should_panic(expected = "a bug")]
    fn a_panic_of_a_comparison_stays_one() {
        let broken = |_: &(u64, Position), _: &(u64, Position)| -> Ordering { panic!("a bug") };
        let _ = sort_least(entries(), usize::MAX, false, &Run::unbounded(), |entry| entry.1, broken);
    }
}
