//! What arguments contribute to a key.
//!
//! Keys compare as bytes, in full, so each type must write bytes that no other value of it writes, and that end by
//! themselves: what follows must not change where they end. Numbers have a fixed width, everything of variable length
//! has its length before it. So `("ab", "c")` and `("a", "bc")` differ.

mod values;

use std::cell::Cell;

/// Keys of up to so many bytes are written on the stack.
const INLINE: usize = 64;

/// A buffer that has grown beyond this is not kept for the next key.
const KEPT_CAPACITY: usize = 64 << 10;

/// A type that can tell two calls apart.
///
/// Two values that a function could tell apart must write different bytes. Values that are equal should write the same
/// bytes, or they are cached twice. Floats are told apart by their bits: `0.0` and `-0.0` differ, and a NaN is found
/// again. Maps without an order ([`HashMap`](std::collections::HashMap)) have no bytes of their own: use a `BTreeMap`, or
/// a key of what matters in them.
///
/// ```
/// use smart_cache::{CacheKey, KeyWriter};
///
/// struct Filter { column: String, limit: u32 }
///
/// impl CacheKey for Filter {
///     fn write(&self, key: &mut KeyWriter) {
///         self.column.write(key);
///         self.limit.write(key);
///     }
/// }
/// ```
///
/// For types that serde can serialize there is [`Serialized`](crate::Serialized) too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "this argument cannot be part of the key",
    note = "implement `smart_cache::CacheKey` for it, or say what tells two calls apart with `key = ...` \
            (`key = smart_cache::Serialized(&argument)` for types that serde can serialize), \
            or leave it out of the key with `skip(...)`"
)]
pub trait CacheKey {
    /// Writes what tells this value from others.
    fn write(&self, key: &mut KeyWriter);

    /// Writes several values, one after the other. For types whose values are written faster together.
    #[doc(hidden)]
    fn write_all(values: &[Self], key: &mut KeyWriter)
    where
        Self: Sized,
    {
        values.iter().for_each(|value| value.write(key));
    }
}

/// Where a key is written: most keys are small, and never leave the stack.
#[derive(Debug)]
pub struct KeyWriter {
    inline: [u8; INLINE],
    /// How much of `inline` is written; more than it holds once the key is in `spilled`.
    length: usize,
    spilled: Vec<u8>,
    given_up: bool,
}

thread_local! {
    /// Where the next large key of this thread is written.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl KeyWriter {
    /// Writes bytes as they are: of a fixed number, or with their length before them.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        match self.inline.get_mut(self.length..self.length + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.spill().extend_from_slice(bytes),
        }
    }

    /// Writes a length, which has to stand before what has it.
    #[inline]
    pub fn length(&mut self, length: usize) {
        self.bytes((length as u64).to_le_bytes().as_slice());
    }

    /// Says that this value has no key: the function is called, and its result is not stored.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Has something written that tells its length only afterwards.
    pub(crate) fn with_length(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let bytes = self.spill();
        let start = bytes.len();
        bytes.extend_from_slice(&[0; size_of::<u64>()]);
        let body = bytes.len();
        let written = write(bytes);
        let length = (bytes.len() - body) as u64;
        bytes[start..body].copy_from_slice(&length.to_le_bytes());
        self.given_up |= !written;
    }

    /// The buffer of a large key, with what is written already.
    #[cold]
    fn spill(&mut self) -> &mut Vec<u8> {
        if self.length <= INLINE {
            // Taken out, because what is written may be the result of another cached function. Where the thread is
            // ending and has no buffer any more, a new one does.
            self.spilled = BUFFER.try_with(Cell::take).unwrap_or_default();
            self.spilled.extend_from_slice(&self.inline[..self.length]);
            self.length = INLINE + 1;
        }
        &mut self.spilled
    }

    /// Has a key written and read. `None` for a value that has no key.
    #[inline]
    pub(crate) fn written<T>(write: impl FnOnce(&mut Self), read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let mut writer = Self { inline: [0; INLINE], length: 0, spilled: Vec::new(), given_up: false };
        write(&mut writer);
        let bytes = writer.inline.get(..writer.length).unwrap_or(&writer.spilled);
        let read = (!writer.given_up).then(|| read(bytes));
        if writer.length > INLINE {
            writer.give_back();
        }
        read
    }

    #[cold]
    fn give_back(mut self) {
        if self.spilled.capacity() <= KEPT_CAPACITY {
            self.spilled.clear();
            // A thread that is ending keeps nothing.
            let _ = BUFFER.try_with(|buffer| buffer.set(self.spilled));
        }
    }
}

#[cfg(test)]
mod tests;
