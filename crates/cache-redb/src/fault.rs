//! What went wrong with the database, sorted by what is to be done about it.

use std::error::Error as StdError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What went wrong with the database.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is no room: what is stored is sound, and can be read once the file has been opened again.
    Full(Cause),
    /// The operating system refused something else; the file may be sound.
    Io(Cause),
    /// Something beside the file stands in the way: the log cannot be written, or the process may open no more files. That
    /// says nothing about the file, however often it happens.
    Beside(Cause),
    /// The file is not what was written: it is made anew.
    Corrupt(Cause),
}

/// No memory, too many open files on the system, too many of this process: `ENOMEM`, `ENFILE`, `EMFILE` on every Unix.
const WANTS: [i32; 3] = [12, 23, 24];

type Cause = Box<dyn StdError + Send + Sync>;

impl Fault {
    pub(crate) fn corrupt(what: &'static str) -> Self {
        Self::Corrupt(what.into())
    }

    pub(crate) fn io(error: io::Error) -> Self {
        if error.raw_os_error().is_some_and(|number| WANTS.contains(&number)) {
            return Self::Beside(error.into());
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(error.into())
            }
            // redb says this of a file that is no database, or one that ends too early.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Corrupt(error.into()),
            _ => Self::Io(error.into()),
        }
    }

    /// The log cannot be written.
    pub(crate) fn log(error: io::Error) -> Self {
        match Self::io(error) {
            Self::Io(cause) | Self::Corrupt(cause) => Self::Beside(cause),
            fault => fault,
        }
    }

    /// Whether it is one that no waiting mends: somebody has to change something.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Io(cause) if cause.downcast_ref::<io::Error>().is_some_and(Self::refuses))
    }

    /// Whether this error is such a refusal.
    pub(crate) fn refuses(error: &io::Error) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        matches!(error.kind(), NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
    }

    /// What is shown of it.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Full(_) => "no space is left for the cache file".to_owned(),
            Self::Io(cause) => format!("the cache file cannot be read or written: {cause}"),
            Self::Beside(cause) => format!("the cache file cannot be used: {cause}"),
            Self::Corrupt(cause) => format!("the cache file was damaged: {cause}"),
        }
    }

    pub(crate) fn into_cause(self) -> Cause {
        match self {
            Self::Full(cause) | Self::Io(cause) | Self::Beside(cause) | Self::Corrupt(cause) => cause,
        }
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::io(error),
            // The cause came before, in another call; until the file is opened again nothing more can be known.
            redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::DatabaseAlreadyOpen => {
                Self::Io(error.into())
            }
            error => Self::Corrupt(error.into()),
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}

from_redb!(StorageError, DatabaseError, TransactionError, TableError, CommitError, CompactionError);

/// Runs something on the database. redb panics on some files that are damaged: that is a fault like another.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What the panic leaves behind is the database alone, and that is closed and opened again after each fault.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Fault::corrupt("the database gave up on it")))
}
