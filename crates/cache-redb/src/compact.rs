//! Giving room back: the database file made as short as its records allow.

use std::path::Path;

use crate::backend::{DataFile, Home};
use crate::error::Error;
use crate::fault::Fault;
use crate::lock::DirLock;
use crate::opening::{database, open_store};
use crate::options::TierOptions;
use crate::store::Store;

/// What compacting did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// What the file took on the disk before.
    pub file_bytes_before: u64,
    /// What it takes now.
    pub file_bytes_after: u64,
}

/// Compacts the cache of a directory that nobody holds.
///
/// # Errors
/// Somebody holds it, there is none, or the file is damaged: see [`verify`](crate::verify).
pub fn compact(dir: &Path) -> Result<CompactReport, Error> {
    let _lock = DirLock::take(dir)?;
    let home = DataFile::new(dir).map_err(Error::io("open the cache directory"))?;
    if !home.exists() {
        return Err(Error::Missing);
    }
    let mut store = open_store(&home, &TierOptions::default()).map_err(database("open the cache file"))?;
    let report = compact_store(&mut store, &home).map_err(database("compact the cache file"))?;
    store.close().map_err(database("close the cache file"))?;
    Ok(report)
}

pub(crate) fn compact_store(store: &mut Store, home: &dyn Home) -> Result<CompactReport, Fault> {
    let file_bytes_before = home.allocated_bytes().map_err(Fault::io)?;
    store.compact()?;
    let file_bytes_after = home.allocated_bytes().map_err(Fault::io)?;
    Ok(CompactReport { file_bytes_before, file_bytes_after })
}
