//! What a cache promises under every schedule that is tried: `cargo test -p cache-core --features shuttle --test
//! schedules`.
//!
//! Each test is a handful of threads that run thousands of times, every time in another interleaving: half of them at
//! random, half with few but well-placed preemptions (PCT). A failure prints the schedule that [`shuttle::replay`] takes.

mod world;

#[path = "../cache/tier.rs"]
#[expect(dead_code, reason = "the tests of behaviour use more of it")]
mod tier;

mod flights;
mod refreshes;
mod stamps;
mod stripes;
