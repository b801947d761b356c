//! A dataset made ready for a call: its files as they are now, their columns, and the schema of them
//! all. What the columns of a file are is found out once and remembered until the file changes.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use plugin_sdk::{Context, Result};

use crate::catalog::Entry;
use crate::config::Options;
use crate::format::{FileSchema, Pass};
use crate::merge;
use crate::source_file::{Root, SourceFile, Stamp};

/// A dataset whose files were looked at.
pub(crate) struct Table {
    /// The dataset.
    pub(crate) entry: Arc<Entry>,
    /// Its files in the order of their names.
    pub(crate) parts: Vec<Part>,
    /// The columns of them all.
    pub(crate) schema: SchemaRef,
    /// How many rows there are, if all files tell.
    pub(crate) rows: Option<u64>,
    /// The bytes that were read for the call so far.
    pub(crate) bytes: Arc<AtomicU64>,
}

/// One file and what is in it.
pub(crate) struct Part {
    /// The file.
    pub(crate) file: SourceFile,
    /// Its columns.
    pub(crate) columns: FileSchema,
}

impl Table {
    /// Looks at the files of a dataset.
    pub(crate) fn load(ctx: &Context, root: &Arc<Root>, entry: &Arc<Entry>, inspected: &Inspected) -> Result<Self> {
        let bytes = Arc::default();
        let pass = Pass { ctx, bytes: &bytes };
        let mut parts = Vec::new();
        for file in entry.files(root)? {
            ctx.check()?;
            let columns = inspected.get(&pass, &file, entry)?;
            parts.push(Part { file, columns });
        }
        let schemas: Vec<merge::Part<'_>> =
            parts.iter().map(|p| (p.file.name.as_str(), p.columns.schema.as_ref())).collect();
        let schema = merge::merge(&schemas, entry.format.typing(), &entry.options)?;
        let rows = parts.iter().map(|part| part.columns.rows).sum();
        Ok(Self { entry: Arc::clone(entry), parts, schema, rows, bytes })
    }
}

/// The most files whose columns are remembered.
const MAX_REMEMBERED: usize = 100_000;

/// The columns of the files that were read so far.
#[derive(Default)]
pub(crate) struct Inspected {
    slots: Mutex<HashMap<Reading, Arc<Mutex<Option<Known>>>>>,
}

/// A file, and how it is read: a file may be declared twice.
#[derive(PartialEq, Eq, Hash)]
struct Reading {
    file: String,
    format: &'static str,
    options: Arc<Options>,
}

struct Known {
    stamp: Stamp,
    columns: FileSchema,
}

impl Inspected {
    /// The columns of a file. Whoever asks for a file that is being inspected waits for the answer.
    fn get(&self, pass: &Pass<'_>, file: &SourceFile, entry: &Entry) -> Result<FileSchema> {
        let reading =
            Reading { file: file.name.clone(), format: entry.format.name(), options: Arc::clone(&entry.options) };
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() >= MAX_REMEMBERED && !slots.contains_key(&reading) {
                slots.clear();
            }
            Arc::clone(slots.entry(reading).or_default())
        };
        let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref()
            && known.stamp == file.stamp
        {
            return Ok(known.columns.clone());
        }
        let columns = entry.format.inspect(pass, file, &entry.options)?;
        *known = Some(Known { stamp: file.stamp, columns: columns.clone() });
        Ok(columns)
    }
}
