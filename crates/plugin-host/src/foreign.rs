//! The C table of a library as a [`DataSource`]: the worker's side of the ABI.
//!
//! What is trusted: nothing that can be checked. Tables may be shorter than ours, texts may be no
//! UTF-8, errors may lack a message, streams may end without a word. What cannot be checked, a
//! pointer that points nowhere, costs the worker and nothing else.
//!
//! A plugin that is not `CONCURRENT` is called by one thread at a time, streams included; whoever
//! waits for its turn still notices that its caller gave up.

mod stream;

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::Array;
use arrow::array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ffi_stream::FFI_ArrowArrayStream;
use parking_lot::{Mutex, MutexGuard};
use plugin_sdk::abi::{
    ABI_MAJOR, PluginV1, RawContext, RawDataset, RawDatasets, RawError, RawFilter, RawFingerprint, RawScanRequest,
    RawStr,
};
use plugin_sdk::{
    Applied, Context, DataSource, Dataset, ErrorCode, FilterOp, Fingerprint, Result, Scan, ScanRequest, SourceError,
    capability,
};

use crate::context::ForeignContext;
use crate::ipc::invalid;
use crate::library::Library;

use stream::{Live, Stream};

/// How long a turn is waited for before the context is asked again.
const TURN: Duration = Duration::from_millis(10);

/// More datasets than this in one listing are a defect.
const MAX_LISTED: usize = 1_000_000;

type Close = unsafe extern "C" fn(*mut c_void);
type List = unsafe extern "C" fn(*mut c_void, *const RawContext, *mut RawDatasets, *mut RawError) -> i32;
type SchemaOf =
    unsafe extern "C" fn(*mut c_void, *const RawContext, RawStr, *mut FFI_ArrowSchema, *mut RawError) -> i32;
type Open = unsafe extern "C" fn(*const RawContext, RawStr, *mut *mut c_void, *mut RawError) -> i32;
type Token = unsafe extern "C" fn(*mut c_void, *const RawContext, RawStr, *mut RawFingerprint, *mut RawError) -> i32;
type ScanOf = unsafe extern "C" fn(
    *mut c_void,
    *const RawContext,
    *const RawScanRequest,
    *mut FFI_ArrowArrayStream,
    *mut u8,
    *mut RawError,
) -> i32;
type StreamError = unsafe extern "C" fn(*mut FFI_ArrowArrayStream, *mut RawError) -> i32;

/// What we use of a library's table.
#[derive(Debug, Clone, Copy)]
struct Table {
    concurrent: bool,
    open: Open,
    close: Close,
    list: List,
    schema: SchemaOf,
    fingerprint: Option<Token>,
    scan: ScanOf,
    stream_error: Option<StreamError>,
}

impl Table {
    /// Reads a table up to the size that it claims.
    ///
    /// # Safety
    /// `raw` points to a table that is as large as its `struct_size` says.
    unsafe fn read(raw: *const PluginV1) -> std::result::Result<Self, String> {
        // SAFETY: every table has at least its size and version.
        let (size, major) = unsafe { ((*raw).struct_size as usize, (*raw).abi_major) };
        if major != ABI_MAJOR {
            return Err(format!("the table is of ABI {major}; this server knows ABI {ABI_MAJOR}"));
        }
        let needed = std::mem::offset_of!(PluginV1, stream_error);
        if size < needed {
            return Err(format!("the table has {size} bytes; ABI {ABI_MAJOR} begins with {needed}"));
        }
        // A function pointer may be NULL in C, never in Rust: each is read as one that may be absent.
        // SAFETY: the fields up to `scan` are there.
        unsafe {
            let missing = |name: &str| format!("the table lacks '{name}'");
            let has_stream_error = size >= needed + size_of::<Option<StreamError>>();
            Ok(Self {
                concurrent: (*raw).capabilities & capability::CONCURRENT != 0,
                open: (&raw const (*raw).open).cast::<Option<Open>>().read().ok_or_else(|| missing("open"))?,
                close: (&raw const (*raw).close).cast::<Option<Close>>().read().ok_or_else(|| missing("close"))?,
                list: (&raw const (*raw).list).cast::<Option<List>>().read().ok_or_else(|| missing("list"))?,
                schema: (&raw const (*raw).schema)
                    .cast::<Option<SchemaOf>>()
                    .read()
                    .ok_or_else(|| missing("schema"))?,
                fingerprint: (&raw const (*raw).fingerprint).read(),
                scan: (&raw const (*raw).scan).cast::<Option<ScanOf>>().read().ok_or_else(|| missing("scan"))?,
                stream_error: if has_stream_error { (&raw const (*raw).stream_error).read() } else { None },
            })
        }
    }
}

/// An opened instance of a plugin.
#[derive(Debug)]
struct Instance {
    table: Table,
    handle: *mut c_void,
    turn: Mutex<()>,
    /// Streams to be released by whoever has the turn.
    left: Mutex<Vec<Live>>,
    _library: Library,
}

// SAFETY: the ABI lets any thread call an instance; `turn` keeps calls apart where it must.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Instance {
    /// Waits until this thread may call.
    fn turn(&self, ctx: &Context) -> Result<Turn<'_>> {
        if self.table.concurrent {
            return Ok(Turn { instance: self, guard: None });
        }
        loop {
            if let Some(guard) = self.turn.try_lock_for(TURN) {
                return Ok(Turn { instance: self, guard: Some(guard) });
            }
            ctx.check()?;
        }
    }

    /// Releases a stream: now, or when whoever has the turn is done. Never waits for another's call.
    fn release(&self, stream: Live) {
        if self.table.concurrent {
            return drop(stream);
        }
        self.left.lock().push(stream);
        self.settle();
    }

    /// Releases what was left, unless someone else has the turn, who will do so after it.
    fn settle(&self) {
        while !self.left.lock().is_empty() {
            let Some(_turn) = self.turn.try_lock() else { return };
            let left = std::mem::take(&mut *self.left.lock());
            drop(left);
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.left.get_mut().clear();
        // SAFETY: `open` gave the handle; every stream holds an `Arc` of `self` or is in `left`, so
        // all are released.
        unsafe { (self.table.close)(self.handle) }
    }
}

/// The right to call an instance.
struct Turn<'a> {
    instance: &'a Instance,
    guard: Option<MutexGuard<'a, ()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            drop(guard);
            // After the turn: whoever left a stream while it lasted could not release it.
            self.instance.settle();
        }
    }
}

/// A plugin's instance as a source.
#[derive(Debug, Clone)]
pub(crate) struct ForeignSource(Arc<Instance>);

impl ForeignSource {
    /// Opens an instance of a library.
    pub(crate) fn open(library: Library, ctx: &Context, config: &str) -> Result<Self> {
        // SAFETY: the library gave the table for this.
        let table = unsafe { Table::read(library.table()) }
            .map_err(|message| SourceError::new(ErrorCode::Unsupported, message))?;
        let foreign = ForeignContext::new(ctx);
        let mut handle = ptr::null_mut();
        // SAFETY: the arguments live for the call.
        call(|error| unsafe { (table.open)(foreign.as_ptr(), RawStr::new(config), &raw mut handle, error) })?;
        Ok(Self(Arc::new(Instance { table, handle, turn: Mutex::new(()), left: Mutex::default(), _library: library })))
    }
}

impl DataSource for ForeignSource {
    fn datasets(&self, ctx: &Context) -> Result<Vec<Dataset>> {
        let foreign = ForeignContext::new(ctx);
        let mut listing = Listing::empty();
        let _turn = self.0.turn(ctx)?;
        // SAFETY: the instance is open, the places are ours.
        call(|error| unsafe { (self.0.table.list)(self.0.handle, foreign.as_ptr(), &raw mut listing.0, error) })?;
        listing.read()
    }

    fn schema(&self, ctx: &Context, dataset: &str) -> Result<SchemaRef> {
        let foreign = ForeignContext::new(ctx);
        let mut schema = FFI_ArrowSchema::empty();
        let _turn = self.0.turn(ctx)?;
        // SAFETY: as in `datasets`.
        call(|error| unsafe {
            (self.0.table.schema)(self.0.handle, foreign.as_ptr(), RawStr::new(dataset), &raw mut schema, error)
        })?;
        read_schema(&schema)
    }

    fn fingerprint(&self, ctx: &Context, dataset: &str) -> Result<Fingerprint> {
        let Some(fingerprint) = self.0.table.fingerprint else { return Ok(Fingerprint::UNKNOWN) };
        let foreign = ForeignContext::new(ctx);
        let mut token = RawFingerprint { len: 0, bytes: [0; 64] };
        let _turn = self.0.turn(ctx)?;
        // SAFETY: as in `datasets`.
        call(|error| unsafe {
            fingerprint(self.0.handle, foreign.as_ptr(), RawStr::new(dataset), &raw mut token, error)
        })?;
        let bytes = token.bytes.get(..usize::from(token.len)).and_then(Fingerprint::new);
        bytes.ok_or_else(|| SourceError::invalid_data("the plugin gave a fingerprint of more than 64 bytes"))
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        let foreign = ForeignContext::new(ctx);
        let projection = projection(request)?;
        let mut values = filter_values(request)?;
        let filters: Vec<RawFilter> =
            request.filters.iter().zip(&mut values).map(|(filter, values)| raw_filter(filter, values)).collect();
        let pointers: Vec<*const RawFilter> = filters.iter().map(ptr::from_ref).collect();
        let raw = RawScanRequest {
            struct_size: size_of::<RawScanRequest>() as u32,
            has_projection: u8::from(projection.is_some()),
            dataset: RawStr::new(&request.dataset),
            projection: projection.as_ref().map_or(ptr::null(), |columns| columns.as_ptr()),
            projection_len: projection.as_ref().map_or(0, Vec::len),
            filters: pointers.as_ptr(),
            filters_len: pointers.len(),
            limit: request.limit.unwrap_or(u64::MAX),
        };
        let mut applied = vec![0_u8; filters.len()];
        let mut stream = Box::new(FFI_ArrowArrayStream::empty());
        {
            let _turn = self.0.turn(ctx)?;
            // SAFETY: the request and all it points to live for the call; the places are ours.
            call(|error| unsafe {
                (self.0.table.scan)(
                    self.0.handle,
                    foreign.as_ptr(),
                    &raw const raw,
                    &raw mut *stream,
                    applied.as_mut_ptr(),
                    error,
                )
            })?;
        }
        let live = Some(Live { stream, _foreign: foreign });
        let mut stream = Stream { live, instance: self.0.clone(), ctx: ctx.clone(), schema: None };
        let schema = stream.read_schema()?;
        let applied = applied.into_iter().map(Applied::from_abi).collect();
        Ok(Scan { schema, applied, batches: Box::new(stream) })
    }
}

/// Calls a function of the ABI and reads its error.
fn call(function: impl FnOnce(*mut RawError) -> i32) -> Result<()> {
    let mut error = RawError::empty();
    match function(&raw mut error) {
        0 => Ok(()),
        _ => Err(take_error(&mut error)),
    }
}

/// Reads and releases an error.
fn take_error(raw: &mut RawError) -> SourceError {
    // SAFETY: the plugin that filled the struct vouches for its message, which lives until `release`.
    let message = unsafe { raw.message.to_string_lossy() };
    let message = if message.is_empty() { "the plugin failed without saying why".to_owned() } else { message };
    let mut error = SourceError::new(ErrorCode::from_abi(raw.code), message);
    if raw.code != 0 {
        error.retryable = raw.retryable != 0;
        error.poisoned = raw.poisoned != 0;
    }
    error.retry_after = (raw.retry_after_ms > 0).then(|| Duration::from_millis(raw.retry_after_ms));
    if let Some(release) = raw.release.take() {
        raw.release = Some(release);
        // SAFETY: the plugin gave the function for this struct, which is released once.
        unsafe { release(raw) };
    }
    error
}

fn read_schema(raw: &FFI_ArrowSchema) -> Result<SchemaRef> {
    Ok(Arc::new(Schema::try_from(raw).map_err(|e| invalid(&e))?))
}

fn projection(request: &ScanRequest) -> Result<Option<Vec<u32>>> {
    let Some(columns) = &request.projection else { return Ok(None) };
    let columns = columns.iter().map(|&column| u32::try_from(column));
    columns
        .collect::<std::result::Result<_, _>>()
        .map(Some)
        .map_err(|_| SourceError::new(ErrorCode::InvalidRequest, "the projection names a column that cannot be"))
}

/// The values of each filter; a null test has none. What the plugin does not move out is released
/// with them.
fn filter_values(request: &ScanRequest) -> Result<Vec<Option<(FFI_ArrowArray, FFI_ArrowSchema)>>> {
    let values = request.filters.iter().map(|filter| {
        if matches!(filter.op, FilterOp::IsNull | FilterOp::IsNotNull) {
            return Ok(None);
        }
        let data = filter.values.to_data();
        Ok(Some((FFI_ArrowArray::new(&data), FFI_ArrowSchema::try_from(data.data_type())?)))
    });
    values.collect()
}

fn raw_filter(filter: &plugin_sdk::Filter, values: &mut Option<(FFI_ArrowArray, FFI_ArrowSchema)>) -> RawFilter {
    let (values, values_type) = match values {
        Some((array, data_type)) => (ptr::from_mut(array), ptr::from_ref(data_type)),
        None => (ptr::null_mut(), ptr::null()),
    };
    RawFilter {
        struct_size: size_of::<RawFilter>() as u32,
        op: filter.op as u32,
        column: u32::try_from(filter.column).unwrap_or(u32::MAX),
        values,
        values_type,
    }
}

/// A listing, released when dropped.
struct Listing(RawDatasets);

impl Listing {
    fn empty() -> Self {
        Self(RawDatasets {
            struct_size: size_of::<RawDatasets>() as u32,
            item_size: size_of::<RawDataset>() as u32,
            count: 0,
            items: ptr::null(),
            release: None,
            private_data: ptr::null_mut(),
        })
    }

    fn read(&self) -> Result<Vec<Dataset>> {
        let (count, stride) = (self.0.count, self.0.item_size as usize);
        if count > MAX_LISTED || stride < size_of::<RawDataset>() || (count > 0 && self.0.items.is_null()) {
            return Err(SourceError::invalid_data("the plugin gave a list of datasets that cannot be read"));
        }
        let items = (0..count).map(|i| {
            // SAFETY: the plugin vouches for `count` items, `stride` bytes apart, and their texts.
            unsafe {
                let item = self.0.items.byte_add(i * stride).read_unaligned();
                Dataset::new(item.name.to_string_lossy(), item.description.to_string_lossy())
            }
        });
        Ok(items.collect())
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: the plugin gave the function for this struct, which is released once.
            unsafe { release(&raw mut self.0) }
        }
    }
}

#[cfg(test)]
mod tests;
