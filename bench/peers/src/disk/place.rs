//! A folder for one store under measurement: on the file system that this program was built on, removed in the end.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;

/// The folder.
pub(super) struct Place(PathBuf);

impl Place {
    /// A new, empty folder beside this program: a temporary folder may lie in memory.
    pub(super) fn new() -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let program = std::env::current_exe().context("find this program")?;
        let path = program.with_file_name(format!("disk-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The bytes of the blocks that its files take.
    pub(super) fn allocated(&self) -> anyhow::Result<u64> {
        fn below(folder: &Path) -> std::io::Result<u64> {
            let mut bytes = 0;
            for entry in folder.read_dir()? {
                let entry = entry?;
                // A block is 512 bytes here, whatever the file system's own size is.
                bytes += match entry.file_type()?.is_dir() {
                    true => below(&entry.path())?,
                    false => entry.metadata()?.blocks() * 512,
                };
            }
            Ok(bytes)
        }
        below(&self.0).context("count the blocks")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
