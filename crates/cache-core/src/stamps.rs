//! Invalidation without finding anything: one counter, and the stamps that it left.
//!
//! Every invalidation takes the next value of the counter and writes it into the cell of what it covers: everything
//! (the floor), one namespace, or one tag. An entry carries the counter from before its load began. It is valid if and
//! only if no cell that covers it holds a newer stamp; that is compared at every read, whichever tier it was read from.
//! An entry that is stored late, by a load that began early, is therefore invalid from the start.
//!
//! A delete of single keys must not make the rest of the namespace invalid. It raises the namespace's *store barrier*
//! instead: what is stored already stays valid, but a load that began before the delete may not be stored any more.
//!
//! Stamps may be *durable*: then they stand on the tier that keeps the records of their caches. An invalidation is in
//! its cell first, then durable, then acknowledged. The counter begins above those of all processes before
//! ([`Restored::first_counter`]), so a record of another process is never taken for one that began after an
//! invalidation of this one.
//!
//! Invariants: (1) a stamp is in its cell before the invalidation returns. (2) A cell only grows. (3) A cell leaves the
//! registry only when nobody holds it, and not before the floor is at least as high as its stamps.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::error::NotDurable;
use crate::key::Namespace;
use crate::sync::{AtomicU64, Mutex};
use crate::tier::{ByteTier, Change, Restored};

/// How many cells there may be before those that nobody holds are folded into the floor.
const MAX_CELLS: usize = 100_000;

/// The invalidations of one cache, or of several that share it.
pub struct Stamps {
    counter: AtomicU64,
    /// Where the counter began.
    first: u64,
    floor: Floor,
    registry: Mutex<Registry>,
    max_cells: usize,
    tier: Option<Arc<dyn ByteTier>>,
}

/// What is older than this is invalid in every namespace. It is shared with what waits to be written, which must not hold
/// the stamps: they hold the tier that it waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Floor(Arc<AtomicU64>);

#[derive(Debug)]
struct Registry {
    namespaces: HashMap<Namespace, Arc<Cell>>,
    tags: HashMap<Arc<str>, Arc<Cell>>,
    /// The number of cells that makes the next folding worth its while.
    fold_at: usize,
}

/// The stamps of one namespace or tag. Entries hold it, so that a hit looks nothing up.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    invalidated: AtomicU64,
    barrier: AtomicU64,
    /// What the data behind a namespace looked like when somebody looked last.
    fingerprint: Mutex<Option<Arc<[u8]>>>,
}

/// What noting a fingerprint found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The data is what it was.
    Same,
    /// Nobody has looked before. What is older counts as invalid, because nothing tells what it was made of.
    First,
    /// The data has changed: what is older is invalid.
    Changed,
}

impl Floor {
    /// Whether what began at `counter` may be served, as far as everything goes.
    #[inline]
    pub(crate) fn admits(&self, counter: u64) -> bool {
        self.0.load(Ordering::Acquire) <= counter
    }

    fn stamp(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn raise(&self, stamp: u64) {
        self.0.fetch_max(stamp, Ordering::SeqCst);
    }
}

impl Stamps {
    /// No invalidations yet, and none that outlives the process.
    pub fn new() -> Self {
        Self::with_max_cells(MAX_CELLS)
    }

    /// Invalidations that outlive the process: those that the tier has kept, and all that follow.
    pub fn durable(tier: Arc<dyn ByteTier>) -> Self {
        let restored = tier.restored();
        let first = restored.first_counter();
        let Restored { epoch: _, last_stamp: _, floor, namespaces, tags, fingerprints } = restored;
        let mut stamps = Self::new();
        (stamps.counter, stamps.first) = (AtomicU64::new(first), first);
        stamps.floor.raise(floor);
        for (name, stamp) in namespaces {
            stamps.cell(&Namespace::new(name)).invalidated.fetch_max(stamp, Ordering::SeqCst);
        }
        for (tag, stamp) in tags {
            stamps.tag_cell(&tag).invalidated.fetch_max(stamp, Ordering::SeqCst);
        }
        for (name, fingerprint) in fingerprints {
            *stamps.cell(&Namespace::new(name)).fingerprint.lock() = Some(fingerprint);
        }
        stamps.tier = Some(tier);
        stamps
    }

    /// Stamps that fold after a few cells: schedules of a hundred thousand steps find nothing.
    #[cfg(feature = "shuttle")]
    pub fn with_few_cells(max_cells: usize) -> Self {
        Self::with_max_cells(max_cells)
    }

    fn with_max_cells(max_cells: usize) -> Self {
        Self {
            counter: AtomicU64::new(0),
            first: 0,
            floor: Floor::default(),
            registry: Mutex::new(Registry { namespaces: HashMap::new(), tags: HashMap::new(), fold_at: max_cells }),
            max_cells,
            tier: None,
        }
    }

    /// The last stamp that was given. A load reads it before it begins.
    pub fn counter(&self) -> u64 {
        self.counter.load(Ordering::SeqCst)
    }

    /// The invalidations of everything.
    pub(crate) fn floor(&self) -> Floor {
        self.floor.clone()
    }

    /// How many stamps this process has given.
    pub(crate) fn given(&self) -> u64 {
        self.counter() - self.first
    }

    /// Whether invalidations outlive the process.
    pub fn is_durable(&self) -> bool {
        self.tier.is_some()
    }

    /// Whether it is this tier that makes them outlive it.
    pub(crate) fn stand_on(&self, tier: &Arc<dyn ByteTier>) -> bool {
        self.tier.as_ref().is_some_and(|mine| std::ptr::addr_eq(Arc::as_ptr(mine), Arc::as_ptr(tier)))
    }

    /// Makes everything invalid that began before now. Returns the stamp. Blocks while it is made durable.
    ///
    /// # Errors
    /// It holds in this process but may not in the next one.
    pub fn invalidate_all(&self) -> Result<u64, NotDurable> {
        let stamp = self.next();
        self.floor.raise(stamp);
        self.record(stamp, || Change::All { stamp })
    }

    /// Makes everything of this namespace invalid that began before now. Returns the stamp. Blocks while it is made
    /// durable.
    ///
    /// # Errors
    /// It holds in this process but may not in the next one.
    pub fn invalidate_namespace(&self, namespace: &Namespace) -> Result<u64, NotDurable> {
        let stamp = self.stamp(&self.cell(namespace), |cell| &cell.invalidated);
        self.record(stamp, || Change::Namespace { namespace: namespace.text(), stamp })
    }

    /// Makes everything with this tag invalid that began before now. Returns the stamp. Blocks while it is made durable.
    ///
    /// # Errors
    /// It holds in this process but may not in the next one.
    pub fn invalidate_tag(&self, tag: &Arc<str>) -> Result<u64, NotDurable> {
        let stamp = self.stamp(&self.tag_cell(tag), |cell| &cell.invalidated);
        self.record(stamp, || Change::Tag { tag: Arc::clone(tag), stamp })
    }

    /// Notes what the data behind a namespace looks like now. If it is not what it was, everything of the namespace
    /// that began before is invalid. An empty fingerprint says nothing, and changes nothing. Blocks while a change is
    /// made durable.
    ///
    /// # Errors
    /// It holds in this process but may not in the next one.
    pub fn note_fingerprint(&self, namespace: &Namespace, fingerprint: &[u8]) -> Result<Noted, NotDurable> {
        if fingerprint.is_empty() {
            return Ok(Noted::Same);
        }
        let cell = self.cell(namespace);
        let fingerprint: Arc<[u8]> = fingerprint.into();
        // The lock is held until the change is durable: whoever notes the same fingerprint next may rely on it.
        let mut known = cell.fingerprint.lock();
        let noted = match &*known {
            Some(known) if **known == *fingerprint => return Ok(Noted::Same),
            Some(_) => Noted::Changed,
            None => Noted::First,
        };
        *known = Some(Arc::clone(&fingerprint));
        let stamp = self.stamp(&cell, |cell| &cell.invalidated);
        let change = || Change::Fingerprint { namespace: namespace.text(), fingerprint, stamp };
        match self.record(stamp, change) {
            Ok(_) => Ok(noted),
            Err(error) => {
                // The next process would compare with what was known before, while what is stored from now on was made
                // of this. So whoever looks next finds nothing known, and tries again to make it durable.
                *known = None;
                Err(error)
            }
        }
    }

    /// What the data behind a namespace looked like when somebody looked last.
    pub fn fingerprint(&self, namespace: &Namespace) -> Option<Arc<[u8]>> {
        let cell = self.registry.lock().namespaces.get(namespace).cloned()?;
        cell.fingerprint.lock().clone()
    }

    /// From now on, nothing of this namespace is stored that began before now; what is stored stays. Returns the stamp.
    pub(crate) fn raise_store_barrier(&self, cell: &Cell) -> u64 {
        self.stamp(cell, |cell| &cell.barrier)
    }

    /// Makes a change durable, if that is wanted. Otherwise, and that is why the tier is given up when it fails, memory
    /// alone obeys.
    pub(crate) fn record(&self, stamp: u64, change: impl FnOnce() -> Change) -> Result<u64, NotDurable> {
        let Some(tier) = &self.tier else { return Ok(stamp) };
        match tier.record(&change()) {
            Ok(()) => Ok(stamp),
            Err(source) => {
                tier.abandon();
                Err(NotDurable { stamp, source })
            }
        }
    }

    fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The caller holds the cell, so that a folding cannot take it away unseen (invariant 3).
    fn stamp(&self, cell: &Cell, field: impl Fn(&Cell) -> &AtomicU64) -> u64 {
        let stamp = self.next();
        field(cell).fetch_max(stamp, Ordering::SeqCst);
        stamp
    }

    /// The cell of a namespace, made if there is none.
    pub(crate) fn cell(&self, namespace: &Namespace) -> Arc<Cell> {
        let mut registry = self.registry.lock();
        if let Some(cell) = registry.namespaces.get(namespace) {
            return Arc::clone(cell);
        }
        self.fold_if_full(&mut registry);
        Arc::clone(registry.namespaces.entry(namespace.clone()).or_default())
    }

    /// The cell of a tag, made if there is none.
    pub(crate) fn tag_cell(&self, tag: &Arc<str>) -> Arc<Cell> {
        let mut registry = self.registry.lock();
        if let Some(cell) = registry.tags.get(tag) {
            return Arc::clone(cell);
        }
        self.fold_if_full(&mut registry);
        Arc::clone(registry.tags.entry(Arc::clone(tag)).or_default())
    }

    /// Whether what began at `counter` may be served, as far as everything and this cell go.
    #[inline]
    pub(crate) fn is_valid(&self, cell: &Cell, counter: u64) -> bool {
        self.floor.admits(counter) && cell.is_valid(counter)
    }

    /// Whether what began at `counter` may be stored, or its flight joined.
    pub(crate) fn is_storable(&self, cell: &Cell, counter: u64) -> bool {
        self.is_valid(cell, counter) && cell.barrier() <= counter
    }

    fn fold_if_full(&self, registry: &mut Registry) {
        if registry.len() >= registry.fold_at {
            self.fold(registry);
        }
    }

    /// Takes cells away that nobody holds: first those that say no more than the floor does, then the oldest, until
    /// three quarters of the limit are left. The oldest first, because the floor that they raise covers everything.
    fn fold(&self, registry: &mut Registry) {
        let floor = self.floor.stamp();
        registry.retain(|cell| cell.newest() > floor || cell.fingerprint.lock().is_some());
        let target = self.max_cells - self.max_cells / 4;
        if registry.len() > target {
            let mut idle: Vec<u64> = registry.idle().map(|cell| cell.newest()).collect();
            idle.sort_unstable();
            let surplus = registry.len() - target;
            if let Some(&highest) = idle.get(surplus.min(idle.len()).saturating_sub(1)) {
                self.floor.raise(highest);
                registry.retain(|cell| cell.newest() > highest);
            }
        }
        // Cells that are held cannot go; waiting for the doubled number keeps the cost of folding constant per cell.
        registry.fold_at = self.max_cells.max(registry.len() * 2);
    }
}

impl Default for Stamps {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamps").field("counter", &self.counter()).field("durable", &self.is_durable()).finish()
    }
}

impl Registry {
    fn len(&self) -> usize {
        self.namespaces.len() + self.tags.len()
    }

    /// Keeps the cells that are held, and those that `keep` says.
    fn retain(&mut self, keep: impl Fn(&Cell) -> bool) {
        fn of<K: Eq + Hash + Borrow<str>>(cells: &mut HashMap<K, Arc<Cell>>, keep: impl Fn(&Cell) -> bool) {
            cells.retain(|_, cell| !is_idle(cell) || keep(cell));
        }
        of(&mut self.namespaces, &keep);
        of(&mut self.tags, &keep);
    }

    fn idle(&self) -> impl Iterator<Item = &Arc<Cell>> {
        self.namespaces.values().chain(self.tags.values()).filter(|cell| is_idle(cell))
    }
}

/// Whether nobody holds a cell of the registry, whose lock is held: then nobody can begin to.
fn is_idle(cell: &Arc<Cell>) -> bool {
    let idle = Arc::strong_count(cell) == 1;
    // Whoever let go of it last may have stamped it just before; that has to be seen from here on.
    fence(Ordering::Acquire);
    idle
}

impl Cell {
    /// Whether no invalidation of this cell came after `counter`.
    #[inline]
    pub(crate) fn is_valid(&self, counter: u64) -> bool {
        self.invalidated.load(Ordering::Acquire) <= counter
    }

    /// The last store barrier.
    pub(crate) fn barrier(&self) -> u64 {
        self.barrier.load(Ordering::SeqCst)
    }

    fn newest(&self) -> u64 {
        self.invalidated.load(Ordering::SeqCst).max(self.barrier())
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
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
        stamps.invalidate_namespace(&namespace(1)).unwrap();
        assert!(!stamps.is_valid(&a, began));
        assert!(stamps.is_valid(&b, began));
        assert!(stamps.is_valid(&a, stamps.counter()));
        stamps.invalidate_all().unwrap();
        assert!(!stamps.is_valid(&b, began));
    }

    #[test]
    fn a_store_barrier_stops_stores_and_spares_what_is_stored() {
        let stamps = Stamps::new();
        let cell = stamps.cell(&namespace(1));
        let began = stamps.counter();
        stamps.raise_store_barrier(&cell);
        assert!(stamps.is_valid(&cell, began));
        assert!(!stamps.is_storable(&cell, began));
        assert!(stamps.is_storable(&cell, stamps.counter()));
    }

    #[test]
    fn an_invalidation_outlives_its_folded_cell() {
        let stamps = Stamps::with_max_cells(8);
        let began = stamps.counter();
        stamps.invalidate_namespace(&namespace(0)).unwrap();
        for number in 1..100 {
            stamps.invalidate_namespace(&namespace(number)).unwrap();
        }
        assert!(stamps.registry.lock().len() <= 8);
        for number in 0..100 {
            assert!(!stamps.is_valid(&stamps.cell(&namespace(number)), began), "namespace {number}");
        }
    }

    #[test]
    fn folding_takes_the_oldest_first_and_spares_what_began_later() {
        let stamps = Stamps::with_max_cells(8);
        for number in 0..8 {
            stamps.invalidate_namespace(&namespace(number)).unwrap();
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
            stamps.invalidate_namespace(&namespace(number)).unwrap();
        }
        let began = stamps.counter();
        stamps.invalidate_namespace(&namespace(0)).unwrap();
        assert!(!stamps.is_valid(&held, began), "the held cell is still the one that is stamped");
    }

    #[test]
    fn cells_that_were_never_stamped_fold_for_nothing() {
        let stamps = Stamps::with_max_cells(8);
        stamps.invalidate_namespace(&namespace(0)).unwrap();
        for number in 1..1_000 {
            stamps.cell(&namespace(number));
        }
        assert!(stamps.registry.lock().len() <= 8);
        assert!(stamps.is_valid(&stamps.cell(&namespace(1)), 0), "no floor was raised");
    }

    #[test]
    fn a_tag_covers_what_has_it_whatever_the_namespace() {
        let stamps = Stamps::new();
        let (sales, other) = (stamps.tag_cell(&"sales".into()), stamps.tag_cell(&"other".into()));
        let began = stamps.counter();
        stamps.invalidate_tag(&"sales".into()).unwrap();
        assert!(!sales.is_valid(began));
        assert!(other.is_valid(began));
    }

    #[test]
    fn a_fingerprint_that_is_new_or_changed_invalidates_what_is_older() {
        let stamps = Stamps::new();
        let (a, cell) = (namespace(1), stamps.cell(&namespace(1)));
        for (fingerprint, noted) in [
            (&b"1"[..], Noted::First),
            (b"1", Noted::Same),
            (b"", Noted::Same),
            (b"2", Noted::Changed),
            (b"2", Noted::Same),
            (b"1", Noted::Changed),
        ] {
            let began = stamps.counter();
            assert_eq!(stamps.note_fingerprint(&a, fingerprint).unwrap(), noted, "{fingerprint:?}");
            assert_eq!(stamps.is_valid(&cell, began), noted == Noted::Same, "{fingerprint:?}");
        }
        assert_eq!(stamps.fingerprint(&a).as_deref(), Some(&b"1"[..]));
        assert_eq!(stamps.fingerprint(&namespace(2)), None);
    }
}
