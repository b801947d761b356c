//! The lock of a cache directory: one tier at a time.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::error::Error;

/// The lock, held until it is dropped; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    const NAME: &str = "lock";

    /// Makes the directory if there is none, and takes its lock.
    pub(crate) fn make(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::io("make the cache directory"))?;
        Self::take(dir)
    }

    /// Takes the lock of a directory that is there.
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        let file = options.open(dir.join(Self::NAME)).map_err(Error::io("write to the cache directory"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Held),
            Err(TryLockError::Error(source)) => Err(Error::Io { what: "lock the cache directory", source }),
        }
    }
}
