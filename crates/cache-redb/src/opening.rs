//! How a database is opened, and when it is not believed.
//!
//! 1. The log is read first. Without it, or with a damaged one, acknowledged invalidations may be lost: the database is
//!    removed, whatever it says.
//! 2. A database that last knew another log, or more of this one, is removed too: one of the two is an old copy. So is one
//!    that has seen a later time of day than it is: nobody knows how old its records are.
//! 3. A database that cannot be opened is put aside and made anew.
//! 4. The log is written anew with the next epoch, and the database told of it, both durably, before anything is stored.
//!
//! Where a full disk or a failing one stands in the way, the tier opens out of service, and the writer does the rest when
//! that is possible. As long as it has not, the log has another identity than the database has: a crash in between makes
//! the database one that is not believed, rather than one that nobody has looked at.

use std::ops::Bound;
use std::path::Path;

use crate::backend::Home;
use crate::error::Error;
use crate::fault::Fault;
use crate::index::Index;
use crate::ledger::Ledger;
use crate::log::format::{self, Content};
use crate::log::media::{LogFile, Media};
use crate::log::{self, Log};
use crate::options::TierOptions;
use crate::state::{CLOCK_SLACK_MS, State};
use crate::store::Store;

/// What an opening begins with.
pub(crate) struct Begun {
    pub(crate) log: Log,
    /// What the database has to be followed by to be believed; `None` if none is believed that is there.
    pub(crate) expected: Option<State>,
    /// The database, if it was found to be sound so far.
    pub(crate) store: Option<Store>,
}

/// A database that may be served from.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) index: Index,
    pub(crate) next_id: u64,
    /// There are rows that are not in the index.
    pub(crate) garbage: bool,
}

/// Reads the log, looks whether the database goes with it, and begins the log's next epoch.
pub(crate) fn begin(
    bytes: Option<Vec<u8>>,
    media: Box<dyn Media>,
    home: &dyn Home,
    options: &TierOptions,
) -> Result<Begun, Error> {
    let (content, epoch) = match bytes.map(|bytes| format::parse(&bytes)) {
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
    if let Some(content) = content.as_ref().filter(|content| content.cut > 0) {
        tracing::warn!(bytes = content.cut, "the end of the invalidation log was torn, and is cut");
    }
    let mut store = None;
    let mut expected = content.as_ref().filter(|_| home.exists()).map(|content| State {
        store_id: content.header.store_id,
        epoch: content.header.epoch,
        log_seq: content.last_seq,
        seen_ms: 0,
    });
    if let Some(known) = expected {
        match matching(home, options, &known) {
            Ok(found) => {
                expected = found.is_some().then_some(known);
                store = found;
            }
            Err(fault) if fault.is_refusal() => {
                return Err(Error::Database { what: "open the cache file", source: fault.into_cause() });
            }
            Err(fault) => tracing::warn!(reason = fault.reason(), "the cache file cannot be opened yet"),
        }
    }
    let log = next_log(media, content, epoch + 1, store.is_some());
    match log.mend() {
        Err(error) if Fault::refuses(&error) => return Err(Error::io("write the invalidation log")(error)),
        Err(error) => tracing::warn!(%error, "the invalidation log cannot be written yet"),
        Ok(()) => {}
    }
    Ok(Begun { log, expected, store })
}

/// The log of the next epoch; of the same store if that is known to go with it.
fn next_log(media: Box<dyn Media>, content: Option<Content>, epoch: u64, same_store: bool) -> Log {
    let Some(content) = content else {
        return Log::new(media, Ledger::replay(epoch, &[]), log::random_id(), epoch, 0);
    };
    let store_id = if same_store { content.header.store_id } else { log::random_id() };
    Log::new(media, Ledger::replay(epoch, &content.changes), store_id, epoch, content.last_seq)
}

/// The database, if it goes with the log and the clock.
fn matching(home: &dyn Home, options: &TierOptions, known: &State) -> Result<Option<Store>, Fault> {
    let store = open_store(home, options)?;
    let state = store.state()?;
    if !state.is_some_and(|state| state.is_followed_by(known)) {
        tracing::warn!("the cache file does not go with its invalidation log: the cache starts empty");
        return Ok(None);
    }
    if state.is_some_and(|state| state.is_ahead_of((options.clock)())) {
        tracing::warn!("the clock has been set back since the cache file was written: the cache starts empty");
        return Ok(None);
    }
    Ok(Some(store))
}

/// Looks through the rows of a database.
pub(crate) fn load(store: Store, log: &Log, now_ms: u64) -> Result<Opened, Fault> {
    let mut index = Index::new(now_ms);
    let mut garbage = false;
    let mut payload_rows = 0;
    let mut rest_rows = 0;
    let mut readable = true;
    store.walk(Bound::Unbounded, |name, row| {
        let Some((row, key)) = row.zip(crate::name::parse(name)) else {
            readable = false;
            return false;
        };
        payload_rows += crate::chunk::count(row.stored_bytes);
        rest_rows += 1;
        // The ledger is asked for each row anew: whoever records an invalidation does not wait for all of them, and what
        // an invalidation covers that comes meanwhile is walked through by the walk that it begins.
        let useless = row.meta.loaded_at_ms > now_ms.saturating_add(CLOCK_SLACK_MS)
            || log.ledger().covers(&key, name, &row.meta, row.began)
            || index.restore(&key, name, &row).is_some();
        garbage |= useless;
        true
    })?;
    garbage |= log.ledger().tombstones() > 0;
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
    let media = LogFile::new(dir).map_err(Error::io("open the cache directory"))?;
    Ok((bytes, media))
}

pub(crate) fn database(what: &'static str) -> impl FnOnce(Fault) -> Error {
    move |fault| Error::Database { what, source: fault.into_cause() }
}
