//! Writers that stand still until a test lets them go on.

use std::sync::{Arc, Barrier};

use cache_core::{ByteTier, Meta, Payload, Write};

use crate::support::{key, meta};

/// Puts a record of ten bytes' weight with an encoding of the test's own.
pub(crate) fn put_encoded(tier: &dyn ByteTier, name: &str, encode: impl FnOnce() -> Option<Payload> + Send + 'static) {
    let meta = Meta { value_bytes: 1, ..meta() };
    tier.put(Write { key: key(name), began: meta.counter, meta, encode: Box::new(encode) });
}

/// Two ends of a gate: each waits until the other is there.
pub(crate) fn gate() -> (Arc<Barrier>, Arc<Barrier>) {
    let gate = Arc::new(Barrier::new(2));
    (Arc::clone(&gate), gate)
}

/// Waits until the writer has taken what was put.
pub(crate) fn wait_until_taken(tier: &dyn ByteTier) {
    while tier.stats().queued > 0 {
        std::thread::yield_now();
    }
}
