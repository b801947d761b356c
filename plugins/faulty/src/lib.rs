//! A source that misbehaves on demand: the test double for broken plugins.
//!
//! It offers two datasets of the same 100 rows: `good`, which always works and lets a test watch
//! the neighbours of a fault, and `bad`, to which the configured fault happens:
//!
//! ```json
//! {"on": "mid_stream", "do": "segfault"}
//! ```
//!
//! `on` says in which call ([`On`]), `do` what ([`Fault`]). Faults in `open` and `datasets` happen
//! to the instance as a whole. Without a configuration nothing goes wrong. Faults while a library
//! is loaded, before any configuration is known, need a library of their own.

mod fault;

use std::sync::Arc;

use plugin_sdk::arrow::array::{Int64Array, RecordBatch, StringArray};
use plugin_sdk::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plugin_sdk::{
    Context, DataSource, Dataset, ErrorCode, Fingerprint, Plugin, PluginInfo, Result, Scan, ScanRequest, SourceError,
    capability,
};
use serde::Deserialize;

use fault::Fault;

/// Rows of each dataset.
const ROWS: i64 = 100;

/// The call in which the fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum On {
    Open,
    Datasets,
    Schema,
    Fingerprint,
    Scan,
    MidStream,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    on: Option<On>,
    r#do: Option<Fault>,
}

#[derive(Debug)]
struct Faulty {
    fault: Option<(On, Fault)>,
}

impl Plugin for Faulty {
    const INFO: PluginInfo = PluginInfo {
        capabilities: capability::CONCURRENT,
        config_schema: r#"{"type":"object","properties":{"on":{"type":"string"},"do":{"type":"string"}}}"#,
        ..PluginInfo::new("faulty", env!("CARGO_PKG_VERSION"), "misbehaves on demand")
    };

    fn open(ctx: &Context, config: &str) -> Result<Box<dyn DataSource>> {
        let config: Config = serde_json::from_str(config).map_err(|e| SourceError::invalid_config(e.to_string()))?;
        let fault = match (config.on, config.r#do) {
            (Some(on), Some(fault)) => Some((on, fault)),
            (None, None) => None,
            _ => return Err(SourceError::invalid_config("'on' and 'do' go together")),
        };
        let source = Self { fault };
        source.at(On::Open, ctx)?;
        Ok(Box::new(source))
    }
}

impl Faulty {
    /// The fault, if it is to happen here.
    fn fault_at(&self, on: On) -> Option<Fault> {
        self.fault.filter(|(when, _)| *when == on).map(|(_, fault)| fault)
    }

    fn at(&self, on: On, ctx: &Context) -> Result<()> {
        self.fault_at(on).map_or(Ok(()), |fault| fault.happen(ctx))
    }
}

impl DataSource for Faulty {
    fn datasets(&self, ctx: &Context) -> Result<Vec<Dataset>> {
        self.at(On::Datasets, ctx)?;
        Ok(vec![Dataset::new("bad", "what the fault happens to"), Dataset::new("good", "always works")])
    }

    fn schema(&self, ctx: &Context, dataset: &str) -> Result<SchemaRef> {
        if is_bad(dataset)? {
            self.at(On::Schema, ctx)?;
            if self.fault_at(On::Schema) == Some(Fault::WrongSchema) {
                return Ok(fault::other_schema());
            }
        }
        Ok(schema())
    }

    fn fingerprint(&self, ctx: &Context, dataset: &str) -> Result<Fingerprint> {
        if is_bad(dataset)? {
            self.at(On::Fingerprint, ctx)?;
        }
        Ok(Fingerprint::new(b"1").unwrap_or(Fingerprint::UNKNOWN))
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        if !is_bad(&request.dataset)? {
            return Scan::whole(schema(), [rows(0, ROWS)]).project(request);
        }
        self.at(On::Scan, ctx)?;
        let Some(fault) = self.fault_at(On::Scan).or(self.fault_at(On::MidStream)) else {
            return Scan::whole(schema(), [rows(0, ROWS)]).project(request);
        };
        let ctx = ctx.clone();
        let is_mid_stream = self.fault_at(On::MidStream).is_some();
        let start = if is_mid_stream { vec![rows(0, ROWS / 2)] } else { Vec::new() };
        match fault.batches(&ctx) {
            // The stream itself is the fault.
            Some(scan) => {
                let schema = if is_mid_stream { schema() } else { scan.schema };
                Ok(Scan::whole(schema, start.into_iter().chain(scan.batches)))
            }
            // The fault happened in `scan`, or happens after half of the rows.
            None => {
                let rest = std::iter::once_with(move || {
                    if is_mid_stream {
                        fault.happen(&ctx)?;
                    }
                    rows(if is_mid_stream { ROWS / 2 } else { 0 }, ROWS)
                });
                Scan::whole(schema(), start.into_iter().chain(rest)).project(request)
            }
        }
    }
}

fn is_bad(dataset: &str) -> Result<bool> {
    match dataset {
        "bad" => Ok(true),
        "good" => Ok(false),
        other => Err(SourceError::no_dataset(other)),
    }
}

fn schema() -> SchemaRef {
    let fields = vec![Field::new("n", DataType::Int64, false), Field::new("text", DataType::Utf8, false)];
    Arc::new(Schema::new(fields))
}

/// The rows `from..to`.
fn rows(from: i64, to: i64) -> Result<RecordBatch> {
    let text = StringArray::from_iter_values((from..to).map(|n| format!("row {n}")));
    let numbers = Int64Array::from_iter_values(from..to);
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(numbers), Arc::new(text)])?)
}

fn failure() -> SourceError {
    SourceError::new(ErrorCode::Unavailable, "this source was told to fail")
}

plugin_sdk::export_source!(Faulty);

#[cfg(test)]
mod tests {
    use plugin_sdk::CancelToken;

    use super::*;

    fn ctx() -> Context {
        Context::detached("t", None, CancelToken::new())
    }

    fn open(config: &str) -> Result<Box<dyn DataSource>> {
        Faulty::open(&ctx(), config)
    }

    fn scan(source: &dyn DataSource, dataset: &str) -> Vec<Result<usize>> {
        let scan = source.scan(&ctx(), &ScanRequest::all(dataset)).unwrap();
        scan.batches.map(|batch| batch.map(|batch| batch.num_rows())).collect()
    }

    #[test]
    fn without_a_configuration_nothing_goes_wrong() {
        let source = open("{}").unwrap();
        assert_eq!(source.datasets(&ctx()).unwrap().len(), 2);
        for dataset in ["good", "bad"] {
            assert_eq!(scan(&*source, dataset), [Ok(100)]);
        }
    }

    #[test]
    fn a_fault_happens_in_its_call_and_spares_the_neighbour() {
        let source = open(r#"{"on": "mid_stream", "do": "error"}"#).unwrap();
        assert_eq!(scan(&*source, "good"), [Ok(100)]);
        assert_eq!(scan(&*source, "bad"), [Ok(50), Err(failure())]);
        let source = open(r#"{"on": "scan", "do": "error"}"#).unwrap();
        assert!(source.scan(&ctx(), &ScanRequest::all("bad")).is_err());
        let source = open(r#"{"on": "scan", "do": "print"}"#).unwrap();
        assert_eq!(scan(&*source, "bad"), [Ok(100)]);
        assert!(open(r#"{"on": "open", "do": "error"}"#).is_err());
    }

    #[test]
    fn a_fault_that_does_not_exist_is_refused() {
        for config in [r#"{"on": "open"}"#, r#"{"on": "lunch", "do": "error"}"#, r#"{"off": 1}"#] {
            assert_eq!(open(config).err().map(|e| e.code), Some(ErrorCode::InvalidConfig), "{config}");
        }
    }

    #[test]
    fn a_hang_ends_when_it_is_cancelled() {
        let source = open(r#"{"on": "schema", "do": "hang"}"#).unwrap();
        let cancel = CancelToken::new();
        cancel.cancel();
        let error = source.schema(&Context::detached("t", None, cancel), "bad").unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled);
    }

    #[test]
    fn a_flood_has_no_end_and_a_drip_is_a_row_at_a_time() {
        let source = open(r#"{"on": "scan", "do": "flood"}"#).unwrap();
        let flood = source.scan(&ctx(), &ScanRequest::all("bad")).unwrap();
        assert_eq!(flood.batches.take(500).filter(Result::is_ok).count(), 500);
        let source = open(r#"{"on": "scan", "do": "slow_drip"}"#).unwrap();
        let mut drip = source.scan(&ctx(), &ScanRequest::all("bad")).unwrap();
        assert_eq!(drip.batches.next().unwrap().unwrap().num_rows(), 1);
    }
}
