//! Making a body: the answer to its question, counted if that was asked for, encoded and compressed, or, where it is too
//! large to be kept, ready to be streamed.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use cache_core::{Item, Key, Origin};
use pipeline::format::{Chunks, Format};
use pipeline::{Answer, AnswerFrom, CallOptions, DataPipeline, Error, FacetsFound, Prepared, compute};

use super::body::Body;
use super::facets;
use super::page::Page;
use super::question::{Question, RowsWanted, Wanted};
use super::stream::Rows;
use super::worth::Worth;
use crate::watch::Watch;

/// A number that no other process has.
static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));

/// Makes bodies.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) pipeline: DataPipeline,
    /// The most rows of an answer that was asked for without a limit.
    pub(super) max_rows: u64,
    /// The largest body that can be kept, before compression: a larger one is streamed.
    pub(super) max_bytes: u64,
    /// Which bodies go to disk.
    pub(super) worth: Arc<Worth>,
    /// Is told how long encoding takes.
    pub(super) watch: Arc<Watch>,
}

impl Maker {
    /// The body of a question, to be kept under `key`.
    pub(super) async fn make(
        &self,
        wanted: Arc<Wanted>,
        prepared: &Prepared,
        key: &Key,
        call: &CallOptions,
    ) -> Result<Item<Arc<Body>>, Error> {
        let started = Instant::now();
        let (body, origin) = match &wanted.question {
            Question::Rows(rows) => {
                let (answer, page) = self.rows(rows, wanted.format, prepared, call).await?;
                let origin = answer.origin;
                (self.encode(Arc::clone(&wanted), answer, page, key).await?, origin)
            }
            Question::Facets(facets) => {
                let (found, origin) = self.pipeline.facets(prepared, facets, call).await?;
                let (format, coding) = (wanted.format, wanted.coding);
                let (from, bytes) = made_of(&found);
                let body = compute(bytes, move || -> Result<_, Error> {
                    let document = facets::document(&found, usize::MAX)?;
                    Ok(Body::new(document, format, coding, Page::default(), from))
                });
                (body.await??, origin)
            }
        };
        let item = item(body, origin, &wanted);
        Ok(if self.worth.admits(started.elapsed()) { item } else { item.in_memory_only() })
    }

    async fn rows(
        &self,
        rows: &RowsWanted,
        format: Format,
        prepared: &Prepared,
        call: &CallOptions,
    ) -> Result<(Answer, Page), Error> {
        let limited = rows.query.clone().with_limit_at_most(self.max_rows);
        let mut answer = self.pipeline.answer(prepared, &limited, call).await?;
        let counted = match rows.counting {
            Some(how) => self.pipeline.count(prepared, &limited, how, call).await?,
            None => None,
        };
        if let Some((_, origin)) = counted {
            answer.origin = answer.origin.oldest(origin);
        }
        let total = counted.map(|(total, _)| total);
        let page = Page::of(&rows.query, &answer, rows.counting, total, format);
        Ok((answer, page.with_ignored(rows.ignored.as_deref().unwrap_or_default())))
    }

    async fn encode(&self, wanted: Arc<Wanted>, answer: Answer, page: Page, key: &Key) -> Result<Body, Error> {
        let (format, coding, bytes) = (wanted.format, wanted.coding, answer.bytes);
        let (before, after) = match &wanted.question {
            Question::Rows(rows) => rows.around(format, answer.rows),
            Question::Facets(_) => Default::default(),
        };
        let rows = Rows { answer: Arc::new(answer), around: (before.into(), after.into()) };
        if bytes <= self.max_bytes {
            let (rows, page, max_bytes) = (rows.clone(), page.clone(), self.max_bytes);
            let stop = rows.answer.run.stop_on_drop();
            let body = compute(bytes, move || -> Result<_, Error> {
                let from = rows.answer.from;
                let encoded = encoded(&rows, format, max_bytes)?;
                Ok(encoded.map(|bytes| Body::new(bytes, format, coding, page, from)))
            });
            let (started, body) = (Instant::now(), body.await?);
            stop.disarm();
            self.watch.dataset("encode", &wanted.dataset.name, started.elapsed(), body.is_ok());
            if let Some(body) = body? {
                return Ok(body);
            }
        }
        // The same question on the same data is written in the same bytes. What numbers the loads may begin anew with the
        // process, if nothing is kept on disk.
        let data = [rows.answer.version, rows.answer.origin.counter(), key.version(), *PROCESS];
        let identity = [key.bytes(), &data.map(u64::to_le_bytes).concat()].concat();
        Ok(Body::streamed(rows, &identity, format, coding, page))
    }
}

/// Where facets come from, and how many bytes their values take.
fn made_of(found: &FacetsFound) -> (AnswerFrom, u64) {
    let from = found.facets.last().map_or(AnswerFrom::Cache, |facet| facet.values.from);
    (from, found.facets.iter().map(|facet| facet.values.bytes).sum())
}

/// All of the bytes, `None` if they are more than `max_bytes`. The query's deadline holds for this, too.
fn encoded(rows: &Rows, format: Format, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
    let Rows { answer, around: (before, after) } = rows;
    let mut bytes = before.as_bytes().to_vec();
    for chunk in Chunks::new(format, &answer.schema, answer.batches.clone())? {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() as u64 > max_bytes {
            return Ok(None);
        }
        answer.run.check()?;
    }
    bytes.extend_from_slice(after.as_bytes());
    Ok(Some(bytes))
}

fn item(body: Body, origin: Origin, wanted: &Wanted) -> Item<Arc<Body>> {
    let weight = body.weight();
    Item::new(Arc::new(body), weight).with_origin(origin).with_tags(wanted.dataset.item_tags())
}
