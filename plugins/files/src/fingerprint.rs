//! The change token of a dataset: of names, lengths, times and numbers of its files, and of how it is
//! read. Contents are not looked at.
//!
//! The clock that stamps files stands still for some milliseconds at a time, so a file that was written
//! just now may be written again and look the same. A token is therefore only taken of files that have
//! been left alone for a moment; one that is asked for sooner waits that moment.

use std::sync::Arc;

use plugin_sdk::{Context, Fingerprint, Result};
use xxhash_rust::xxh3::Xxh3;

use crate::catalog::Entry;
use crate::source_file::{Root, SourceFile, Stamp};

/// Counted up when the same files come to be read as another table.
const READER: u32 = 3;

/// How often files that are being written are looked at again before they are taken as they are.
const ROUNDS: usize = 5;

/// The token of a dataset as its files are now.
///
/// # Errors
/// When there are no files, or one of them cannot be looked at.
pub(crate) fn take(ctx: &Context, root: &Arc<Root>, entry: &Entry) -> Result<Fingerprint> {
    let mut files = entry.files(root)?;
    for _ in 0..ROUNDS {
        if files.iter().all(|file| file.stamp.is_settled()) {
            break;
        }
        std::thread::sleep(Stamp::TICK);
        ctx.check()?;
        files = entry.files(root)?;
    }
    Ok(token(entry, &files))
}

fn token(entry: &Entry, files: &[SourceFile]) -> Fingerprint {
    let mut hash = Xxh3::new();
    hash.update(&READER.to_le_bytes());
    hash.update(entry.format.name().as_bytes());
    hash.update(format!("{:?}", entry.options).as_bytes());
    for file in files {
        hash.update(&(file.name.len() as u64).to_le_bytes());
        hash.update(file.name.as_bytes());
        hash.update(&file.stamp.size.to_le_bytes());
        hash.update(&file.stamp.modified_ns.to_le_bytes());
        hash.update(&file.stamp.changed_ns.to_le_bytes());
        hash.update(&file.stamp.inode.to_le_bytes());
    }
    Fingerprint::new(&hash.digest128().to_le_bytes()).unwrap_or(Fingerprint::UNKNOWN)
}
