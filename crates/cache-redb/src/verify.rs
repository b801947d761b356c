//! Looking at everything that is stored, without changing any of it.

use std::ops::Bound;
use std::path::Path;

use crate::backend::{Backend, DataFile};
use crate::chunk;
use crate::error::Error;
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::lock::DirLock;
use crate::log::format;
use crate::log::media::LogFile;
use crate::name;
use crate::options::TierOptions;
use crate::overlay::Overlay;
use crate::row::Row;
use crate::state::State;
use crate::store::Store;

/// How many bad records are named.
const MAX_NAMED: usize = 100;
/// Rows that are looked at before others may have the database.
const SLICE: usize = 256;

/// What is stored, and what of it is not as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Records that can be read back exactly.
    pub records: u64,
    /// The bytes of their payloads as stored.
    pub payload_bytes: u64,
    /// Of the records, those that were invalidated or are of another format, and wait to be removed.
    pub invalidated: u64,
    /// Records that cannot be read back exactly.
    pub bad: u64,
    /// The first hundred of them.
    pub bad_keys: Vec<String>,
    /// Rows of payloads that belong to no record; only counted where nobody writes.
    pub orphans: u64,
    /// Why the database cannot be read to its end.
    pub database: Option<String>,
    /// Changes in the invalidation log.
    pub log_changes: u64,
    /// Bytes of a torn end of the log, which no one was told of.
    pub log_torn_bytes: u64,
    /// Why the log is not believed.
    pub log: Option<String>,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.bad == 0 && self.orphans == 0 && self.database.is_none() && self.log.is_none()
    }
}

/// Looks at the cache of a directory that nobody holds.
///
/// # Errors
/// Somebody holds it, or there is none. Damage is no error: it is in the report.
pub fn verify(dir: &Path) -> Result<VerifyReport, Error> {
    let _lock = DirLock::take(dir)?;
    let mut report = VerifyReport::default();
    let path = dir.join(DataFile::NAME);
    let bytes = LogFile::read(dir).map_err(Error::io("read the invalidation log"))?;
    if bytes.is_none() && !path.exists() {
        return Err(Error::Missing);
    }
    let content = match bytes.map(|bytes| format::parse(&bytes)) {
        Some(Ok(content)) => Some(content),
        Some(Err(damaged)) => {
            report.log = Some(damaged.what.to_owned());
            None
        }
        None => {
            report.log = Some("it is missing".to_owned());
            None
        }
    };
    let ledger = content.as_ref().map_or_else(Ledger::default, |content| {
        report.log_changes = content.changes.len() as u64;
        report.log_torn_bytes = content.cut as u64;
        Ledger::replay(content.header.epoch, &content.changes)
    });
    if path.exists() {
        let overlay = Overlay::open(&path).map_err(Error::io("open the cache file"))?;
        let looked = look(overlay, &ledger, &mut report, |store| {
            let state = store.state()?.ok_or_else(|| Fault::corrupt("it has no state"))?;
            let follows = content.as_ref().is_none_or(|content| {
                let header = &content.header;
                let log =
                    State { store_id: header.store_id, epoch: header.epoch, log_seq: content.last_seq, seen_ms: 0 };
                state.is_followed_by(&log)
            });
            Ok(if follows { None } else { Some("it does not go with the database") })
        });
        if let Err(fault) = looked {
            report.database = Some(fault.into_cause().to_string());
        }
    }
    Ok(report)
}

fn look(
    overlay: Overlay,
    ledger: &Ledger,
    report: &mut VerifyReport,
    compare: impl FnOnce(&Store) -> Result<Option<&'static str>, Fault>,
) -> Result<(), Fault> {
    let mut store = Store::open(Backend(Box::new(overlay)), TierOptions::default().page_cache_bytes)?;
    if let Some(reason) = compare(&store)? {
        report.log = Some(reason.to_owned());
    }
    let mut rows = 0;
    let mut seen = None;
    while let Some(last) = verify_slice(&store, seen.as_deref(), ledger, report, &mut rows)? {
        seen = Some(last);
    }
    let (payload_rows, rest_rows, _) = store.payload_rows()?;
    report.orphans = (payload_rows + rest_rows).saturating_sub(rows);
    if !store.check()? {
        report.database = Some("pages of it are damaged".to_owned());
    }
    Ok(())
}

/// Looks at the next records. Returns the last of them, if there may be more; counts the payload rows that they have.
pub(crate) fn verify_slice(
    store: &Store,
    seen: Option<&[u8]>,
    ledger: &Ledger,
    report: &mut VerifyReport,
    rows: &mut u64,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut slice: Vec<(Vec<u8>, Option<Row>)> = Vec::new();
    let from = seen.map_or(Bound::Unbounded, Bound::Excluded);
    store.walk(from, |name, row| {
        slice.push((name.to_vec(), row));
        slice.len() < SLICE
    })?;
    for (name, row) in &slice {
        let key = name::parse(name);
        let whole = match row {
            Some(row) => key.is_some() && store.is_whole(name, row)?,
            None => false,
        };
        match (whole, row, &key) {
            (true, Some(row), Some(key)) => {
                report.records += 1;
                report.payload_bytes += row.stored_bytes;
                report.invalidated += u64::from(ledger.covers(key, name, &row.meta, row.began));
                *rows += chunk::count(row.stored_bytes) + 1;
            }
            _ => {
                report.bad += 1;
                if report.bad_keys.len() < MAX_NAMED {
                    report.bad_keys.push(name.escape_ascii().to_string());
                }
            }
        }
    }
    let full = slice.len() == SLICE;
    Ok(slice.pop().map(|(name, _)| name).filter(|_| full))
}
