//! The tier as the cache sees it.

use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use cache_core::{
    ByteTier, CacheConfig, Change, Listed, Meta, Payload, RecordKey, Restored, TierError, TierStats, TierWatcher,
    Usage, Write,
};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::backend::{DataFile, Home};
use crate::compact::CompactReport;
use crate::error::Error;
use crate::fault::Fault;
use crate::index::Index;
use crate::lock::DirLock;
use crate::log::media::Media;
use crate::name;
use crate::opening::{self, Begun};
use crate::options::TierOptions;
use crate::queue::Queue;
use crate::row::Row;
use crate::shared::{Counters, Files, Inner, MIN_BACKOFF, Service, Shared};
use crate::store::{Found, Place, Store};
use crate::sweep::Sweeps;
use crate::verify::{VerifyReport, verify_slice};
use crate::watchers::Watchers;
use crate::writer::Writer;

/// A disk tier on a directory of its own. Dropping it closes it.
pub struct RedbTier {
    pub(crate) shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl RedbTier {
    /// Opens the tier of a directory, and makes what is not there.
    ///
    /// # Errors
    /// [`Error::Held`] if another process has the directory; [`Error::Io`] or [`Error::Database`] if nobody is allowed to
    /// write to it. A damaged file is no error: it is put aside, and the tier starts empty. Neither is a full disk: the tier
    /// opens out of service, reads as soon as it can, and is back when there is room.
    pub fn open(dir: &Path, options: TierOptions) -> Result<Arc<Self>, Error> {
        options.check()?;
        let lock = DirLock::make(dir)?;
        let (bytes, media) = opening::log_of(dir)?;
        let home = DataFile::new(dir).map_err(Error::io("open the cache directory"))?;
        Self::open_on(bytes, Box::new(media), Box::new(home), Some(lock), options)
    }

    /// Opens the tier that a configuration describes: in its `disk_cache_dir`, of its `disk_max_bytes`. It is given to the
    /// builder of the cache beside the configuration. Several caches can share one, under names of their own.
    ///
    /// ```
    /// use cache_core::{Cache, CacheConfig, Item, Key, MessagePack, Namespace};
    /// use cache_redb::RedbTier;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let disk_cache_dir = dir.path().join("cache");
    /// let config = CacheConfig { persist_to_disk: true, disk_cache_dir, ..CacheConfig::default() };
    /// let tier = RedbTier::open_for(&config)?;
    /// let cache = Cache::<String>::builder("greetings")
    ///     .config(&config)
    ///     .persist(MessagePack::new())
    ///     .tier(tier)
    ///     .build()?;
    /// let key = Key::new(&Namespace::new("people"), b"ada".as_slice());
    /// cache.insert(&key, Item::new("hello, Ada".to_owned(), 10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`RedbTier::open`], and [`Error::EntryOverBudget`] if the largest entry would not fit.
    pub fn open_for(config: &CacheConfig) -> Result<Arc<Self>, Error> {
        let options = TierOptions::of(config);
        let (max_entry_bytes, limit) = (config.largest_entry_bytes(), options.record_limit());
        if max_entry_bytes > limit {
            return Err(Error::EntryOverBudget { max_entry_bytes, limit });
        }
        Self::open(&config.disk_cache_dir, options)
    }

    pub(crate) fn open_on(
        log_bytes: Option<Vec<u8>>,
        media: Box<dyn Media>,
        home: Box<dyn Home>,
        lock: Option<DirLock>,
        options: TierOptions,
    ) -> Result<Arc<Self>, Error> {
        let Begun { log, expected, store } = opening::begin(log_bytes, media, home.as_ref(), &options)?;
        let inner = Inner {
            queue: Queue::new(options.queue_entries, options.queue_bytes),
            index: Index::new((options.clock)()),
            sweeps: Sweeps::default(),
            service: Service::Down { fault: Fault::corrupt("it is not open yet"), until: Instant::now() },
            generation: 0,
            counters: Counters::default(),
            compaction: None,
            compacting: false,
            expire_at: Instant::now(),
            compact_wanted: false,
            compact_now: false,
            budget: options.record_limit(),
            max_entries: options.max_entries,
            backoff: MIN_BACKOFF,
            failures: 0,
            closing: false,
            idle: false,
            file_bytes: 0,
            longest: 0,
        };
        let shared = Arc::new(Shared {
            options,
            home,
            log,
            files: Mutex::new(Files { expected }),
            store: RwLock::new(None),
            inner: Mutex::new(inner),
            work: Condvar::new(),
            progress: Condvar::new(),
            seen_ms: AtomicU64::new(0),
            noted_ms: AtomicU64::new(0),
            watchers: Watchers::default(),
            _lock: lock,
        });
        let mut writer = Writer { shared: Arc::clone(&shared), next_id: 1 };
        writer.begin(store)?;
        let thread = thread::Builder::new().name("cache-writer".to_owned()).spawn(|| writer.run());
        let thread = thread.map_err(Error::io("start the cache's writer"))?;
        Ok(Arc::new(Self { shared, writer: Mutex::new(Some(thread)) }))
    }

    /// Writes what waits, and closes the files. Afterwards every read is a miss.
    pub fn close(&self) {
        let Some(writer) = self.writer.lock().take() else { return };
        self.shared.inner.lock().closing = true;
        self.shared.work.notify_all();
        if writer.thread().id() == thread::current().id() {
            // The last one to hold the tier was the writer itself, who works for others: it ends when it has done.
            return;
        }
        if writer.join().is_err() {
            tracing::error!("the cache's writer ended by a panic");
        }
    }

    /// Waits until the writer has nothing to do: the queue is written, what is covered by invalidations is removed and
    /// the budgets are kept. Returns at once while the tier is out of service.
    pub fn settle(&self) {
        {
            let mut inner = self.shared.inner.lock();
            inner.idle = false;
        }
        self.shared.work.notify_all();
        let _inner = self.shared.wait_until(|inner| inner.idle || !matches!(inner.service, Service::Up));
    }

    /// Removes what is of no more use now, and waits for it.
    pub fn sweep(&self) {
        {
            let mut inner = self.shared.inner.lock();
            inner.expire_at = Instant::now();
            inner.index.look_again();
        }
        self.settle();
    }

    /// Compacts the file, and waits for it. Reads are misses meanwhile.
    ///
    /// # Errors
    /// [`Error::Compacting`] if somebody has asked for it already; the tier is out of service, or the file failed meanwhile.
    pub fn compact(&self) -> Result<CompactReport, Error> {
        let (sender, reply) = mpsc::sync_channel(1);
        {
            let mut inner = self.shared.inner.lock();
            if let Some(reason) = inner.degraded().or_else(|| inner.closing.then(|| "the tier is closed".to_owned())) {
                return Err(Error::OutOfService { reason });
            }
            if inner.compacting || inner.compaction.is_some() {
                return Err(Error::Compacting);
            }
            inner.compaction = Some(sender);
        }
        self.shared.work.notify_all();
        reply.recv().unwrap_or_else(|_| Err(Error::OutOfService { reason: "the tier is closed".to_owned() }))
    }

    /// Looks at all records without changing any. Others read and write meanwhile.
    ///
    /// # Errors
    /// The tier is out of service.
    pub fn verify(&self) -> Result<VerifyReport, Error> {
        let mut report = VerifyReport::default();
        let (mut seen, mut rows) = (None, 0);
        loop {
            let store = self.shared.store.read();
            let Some(store) = store.as_ref() else {
                let reason = self.shared.inner.lock().degraded();
                return Err(Error::OutOfService { reason: reason.unwrap_or_default() });
            };
            let ledger = self.shared.log.ledger().clone();
            match verify_slice(store, seen.as_deref(), &ledger, &mut report, &mut rows) {
                Ok(Some(last)) => seen = Some(last),
                Ok(None) => break,
                Err(fault) => {
                    report.database = Some(fault.reason());
                    break;
                }
            }
        }
        report.log_changes = self.shared.log.ledger().snapshot().len() as u64;
        Ok(report)
    }

    /// Reads the database for a record that the index has; `None` for anything that stands in the way.
    fn read<T>(&self, name: &[u8], work: impl FnOnce(&Store, Place) -> Result<Option<T>, Fault>) -> Option<T> {
        let (generation, place) = {
            let mut inner = self.shared.inner.lock();
            if !inner.readable() || inner.queue.knows(name) {
                return None;
            }
            (inner.generation, inner.index.touch(name)?)
        };
        let result = {
            // Whoever opens or compacts the file has it alone, for long: nobody waits for that.
            let store = self.shared.store.try_read()?;
            work(store.as_ref()?, place)
        };
        match result {
            // A tombstone is forgotten only after the index has lost what it covers. So whoever asked the ledger while the
            // index had the record has seen the tombstone.
            Ok(found) => found.filter(|_| {
                let inner = self.shared.inner.lock();
                inner.generation == generation && inner.index.find(name) == Some(place)
            }),
            Err(fault) => {
                self.shared.inner.lock().counters.corrupt += u64::from(matches!(fault, Fault::Corrupt(_)));
                self.shared.fail(generation, fault);
                None
            }
        }
    }

    /// The row of a record that may be shown.
    fn row(&self, key: &RecordKey) -> Option<Row> {
        let name = name::of(key);
        let shown = |row: &Row| self.is_shown(key, &name, row);
        self.read(&name, |store, place| Ok(store.meta(&name, place.id)?.filter(shown)))
    }

    /// Counts and takes out what cannot be read back exactly.
    fn damaged(&self, name: &[u8]) {
        let mut inner = self.shared.inner.lock();
        inner.counters.corrupt += 1;
        inner.take_out(name);
        drop(inner);
        self.shared.work.notify_all();
    }

    /// Whether a record may be shown, as far as the tier knows.
    fn is_shown(&self, key: &RecordKey, name: &[u8], row: &Row) -> bool {
        !self.shared.is_covered(key, name, &row.meta, row.began)
    }
}

impl ByteTier for RedbTier {
    fn restored(&self) -> Restored {
        self.shared.log.ledger().restored(self.shared.log.epoch())
    }

    fn record(&self, change: &Change) -> Result<(), TierError> {
        if matches!(self.shared.inner.lock().service, Service::Closed) {
            return Err(TierError { what: "the disk tier is closed".to_owned(), source: None });
        }
        let (covered, result) = self.shared.log.record(change);
        self.shared.sweep_for(covered);
        result.map_err(|error| TierError {
            what: "the invalidation cannot be made durable".to_owned(),
            source: Some(Box::new(error)),
        })
    }

    fn abandon(&self) {
        self.shared.abandon();
    }

    fn put(&self, write: Write) {
        let name: Arc<[u8]> = name::of(&write.key).into();
        let mut inner = self.shared.inner.lock();
        // Under the lock: a change that comes later begins its walk behind this put's place in the queue.
        let admitted = self.shared.log.ledger().admits(&write.key, &name, &write.meta, write.began);
        let up = matches!(inner.service, Service::Up) && !inner.closing;
        if !(up && admitted && inner.queue.put(Arc::clone(&name), write)) {
            inner.counters.dropped += 1;
            inner.take_out(&name);
        }
        inner.idle = false;
        drop(inner);
        self.shared.work.notify_one();
    }

    fn remove(&self, key: &RecordKey) {
        let name = name::of(key);
        // Most have no record, and waking a thread costs more than looking.
        if self.shared.inner.lock().take_out(&name) {
            self.shared.work.notify_one();
        }
    }

    fn get(&self, key: &RecordKey) -> Option<(Meta, Payload)> {
        let name = name::of(key);
        let found = self.read(&name, |store, place| {
            Ok(match store.get(&name, place.id)? {
                Found::Record(row, _) if !self.is_shown(key, &name, &row) => None,
                found => Some(found),
            })
        });
        match found? {
            Found::Record(row, bytes) => {
                Some((row.meta, Payload { codec: row.codec, plain_bytes: row.plain_bytes, bytes }))
            }
            Found::Nothing => None,
            Found::Damaged => {
                self.damaged(&name);
                None
            }
        }
    }

    fn may_have(&self, key: &RecordKey) -> bool {
        let name = name::of(key);
        let inner = self.shared.inner.lock();
        inner.readable() && !inner.queue.knows(&name) && inner.index.find(&name).is_some()
    }

    fn meta(&self, key: &RecordKey) -> Option<Meta> {
        self.row(key).map(|row| row.meta)
    }

    fn listed(&self, key: &RecordKey) -> Option<Listed> {
        self.row(key).map(|row| Listed { key: key.clone(), meta: row.meta, stored_bytes: row.stored_bytes })
    }

    fn report_corrupt(&self, key: &RecordKey) {
        self.damaged(&name::of(key));
    }

    fn list(&self, cache: &str, after: Option<&RecordKey>, limit: usize) -> Vec<Listed> {
        let begin = name::of_cache(cache);
        let after = after.map(name::of);
        let from =
            after.as_deref().filter(|after| *after >= &begin[..]).map_or(Bound::Included(&begin[..]), Bound::Excluded);
        let (generation, mut listed) = (self.shared.inner.lock().generation, Vec::new());
        let store = self.shared.store.read();
        let Some(store) = store.as_ref().filter(|_| limit > 0) else { return listed };
        let walked = store.walk(from, |name, row| {
            if !name.starts_with(&begin) {
                return false;
            }
            if let Some((row, key)) = row.zip(name::parse(name)) {
                // In this order, as in `read`.
                let shown = self.is_shown(&key, name, &row);
                let known = {
                    let inner = self.shared.inner.lock();
                    let stored = inner.index.find(name).is_some_and(|place| place.id == row.id);
                    stored && inner.generation == generation && inner.readable() && !inner.queue.knows(name)
                };
                if shown && known {
                    listed.push(Listed { key, meta: row.meta, stored_bytes: row.stored_bytes });
                }
            }
            listed.len() < limit
        });
        if let Err(fault) = walked {
            self.shared.fail(generation, fault);
        }
        listed
    }

    fn flush(&self) -> Result<(), TierError> {
        let mark = self.shared.mark();
        self.shared.work.notify_one();
        self.shared.wait_for(mark).map_err(|what| TierError { what, source: None })
    }

    fn stats(&self) -> TierStats {
        self.shared.inner.lock().stats()
    }

    fn usage(&self) -> Vec<Usage> {
        self.shared.inner.lock().index.usage()
    }

    fn watch(&self, watcher: Weak<dyn TierWatcher>) {
        self.shared.watchers.add(watcher);
    }
}

impl Drop for RedbTier {
    fn drop(&mut self) {
        self.close();
    }
}
