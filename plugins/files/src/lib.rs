//! Data source: CSV, JSON, NDJSON, Parquet and Arrow IPC files below a folder.
//!
//! [`catalog`] tells which datasets there are, [`table`] what one consists of, [`scan`] reads it through
//! one of the [`format`](mod@format)s. The instance remembers two things, both only to save work: the last walk of the
//! tree, and the columns of files that did not change.

mod catalog;
mod config;
mod declared_type;
mod fingerprint;
mod format;
mod guess;
mod infer;
mod merge;
mod readme;
mod scan;
mod source_file;
mod table;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use plugin_sdk::{
    Context, DataSource, Dataset, Fingerprint, Level, Plugin, PluginInfo, Result, Scan, ScanRequest, SourceError,
    capability, needs,
};

use catalog::{Catalog, Entry};
use config::Config;
use source_file::Root;
use table::{Inspected, Table};

/// The plugin.
struct Files;

impl Plugin for Files {
    const INFO: PluginInfo = PluginInfo {
        config_schema: config::SCHEMA,
        capabilities: capability::CONCURRENT,
        needs: needs::FS,
        ..PluginInfo::new(
            "files",
            env!("CARGO_PKG_VERSION"),
            "CSV, JSON, NDJSON, Parquet and Arrow files below a folder",
        )
    };

    fn open(_: &Context, config: &str) -> Result<Box<dyn DataSource>> {
        Ok(Box::new(Source::new(Config::parse(config)?)))
    }
}

/// One folder of files.
struct Source {
    root: Arc<Root>,
    config: Config,
    /// The last walk.
    catalog: Mutex<Arc<Catalog>>,
    inspected: Inspected,
    /// The warnings that were logged, each once.
    warned: Mutex<BTreeSet<String>>,
}

impl Source {
    fn new(config: Config) -> Self {
        Self {
            root: Arc::new(Root::new(config.root.clone())),
            config,
            catalog: Mutex::default(),
            inspected: Inspected::default(),
            warned: Mutex::default(),
        }
    }

    fn walk(&self, ctx: &Context) -> Result<Arc<Catalog>> {
        let catalog = Arc::new(Catalog::walk(&self.root, &self.config)?);
        let fresh = {
            let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh: Vec<_> = catalog.warnings.iter().filter(|w| !warned.contains(*w)).cloned().collect();
            *warned = catalog.warnings.iter().cloned().collect();
            fresh
        };
        fresh.iter().for_each(|warning| ctx.log(Level::Warn, warning));
        *self.catalog.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&catalog);
        Ok(catalog)
    }

    fn known(&self, dataset: &str) -> Option<Arc<Entry>> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner).entries.get(dataset).cloned()
    }

    /// Does something with a dataset: with what was known of it, or, where that fails, with what a new
    /// walk finds.
    fn with_entry<T>(&self, ctx: &Context, dataset: &str, act: impl Fn(&Arc<Entry>) -> Result<T>) -> Result<T> {
        if let Some(entry) = self.known(dataset)
            && entry.is_there(&self.root)
        {
            return act(&entry);
        }
        let catalog = self.walk(ctx)?;
        act(catalog.entries.get(dataset).ok_or_else(|| SourceError::no_dataset(dataset))?)
    }

    fn table(&self, ctx: &Context, dataset: &str) -> Result<Table> {
        self.with_entry(ctx, dataset, |entry| Table::load(ctx, &self.root, entry, &self.inspected))
    }
}

impl DataSource for Source {
    fn datasets(&self, ctx: &Context) -> Result<Vec<Dataset>> {
        let catalog = self.walk(ctx)?;
        let listed = catalog.entries.iter().map(|(name, entry)| Dataset::new(name, &entry.description));
        Ok(listed.collect())
    }

    fn schema(&self, ctx: &Context, dataset: &str) -> Result<SchemaRef> {
        Ok(self.table(ctx, dataset)?.schema)
    }

    fn fingerprint(&self, ctx: &Context, dataset: &str) -> Result<Fingerprint> {
        self.with_entry(ctx, dataset, |entry| fingerprint::take(ctx, &self.root, entry))
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        scan::start(ctx, self.table(ctx, &request.dataset)?, request)
    }
}

plugin_sdk::export_source!(Files);

#[cfg(test)]
mod tests;
