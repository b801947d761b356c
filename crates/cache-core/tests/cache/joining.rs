//! Who may share a load: nobody for whom it began too early.

use std::convert::Infallible;
use std::sync::Arc;

use cache_core::{
    Departure, How, Item, Key, LoadContext, LoadError, LoadOptions, Namespace, Noted, Observer, Scope, Stored,
};

use crate::fixture::{Fixture, Gate, TTL, invalidate, key, number_item, ready, until};

type Tagged = std::pin::Pin<Box<dyn Future<Output = Result<Item<u64>, ()>> + Send>>;

/// A loader of a tagged number, once the gate is open.
fn tagged(gate: &Gate, number: u64) -> impl FnOnce(LoadContext) -> Tagged + Send + 'static {
    let gate = gate.clone();
    move |_| {
        Box::pin(async move {
            gate.pass().await;
            Ok(number_item(number).with_tags([Arc::from("red")]))
        })
    }
}

#[tokio::test]
async fn who_joins_after_the_invalidation_of_a_tag_is_not_given_what_began_before_it() {
    let fixture = Fixture::new();
    let (old, new) = (Gate::new(), Gate::new());
    let start = |gate: &Gate, number| {
        let (cache, loader) = (fixture.cache.clone(), tagged(gate, number));
        tokio::spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() })
    };
    let early = start(&old, 1);
    until(|| fixture.cache.stats().loading == 1).await;
    let companion = start(&new, 2);
    until(|| fixture.cache.stats().joined == 1).await;
    // Nobody knows yet that what is being loaded will have this tag.
    invalidate(&fixture.cache, Scope::Tag(Arc::from("red")));
    let late: Vec<_> = (3..6).map(|number| start(&new, number)).collect();
    until(|| fixture.cache.stats().joined == 4).await;
    old.open();
    let (early, companion) = (early.await.unwrap(), companion.await.unwrap());
    assert_eq!((*early.value(), early.stored()), (1, Stored::Invalidated), "it called before");
    assert_eq!((*companion.value(), companion.how()), (1, How::Joined), "so did who joined before");
    until(|| fixture.cache.stats().loading == 1).await;
    new.open();
    let mut values = Vec::new();
    for each in late {
        values.push(*each.await.unwrap().value());
    }
    assert!(values.iter().all(|value| *value == values[0] && *value >= 3), "{values:?}");
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.misses), (2, 5));
    assert_eq!(fixture.get(&key("a")), Some(values[0]));
}

#[tokio::test]
async fn another_tag_costs_nobody_a_second_load() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let start = |number| {
        let (cache, loader) = (fixture.cache.clone(), tagged(&gate, number));
        tokio::spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() })
    };
    let early = start(1);
    until(|| fixture.cache.stats().loading == 1).await;
    invalidate(&fixture.cache, Scope::Tag(Arc::from("blue")));
    let late = start(2);
    until(|| fixture.cache.stats().joined == 1).await;
    gate.open();
    assert_eq!((*early.await.unwrap().value(), *late.await.unwrap().value()), (1, 1));
    assert_eq!(fixture.cache.stats().loads, 1);
}

#[tokio::test]
async fn a_loader_that_notes_a_change_and_begins_again_is_stored_and_joined() {
    let fixture = Fixture::new();
    let space = Namespace::new("space");
    fixture.cache.note_fingerprint(&space, b"one").unwrap();
    let gate = Gate::new();
    let leader = tokio::spawn({
        let (cache, gate, space) = (fixture.cache.clone(), gate.clone(), space.clone());
        async move {
            let this = cache.clone();
            let load = move |context: LoadContext| async move {
                assert_eq!(this.note_fingerprint(&space, b"two").unwrap(), Noted::Changed);
                context.begin_again();
                gate.pass().await;
                Ok::<_, ()>(number_item(2))
            };
            cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap()
        }
    });
    until(|| fixture.cache.stamps().fingerprint(&space).as_deref() == Some(b"two")).await;
    let joiner = tokio::spawn({
        let cache = fixture.cache.clone();
        let load = |_| async { Ok::<_, ()>(number_item(3)) };
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap() }
    });
    until(|| fixture.cache.stats().joined == 1).await;
    gate.open();
    let (led, joined) = (leader.await.unwrap(), joiner.await.unwrap());
    assert_eq!((*led.value(), led.stored()), (2, Stored::Yes));
    assert_eq!((*joined.value(), joined.how()), (2, How::Joined));
    assert_eq!(fixture.get(&key("a")), Some(2), "and it is served");
}

#[tokio::test]
async fn a_loader_that_notes_a_change_and_goes_on_is_not_stored() {
    let fixture = Fixture::new();
    let (space, this) = (Namespace::new("space"), fixture.cache.clone());
    fixture.cache.note_fingerprint(&space, b"one").unwrap();
    let load = move |_| async move {
        this.note_fingerprint(&space, b"two").unwrap();
        Ok::<_, ()>(number_item(2))
    };
    let loaded = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap();
    assert_eq!((loaded.stored(), fixture.get(&key("a"))), (Stored::Invalidated, None));
}

/// Puts a dead entry where one has just left, and asks the cache for its figures: that takes every lock in turn.
struct Busybody {
    cache: std::sync::OnceLock<cache_core::Cache<u64>>,
    left: std::sync::atomic::AtomicU64,
}

impl Observer for Busybody {
    fn depart(&self, _: &str, name: &Key, _: u64, why: Departure) {
        let cache = self.cache.get().unwrap();
        assert!(cache.stats().loading < 2);
        if why == Departure::Invalidated && self.left.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 3 {
            assert_eq!(cache.insert(name, number_item(1)), Stored::Yes);
            invalidate(cache, Scope::All);
        }
    }
}

#[test]
fn an_observer_may_use_the_cache_that_it_observes() {
    let observer = Arc::new(Busybody { cache: Default::default(), left: Default::default() });
    let fixture = Fixture::with(|builder| builder.observer(Arc::clone(&observer) as Arc<dyn Observer>));
    observer.cache.set(fixture.cache.clone()).unwrap();
    fixture.insert(&key("a"), 1);
    invalidate(&fixture.cache, Scope::All);
    let (tell, told) = std::sync::mpsc::channel();
    // On a thread of its own: if it hung, this test would fail and not hang.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let loaded = runtime.block_on(fixture.load(&key("a"), 2));
        tell.send((*loaded.value(), loaded.stored())).unwrap();
    });
    let loaded = told.recv_timeout(TTL).expect("it does not wait for a lock that its own thread holds");
    assert_eq!(loaded, (2, Stored::Yes));
    assert!(observer.left.load(std::sync::atomic::Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn who_comes_after_an_invalidation_joins_a_load_that_has_not_begun() {
    let fixture = Fixture::new();
    let (gate, cache) = (Gate::new(), fixture.cache.clone());
    let waiting = gate.clone();
    let first = tokio::spawn(async move {
        let load = move |context: LoadContext| async move {
            context.postpone();
            waiting.pass().await;
            context.begin_again();
            Ok::<_, Infallible>(number_item(1))
        };
        cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap()
    });
    until(|| fixture.cache.stats().loading == 1).await;
    // The task has to come to its first line.
    tokio::task::yield_now().await;
    invalidate(&fixture.cache, Scope::All);
    let cache = fixture.cache.clone();
    let second = tokio::spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), ready(2)).await });
    until(|| fixture.cache.stats().joined == 1).await;
    gate.open();
    assert_eq!((*first.await.unwrap().value(), *second.await.unwrap().unwrap().value()), (1, 1));
    assert_eq!(fixture.get(&key("a")), Some(1), "it was stored: it began after the invalidation");
}

#[tokio::test]
async fn a_load_that_never_begins_has_no_value() {
    let fixture = Fixture::new();
    let load = |context: LoadContext| async move {
        context.postpone();
        Ok::<_, Infallible>(number_item(1))
    };
    let error = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap_err();
    assert!(matches!(error, LoadError::Lost), "{error}");
    assert_eq!(fixture.get(&key("a")), None);
}

#[tokio::test]
async fn a_delete_of_keys_keeps_what_is_made_later_of_older_values() {
    let fixture = Fixture::new();
    let table = fixture.cache.begin();
    invalidate(&fixture.cache, Scope::Key(key("a")));
    assert_eq!(fixture.cache.insert(&key("b"), number_item(1)), Stored::Yes);
    let load = move |_: LoadContext| async move { Ok::<_, Infallible>(number_item(2).with_origin(table)) };
    let loaded = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap();
    assert_eq!(loaded.stored(), Stored::Yes, "the load began after the delete");
    assert_eq!(fixture.cache.insert(&key("a"), number_item(3).with_origin(table)), Stored::Invalidated);
}
