//! The lock of a cache directory: one tier at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::error::Error;

/// The lock, held until it is dropped; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: File,
}

impl DirLock {
    const NAME: &str = "lock";

    /// Makes the directory if there is none, and takes its lock.
    pub(crate) fn make(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::io("make the cache directory"))?;
        let file = File::options().create(true).truncate(false).write(true).open(dir.join(Self::NAME));
        Self::lock(file.map_err(Error::io("write to the cache directory"))?)
    }

    /// Takes the lock of a directory that a tier has made.
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        match File::open(dir.join(Self::NAME)) {
            Ok(file) => Self::lock(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Missing),
            Err(source) => Err(Error::Io { what: "open the cache directory", source }),
        }
    }

    fn lock(file: File) -> Result<Self, Error> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Error::Held),
            Err(TryLockError::Error(source)) => Err(Error::Io { what: "lock the cache directory", source }),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is just being started has it too until it runs its program.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock of the cache directory is held until the process ends");
        }
    }
}
