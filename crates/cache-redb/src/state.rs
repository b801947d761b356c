//! What the database knows of the log, so that an old copy of either is noticed.
//!
//! The one row of the table `state`, little-endian: `LSTA`, format version (2), 0 (2), store id (16), epoch (8), sequence
//! number of the last change that was settled when this was written (8), xxh3-64 of the 40 bytes before.

use xxhash_rust::xxh3::xxh3_64;

use crate::row::FORMAT;
use crate::wire::{Put, Reader};

const MAGIC: &[u8; 4] = b"LSTA";

/// What the database knows of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) store_id: u128,
    pub(crate) epoch: u64,
    pub(crate) log_seq: u64,
}

impl State {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.put_u16(FORMAT);
        bytes.put_u16(0);
        bytes.extend_from_slice(&self.store_id.to_le_bytes());
        bytes.put_u64(self.epoch);
        bytes.put_u64(self.log_seq);
        bytes.put_u64(xxh3_64(&bytes));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let known = reader.take(4)? == MAGIC && reader.u16()? == FORMAT && reader.u16()? == 0;
        let state = Self { store_id: reader.u128()?, epoch: reader.u64()?, log_seq: reader.u64()? };
        let hashed = reader.u64()? == xxh3_64(bytes.get(..40)?);
        reader.end()?;
        (known && hashed).then_some(state)
    }

    /// Whether a log that is this far may be the one that the database last knew, or a later one.
    pub(crate) fn is_followed_by(&self, store_id: u128, epoch: u64, last_seq: u64) -> bool {
        self.store_id == store_id && self.epoch <= epoch && self.log_seq <= last_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: State = State { store_id: 7, epoch: 3, log_seq: 40 };

    #[test]
    fn a_state_comes_back_and_no_changed_one_does() {
        let bytes = STATE.encode();
        assert_eq!(State::decode(&bytes), Some(STATE));
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert_eq!(State::decode(&changed), None, "bit {at}");
        }
    }

    #[test]
    fn an_older_or_another_log_is_not_believed() {
        assert!(STATE.is_followed_by(7, 3, 40));
        assert!(STATE.is_followed_by(7, 4, 41));
        assert!(!STATE.is_followed_by(8, 3, 40), "another store");
        assert!(!STATE.is_followed_by(7, 2, 40), "an earlier opening");
        assert!(!STATE.is_followed_by(7, 3, 39), "a change is missing");
    }
}
