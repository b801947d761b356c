//! Where the log's bytes are: a file, appended to and now and then replaced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file that is appended to and replaced, both durably.
pub(crate) trait Media: Send + Sync {
    /// Writes at the end that is given; when it returns the bytes are durable.
    fn append(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Puts these bytes in the place of all others, in one step; when it returns they are durable.
    fn replace(&self, bytes: &[u8]) -> io::Result<()>;

    /// Takes the file away.
    fn remove(&self) -> io::Result<()>;
}

/// The log's file in a cache directory.
#[derive(Debug)]
pub(crate) struct LogFile {
    dir: PathBuf,
    file: parking_lot::Mutex<Option<File>>,
}

impl LogFile {
    pub(crate) const NAME: &str = "invalidations.log";
    const TEMPORARY: &str = "invalidations.log.new";

    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), file: parking_lot::Mutex::new(None) }
    }

    /// The bytes of the file; `None` if there is none.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(dir.join(Self::NAME)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Media for LogFile {
    fn append(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.lock();
        let file = file.as_ref().ok_or_else(|| io::Error::other("the log has no file yet"))?;
        file.write_all_at(bytes, at)?;
        file.sync_data()
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.dir.join(Self::TEMPORARY);
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, self.dir.join(Self::NAME))?;
        sync_dir(&self.dir)?;
        *self.file.lock() = Some(file);
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        fs::remove_file(self.dir.join(Self::NAME))?;
        sync_dir(&self.dir)
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
