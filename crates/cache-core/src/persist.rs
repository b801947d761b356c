//! How values become bytes and come back, for caches whose entries are also kept in a tier.

mod told_apart;

use std::any::type_name;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use told_apart::ToldApart;

/// Why a value could not be encoded or decoded.
pub type PersistError = Box<dyn std::error::Error + Send + Sync>;

/// Turns values into bytes and back.
pub trait Persist<V>: Send + Sync {
    /// The fingerprint of the layout. What was stored with another one is a miss, so it must change whenever `decode`
    /// would read older bytes wrongly.
    fn layout(&self) -> u64;

    /// The bytes that a value takes in memory: all that is freed when it is dropped.
    fn weight(&self, value: &V) -> u64;

    /// The value as bytes.
    ///
    /// # Errors
    /// It cannot be encoded; it is then kept in memory alone.
    fn encode(&self, value: &V) -> Result<Vec<u8>, PersistError>;

    /// The value of these bytes.
    ///
    /// # Errors
    /// They are not what `encode` wrote. That is a miss.
    fn decode(&self, bytes: Vec<u8>) -> Result<V, PersistError>;
}

/// MessagePack for every type that serde knows. Fields are stored by name, so that a struct that has gained or lost
/// fields is a miss, or is read right.
///
/// What MessagePack would say alike is not encoded: a `Some` of `None` or of `()`, which would be read as `None`. Nor is
/// a value whose `Serialize` panics.
///
/// The layout is the name of the type and a version: raise the version when fields change their meaning.
#[derive(Clone, Copy, Debug)]
pub struct MessagePack<V> {
    version: u64,
    value: PhantomData<fn() -> V>,
}

impl<V> MessagePack<V> {
    /// Version 0 of the type's layout.
    pub fn new() -> Self {
        Self::version(0)
    }

    /// A version of the type's layout.
    pub fn version(version: u64) -> Self {
        Self { version, value: PhantomData }
    }
}

impl<V: Serialize> MessagePack<V> {
    /// Writes a value as `encode` does.
    ///
    /// # Errors
    /// It cannot be encoded. A part of it may have been written.
    pub fn write(value: &V, to: impl io::Write) -> Result<(), PersistError> {
        let mut serializer = rmp_serde::Serializer::new(to).with_struct_map();
        // Unwind safe: after a panic the serializer is not used, and what is written of the value is not either.
        let write = AssertUnwindSafe(|| ToldApart::new(value).serialize(&mut serializer));
        Ok(catch_unwind(write).map_err(|_| "serialize a value that panics at it")??)
    }

    /// What a value weighs, unless it cannot be encoded: its encoded size, which is close to what most values take, and
    /// is known without looking into the type.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn weigh(value: &V) -> Result<u64, PersistError> {
        let mut counted = Counted(0);
        Self::write(value, &mut counted)?;
        Ok(counted.0 + size_of::<V>() as u64)
    }
}

/// Counts what is written.
struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<V> Default for MessagePack<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Serialize + DeserializeOwned + Send + Sync> Persist<V> for MessagePack<V> {
    fn layout(&self) -> u64 {
        xxh3_64_with_seed(type_name::<V>().as_bytes(), self.version)
    }

    fn weight(&self, value: &V) -> u64 {
        Self::weigh(value).unwrap_or(size_of::<V>() as u64)
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>, PersistError> {
        let mut bytes = Vec::with_capacity(128);
        Self::write(value, &mut bytes)?;
        Ok(bytes)
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<V, PersistError> {
        let mut rest = &bytes[..];
        let value = rmp_serde::from_read(&mut rest)?;
        if !rest.is_empty() {
            return Err("bytes are left after the value".into());
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
