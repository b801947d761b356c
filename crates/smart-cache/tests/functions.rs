//! Cached functions as their users write them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use smart_cache::{global, smart_cache};

/// Counts the runs of a body.
struct Runs(AtomicU32);

impl Runs {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn a_function_runs_once_for_each_key() {
    static RUNS: Runs = Runs::new();
    #[smart_cache]
    fn joined(left: &str, right: &str) -> String {
        RUNS.count();
        format!("{left}{right}")
    }
    assert_eq!(joined("ab", "c"), "abc");
    assert_eq!(joined("a", "bc"), "abc");
    assert_eq!(RUNS.get(), 2, "what is joined differently is another key");
    assert_eq!(joined("ab", "c"), "abc");
    assert_eq!(RUNS.get(), 2);
    let stats = joined::stats();
    assert_eq!((stats.hits, stats.misses, stats.runs, stats.entries), (1, 2, 2, 2));
    assert!(stats.name.ends_with("functions::joined"), "{}", stats.name);
    assert_eq!(stats.hit_rate(), Some(1.0 / 3.0));
}

#[test]
fn errors_and_none_are_not_stored_unless_asked() {
    static RUNS: Runs = Runs::new();
    #[derive(Debug)]
    struct NotEvenClone;
    #[smart_cache]
    fn result(value: u32) -> Result<u32, NotEvenClone> {
        RUNS.count();
        if value > 1 { Ok(value) } else { Err(NotEvenClone) }
    }
    #[smart_cache]
    fn option(value: u32) -> Option<u32> {
        RUNS.count();
        (value > 1).then_some(value)
    }
    #[smart_cache]
    fn found(value: u32) -> Result<Option<u32>, NotEvenClone> {
        RUNS.count();
        Ok((value > 1).then_some(value))
    }
    #[smart_cache(store = ok)]
    fn looked_up(value: u32) -> Result<Option<u32>, NotEvenClone> {
        RUNS.count();
        if value > 0 { Ok(None) } else { Err(NotEvenClone) }
    }
    #[smart_cache(store = all)]
    fn everything(value: u32) -> Result<u32, String> {
        RUNS.count();
        Err(format!("not {value}"))
    }
    #[smart_cache]
    fn plain(value: u32) -> Vec<Option<u32>> {
        RUNS.count();
        vec![None, Some(value)]
    }
    #[track_caller]
    fn check<R>(function: impl Fn(u32) -> R, value: u32, runs: u32) {
        let before = RUNS.get();
        function(value);
        function(value);
        assert_eq!(RUNS.get() - before, runs);
    }
    // They share a counter, so they are checked one after the other.
    check(result, 2, 1);
    check(result, 1, 2);
    check(option, 2, 1);
    check(option, 1, 2);
    check(found, 2, 1);
    check(found, 1, 2);
    check(looked_up, 1, 1);
    check(looked_up, 0, 2);
    check(everything, 1, 1);
    check(plain, 1, 1);
    assert_eq!(result::stats().not_stored, 2);
    assert_eq!(everything(1).unwrap_err(), "not 1");
}

#[test]
fn the_functions_beside_it_see_and_change_its_cache() {
    static RUNS: Runs = Runs::new();
    #[smart_cache(ttl = "5m", max_entries = 10)]
    fn numbered(name: &str, _unit: char) -> Option<u32> {
        let run = RUNS.count();
        (name != "nobody").then_some(run)
    }
    assert!(numbered::peek("a", 'x').is_none());
    assert_eq!(numbered("a", 'x'), Some(1));
    let peek = numbered::peek("a", 'x').unwrap();
    assert_eq!(*peek.value(), 1);
    assert!(peek.remaining().as_secs() > 290 && peek.age().as_secs() < 10, "{peek:?}");
    assert_eq!(numbered::refresh("a", 'x'), Some(2));
    assert_eq!(numbered("a", 'x'), Some(2));
    numbered::invalidate("a", 'x').unwrap();
    assert!(numbered::peek("a", 'x').is_none());
    assert_eq!(numbered("a", 'x'), Some(3));
    assert_eq!(numbered("b", 'x'), Some(4));
    numbered::clear().unwrap();
    assert_eq!(numbered::stats().entries, 0);
    assert_eq!(numbered("a", 'x'), Some(5));
    assert_eq!(numbered::refresh("nobody", 'x'), None);
}

#[test]
fn a_key_is_what_it_is_said_to_be() {
    struct Connection(&'static str);
    static RUNS: Runs = Runs::new();
    #[smart_cache(skip(connection))]
    fn skipping(connection: &Connection, mut id: u32) -> String {
        RUNS.count();
        id += 1;
        format!("{} {id}", connection.0)
    }
    #[smart_cache(key = format!("{id}"))]
    fn keyed(connection: &Connection, id: u32) -> String {
        RUNS.count();
        format!("{} {id}", connection.0)
    }
    let (one, two) = (Connection("one"), Connection("two"));
    assert_eq!((skipping(&one, 1), skipping(&two, 1)), ("one 2".into(), "one 2".into()));
    assert_eq!((keyed(&one, 1), keyed(&two, 1)), ("one 1".into(), "one 1".into()));
    assert_eq!(RUNS.get(), 2);
    // What is not in the key need not be given to find an entry.
    assert!(skipping::peek(1).is_some() && keyed::peek(1).is_some());
    keyed::invalidate(1).unwrap();
    assert_eq!(keyed(&two, 1), "two 1");
}

#[test]
fn settings_are_those_of_one_function() {
    #[smart_cache(max_entries = 2)]
    fn small(value: u32) -> u32 {
        value
    }
    #[smart_cache(max_entries = 50)]
    fn large(value: u32) -> u32 {
        value
    }
    for value in 0..50 {
        assert_eq!((small(value), large(value)), (value, value));
    }
    assert!(small::stats().entries <= 2);
    assert_eq!(large::stats().entries, 50, "a cache holds as many as it says");
}

#[test]
fn tags_reach_all_functions_and_the_registry_knows_them() {
    static RUNS: Runs = Runs::new();
    #[smart_cache(tags("rates", "daily"))]
    fn rate(currency: &str) -> u32 {
        RUNS.count() + currency.len() as u32
    }
    #[smart_cache(tags = [format!("user:{id}"), "people".to_owned()])]
    fn user(id: u64) -> u32 {
        RUNS.count() + id as u32
    }
    #[smart_cache]
    fn untagged(id: u64) -> u64 {
        id
    }
    rate("EUR");
    assert_eq!(user(1) + user(2), user(1) + user(2));
    untagged(1);
    assert_eq!(user::peek(1).unwrap().tags().map(|tag| &**tag).collect::<Vec<_>>(), ["user:1", "people"]);
    global().invalidate_tag("user:1").unwrap();
    assert!(user::peek(1).is_none() && user::peek(2).is_some() && rate::peek("EUR").is_some());
    global().invalidate_tag("daily").unwrap();
    assert!(user::peek(2).is_some() && rate::peek("EUR").is_none());
    let names = global().names();
    for name in ["rate", "user", "untagged"] {
        assert!(names.iter().any(|known| known.ends_with(&format!("functions::{name}"))), "{name} in {names:?}");
    }
    assert!(names.is_sorted());
    let stats = global().stats();
    assert!(stats.functions.len() >= 3);
    assert!(stats.total().runs >= RUNS.get().into());
    assert_eq!(stats.total().hits, stats.functions.iter().map(|function| function.hits).sum::<u64>());
}

#[test]
fn a_thousand_callers_share_one_run() {
    static RUNS: Runs = Runs::new();
    #[smart_cache]
    fn slow(gate: &Gate) -> u32 {
        gate.wait(1_000 - 1);
        RUNS.count()
    }
    /// Opens when all the others wait for the run.
    struct Gate;
    impl Gate {
        fn wait(&self, others: u64) {
            while slow::stats().misses < others + 1 {
                thread::yield_now();
            }
        }
    }
    impl smart_cache::CacheKey for Gate {
        fn write(&self, _: &mut smart_cache::KeyWriter) {}
    }
    let results: Vec<u32> = thread::scope(|scope| {
        let spawn = || thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, || slow(&Gate)).unwrap();
        let callers: Vec<_> = (0..1_000).map(|_| spawn()).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(results.iter().all(|result| *result == 1));
    assert_eq!(RUNS.get(), 1);
    let stats = slow::stats();
    assert_eq!((stats.runs, stats.running), (1, 0));
}

#[test]
fn a_panic_reaches_its_caller_and_those_who_waited_run_the_body_themselves() {
    static RUNS: Runs = Runs::new();
    #[smart_cache(skip(barrier))]
    fn fragile(barrier: &Barrier) -> u32 {
        if RUNS.count() > 1 {
            return 7;
        }
        barrier.wait();
        // The other caller has missed, and goes on to wait for this run, or comes after it.
        while fragile::stats().misses < 2 {
            thread::yield_now();
        }
        panic!("the first run");
    }
    let barrier = Arc::new(Barrier::new(2));
    let first = {
        let barrier = Arc::clone(&barrier);
        thread::spawn(move || fragile(&barrier))
    };
    barrier.wait();
    assert_eq!(fragile(&barrier), 7);
    let panic = first.join().unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the first run"));
    let stats = fragile::stats();
    assert_eq!((stats.runs, stats.unfinished, stats.running), (2, 1, 0));
}

#[test]
fn a_call_after_an_invalidation_never_gets_a_result_from_before_it() {
    static RUNS: Runs = Runs::new();
    #[smart_cache(skip(gates))]
    fn value(gates: &(Barrier, Barrier)) -> u32 {
        let run = RUNS.count();
        if run == 1 {
            gates.0.wait();
            gates.1.wait();
        }
        run
    }
    let gates = Arc::new((Barrier::new(2), Barrier::new(2)));
    let early = {
        let gates = Arc::clone(&gates);
        thread::spawn(move || value(&gates))
    };
    gates.0.wait();
    value::invalidate().unwrap();
    assert_eq!(value(&gates), 2, "a run from before the invalidation is not joined");
    gates.1.wait();
    assert_eq!(early.join().unwrap(), 1, "who called before it gets what there is");
    assert_eq!(value(&gates), 2, "and that is not stored");
    assert_eq!(*value::peek().unwrap().value(), 2);
}

#[test]
fn a_function_may_call_itself_and_others() {
    #[smart_cache]
    fn fibonacci(n: u64) -> u64 {
        if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
    }
    #[smart_cache(key = fibonacci(n))]
    fn of_a_key(n: u64) -> u64 {
        n
    }
    assert_eq!(fibonacci(90), 2_880_067_194_370_816_120);
    assert_eq!(fibonacci::stats().runs, 91);
    assert_eq!((of_a_key(1), of_a_key(2)), (1, 1), "the key of a call may be the result of another one");
    static DEPTH: Runs = Runs::new();
    #[smart_cache]
    fn within_itself() -> u32 {
        if DEPTH.count() == 2 { 5 } else { within_itself() }
    }
    assert_eq!(within_itself(), 5, "a run does not wait for itself");
}

#[test]
fn what_has_no_key_is_called_and_not_stored() {
    use std::collections::HashMap;
    static RUNS: Runs = Runs::new();
    struct Unserializable;
    impl serde::Serialize for Unserializable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    #[smart_cache(key = smart_cache::Serialized(argument))]
    fn count(argument: &Unserializable) -> u32 {
        let _ = argument;
        RUNS.count()
    }
    assert_eq!((count(&Unserializable), count(&Unserializable)), (1, 2));
    assert!(count::peek(&Unserializable).is_none());
    count::invalidate(&Unserializable).unwrap();
    #[smart_cache(key = smart_cache::Serialized(&options))]
    fn sum(options: HashMap<String, u32>) -> u32 {
        options.values().sum()
    }
    let options = HashMap::from([("a".to_owned(), 1)]);
    assert_eq!((sum(options.clone()), sum(options)), (1, 1));
    assert_eq!(sum::stats().hits, 1);
}

mod elsewhere {
    use super::smart_cache;

    /// Its documentation stays where it is.
    #[smart_cache(ttl = 60)]
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "to see that the expectation is met in the body alone")]
    pub(super) fn total(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64) -> i128 {
        i128::from(a)
            + i128::from(b)
            + i128::from(c)
            + i128::from(d)
            + i128::from(e)
            + i128::from(f)
            + i128::from(g)
            + i128::from(h)
    }

    #[smart_cache]
    #[cfg(any())]
    pub(super) fn left_out() -> Missing {}

    #[smart_cache]
    pub(super) fn r#move(r#type: &str) -> usize {
        r#type.len()
    }

    #[smart_cache]
    pub(super) fn longest<'a>(left: &'a str, right: &'a str) -> Result<usize, std::borrow::Cow<'a, str>>
    where
        'static: 'a,
    {
        if left == right { Err(left.into()) } else { Ok(left.len().max(right.len())) }
    }
}

#[test]
fn functions_keep_their_visibility_attributes_and_lifetimes() {
    use elsewhere::total;
    assert_eq!(total(1, 2, 3, 4, 5, 6, 7, 8), 36);
    assert!(total::peek(1, 2, 3, 4, 5, 6, 7, 8).is_some());
    assert_eq!(elsewhere::r#move("abc"), 3);
    assert!(elsewhere::r#move::peek("abc").is_some());
    let text = "same".to_owned();
    assert_eq!(elsewhere::longest(&text, "other"), Ok(5));
    assert_eq!(elsewhere::longest(&text, &text).unwrap_err(), "same");
}

#[test]
fn arguments_may_be_called_as_generated_variables_are() {
    #[smart_cache(key = (key, cache, missed))]
    fn shadowed(key: u32, cache: u32, missed: u32, value: u32) -> u32 {
        key + cache + missed + value
    }
    assert_eq!(shadowed(1, 2, 3, 4), 10);
    assert_eq!(shadowed(1, 2, 3, 5), 10);
    assert_eq!(shadowed::refresh(1, 2, 3, 5), 11);
    assert!(shadowed::peek(1, 2, 3).is_some());
}
