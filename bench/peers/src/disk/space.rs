//! What values take on disk: the blocks that the file system has given, for each byte of payload.

use super::place::Place;
use super::store::Store;
use super::values::Values;
use crate::random::Random;
use crate::report::{Goal, Line, section};
use serde_bytes::ByteBuf;

/// Prints the ratios.
pub(super) fn run() -> anyhow::Result<()> {
    section(
        "Space: blocks allocated for each byte of payload, incompressible, the cache open and flushed",
        &["rewritten: every value stored again, in another order, over the old one"],
    );
    let values = Values::new(4_096);
    let small: Vec<ByteBuf> = (0..10_000).map(|number| values.get(number)).collect();
    measure("values of 4 KiB", &small, 2.2)?;
    measure("values of 1 KiB to 1 MiB, log-uniform", &mixed(500), 1.6)
}

/// Values of sizes from 1 KiB to 1 MiB, each doubling as likely as any other.
fn mixed(count: usize) -> Vec<ByteBuf> {
    let mut random = Random::new(10);
    (0..count)
        .map(|_| {
            let bytes = 1_024.0 * (random.unit() * 10.0).exp2();
            ByteBuf::from(random.bytes(bytes as usize))
        })
        .collect()
}

fn measure(what: &str, values: &[ByteBuf], goal: f64) -> anyhow::Result<()> {
    let payload: usize = values.iter().map(|value| value.len()).sum();
    let place = Place::new()?;
    let store = Store::open(&place)?;
    store.fill(values.iter().cloned().enumerate())?;
    let report = |what: String, goal: Goal| -> anyhow::Result<()> {
        let ratio = place.allocated()? as f64 / payload as f64;
        Line::new(what, format!("{ratio:.2}x of {:.0} MB", payload as f64 / 1e6)).print(ratio, goal);
        Ok(())
    };
    report(what.to_owned(), Goal::AtMost(goal, "x"))?;
    // A stride without a common factor with the count meets every value once.
    let order = (0..values.len()).map(|step| step * 7_919 % values.len());
    store.fill(order.map(|number| (number, values[number].clone())))?;
    report("  rewritten".to_owned(), Goal::None)
}
