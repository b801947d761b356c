//! One request on its way through the pipeline, watched.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pipeline::query::BoundQuery;
use pipeline::{Begun, CallOptions, DataPipeline, Dataset, Error, LoadProgress, ProgressSeen, Stage};
use tokio::time::Instant;

use crate::estimate;
use crate::event::{Event, Seen};
use crate::request::{LoadRequest, Loaded, Outcome};

/// Whether the rows of an answer are handed to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    Kept,
    Counted,
}

/// A request that is being worked on.
pub(crate) struct Tracked {
    pub(crate) name: Arc<str>,
    request: LoadRequest,
    begun: Arc<Begun>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What it waits for, once that is known.
    asked: Option<(Arc<Dataset>, BoundQuery)>,
    /// The load of somebody else that brings it.
    joined: Option<Arc<LoadProgress>>,
    attempts_told: u32,
    told: Option<Seen>,
}

impl Tracked {
    pub(crate) fn new(request: LoadRequest) -> Self {
        Self { name: request.name.as_str().into(), request, begun: Arc::default(), state: Mutex::default() }
    }

    pub(crate) fn source(&self) -> &str {
        &self.request.source
    }

    /// Loads it.
    pub(crate) async fn load(&self, pipeline: &DataPipeline, call: &CallOptions, rows: Rows) -> Outcome {
        let started = Instant::now();
        let call = &CallOptions { begun: Some(Arc::clone(&self.begun)), ..call.clone() };
        let once = async || -> Result<Loaded, Error> {
            let dataset = Arc::clone(pipeline.catalog().get(&self.request.source)?);
            let (query, ignored_filters) = self.request.bind(pipeline, &dataset)?;
            self.state.lock().asked = Some((Arc::clone(&dataset), query.clone()));
            let prepared = pipeline.prepare(&dataset, call).await?;
            let answer = pipeline.answer(&prepared, &query, call).await?;
            // The rows are those of the table, if there is one: it says how it was come by.
            let from = prepared.from().unwrap_or(answer.from);
            let (count, bytes) = (answer.rows, answer.bytes);
            let answer = (rows == Rows::Kept).then_some(answer);
            Ok(Loaded { rows: count, bytes, from, ignored_filters, answer })
        };
        let result = match once().await {
            // The catalog has the new schema already.
            Err(Error::SchemaChanged { .. }) => once().await,
            result => result,
        };
        let (name, source) = (Arc::clone(&self.name), self.request.source.as_str().into());
        Outcome { name, source, result, took: started.elapsed(), attempts: self.attempts() }
    }

    /// How often its source was read for it.
    pub(crate) fn attempts(&self) -> u32 {
        self.begun.load().map_or(0, |load| load.look().attempts)
    }

    /// What is new since the last look.
    pub(crate) fn news(&self, pipeline: &DataPipeline) -> Vec<Event> {
        let Some(seen) = self.look(pipeline) else { return Vec::new() };
        let mut state = self.state.lock();
        let mut news = Vec::new();
        // The attempt that waits to be made counts: it is told of when it is known to come.
        let attempts = seen.attempts + u32::from(seen.stage == Stage::Waiting);
        // Two may have come between two looks.
        for attempt in state.attempts_told.max(1) + 1..=attempts {
            state.attempts_told = attempt;
            news.push(Event::Retrying { name: Arc::clone(&self.name), attempt, code: seen.last_failure });
        }
        let now = shown(&seen, state.told);
        if state.told != Some(now) {
            state.told = Some(now);
            news.push(Event::Progress { name: Arc::clone(&self.name), seen: now });
        }
        news
    }

    /// What is left to be told of a load that went well; nothing of one that nobody was told of, as it was too quick.
    pub(crate) fn all_of_it(&self) -> Option<Seen> {
        let mut state = self.state.lock();
        let told = state.told?;
        let load = self.begun.load().or(state.joined.take())?;
        let now = shown(&load.look(), Some(told));
        let (total_rows, time_left) = (Some(now.rows), Some(Duration::ZERO));
        let seen = Seen { stage: Stage::Read, fraction: Some(1.0), total_rows, time_left, ..now };
        state.told = Some(seen);
        (seen != told).then_some(seen)
    }

    /// How far the load has come that it waits for.
    fn look(&self, pipeline: &DataPipeline) -> Option<ProgressSeen> {
        if let Some(load) = self.begun.load() {
            return Some(load.look());
        }
        let mut state = self.state.lock();
        if let Some((dataset, query)) = &state.asked {
            // A load that ends is not listed any more; it is looked at to the end.
            state.joined = pipeline.progress(dataset, query).or(state.joined.take());
        }
        state.joined.as_ref().map(|load| load.look())
    }
}

/// What is told of a look: never less than before.
fn shown(seen: &ProgressSeen, before: Option<Seen>) -> Seen {
    let (rows, bytes) = before.map_or((0, 0), |before| (before.rows, before.bytes));
    let (rows, bytes) = (seen.rows.max(rows), seen.bytes.max(bytes));
    let total_rows = seen.total_rows.map(|total| total.max(rows));
    let fraction = match seen.stage {
        Stage::Read => Some(1.0),
        _ => estimate::fraction(rows, total_rows),
    };
    let fraction = match (fraction, before.and_then(|before| before.fraction)) {
        (Some(now), Some(before)) => Some(now.max(before)),
        (now, before) => now.or(before),
    };
    let time_left = estimate::of_rest(seen.elapsed, fraction).map(whole_tenths);
    Seen { stage: seen.stage, rows, bytes, total_rows, fraction, time_left }
}

/// A guess to the tenth of a second, so that it is no news each time.
fn whole_tenths(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / 100 * 100)
}
