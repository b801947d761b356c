//! Polars and DuckDB, in one Python process that holds the rows in memory and answers line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::FileReader;
use serde_json::{Value, json};

use crate::server::{target_dir, workspace};

/// The peers by the names that their process knows. Polars has two engines; the faster one counts.
pub(super) const NAMES: [&str; 3] = ["polars", "polars-streaming", "duckdb"];

/// The process, ended when dropped.
pub(super) struct Peers {
    child: Child,
    questions: ChildStdin,
    replies: BufReader<ChildStdout>,
    versions: String,
}

impl Peers {
    /// Starts it and has it read the rows.
    pub(super) fn start(python: &str, rows: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .arg(workspace().join("bench/peers/python/queries.py"))
            .arg(rows)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the peers")?;
        let questions = child.stdin.take().ok_or_else(|| anyhow!("write to the peers"))?;
        let replies = BufReader::new(child.stdout.take().ok_or_else(|| anyhow!("read from the peers"))?);
        let mut peers = Self { child, questions, replies, versions: String::new() };
        peers.versions = peers.reply()?["versions"].as_str().context("read the peers' versions")?.to_owned();
        Ok(peers)
    }

    /// Who they are.
    pub(super) fn versions(&self) -> &str {
        &self.versions
    }

    /// Milliseconds that `peer` takes for a question.
    pub(super) fn time(&mut self, peer: &str, question: &str) -> anyhow::Result<f64> {
        self.ask(&json!({ "peer": peer, "question": question }))
    }

    /// What `peer` answers, in one batch.
    pub(super) fn answer(&mut self, peer: &str, question: &str) -> anyhow::Result<RecordBatch> {
        let file: PathBuf = target_dir().join(format!("bench/answer-{peer}.arrow"));
        self.ask(&json!({ "peer": peer, "question": question, "file": file }))?;
        let reader = FileReader::try_new_buffered(File::open(&file)?, None).context("read a peer's answer")?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>().context("read a peer's answer")?;
        std::fs::remove_file(&file)?;
        concat_batches(&schema, &batches).context("join the batches of a peer's answer")
    }

    fn ask(&mut self, question: &Value) -> anyhow::Result<f64> {
        writeln!(self.questions, "{question}").context("write to the peers")?;
        self.reply()?["milliseconds"].as_f64().context("read a peer's time")
    }

    fn reply(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        if self.replies.read_line(&mut line).context("read from the peers")? == 0 {
            bail!("read from the peers: their process ended");
        }
        serde_json::from_str(&line).context("read from the peers")
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
