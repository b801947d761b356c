//! `#[smart_cache]`: functions that remember their results.
//!
//! ```
//! use smart_cache::smart_cache;
//!
//! #[smart_cache(ttl = "5m", max_entries = 1_000)]
//! fn price(region: &str, year: u32) -> Result<f64, std::num::ParseFloatError> {
//!     // Something slow.
//!     format!("{}.{year}", region.len()).parse()
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! assert_eq!(price("north", 2024)?, 5.2024);          // runs the body
//! assert_eq!(price("north", 2024)?, 5.2024);          // does not
//! assert_eq!(price::stats().hits, 1);
//! assert!(price::peek("north", 2024).is_some());
//! price::invalidate("north", 2024)?;
//! assert!(price::peek("north", 2024).is_none());
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//! 1. A hit is the result of a call with the same key, younger than the ttl, or it is a miss. Keys compare in full.
//! 2. However many callers miss one key at once, the body runs once for all of them. It runs in the task or on the
//!    thread of the first of them; if that one is cancelled, another takes over. Where a result cannot be shared (an
//!    error, a panic), each caller runs the body itself, as if there were no cache. After a minute the callers that wait
//!    stop believing in the one that runs, and one of them begins anew.
//! 3. A call that begins after an invalidation never gets a result from before it.
//! 4. Nothing that goes wrong in the cache changes what the function returns: a cache that cannot be opened, a disk that
//!    fails, a runtime that is missing all come down to calling the function.
//!
//! # What is stored
//! Of a `Result` the `Ok`, of an `Option` the `Some`, of a `Result` of an `Option` the `Ok(Some)`; anything else as it
//! is. `store = ok` stores `Ok(None)` too, `store = all` errors and `None` as well. What is stored must be
//! `Clone + Send + Sync + 'static`; large values belong into an `Arc`. The error type needs nothing.
//!
//! # Arguments of the attribute
//!
//! | argument | default | meaning |
//! |---|---|---|
//! | `ttl = 3600` or `"5m"` | 1 h | how long a result is served |
//! | `max_entries = 100` | 100 | how many results are kept in memory at most, for this function alone |
//! | `key = (a, &b.id)` | all arguments | what tells two calls apart; anything that is [`CacheKey`] |
//! | `skip(db)` | | arguments that do not tell calls apart; for methods also `skip(self)` |
//! | `tags("x", "y")`, `tags = [format!("user:{id}")]` | | names to invalidate by, with [`Global::invalidate_tag`] |
//! | `stale = "1m"` | | how long after its ttl a result is served while one call runs behind the caller |
//! | `stale_if_error = "1h"` | | how long after its ttl a result stands in for an error |
//! | `persist = true` | `false` | results are kept on disk too, in the folder `./cache`, or where [`persist_in`] or [`persist_to`] says |
//! | `version = 1` | 0 | to be raised when persisted results must not be used any more, see below |
//! | `store = some`, `ok`, `all` | `some` | see above |
//! | `associated` | | for functions in an impl block that take no `self` |
//!
//! # What is generated
//! Beside a function `load` stands a type of the same name, with functions as visible as `load` is:
//!
//! - `load::invalidate(..)` forgets one result; it takes the arguments that the key is made of.
//! - `load::peek(..)` gives a stored result with its age and ttl, without a trace; [`Peek`].
//! - `load::refresh(..)` calls the function in any case, and stores what comes back.
//! - `load::stats()` and `load::clear()`.
//!
//! Types and functions have names of their own kind, so both are imported with `use data::load`; another type or module
//! `load` in the same place is in the way. `invalidate`, `refresh` and `clear` are `async` where the function is. All
//! functions that have been called are in one registry: [`global`].
//!
//! A method stands in an impl block, which holds no types: there the functions are `load_invalidate(&self, ..)`,
//! `load_peek`, `load_refresh`, `load_stats()` and `load_clear()`. A method must say what tells its objects apart: `key`
//! or `skip(self)`. The type must be `'static`; each type of a generic impl has a cache of its own. Methods of a trait
//! cannot be cached: the trait has no place for the functions beside them; cache a function that they call.
//!
//! # What is not for it
//! Functions with type parameters, `const`, `unsafe` and `extern` functions, `&mut` and `impl Trait` arguments, results
//! that borrow: all are refused with a message that says what to write.
//!
//! # Other shapes
//! An asynchronous function, with a key that leaves its connection out; and a method:
//!
//! ```
//! use smart_cache::smart_cache;
//!
//! # struct Pool;
//! # struct Shop { id: u64 }
//! #[smart_cache(skip(pool), tags("orders"), stale = "1m", stale_if_error = "1h")]
//! async fn orders(pool: std::sync::Arc<Pool>, day: String) -> Result<Vec<u64>, std::io::Error> {
//!     # let _ = pool;
//!     Ok(vec![day.len() as u64])
//! }
//!
//! impl Shop {
//!     #[smart_cache(key = (self.id, year))]
//!     fn revenue(&self, year: u32) -> Option<u64> {
//!         Some(self.id * u64::from(year))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let shop = Shop { id: 7 };
//! assert_eq!(shop.revenue(2024), Some(14_168));
//! shop.revenue_invalidate(2024)?;
//! smart_cache::global().invalidate_tag("orders")?;   // of every function that has the tag
//! # Ok(())
//! # }
//! ```
//!
//! Async functions run in any runtime; `stale` needs tokio, to run a call behind the caller.
//!
//! # Persisted results
//! A result is found again by a program whose function has the same path, the same source text and the same `ttl`,
//! `stale`, `stale_if_error`, `tags`, `key`, `skip` and `version`. Changes in what the function calls, or in constants
//! that it names, are not seen: raise the version for those.
//!
//! A function in the body of another one, and a method of a generic type or of one from another module, is told from its
//! namesakes by what the compiler takes it for. With another compiler, or another version of its package, it makes its
//! results anew. A function that cannot be told from one that persists already keeps its results in memory, and says so
//! in [`FunctionStats::problem`].
//!
//! A result that MessagePack cannot say without doubt, such as `Some(None)`, or whose `Serialize` fails or panics, is kept
//! in memory alone.
//!
//! Results are kept in the folder `./cache` of the directory in which the program runs, up to 1 GiB; they must be
//! `Serialize + DeserializeOwned`. Another folder, or another tier, is named once, before the first call of such a function:
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! smart_cache::persist_in(folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! One program has a folder at a time. Where it cannot be used, because another has it or for want of rights or space,
//! results are kept in memory and [`FunctionStats::problem`] says why. A result is on disk moments after it was made, and
//! at the latest when the thread has ended that made it; a program that is ended in another way than by returning from
//! `main` calls [`Global::flush`] before.
//!
//! # What waits for what
//! A synchronous function blocks its thread while another one runs the body, and while a persisted result is read from
//! disk. In an asynchronous program cache the asynchronous function, or call the other one where blocking is allowed.

#![forbid(unsafe_code)]

mod key;
mod serialized;

mod kept;

mod flight;
mod park;
mod patience;

mod behind;
mod call;
mod function;
mod site;
mod source;
mod store;

mod persistence;
mod registry;
mod stats;

mod error;

#[cfg(test)]
mod tests;

// What the attribute writes names this crate as its users do.
#[cfg(test)]
extern crate self as smart_cache;

pub use cache_core::{NotDurable, Peek};
pub use error::Error;
pub use key::{CacheKey, KeyWriter};
pub use persistence::{persist_in, persist_to};
pub use registry::{Global, global};
pub use serialized::Serialized;
pub use smart_cache_macros::smart_cache;
pub use stats::{FunctionStats, GlobalStats, Persistence};

/// What generated code is written with. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::behind::Behind;
    pub use crate::call::Missed;
    pub use crate::function::{Function, Settings};
    pub use crate::kept::{Kept, Plain, Probe, kept_for_refresh, stores};
    pub use crate::site::Site;
    pub use crate::source::source;
}
