//! Keys of types that serde can serialize.

use cache_core::MessagePack;
use serde::Serialize;

use crate::key::{CacheKey, KeyWriter};

/// The key of a value is what serde makes of it, as MessagePack with field names.
///
/// A type whose serialization leaves something out (`#[serde(skip)]`), or says different things alike, is no key. A map
/// without an order may be cached several times. A value that cannot be serialized is not cached; one with a `Some` of
/// `None` or of `()` in it is such a value, because MessagePack has one nil for them and for `None`.
///
/// ```
/// use serde::Serialize;
/// use smart_cache::{Serialized, smart_cache};
///
/// #[derive(Serialize)]
/// struct Query { region: String, years: Vec<u32> }
///
/// #[smart_cache(key = Serialized(query))]
/// fn rows(query: &Query) -> usize {
///     query.years.len()
/// }
///
/// assert_eq!(rows(&Query { region: "north".into(), years: vec![2023, 2024] }), 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Serialized<'a, T: ?Sized>(pub &'a T);

impl<T: Serialize + ?Sized> CacheKey for Serialized<'_, T> {
    fn write(&self, key: &mut KeyWriter) {
        key.with_length(|bytes| MessagePack::write(&self.0, bytes).is_ok());
    }
}
