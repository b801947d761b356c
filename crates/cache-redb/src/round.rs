//! A round of the writer: one transaction.
//!
//! First it looks: which rows of the next slice of a walk are of no more use, which records have expired, which operations
//! wait; payloads are encoded, and what has to go to make room is chosen. Then it writes all of that. Only when that is
//! durable does the index learn of it; until then none of these names is served.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use cache_core::{RecordKey, Write};
use xxhash_rust::xxh3::xxh3_64;

use crate::chunk;
use crate::fault::Fault;
use crate::index::{Index, Slot};
use crate::name;
use crate::options::MAX_BATCH_OPS;
use crate::queue::Op;
use crate::row::Row;
use crate::shared::Inner;
use crate::store::Place;
use crate::sweep::{Forget, Sweep};
use crate::writer::Writer;

/// The rows that a walk looks at in one round.
const SLICE: usize = 2_048;
/// The records that the search for what has expired looks at in one round, all under the lock.
const LOOKS: usize = 16_384;

/// What is written in a round.
#[derive(Default)]
struct Plan {
    /// Records that are of no more use, by name.
    garbage: Vec<(Vec<u8>, Option<Place>)>,
    expired: Vec<Slot>,
    evicted: Vec<Slot>,
    changes: Vec<Change>,
    /// Walks that are over when this is durable.
    finished: Vec<Sweep>,
}

/// What becomes of a name.
struct Change {
    name: Arc<[u8]>,
    known: Option<Place>,
    record: Option<(RecordKey, Row, Vec<u8>)>,
}

impl Writer {
    /// Does a round.
    pub(crate) fn round(&mut self, generation: u64) -> Result<(), Fault> {
        let mut plan = Plan::default();
        if !self.shared.inner.lock().closing {
            self.walk(&mut plan)?;
        }
        let batch = {
            let now_ms = self.shared.now_ms();
            let mut inner = self.shared.inner.lock();
            if inner.expire_at <= Instant::now() {
                let over;
                (plan.expired, over) = inner.index.expire(now_ms, LOOKS, SLICE);
                if over {
                    inner.expire_at = Instant::now() + self.shared.options.sweep_interval;
                }
            }
            let options = &self.shared.options;
            inner.queue.take(options.batch_ops(), options.batch_bytes())
        };
        plan.changes = batch.into_iter().map(|(name, op)| self.prepare(name, op)).collect();
        self.make_room(&mut plan);
        let note = self.shared.is_note_due(&self.shared.inner.lock());
        if note || !plan.is_empty() {
            let written = self.write(&plan);
            if written.is_err() {
                let puts = plan.changes.iter().filter(|change| change.record.is_some()).count();
                self.shared.inner.lock().counters.dropped += puts as u64;
            }
            written?;
        }
        self.finish(generation, plan);
        Ok(())
    }

    /// Looks at the next rows of the walks that wait.
    fn walk(&self, plan: &mut Plan) -> Result<(), Fault> {
        let mut left = SLICE;
        while left > 0 {
            let sweep = {
                let mut inner = self.shared.inner.lock();
                let inner = &mut *inner;
                inner.sweeps.next(|position| inner.queue.is_done(position))
            };
            let Some(mut sweep) = sweep else { break };
            // A walk that finds nothing costs too.
            left -= 1;
            if self.slice(&mut sweep, &mut left, plan)? {
                plan.finished.push(sweep);
            } else {
                self.shared.inner.lock().sweeps.resume(sweep);
            }
        }
        Ok(())
    }

    /// Looks at some rows. Says whether the walk is over.
    fn slice(&self, sweep: &mut Sweep, left: &mut usize, plan: &mut Plan) -> Result<bool, Fault> {
        let store = self.shared.store.read();
        let store = store.as_ref().ok_or_else(|| Fault::corrupt("it is closed"))?;
        let now_ms = self.shared.now_ms();
        let from = match &sweep.seen {
            Some(seen) => Bound::Excluded(seen.as_slice()),
            None => Bound::Included(&*sweep.begin),
        };
        let mut over = true;
        let mut last = None;
        store.walk(from, |name, row| {
            if !name.starts_with(&sweep.begin) {
                return false;
            }
            if *left == 0 {
                over = false;
                return false;
            }
            *left -= 1;
            let known = self.shared.inner.lock().index.find(name);
            let useful = row.zip(name::parse(name)).is_some_and(|(row, key)| {
                known.is_some_and(|place| place.id == row.id)
                    && row.meta.usable_until_ms() >= now_ms
                    && !self.shared.is_covered(&key, name, &row.meta, row.began)
            });
            if !useful {
                plan.garbage.push((name.to_vec(), known));
            }
            last = Some(name.to_vec());
            true
        })?;
        sweep.seen = last.or(sweep.seen.take());
        Ok(over)
    }

    /// Makes the record of a put, or finds that what is stored has to go instead.
    fn prepare(&mut self, name: Arc<[u8]>, op: Op) -> Change {
        let known = self.shared.inner.lock().index.find(&name);
        let record = match op {
            Op::Put(write) => self.encode(&name, *write),
            Op::Remove => None,
        };
        Change { name, known, record }
    }

    fn encode(&mut self, name: &[u8], write: Write) -> Option<(RecordKey, Row, Vec<u8>)> {
        let Write { key, meta, began, encode } = write;
        if self.shared.is_covered(&key, name, &meta, began) {
            return None;
        }
        let payload = match catch_unwind(AssertUnwindSafe(encode)) {
            Ok(payload) => payload?,
            Err(_) => {
                tracing::error!(cache = &*key.cache, "a value's encoding panicked: it is not stored");
                return None;
            }
        };
        let stored_bytes = payload.bytes.len() as u64;
        if Index::cost(name, stored_bytes) > self.shared.options.record_limit() {
            self.shared.inner.lock().counters.dropped += 1;
            return None;
        }
        let id = self.next_id;
        self.next_id += chunk::count(stored_bytes).max(1);
        let row = Row {
            meta,
            began,
            id,
            codec: payload.codec,
            plain_bytes: payload.plain_bytes,
            stored_bytes,
            payload_hash: xxh3_64(&payload.bytes),
        };
        Some((key, row, payload.bytes))
    }

    /// Chooses what goes so that what comes fits.
    fn make_room(&self, plan: &mut Plan) {
        let mut inner = self.shared.inner.lock();
        let coming: u64 = plan.changes.iter().map(Change::bytes_coming).sum();
        let going: u64 = plan.changes.iter().map(Change::bytes_going).sum();
        let more = plan.changes.iter().filter(|change| change.record.is_some() && change.known.is_none()).count();
        let (limit, max_entries) = (inner.budget.saturating_add(going), inner.max_entries);
        while (inner.index.bytes() + coming > limit || inner.index.len() + more > max_entries)
            && plan.evicted.len() < MAX_BATCH_OPS
        {
            match inner.index.evict() {
                Some(slot) => plan.evicted.push(slot),
                None => break,
            }
        }
    }

    fn write(&self, plan: &Plan) -> Result<(), Fault> {
        let state = self.shared.state();
        self.shared.write(|tables| {
            for (name, known) in &plan.garbage {
                tables.remove(name, *known)?;
            }
            for slot in plan.expired.iter().chain(&plan.evicted) {
                tables.remove_by_id(slot.place.id)?;
            }
            for change in &plan.changes {
                let Some((_, row, payload)) = &change.record else {
                    tables.remove(&change.name, change.known)?;
                    continue;
                };
                let old = tables.insert(&change.name, row, payload, change.known)?;
                if let Some(known) = change.known.filter(|&known| old != Some(known)) {
                    // The index knew another record by the same hash; it cannot know both.
                    tables.remove_by_id(known.id)?;
                }
            }
            tables.set_state(&state)
        })?;
        self.shared.noted(&state);
        Ok(())
    }

    /// The round is durable: the index learns of it, and tombstones that have done their work go.
    fn finish(&self, generation: u64, plan: Plan) {
        let file_bytes = self.shared.home.allocated_bytes().unwrap_or(0);
        let mut inner = self.shared.inner.lock();
        if inner.generation == generation {
            for (name, known) in &plan.garbage {
                if known.is_some_and(|place| inner.index.remove(name, place.id)) {
                    inner.counters.expirations += 1;
                }
            }
            inner.counters.expirations += plan.expired.len() as u64;
            inner.counters.evictions += plan.evicted.len() as u64;
            for change in &plan.changes {
                inner.apply(change);
            }
            inner.check_file(file_bytes, &self.shared.options);
        }
        inner.queue.finish();
        drop(inner);
        if !plan.finished.is_empty() {
            let mut ledger = self.shared.log.ledger_mut();
            for sweep in &plan.finished {
                match sweep.forget {
                    Forget::Nothing => {}
                    Forget::One(order) => ledger.forget(&sweep.begin, order),
                    Forget::UpTo(order) => ledger.forget_until(order),
                }
            }
        }
        self.shared.progress.notify_all();
    }
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.garbage.is_empty() && self.expired.is_empty() && self.evicted.is_empty() && self.changes.is_empty()
    }
}

impl Change {
    fn bytes_coming(&self) -> u64 {
        self.record.as_ref().map_or(0, |(_, row, _)| Index::cost(&self.name, row.stored_bytes))
    }

    fn bytes_going(&self) -> u64 {
        self.known.map_or(0, |known| Index::cost(&self.name, known.stored_bytes))
    }
}

impl Inner {
    /// Takes a change that is durable into the index.
    fn apply(&mut self, change: &Change) {
        match (&change.record, change.known) {
            (Some((key, row, _)), _) => {
                self.index.insert(key, &change.name, row);
                self.counters.writes += 1;
                self.counters.written_bytes += row.stored_bytes;
                self.succeeded();
            }
            (None, Some(known)) => {
                self.index.remove(&change.name, known.id);
            }
            (None, None) => {}
        }
    }
}
