//! A [`Context`] as the C struct that plugins get.
//!
//! The struct is the head of a counted allocation: [`ForeignContext`] holds one count, and a plugin
//! that keeps the context beyond its call takes another through `retain`.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

use plugin_sdk::abi::{RawContext, RawStr};
use plugin_sdk::{Context, Level, Progress};

#[repr(C)]
struct Counted {
    raw: RawContext,
    count: AtomicUsize,
    ctx: Context,
}

/// One count of a context that a plugin can read.
#[derive(Debug)]
pub(crate) struct ForeignContext(*const Counted);

// SAFETY: what is behind the pointer is immutable but for its atomic count.
unsafe impl Send for ForeignContext {}
// SAFETY: as above.
unsafe impl Sync for ForeignContext {}

impl ForeignContext {
    pub(crate) fn new(ctx: &Context) -> Self {
        let counted = Box::new(Counted {
            raw: RawContext {
                struct_size: size_of::<RawContext>() as u32,
                request_id: RawStr::new(""),
                retain,
                release,
                is_cancelled,
                remaining_ms,
                progress,
                log,
            },
            count: AtomicUsize::new(1),
            ctx: ctx.clone(),
        });
        let counted = Box::into_raw(counted);
        // SAFETY: nobody else has the pointer yet. The id is behind an `Arc` in `ctx`, so that it
        // stays where it is for as long as the allocation lives.
        unsafe { (*counted).raw.request_id = RawStr::new((*counted).ctx.request_id()) };
        Self(counted)
    }

    /// For a call of the plugin; valid while `self` lives, and for each `retain` after it.
    pub(crate) fn as_ptr(&self) -> *const RawContext {
        self.0.cast()
    }
}

impl Drop for ForeignContext {
    fn drop(&mut self) {
        // SAFETY: gives up the count that `new` made.
        unsafe { release(self.0.cast()) }
    }
}

/// # Safety
/// `raw` is the head of a live `Counted`.
unsafe fn context<'a>(raw: *const RawContext) -> &'a Context {
    // SAFETY: see above.
    unsafe { &(*raw.cast::<Counted>()).ctx }
}

unsafe extern "C" fn retain(raw: *const RawContext) {
    // SAFETY: the contract has the plugin pass a live context.
    unsafe { (*raw.cast::<Counted>()).count.fetch_add(1, Ordering::Relaxed) };
}

unsafe extern "C" fn release(raw: *const RawContext) {
    let counted = raw.cast::<Counted>().cast_mut();
    // SAFETY: as in `retain`; the last one out frees what `new` allocated.
    unsafe {
        if (*counted).count.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            drop(Box::from_raw(counted));
        }
    }
}

unsafe extern "C" fn is_cancelled(raw: *const RawContext) -> u8 {
    // SAFETY: as in `retain`.
    u8::from(unsafe { context(raw) }.is_cancelled())
}

unsafe extern "C" fn remaining_ms(raw: *const RawContext) -> u64 {
    // SAFETY: as in `retain`.
    let remaining = unsafe { context(raw) }.remaining();
    remaining.map_or(u64::MAX, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX - 1))
}

unsafe extern "C" fn progress(raw: *const RawContext, rows: u64, total_rows: u64, bytes: u64) {
    let total_rows = (total_rows != u64::MAX).then_some(total_rows);
    // SAFETY: as in `retain`.
    unsafe { context(raw) }.progress(Progress { rows, total_rows, bytes });
}

unsafe extern "C" fn log(raw: *const RawContext, level: i32, message: RawStr) {
    // SAFETY: as in `retain`; the message lives for the call.
    unsafe { context(raw).log(Level::from_abi(level), &message.to_string_lossy()) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use plugin_sdk::CancelToken;

    use super::*;

    #[test]
    fn a_plugin_reads_its_caller_for_as_long_as_it_retains_the_context() {
        let cancel = CancelToken::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let own = ForeignContext::new(&Context::detached("request-7", Some(deadline), cancel.clone()));
        let raw = own.as_ptr();
        // SAFETY: a plugin would do the same: the context is live while it is retained.
        unsafe {
            ((*raw).retain)(raw);
            drop(own);
            assert_eq!((*raw).request_id.to_string_lossy(), "request-7");
            assert_eq!(((*raw).is_cancelled)(raw), 0);
            assert!((1..=60_000).contains(&((*raw).remaining_ms)(raw)));
            cancel.cancel();
            assert_eq!(((*raw).is_cancelled)(raw), 1);
            ((*raw).release)(raw);
        }
    }
}
