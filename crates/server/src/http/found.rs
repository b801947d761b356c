//! The body of a question: found where it was kept, or made once for all who wait.
//!
//! Of a dataset that is kept whole, the table decides: it is looked at first, its number is part of the body's key, and a
//! body is as good as its table. Of one that goes query by query, a body is looked up by itself, and its source is asked
//! whether it still holds if nobody has asked since the start.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use cache_core::{Hit, How, Item, Key, LoadContext, LoadError, LoadOptions, Loaded, Stale, Stored};
use pipeline::{AnswerFrom, CallOptions, Dataset, Error, Observer as _, Prepared, Verified};

use super::body::Body;
use super::cache_headers::{self, Detail, ForClients};
use super::make::Maker;
use super::question::Wanted;
use super::timing::Timings;
use crate::problem::Problem;
use crate::state::AppState;
use crate::watch::Watch;

/// A body that was found or made.
pub(super) struct Found {
    /// The body with its ages.
    pub(super) hit: Hit<Arc<Body>>,
    /// How it was come by.
    pub(super) status: HeaderValue,
    /// How long clients may keep it.
    pub(super) control: HeaderValue,
    /// What the policy says of that.
    pub(super) for_clients: ForClients,
    /// Whether it may be served without a further look for as long as it is fresh and valid. A body from before a restart
    /// is not, until its source has said that the data is still the same.
    pub(super) lasting: bool,
    /// What it took.
    pub(super) timings: Timings,
}

/// The body from its cache, or made of the dataset's table: once for all who wait.
pub(super) async fn load(
    state: &AppState,
    wanted: &Arc<Wanted>,
    key: &Key,
    call: &CallOptions,
) -> Result<Found, Problem> {
    let dataset = &wanted.dataset;
    loop {
        let started = Instant::now();
        let prepared = state.pipeline.prepare(dataset, call).await?;
        let (prepared_after, looking) = (started.elapsed(), Instant::now());
        let (key, table) = (key.at_version(prepared.version()), prepared.from());
        let options = options(dataset, table, call);
        let load = loader(state, prepared, Arc::clone(wanted), &key, call);
        let loaded = state.bodies.try_get_or_load(&key, options, load).await;
        let loaded = loaded.map_err(|error| load_problem(dataset, error))?;
        let timings = Timings { table: prepared_after, body: looking.elapsed() };
        tell(&state.watch, &key, &loaded, timings.body);
        if table.is_none() && matches!(loaded.how(), How::Stale | How::StaleOnError) {
            state.watch.stale(dataset, loaded.how() == How::StaleOnError);
        }
        let was_there = !matches!(loaded.how(), How::Led | How::Joined);
        let lasting = match table {
            Some(table) => table != AnswerFrom::Stale,
            // No table was looked at that would have told whether the data has changed since the body was stored.
            None if was_there => match state.pipeline.verify(dataset).await? {
                Verified::Unchanged => true,
                Verified::Changed => continue,
                Verified::Unanswered => false,
            },
            None => loaded.value().made_from() != AnswerFrom::Stale,
        };
        let hit = loaded.hit().clone();
        // The data may have changed since: clients do not keep what its source does not vouch for.
        let freshness_ms = if lasting { hit.freshness_ms() } else { hit.freshness_ms().min(0) };
        let for_clients = ForClients::of(&dataset.policy);
        let control = if lasting { for_clients.value(hit.age(), freshness_ms) } else { cache_headers::ask_again() };
        let status = cache_status(&loaded, freshness_ms, table);
        return Ok(Found { hit, status, control, for_clients, lasting, timings });
    }
}

/// Notes a read of the cache of bodies.
fn tell(watch: &Watch, key: &Key, loaded: &Loaded<Arc<Body>>, took: Duration) {
    watch.touch(key.sample_hash(), loaded.hit().bytes());
    match loaded.how() {
        How::Hit | How::Stale => watch.tier("memory tier", took),
        How::Restored => watch.tier("disk tier", took),
        How::Led | How::Joined | How::StaleOnError => {}
    }
}

/// How a body is looked up and kept, of a dataset whose table was come by so, if it is kept whole.
fn options(dataset: &Dataset, table: Option<AnswerFrom>, call: &CallOptions) -> LoadOptions {
    let policy = &dataset.policy;
    LoadOptions {
        ttl: Some(policy.ttl),
        timeout: Some(policy.load_timeout + Duration::from_secs(2)),
        deadline: call.deadline,
        stale_while_revalidate: Some(policy.stale_while_revalidate),
        stale_if_error: Some(policy.stale_if_error),
        // A body of a table is as good as the table, which was looked at a moment ago.
        stale: if table.is_some() { Stale::Accept } else { Stale::Refresh },
        persist: Some(policy.persist),
    }
}

/// Makes a body.
fn loader(
    state: &AppState,
    prepared: Prepared,
    wanted: Arc<Wanted>,
    key: &Key,
    call: &CallOptions,
) -> impl FnOnce(LoadContext) -> BoxedLoad + Send + use<> {
    let maker = Maker {
        pipeline: state.pipeline.clone(),
        max_rows: state.config.max_rows,
        max_bytes: state.bodies.max_entry_bytes(),
        worth: Arc::clone(&state.worth),
        watch: Arc::clone(&state.watch),
    };
    // The load is everybody's who waits for it: this caller's deadline is not in it.
    let call = CallOptions { deadline: None, ..call.clone() };
    let key = key.clone();
    move |context| {
        Box::pin(async move {
            // What replaces a stale body is not made of a stale result.
            let stale = if context.is_refresh() { Stale::Refuse } else { call.stale };
            maker.make(wanted, &prepared, &key, &CallOptions { stale, ..call }).await
        })
    }
}

type BoxedLoad = Pin<Box<dyn Future<Output = Result<Item<Arc<Body>>, Error>> + Send>>;

fn load_problem(dataset: &Dataset, error: LoadError<Error>) -> Problem {
    let error = match error {
        LoadError::Failed(error) => (*error).clone(),
        LoadError::TimedOut { .. } | LoadError::Deadline => Error::Timeout { dataset: dataset.name.clone() },
        other => Error::Internal(other.to_string().into()),
    };
    error.into()
}

/// How a body was come by, of a dataset whose table was come by so, if it is kept whole.
fn cache_status(loaded: &Loaded<Arc<Body>>, freshness_ms: i64, table: Option<AnswerFrom>) -> HeaderValue {
    let made_from = loaded.value().made_from();
    match loaded.how() {
        How::StaleOnError => cache_headers::hit(freshness_ms, Detail::StaleIfError),
        How::Hit | How::Stale | How::Restored if table == Some(AnswerFrom::StaleOnError) => {
            cache_headers::hit(freshness_ms, Detail::StaleIfError)
        }
        How::Hit | How::Stale => cache_headers::hit(freshness_ms, Detail::Memory),
        How::Restored => cache_headers::hit(freshness_ms, Detail::Disk),
        How::Joined => cache_headers::joined(),
        How::Led => cache_headers::miss(freshness_ms, loaded.stored() == Stored::Yes, made_from),
    }
}
