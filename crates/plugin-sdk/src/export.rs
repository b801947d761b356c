//! From a [`Plugin`] to the C table: what [`export_source!`](crate::export_source) expands to.
//!
//! Every function here catches panics, turns results into the ABI's error struct, and owns what it
//! hands out until the other side releases it.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ffi::{FFI_ArrowSchema, from_ffi};
use arrow::array::make_array;
use arrow::ffi_stream::FFI_ArrowArrayStream;

use crate::abi::{
    ABI_MAJOR, PluginV1, RawContext, RawDataset, RawDatasets, RawError, RawFilter, RawFingerprint, RawScanRequest,
    RawStr,
};
use crate::context::{Caller, Context, Level, Progress};
use crate::error::{ErrorCode, Result, SourceError};
use crate::ffi_stream;
use crate::source::{DataSource, Dataset, Filter, FilterOp, Plugin, ScanRequest};

/// Exports a [`Plugin`] from a `cdylib`: its manifest in the `.larder` section and the entry point.
#[macro_export]
macro_rules! export_source {
    ($plugin:ty) => {
        const _: () = {
            #[cfg(panic = "abort")]
            compile_error!("a Larder plugin must be built with panic = \"unwind\": panics are caught at its boundary");

            const LEN: usize = $crate::manifest::encoded_len(&<$plugin as $crate::Plugin>::INFO);

            #[used]
            #[allow(unsafe_code, reason = "the manifest is found by the name of its section")]
            #[unsafe(link_section = ".larder")]
            static MANIFEST: [u8; LEN] = $crate::manifest::encode(&<$plugin as $crate::Plugin>::INFO);

            static TABLE: $crate::abi::PluginV1 = $crate::export::table::<$plugin>(&MANIFEST);

            #[allow(unsafe_code, reason = "the entry point is found by its name")]
            #[unsafe(no_mangle)]
            extern "C" fn larder_plugin_v1() -> *const $crate::abi::PluginV1 {
                &raw const TABLE
            }
        };
    };
}

/// The table of functions for `P`.
pub const fn table<P: Plugin>(manifest: &'static [u8]) -> PluginV1 {
    PluginV1 {
        struct_size: size_of::<PluginV1>() as u32,
        abi_major: ABI_MAJOR,
        capabilities: P::INFO.capabilities,
        manifest: RawStr { ptr: manifest.as_ptr().cast(), len: manifest.len() },
        open: open::<P>,
        close,
        list,
        schema,
        fingerprint: Some(fingerprint),
        scan,
        stream_error: Some(ffi_stream::stream_error),
    }
}

type Instance = Box<dyn DataSource>;

unsafe extern "C" fn open<P: Plugin>(
    ctx: *const RawContext,
    config: RawStr,
    out: *mut *mut c_void,
    error: *mut RawError,
) -> i32 {
    guarded(error, || {
        // SAFETY: the host passes a live context and a string that lives for the call.
        let (ctx, config) = unsafe { (foreign_context(ctx), config.to_string_lossy()) };
        let instance: Instance = P::open(&ctx, &config)?;
        // SAFETY: `out` is a place that the host owns.
        unsafe { out.write(Box::into_raw(Box::new(instance)).cast()) };
        Ok(())
    })
}

unsafe extern "C" fn close(instance: *mut c_void) {
    // SAFETY: `open` made this pointer, and the host closes an instance once.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance>()) };
    // A destructor that panics has nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(instance)));
}

unsafe extern "C" fn list(
    instance: *mut c_void,
    ctx: *const RawContext,
    out: *mut RawDatasets,
    error: *mut RawError,
) -> i32 {
    guarded(error, || {
        // SAFETY: the host passes an open instance, a live context and a place of its own.
        unsafe {
            let datasets = source(instance).datasets(&foreign_context(ctx))?;
            out.write(Listing::export(datasets));
        }
        Ok(())
    })
}

unsafe extern "C" fn schema(
    instance: *mut c_void,
    ctx: *const RawContext,
    dataset: RawStr,
    out: *mut FFI_ArrowSchema,
    error: *mut RawError,
) -> i32 {
    guarded(error, || {
        // SAFETY: as in `list`.
        unsafe {
            let schema = source(instance).schema(&foreign_context(ctx), &dataset.to_string_lossy())?;
            out.write(FFI_ArrowSchema::try_from(schema.as_ref())?);
        }
        Ok(())
    })
}

unsafe extern "C" fn fingerprint(
    instance: *mut c_void,
    ctx: *const RawContext,
    dataset: RawStr,
    out: *mut RawFingerprint,
    error: *mut RawError,
) -> i32 {
    guarded(error, || {
        // SAFETY: as in `list`.
        unsafe {
            let token = source(instance).fingerprint(&foreign_context(ctx), &dataset.to_string_lossy())?;
            let mut bytes = [0; 64];
            bytes[..token.as_bytes().len()].copy_from_slice(token.as_bytes());
            out.write(RawFingerprint { len: token.as_bytes().len() as u8, bytes });
        }
        Ok(())
    })
}

unsafe extern "C" fn scan(
    instance: *mut c_void,
    ctx: *const RawContext,
    request: *const RawScanRequest,
    out: *mut FFI_ArrowArrayStream,
    answers: *mut u8,
    error: *mut RawError,
) -> i32 {
    guarded(error, || {
        // SAFETY: as in `list`; `answers` has a byte for each filter.
        unsafe {
            let ctx = foreign_context(ctx);
            let (request, positions) = read_request(&*request)?;
            let scan = source(instance).scan(&ctx, &request)?;
            for (applied, position) in scan.applied.iter().zip(positions) {
                answers.add(position).write(*applied as u8);
            }
            out.write(ffi_stream::export(scan));
        }
        Ok(())
    })
}

/// The instance behind a pointer that `open` made.
///
/// # Safety
/// `instance` was made by `open` and is not closed while the reference lives.
unsafe fn source<'a>(instance: *mut c_void) -> &'a dyn DataSource {
    // SAFETY: see above.
    unsafe { &**instance.cast::<Instance>() }
}

/// Reads a request, and for each filter that was understood its place in the answers.
///
/// # Safety
/// The request is as its contract says.
unsafe fn read_request(raw: &RawScanRequest) -> Result<(ScanRequest, Vec<usize>)> {
    let mut request = ScanRequest::default();
    let mut positions = Vec::with_capacity(raw.filters_len);
    // SAFETY: the host's pointers and lengths belong together and live for the call.
    unsafe {
        request.dataset = raw.dataset.to_string_lossy();
        if raw.has_projection != 0 {
            let columns = (0..raw.projection_len).map(|i| *raw.projection.add(i) as usize);
            request.projection = Some(columns.collect());
        }
        for i in 0..raw.filters_len {
            if let Some(filter) = read_filter(&**raw.filters.add(i))? {
                request.filters.push(filter);
                positions.push(i);
            }
        }
    }
    // A filter that is not understood here is applied by the host, which then also cuts.
    let all_understood = positions.len() == raw.filters_len;
    request.limit = (raw.limit != u64::MAX && all_understood).then_some(raw.limit);
    Ok((request, positions))
}

/// # Safety
/// The filter is as its contract says.
unsafe fn read_filter(raw: &RawFilter) -> Result<Option<Filter>> {
    let Some(op) = FilterOp::from_abi(raw.op) else { return Ok(None) };
    let values = if raw.values.is_null() || raw.values_type.is_null() {
        arrow::array::new_empty_array(&arrow::datatypes::DataType::Null)
    } else {
        // SAFETY: the host passes an array and its type, and lets the array be moved out.
        unsafe {
            let array = std::ptr::replace(raw.values, arrow::array::ffi::FFI_ArrowArray::empty());
            make_array(from_ffi(array, &*raw.values_type)?)
        }
    };
    Ok(Some(Filter { column: raw.column as usize, op, values }))
}

/// Runs `body`; a panic or an error fills `error` and gives 1.
pub(crate) fn guarded(error: *mut RawError, body: impl FnOnce() -> Result<()>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panic_error(&*panic)));
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            // SAFETY: the host passes a place for an error that holds none.
            unsafe { error.write(export_error(failure)) };
            1
        }
    }
}

/// The error for a caught panic.
pub(crate) fn panic_error(panic: &(dyn std::any::Any + Send)) -> SourceError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    SourceError::new(ErrorCode::Panic, format!("the plugin panicked: {text}"))
}

/// Puts an error into the struct of the ABI.
pub(crate) fn export_error(error: SourceError) -> RawError {
    let message = Box::new(error.message);
    RawError {
        code: error.code as i32,
        retryable: u8::from(error.retryable),
        poisoned: u8::from(error.poisoned),
        retry_after_ms: error.retry_after.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        message: RawStr::new(message.as_str()),
        release: Some(release_error),
        private_data: Box::into_raw(message).cast(),
        ..RawError::empty()
    }
}

unsafe extern "C" fn release_error(error: *mut RawError) {
    // SAFETY: `export_error` made the private data; `release` is set NULL so that it runs once.
    unsafe {
        drop(Box::from_raw((*error).private_data.cast::<String>()));
        (*error).release = None;
    }
}

/// A listing and the memory behind it.
struct Listing {
    _datasets: Vec<Dataset>,
    items: Vec<RawDataset>,
}

impl Listing {
    fn export(datasets: Vec<Dataset>) -> RawDatasets {
        let items = datasets
            .iter()
            .map(|d| RawDataset { name: RawStr::new(&d.name), description: RawStr::new(&d.description) })
            .collect();
        let listing = Box::new(Self { _datasets: datasets, items });
        RawDatasets {
            struct_size: size_of::<RawDatasets>() as u32,
            item_size: size_of::<RawDataset>() as u32,
            count: listing.items.len(),
            items: listing.items.as_ptr(),
            release: Some(Self::release),
            private_data: Box::into_raw(listing).cast(),
        }
    }

    unsafe extern "C" fn release(raw: *mut RawDatasets) {
        // SAFETY: `export` made the private data; `release` is set NULL so that it runs once.
        unsafe {
            drop(Box::from_raw((*raw).private_data.cast::<Self>()));
            (*raw).release = None;
        }
    }
}

/// A context of the host, retained.
struct ForeignCaller(*const RawContext);

// SAFETY: the contract lets any thread use a context.
unsafe impl Send for ForeignCaller {}
// SAFETY: as above.
unsafe impl Sync for ForeignCaller {}

/// # Safety
/// `raw` is a live context.
unsafe fn foreign_context(raw: *const RawContext) -> Context {
    // SAFETY: the context is live here and retained for as long as the caller lives.
    unsafe {
        ((*raw).retain)(raw);
        Context::new((*raw).request_id.to_string_lossy(), Arc::new(ForeignCaller(raw)))
    }
}

impl Caller for ForeignCaller {
    fn is_cancelled(&self) -> bool {
        // SAFETY: the context is retained.
        unsafe { ((*self.0).is_cancelled)(self.0) != 0 }
    }

    fn progress(&self, progress: Progress) {
        let total = progress.total_rows.unwrap_or(u64::MAX);
        // SAFETY: the context is retained.
        unsafe { ((*self.0).progress)(self.0, progress.rows, total, progress.bytes) }
    }

    fn log(&self, level: Level, message: &str) {
        // SAFETY: the context is retained; the message lives for the call.
        unsafe { ((*self.0).log)(self.0, level as i32, RawStr::new(message)) }
    }

    fn remaining(&self) -> Option<Duration> {
        // SAFETY: the context is retained.
        let ms = unsafe { ((*self.0).remaining_ms)(self.0) };
        (ms != u64::MAX).then(|| Duration::from_millis(ms))
    }
}

impl Drop for ForeignCaller {
    fn drop(&mut self) {
        // SAFETY: gives up the retain of `foreign_context`.
        unsafe { ((*self.0).release)(self.0) }
    }
}
