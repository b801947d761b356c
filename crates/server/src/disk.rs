//! The disk tier of a server: open, switched off, or out of reach with the reason.
//!
//! A folder that cannot be used (read-only, no space, no rights) makes a server that keeps everything in memory and says
//! so. A folder that another process holds is a mistake, and no server is started.

use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use anyhow::Context;
use cache_core::{ByteTier, Stamps, Usage};
use cache_redb::{RedbTier, TierOptions};

use crate::config::Config;
use crate::http::dto::DiskFigures;
use crate::http::figures;

/// The least that may wait to be written, in bytes.
const QUEUE_BYTES: u64 = 64 << 20;

/// The disk tier, or why there is none.
pub enum Disk {
    /// In use.
    Open(Arc<RedbTier>),
    /// Not wanted.
    Off {
        /// What an earlier server has left and cannot be removed, which a later one may serve: why not.
        left: Option<String>,
    },
    /// Wanted, and it cannot be had.
    Unusable {
        /// Why, without paths.
        reason: String,
        /// As for [`Disk::Off`].
        left: Option<String>,
    },
}

impl Disk {
    /// Opens the folder of the settings, if one is wanted.
    ///
    /// # Errors
    /// Another process holds it.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        if !config.persist {
            return Ok(Self::Off { left: forget(config) });
        }
        match open(config) {
            Ok(tier) => Ok(Self::Open(tier)),
            Err(error @ cache_redb::Error::Held) => {
                Err(error).with_context(|| format!("use the cache folder '{}'", config.cache_dir.display()))
            }
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::warn!(
                    folder = %config.cache_dir.display(),
                    "degraded: the cache is kept in memory alone, because '{}' cannot be used: {error:#}",
                    config.cache_dir.display()
                );
                Ok(Self::Unusable { reason: format!("{error:#}"), left: forget(config) })
            }
        }
    }

    /// The tier, while there is one.
    pub fn tier(&self) -> Option<&Arc<RedbTier>> {
        match self {
            Self::Open(tier) => Some(tier),
            _ => None,
        }
    }

    /// The tier, for caches.
    pub fn bytes(&self) -> Option<Arc<dyn ByteTier>> {
        self.tier().map(|tier| Arc::clone(tier) as Arc<dyn ByteTier>)
    }

    /// The invalidations of the caches that stand on it.
    pub fn stamps(&self) -> Stamps {
        self.bytes().map_or_else(Stamps::new, Stamps::durable)
    }

    /// Why invalidations may not outlive the process; `None` if they do, or there is nothing for them to outlive.
    pub fn not_durable(&self) -> Option<&str> {
        match self {
            Self::Open(_) => None,
            Self::Off { left } | Self::Unusable { left, .. } => left.as_deref(),
        }
    }

    /// Its figures; `None` when it is switched off.
    pub fn figures(&self, max_bytes: u64) -> Option<DiskFigures> {
        match self {
            Self::Open(tier) => Some(figures::of_tier(tier.stats(), max_bytes)),
            Self::Off { .. } => None,
            Self::Unusable { reason, .. } => {
                Some(DiskFigures { max_bytes, degraded: Some(reason.clone()), ..DiskFigures::default() })
            }
        }
    }

    /// What each namespace takes.
    pub fn usage(&self) -> Vec<Usage> {
        self.tier().map(|tier| tier.usage()).unwrap_or_default()
    }
}

/// Gives up what an earlier server has left, because this one's invalidations would not reach it. Says why if it cannot.
fn forget(config: &Config) -> Option<String> {
    let error = anyhow::Error::from(cache_redb::forget(&config.cache_dir).err()?);
    tracing::warn!(
        folder = %config.cache_dir.display(),
        "what an earlier server has left in '{}' cannot be removed, so invalidations may not outlive this one: {error:#}",
        config.cache_dir.display()
    );
    Some(format!("{error:#}"))
}

/// Opens the cache folder of the settings, which is made if need be.
///
/// # Errors
/// Another process holds it, or it cannot be used.
pub(crate) fn open(config: &Config) -> Result<Arc<RedbTier>, cache_redb::Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.cache_dir)
        .map_err(|source| cache_redb::Error::Io { what: "make the cache folder", source })?;
    let largest = config.datasets.values().filter_map(|policy| policy.max_bytes).map(|size| size.as_u64()).max();
    let largest = largest.unwrap_or_default().max(config.policy.max_bytes);
    RedbTier::open(
        &config.cache_dir,
        // A table that is larger than the queue would never reach the disk.
        TierOptions {
            max_bytes: config.disk_max_bytes,
            queue_bytes: QUEUE_BYTES.max(largest),
            ..TierOptions::default()
        },
    )
}
