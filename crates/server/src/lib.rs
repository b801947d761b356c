//! The server: HTTP in front of the pipeline, the plugins beside it.
//!
//! [`cli`] reads the command line; [`start`] puts the parts together from a [`config::Config`];
//! [`run`] serves them on a listener until it is told to stop. The way of a request is in [`http`]:
//! guard, memo, routes, handlers.
#![forbid(unsafe_code)]

pub mod applied;
pub mod background;
pub mod cli;
pub mod config;
pub mod disk;
mod home;
pub mod http;
pub mod invalidation;
pub mod openapi;
pub mod problem;
mod sources;
pub mod start;
pub mod state;
pub mod watch;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpServer;

use crate::http::routes::create_app;
use crate::state::AppState;

/// A client that does not send its request's head within this time is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Serves on `listener` until `shutdown` is ready; then lets open requests finish.
///
/// # Errors
/// The listener cannot be used.
pub async fn run(listener: TcpListener, state: Arc<AppState>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let (config, streaming) = (state.config.clone(), Arc::clone(&state));
    let server = HttpServer::new(move || create_app(Arc::clone(&state)))
        .workers(config.workers)
        .max_connections(config.max_connections)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(config.shutdown_timeout.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    let stop = async {
        shutdown.await;
        tracing::info!("stopping: open requests are finished first");
        streaming.jobs.cancel_all();
        streaming.streams.close();
        handle.stop(true).await;
    };
    let (served, ()) = futures_util::future::join(server, stop).await;
    served
}
