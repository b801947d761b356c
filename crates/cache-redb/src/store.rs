//! The database file: its tables, and what is done in them.
//!
//! `meta` has one [`Row`] for each record under its [name](crate::name). The payload is elsewhere, so that looking
//! through the rows reads no payloads: under the row's id, `rest` has the name once more (so that a record can be found
//! by its id) and the rest of the payload, and `payload` has the payload's [chunks](crate::chunk) under this id and those
//! that follow it. `state` has one row, see [`State`].
//!
//! Every call may meet a damaged file. Nothing that is read here is believed before its checksum has been compared, and
//! walks end when keys do not ascend.

use std::ops::Bound;

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition};
use xxhash_rust::xxh3::xxh3_64;

use crate::backend::Backend;
use crate::chunk;
use crate::fault::{Fault, guarded};
use crate::row::Row;
use crate::state::State;
use crate::wire::{Put, Reader};

const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
const PAYLOAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("payload");
const REST: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rest");
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
const STATE_KEY: &str = "state";

type Payloads = ReadOnlyTable<u64, &'static [u8]>;

/// The database, open.
pub(crate) struct Store {
    /// Taken out only to be dropped under guard.
    db: Option<Database>,
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No record of that name and id.
    Nothing,
    /// Something that is not as it was written.
    Damaged,
    /// The record.
    Record(Row, Vec<u8>),
}

/// Where a payload is: enough to take it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: u64,
    pub(crate) stored_bytes: u64,
}

/// The tables, open for writing.
pub(crate) struct Tables<'a> {
    meta: Table<'a, &'static [u8], &'static [u8]>,
    payload: Table<'a, u64, &'static [u8]>,
    rest: Table<'a, u64, &'static [u8]>,
    state: Table<'a, &'static str, &'static [u8]>,
}

impl Store {
    /// Opens the database, or makes one of an empty file.
    pub(crate) fn open(backend: Backend, page_cache_bytes: usize) -> Result<Self, Fault> {
        guarded(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(page_cache_bytes);
            let store = Self { db: Some(builder.create_with_backend(backend)?) };
            Ok(store)
        })
    }

    fn db(&self) -> Result<&Database, Fault> {
        self.db.as_ref().ok_or_else(|| Fault::corrupt("it is closed"))
    }

    /// Closes it as well as it can be.
    pub(crate) fn close(mut self) -> Result<(), Fault> {
        let db = self.db.take();
        guarded(|| Ok(db.map_or(Ok(()), Database::close)?))
    }

    /// The state row; `None` in a new file.
    pub(crate) fn state(&self) -> Result<Option<State>, Fault> {
        guarded(|| {
            let read = self.db()?.begin_read()?;
            let table = match read.open_table(STATE) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let row = table.get(STATE_KEY)?.ok_or_else(|| Fault::corrupt("it has no state"))?;
            Ok(Some(State::decode(row.value()).ok_or_else(|| Fault::corrupt("its state is unreadable"))?))
        })
    }

    /// The record of this name, if its payload has this id.
    pub(crate) fn get(&self, name: &[u8], id: u64) -> Result<Found, Fault> {
        guarded(|| {
            let read = self.db()?.begin_read()?;
            let Some(bytes) = read.open_table(META)?.get(name)? else { return Ok(Found::Nothing) };
            let Some(row) = Row::decode(name, bytes.value()) else { return Ok(Found::Damaged) };
            if row.id != id {
                return Ok(Found::Nothing);
            }
            let (rest, payload) = (read.open_table(REST)?, read.open_table(PAYLOAD)?);
            let payload = assemble(&row, name, &rest, &payload)?;
            Ok(payload.map_or(Found::Damaged, |payload| Found::Record(row, payload)))
        })
    }

    /// The row of this name, if its payload has this id.
    pub(crate) fn meta(&self, name: &[u8], id: u64) -> Result<Option<Row>, Fault> {
        guarded(|| {
            // The transaction outlives what is read in it: without it the writer may take the page for something else.
            let read = self.db()?.begin_read()?;
            let bytes = read.open_table(META)?.get(name)?;
            let row = bytes.and_then(|bytes| Row::decode(name, bytes.value()));
            Ok(row.filter(|row| row.id == id))
        })
    }

    /// Shows the rows from `from` on to `visit` until it says no. A row that is not readable is shown as `None`.
    pub(crate) fn walk(
        &self,
        from: Bound<&[u8]>,
        mut visit: impl FnMut(&[u8], Option<Row>) -> bool,
    ) -> Result<(), Fault> {
        guarded(|| {
            let read = self.db()?.begin_read()?;
            let table = read.open_table(META)?;
            walk(&table, from, |name, row| visit(name, row))
        })
    }

    /// Reads a whole record as [`Store::get`] does, for a row that was met on a walk.
    pub(crate) fn is_whole(&self, name: &[u8], row: &Row) -> Result<bool, Fault> {
        Ok(matches!(self.get(name, row.id)?, Found::Record(..)))
    }

    /// The rows of `payload` and `rest`, and the first id that neither has used.
    pub(crate) fn payload_rows(&self) -> Result<(u64, u64, u64), Fault> {
        guarded(|| {
            let read = self.db()?.begin_read()?;
            let (payload, rest) = (read.open_table(PAYLOAD)?, read.open_table(REST)?);
            let last_chunk = payload.last()?.map_or(0, |(id, _)| id.value());
            let last_rest = rest.last()?.map_or(0, |(id, _)| id.value());
            let next_id = last_chunk.max(last_rest).saturating_add(1);
            Ok((payload.len()?, rest.len()?, next_id))
        })
    }

    /// Does work in one transaction; when it returns, the work is durable.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        guarded(|| {
            let mut transaction = self.db()?.begin_write()?;
            // Otherwise the first start after a crash reads the whole file.
            transaction.set_quick_repair(true);
            let mut tables = Tables {
                meta: transaction.open_table(META)?,
                payload: transaction.open_table(PAYLOAD)?,
                rest: transaction.open_table(REST)?,
                state: transaction.open_table(STATE)?,
            };
            let result = work(&mut tables)?;
            drop(tables);
            transaction.commit()?;
            Ok(result)
        })
    }

    /// Whether all pages are as they were written.
    pub(crate) fn check(&mut self) -> Result<bool, Fault> {
        let db = self.db.as_mut().ok_or_else(|| Fault::corrupt("it is closed"))?;
        guarded(|| Ok(db.check_integrity()?))
    }

    /// Makes the file as short as it can be. Compacting leaves no record of what is free in it, without which the next start
    /// after a crash reads the whole file: a write of the state leaves one.
    pub(crate) fn compact(&mut self) -> Result<(), Fault> {
        let db = self.db.as_mut().ok_or_else(|| Fault::corrupt("it is closed"))?;
        guarded(|| Ok(db.compact()?))?;
        match self.state()? {
            Some(state) => self.write(|tables| tables.set_state(&state)),
            None => Ok(()),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let db = self.db.take();
        // A database that met an error is closed without saying so again.
        let _ = guarded(|| {
            drop(db);
            Ok(())
        });
    }
}

impl Tables<'_> {
    pub(crate) fn set_state(&mut self, state: &State) -> Result<(), Fault> {
        self.state.insert(STATE_KEY, state.encode().as_slice())?;
        Ok(())
    }

    /// Puts a record in; the one that was there goes, see [`Tables::remove`]. `row.id` and as many ids behind it as it
    /// has chunks are unused.
    pub(crate) fn insert(
        &mut self,
        name: &[u8],
        row: &Row,
        payload: &[u8],
        known: Option<Place>,
    ) -> Result<Option<Place>, Fault> {
        let mut end = 0;
        for (id, range) in (row.id..).zip(chunk::chunks(row.stored_bytes)) {
            end = range.end;
            self.payload.insert(id, &payload[range])?;
        }
        let mut rest = Vec::with_capacity(4 + name.len() + payload.len() - end);
        rest.put_bytes(name);
        rest.extend_from_slice(&payload[end..]);
        self.rest.insert(row.id, rest.as_slice())?;
        let old = self.meta.insert(name, row.encode(name).as_slice())?.map(|old| place(name, old.value()));
        self.take_payload(old, known)
    }

    /// Takes a record out. Returns where its payload was, which is where it is known to be if the row is unreadable.
    pub(crate) fn remove(&mut self, name: &[u8], known: Option<Place>) -> Result<Option<Place>, Fault> {
        let old = self.meta.remove(name)?.map(|old| place(name, old.value()));
        self.take_payload(old, known)
    }

    /// Takes a record out by its id.
    pub(crate) fn remove_by_id(&mut self, id: u64) -> Result<Option<Place>, Fault> {
        let name = match self.rest.get(id)? {
            Some(rest) => Reader(rest.value()).bytes().ok_or_else(|| Fault::corrupt("a record has no name"))?.to_vec(),
            None => return Ok(None),
        };
        let row = self.meta.get(name.as_slice())?.and_then(|row| Row::decode(&name, row.value()));
        match row {
            Some(row) if row.id == id => self.remove(&name, None),
            _ => Err(Fault::corrupt("a record has another's name")),
        }
    }

    fn take_payload(&mut self, old: Option<Option<Place>>, known: Option<Place>) -> Result<Option<Place>, Fault> {
        let Some(old) = old else { return Ok(None) };
        // Where the payload of an unreadable row is may be known to nobody; it would take up room for ever.
        let place = old.or(known).ok_or_else(|| Fault::corrupt("a record's row is unreadable"))?;
        for id in (place.id..).take(chunk::count(place.stored_bytes) as usize) {
            self.payload.remove(id)?;
        }
        self.rest.remove(place.id)?;
        Ok(Some(place))
    }
}

fn place(name: &[u8], row: &[u8]) -> Option<Place> {
    Row::decode(name, row).map(|row| Place { id: row.id, stored_bytes: row.stored_bytes })
}

fn walk(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    from: Bound<&[u8]>,
    mut visit: impl FnMut(&[u8], Option<Row>) -> bool,
) -> Result<(), Fault> {
    let mut last: Option<Vec<u8>> = None;
    for pair in table.range::<&[u8]>((from, Bound::Unbounded))? {
        let (name, row) = pair?;
        let name = name.value();
        // A damaged tree may lead in circles.
        if last.as_deref().is_some_and(|last| last >= name) {
            return Err(Fault::corrupt("its keys do not ascend"));
        }
        if !visit(name, Row::decode(name, row.value())) {
            break;
        }
        last = Some(name.to_vec());
    }
    Ok(())
}

/// The payload of a row, if it is as it was written.
fn assemble(row: &Row, name: &[u8], rest: &Payloads, chunks: &Payloads) -> Result<Option<Vec<u8>>, Fault> {
    let Some(end) = rest.get(row.id)? else { return Ok(None) };
    let mut end = Reader(end.value());
    if end.bytes() != Some(name) {
        return Ok(None);
    }
    let mut payload = Vec::new();
    for (id, range) in (row.id..).zip(chunk::chunks(row.stored_bytes)) {
        let Some(chunk) = chunks.get(id)? else { return Ok(None) };
        if chunk.value().len() != range.len() {
            return Ok(None);
        }
        if payload.is_empty() {
            payload.reserve_exact(row.stored_bytes as usize);
        }
        payload.extend_from_slice(chunk.value());
    }
    payload.extend_from_slice(end.0);
    let whole = payload.len() as u64 == row.stored_bytes && xxh3_64(&payload) == row.payload_hash;
    Ok(whole.then_some(payload))
}
