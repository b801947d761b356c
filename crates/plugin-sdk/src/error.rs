//! The one error of a source: a code that programs match on, a message for people, and what the
//! caller may do about it. The same shape crosses the C ABI and the worker's socket.

use std::time::Duration;

use arrow::error::ArrowError;

/// `Result` with [`SourceError`].
pub type Result<T, E = SourceError> = std::result::Result<T, E>;

/// What went wrong, in terms that a caller can act on. The numbers are part of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorCode {
    /// A defect of the source, or a code that this version does not know.
    Internal = 1,
    /// The configuration of the instance is not acceptable.
    InvalidConfig = 2,
    /// There is no dataset of that name.
    NotFound = 3,
    /// The request makes no sense to the source.
    InvalidRequest = 4,
    /// The data behind the source cannot be reached now.
    Unavailable = 5,
    /// The deadline passed.
    Timeout = 6,
    /// The caller gave up.
    Cancelled = 7,
    /// The data behind the source refused the source's credentials.
    PermissionDenied = 8,
    /// The data is there but cannot be read as a table.
    InvalidData = 9,
    /// A bound was reached (memory, rows, connections).
    ResourceExhausted = 10,
    /// The source does not do that.
    Unsupported = 11,
    /// The source panicked; the panic was stopped at the boundary.
    Panic = 12,
    /// The worker process that ran the source died.
    Crashed = 13,
}

impl ErrorCode {
    /// All codes, in the order of their numbers.
    pub const ALL: [ErrorCode; 13] = [
        Self::Internal,
        Self::InvalidConfig,
        Self::NotFound,
        Self::InvalidRequest,
        Self::Unavailable,
        Self::Timeout,
        Self::Cancelled,
        Self::PermissionDenied,
        Self::InvalidData,
        Self::ResourceExhausted,
        Self::Unsupported,
        Self::Panic,
        Self::Crashed,
    ];

    /// The code of an ABI number; an unknown one is [`ErrorCode::Internal`].
    pub fn from_abi(number: i32) -> Self {
        Self::ALL.into_iter().find(|code| *code as i32 == number).unwrap_or(Self::Internal)
    }

    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::InvalidConfig => "invalid_config",
            Self::NotFound => "not_found",
            Self::InvalidRequest => "invalid_request",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::PermissionDenied => "permission_denied",
            Self::InvalidData => "invalid_data",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unsupported => "unsupported",
            Self::Panic => "panic",
            Self::Crashed => "crashed",
        }
    }
}

/// A failed call of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What went wrong.
    pub code: ErrorCode,
    /// A lower-case fragment for people, without a full stop.
    pub message: String,
    /// Whether the same call may succeed if it is tried again.
    pub retryable: bool,
    /// How long to wait before trying again, if the source knows.
    pub retry_after: Option<Duration>,
    /// The instance is in an unknown state and must be opened anew before it is used again.
    pub poisoned: bool,
}

impl SourceError {
    /// An error with the usual `retryable` of its code: unavailable, timed out, exhausted and
    /// crashed calls may be tried again, others not.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let retryable = matches!(
            code,
            ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::ResourceExhausted | ErrorCode::Crashed
        );
        let poisoned = matches!(code, ErrorCode::Panic | ErrorCode::Crashed);
        Self { code, message: message.into(), retryable, retry_after: None, poisoned }
    }

    /// There is no dataset called `name`.
    pub fn no_dataset(name: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("no dataset named '{name}'"))
    }

    /// The data cannot be read as a table.
    pub fn invalid_data(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidData, message)
    }

    /// The configuration of the instance is not acceptable.
    pub fn invalid_config(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidConfig, message)
    }
}

impl From<ArrowError> for SourceError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::ExternalError(inner) => match inner.downcast::<SourceError>() {
                Ok(own) => *own,
                Err(other) => Self::new(ErrorCode::Internal, other.to_string()),
            },
            ArrowError::IoError(_, io) => io.into(),
            ArrowError::MemoryError(message) => Self::new(ErrorCode::ResourceExhausted, message),
            other => Self::invalid_data(other.to_string()),
        }
    }
}

impl From<std::io::Error> for SourceError {
    fn from(error: std::io::Error) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorCode::Unavailable,
            std::io::ErrorKind::PermissionDenied => ErrorCode::PermissionDenied,
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => ErrorCode::InvalidData,
            std::io::ErrorKind::TimedOut => ErrorCode::Timeout,
            std::io::ErrorKind::OutOfMemory => ErrorCode::ResourceExhausted,
            _ => ErrorCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_their_numbers_and_unknown_ones_are_internal() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_abi(code as i32), code);
        }
        assert_eq!(ErrorCode::from_abi(0), ErrorCode::Internal);
        assert_eq!(ErrorCode::from_abi(9_999), ErrorCode::Internal);
    }

    #[test]
    fn an_own_error_survives_the_way_through_arrow() {
        let own = SourceError::new(ErrorCode::PermissionDenied, "token refused");
        let arrow = ArrowError::ExternalError(Box::new(own.clone()));
        assert_eq!(SourceError::from(arrow), own);
    }
}
