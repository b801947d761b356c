//! Asking a source what it offers: its datasets, and the schema of each.
//!
//! Schemas are asked for on a few threads of their own (sources block, so rayon's threads are no place
//! for them), and the answers are told as they come: one dataset that hangs does not hide the others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use plugin_sdk::{Context, Dataset as Offer, ErrorCode, SourceError};

use crate::catalog::{Offered, Offers, SourceHandle};

/// Schemas asked for at a time.
const THREADS: usize = 4;
/// The shortest time between two tellings of partial answers.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Asks for everything. `tell` gets what is known so far, now and then; the whole is returned.
///
/// # Errors
/// The source does not list its datasets.
pub(crate) fn describe(
    handle: &SourceHandle,
    context: &(impl Fn() -> Context + Sync),
    mut tell: impl FnMut(&Offers),
) -> Result<Offers, SourceError> {
    let listed = handle.source.datasets(&context()).inspect_err(|error| {
        tracing::warn!(source = %handle.name, error = %error,
            "source '{}' does not list its datasets: {error}", handle.name);
    })?;
    let pending = |Offer { name, description }: Offer| Offered { name, description, schema: Err(not_yet()) };
    let mut offers: Offers = listed.into_iter().map(pending).collect();
    let names: Vec<String> = offers.iter().map(|offered| offered.name.clone()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (send, answers) = mpsc::channel();
        for _ in 0..THREADS.min(names.len()) {
            let (send, names, next) = (send.clone(), &names, &next);
            scope.spawn(move || {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(name) = names.get(at)
                {
                    // The receiver outlives the threads of the scope.
                    let _ = send.send((at, handle.source.schema(&context(), name)));
                }
            });
        }
        drop(send);
        collect(&answers, &mut offers, &mut tell);
    });
    // A dataset that crashes its source takes along whatever was asked at the same time, so what failed
    // together is asked for once more, one after the other.
    if offers.iter().filter(|offered| failed_for_the_moment(offered)).count() > 1 {
        for offered in offers.iter_mut().filter(|offered| failed_for_the_moment(offered)) {
            offered.schema = handle.source.schema(&context(), &offered.name);
        }
    }
    for Offered { name, schema, .. } in &offers {
        if let Err(error) = schema {
            tracing::warn!(source = %handle.name, dataset = %name, error = %error,
                "dataset '{name}' of source '{}' cannot be served: {error}", handle.name);
        }
    }
    Ok(offers)
}

type Answer = (usize, Result<SchemaRef, SourceError>);

/// Puts answers in their places until the last thread that sends them is done.
fn collect(answers: &mpsc::Receiver<Answer>, offers: &mut Offers, tell: &mut impl FnMut(&Offers)) {
    let (mut told, mut news) = (Instant::now(), false);
    loop {
        match answers.recv_timeout(TELL_EVERY) {
            Ok((at, schema)) => {
                offers[at].schema = schema;
                news = true;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        if news && told.elapsed() >= TELL_EVERY {
            tell(offers);
            (told, news) = (Instant::now(), false);
        }
    }
}

fn not_yet() -> SourceError {
    SourceError::new(ErrorCode::Unavailable, "the source has not said its schema yet")
}

fn failed_for_the_moment(offered: &Offered) -> bool {
    offered.schema.as_ref().is_err_and(|error| error.retryable)
}

/// Whether asking again later may bring more. Not after a crash: that would be one crash after the
/// other, until the source is taken out of service with all that it serves.
pub(crate) fn worth_another_try(error: &SourceError) -> bool {
    error.retryable && error.code != ErrorCode::Crashed
}
