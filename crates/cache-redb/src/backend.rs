//! Where the database's bytes are: a file of the cache directory, or whatever a test puts in its place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::log::media::Dir;

/// A place for one database file, which can be opened again and made anew.
pub(crate) trait Home: Send + Sync {
    /// Whether there is a file.
    fn exists(&self) -> bool;

    /// Opens the file; makes it if there is none.
    fn open(&self) -> io::Result<Backend>;

    /// The bytes that it takes on the disk.
    fn allocated_bytes(&self) -> io::Result<u64>;

    /// Puts the file aside, in place of what was put aside before.
    fn quarantine(&self) -> io::Result<()>;

    /// Takes the file away; what was in it is gone when this returns.
    fn remove(&self) -> io::Result<()>;
}

/// What redb reads and writes. redb's own locks are not needed: the directory's lock comes first.
#[derive(Debug)]
pub(crate) struct Backend(pub(crate) Box<dyn StorageBackend>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// The database file of a cache directory.
#[derive(Debug)]
pub(crate) struct DataFile {
    path: PathBuf,
    dir: Dir,
}

impl DataFile {
    pub(crate) const NAME: &str = "cache.redb";
    const BAD: &str = "cache.redb.bad-";

    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        Ok(Self { path: dir.join(Self::NAME), dir: Dir::open(dir)? })
    }

    /// The files that were put aside, with their numbers.
    fn put_aside(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path.parent().unwrap_or(Path::new(".")))? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(Self::BAD)).and_then(|n| n.parse().ok());
            found.extend(number.map(|number| (number, entry.path())));
        }
        Ok(found)
    }
}

impl Home for DataFile {
    fn exists(&self) -> bool {
        self.path.exists()
    }

    fn open(&self) -> io::Result<Backend> {
        let new = !self.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        if new {
            self.dir.sync()?;
        }
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Backend(Box::new(backend)))
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        // The database grows in leaps, and what it has not written yet takes no blocks.
        let metadata = fs::metadata(&self.path)?;
        Ok(metadata.len().min(metadata.blocks() * 512))
    }

    fn quarantine(&self) -> io::Result<()> {
        let old = self.put_aside()?;
        let number = old.iter().map(|&(number, _)| number).max().unwrap_or(0) + 1;
        fs::rename(&self.path, self.path.with_file_name(format!("{}{number}", Self::BAD)))?;
        for (_, path) in old {
            fs::remove_file(path)?;
        }
        self.dir.sync()
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Ok(()) => self.dir.sync(),
            // An earlier attempt may have come so far and no further.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.dir.sync(),
            // Where a name cannot be taken away its content may: an empty file is a new database.
            Err(error) => match File::options().write(true).open(&self.path).and_then(|file| {
                file.set_len(0)?;
                file.sync_all()
            }) {
                Ok(()) => Ok(()),
                Err(_) => Err(error),
            },
        }
    }
}
