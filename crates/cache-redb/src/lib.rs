//! The disk tier of the cache: [`RedbTier`] keeps the records of `cache_core` in a redb database and their invalidations
//! in a log beside it.
//!
//! What it promises: a record that is got is byte for byte what was put under its full key, or it is a miss. A crash may
//! lose any record; it loses no invalidation whose recording returned. A damaged file is never an error when the tier is
//! opened, and never needs a hand: it is put aside and the tier starts empty.
//!
//! ```
//! use cache_core::ByteTier;
//! use cache_redb::{RedbTier, TierOptions};
//!
//! let dir = tempfile::tempdir()?;
//! let tier = RedbTier::open(dir.path(), TierOptions::default())?;
//! assert_eq!(tier.stats().entries, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The directory
//! | file | what it is |
//! |---|---|
//! | `lock` | locked (flock) by the process that has the tier; empty |
//! | `cache.redb` | the records: what is known of them, and their payloads |
//! | `invalidations.log` | the invalidations, each durable before it is acknowledged |
//! | `invalidations.log.new` | a log that is being written anew; means nothing |
//! | `cache.redb.bad-<n>` | the last database that was found damaged; nobody reads it |
//!
//! # `invalidations.log`
//! A header of 64 bytes and frames behind it, all numbers little-endian. The header: `LARDRLOG`, format version 1 (4),
//! 0 (4), id of the store (16), epoch (8), sequence number (8) and number of frames (8) of the snapshot that the log begins
//! with, xxh3-64 of all that (8). A frame: length of its body (4), checksum of the frame's numbers (4), sequence number
//! (8), xxh3-64 of the body (8), the body, E5. The body: kind of the change (1), stamp (8), its strings, each behind its
//! length (4). Every opening raises the epoch and writes the log anew. A torn end, which nobody was told of, is cut; any
//! other damage means that an invalidation may be lost, and with it goes the database.
//!
//! # `cache.redb`
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name: cache, namespace and key bytes, 00 written as 00 FF, each closed by 00 00; version (8, big-endian) | header of 16 bytes (`LREC`, format version, codec, 0, checksum of name and row), id, lengths and checksum of the payload, the eight numbers of `Meta`, when the record's own load began, tags |
//! | `payload` | id, and those behind it | the payload's chunks, each of 4 KiB x 2^n less 16 bytes, so that it fills a page, largest first |
//! | `rest` | id | length of the name (4), the name, the rest of the payload |
//! | `state` | `state` | `LSTA`, format version, 0, id of the store, epoch, last sequence number of the log, latest time of day, checksum |
//!
//! The database is believed only if it goes with the log: the same store, no later an epoch, no later a sequence number.
//! And with the clock: if it has been set back since by more than a second, nobody knows how old the records are. The
//! time of day is noted with all that is written, and at least once a minute while there are records.
//!
//! # Who does what
//! Reads are redb read transactions on the caller's thread; they wait for nobody. Puts and removals are queued, the last
//! of each name, and a name that is queued is a miss. One thread writes, a batch in one durable transaction; it also
//! removes what invalidations cover, what has expired, and what was used longest ago when the budget is full. A fault of
//! the file takes the tier out of service, with its reason in the statistics; the writer brings it back. While the file is
//! opened again or compacted, every read is a miss.
//!
//! What it does not do: decide whether a record is fresh, or ask whether it is valid beyond the invalidations that it
//! recorded itself. The cache does, after each read.
#![forbid(unsafe_code)]

mod compact;
mod error;
mod forget;
mod options;
mod tier;
mod verify;

mod index;
mod opening;
mod queue;
mod recovery;
mod round;
mod shared;
mod sweep;
mod watchers;
mod writer;

mod ledger;
mod log;

mod chunk;
mod name;
mod row;
mod state;
mod store;
mod wire;

mod backend;
mod fault;
mod lock;
mod overlay;

#[cfg(test)]
mod power_cut;

pub use compact::{CompactReport, compact};
pub use error::Error;
pub use forget::forget;
pub use options::{TierOptions, WallClock};
pub use tier::RedbTier;
pub use verify::{VerifyReport, verify};
