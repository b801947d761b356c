//! Private, content-addressed copies of libraries: `<store>/<sha256>/<file name>`.
//!
//! Workers load the copy, never the dropped file: a file that is overwritten while it is mapped
//! kills whoever runs it. A copy is made and hashed in one pass, is immutable once it has its name,
//! and goes when nobody uses it any more. What an earlier process left behind is removed.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::discover::Stamp;

/// Bytes copied at a time.
const CHUNK: usize = 256 * 1024;

/// The folder of private copies.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// The copies in use, by folder name and file name.
    copies: Mutex<HashMap<(String, String), Weak<StoredLibrary>>>,
    next_temporary: AtomicU64,
}

/// One copy; removed when dropped.
#[derive(Debug)]
pub(crate) struct StoredLibrary {
    path: PathBuf,
    sha256: String,
    store: Arc<Inner>,
    key: (String, String),
}

impl StoredLibrary {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// In hexadecimal.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl Drop for StoredLibrary {
    fn drop(&mut self) {
        let mut copies = self.store.copies.lock();
        // Someone may have put the same library in while this one was on its way out.
        if copies.get(&self.key).is_some_and(|copy| copy.strong_count() == 0) {
            copies.remove(&self.key);
            let _ = fs::remove_file(&self.path);
            // Fails while another name of the same bytes is there.
            let _ = self.path.parent().map(fs::remove_dir);
        }
    }
}

impl Store {
    /// Opens the store, and removes what earlier processes left in it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else if name.starts_with(".incoming-") {
                fs::remove_file(entry.path())?;
            }
        }
        let inner = Inner { folder: folder.to_path_buf(), copies: Mutex::default(), next_temporary: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Copies what `source` reads under `name`. The file must be as it was `seen`, before and after:
    /// a copy of one that is being overwritten is neither the old nor the new one.
    pub(crate) fn put(&self, source: &mut File, name: &str, seen: Option<&Stamp>) -> io::Result<Arc<StoredLibrary>> {
        let seen = seen.copied().unwrap_or(Stamp::of(&source.metadata()?));
        check_unchanged(source, seen)?;
        let number = self.inner.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = Temporary(self.inner.folder.join(format!(".incoming-{number}")));
        let sha256 = copy(source, &temporary.0)?;
        check_unchanged(source, seen)?;
        let key = (sha256.clone(), name.to_owned());
        let mut copies = self.inner.copies.lock();
        if let Some(copy) = copies.get(&key).and_then(Weak::upgrade) {
            return Ok(copy);
        }
        let folder = self.inner.folder.join(&sha256);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let path = folder.join(name);
        fs::rename(&temporary.0, &path)?;
        let copy = Arc::new(StoredLibrary { path, sha256, store: Arc::clone(&self.inner), key: key.clone() });
        copies.insert(key, Arc::downgrade(&copy));
        Ok(copy)
    }
}

/// A file that goes unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn check_unchanged(source: &File, seen: Stamp) -> io::Result<()> {
    if Stamp::of(&source.metadata()?) == seen {
        return Ok(());
    }
    Err(io::Error::other("the library is being written; it is tried again when it has come to rest"))
}

fn copy(source: &mut File, to: &Path) -> io::Result<String> {
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let got = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&chunk[..got]);
        target.write_all(&chunk[..got])?;
    }
    Ok(hex(&hash.finalize()))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, folder: &Path, bytes: &[u8]) -> Arc<StoredLibrary> {
        let path = folder.join("dropped");
        fs::write(&path, bytes).unwrap();
        store.put(&mut File::open(path).unwrap(), "liba.so", None).unwrap()
    }

    #[test]
    fn a_copy_is_shared_while_used_and_removed_after() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let first = put(&store, folder.path(), b"abc");
        assert_eq!(first.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(fs::read(first.path()).unwrap(), b"abc");
        let second = put(&store, folder.path(), b"abc");
        assert!(Arc::ptr_eq(&first, &second));
        let other = put(&store, folder.path(), b"abcd");
        let path = first.path().to_path_buf();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
        assert!(!path.parent().unwrap().exists());
        assert!(other.path().exists());
    }

    #[test]
    fn a_library_that_is_not_as_it_was_seen_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let path = folder.path().join("dropped");
        fs::write(&path, "abc").unwrap();
        let seen = Stamp::of(&fs::metadata(&path).unwrap());
        assert!(store.put(&mut File::open(&path).unwrap(), "liba.so", Some(&seen)).is_ok());
        fs::write(&path, "abcd").unwrap();
        let error = store.put(&mut File::open(&path).unwrap(), "liba.so", Some(&seen)).unwrap_err();
        assert!(error.to_string().contains("is being written"), "{error}");
        assert_eq!(fs::read_dir(folder.path().join("store")).unwrap().count(), 0);
    }

    #[test]
    fn what_an_earlier_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join("0".repeat(64));
        fs::create_dir(&stale).unwrap();
        fs::write(stale.join("liba.so"), "x").unwrap();
        fs::write(folder.path().join(".incoming-7"), "x").unwrap();
        fs::write(folder.path().join("mine.txt"), "x").unwrap();
        Store::open(folder.path()).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["mine.txt"]);
    }
}
