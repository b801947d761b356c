//! All cached functions of the process that have been called.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Error;
use crate::persistence::{MEMORY, durable_stamps, flush};
use crate::stats::{FunctionStats, GlobalStats};

static FUNCTIONS: Mutex<Vec<&'static dyn Registered>> = Mutex::new(Vec::new());

/// A function without its types.
pub(crate) trait Registered: Send + Sync {
    fn name(&self) -> &Arc<str>;
    fn stats(&self) -> FunctionStats;
    /// After an invalidation: nobody joins a run that it covers any more, and memory is given back.
    fn forget(&self, tag: Option<&str>);
}

pub(crate) fn register(function: &'static dyn Registered) {
    FUNCTIONS.lock().push(function);
}

fn functions() -> Vec<&'static dyn Registered> {
    FUNCTIONS.lock().clone()
}

/// All cached functions of the process. A function is among them from its first call on.
pub fn global() -> Global {
    Global(())
}

/// All cached functions of the process: see [`global`].
#[derive(Clone, Copy, Debug)]
pub struct Global(());

impl Global {
    /// The paths of the functions, in order.
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = functions().into_iter().map(|function| Arc::clone(function.name())).collect();
        names.sort();
        names
    }

    /// What each has done and holds, and all together.
    pub fn stats(&self) -> GlobalStats {
        let mut functions: Vec<_> = functions().into_iter().map(Registered::stats).collect();
        functions.sort_by(|left, right| left.name.cmp(&right.name));
        GlobalStats { functions }
    }

    /// Waits until all results that are to be persisted are on disk. A thread that has stored one does so by itself when it
    /// ends, and the main thread at the end of the program; this is for a program that is ended in another way.
    ///
    /// # Errors
    /// They are not, because the disk fails.
    pub fn flush(&self) -> Result<(), Error> {
        Ok(flush()?)
    }

    /// Forgets all results of all functions; persisted ones also of functions that have not been called yet. Blocks
    /// while that is made durable.
    ///
    /// # Errors
    /// They are forgotten in this process, but may not be in the next one.
    pub fn clear(&self) -> Result<(), Error> {
        let durable = durable_stamps().map_or(Ok(0), |stamps| stamps.invalidate_all());
        let outcome = durable.and(MEMORY.stamps().invalidate_all());
        functions().into_iter().for_each(|function| function.forget(None));
        Ok(outcome.map(drop)?)
    }

    /// Forgets all results with a tag; persisted ones also of functions that have not been called yet. Blocks while that
    /// is made durable.
    ///
    /// # Errors
    /// They are forgotten in this process, but may not be in the next one.
    pub fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        let tag: Arc<str> = tag.into();
        let durable = durable_stamps().map_or(Ok(0), |stamps| stamps.invalidate_tag(&tag));
        let outcome = durable.and(MEMORY.stamps().invalidate_tag(&tag));
        functions().into_iter().for_each(|function| function.forget(Some(&tag)));
        Ok(outcome.map(drop)?)
    }
}
