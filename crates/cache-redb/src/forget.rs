//! Giving up what a directory has, without opening it: for whoever goes on without a tier. Invalidations of that time
//! are written nowhere, so what an earlier tier has left must not be served by a later one.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::Error;
use crate::lock::DirLock;
use crate::log::media::LogFile;

/// Sees to it that the next tier of a directory starts empty. A database without its log is not believed, so the log
/// goes; that is possible on a full disk too. Nothing is made where nothing is.
///
/// # Errors
/// [`Error::Held`] if a process has the directory; [`Error::Io`] if what is there cannot be removed: a later tier may
/// serve it.
pub fn forget(dir: &Path) -> Result<(), Error> {
    let log = dir.join(LogFile::NAME);
    match fs::symlink_metadata(&log) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(source) => return Err(Error::Io { what: "look for an earlier cache", source }),
    }
    let _lock = DirLock::make(dir)?;
    fs::remove_file(&log).map_err(Error::io("remove the invalidations of an earlier cache"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("remove an earlier cache for good"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cache_core::{ByteTier, Codec, Meta, Payload, RecordKey, Write};

    use super::*;
    use crate::{RedbTier, TierOptions};

    #[test]
    fn what_is_forgotten_is_not_served_by_a_later_tier() {
        let dir = tempfile::tempdir().unwrap();
        let key = RecordKey { cache: "c".into(), namespace: "n".into(), bytes: (*b"k").into(), version: 0 };
        let tier = RedbTier::open(dir.path(), TierOptions::default()).unwrap();
        let far = u64::MAX / 4;
        let meta = Meta {
            layout: 1,
            loaded_at_ms: 1,
            expires_ms: far,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            counter: tier.restored().first_counter(),
            cost_us: 0,
            value_bytes: 1,
            tags: Vec::new(),
        };
        let payload = Payload { codec: Codec::None, plain_bytes: 1, bytes: vec![7] };
        tier.put(Write { key: key.clone(), began: meta.counter, meta, encode: Box::new(|| Some(payload)) });
        tier.flush().unwrap();
        assert!(matches!(forget(dir.path()), Err(Error::Held)));
        assert!(tier.get(&key).is_some());
        drop(Arc::into_inner(tier));
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert!(RedbTier::open(dir.path(), TierOptions::default()).unwrap().get(&key).is_none());
        forget(&dir.path().join("nowhere")).unwrap();
        assert!(!dir.path().join("nowhere").exists());
    }
}
