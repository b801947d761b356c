//! The C ABI, version 1: the mirror in Rust of `include/larder_plugin.h`, which has the contract.
//!
//! A library exports one function, [`ENTRY`], which returns a pointer to a static [`PluginV1`].
//! Structs grow at the tail only; `struct_size` says how much of one is there. Strings are UTF-8
//! with a length, borrowed for the length of the call. Functions return 0, or 1 after filling the
//! [`RawError`]. Nothing unwinds across the boundary.

use std::ffi::{c_char, c_void};

use arrow::array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::ffi_stream::FFI_ArrowArrayStream;

/// Major version of the ABI; also the number in [`ENTRY`].
pub const ABI_MAJOR: u32 = 1;

/// The symbol that a library exports.
pub const ENTRY: &str = "larder_plugin_v1";

/// The type of [`ENTRY`].
pub type EntryFn = unsafe extern "C" fn() -> *const PluginV1;

/// A borrowed UTF-8 string.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct RawStr {
    /// First byte; may be anything when `len` is 0.
    pub ptr: *const c_char,
    /// Length in bytes.
    pub len: usize,
}

impl RawStr {
    /// Borrows `text`.
    pub const fn new(text: &str) -> Self {
        Self { ptr: text.as_ptr().cast(), len: text.len() }
    }

    /// A copy of the string, bytes that are not UTF-8 replaced.
    ///
    /// # Safety
    /// `ptr` points to `len` readable bytes, or `len` is 0.
    pub unsafe fn to_string_lossy(self) -> String {
        if self.len == 0 || self.ptr.is_null() {
            return String::new();
        }
        // SAFETY: the caller vouches for ptr and len.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr.cast::<u8>(), self.len) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// An error, filled by the side that fails and released by the side that reads it.
#[derive(Debug)]
#[repr(C)]
pub struct RawError {
    /// `sizeof` of this struct as the reader knows it.
    pub struct_size: u32,
    /// [`ErrorCode`](crate::ErrorCode) as a number; 0 when no error is held.
    pub code: i32,
    /// Whether trying again may help.
    pub retryable: u8,
    /// Whether the instance must be opened anew.
    pub poisoned: u8,
    /// How long to wait before trying again, in milliseconds; 0 when unknown.
    pub retry_after_ms: u64,
    /// The message; owned by the struct.
    pub message: RawStr,
    /// Frees the message and sets itself NULL; NULL when there is nothing to free.
    pub release: Option<unsafe extern "C" fn(*mut RawError)>,
    /// Belongs to whoever filled the struct.
    pub private_data: *mut c_void,
}

impl RawError {
    /// An empty error, ready to be filled.
    pub const fn empty() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            code: 0,
            retryable: 0,
            poisoned: 0,
            retry_after_ms: 0,
            message: RawStr { ptr: std::ptr::null(), len: 0 },
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }
}

/// What a call knows of its caller. Counted: whoever keeps it beyond the call retains it.
#[derive(Debug)]
#[repr(C)]
pub struct RawContext {
    /// `sizeof` of this struct as the host knows it.
    pub struct_size: u32,
    /// Id of the request that the call serves; lives as long as the context.
    pub request_id: RawStr,
    /// Keeps the context alive.
    pub retain: unsafe extern "C" fn(*const RawContext),
    /// Gives up one `retain`.
    pub release: unsafe extern "C" fn(*const RawContext),
    /// 1 once the caller gave up. Any thread.
    pub is_cancelled: unsafe extern "C" fn(*const RawContext) -> u8,
    /// Milliseconds left until the deadline; `u64::MAX` without one. Any thread.
    pub remaining_ms: unsafe extern "C" fn(*const RawContext) -> u64,
    /// Reports rows so far, rows in all (`u64::MAX` when unknown) and bytes read. Any thread.
    pub progress: unsafe extern "C" fn(*const RawContext, rows: u64, total_rows: u64, bytes: u64),
    /// Writes a log line with a [`Level`](crate::Level). Any thread.
    pub log: unsafe extern "C" fn(*const RawContext, level: i32, message: RawStr),
}

/// One dataset of a listing.
#[derive(Debug)]
#[repr(C)]
pub struct RawDataset {
    /// Its name.
    pub name: RawStr,
    /// What it holds; may be empty.
    pub description: RawStr,
}

/// A listing of datasets; owns all that it points to.
#[derive(Debug)]
#[repr(C)]
pub struct RawDatasets {
    /// `sizeof` of this struct as the host knows it.
    pub struct_size: u32,
    /// `sizeof` of one item, as the plugin knows it: the distance between items.
    pub item_size: u32,
    /// How many.
    pub count: usize,
    /// The first one.
    pub items: *const RawDataset,
    /// Frees the listing and sets itself NULL.
    pub release: Option<unsafe extern "C" fn(*mut RawDatasets)>,
    /// Belongs to the plugin.
    pub private_data: *mut c_void,
}

/// A change token.
#[derive(Debug)]
#[repr(C)]
pub struct RawFingerprint {
    /// How many of the bytes count; 0 = unknown.
    pub len: u8,
    /// The token.
    pub bytes: [u8; 64],
}

/// One condition of a scan.
#[derive(Debug)]
#[repr(C)]
pub struct RawFilter {
    /// `sizeof` of this struct as the host knows it.
    pub struct_size: u32,
    /// [`FilterOp`](crate::FilterOp) as a number. An operator that the plugin does not know is
    /// answered with 0.
    pub op: u32,
    /// Index into the dataset's schema.
    pub column: u32,
    /// The values; NULL for the null tests. The plugin may move it out (by setting its `release`
    /// NULL after copying the struct); what is left is released by the host.
    pub values: *mut FFI_ArrowArray,
    /// The type of the values; NULL for the null tests. Released by the host.
    pub values_type: *const FFI_ArrowSchema,
}

/// What to read of a dataset.
#[derive(Debug)]
#[repr(C)]
pub struct RawScanRequest {
    /// `sizeof` of this struct as the host knows it.
    pub struct_size: u32,
    /// 1 when `projection` counts; 0 = all columns.
    pub has_projection: u8,
    /// The dataset.
    pub dataset: RawStr,
    /// Indexes of the columns to produce, in this order.
    pub projection: *const u32,
    /// How many columns.
    pub projection_len: usize,
    /// Pointers to the filters, all of which must hold.
    pub filters: *const *const RawFilter,
    /// How many filters.
    pub filters_len: usize,
    /// Rows after which a plugin that applies every filter exactly may stop; `u64::MAX` = no limit.
    pub limit: u64,
}

/// The table of functions that a library exports. Immutable and static.
///
/// Calls on one instance come one at a time unless the plugin is `CONCURRENT`; the functions of one
/// stream come one at a time, from any thread. An instance outlives its streams.
#[derive(Debug)]
#[repr(C)]
pub struct PluginV1 {
    /// `sizeof` of this struct as the plugin knows it.
    pub struct_size: u32,
    /// Major version of the ABI: 1.
    pub abi_major: u32,
    /// Bits of [`capability`](crate::capability); unknown ones are ignored.
    pub capabilities: u64,
    /// The manifest, as in the `.larder` section.
    pub manifest: RawStr,
    /// Opens an instance for a JSON object.
    pub open: unsafe extern "C" fn(*const RawContext, RawStr, *mut *mut c_void, *mut RawError) -> i32,
    /// Closes an instance, after the last of its streams was released.
    pub close: unsafe extern "C" fn(*mut c_void),
    /// Lists the datasets.
    pub list: unsafe extern "C" fn(*mut c_void, *const RawContext, *mut RawDatasets, *mut RawError) -> i32,
    /// The schema of a dataset.
    pub schema:
        unsafe extern "C" fn(*mut c_void, *const RawContext, RawStr, *mut FFI_ArrowSchema, *mut RawError) -> i32,
    /// The change token of a dataset; NULL when the plugin has none.
    pub fingerprint:
        Option<unsafe extern "C" fn(*mut c_void, *const RawContext, RawStr, *mut RawFingerprint, *mut RawError) -> i32>,
    /// Starts a scan. The array of answers, one byte a filter, comes filled with 0.
    pub scan: unsafe extern "C" fn(
        *mut c_void,
        *const RawContext,
        *const RawScanRequest,
        *mut FFI_ArrowArrayStream,
        *mut u8,
        *mut RawError,
    ) -> i32,
    /// The full error behind the last errno of a stream of this plugin; returns 1 when it filled
    /// one. NULL when the plugin has nothing beyond `get_last_error`.
    pub stream_error: Option<unsafe extern "C" fn(*mut FFI_ArrowArrayStream, *mut RawError) -> i32>,
}

// SAFETY: the table is immutable, and all it points to is static.
unsafe impl Sync for PluginV1 {}
