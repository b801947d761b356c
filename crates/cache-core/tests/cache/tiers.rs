//! Memory and disk together: what goes where, what comes back, and who of the two is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::{
    ByteTier, Cache, Error, How, Item, LoadError, LoadOptions, MessagePack, Namespace, NotDurable, Persist,
    PersistError, Scope, Stamps, Stored, Tiers,
};

use crate::fixture::{BYTES, TTL, key, key_in, ready, until};
use crate::lives::Life;
use crate::tier::Disk;

#[test]
fn what_is_read_from_disk_is_in_memory_afterwards() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    assert_eq!(life.cache.entry(&key("a")).unwrap().tier, Tiers::Disk);
    assert!(life.cache.get(&key("a")).is_none(), "a look into memory alone stays there");
    assert_eq!(life.find(&key("a")), Some(1));
    assert_eq!(life.cache.entry(&key("a")).unwrap().tier, Tiers::Both);
    assert_eq!(life.cache.get(&key("a")).map(|hit| *hit.value()), Some(1));
    let stats = life.cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.disk_hits), (1, 2, 1));
}

#[test]
fn a_peek_tells_age_ttl_cost_tags_and_where_else_a_value_is() {
    let life = Life::new();
    let cost = Duration::from_millis(250);
    let item = || Item::new(7, BYTES).with_tags([Arc::from("red")]).with_cost(cost);
    life.cache.insert(&key("both"), item());
    life.cache.insert(&key("memory"), item().in_memory_only());
    life.clock.advance(TTL / 4);
    let before = life.cache.stats();
    for (name, tier) in [("both", Tiers::Both), ("memory", Tiers::Memory)] {
        let peek = life.cache.peek(&key(name)).unwrap();
        assert_eq!((*peek.value(), peek.age(), peek.remaining(), peek.cost()), (7, TTL / 4, TTL / 4 * 3, cost));
        assert_eq!((peek.tags().map(|tag| &**tag).collect::<Vec<_>>(), peek.tier()), (vec!["red"], tier), "{name}");
        assert!(format!("{peek:?}").contains(&format!("{tier:?}")));
        assert_eq!(peek.clone().into_value(), peek.into_hit().into_value());
    }
    life.disk.hold();
    life.insert(&key("both"), 8);
    assert_eq!(life.cache.peek(&key("both")).unwrap().tier(), Tiers::Memory, "what is on its way is not there yet");
    let after = life.cache.stats();
    assert_eq!((after.hits, after.misses), (before.hits, before.misses));
}

#[tokio::test]
async fn find_reads_the_disk_inside_a_runtime() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    assert_eq!(life.cache.find(&key("a")).await.map(|hit| *hit.value()), Some(1));
    assert!(life.cache.find(&key("b")).await.is_none());
}

#[test]
fn nothing_needs_a_runtime_but_a_load() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let all = async {
        assert_eq!(life.cache.find(&key("a")).await.map(|hit| *hit.value()), Some(1));
        life.cache.invalidate(Scope::All).await.unwrap();
        life.cache.flush().await.unwrap();
    };
    assert!(std::pin::pin!(all).poll(&mut context).is_ready());
    assert_eq!(life.find(&key("a")), None);
}

#[test]
fn what_is_kept_in_memory_alone_leaves_nothing_on_disk() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    assert_eq!(life.cache.insert(&key("a"), Item::new(2, BYTES).in_memory_only()), Stored::Yes);
    assert_eq!((life.find(&key("a")), life.disk.len()), (Some(2), 0));
    assert_eq!(life.crash().find(&key("a")), None, "not even the value before it");
}

#[tokio::test]
async fn a_call_may_keep_its_value_off_the_disk() {
    let life = Life::new();
    let options = LoadOptions { persist: Some(false), ..LoadOptions::default() };
    life.cache.try_get_or_load(&key("a"), options, ready(1)).await.unwrap();
    assert_eq!(life.disk.len(), 0);
    life.cache.try_get_or_load(&key("b"), LoadOptions::default(), ready(1)).await.unwrap();
    assert_eq!(life.disk.len(), 1);
}

#[test]
fn what_is_too_large_takes_its_predecessor_off_the_disk_too() {
    let life = Life::with(|builder| builder.max_entry_bytes(5_000));
    life.insert(&key("a"), 1);
    assert_eq!(life.cache.insert(&key("a"), Item::new(2, 5_000)), Stored::TooLarge);
    assert_eq!((life.find(&key("a")), life.disk.len()), (None, 0));
}

#[test]
fn what_cannot_be_decoded_is_a_miss_and_reported() {
    for damage in [
        (|payload| payload.bytes.clear()) as fn(&mut cache_core::Payload),
        |payload| payload.bytes.push(0),
        |payload| payload.bytes = vec![0xc1],
        |payload| payload.plain_bytes += 1,
        |payload| payload.codec = cache_core::Codec::Zstd,
    ] {
        let life = Life::new();
        life.insert(&key("a"), 77_777);
        life.forget(&key("a"));
        life.disk.damage(damage);
        assert_eq!(life.find(&key("a")), None);
        assert_eq!((life.disk.corrupt(), life.disk.len()), (1, 0));
    }
}

/// Panics over odd numbers, on their way in or out.
struct Fragile {
    writing: bool,
}

impl Persist<u64> for Fragile {
    fn layout(&self) -> u64 {
        1
    }

    fn weight(&self, _: &u64) -> u64 {
        BYTES
    }

    fn encode(&self, value: &u64) -> Result<Vec<u8>, PersistError> {
        assert!(!self.writing || value.is_multiple_of(2), "on purpose");
        Ok(value.to_le_bytes().to_vec())
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<u64, PersistError> {
        let value = u64::from_le_bytes(bytes.as_slice().try_into()?);
        assert!(self.writing || value.is_multiple_of(2), "on purpose");
        Ok(value)
    }
}

#[test]
fn a_panic_over_a_value_harms_that_value_alone() {
    let life = Life::with(|builder| builder.persist(Fragile { writing: true }));
    life.insert(&key("a"), 1);
    life.insert(&key("b"), 2);
    assert_eq!(life.disk.len(), 1, "what cannot be encoded is kept in memory alone");
    assert_eq!((life.find(&key("a")), life.find(&key("b"))), (Some(1), Some(2)));

    let life = Life::with(|builder| builder.persist(Fragile { writing: false }));
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    assert_eq!((life.find(&key("a")), life.disk.corrupt()), (None, 1));
}

#[track_caller]
fn check_not_durable(scope: Scope) {
    let life = Life::new();
    let names = [key_in("one", "abc"), key_in("two", "xyz")];
    for name in &names {
        life.insert_tagged(name, 1, "red");
    }
    life.disk.fail(true);
    let error: NotDurable = life.cache.invalidate_blocking(&scope).unwrap_err();
    assert!(error.stamp > 0 && error.to_string().contains("durable"));
    assert_eq!(life.find(&names[0]), None, "memory obeys, {scope:?}");
    assert!(life.disk.abandoned() > 0, "the disk is given up, {scope:?}");
    life.disk.fail(false);
    let life = life.crash();
    assert_eq!((life.find(&names[0]), life.find(&names[1])), (None, None), "{scope:?}");
    life.insert(&names[0], 2);
    assert_eq!(life.crash().find(&names[0]), Some(2), "and it is of use again, {scope:?}");
}

#[test]
fn an_invalidation_that_cannot_be_kept_gives_the_disk_up() {
    check_not_durable(Scope::All);
    check_not_durable(Scope::Namespace(Namespace::new("one")));
    check_not_durable(Scope::Tag(Arc::from("red")));
    check_not_durable(Scope::Key(key_in("one", "abc")));
    check_not_durable(Scope::Versions(key_in("one", "abc")));
    check_not_durable(Scope::Prefix { namespace: Namespace::new("one"), prefix: Arc::from(*b"ab") });
}

/// A record is read from disk; before it has come into memory, this happens.
fn while_it_is_read(happens: impl Fn(&Cache<u64>) + Send + Sync + 'static) -> (Life, Option<u64>) {
    let life = Life::with(|builder| builder.max_entry_bytes(5_000));
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    life.clock.advance(Duration::from_secs(1));
    let (cache, disk, once) = (life.cache.clone(), life.disk.clone(), AtomicBool::new(false));
    disk.after_get(Some(Arc::new(move || {
        if !once.swap(true, Ordering::SeqCst) {
            happens(&cache);
        }
    })));
    let found = life.find(&key("a"));
    life.disk.after_get(None);
    (life, found)
}

#[test]
fn what_has_been_replaced_or_deleted_meanwhile_does_not_come_back_from_disk() {
    let (life, found) = while_it_is_read(|cache| {
        cache.insert(&key("a"), Item::new(2, BYTES));
    });
    assert_eq!(found, Some(2), "a newer one is there");
    assert_eq!(life.find(&key("a")), Some(2));

    let (life, found) = while_it_is_read(|cache| {
        assert_eq!(cache.insert(&key("a"), Item::new(2, 5_000)), Stored::TooLarge);
    });
    assert_eq!((found, life.find(&key("a"))), (None, None), "the newer one could not be kept");

    let (life, found) = while_it_is_read(|cache| {
        cache.insert(&key("a"), Item::new(2, BYTES).in_memory_only());
        cache.release(key("a").namespace());
    });
    assert_eq!((found, life.find(&key("a"))), (None, None), "the newer one has left again");

    for scope in [
        Scope::All,
        Scope::Key(key("a")),
        Scope::Prefix { namespace: key("a").namespace().clone(), prefix: Arc::from(*b"a") },
    ] {
        let (life, found) = while_it_is_read(move |cache| {
            cache.invalidate_blocking(&scope).unwrap();
        });
        assert_eq!((found, life.find(&key("a"))), (None, None));
    }
}

#[tokio::test]
async fn a_disk_that_does_not_answer_costs_no_more_than_the_load_time_out() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    life.disk.before_get(Some(Arc::new(move || gate.lock().unwrap().recv().unwrap_or_default())));
    let options = LoadOptions { timeout: Some(Duration::from_millis(1)), ..LoadOptions::default() };
    let load = |_| async { Ok::<_, ()>(Item::new(2, BYTES)) };
    let name = key("a");
    // Without a time-out it would wait for the gate, which is never opened.
    let loaded = tokio::time::timeout(TTL, life.cache.try_get_or_load(&name, options, load)).await;
    drop(go);
    let loaded = loaded.expect("the disk is not waited for").unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (2, How::Led));
}

#[tokio::test(start_paused = true)]
async fn a_load_and_the_look_on_disk_before_it_have_one_time_out() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let (looks, loads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (looking, loading) = (Arc::clone(&looks), Arc::clone(&loads));
    life.disk.before_get(Some(Arc::new(move || {
        looking.store(true, Ordering::SeqCst);
        gate.lock().unwrap().recv().unwrap_or_default();
    })));
    let timeout = Duration::from_secs(10);
    let call = tokio::spawn({
        let cache = life.cache.clone();
        let load = move |_| async move {
            loading.store(true, Ordering::SeqCst);
            std::future::pending::<Result<Item<u64>, ()>>().await
        };
        let options = LoadOptions { timeout: Some(timeout), ..LoadOptions::default() };
        async move { cache.try_get_or_load(&key("a"), options, load).await }
    });
    until(|| looks.load(Ordering::SeqCst)).await;
    tokio::time::advance(timeout / 2).await;
    until(|| loads.load(Ordering::SeqCst)).await;
    // A little more than is left: the load began a moment after the clock was stopped.
    tokio::time::advance(timeout / 2 + Duration::from_secs(1)).await;
    until(|| call.is_finished()).await;
    drop(go);
    assert!(matches!(call.await.unwrap(), Err(LoadError::TimedOut { after }) if after == timeout));
}

#[tokio::test]
async fn flush_and_close_write_what_waits() {
    let life = Life::new();
    life.disk.hold();
    life.insert(&key("a"), 1);
    assert_eq!((life.disk.len(), life.disk.waiting()), (0, 1));
    assert_eq!(life.find(&key("a")), Some(1), "memory has it all the while");
    life.cache.flush().await.unwrap();
    assert_eq!((life.disk.len(), life.disk.waiting()), (1, 0));
    life.insert(&key("b"), 2);
    life.cache.clone().close().await.unwrap();
    assert_eq!(life.disk.len(), 2);
    let life = life.crash();
    assert_eq!((life.find(&key("a")), life.find(&key("b"))), (Some(1), Some(2)));
}

#[test]
fn what_goes_out_of_date_while_it_waits_is_not_written() {
    let life = Life::new();
    for scope in [Scope::Namespace(key("a").namespace().clone()), Scope::Tag(Arc::from("red")), Scope::All] {
        life.disk.hold();
        life.insert_tagged(&key("a"), 1, "red");
        life.insert_tagged(&key("b"), 2, "red");
        life.invalidate(scope.clone());
        life.disk.release();
        assert_eq!(life.disk.len(), 0, "{scope:?}");
    }
    life.disk.hold();
    life.insert(&key("a"), 1);
    life.clock.advance(TTL);
    life.disk.release();
    assert_eq!(life.disk.len(), 0);
}

#[test]
fn a_tier_needs_stamps_that_it_keeps_itself_and_a_way_to_make_bytes() {
    let (disk, other) = (Disk::default(), Disk::default());
    let build = |stamps: Option<Arc<Stamps>>, tier: &Arc<dyn ByteTier>, persist: bool| {
        let mut builder = Cache::<u64>::builder("numbers").tier(Arc::clone(tier));
        if let Some(stamps) = stamps {
            builder = builder.stamps(stamps);
        }
        if persist {
            builder = builder.persist(MessagePack::new());
        }
        builder.build()
    };
    let (tier, other) = (disk.open(), other.open());
    assert!(build(None, &tier, true).unwrap().stamps().is_durable());
    assert!(build(Some(Arc::new(Stamps::durable(Arc::clone(&tier)))), &tier, true).is_ok());
    assert!(matches!(build(Some(Arc::default()), &tier, true), Err(Error::StampsNotDurable)));
    let elsewhere = Some(Arc::new(Stamps::durable(other)));
    assert!(matches!(build(elsewhere, &tier, true), Err(Error::StampsNotDurable)), "durable in another tier");
    assert!(matches!(build(None, &tier, false), Err(Error::NoPersist)));
}

#[test]
fn an_invalidation_is_done_though_its_runtime_is_going_away() {
    let elsewhere = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let disk = Disk::default();
    let cache = Cache::<u64>::builder("numbers")
        .persist(MessagePack::new())
        .tier(disk.open())
        .runtime(elsewhere.handle().clone())
        .build()
        .unwrap();
    cache.insert(&key("a"), Item::new(1, BYTES));
    elsewhere.shutdown_background();
    let here = tokio::runtime::Builder::new_current_thread().build().unwrap();
    here.block_on(cache.invalidate(Scope::All)).unwrap();
    assert!(cache.get(&key("a")).is_none());
}

/// A value is made, after this, of something from before it: what the next process finds of it.
async fn made_after(scope: Scope, was_there: bool) -> Option<u64> {
    let life = Life::new();
    if was_there {
        life.insert(&key("abc"), 1);
    }
    let table = life.cache.begin();
    life.invalidate(scope);
    let make = move |_| async move { Ok::<_, ()>(Item::new(2, BYTES).with_origin(table)) };
    let made = life.cache.try_get_or_load(&key("abc"), LoadOptions::default(), make).await.unwrap();
    let kept = (made.stored() == Stored::Yes).then_some(2);
    life.forget(&key("abc"));
    assert_eq!(life.find(&key("abc")), kept, "the disk keeps what memory does");
    life.crash().find(&key("abc"))
}

#[tokio::test]
async fn what_is_made_after_a_delete_of_what_is_older_is_kept_on_disk_too() {
    let namespace = key("abc").namespace().clone();
    let prefix = |prefix: &[u8]| Scope::Prefix { namespace: namespace.clone(), prefix: prefix.into() };
    for scope in [Scope::Key(key("abc")), Scope::Versions(key("abc")), prefix(b"a"), prefix(b"")] {
        assert_eq!(made_after(scope.clone(), true).await, Some(2), "{scope:?}");
        assert_eq!(made_after(scope.clone(), false).await, Some(2), "{scope:?}");
    }
    for scope in [Scope::Key(key("neighbour")), prefix(b"x")] {
        assert_eq!(made_after(scope.clone(), false).await, Some(2), "{scope:?}");
    }
    for scope in [Scope::All, Scope::Namespace(namespace.clone())] {
        assert_eq!(made_after(scope.clone(), true).await, None, "{scope:?}");
    }
}
