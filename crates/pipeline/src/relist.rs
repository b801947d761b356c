//! Whether a source offers other datasets than before: a file that came into a folder, one that left, one that could
//! not be read and was mended.
//!
//! Each source is asked for its list at its `check_interval`, beside the requests. Only if the list has changed, or the
//! data behind a dataset that could not be served, is the source asked for everything again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_sdk::{CancelToken, Context, Fingerprint};

use crate::catalog::{Offers, SourceHandle};
use crate::data_pipeline::DataPipeline;

/// How often it is looked which sources are due.
const EVERY: Duration = Duration::from_secs(1);
/// How long a source may take to say its list.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is known of the lists, from look to look. By the sources' identities.
#[derive(Default)]
pub(crate) struct Lists {
    looks: HashMap<Arc<str>, Look>,
    looked: Option<Instant>,
}

struct Look {
    began: Instant,
    /// What the data behind datasets that cannot be served looked like.
    broken: Arc<parking_lot::Mutex<HashMap<String, Fingerprint>>>,
    /// Gone when the look has ended.
    under_way: std::sync::Weak<()>,
}

impl Lists {
    /// Begins to look at the sources that are due, at each once at a time.
    pub(crate) fn look(&mut self, pipeline: &DataPipeline) {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let serving = pipeline.inner.registry.serving();
        self.looks.retain(|identity, _| serving.iter().any(|(handle, _)| handle.identity == *identity));
        for (handle, offers) in serving {
            let interval = pipeline.inner.registry.check_interval(&handle);
            let look = self.looks.entry(Arc::clone(&handle.identity)).or_insert_with(|| Look {
                began: Instant::now(),
                broken: Arc::default(),
                under_way: std::sync::Weak::new(),
            });
            if interval.is_zero() || look.began.elapsed() < interval || look.under_way.strong_count() > 0 {
                continue;
            }
            let (token, broken) = (Arc::new(()), Arc::clone(&look.broken));
            (look.began, look.under_way) = (Instant::now(), Arc::downgrade(&token));
            let pipeline = pipeline.clone();
            tokio::task::spawn_blocking(move || {
                let _held = token;
                if has_changed(&handle, &offers, &broken) {
                    tracing::info!(source = %handle.name, "source '{}' offers other datasets than before: it is asked again", handle.name);
                    pipeline.inner.registry.ask_again(&handle);
                }
            });
        }
    }
}

/// Whether the source says another list than `offers`, or the data of one that cannot be served has changed.
fn has_changed(
    handle: &SourceHandle,
    offers: &Offers,
    broken: &parking_lot::Mutex<HashMap<String, Fingerprint>>,
) -> bool {
    let context = || Context::detached("check", Some(Instant::now() + TIMEOUT), CancelToken::new());
    let Ok(listed) = handle.source.datasets(&context()) else { return false };
    let known = offers.iter().map(|offered| (&*offered.name, &*offered.description));
    let now = listed.iter().map(|offered| (&*offered.name, &*offered.description));
    if !known.eq(now) {
        return true;
    }
    let mut changed = false;
    for offered in offers.iter().filter(|offered| offered.schema.is_err()) {
        let Ok(fingerprint) = handle.source.fingerprint(&context(), &offered.name) else { continue };
        let before = broken.lock().insert(offered.name.clone(), fingerprint);
        // Without a look before, it may have been mended since the source was asked.
        changed |= before.is_none_or(|before| before != fingerprint);
    }
    changed
}
