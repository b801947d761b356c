//! Loading a library into this process, which must be a worker.
//!
//! Symbols are bound at once and stay private to the library. It is never unloaded: threads,
//! thread-locals and handlers that it left behind would point at nothing.

use std::ffi::OsStr;
use std::path::Path;

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use plugin_sdk::abi::{ABI_MAJOR, ENTRY, EntryFn, PluginV1};
use plugin_sdk::{ErrorCode, SourceError};

/// The table of a library, and the handle that keeps it where it is.
#[derive(Debug)]
pub(crate) struct Library {
    table: *const PluginV1,
}

// SAFETY: the table is immutable and never unloaded.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// Loads the library at `path` and asks it for its table.
    ///
    /// # Errors
    /// What the dynamic loader says, or that the library is no plugin of this ABI. No error holds
    /// the path.
    pub(crate) fn load(path: &Path) -> Result<Self, SourceError> {
        // SAFETY: this runs the library's initialisers, which is why only a worker does it.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| refused(without_path(&root_cause(&error), path)))?;
        let handle: &'static Handle = Box::leak(Box::new(handle));
        // SAFETY: the name and the type of the entry point go together by the ABI.
        let entry = unsafe { handle.get::<EntryFn>(ENTRY.as_bytes()) };
        let Ok(entry) = entry else { return Err(refused(newer_or_none(handle))) };
        // SAFETY: the entry point takes nothing and gives a pointer.
        let table = unsafe { entry() };
        if table.is_null() {
            return Err(refused(format!("{ENTRY} gave no table of functions")));
        }
        Ok(Self { table })
    }

    /// A library whose table is part of this program.
    #[cfg(test)]
    pub(crate) fn of_table(table: &'static PluginV1) -> Self {
        Self { table }
    }

    pub(crate) fn table(&self) -> *const PluginV1 {
        self.table
    }
}

fn newer_or_none(handle: &Handle) -> String {
    let newer = (ABI_MAJOR + 1..=9).find(|major| {
        let name = format!("larder_plugin_v{major}");
        // SAFETY: the symbol is only looked for, never used.
        unsafe { handle.get::<EntryFn>(name.as_bytes()) }.is_ok()
    });
    match newer {
        Some(major) => format!("the plugin was built for ABI {major}; this server knows ABI {ABI_MAJOR}"),
        None => format!("the library does not export {ENTRY}"),
    }
}

fn refused(message: String) -> SourceError {
    SourceError::new(ErrorCode::Unsupported, message)
}

fn root_cause(error: &libloading::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// `message` with the library's path cut down to its name.
fn without_path(message: &str, path: &Path) -> String {
    let name = path.file_name().unwrap_or(OsStr::new("the library"));
    message.replace(&*path.to_string_lossy(), &name.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_library_is_refused_by_name_and_not_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libtext.so");
        std::fs::write(&path, "text").unwrap();
        let error = Library::load(&path).unwrap_err();
        assert!(error.message.contains("libtext.so"), "{error}");
        assert!(!error.message.contains(folder.path().to_str().unwrap()), "{error}");
        assert!(!error.retryable);
    }
}
