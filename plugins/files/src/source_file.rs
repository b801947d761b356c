//! One file below the root: what it is called, whether it changed, and how it is opened.
//!
//! The root is the only place that knows absolute paths. Every file is opened through
//! [`Root::open`], which resolves links and refuses what lies outside; every error names the path
//! relative to the root.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use plugin_sdk::{ErrorCode, Result, SourceError};
use rustix::fs::OFlags;

/// The folder that holds the data.
#[derive(Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    /// The root at a path, which need not exist yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The absolute path of what `name` leads to, links followed.
    pub(crate) fn resolve(&self, name: &str) -> Result<PathBuf> {
        let root = self.0.canonicalize().map_err(|e| {
            let reason = SourceError::from(e);
            SourceError { message: format!("the root folder cannot be read: {}", reason.message), ..reason }
        })?;
        let path = root.join(name).canonicalize().map_err(|e| about(name, e))?;
        if !path.starts_with(&root) {
            return Err(SourceError::new(ErrorCode::PermissionDenied, format!("'{name}' leads out of the root")));
        }
        Ok(path)
    }

    /// Opens a file below the root. What stood at its path may be replaced between look and open, so
    /// it is what was opened that counts: a plain file, below the root.
    pub(crate) fn open(&self, name: &str) -> Result<File> {
        let path = self.resolve(name)?;
        // Without waiting, should it be a pipe by now.
        let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(without_waiting).open(path);
        let file = file.map_err(|e| about(name, e))?;
        if !file.metadata().map_err(|e| about(name, e))?.is_file() {
            return Err(SourceError::invalid_data(format!("'{name}' is not a file")));
        }
        let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|e| about(name, e))?;
        if !self.0.canonicalize().is_ok_and(|root| opened.starts_with(root)) {
            return Err(SourceError::new(ErrorCode::PermissionDenied, format!("'{name}' leads out of the root")));
        }
        Ok(file)
    }
}

/// What tells that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub(crate) modified_ns: i128,
    /// When anything about it was last changed, in nanoseconds since 1970: unlike the time of writing,
    /// nobody can set it back.
    pub(crate) changed_ns: i128,
    /// Its number in the file system.
    pub(crate) inode: u64,
}

impl Stamp {
    /// Longer than the clock that stamps files ever stands still: 10 ms at the slowest kernel setting.
    pub(crate) const TICK: Duration = Duration::from_millis(20);

    /// The stamp of a file.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            size: metadata.len(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// Whether the file's next change will show: one that follows the last within the same tick of the
    /// clock may leave the stamp as it is.
    pub(crate) fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        // A time of the future, as another machine may give, is not one that comes again.
        i128::try_from(now).unwrap_or(i128::MAX).abs_diff(self.changed_ns) > Self::TICK.as_nanos()
    }
}

/// A file of a dataset, as it was when the dataset was looked up.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Where all files are.
    pub(crate) root: Arc<Root>,
    /// Its path relative to the root, with `/` between the parts.
    pub(crate) name: String,
    /// What it was when it was found.
    pub(crate) stamp: Stamp,
}

impl SourceFile {
    /// The file at a name.
    pub(crate) fn find(root: &Arc<Root>, name: &str) -> Result<Self> {
        let metadata = root.resolve(name)?.metadata().map_err(|e| about(name, e))?;
        Ok(Self { root: Arc::clone(root), name: name.to_owned(), stamp: Stamp::of(&metadata) })
    }

    /// Opens the file; the bytes that are read are added to `bytes`.
    pub(crate) fn open(&self, bytes: &Arc<AtomicU64>) -> Result<Counted<File>> {
        Ok(Counted { inner: self.root.open(&self.name)?, bytes: Arc::clone(bytes) })
    }

    /// Opens the file as a text: as long as it was when it was found, so that a file that is being
    /// appended to reads as what its types were told from, and unpacked if its name ends in `.gz`.
    pub(crate) fn open_text(&self, bytes: &Arc<AtomicU64>) -> Result<Box<dyn Read + Send>> {
        let file = self.open(bytes)?.take(self.stamp.size);
        Ok(if is_gzip(&self.name) {
            Box::new(Unpacked(MultiGzDecoder::new(BufReader::with_capacity(self.buffer(), file))))
        } else {
            Box::new(file)
        })
    }

    /// How many bytes a reader of the file asks for at a time.
    pub(crate) fn buffer(&self) -> usize {
        const LEAST: usize = 4 << 10;
        const MOST: usize = 256 << 10;
        usize::try_from(self.stamp.size).unwrap_or(MOST).clamp(LEAST, MOST)
    }

    /// Whether the file is no longer what was found.
    pub(crate) fn has_changed(&self) -> bool {
        Self::find(&self.root, &self.name).map_or(true, |now| now.stamp != self.stamp)
    }

    /// An error about this file, which may turn out to be that it was changed under the reader.
    pub(crate) fn failed(&self, error: impl Into<SourceError>) -> SourceError {
        let mut error = error.into();
        if error.code == ErrorCode::InvalidData && self.has_changed() {
            return SourceError::new(ErrorCode::Unavailable, format!("'{}' was changed while it was read", self.name));
        }
        let prefix = format!("'{}'", self.name);
        if !error.message.starts_with(&prefix) {
            error.message = format!("{prefix}: {}", error.message);
        }
        error
    }
}

/// Whether the name is that of a compressed file.
pub(crate) fn is_gzip(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"))
}

/// An input error, with the name of the file.
pub(crate) fn about(name: &str, error: io::Error) -> SourceError {
    let error = SourceError::from(error);
    SourceError { message: format!("'{name}': {}", error.message), ..error }
}

/// A reader of compressed text, for which damaged data is invalid data and not a mistake of its caller.
struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => io::Error::new(io::ErrorKind::InvalidData, error),
            _ => error,
        })
    }
}

/// A reader that counts what is read.
pub(crate) struct Counted<R> {
    /// The reader behind.
    pub(crate) inner: R,
    /// Where the bytes are counted.
    pub(crate) bytes: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// Counts bytes that were read around this reader.
    pub(crate) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count(read);
        Ok(read)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}
