//! A small cache of numbers with a manual clock, and gates for its loads.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Builder, Cache, Item, Key, LoadContext, LoadOptions, Loaded, ManualClock, Namespace, Scope};
use tokio::sync::Semaphore;

pub(crate) const TTL: Duration = Duration::from_secs(60);

/// What the tests weigh a number with.
pub(crate) const BYTES: u64 = 100;

pub(crate) struct Fixture {
    pub(crate) cache: Cache<u64>,
    pub(crate) clock: ManualClock,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(change: impl FnOnce(Builder<u64>) -> Builder<u64>) -> Self {
        let clock = ManualClock::new();
        let builder = Cache::builder("numbers").max_bytes(16 << 20).ttl(TTL).clock(clock.clock());
        Self { cache: change(builder).build().unwrap(), clock }
    }

    /// Inserts a number that began now.
    pub(crate) fn insert(&self, key: &Key, number: u64) {
        assert_eq!(self.cache.insert(key, number_item(number)), cache_core::Stored::Yes);
    }

    pub(crate) fn get(&self, key: &Key) -> Option<u64> {
        self.cache.get(key).map(|hit| *hit.value())
    }

    /// Gets or loads this number at once.
    pub(crate) async fn load(&self, key: &Key, number: u64) -> Loaded<u64> {
        self.cache.try_get_or_load(key, LoadOptions::default(), ready(number)).await.unwrap()
    }
}

pub(crate) fn number_item(number: u64) -> Item<u64> {
    Item::new(number, BYTES)
}

pub(crate) fn key(name: &str) -> Key {
    key_in("space", name)
}

pub(crate) fn key_in(namespace: &str, name: &str) -> Key {
    Key::new(&Namespace::new(namespace), name.as_bytes())
}

/// A loader that has its number ready.
pub(crate) fn ready(
    number: u64,
) -> impl FnOnce(LoadContext) -> std::future::Ready<Result<Item<u64>, Infallible>> + Send + 'static {
    move |_| std::future::ready(Ok(number_item(number)))
}

/// A load under way.
pub(crate) type Loading = Pin<Box<dyn Future<Output = Result<Item<u64>, Infallible>> + Send>>;

/// Closed at first. Opened once, it stays open.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.expect_err("nobody adds permits: the gate is closed or open");
    }

    /// A loader that hands over its number when the gate is open.
    pub(crate) fn loader(&self, number: u64) -> impl FnOnce(LoadContext) -> Loading + Send + 'static {
        let gate = self.clone();
        move |_| {
            Box::pin(async move {
                gate.pass().await;
                Ok(number_item(number))
            })
        }
    }
}

/// Lets the other tasks run until this is so. What never becomes so fails the test instead of hanging it.
pub(crate) async fn until(so: impl Fn() -> bool) {
    for _ in 0..10_000_000 {
        if so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never became so");
}

pub(crate) fn invalidate<V: Send + Sync + 'static>(cache: &Cache<V>, scope: Scope) -> u64 {
    cache.invalidate_blocking(&scope).unwrap()
}

/// Removes a key. Says whether there was a value of use.
pub(crate) fn remove<V: Send + Sync + 'static>(cache: &Cache<V>, key: &Key) -> bool {
    let there = cache.peek(key).is_some();
    invalidate(cache, Scope::Key(key.clone()));
    there
}
