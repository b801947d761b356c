//! The thread that looks at the plugin folder, again and again.
//!
//! It polls, on purpose: that works on every file system, network ones included, needs no
//! descriptor or kernel queue that can overflow, and costs one `readdir` and a few `stat`s a look.
//! A file that is still being written is told by two looks that differ, which notifications would
//! need as well.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::host::Core;

/// Starts the thread; it ends when the host is shut down.
pub(crate) fn start(core: &Arc<Core>, every: Duration) -> Result<JoinHandle<()>> {
    let name = "plugin-watch";
    let core = Arc::clone(core);
    let watch = move || {
        while core.sleep(every) {
            core.look();
        }
    };
    std::thread::Builder::new().name(name.into()).spawn(watch).map_err(|source| Error::Thread { name, source })
}
