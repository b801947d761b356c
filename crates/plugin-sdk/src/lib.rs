//! All that the author of a Larder data source sees.
//!
//! A *source* offers *datasets*: named tables of Arrow record batches. In Rust, an author implements
//! [`Plugin`] (what it is called, how an instance is opened) and [`DataSource`] (what an instance can
//! do), and writes [`export_source!`] once in a `cdylib` crate:
//!
//! ```
//! use std::sync::Arc;
//! use plugin_sdk::arrow::array::{Int64Array, RecordBatch};
//! use plugin_sdk::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
//! use plugin_sdk::{Context, DataSource, Dataset, Plugin, PluginInfo, Result, Scan, ScanRequest};
//!
//! struct Numbers;
//!
//! impl Plugin for Numbers {
//!     const INFO: PluginInfo = PluginInfo::new("numbers", "1.0.0", "the first ten numbers");
//!     fn open(_: &Context, _config: &str) -> Result<Box<dyn DataSource>> {
//!         Ok(Box::new(Numbers))
//!     }
//! }
//!
//! impl DataSource for Numbers {
//!     fn datasets(&self, _: &Context) -> Result<Vec<Dataset>> {
//!         Ok(vec![Dataset::new("numbers", "the numbers from 0 to 9")])
//!     }
//!     fn schema(&self, _: &Context, _dataset: &str) -> Result<SchemaRef> {
//!         Ok(Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)])))
//!     }
//!     fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
//!         let schema = self.schema(ctx, &request.dataset)?;
//!         let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from_iter(0..10))])?;
//!         Scan::whole(schema, [Ok(batch)]).project(request)
//!     }
//! }
//!
//! # fn main() {}
//! plugin_sdk::export_source!(Numbers);
//! ```
//!
//! Authors in other languages include `include/larder_plugin.h`; [`abi`] is its mirror in Rust.
//! Nothing here knows the server: the host process is reached through [`Context`] alone.

pub mod abi;
mod context;
mod error;
pub mod export;
pub mod ffi_stream;
pub mod filter;
pub mod manifest;
mod source;

pub use arrow;

pub use context::{Caller, CancelToken, Context, Level, Progress};
pub use error::{ErrorCode, Result, SourceError};
pub use source::{
    Applied, BatchIter, DataSource, Dataset, Filter, FilterOp, Fingerprint, Plugin, PluginInfo, Scan, ScanRequest,
    capability, needs,
};
