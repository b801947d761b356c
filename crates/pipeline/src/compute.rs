//! Where CPU work runs: small work where it is, larger work on rayon, so that it never holds up the
//! threads that wait on the network.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::error::Error;

/// Bytes up to which a table is worked on in place: handing over costs more than that.
const SMALL_BYTES: u64 = 64 * 1024;

/// Runs `work` on `bytes` bytes of rows, in place or on rayon.
///
/// # Errors
/// [`Error::Internal`] when the work panicked.
pub async fn compute<T: Send + 'static>(bytes: u64, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    if bytes <= SMALL_BYTES {
        return catch_unwind(AssertUnwindSafe(work)).map_err(|_| Error::Internal("the work panicked".into()));
    }
    let (send, receive) = oneshot::channel();
    rayon::spawn(move || {
        // Nobody may be waiting any more; then the result is dropped.
        let _ = send.send(catch_unwind(AssertUnwindSafe(work)));
    });
    match receive.await {
        Ok(Ok(result)) => Ok(result),
        _ => Err(Error::Internal("the work panicked".into())),
    }
}
