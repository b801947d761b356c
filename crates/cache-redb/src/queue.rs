//! What waits to be written: the last operation of each name, in the order in which the names came.
//!
//! A name that waits, or that the writer is at work on, is not served: what the database says about it is old. Puts are
//! bounded in number and bytes; removals only ever concern records that are stored, so their number is bounded too.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use cache_core::Write;

/// What is to be done about a name.
#[derive(Debug)]
pub(crate) enum Op {
    /// A record is to be stored.
    Put(Box<Write>),
    /// What is stored is to go.
    Remove,
}

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Queue {
    ops: HashMap<Arc<[u8]>, Op>,
    order: VecDeque<Arc<[u8]>>,
    at_work: HashSet<Arc<[u8]>>,
    puts: usize,
    put_bytes: u64,
    max_puts: usize,
    max_put_bytes: u64,
    /// How many names were taken so far, and how many of them are done.
    taken: u64,
    done: u64,
}

impl Queue {
    pub(crate) fn new(max_puts: usize, max_put_bytes: u64) -> Self {
        Self {
            ops: HashMap::new(),
            order: VecDeque::new(),
            at_work: HashSet::new(),
            puts: 0,
            put_bytes: 0,
            max_puts,
            max_put_bytes,
            taken: 0,
            done: 0,
        }
    }

    /// The number of puts that wait.
    pub(crate) fn puts(&self) -> usize {
        self.puts
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether the database may not be asked about a name.
    pub(crate) fn knows(&self, name: &[u8]) -> bool {
        self.ops.contains_key(name) || self.at_work.contains(name)
    }

    /// Takes a put, if there is room for it. Says whether there was.
    pub(crate) fn put(&mut self, name: Arc<[u8]>, write: Write) -> bool {
        let bytes = write.meta.value_bytes;
        let (old_puts, old_bytes) = self.ops.get(&name).map_or((0, 0), Op::weight);
        let (puts, put_bytes) = (self.puts - old_puts, self.put_bytes - old_bytes);
        // The bound is on what waits beside it: what is larger than that alone is taken when nothing else waits.
        let fits = puts == 0 || (puts < self.max_puts && put_bytes + bytes <= self.max_put_bytes);
        if !fits {
            return false;
        }
        self.set(name, Op::Put(Box::new(write)));
        true
    }

    /// What is stored under a name is to go.
    pub(crate) fn remove(&mut self, name: Arc<[u8]>) {
        self.set(name, Op::Remove);
    }

    fn set(&mut self, name: Arc<[u8]>, op: Op) {
        let (puts, bytes) = op.weight();
        self.puts += puts;
        self.put_bytes += bytes;
        match self.ops.insert(Arc::clone(&name), op) {
            Some(old) => {
                let (puts, bytes) = old.weight();
                self.puts -= puts;
                self.put_bytes -= bytes;
            }
            None => self.order.push_back(name),
        }
    }

    /// Takes the first operations out, sorted by name: at most so many, and not many more bytes of values than that.
    pub(crate) fn take(&mut self, max_ops: usize, max_bytes: u64) -> Vec<(Arc<[u8]>, Op)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < max_ops && bytes < max_bytes {
            let Some(name) = self.order.pop_front() else { break };
            let Some(op) = self.ops.remove(&name) else { continue };
            let (puts, put_bytes) = op.weight();
            self.puts -= puts;
            self.put_bytes -= put_bytes;
            bytes += put_bytes;
            self.taken += 1;
            self.at_work.insert(Arc::clone(&name));
            batch.push((name, op));
        }
        batch.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        batch
    }

    /// What was taken is durable.
    pub(crate) fn finish(&mut self) {
        self.at_work.clear();
        self.done = self.taken;
    }

    /// Nobody knows whether what was taken is durable: it is all to go.
    pub(crate) fn fail(&mut self) {
        for name in std::mem::take(&mut self.at_work) {
            if !self.ops.contains_key(&name) {
                self.remove(name);
            }
        }
        self.done = self.taken;
    }

    /// Forgets everything that waits.
    pub(crate) fn clear(&mut self) {
        self.taken += self.order.len() as u64;
        self.ops.clear();
        self.order.clear();
        (self.puts, self.put_bytes) = (0, 0);
        if self.at_work.is_empty() {
            // No round will come to say so.
            self.done = self.taken;
        }
    }

    /// What came so far.
    pub(crate) fn position(&self) -> u64 {
        self.taken + self.order.len() as u64
    }

    /// Whether all is done that had come by then.
    pub(crate) fn is_done(&self, position: u64) -> bool {
        self.done >= position
    }
}

impl Op {
    fn weight(&self) -> (usize, u64) {
        match self {
            Self::Put(write) => (1, write.meta.value_bytes),
            Self::Remove => (0, 0),
        }
    }
}
