//! Invalidation without finding anything: one counter, and the stamps that it left.
//!
//! Every invalidation takes the next value of the counter and writes it into the cell of what it covers: everything
//! (the floor), or one namespace. An entry carries the counter from before its load began. It is valid if and only if
//! no cell that covers it holds a newer stamp; that is compared at every read. An entry that is stored late, by a load
//! that began early, is therefore invalid from the start.
//!
//! A delete of single keys must not make the rest of the namespace invalid. It raises the namespace's *store barrier*
//! instead: what is stored already stays valid, but a load that began before the delete may not be stored any more.
//!
//! Invariants: (1) a stamp is in its cell before the invalidation returns. (2) A cell only grows. (3) A cell leaves the
//! registry only when nobody holds it, and not before the floor is at least as high as its stamps.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::key::Namespace;

/// How many cells there may be before those that nobody holds are folded into the floor.
const MAX_CELLS: usize = 100_000;

/// The invalidations of one cache, or of several that share it.
#[derive(Debug)]
pub struct Stamps {
    counter: AtomicU64,
    /// What is older than this is invalid in every namespace.
    floor: AtomicU64,
    registry: Mutex<Registry>,
    max_cells: usize,
}

#[derive(Debug)]
struct Registry {
    cells: HashMap<Namespace, Arc<Cell>>,
    /// The number of cells that makes the next folding worth its while.
    fold_at: usize,
}

/// The stamps of one namespace. Entries hold it, so that a hit looks nothing up.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    invalidated: AtomicU64,
    barrier: AtomicU64,
}

impl Stamps {
    /// No invalidations yet.
    pub fn new() -> Self {
        Self::with_max_cells(MAX_CELLS)
    }

    fn with_max_cells(max_cells: usize) -> Self {
        Self {
            counter: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            registry: Mutex::new(Registry { cells: HashMap::new(), fold_at: max_cells }),
            max_cells,
        }
    }

    /// The last stamp that was given. A load reads it before it begins.
    pub fn counter(&self) -> u64 {
        self.counter.load(Ordering::SeqCst)
    }

    /// Makes everything invalid that began before now. Returns the stamp.
    pub fn invalidate_all(&self) -> u64 {
        let stamp = self.next();
        self.floor.fetch_max(stamp, Ordering::SeqCst);
        stamp
    }

    /// Makes everything of this namespace invalid that began before now. Returns the stamp.
    pub fn invalidate_namespace(&self, namespace: &Namespace) -> u64 {
        self.stamp(namespace, |cell| &cell.invalidated)
    }

    /// From now on, nothing of this namespace is stored that began before now; what is stored stays. Returns the stamp.
    pub fn raise_store_barrier(&self, namespace: &Namespace) -> u64 {
        self.stamp(namespace, |cell| &cell.barrier)
    }

    fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn stamp(&self, namespace: &Namespace, field: impl Fn(&Cell) -> &AtomicU64) -> u64 {
        // The cell is held while it is stamped: a folding cannot take it away unseen (invariant 3).
        let cell = self.cell(namespace);
        let stamp = self.next();
        field(&cell).fetch_max(stamp, Ordering::SeqCst);
        stamp
    }

    /// The cell of a namespace, made if there is none.
    pub(crate) fn cell(&self, namespace: &Namespace) -> Arc<Cell> {
        let mut registry = self.registry.lock();
        if let Some(cell) = registry.cells.get(namespace) {
            return Arc::clone(cell);
        }
        if registry.cells.len() >= registry.fold_at {
            self.fold(&mut registry);
        }
        Arc::clone(registry.cells.entry(namespace.clone()).or_default())
    }

    /// Whether what began at `counter` may be served.
    #[inline]
    pub(crate) fn is_valid(&self, cell: &Cell, counter: u64) -> bool {
        self.floor.load(Ordering::Acquire) <= counter && cell.invalidated.load(Ordering::Acquire) <= counter
    }

    /// Whether what began at `counter` may be stored, or its flight joined.
    pub(crate) fn is_storable(&self, cell: &Cell, counter: u64) -> bool {
        self.is_valid(cell, counter) && cell.barrier.load(Ordering::Acquire) <= counter
    }

    /// Takes cells away that nobody holds: first those that say no more than the floor does, then the oldest, until
    /// three quarters of the limit are left. The oldest first, because the floor that they raise covers everything.
    fn fold(&self, registry: &mut Registry) {
        let floor = self.floor.load(Ordering::SeqCst);
        registry.cells.retain(|_, cell| Arc::strong_count(cell) > 1 || cell.newest() > floor);
        let target = self.max_cells - self.max_cells / 4;
        if registry.cells.len() > target {
            let mut idle: Vec<u64> =
                registry.cells.values().filter(|cell| Arc::strong_count(cell) == 1).map(|cell| cell.newest()).collect();
            idle.sort_unstable();
            let surplus = registry.cells.len() - target;
            if let Some(&highest) = idle.get(surplus.min(idle.len()).saturating_sub(1)) {
                self.floor.fetch_max(highest, Ordering::SeqCst);
                registry.cells.retain(|_, cell| Arc::strong_count(cell) > 1 || cell.newest() > highest);
            }
        }
        // Cells that are held cannot go; waiting for the doubled number keeps the cost of folding constant per cell.
        registry.fold_at = self.max_cells.max(registry.cells.len() * 2);
    }
}

impl Default for Stamps {
    fn default() -> Self {
        Self::new()
    }
}

impl Cell {
    fn newest(&self) -> u64 {
        self.invalidated.load(Ordering::SeqCst).max(self.barrier.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(number: usize) -> Namespace {
        Namespace::new(format!("n{number}"))
    }

    #[test]
    fn an_invalidation_covers_its_namespace_only() {
        let stamps = Stamps::new();
        let (a, b) = (stamps.cell(&namespace(1)), stamps.cell(&namespace(2)));
        let began = stamps.counter();
        stamps.invalidate_namespace(&namespace(1));
        assert!(!stamps.is_valid(&a, began));
        assert!(stamps.is_valid(&b, began));
        assert!(stamps.is_valid(&a, stamps.counter()));
        stamps.invalidate_all();
        assert!(!stamps.is_valid(&b, began));
    }

    #[test]
    fn a_store_barrier_stops_stores_and_spares_what_is_stored() {
        let stamps = Stamps::new();
        let cell = stamps.cell(&namespace(1));
        let began = stamps.counter();
        stamps.raise_store_barrier(&namespace(1));
        assert!(stamps.is_valid(&cell, began));
        assert!(!stamps.is_storable(&cell, began));
        assert!(stamps.is_storable(&cell, stamps.counter()));
    }

    #[test]
    fn an_invalidation_outlives_its_folded_cell() {
        let stamps = Stamps::with_max_cells(8);
        let began = stamps.counter();
        stamps.invalidate_namespace(&namespace(0));
        for number in 1..100 {
            stamps.invalidate_namespace(&namespace(number));
        }
        assert!(stamps.registry.lock().cells.len() <= 8);
        for number in 0..100 {
            assert!(!stamps.is_valid(&stamps.cell(&namespace(number)), began), "namespace {number}");
        }
    }

    #[test]
    fn folding_takes_the_oldest_first_and_spares_what_began_later() {
        let stamps = Stamps::with_max_cells(8);
        for number in 0..8 {
            stamps.invalidate_namespace(&namespace(number));
        }
        let cell = stamps.cell(&namespace(100));
        assert!(stamps.is_valid(&cell, stamps.counter()));
        assert!(stamps.is_valid(&cell, 2), "the floor is no higher than the two oldest stamps");
        assert!(!stamps.is_valid(&cell, 1));
    }

    #[test]
    fn a_cell_that_is_held_is_never_folded() {
        let stamps = Stamps::with_max_cells(8);
        let held = stamps.cell(&namespace(0));
        for number in 1..100 {
            stamps.invalidate_namespace(&namespace(number));
        }
        let began = stamps.counter();
        stamps.invalidate_namespace(&namespace(0));
        assert!(!stamps.is_valid(&held, began), "the held cell is still the one that is stamped");
    }

    #[test]
    fn cells_that_were_never_stamped_fold_for_nothing() {
        let stamps = Stamps::with_max_cells(8);
        stamps.invalidate_namespace(&namespace(0));
        for number in 1..1_000 {
            stamps.cell(&namespace(number));
        }
        assert!(stamps.registry.lock().cells.len() <= 8);
        assert!(stamps.is_valid(&stamps.cell(&namespace(1)), 0), "no floor was raised");
    }
}
