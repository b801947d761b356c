//! Work and waiting do not starve each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loader::{AsyncDataLoader, FetchOptions, LoadOptions, LoadRequest};

use crate::source::{Source, pipeline};

/// Keeps every thread of rayon busy until it is told to stop.
fn busy_rayon(stop: &Arc<AtomicBool>) {
    for _ in 0..rayon::current_num_threads() {
        let stop = Arc::clone(stop);
        rayon::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_are_called_while_all_cores_work_and_work_is_done_while_all_calls_wait() {
    let source = Source::new(&["a", "b", "c", "d", "quick"]);
    let (pipeline, fetcher) = pipeline(&source, FetchOptions::default());
    let loader = AsyncDataLoader::with_options(pipeline, LoadOptions { max_workers: 8, ..LoadOptions::default() });
    let stop = Arc::new(AtomicBool::new(false));
    busy_rayon(&stop);
    source.hold(true);
    let requests = ["a", "b", "c", "d"].map(LoadRequest::new).to_vec();
    let (waiting, started) = (loader.clone(), Instant::now());
    let waiting = tokio::spawn(async move { waiting.load_multiple_datasets(requests).await });
    // The calls begin, although no core is free for work.
    while source.running() < 4 {
        assert!(started.elapsed() < Duration::from_secs(5), "calls wait for cores: {:?}", fetcher.gate());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    // All permits of the source are taken by calls that wait; work is done all the same.
    let (send, done) = std::sync::mpsc::channel();
    rayon::spawn(move || send.send((0..1_000_000_u64).sum::<u64>()).unwrap_or_default());
    assert!(done.recv_timeout(Duration::from_secs(5)).is_ok());
    source.hold(false);
    assert_eq!(waiting.await.unwrap().failed(), 0);
}
