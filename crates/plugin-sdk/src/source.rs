//! The two traits of a source and the plain data that its calls take and give.

use std::fmt;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::context::Context;
use crate::error::{Result, SourceError};

/// What kind of thing a library is: named, described, and opened into instances.
pub trait Plugin: 'static {
    /// The constant facts about the plugin; also readable from the library without loading it.
    const INFO: PluginInfo;

    /// Opens one instance for a configuration (a JSON object, `{}` when none was given).
    ///
    /// # Errors
    /// [`InvalidConfig`](crate::ErrorCode::InvalidConfig) when the configuration is not acceptable.
    fn open(ctx: &Context, config: &str) -> Result<Box<dyn DataSource>>;
}

/// The constant facts about a plugin.
#[derive(Debug, Clone, Copy)]
pub struct PluginInfo {
    /// Its name, `^[a-z0-9_-]{1,64}$`.
    pub name: &'static str,
    /// Its version, for people.
    pub version: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// JSON Schema of its configuration.
    pub config_schema: &'static str,
    /// Bits of [`capability`].
    pub capabilities: u64,
    /// Bits of [`needs`].
    pub needs: u64,
}

impl PluginInfo {
    /// A plugin without configuration, capabilities or needs.
    pub const fn new(name: &'static str, version: &'static str, description: &'static str) -> Self {
        Self { name, version, description, config_schema: r#"{"type":"object"}"#, capabilities: 0, needs: 0 }
    }
}

/// What a plugin can do beyond the minimum.
pub mod capability {
    /// One instance may be called from several threads at a time.
    pub const CONCURRENT: u64 = 1;
}

/// What a plugin needs of the machine.
pub mod needs {
    /// To open network connections.
    pub const NET: u64 = 1;
    /// To read files outside its own folder.
    pub const FS: u64 = 2;
}

/// An opened source. All calls block; each may be made from any thread.
pub trait DataSource: Send + Sync {
    /// The datasets that it offers now.
    ///
    /// # Errors
    /// Whatever keeps the source from knowing them.
    fn datasets(&self, ctx: &Context) -> Result<Vec<Dataset>>;

    /// The schema of a dataset. Field metadata `description` and `unit` are shown to people.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorCode::NotFound) for a name that is not offered.
    fn schema(&self, ctx: &Context, dataset: &str) -> Result<SchemaRef>;

    /// A cheap token that changes when the data does; [`Fingerprint::UNKNOWN`] when there is none.
    ///
    /// # Errors
    /// As [`schema`](Self::schema).
    fn fingerprint(&self, _ctx: &Context, _dataset: &str) -> Result<Fingerprint> {
        Ok(Fingerprint::UNKNOWN)
    }

    /// Starts to read a dataset.
    ///
    /// # Errors
    /// As [`schema`](Self::schema); later failures come out of the stream.
    fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan>;
}

/// A named table that a source offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its name, `^[a-z0-9_-]{1,64}$`.
    pub name: String,
    /// What it holds, for people; may be empty.
    pub description: String,
}

impl Dataset {
    /// A dataset with a description.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self { name: name.into(), description: description.into() }
    }

    /// Whether `name` is one that a dataset may have: `^[a-z0-9_-]{1,64}$`.
    pub fn is_valid_name(name: &str) -> bool {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    }
}

/// A change token of up to 64 bytes. Two equal, known tokens mean unchanged data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl Fingerprint {
    /// The most bytes that a token may have.
    pub const MAX_LEN: usize = 64;
    /// The token of a source that cannot tell.
    pub const UNKNOWN: Self = Self { len: 0, bytes: [0; Self::MAX_LEN] };

    /// A token of these bytes, `None` for more than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(token: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..token.len())?.copy_from_slice(token);
        Some(Self { len: u8::try_from(token.len()).ok()?, bytes })
    }

    /// The bytes of the token.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether the source could tell.
    pub fn is_known(&self) -> bool {
        self.len > 0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint(")?;
        self.as_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        write!(f, ")")
    }
}

/// How a filter compares. The numbers are part of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FilterOp {
    /// Equal to the value.
    Eq = 1,
    /// Not equal to the value.
    NotEq = 2,
    /// Less than the value.
    Lt = 3,
    /// Less than or equal to the value.
    LtEq = 4,
    /// Greater than the value.
    Gt = 5,
    /// Greater than or equal to the value.
    GtEq = 6,
    /// Equal to one of the values.
    In = 7,
    /// Null; has no values.
    IsNull = 8,
    /// Not null; has no values.
    IsNotNull = 9,
}

impl FilterOp {
    /// The operator of an ABI number.
    pub fn from_abi(number: u32) -> Option<Self> {
        use FilterOp::*;
        [Eq, NotEq, Lt, LtEq, Gt, GtEq, In, IsNull, IsNotNull].into_iter().find(|op| *op as u32 == number)
    }
}

/// One condition on one column; the filters of a request are ANDed. A comparison with null is not
/// true, as in SQL; floats compare in IEEE 754 total order, so that NaN equals itself.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Index into the dataset's schema (not into the projection).
    pub column: usize,
    /// How to compare.
    pub op: FilterOp,
    /// The values to compare with, of the column's type and never null: one, for
    /// [`FilterOp::In`] any number, for the null tests none.
    pub values: ArrayRef,
}

/// What a source did with a filter. The numbers are part of the ABI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Applied {
    /// Nothing.
    #[default]
    No = 0,
    /// It left out some rows that do not match, and none that do.
    Inexact = 1,
    /// It left out all rows that do not match, and none that do.
    Exact = 2,
}

impl Applied {
    /// The answer of an ABI number; unknown ones promise nothing.
    pub fn from_abi(number: u8) -> Self {
        match number {
            1 => Self::Inexact,
            2 => Self::Exact,
            _ => Self::No,
        }
    }
}

/// What to read of a dataset. Projection, filters and limit are there to save work: the caller
/// applies every filter again, and cuts what is too much.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// The dataset.
    pub dataset: String,
    /// The columns to produce, in this order; `None` for all. May be empty: rows without columns.
    pub projection: Option<Vec<usize>>,
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// A source that applies every filter exactly may stop after this many rows; one that does not
    /// must ignore it.
    pub limit: Option<u64>,
}

impl ScanRequest {
    /// The whole of a dataset.
    pub fn all(dataset: impl Into<String>) -> Self {
        Self { dataset: dataset.into(), ..Self::default() }
    }

    /// `schema` with the columns of the projection.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for an index that the schema lacks.
    pub fn projected(&self, schema: &SchemaRef) -> Result<SchemaRef> {
        match &self.projection {
            None => Ok(schema.clone()),
            Some(columns) => Ok(std::sync::Arc::new(
                schema
                    .project(columns)
                    .map_err(|e| SourceError::new(crate::ErrorCode::InvalidRequest, format!("bad projection: {e}")))?,
            )),
        }
    }
}

/// The record batches of a scan.
pub type BatchIter = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A started scan.
pub struct Scan {
    /// The schema of the batches: the dataset's, projected.
    pub schema: SchemaRef,
    /// What was done with each filter of the request, in its order; missing ones count as
    /// [`Applied::No`].
    pub applied: Vec<Applied>,
    /// The batches. After an error nothing more is read.
    pub batches: BatchIter,
}

impl Scan {
    /// A scan of all rows and columns, no filter applied.
    pub fn whole<I>(schema: SchemaRef, batches: I) -> Self
    where
        I: IntoIterator<Item = Result<RecordBatch>>,
        I::IntoIter: Send + 'static,
    {
        Self { schema, applied: Vec::new(), batches: Box::new(batches.into_iter()) }
    }

    /// The same scan with only the columns that the request asks for.
    ///
    /// # Errors
    /// As [`ScanRequest::projected`].
    pub fn project(self, request: &ScanRequest) -> Result<Self> {
        let Some(columns) = request.projection.clone() else { return Ok(self) };
        let schema = request.projected(&self.schema)?;
        let batches = self.batches.map(move |batch| Ok(batch?.project(&columns)?));
        Ok(Self { schema, applied: self.applied, batches: Box::new(batches) })
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("schema", &self.schema).field("applied", &self.applied).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_hold_up_to_64_bytes() {
        assert!(!Fingerprint::UNKNOWN.is_known());
        assert_eq!(Fingerprint::new(b"abc").unwrap().as_bytes(), b"abc");
        assert_eq!(Fingerprint::new(&[7; 64]).unwrap().as_bytes(), [7; 64]);
        assert_eq!(Fingerprint::new(&[7; 65]), None);
    }

    #[test]
    fn dataset_names_are_short_and_plain() {
        for good in ["a", "sector_2018", "x-1"] {
            assert!(Dataset::is_valid_name(good), "{good}");
        }
        for bad in ["", "A", "a b", "../etc", "é", &"a".repeat(65)] {
            assert!(!Dataset::is_valid_name(bad), "{bad}");
        }
    }
}
