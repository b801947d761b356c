//! A file that is read and never written: what is written to it stays in memory.
//!
//! Opening a database that was not closed changes it. To look at one without changing it, it is opened on this.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::Mutex;
use redb::StorageBackend;

const BLOCK: u64 = 4096;

/// A file with what was written to it in memory.
#[derive(Debug)]
pub(crate) struct Overlay {
    file: File,
    file_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    blocks: HashMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let file_bytes = file.metadata()?.len();
        Ok(Self { file, file_bytes, state: Mutex::new(State { len: file_bytes, blocks: HashMap::new() }) })
    }

    /// A block as the file has it, with zeros behind its end.
    fn block(&self, number: u64) -> io::Result<Vec<u8>> {
        let mut block = vec![0; BLOCK as usize];
        let start = number * BLOCK;
        let there = self.file_bytes.saturating_sub(start).min(BLOCK) as usize;
        self.file.read_exact_at(&mut block[..there], start)?;
        Ok(block)
    }
}

/// The parts of a range that lie in one block each: its number, where in it they begin, and their length.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + len as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let start = (at % BLOCK) as usize;
        let part = (BLOCK - at % BLOCK).min(end - at);
        let number = at / BLOCK;
        at += part;
        (part > 0).then_some((number, start, part as usize))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut out = out;
        for (number, start, len) in parts(offset, out.len()) {
            let (part, rest) = out.split_at_mut(len);
            match state.blocks.get(&number) {
                Some(block) => part.copy_from_slice(&block[start..start + len]),
                None => part.copy_from_slice(&self.block(number)?[start..start + len]),
            }
            out = rest;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state.lock().len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut data = data;
        for (number, start, len) in parts(offset, data.len()) {
            let (part, rest) = data.split_at(len);
            let block = match state.blocks.entry(number) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(free) => free.insert(self.block(number)?),
            };
            block[start..start + len].copy_from_slice(part);
            data = rest;
        }
        Ok(())
    }
}
