//! How values become bytes and come back, for caches whose entries are also kept in a tier.

use std::any::type_name;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

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

impl<V> Default for MessagePack<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Serialize + DeserializeOwned + Send + Sync> Persist<V> for MessagePack<V> {
    fn layout(&self) -> u64 {
        xxh3_64_with_seed(type_name::<V>().as_bytes(), self.version)
    }

    /// The encoded size: close to what most values take, and known without looking into the type.
    fn weight(&self, value: &V) -> u64 {
        self.encode(value).map_or(0, |bytes| bytes.len() as u64) + size_of::<V>() as u64
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>, PersistError> {
        Ok(rmp_serde::to_vec_named(value)?)
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
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: i64,
        label: Option<String>,
    }

    #[test]
    fn any_serde_type_comes_back_and_foreign_bytes_do_not() {
        let persist = MessagePack::<Point>::new();
        let point = Point { x: -7, label: Some("north".into()) };
        let mut bytes = persist.encode(&point).unwrap();
        assert_eq!(persist.decode(bytes.clone()).unwrap(), point);
        bytes.push(0);
        assert!(persist.decode(bytes).is_err());
        assert!(MessagePack::<Vec<u64>>::new().decode(persist.encode(&point).unwrap()).is_err());
        assert_ne!(persist.layout(), MessagePack::<Point>::version(1).layout());
        assert_ne!(persist.layout(), MessagePack::<Vec<u64>>::new().layout());
    }
}
