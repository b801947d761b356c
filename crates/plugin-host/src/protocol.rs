//! The messages between host and worker, in MessagePack.
//!
//! On the control socket a message is a length (u32, little endian) and its bytes; descriptors of
//! new lanes travel beside [`ToWorker::NewLane`]. On a lane messages are [frames](crate::frame):
//! a [`Request`] goes out, an [`Answer`] comes back, for a scan followed by batches and
//! [`Answer::End`]. Both sides come from one build, so the version only guards against mistakes.

use std::path::PathBuf;
use std::time::Duration;

use plugin_sdk::{ErrorCode, SourceError};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Version of these messages.
pub(crate) const VERSION: u32 = 1;

/// The largest message on either kind of socket.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// The longest text of a worker that is kept: what it says is not trusted to be short.
pub(crate) const MAX_TEXT: usize = 4096;

/// `text`, without what is over [`MAX_TEXT`].
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

/// Control messages of the host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// The first message: what to load.
    Open(Open),
    /// A lane; its descriptor comes along.
    NewLane,
    /// The caller of a call gave up.
    Cancel { call: u64 },
}

/// What a worker is to load.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) version: u32,
    pub(crate) instance: String,
    pub(crate) library: PathBuf,
    /// The configuration, a JSON object.
    pub(crate) config: String,
    pub(crate) timeout_ms: u64,
    pub(crate) memory_limit: Option<u64>,
}

/// Control messages of the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// A step towards readiness was taken.
    Passed { step: String, detail: String },
    /// A step failed; the worker leaves.
    OpenFailed { step: String, error: WireError },
    /// The instance is open; lanes are welcome.
    Ready,
    /// How far a call has come.
    Progress { call: u64, rows: u64, total_rows: Option<u64>, bytes: u64 },
    /// A log line of a call; call 0 is the opening.
    Log { call: u64, level: i32, message: String },
    /// A cancelled call has stopped.
    Ended { call: u64 },
}

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) call: u64,
    pub(crate) request_id: String,
    pub(crate) remaining_ms: Option<u64>,
    pub(crate) body: Body,
}

/// What is called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Body {
    Datasets,
    Schema { dataset: String },
    Fingerprint { dataset: String },
    Scan { dataset: String, projection: Option<Vec<u32>>, filters: Vec<WireFilter>, limit: Option<u64> },
}

/// A condition; its values are an Arrow IPC stream of one column, absent for the null tests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WireFilter {
    pub(crate) column: u32,
    pub(crate) op: u32,
    pub(crate) values: Option<Blob>,
}

/// What a call is answered with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Datasets(Vec<(String, String)>),
    /// An Arrow IPC schema message.
    Schema(Blob),
    Fingerprint(Blob),
    /// Batches follow, then [`Answer::End`] or [`Answer::Failed`].
    Scan {
        schema: Blob,
        applied: Vec<u8>,
    },
    End,
    Failed(WireError),
}

/// A [`SourceError`] on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WireError {
    code: i32,
    message: String,
    retryable: bool,
    retry_after_ms: Option<u64>,
    poisoned: bool,
}

impl From<SourceError> for WireError {
    fn from(error: SourceError) -> Self {
        Self {
            code: error.code as i32,
            message: error.message,
            retryable: error.retryable,
            retry_after_ms: error.retry_after.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            poisoned: error.poisoned,
        }
    }
}

impl From<WireError> for SourceError {
    fn from(error: WireError) -> Self {
        let mut own = Self::new(ErrorCode::from_abi(error.code), cut(error.message));
        own.retryable = error.retryable;
        own.retry_after = error.retry_after_ms.map(Duration::from_millis);
        own.poisoned = error.poisoned;
        own
    }
}

/// Bytes, which serde would write as a list of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// A message that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("a message of {0} bytes is over the limit of {MAX_MESSAGE}")]
    TooLarge(usize),
    #[error("a message cannot be written")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("a message cannot be read")]
    Decode(#[from] rmp_serde::decode::Error),
}

/// The bytes of a message.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, ProtocolError> {
    let bytes = rmp_serde::to_vec(message)?;
    if bytes.len() > MAX_MESSAGE { Err(ProtocolError::TooLarge(bytes.len())) } else { Ok(bytes) }
}

/// A message of these bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ProtocolError> {
    Ok(rmp_serde::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_bytes() {
        let values = Some(Blob((0..=255).collect()));
        let body = Body::Scan {
            dataset: "d".into(),
            projection: Some(vec![2, 0]),
            filters: vec![WireFilter { column: 1, op: 7, values: values.clone() }],
            limit: None,
        };
        let bytes = encode(&Request { call: 7, request_id: "r".into(), remaining_ms: Some(5), body }).unwrap();
        let request: Request = decode(&bytes).unwrap();
        let Body::Scan { projection, filters, limit, .. } = request.body else { panic!("{request:?}") };
        assert_eq!((request.call, request.remaining_ms, projection, limit), (7, Some(5), Some(vec![2, 0]), None));
        assert_eq!(filters[0].values, values);
    }

    #[test]
    fn an_error_survives_the_wire_whole() {
        let mut error = SourceError::new(ErrorCode::Unavailable, "later");
        error.retry_after = Some(Duration::from_millis(1500));
        error.poisoned = true;
        error.retryable = false;
        assert_eq!(SourceError::from(WireError::from(error.clone())), error);
    }

    #[test]
    fn a_long_text_of_a_worker_is_cut_between_characters() {
        let long = SourceError::new(ErrorCode::Internal, format!("x{}", "é".repeat(MAX_TEXT)));
        assert_eq!(SourceError::from(WireError::from(long)).message.len(), MAX_TEXT - 1);
    }

    #[test]
    fn what_is_not_a_message_is_an_error() {
        assert!(decode::<Request>(b"\xc1\x00").is_err());
        assert!(decode::<ToWorker>(&[]).is_err());
    }
}
