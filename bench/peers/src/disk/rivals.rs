//! The peers on disk: the redb store of `cached`, and python-diskcache in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use cached::{ConcurrentCached as _, RedbCache};
use serde_bytes::ByteBuf;

use super::place::Place;
use super::values::Values;
use crate::report::median;

const TTL: Duration = Duration::from_secs(3600);

/// What a peer reached.
pub(super) struct Figures {
    pub(super) inserts_per_second: f64,
    pub(super) hit_micros: f64,
}

/// When the redb store of `cached` syncs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncs {
    /// At each insert: its default.
    Each,
    /// Once, after the last.
    Once,
}

/// Inserts `count` values, then asks for `asked`.
pub(super) fn cached(values: &Values, count: usize, asked: &[usize], syncs: Syncs) -> anyhow::Result<Figures> {
    let place = Place::new()?;
    let open = || {
        RedbCache::<String, ByteBuf>::builder("bench")
            .ttl(TTL)
            .disk_dir(place.path())
            .durable(syncs == Syncs::Each)
            .build()
            .context("open the store of `cached`")
    };
    let store = open()?;
    let began = Instant::now();
    for number in 0..count {
        store.cache_set(key(number), values.get(number)).context("insert into the store of `cached`")?;
    }
    store.flush().context("flush the store of `cached`")?;
    let inserts_per_second = count as f64 / began.elapsed().as_secs_f64();
    drop(store);

    let store = open()?;
    let mut micros = Vec::with_capacity(asked.len());
    for number in asked {
        let began = Instant::now();
        let found = store.cache_get(&key(*number)).context("read the store of `cached`")?;
        micros.push(began.elapsed().as_nanos() as f64 / 1e3);
        ensure!(found.as_ref() == Some(&values.get(*number)), "read the store of `cached`: it has another value");
    }
    Ok(Figures { inserts_per_second, hit_micros: median(&micros) })
}

fn key(number: usize) -> String {
    format!("key-{number}")
}

/// The script, run with a Python that has diskcache.
pub(super) struct Diskcache {
    python: PathBuf,
}

impl Diskcache {
    pub(super) fn new(python: &Path) -> Self {
        Self { python: python.to_path_buf() }
    }

    pub(super) fn measure(&self, count: usize, value_bytes: usize) -> anyhow::Result<Figures> {
        let place = Place::new()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("diskcache_bench.py");
        let output = Command::new(&self.python)
            .arg(script)
            .arg(place.path())
            .args([count.to_string(), value_bytes.to_string()])
            .output()
            .context("start python")?;
        if !output.status.success() {
            bail!("measure diskcache: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let figure = |name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\": ")).context("read diskcache's figures")?;
            let digits = rest.split([',', '}']).next().unwrap_or_default();
            digits.trim().parse::<f64>().context("read diskcache's figures")
        };
        Ok(Figures { inserts_per_second: figure("inserts_per_second")?, hit_micros: figure("hit_micros")? })
    }
}
