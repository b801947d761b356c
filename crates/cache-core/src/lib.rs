//! The cache: keys, entries, a memory tier, single-flight loads, invalidation by stamps, statistics.
//!
//! A [`Cache`] maps a [`Key`] (a [`Namespace`], opaque bytes and a version) to a value that somebody loaded. It keeps
//! one promise: *a hit is the value of its full key, or it is a miss, and a load that began before an invalidation is
//! never served after it.* Four parts carry it:
//!
//! 1. [`Key`]s compare in full; their hash is only an index.
//! 2. Each entry has an [`Origin`]: when the scan behind it began and the invalidation counter from before that. Ages,
//!    ttl and validity all count from there, however long the load took and whenever it was stored.
//! 3. [`Stamps`] hold the invalidations. Every read compares the entry's origin with them, so that nothing has to be
//!    found and deleted for an invalidation to hold. Several caches can share one `Stamps`.
//! 4. Flights make one load of many misses. A flight belongs to none of its waiters.
//!
//! What it does not do: it knows nothing of tables, HTTP or sources, and it never loads anything by itself.
//!
//! ```
//! use cache_core::{Cache, Item, Key, LoadOptions, Namespace, Scope};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let cache = Cache::<String>::builder("greetings").max_bytes(1 << 20).build().unwrap();
//! let key = Key::new(&Namespace::new("people"), b"ada".as_slice());
//! let loaded = cache
//!     .try_get_or_load(&key, LoadOptions::default(), |_| async {
//!         Ok::<_, std::io::Error>(Item::new("hello, Ada".to_owned(), 10))
//!     })
//!     .await
//!     .unwrap();
//! assert_eq!(loaded.value(), "hello, Ada");
//! assert!(cache.get(&key).is_some());
//! cache.invalidate(Scope::Namespace(key.namespace().clone())).await.unwrap();
//! assert!(cache.get(&key).is_none());
//! # });
//! ```

#![forbid(unsafe_code)]

mod key;

mod sync;

mod clock;
mod origin;

mod codec;
mod persist;
mod tier;

mod scope;
mod stamps;

mod disk;
mod entry;
mod memory;

mod boarding;
mod cancel;
mod flight;
mod landing;
mod load;
mod pause;
mod refresh;

mod cache_config;
mod config;
mod listing;
mod observer;
mod oldest;
mod peek;
mod slots;
mod stats;
mod warm;

mod cache;
mod inner;

mod error;

pub use cache::Cache;
pub use cache_config::CacheConfig;
pub use cancel::CancelSignal;
pub use clock::{Clock, ManualClock, Moment};
pub use codec::Codec;
pub use config::{Builder, Config};
pub use entry::{Freshness, Hit, Item, Stored};
pub use error::{Error, LoadError, NotDurable};
pub use key::{Key, Namespace};
pub use listing::{EntryFilter, EntryInfo, NamespaceUse, Tiers};
pub use load::{How, LoadContext, LoadOptions, Loaded, Stale};
pub use observer::{Departure, LoadOutcome, LoadReport, Observer};
pub use origin::Origin;
pub use peek::Peek;
pub use persist::{MessagePack, Persist, PersistError};
pub use scope::Scope;
pub use stamps::{Noted, Stamps};
pub use stats::{Stats, Window};
pub use tier::{
    ByteTier, Change, Encode, Listed, Meta, Payload, RecordKey, Restored, TierError, TierStats, TierWatcher, Usage,
    Write,
};
pub use warm::Warmed;
