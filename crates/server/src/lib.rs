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

use std::future::{Future, ready};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::Error;
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;

use crate::http::as_typed::AsTyped;
use crate::http::routes::create_app;
use crate::state::AppState;

/// A client that does not send its request's head within this time is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was shut down is let go of after this time, whether its client has taken note or not.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Serves on `listener` until `shutdown` is ready; then lets open requests finish.
///
/// # Errors
/// The listener cannot be used.
pub async fn run(listener: TcpListener, state: Arc<AppState>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let (config, streaming) = (state.config.clone(), Arc::clone(&state));
    let builder = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(config.max_connections)
        .shutdown_timeout(config.shutdown_timeout.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let address = listener.local_addr()?;
    // As in `actix_web::HttpServer`, but for the look at what is read. The application's own address is its default: nothing
    // asks for it.
    let service = move || {
        let (app, stopping) = (create_app(Arc::clone(&state)), stopping.clone());
        let app = app.into_factory().map_err(|error: Error| error.error_response());
        let http = HttpService::build()
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            // Who closes a connection has left, and the work for them stops: nobody closes one half of it and waits.
            .h1_allow_half_closed(false)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let connection = |io: TcpStream| {
            let peer = io.peer_addr().ok();
            ready(Ok((AsTyped::new(io), peer)))
        };
        fn_service(connection).and_then(http)
    };
    let server = builder.listen("http", listener, service)?.run();
    let handle = server.handle();
    let stop = async {
        shutdown.await;
        tracing::info!("stopping: open requests are finished first; a second signal stops at once");
        streaming.jobs.cancel_all();
        streaming.streams.close();
        handle.stop(true).await;
    };
    let (served, ()) = futures_util::future::join(server, stop).await;
    served
}
