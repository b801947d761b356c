//! A dataset made ready for a call: its files as they are now, their columns, and the schema of them
//! all. What the columns of a file are is found out once and remembered until the file changes.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use plugin_sdk::{Context, Result};

use crate::catalog::Entry;
use crate::config::Options;
use crate::format::{FileSchema, Pass};
use crate::merge;
use crate::source_file::{Root, SourceFile, Stamp};

/// A dataset whose files were looked at.
pub(crate) struct Table {
    /// The dataset.
    pub(crate) entry: Arc<Entry>,
    /// Its files in the order of their names.
    pub(crate) parts: Vec<Part>,
    /// The columns of them all.
    pub(crate) schema: SchemaRef,
    /// How many rows there are, if all files tell.
    pub(crate) rows: Option<u64>,
    /// The bytes that were read for the call so far.
    pub(crate) bytes: Arc<AtomicU64>,
}

/// One file and what is in it.
pub(crate) struct Part {
    /// The file.
    pub(crate) file: SourceFile,
    /// Its columns.
    pub(crate) columns: FileSchema,
}

impl Table {
    /// Looks at the files of a dataset.
    pub(crate) fn load(ctx: &Context, root: &Arc<Root>, entry: &Arc<Entry>, inspected: &Inspected) -> Result<Self> {
        let bytes = Arc::default();
        let pass = Pass { ctx, bytes: &bytes };
        let mut parts = Vec::new();
        for file in entry.files(root)? {
            ctx.check()?;
            let columns = inspected.get(&pass, &file, entry)?;
            parts.push(Part { file, columns });
        }
        let columns: Vec<merge::Part<'_>> = parts.iter().map(|p| (p.file.name.as_str(), &p.columns)).collect();
        let schema = merge::merge(&columns, entry.format.typing(), &entry.options)?;
        let rows = parts.iter().map(|part| part.columns.rows).sum();
        Ok(Self { entry: Arc::clone(entry), parts, schema, rows, bytes })
    }
}

/// The most files whose columns are remembered.
const MAX_REMEMBERED: usize = 100_000;

/// The columns of the files that were read so far.
#[derive(Default)]
pub(crate) struct Inspected {
    slots: Mutex<HashMap<Reading, Arc<Slot>>>,
}

/// A file, and how it is read: a file may be declared twice.
#[derive(PartialEq, Eq, Hash)]
struct Reading {
    file: String,
    format: &'static str,
    options: Arc<Options>,
}

/// What is known of a file, and whether somebody is finding it out; no lock is held meanwhile.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    is_taken: bool,
}

struct Known {
    stamp: Stamp,
    columns: FileSchema,
}

impl Inspected {
    /// The columns of a file. Whoever asks for a file that is being inspected waits for the answer.
    fn get(&self, pass: &Pass<'_>, file: &SourceFile, entry: &Entry) -> Result<FileSchema> {
        let reading =
            Reading { file: file.name.clone(), format: entry.format.name(), options: Arc::clone(&entry.options) };
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() >= MAX_REMEMBERED && !slots.contains_key(&reading) {
                slots.clear();
            }
            Arc::clone(slots.entry(reading).or_default())
        };
        let turn = match slot.wait(pass, file.stamp)? {
            Wait::Known(columns) => return Ok(columns),
            Wait::Turn(turn) => turn,
        };
        // Of a file that may change and look the same, nothing is remembered.
        let is_settled = file.stamp.is_settled();
        let columns = entry.format.inspect(pass, file, &entry.options)?;
        if is_settled {
            turn.0.lock().known = Some(Known { stamp: file.stamp, columns: columns.clone() });
        }
        Ok(columns)
    }
}

/// How a wait for a file ended.
enum Wait<'a> {
    /// Its columns are known.
    Known(FileSchema),
    /// They are not, and nobody else is finding them out.
    Turn(Turn<'a>),
}

/// The right to inspect the file of a slot, until it is dropped.
struct Turn<'a>(&'a Slot);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().is_taken = false;
        self.0.changed.notify_all();
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the columns of the file are known or may be found out; fails soon after the caller
    /// gave up.
    fn wait(&self, pass: &Pass<'_>, stamp: Stamp) -> Result<Wait<'_>> {
        const ROUND: Duration = Duration::from_millis(50);
        let mut state = self.lock();
        loop {
            if let Some(known) = state.known.as_ref().filter(|known| known.stamp == stamp) {
                return Ok(Wait::Known(known.columns.clone()));
            }
            if !state.is_taken {
                state.is_taken = true;
                return Ok(Wait::Turn(Turn(self)));
            }
            state = self.changed.wait_timeout(state, ROUND).unwrap_or_else(PoisonError::into_inner).0;
            pass.check()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::{CancelToken, ErrorCode};

    use super::*;

    const STAMP: Stamp = Stamp { size: 1, modified_ns: 2, changed_ns: 2, inode: 3 };

    fn wait(slot: &Slot, cancel: CancelToken) -> Result<Wait<'_>> {
        let ctx = Context::detached("test", None, cancel);
        slot.wait(&Pass { ctx: &ctx, bytes: &Arc::default() }, STAMP)
    }

    #[test]
    fn who_waits_for_a_file_can_be_cancelled() {
        let slot = Slot::default();
        let turn = wait(&slot, CancelToken::new());
        assert!(matches!(turn, Ok(Wait::Turn(_))));
        let cancel = CancelToken::new();
        cancel.cancel();
        assert_eq!(wait(&slot, cancel).err().map(|e| e.code), Some(ErrorCode::Cancelled));
    }

    #[test]
    fn who_waits_for_a_file_gets_the_answer_or_the_next_turn() {
        let slot = Slot::default();
        let turn = wait(&slot, CancelToken::new()).ok();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| matches!(wait(&slot, CancelToken::new()), Ok(Wait::Turn(_))));
            drop(turn);
            assert!(next.join().unwrap());
        });
        let turn = wait(&slot, CancelToken::new()).ok();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| matches!(wait(&slot, CancelToken::new()), Ok(Wait::Known(_))));
            let schema = Arc::new(arrow::datatypes::Schema::empty());
            let columns = FileSchema { schema, guesses: None, rows: Some(7), row_bytes: 0 };
            slot.lock().known = Some(Known { stamp: STAMP, columns });
            drop(turn);
            assert!(next.join().unwrap());
        });
    }
}
