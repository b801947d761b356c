//! What reaches all functions of a process, in a process of its own.

use smart_cache::{Error, Persistence, global, persist_in, smart_cache};

#[smart_cache]
fn first(value: u32) -> u32 {
    value
}

#[smart_cache(persist = true)]
fn second(value: u32) -> Option<u32> {
    Some(value)
}

#[test]
fn everything_can_be_seen_and_cleared_at_once() {
    let folder = tempfile::tempdir().unwrap();
    persist_in(folder.path()).unwrap();
    assert!(global().names().is_empty(), "functions are known from their first call on");
    assert_eq!((first(1), first(1), second(2)), (1, 1, Some(2)));
    assert_eq!(
        global().names().iter().map(|name| &**name).collect::<Vec<_>>(),
        ["registry::first", "registry::second"]
    );
    let total = global().stats().total();
    assert_eq!((total.hits, total.misses, total.runs, total.entries), (1, 2, 2, 2));
    global().clear().unwrap();
    assert!(first::peek(1).is_none() && second::peek(2).is_none());
    assert_eq!(global().stats().total().entries, 0);
    assert_eq!(second::stats().persistence, Persistence::Tier);
    assert!(matches!(persist_in(folder.path()), Err(Error::TierGiven)));
    assert_eq!(first::stats().persistence, Persistence::Off);
}
