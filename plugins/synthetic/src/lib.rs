//! Data source: deterministic tables made to a configuration, for demos, tests and benchmarks.
//!
//! [`config`] says which tables, [`column`] makes their values out of [`rng`]'s numbers, [`table`] hands
//! them out in batches, late or not at all if that is what was asked for. The same configuration gives
//! the same rows on every machine. Filters are not applied. [`control`] lets a test change a table and
//! switch it off while it is served.

mod column;
mod config;
mod control;
mod rng;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use plugin_sdk::{
    Context, DataSource, Dataset, Fingerprint, Plugin, PluginInfo, Result, Scan, ScanRequest, SourceError, capability,
    needs,
};

use config::Config;
use table::Table;

/// The plugin.
struct Synthetic;

impl Plugin for Synthetic {
    const INFO: PluginInfo = PluginInfo {
        config_schema: config::SCHEMA,
        capabilities: capability::CONCURRENT,
        needs: needs::FS,
        ..PluginInfo::new("synthetic", env!("CARGO_PKG_VERSION"), "deterministic tables made to a configuration")
    };

    fn open(_: &Context, config: &str) -> Result<Box<dyn DataSource>> {
        Ok(Box::new(Source::new(config)?))
    }
}

/// The tables of one configuration.
struct Source {
    tables: BTreeMap<String, Arc<Table>>,
}

impl Source {
    fn new(config: &str) -> Result<Self> {
        let tables = Config::parse(config)?.into_iter().map(|(name, config)| {
            let table = Table::new(&name, config)?;
            Ok((name, Arc::new(table)))
        });
        Ok(Self { tables: tables.collect::<Result<_>>()? })
    }

    fn table(&self, name: &str) -> Result<&Arc<Table>> {
        self.tables.get(name).ok_or_else(|| SourceError::no_dataset(name))
    }
}

impl DataSource for Source {
    fn datasets(&self, _: &Context) -> Result<Vec<Dataset>> {
        Ok(self.tables.iter().map(|(name, table)| Dataset::new(name, &table.config.description)).collect())
    }

    fn schema(&self, _: &Context, dataset: &str) -> Result<SchemaRef> {
        Ok(Arc::clone(&self.table(dataset)?.schema))
    }

    fn fingerprint(&self, ctx: &Context, dataset: &str) -> Result<Fingerprint> {
        self.table(dataset)?.fingerprint(ctx)
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        self.table(&request.dataset)?.scan(ctx, request)
    }
}

plugin_sdk::export_source!(Synthetic);

#[cfg(test)]
mod tests;
