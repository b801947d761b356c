//! How a database is opened, and when it is not believed.
//!
//! 1. The log is read first. Without it, or with a damaged one, acknowledged invalidations may be lost: the database is
//!    removed, whatever it says.
//! 2. A database that last knew another log, or more of this one, is removed too: one of the two is an old copy.
//! 3. A database that cannot be opened is put aside and made anew.
//! 4. The log is written anew with the next epoch, and the database told of it, both durably, before anything is served.

use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::path::Path;

use crate::backend::Home;
use crate::error::Error;
use crate::fault::Fault;
use crate::index::Index;
use crate::ledger::Ledger;
use crate::log::Log;
use crate::log::format::{self, Content};
use crate::log::media::{LogFile, Media};
use crate::options::TierOptions;
use crate::store::Store;

/// A database that may be served from.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) index: Index,
    pub(crate) next_id: u64,
    /// There are rows that are not in the index.
    pub(crate) garbage: bool,
}

/// Reads the log, decides whether the database goes with it, and begins the next epoch of both.
pub(crate) fn begin(
    bytes: Option<Vec<u8>>,
    media: Box<dyn Media>,
    home: &dyn Home,
    options: &TierOptions,
) -> Result<(Log, Opened), Error> {
    let content = bytes.map(|bytes| format::parse(&bytes));
    let (content, mut epoch) = match content {
        Some(Ok(content)) => {
            let epoch = content.header.epoch;
            (Some(content), epoch)
        }
        Some(Err(damaged)) => {
            tracing::warn!(reason = damaged.what, "the invalidation log is damaged: the cache starts empty");
            (None, damaged.epoch)
        }
        None => (None, 0),
    };
    let mut store = None;
    if home.exists() {
        match content.as_ref().map(|content| matching(home, options, content)) {
            Some(Ok(Some(found))) => store = Some(found),
            Some(Ok(None)) | None => home.remove().map_err(Error::io("remove a cache that has lost its log"))?,
            Some(Err(Fault::Corrupt(cause))) => {
                tracing::warn!(%cause, "the cache file is damaged: it is put aside and the cache starts empty");
                home.quarantine().map_err(Error::io("put a damaged cache file aside"))?;
            }
            Some(Err(fault)) => {
                return Err(Error::Database { what: "open the cache file", source: fault.into_cause() });
            }
        }
    }
    if let Some(content) = content.as_ref().filter(|content| content.cut > 0) {
        tracing::warn!(bytes = content.cut, "the end of the invalidation log was torn, and is cut");
    }
    epoch += 1;
    let (store_id, base_seq, changes) = match content {
        Some(content) => (content.header.store_id, content.last_seq, content.changes),
        None => (random_id(), 0, Vec::new()),
    };
    let ledger = Ledger::replay(epoch, &changes);
    let log = Log::begin(media, ledger, store_id, epoch, base_seq).map_err(Error::io("write the invalidation log"))?;
    let now_ms = (options.clock)();
    let opened = match store.map(|store| announce_and_load(store, &log, now_ms)) {
        Some(Err(Fault::Corrupt(cause))) => {
            tracing::warn!(%cause, "the cache file is damaged: it is put aside and the cache starts empty");
            home.quarantine().map_err(Error::io("put a damaged cache file aside"))?;
            None
        }
        Some(result) => Some(result.map_err(database("open the cache file"))?),
        None => None,
    };
    let opened = match opened {
        Some(opened) => opened,
        None => open_store(home, options)
            .and_then(|store| announce_and_load(store, &log, now_ms))
            .map_err(database("make the cache file"))?,
    };
    Ok((log, opened))
}

/// Tells the database where the log is before anything of it is served.
fn announce_and_load(store: Store, log: &Log, now_ms: u64) -> Result<Opened, Fault> {
    store.write(|tables| tables.set_state(&log.state()))?;
    load(store, log, now_ms)
}

/// The database, if it goes with the log.
fn matching(home: &dyn Home, options: &TierOptions, content: &Content) -> Result<Option<Store>, Fault> {
    let store = open_store(home, options)?;
    let header = &content.header;
    let follows =
        store.state()?.is_some_and(|state| state.is_followed_by(header.store_id, header.epoch, content.last_seq));
    if follows {
        return Ok(Some(store));
    }
    tracing::warn!("the cache file does not go with its invalidation log: the cache starts empty");
    Ok(None)
}

/// Looks through the rows of a database.
pub(crate) fn load(store: Store, log: &Log, now_ms: u64) -> Result<Opened, Fault> {
    let mut index = Index::new(now_ms);
    let mut garbage = false;
    let mut payload_rows = 0;
    let mut rest_rows = 0;
    let mut readable = true;
    {
        let ledger = log.ledger();
        store.walk(Bound::Unbounded, |name, row| {
            let Some((row, key)) = row.zip(crate::name::parse(name)) else {
                readable = false;
                return false;
            };
            payload_rows += crate::chunk::count(row.stored_bytes);
            rest_rows += 1;
            if ledger.covers(&key, name, &row.meta) || index.restore(&key, name, &row).is_some() {
                garbage = true;
            }
            true
        })?;
        garbage |= ledger.tombstones() > 0;
    }
    let (found_payload_rows, found_rest_rows, next_id) = store.payload_rows()?;
    if !readable || (found_payload_rows, found_rest_rows) != (payload_rows, rest_rows) {
        return Err(Fault::corrupt("its tables do not go together"));
    }
    Ok(Opened { store, index, next_id, garbage })
}

/// Opens the database, or makes it.
pub(crate) fn open_store(home: &dyn Home, options: &TierOptions) -> Result<Store, Fault> {
    Store::open(home.open().map_err(Fault::io)?, options.page_cache_bytes)
}

/// The log of a directory, and its bytes.
pub(crate) fn log_of(dir: &Path) -> Result<(Option<Vec<u8>>, LogFile), Error> {
    let bytes = LogFile::read(dir).map_err(Error::io("read the invalidation log"))?;
    Ok((bytes, LogFile::new(dir)))
}

pub(crate) fn database(what: &'static str) -> impl FnOnce(Fault) -> Error {
    move |fault| Error::Database { what, source: fault.into_cause() }
}

fn random_id() -> u128 {
    // The standard library seeds its hashers from the operating system's random numbers.
    let half = || u128::from(RandomState::new().hash_one("store"));
    half() << 64 | half()
}
