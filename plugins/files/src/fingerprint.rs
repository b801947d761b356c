//! The change token of a dataset: of names, lengths, times and numbers of its files, and of how it is
//! read. Contents are not looked at.

use plugin_sdk::Fingerprint;
use xxhash_rust::xxh3::Xxh3;

use crate::catalog::Entry;
use crate::source_file::SourceFile;

/// Counted up when the same files come to be read as another table.
const READER: u32 = 2;

/// The token of a dataset with these files.
pub(crate) fn of(entry: &Entry, files: &[SourceFile]) -> Fingerprint {
    let mut hash = Xxh3::new();
    hash.update(&READER.to_le_bytes());
    hash.update(entry.format.name().as_bytes());
    hash.update(format!("{:?}", entry.options).as_bytes());
    for file in files {
        hash.update(&(file.name.len() as u64).to_le_bytes());
        hash.update(file.name.as_bytes());
        hash.update(&file.stamp.size.to_le_bytes());
        hash.update(&file.stamp.modified_ns.to_le_bytes());
        hash.update(&file.stamp.inode.to_le_bytes());
    }
    Fingerprint::new(&hash.digest128().to_le_bytes()).unwrap_or(Fingerprint::UNKNOWN)
}
