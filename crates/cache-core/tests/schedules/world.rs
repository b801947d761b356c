//! A cache, a source whose value only grows, and the threads that meet over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{
    Builder, ByteTier, Cache, Item, Key, LoadContext, LoadOptions, Loaded, ManualClock, MessagePack, Namespace, Origin,
    Scope, Stamps,
};
use shuttle::future::yield_now;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};

use crate::tier::Disk;

pub(crate) const TTL: Duration = Duration::from_secs(60);

/// Random schedules of each test, and as many of the other kind.
const SCHEDULES: usize = 350;

/// Runs this under many schedules. Every failure is one of the code: what the threads do is chosen by shuttle as well.
pub(crate) fn check(body: impl Fn() + Send + Sync + 'static) {
    let body = Arc::new(body);
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 18;
    let again = Arc::clone(&body);
    shuttle::Runner::new(RandomScheduler::new(SCHEDULES), config.clone()).run(move || again());
    shuttle::Runner::new(PctScheduler::new(3, SCHEDULES), config).run(move || body());
}

/// What several threads see of one key.
pub(crate) struct World {
    pub(crate) cache: Cache<u64>,
    pub(crate) clock: ManualClock,
    pub(crate) disk: Option<Disk>,
    /// What the source says.
    pub(crate) truth: AtomicU64,
    /// What every reader must see at least that begins now.
    pub(crate) acknowledged: AtomicU64,
    /// Loads that have begun.
    pub(crate) loads: AtomicU64,
}

impl World {
    pub(crate) fn in_memory() -> Arc<Self> {
        Self::build(None, ManualClock::new(), |builder| builder)
    }

    pub(crate) fn in_memory_with(change: impl FnOnce(Builder<u64>) -> Builder<u64>) -> Arc<Self> {
        Self::build(None, ManualClock::new(), change)
    }

    pub(crate) fn on_disk() -> Arc<Self> {
        Self::build(Some(Disk::default()), ManualClock::new(), |builder| builder)
    }

    /// The next process over the same disk.
    pub(crate) fn crash(&self) -> Arc<Self> {
        Self::build(self.disk.clone(), self.clock.restarted(), |builder| builder)
    }

    fn build(disk: Option<Disk>, clock: ManualClock, change: impl FnOnce(Builder<u64>) -> Builder<u64>) -> Arc<Self> {
        let mut builder = Cache::builder("numbers")
            .max_bytes(1 << 16)
            .max_entries(16)
            .max_entry_bytes(5_000)
            .ttl(TTL)
            .clock(clock.clock());
        if let Some(disk) = &disk {
            let tier: Arc<dyn ByteTier> = disk.open();
            let stamps = Arc::new(Stamps::durable(Arc::clone(&tier)));
            builder = builder.persist(MessagePack::new()).tier(tier).stamps(stamps);
        }
        let cache = change(builder).build().unwrap();
        Arc::new(Self {
            cache,
            clock,
            disk,
            truth: AtomicU64::new(1),
            acknowledged: AtomicU64::new(1),
            loads: AtomicU64::new(0),
        })
    }

    /// Reads the source, with room for others around.
    pub(crate) fn scan(self: &Arc<Self>) -> impl FnOnce(LoadContext) -> Scan + Send + 'static {
        self.scan_of(None)
    }

    /// As [`World::scan`], for a value that is made of something of this origin.
    fn scan_of(self: &Arc<Self>, origin: Option<Origin>) -> impl FnOnce(LoadContext) -> Scan + Send + 'static {
        let this = Arc::clone(self);
        move |_| {
            Box::pin(async move {
                this.loads.fetch_add(1, Ordering::SeqCst);
                yield_now().await;
                let seen = number(this.truth.load(Ordering::SeqCst));
                yield_now().await;
                Ok(match origin {
                    Some(origin) => seen.with_origin(origin),
                    None => seen,
                })
            })
        }
    }

    /// Loads the key, on this thread.
    pub(crate) fn load(self: &Arc<Self>) -> Loaded<u64> {
        shuttle::future::block_on(self.cache.try_get_or_load(&key(), LoadOptions::default(), self.scan())).unwrap()
    }

    /// As [`World::load`], of something of this origin.
    pub(crate) fn load_of(self: &Arc<Self>, origin: Origin) -> u64 {
        let scan = self.scan_of(Some(origin));
        let loaded = shuttle::future::block_on(self.cache.try_get_or_load(&key(), LoadOptions::default(), scan));
        loaded.unwrap().into_value()
    }

    /// From both tiers.
    pub(crate) fn find(&self) -> Option<u64> {
        self.cache.find_blocking(&key()).map(|hit| *hit.value())
    }

    /// Runs this on a thread of the schedule.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> shuttle::thread::JoinHandle<()> {
        let this = Arc::clone(self);
        shuttle::thread::spawn(move || work(&this))
    }

    /// Nothing is left of what went on.
    pub(crate) fn assert_quiet(&self) {
        assert_eq!(self.cache.stats().loading, 0, "no flight is left behind");
    }
}

pub(crate) type Scan = std::pin::Pin<Box<dyn Future<Output = Result<Item<u64>, String>> + Send>>;

/// A number with a tag, as everything here.
pub(crate) fn number(number: u64) -> Item<u64> {
    Item::new(number, 100).with_tags([tag()])
}

pub(crate) fn key() -> Key {
    Key::new(&space(), b"abc")
}

pub(crate) fn space() -> Namespace {
    Namespace::new("space")
}

pub(crate) fn tag() -> Arc<str> {
    Arc::from("red")
}

pub(crate) fn join(threads: impl IntoIterator<Item = shuttle::thread::JoinHandle<()>>) {
    // All of them begin before the first is waited for.
    let threads: Vec<_> = threads.into_iter().collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Lets the others go ahead, by a little or a lot.
pub(crate) fn pause() {
    for _ in 0..thread_rng().gen_range(0..60) {
        shuttle::thread::yield_now();
    }
}

/// As [`pause`], in a task.
pub(crate) async fn pause_task() {
    for _ in 0..thread_rng().gen_range(0..60) {
        yield_now().await;
    }
}

/// One of these, another one in each schedule.
pub(crate) fn any<T: Clone>(of: &[T]) -> T {
    of[thread_rng().gen_range(0..of.len())].clone()
}

/// Every kind of invalidation that covers the key.
pub(crate) fn any_scope() -> Scope {
    any(&[Scope::All, Scope::Namespace(space()), Scope::Tag(tag()), any_delete(), any_delete(), any_delete()])
}

/// Every kind of delete that covers the key.
pub(crate) fn any_delete() -> Scope {
    any(&[
        Scope::Key(key()),
        Scope::Versions(key().at_version(4)),
        Scope::Prefix { namespace: space(), prefix: Arc::from(*b"ab") },
    ])
}
