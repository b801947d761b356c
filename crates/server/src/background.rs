//! Threads for what goes on behind the requests: loads, schedules, watching. Those that serve requests have no part in it.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Two are enough: the work itself is done on rayon's threads, and sources are waited for on threads of their own.
const THREADS: usize = 2;

/// A runtime that may be let go of anywhere.
pub struct Background(Option<Runtime>, Handle);

impl Background {
    /// Starts the threads.
    ///
    /// # Errors
    /// They cannot be started.
    pub fn start() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(THREADS).thread_name("background").enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    /// Where to spawn.
    pub fn handle(&self) -> Handle {
        self.1.clone()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It may be dropped on a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}
