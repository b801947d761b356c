//! What a cache's handles and its flights share: the parts put together, and each thing that happens counted and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use triomphe::Arc as Shared;

use crate::boarding::{Request, Want};
use crate::clock::{Clock, Moment};
use crate::config::{Config, Parts};
use crate::disk::Disk;
use crate::entry::{AtMost, Entry, Extras, Freshness, Hit, Item, State, Stored, Terms, Windows};
use crate::flight::{Failure, FlightId, Flights, Purpose};
use crate::key::{BorrowedKey, Key};
use crate::listing::Tiers;
use crate::load::{How, LoadContext, LoadOptions, Loaded, Loader, Stale, begin};
use crate::memory::{Admission, Memory};
use crate::observer::{Departure, Observer};
use crate::oldest::Oldest;
use crate::origin::Origin;
use crate::pause::Pauses;
use crate::refresh::{Refreshes, Turn};
use crate::stamps::{Cell, Stamps};
use crate::stats::Counters;
use crate::sync::{Executor, Mutex};
use crate::tier::TierWatcher;

/// The parts of one cache.
pub(crate) struct Inner<V> {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) flights: Flights<V>,
    pub(crate) memory: Memory<V>,
    pub(crate) disk: Option<Disk<V>>,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) clock: Clock,
    refreshes: Arc<Refreshes>,
    pub(crate) pauses: Pauses,
    oldest: Oldest,
    runtime: Option<Handle>,
}

/// What a look found.
pub(crate) enum Look<V> {
    /// It will do.
    Served(Hit<V>),
    /// It will do, and is to be loaded again behind the caller.
    ServedStale(Hit<V>),
    /// Nothing that will do.
    Missing,
    /// Something that is of no use to anybody any more.
    Gone(Hit<V>),
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// From memory, from disk, or from the loader.
    pub(crate) async fn get_or_load(
        self: &Arc<Self>,
        key: &Key,
        request: Request,
        loader: Loader<V>,
    ) -> Result<Loaded<V>, Failure> {
        let stale = request.options.stale;
        match self.look(key, stale) {
            Look::Served(hit) => {
                self.count_hit(key, &hit);
                return Ok(Loaded::there(hit, How::Hit));
            }
            Look::ServedStale(hit) => {
                self.count_hit(key, &hit);
                return Ok(self.serve_stale(key, hit, request, loader));
            }
            Look::Missing => {}
            Look::Gone(hit) => {
                self.remove_dead(key, &hit.entry, hit.now);
            }
        }
        if stale != Stale::Accept
            && self.pauses.is_paused(key, self.clock.now())
            && let Some(hit) = self.stand_in(key, stale)
        {
            // The load failed a moment ago; asking again at once would only make every reader wait.
            self.count_miss(key);
            return Ok(self.serve_on_error(key, hit));
        }
        // The loader is shared between the flight and, if what the flight finds on disk is stale, the refresh behind it.
        let loader = Arc::new(Mutex::new(Some(loader)));
        let once = {
            let loader = Arc::clone(&loader);
            Box::new(move |context: LoadContext| match loader.lock().take() {
                Some(loader) => loader(context),
                // A loader is taken once: by its flight, or after its flight has ended without it.
                None => Box::pin(std::future::pending()),
            })
        };
        match self.load(key, request, once).await {
            Ok(loaded) if loaded.how == How::Stale => {
                let Some(loader) = loader.lock().take() else { return Ok(loaded) };
                Ok(self.serve_stale(key, loaded.hit, request, loader))
            }
            Err(failure) if failure.is_of_the_load() => match self.stand_in(key, stale) {
                // Somebody else has brought it meanwhile.
                Some(hit) if hit.entry.is_fresh(hit.now, &self.stamps) => Ok(Loaded::there(hit, How::Hit)),
                Some(hit) => {
                    // A caller that was in a hurry says nothing about the load, which may go on.
                    if !matches!(failure, Failure::Deadline) {
                        self.pauses.pause(key, self.clock.now());
                    }
                    Ok(self.serve_on_error(key, hit))
                }
                None => Err(failure),
            },
            outcome => outcome,
        }
    }

    /// Has a value loaded again that was served stale: unless that is under way, has just failed, or too many of them
    /// are. The next reader asks again.
    fn serve_stale(self: &Arc<Self>, key: &Key, hit: Hit<V>, request: Request, loader: Loader<V>) -> Loaded<V> {
        self.counters.stale_serve();
        self.tell(|observer, cache| observer.stale(cache, key, hit.age()));
        let id = FlightId { key: key.clone(), purpose: Purpose::Reload };
        if !self.pauses.is_paused(key, self.clock.now()) && !self.flights.is_under_way(&id) {
            match (self.refreshes.begin(key), self.executor()) {
                (Turn::Mine(turn), Some(executor)) => {
                    let (inner, options) = (Arc::clone(self), LoadOptions { deadline: None, ..request.options });
                    let request = Request { want: Want::Refresh, options, ..request };
                    executor.spawn(async move {
                        if inner.load(&id.key, request, loader).await.is_err() {
                            inner.pauses.pause(&id.key, inner.clock.now());
                        }
                        drop(turn);
                    });
                }
                (Turn::UnderWay, _) => {}
                (Turn::Mine(_) | Turn::Full, _) => {
                    self.counters.refresh_skipped();
                    self.tell(|observer, cache| observer.refresh_skipped(cache, key));
                }
            }
        }
        Loaded::there(hit, How::Stale)
    }

    /// What is on disk for a key and may still be used, now also in memory.
    pub(crate) async fn restore(self: &Arc<Self>, key: &Key, at_most: AtMost) -> Option<Shared<Entry<V>>> {
        if !self.may_be_on_disk(key) {
            return None;
        }
        let Some(executor) = self.executor() else { return self.restore_blocking(key, at_most) };
        let (inner, key) = (Arc::clone(self), key.clone());
        executor.block(move || inner.restore_blocking(&key, at_most)).await.ok().flatten()
    }

    /// Where work can be sent; `None` outside a runtime.
    pub(crate) fn executor(&self) -> Option<Executor> {
        Executor::of(self.runtime.as_ref())
    }

    /// The value of a key from disk, counted.
    pub(crate) async fn find_on_disk(self: &Arc<Self>, key: &Key) -> Option<Hit<V>> {
        let entry = self.restore(key, AtMost::default()).await;
        self.found_on_disk(key, entry)
    }
}

impl<V> Inner<V> {
    pub(crate) fn new(parts: Parts<V>) -> Self {
        let Parts { config, stamps, clock, observer, runtime, disk } = parts;
        let memory = Memory::new(&config);
        let (flights, counters, pauses) = (Flights::new(), Counters::default(), Pauses::default());
        let (refreshes, oldest) = (Refreshes::new(config.refresh_workers), Oldest::default());
        Self { config, counters, observer, flights, memory, disk, stamps, clock, refreshes, pauses, oldest, runtime }
    }

    pub(crate) fn begin(&self) -> Origin {
        begin(&self.stamps, &self.clock)
    }

    pub(crate) fn terms(&self, options: &LoadOptions) -> Terms {
        let Config { ttl, stale_while_revalidate, stale_if_error, .. } = self.config;
        Terms {
            ttl: options.ttl.unwrap_or(ttl),
            windows: Windows {
                stale_while_revalidate: options.stale_while_revalidate.unwrap_or(stale_while_revalidate),
                stale_if_error: options.stale_if_error.unwrap_or(stale_if_error),
            },
            persist: options.persist.unwrap_or(true),
        }
    }

    /// A fresh value in memory.
    #[inline]
    pub(crate) fn look_up(&self, key: &Key) -> Option<Hit<V>> {
        let now = self.clock.now();
        let entry = self.memory.get(key)?;
        if entry.is_fresh(now, &self.stamps) {
            return Some(Hit { entry, now });
        }
        self.remove_dead(key, &entry, now);
        None
    }

    /// As [`Inner::look_up`], for a key that is not made for the look.
    #[inline]
    pub(crate) fn look_up_borrowed(&self, key: &BorrowedKey<'_>) -> Option<Hit<V>> {
        let now = self.clock.now();
        let entry = self.memory.get_borrowed(key)?;
        entry.is_fresh(now, &self.stamps).then_some(Hit { entry, now })
    }

    pub(crate) fn look(&self, key: &Key, stale: Stale) -> Look<V> {
        let now = self.clock.now();
        let Some(entry) = self.memory.get(key) else { return Look::Missing };
        match (entry.state(now, &self.stamps), stale) {
            (State::Usable(Freshness::Fresh), _) | (State::Usable(_), Stale::Accept) => {
                Look::Served(Hit { entry, now })
            }
            (State::Usable(Freshness::Stale), Stale::Refresh) => Look::ServedStale(Hit { entry, now }),
            (State::Usable(_), _) => Look::Missing,
            (State::Dead | State::Invalid, _) => Look::Gone(Hit { entry, now }),
        }
    }

    /// What may be used of a key, however old: without a trace in recency or statistics.
    pub(crate) fn usable(&self, key: &Key) -> Option<Hit<V>> {
        let now = self.clock.now();
        let entry = self.memory.peek(key)?;
        entry.state(now, &self.stamps).is_usable().then_some(Hit { entry, now })
    }

    /// The value that a caller takes when the load has failed.
    fn stand_in(&self, key: &Key, stale: Stale) -> Option<Hit<V>> {
        let within = |hit: &Hit<V>| hit.now < hit.entry.expires.plus(hit.entry.windows().stale_if_error);
        // The others would have been served a stale value without any load.
        self.usable(key).filter(|hit| stale != Stale::Refuse || within(hit))
    }

    fn serve_on_error(&self, key: &Key, hit: Hit<V>) -> Loaded<V> {
        self.counters.stale_on_error();
        self.tell(|observer, cache| observer.stale_on_error(cache, key, hit.age()));
        Loaded::there(hit, How::StaleOnError)
    }

    /// Removes an entry that may not be used any more. Says whether it did.
    pub(crate) fn remove_dead(&self, key: &Key, entry: &Shared<Entry<V>>, now: Moment) -> bool {
        let why = match entry.state(now, &self.stamps) {
            State::Usable(_) => return false,
            State::Dead => Departure::Expired,
            State::Invalid => Departure::Invalidated,
        };
        let removed = self.memory.remove_exact(key, entry);
        if removed {
            self.departed(key, entry, why);
        }
        removed
    }

    /// Whether a look on disk is worth its while: answered from memory.
    pub(crate) fn may_be_on_disk(&self, key: &Key) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.tier.may_have(&disk.record_key(key)))
    }

    /// Whether the record of a key is worth reading. Blocks.
    fn is_of_use_on_disk(&self, disk: &Disk<V>, key: &Key) -> bool {
        let meta = disk.tier.meta(&disk.record_key(key));
        meta.is_some_and(|meta| meta.layout == disk.persist.layout() && self.is_valid_record(key, &meta))
    }

    /// What is on disk for a key and may still be used, now also in memory. Blocks.
    pub(crate) fn restore_blocking(&self, key: &Key, at_most: AtMost) -> Option<Shared<Entry<V>>> {
        let disk = self.disk.as_ref().filter(|disk| self.is_of_use_on_disk(disk, key))?;
        // The barrier before the read: see the memory tier.
        let barrier = self.stamps.cell(key.namespace()).barrier();
        let (entry, meta) = disk.read(key, at_most, &self.clock, &self.stamps)?;
        // Whatever is stored or removed meanwhile changes the record under the same lock.
        let unchanged = || disk.tier.meta(&disk.record_key(key)).is_some_and(|present| present == meta);
        let admission = Admission::Restored { barrier, unchanged: &unchanged };
        let now = self.clock.now();
        let put = self.memory.store(key.clone(), Shared::clone(&entry), admission, now, &self.stamps, |_| {});
        for (key, entry) in &put.departed {
            self.departed(key, entry, put.why);
        }
        match put.stored {
            // Too large for memory, it is still good for this reader.
            Stored::Yes | Stored::TooLarge => Some(entry),
            // Another one may have come meanwhile.
            Stored::Superseded | Stored::Invalidated => self.usable(key).map(|hit| hit.entry),
            Stored::Expired => None,
        }
    }

    /// Counts a look on disk for a fresh value.
    pub(crate) fn found_on_disk(&self, key: &Key, entry: Option<Shared<Entry<V>>>) -> Option<Hit<V>> {
        let now = self.clock.now();
        let hit = entry.filter(|entry| entry.is_fresh(now, &self.stamps)).map(|entry| Hit { entry, now });
        self.count_miss(key);
        match &hit {
            Some(hit) => self.count_restored(key, hit),
            None => self.count_disk_miss(),
        }
        hit
    }

    /// The age of the oldest entry that may be used, by a look at every entry.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.look_for_oldest(now).0.map(|oldest| now.since(oldest))
    }

    /// As [`Inner::oldest`], but not by a new look each time.
    pub(crate) fn oldest_lately(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.oldest.get(|| self.look_for_oldest(now)).map(|oldest| now.since(oldest))
    }

    /// When the oldest entry began, and at how many this has looked.
    fn look_for_oldest(&self, now: Moment) -> (Option<Moment>, u32) {
        let mut looks = 0;
        let entries = self.memory.entries().inspect(|_| looks += 1);
        let usable = entries.filter(|(_, entry)| entry.state(now, &self.stamps).is_usable());
        let oldest = usable.map(|(_, entry)| entry.origin.loaded_at()).min();
        (oldest, looks)
    }

    /// Stores what may be stored, in memory and on disk, and says what became of it.
    pub(crate) fn store(
        &self,
        key: &Key,
        item: Item<V>,
        origin: Origin,
        cost: Duration,
        terms: Terms,
        cell: Arc<Cell>,
    ) -> (Shared<Entry<V>>, Stored)
    where
        V: Send + Sync + 'static,
    {
        let began = origin.counter();
        let origin = item.origin.unwrap_or(origin);
        let extras = Extras::of(terms.windows, &item.tags, &self.stamps);
        let bytes = item
            .bytes
            .saturating_add(key.heap_bytes())
            .saturating_add(Entry::<V>::OVERHEAD)
            .saturating_add(size_of::<V>() as u64)
            .saturating_add(extras.as_ref().map_or(0, |extras| extras.bytes()));
        let entry = Shared::new(Entry {
            value: item.value,
            origin,
            expires: origin.loaded_at().plus(item.ttl.unwrap_or(terms.ttl)),
            bytes,
            cell,
            extras,
            cost_us: u32::try_from(item.cost.unwrap_or(cost).as_micros()).unwrap_or(u32::MAX),
            hits: AtomicU32::new(0),
        });
        let disk = self.disk.as_ref();
        let persist = terms.persist && item.persist;
        let hand_on = |stored: bool| match disk {
            Some(disk) if stored && persist => {
                disk.write(key, &entry, began, item.bytes, &self.clock, self.stamps.floor());
            }
            // What is on disk is older than what the caller has seen.
            Some(disk) => disk.tier.remove(&disk.record_key(key)),
            None => {}
        };
        let now = self.clock.now();
        let admission = Admission::Loaded { began };
        let put = self.memory.store(key.clone(), Shared::clone(&entry), admission, now, &self.stamps, hand_on);
        for (key, entry) in &put.departed {
            self.departed(key, entry, put.why);
        }
        match put.stored {
            Stored::Yes => {
                let tier = if disk.is_some() && persist { Tiers::Both } else { Tiers::Memory };
                self.tell(|observer, cache| observer.store(cache, key, bytes, tier));
            }
            Stored::TooLarge => {
                self.counters.refused();
                self.tell(|observer, cache| observer.refuse(cache, key, bytes));
            }
            why @ (Stored::Invalidated | Stored::Expired | Stored::Superseded) => {
                self.counters.outdated();
                self.tell(|observer, cache| observer.outdated(cache, key, why));
            }
        }
        (entry, put.stored)
    }

    pub(crate) fn departed(&self, key: &Key, entry: &Entry<V>, why: Departure) {
        self.counters.depart(why);
        self.tell(|observer, cache| observer.depart(cache, key, entry.bytes, why));
    }

    #[inline]
    pub(crate) fn count_hit(&self, key: &Key, hit: &Hit<V>) {
        self.count_borrowed_hit(hit);
        self.tell(|observer, cache| observer.hit(cache, key, hit.age()));
    }

    #[inline]
    pub(crate) fn count_borrowed_hit(&self, hit: &Hit<V>) {
        // Not a locked addition, which would cost a tenth of a hit.
        let hits = &hit.entry.hits;
        hits.store(hits.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.counters.hit(hit.entry.cost_us);
    }

    pub(crate) fn count_restored(&self, key: &Key, hit: &Hit<V>) {
        self.counters.disk_hit(hit.entry.cost_us);
        self.tell(|observer, cache| observer.restore(cache, key, hit.age()));
    }

    /// A look on disk found nothing of use; none, where there is no disk.
    pub(crate) fn count_disk_miss(&self) {
        if self.disk.is_some() {
            self.counters.disk_miss();
        }
    }

    pub(crate) fn count_miss(&self, key: &Key) {
        self.counters.miss();
        self.counters.sample(self.clock.now());
        self.tell(|observer, cache| observer.miss(cache, key));
    }

    #[inline]
    pub(crate) fn tell(&self, what: impl FnOnce(&dyn Observer, &str)) {
        if let Some(observer) = &self.observer {
            what(&**observer, &self.config.name);
        }
    }
}

impl<V: Send + Sync> TierWatcher for Inner<V> {
    fn service(&self, degraded: Option<&str>) {
        self.tell(|observer, cache| observer.degrade(cache, degraded));
    }
}
