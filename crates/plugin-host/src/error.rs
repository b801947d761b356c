//! What can go wrong with the host itself. Calls of a source fail with
//! [`SourceError`](plugin_sdk::SourceError) instead.

use std::io;

/// A failed operation of the host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder of private copies cannot be used.
    #[error("prepare the store of private copies")]
    Store(#[source] io::Error),
    /// A thread of the host cannot be started.
    #[error("start the thread '{name}'")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is no plugin of that name.
    #[error("find a plugin named '{0}'")]
    UnknownPlugin(String),
    /// The host was shut down.
    #[error("use a plugin host that was shut down")]
    ShutDown,
}

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
