//! What a call costs that the attribute answers: `#[smart_cache]` beside `#[cached]`, both with a ttl.

use std::hint::black_box;

use cached::macros::{cached, concurrent_cached};
use smart_cache::smart_cache;

use super::side::{Side, measure, orders};
use crate::report::{Goal, Line, median_ratio, section};

const CALLS: usize = 500;
const ROUNDS: usize = 15;

#[smart_cache(ttl = 3600, max_entries = 1_000)]
fn ours(region: u32, year: u32) -> u64 {
    body(region, year)
}

#[cached(ttl_secs = 3600)]
fn unbounded(region: u32, year: u32) -> u64 {
    body(region, year)
}

#[cached(ttl_secs = 3600, max_size = 1_000)]
fn bounded(region: u32, year: u32) -> u64 {
    body(region, year)
}

#[concurrent_cached(ttl_secs = 3600, max_size = 1_000)]
fn sharded(region: u32, year: u32) -> u64 {
    body(region, year)
}

/// Never inlined: what is measured is that it does not run.
#[inline(never)]
fn body(region: u32, year: u32) -> u64 {
    black_box(u64::from(region) << 32 | u64::from(year))
}

/// Prints what calls cost.
pub(super) fn run() {
    section(
        &format!(
            "Attribute: a hit of a function (u32, u32) -> u64, {CALLS} results kept; ns a call, median of {ROUNDS} rounds"
        ),
        &["#[smart_cache(ttl, max_entries)]; #[cached(ttl_secs)] is unbounded, the others have a max_size"],
    );
    let mut sides = vec![
        Side::new("#[smart_cache]", |number| answer(ours, number)),
        Side::new("#[cached]", |number| answer(unbounded, number)),
        Side::new("#[cached], bounded", |number| answer(bounded, number)),
        Side::new("#[concurrent_cached]", |number| answer(sharded, number)),
    ];
    for threads in [1, 2] {
        measure(&mut sides, &orders(threads, |random| random.below(CALLS as u64) as usize), ROUNDS);
        report(&sides, threads);
    }
}

fn answer(function: impl Fn(u32, u32) -> u64, number: usize) -> u8 {
    function(number as u32, 2_025) as u8
}

fn report(sides: &[Side], threads: usize) {
    let ours = &sides[0];
    let what = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
    let nanos = |side: &Side| format!("{:.1} ns", side.nanos());
    let limit = if threads == 1 { Goal::AtMost(250.0, " ns") } else { Goal::None };
    Line::new(&what, nanos(ours)).print(ours.nanos(), limit);
    for peer in &sides[1..] {
        let faster = median_ratio(&peer.rounds, &ours.rounds);
        Line::new(format!("  {what}"), nanos(ours))
            .peer(peer.name, nanos(peer))
            .ratio(format!("{faster:.2}x faster"))
            .print(faster, Goal::AtLeast(1.0, "x"));
    }
}
