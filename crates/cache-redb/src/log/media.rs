//! Where the log's bytes are: a file, appended to and now and then replaced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// A file that is appended to and replaced, both durably.
pub(crate) trait Media: Send + Sync {
    /// Writes at the end that is given; when it returns the bytes are durable.
    fn append(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Writes another file, durably. Whether it fails or not, the present one is as it was.
    fn prepare(&self, bytes: &[u8]) -> io::Result<()>;

    /// Puts what was prepared in the place of the present file, in one step; when it returns that is durable. If it fails
    /// either may be in place.
    fn replace(&self) -> io::Result<()>;

    /// Takes the file away.
    fn remove(&self) -> io::Result<()>;
}

/// The log's file in a cache directory.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    dir: Dir,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    present: Option<File>,
    prepared: Option<File>,
}

impl LogFile {
    pub(crate) const NAME: &str = "invalidations.log";
    const TEMPORARY: &str = "invalidations.log.new";

    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        Ok(Self { path: dir.join(Self::NAME), dir: Dir::open(dir)?, files: Mutex::default() })
    }

    /// The bytes of the file; `None` if there is none.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(dir.join(Self::NAME)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn temporary(&self) -> PathBuf {
        self.path.with_file_name(Self::TEMPORARY)
    }
}

impl Media for LogFile {
    fn append(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let files = self.files.lock();
        let file = files.present.as_ref().ok_or_else(|| io::Error::other("the log has no file yet"))?;
        file.write_all_at(bytes, at)?;
        file.sync_data()
    }

    fn prepare(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.temporary())?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // On a full disk what was written of it is room that the log itself can use.
            let _ = fs::remove_file(self.temporary());
        }
        written?;
        self.files.lock().prepared = Some(file);
        Ok(())
    }

    fn replace(&self) -> io::Result<()> {
        let mut files = self.files.lock();
        let file = files.prepared.take().ok_or_else(|| io::Error::other("no other log was prepared"))?;
        fs::rename(self.temporary(), &self.path)?;
        // From here on the old file has no name: nothing that is appended to it would be found.
        files.present = Some(file);
        self.dir.sync()
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        self.files.lock().present = None;
        self.dir.sync()
    }
}

/// A directory, held open: what happens in it can be made durable when no more files can be opened.
#[derive(Debug)]
pub(crate) struct Dir(File);

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}
