//! Which datasets were too large for a table: known over restarts, so that the first request of a new process does not
//! begin a load that must fail. A mark goes when the data changes, as all that is kept of a dataset does; it says nothing
//! once the dataset may be larger.

use std::sync::Arc;

use cache_core::{ByteTier, Cache, Item, Key, MessagePack, Scope, Stamps};
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::Error;

/// Enough for thousands of marks.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct TooLarge {
    /// The bytes that it had been allowed.
    max_bytes: u64,
}

pub(crate) struct Marks(Cache<TooLarge>);

impl Marks {
    pub(crate) fn new(stamps: &Arc<Stamps>, tier: Option<&Arc<dyn ByteTier>>) -> Result<Self, cache_core::Error> {
        let marks = Cache::builder("marks").max_bytes(MAX_BYTES).stamps(Arc::clone(stamps));
        let marks = marks.persist(MessagePack::<TooLarge>::new());
        Ok(Self(tier.into_iter().fold(marks, |marks, tier| marks.tier(Arc::clone(tier))).build()?))
    }

    pub(crate) async fn is_too_large(&self, dataset: &Dataset) -> bool {
        let mark = self.0.find(&key(dataset)).await;
        mark.is_some_and(|mark| mark.value().max_bytes >= dataset.policy.max_bytes)
    }

    pub(crate) fn set_too_large(&self, dataset: &Dataset) {
        let mark = TooLarge { max_bytes: dataset.policy.max_bytes };
        let mark = Item::new(mark, 0).with_ttl(dataset.policy.ttl).with_tags(dataset.item_tags());
        self.0.insert(&key(dataset), if dataset.policy.persist { mark } else { mark.in_memory_only() });
    }

    /// It may fit now.
    ///
    /// # Errors
    /// The mark is gone, and may be back after a restart.
    pub(crate) async fn clear(&self, dataset: &Dataset) -> Result<(), Error> {
        if self.0.find(&key(dataset)).await.is_some() {
            self.0.invalidate(Scope::Key(key(dataset))).await?;
        }
        Ok(())
    }
}

fn key(dataset: &Dataset) -> Key {
    Key::new(&dataset.namespace, b"too large")
}
