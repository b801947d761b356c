//! Sorting that ends when the query has to.
//!
//! The sorts of the standard library and of rayon cannot be left half-way, except by a comparison that does not return. Here one
//! comparison in some thousands asks whether to go on, and if not, unwinds out of the sort, past the panic hook, as this
//! is no panic. It is caught around the sort, and what was sorted is not looked at again.

#[cfg(panic = "abort")]
compile_error!("a query that is over unwinds out of its sorts: panics must not abort");

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rayon::prelude::*;

use super::narrow::Position;
use super::{ALONE_ROWS, EvalError, Run};

/// What unwinds.
struct Stopped(EvalError);

/// One comparison in 2 to the power of this many asks.
const ASKING_BITS: u32 = 12;

/// Sorts the `count` least of `entries`, and drops the others. `position` is what tells entries apart.
///
/// # Errors
/// The run is over.
pub(super) fn sort_least<T: Send>(
    mut entries: Vec<T>,
    count: usize,
    run: &Run,
    position: impl Fn(&T) -> Position + Sync,
    compare: impl Fn(&T, &T) -> Ordering + Sync,
) -> Result<Vec<T>, EvalError> {
    let on_all_threads = entries.len() > ALONE_ROWS;
    let compare = |left: &T, right: &T| {
        if asks(position(left), position(right))
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

/// Whether the comparison of these two asks: drawn by a hash of them, which costs less than to count, and whose odds are the same
/// for neighbours and for what is far apart.
fn asks(left: Position, right: Position) -> bool {
    let number = |(piece, place): Position| u64::from(piece) << 32 | u64::from(place);
    let hash = number(left).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number(right).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    hash >> (u64::BITS - ASKING_BITS) == 0
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
            for rows in [300_000, 5_000] {
                let some = expected[..rows].iter().copied().rev().collect();
                let found = sort_least(some, count, &Run::unbounded(), |entry| entry.1, Ord::cmp).unwrap();
                assert_eq!(found, expected[..count.min(rows)]);
            }
        }
    }

    #[track_caller]
    fn check_that_it_ends(entries: Vec<(u64, Position)>, within: usize) {
        let (run, compared) = (Run::unbounded(), AtomicUsize::new(0));
        let counting = |left: &(u64, Position), right: &(u64, Position)| {
            if compared.fetch_add(1, Relaxed) == 100_000 {
                run.cancel();
            }
            left.cmp(right)
        };
        let found = sort_least(entries, usize::MAX, &run, |entry| entry.1, counting);
        assert!(matches!(found, Err(EvalError::Cancelled)), "{:?}", found.map(|all| all.len()));
        let compared = compared.into_inner();
        assert!(compared < within, "{compared} comparisons");
    }

    #[test]
    fn it_ends_soon_after_the_run() {
        // A whole sort takes five million comparisons; of what is in order already, one for each entry.
        check_that_it_ends(entries(), 1_000_000);
        let mut sorted = entries();
        sorted.sort();
        check_that_it_ends(sorted, 200_000);
        let in_table_order = (0..300_000).map(|n| (u64::from(n), (n / 65_536, n % 65_536))).collect();
        check_that_it_ends(in_table_order, 200_000);
        // A row of each piece.
        check_that_it_ends((0..300_000).map(|n| (u64::from(n ^ 0x5555), (n, 0))).collect(), 1_000_000);
    }

    #[test]
    #[should_panic(expected = "a bug")]
    fn a_panic_of_a_comparison_stays_one() {
        let broken = |_: &(u64, Position), _: &(u64, Position)| -> Ordering { panic!("a bug") };
        let _ = sort_least(entries(), usize::MAX, &Run::unbounded(), |entry| entry.1, broken);
    }
}
