//! The pipeline: answers queries on datasets, from cached tables where it can.
//!
//! A dataset is served in one of two modes. In *table* mode its whole table is loaded once
//! (single-flight) and every query is evaluated on it. In *query* mode each query's result is loaded:
//! projection, filters and limit go to the source, and the query is applied again to what it sends,
//! batch by batch. Mode *auto* is table mode until a scan passes the dataset's `max_bytes`.
//!
//! Numbers of loads ([`Table::version`]) tell data of one dataset apart in time: what is made of a
//! table is keyed with its number, so that after a refresh nothing made of older data is found.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use cache_core::{ByteTier, Cache, Codec, How, Key, LoadError, LoadOptions, Loaded, Scope, Stamps, Stats};
use tokio::runtime::Handle;

use crate::answer::{Answer, AnswerFrom, CallOptions, Next, Prepared, Processed, Refreshed, TableInfo};
use crate::catalog::{Catalog, Policies, SourceHandle};
use crate::check::Verified;
use crate::compute::compute;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::eval::{EvalStats, QueryMemory, Run};
use crate::fetch::Fetch;
use crate::keys;
use crate::marks::Marks;
use crate::observer::{Nobody, Observer};
use crate::plan::Plan;
use crate::policy::{Mode, Policy, PolicyOverrides};
use crate::progress::{LoadProgress, UnderWay};
use crate::query::{BoundQuery, Rules, dashboard};
use crate::registry::{Ask, Asking, Registry};
use crate::stored;
use crate::table::Table;
use crate::table_format::TableFormat;

/// What a pipeline is built with.
pub struct PipelineOptions {
    /// The policy of datasets for which nothing else was given. Its `max_bytes` should be well
    /// below `tables_max_bytes`.
    pub policy: Policy,
    /// Policy settings of single datasets, by the name under which they are served; they beat those of
    /// the sources.
    pub datasets: BTreeMap<String, PolicyOverrides>,
    /// The bytes of all tables and results that are kept.
    pub tables_max_bytes: u64,
    /// The number of tables and results that are kept.
    pub tables_max_entries: u64,
    /// Bounds on queries, and parameters that are none of theirs.
    pub rules: Rules,
    /// How long a source may take to list its datasets or to say the schema of one.
    pub describe_timeout: Duration,
    /// Shared with the caches of whatever is made of answers; durable if there is a tier.
    pub stamps: Arc<Stamps>,
    /// Where tables and results are kept over restarts.
    pub tier: Option<Arc<dyn ByteTier>>,
    /// How they are compressed there.
    pub compression: Codec,
    /// Stale tables and results that are loaded again at a time behind their readers.
    pub refresh_workers: usize,
    /// Where loads run; the caller's runtime when `None`.
    pub runtime: Option<Handle>,
    /// The memory that queries on tables may take.
    pub query_memory: QueryMemory,
    /// How long a query on a table may take.
    pub query_timeout: Duration,
    /// A query that takes longer is logged with its plan.
    pub slow_query: Duration,
    /// Runs the scans.
    pub fetch: Arc<dyn Fetch>,
    /// Is told what happens; nobody when `None`.
    pub observer: Option<Arc<dyn Observer>>,
}

/// Answers queries. Cloning it gives another handle of the same pipeline.
#[derive(Clone)]
pub struct DataPipeline {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) registry: Arc<Registry>,
    tables: Cache<Arc<Table>>,
    marks: Marks,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) under_way: Arc<UnderWay>,
    rules: Rules,
    pub(crate) query_memory: QueryMemory,
    pub(crate) query_timeout: Duration,
    slow_query: Duration,
    /// The number of the last load. It begins above those of all processes before, as the stamps do.
    loads: AtomicU64,
}

/// A pipeline, as long as somebody else holds it.
pub(crate) struct WeakPipeline(Weak<Inner>);

impl WeakPipeline {
    pub(crate) fn upgrade(&self) -> Option<DataPipeline> {
        self.0.upgrade().map(|inner| DataPipeline { inner })
    }
}

impl DataPipeline {
    /// A pipeline with an empty catalog.
    ///
    /// # Errors
    /// Budgets that make no sense.
    pub fn new(options: PipelineOptions) -> Result<Self, cache_core::Error> {
        let mut tables = Cache::builder("tables")
            .max_bytes(options.tables_max_bytes)
            .max_entries(options.tables_max_entries)
            // One table may take most of the budget; the policies say how much it really may.
            .max_entry_bytes(options.tables_max_bytes / 10 * 9)
            .ttl(options.policy.ttl)
            .load_timeout(options.policy.load_timeout)
            .refresh_workers(options.refresh_workers)
            .compression(options.compression)
            .persist(TableFormat)
            .stamps(Arc::clone(&options.stamps));
        let marks = Marks::new(&options.stamps, options.tier.as_ref())?;
        if let Some(tier) = options.tier {
            tables = tables.tier(tier);
        }
        if let Some(runtime) = options.runtime {
            tables = tables.runtime(runtime);
        }
        let tables: Cache<Arc<Table>> = tables.build()?;
        let policies = Policies {
            base: options.policy,
            datasets: options.datasets,
            most_bytes: options.tables_max_bytes / 10 * 9,
        };
        let listener = {
            let tables = tables.clone();
            Box::new(move |previous: &Catalog, now: &Catalog| forget_what_left(&tables, previous, now))
        };
        Ok(Self {
            inner: Arc::new(Inner {
                registry: Arc::new(Registry::new(policies, options.describe_timeout, listener)),
                tables,
                marks,
                fetch: options.fetch,
                observer: options.observer.unwrap_or_else(|| Arc::new(Nobody)),
                under_way: Arc::default(),
                rules: options.rules,
                query_memory: options.query_memory,
                query_timeout: options.query_timeout,
                slow_query: options.slow_query,
                loads: AtomicU64::new(options.stamps.counter()),
            }),
        })
    }

    pub(crate) fn downgrade(&self) -> WeakPipeline {
        WeakPipeline(Arc::downgrade(&self.inner))
    }

    /// The cache of tables and results.
    pub fn tables(&self) -> &Cache<Arc<Table>> {
        &self.inner.tables
    }

    /// The catalog of now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.registry.catalog()
    }

    /// Number of the catalog of now.
    pub fn generation(&self) -> u64 {
        self.inner.registry.generation()
    }

    /// Bounds on queries, and parameters that are none of theirs.
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// Serves these sources from now on, and begins to ask those that are to be asked what they offer;
    /// their datasets are served as the answers come.
    pub fn publish(&self, sources: &[SourceHandle], which: Ask) -> Asking {
        self.inner.registry.publish(sources, which)
    }

    /// Whether the datasets of the newest source of this name are served: it has said what it offers.
    pub fn serves(&self, source: &str) -> bool {
        self.inner.registry.serves(source)
    }

    /// Loads the table of a dataset, unless it is there or the dataset goes query by query.
    ///
    /// # Errors
    /// The source failed; the table is too large; [`Error::SchemaChanged`], with the new schema
    /// already in the catalog.
    pub async fn prepare(&self, dataset: &Arc<Dataset>, call: &CallOptions) -> Result<Prepared, Error> {
        self.recall(dataset).await;
        while dataset.mode() == Mode::Table {
            let load = self.table_loader(dataset, call);
            let loaded = self.inner.tables.try_get_or_load(&table_key(dataset), options(dataset, call), load).await;
            let loaded = match loaded {
                Ok(loaded) => loaded,
                Err(error) => {
                    self.fall_back(dataset, error)?;
                    break;
                }
            };
            match self.settle(dataset, &loaded).await? {
                // The load may have failed because the dataset is too large now: an old table is no way out of that.
                Settled::As(AnswerFrom::StaleOnError) if dataset.mode() != Mode::Table => {}
                Settled::As(from) => return Ok(self.prepared(dataset, loaded, from)),
                Settled::Again => {}
            }
        }
        Ok(Prepared { dataset: Arc::clone(dataset), table: None, version: 0 })
    }

    fn prepared(&self, dataset: &Arc<Dataset>, loaded: Loaded<Arc<Table>>, from: AnswerFrom) -> Prepared {
        let version = loaded.value().version;
        dataset.set_version(version);
        Prepared { dataset: Arc::clone(dataset), table: Some((loaded, from)), version }
    }

    /// Whether what the cache gave may be answered with. What comes from disk is verified first. What stands in for a
    /// load that failed is not good if it failed because the data has changed its shape.
    async fn settle(&self, dataset: &Arc<Dataset>, loaded: &Loaded<Arc<Table>>) -> Result<Settled, Error> {
        let from = AnswerFrom::from(loaded.how());
        let is_of_another = |now: &Arc<Dataset>| now.namespace != dataset.namespace;
        if loaded.how() == How::StaleOnError && self.catalog().get(&dataset.name).is_ok_and(is_of_another) {
            return Err(Error::SchemaChanged { dataset: dataset.name.clone() });
        }
        if matches!(from, AnswerFrom::Stale | AnswerFrom::StaleOnError) {
            self.inner.observer.stale(dataset, from == AnswerFrom::StaleOnError);
        }
        match self.verify(dataset).await? {
            Verified::Unchanged => Ok(Settled::As(from)),
            // What was loaded just now was loaded after a look at the source.
            Verified::Changed if matches!(from, AnswerFrom::Source | AnswerFrom::SharedLoad) => Ok(Settled::As(from)),
            Verified::Changed => Ok(Settled::Again),
            Verified::Unanswered => Ok(Settled::As(AnswerFrom::Stale)),
        }
    }

    /// What an earlier process had found out: that the dataset is too large for a table.
    async fn recall(&self, dataset: &Arc<Dataset>) {
        if dataset.recall() && self.inner.marks.is_too_large(dataset).await {
            dataset.set_too_large(true);
        }
    }

    /// A table that is too large turns a dataset of mode auto to query mode; other errors stay.
    fn fall_back(&self, dataset: &Dataset, error: LoadError<Error>) -> Result<(), Error> {
        match load_error(dataset, error) {
            Error::TooLarge { .. } if dataset.policy.mode == Mode::Auto => {
                tracing::info!(dataset = %dataset.name, max_bytes = dataset.policy.max_bytes,
                    "dataset '{}' is larger than max_bytes: kept query by query from now on", dataset.name);
                dataset.set_too_large(true);
                self.inner.marks.set_too_large(dataset);
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Answers a query on a prepared dataset.
    ///
    /// # Errors
    /// The evaluation failed; in query mode also as [`prepare`](Self::prepare).
    pub async fn answer(&self, prepared: &Prepared, query: &BoundQuery, call: &CallOptions) -> Result<Answer, Error> {
        self.answer_until(prepared, query, call, self.query_deadline()).await
    }

    /// [`answer`](Self::answer), one of several to one question, which have one time together on a cached table.
    pub(crate) async fn answer_until(
        &self,
        prepared: &Prepared,
        query: &BoundQuery,
        call: &CallOptions,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let started = Instant::now();
        let answer = match &prepared.table {
            Some((loaded, from)) => self.answer_from_table(loaded, *from, query, self.run(deadline)).await,
            None => self.answer_by_query(prepared, query, call).await,
        };
        let took = started.elapsed();
        let is_well = answer.as_ref().err().is_none_or(Error::is_of_the_question);
        self.inner.observer.answered(&prepared.dataset, took, is_well);
        if let Ok(answer) = &answer {
            prepared.dataset.usage().answer(answer.rows);
        }
        let stats = answer.as_ref().ok().map(|answer| answer.stats);
        self.tell_if_slow("query", &prepared.dataset, query, call, took, stats);
        answer
    }

    /// Logs what took long, with its plan.
    pub(crate) fn tell_if_slow(
        &self,
        what: &str,
        dataset: &Dataset,
        query: &BoundQuery,
        call: &CallOptions,
        took: Duration,
        stats: Option<EvalStats>,
    ) {
        if took < self.inner.slow_query {
            return;
        }
        tracing::warn!(
            dataset = %dataset.name, request_id = %call.request_id,
            duration_ms = took.as_millis() as u64, query = %query.canonical(),
            rows_tested = stats.map(|it| it.rows_tested), rows_matched = stats.map(|it| it.rows_matched),
            batches = stats.map(|it| it.batches), batches_skipped = stats.map(|it| it.batches_skipped),
            "slow {what} on dataset '{}': {:.1} s; plan: {}",
            dataset.name, took.as_secs_f64(), Plan::of(dataset, query)
        );
    }

    async fn answer_from_table(
        &self,
        loaded: &Loaded<Arc<Table>>,
        from: AnswerFrom,
        query: &BoundQuery,
        run: Run,
    ) -> Result<Answer, Error> {
        let (table, query) = (Arc::clone(loaded.value()), query.clone());
        let query = query.without_idle_limit(table.rows);
        let (next, schema, evaluated) = stoppable(&run, table.bytes, {
            let (table, run) = (Arc::clone(&table), run.clone());
            move || -> Result<_, Error> {
                let evaluated = table.evaluate(&query, &run)?;
                let rows = evaluated.num_rows() as u64;
                Ok((evaluated.end().map(|end| Next::after(&query, end, rows)), query.output_schema(), evaluated))
            }
        })
        .await?;
        let stats = evaluated.stats();
        let (_, batches) = evaluated.into_parts();
        Ok(Answer {
            rows: batches.iter().map(|batch| batch.num_rows() as u64).sum(),
            bytes: stored::answer_bytes(&batches, &schema),
            schema,
            batches,
            origin: loaded.origin(),
            version: table.version,
            from,
            next,
            stats,
            run,
        })
    }

    /// When a query on a cached table that begins now has to be done.
    pub(crate) fn query_deadline(&self) -> Instant {
        Instant::now() + self.inner.query_timeout
    }

    pub(crate) fn run(&self, deadline: Instant) -> Run {
        Run::new(&self.inner.query_memory, Some(deadline))
    }

    pub(crate) async fn answer_by_query(
        &self,
        prepared: &Prepared,
        query: &BoundQuery,
        call: &CallOptions,
    ) -> Result<Answer, Error> {
        let dataset = &prepared.dataset;
        let key = result_key(dataset, query).at_version(prepared.version);
        let (loaded, from) = loop {
            let load = self.result_loader(dataset, query, &key, call);
            let loaded = self.inner.tables.try_get_or_load(&key, options(dataset, call), load).await;
            let loaded = loaded.map_err(|error| load_error(dataset, error))?;
            match self.settle(dataset, &loaded).await? {
                Settled::As(from) => break (loaded, from),
                Settled::Again => {}
            }
        };
        let table = loaded.value();
        let run = self.run(self.query_deadline());
        // It may be streamed for longer than the cache holds it.
        run.take(usize::try_from(table.bytes).unwrap_or(usize::MAX))?;
        Ok(Answer {
            schema: Arc::clone(&table.schema),
            batches: table.batches.clone(),
            rows: table.rows,
            bytes: table.bytes,
            origin: loaded.origin(),
            version: table.version,
            from,
            next: table.next.clone(),
            stats: EvalStats::default(),
            run,
        })
    }

    /// Loads a dataset if need be and applies a dashboard's filters: `<col>_min`, `<col>_max`, lists,
    /// plurals; what names no column is skipped and listed.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare), and for an unknown dataset or a value of the wrong type.
    pub async fn load_and_process_data(
        &self,
        dataset: &str,
        filters: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Processed, Error> {
        self.process(dataset, filters, dashboard::Strictness::Lenient, &CallOptions::new("library")).await
    }

    /// [`load_and_process_data`](Self::load_and_process_data) with all its choices.
    ///
    /// # Errors
    /// As there; when strict, also for a filter that names no column.
    pub async fn process(
        &self,
        dataset: &str,
        filters: &serde_json::Map<String, serde_json::Value>,
        strictness: dashboard::Strictness,
        call: &CallOptions,
    ) -> Result<Processed, Error> {
        let once = async || -> Result<Processed, Error> {
            let dataset = Arc::clone(self.catalog().get(dataset)?);
            let (query, ignored_filters) =
                dashboard::from_filters_within(filters, &dataset.schema, strictness, &self.inner.rules.limits)?;
            let prepared = self.prepare(&dataset, call).await?;
            let answer = self.answer(&prepared, &query, call).await?;
            Ok(Processed { answer, ignored_filters })
        };
        match once().await {
            Err(Error::SchemaChanged { .. }) => once().await,
            outcome => outcome,
        }
    }

    /// Loads a dataset again, then swaps: the old table goes on serving until the new one is there.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare); the old table then stays.
    pub async fn refresh(&self, name: &str, call: &CallOptions) -> Result<Refreshed, Error> {
        let started = Instant::now();
        let once = async || -> Result<Option<TableInfo>, Error> {
            let dataset = Arc::clone(self.catalog().get(name)?);
            self.refresh_once(&dataset, call).await?;
            Ok(self.table_info(&dataset))
        };
        let table = match once().await {
            Err(Error::SchemaChanged { .. }) => once().await?,
            outcome => outcome?,
        };
        Ok(Refreshed { table, took: started.elapsed() })
    }

    async fn refresh_once(&self, dataset: &Arc<Dataset>, call: &CallOptions) -> Result<(), Error> {
        // What did not fit may fit now.
        dataset.set_too_large(false);
        self.inner.marks.clear(dataset).await?;
        if dataset.mode() == Mode::Table {
            let load = self.table_loader(dataset, call);
            match self.inner.tables.reload(&table_key(dataset), options(dataset, call), load).await {
                Ok(loaded) => {
                    dataset.set_version(loaded.value().version);
                    return Ok(());
                }
                Err(error) => self.fall_back(dataset, error)?,
            }
        }
        let scope = Scope::Namespace(dataset.namespace.clone());
        self.inner.tables.invalidate(scope).await?;
        Ok(())
    }

    /// How far the load has come that this question waits for; `None` if none is under way.
    pub fn progress(&self, dataset: &Dataset, query: &BoundQuery) -> Option<Arc<LoadProgress>> {
        self.inner.under_way.of(&match dataset.mode() {
            Mode::Table => table_key(dataset),
            _ => result_key(dataset, query).at_version(dataset.version()),
        })
    }

    /// How many loads are under way.
    pub fn loads_under_way(&self) -> usize {
        self.inner.under_way.len()
    }

    /// Another budget of memory for tables and results from now on, and the largest table of a dataset that has no
    /// `max_bytes` of its own.
    ///
    /// # Errors
    /// A budget that makes no sense; then nothing changes.
    pub fn set_tables_max_bytes(&self, budget: u64, max_bytes: u64) -> Result<(), cache_core::Error> {
        self.inner.tables.set_max_bytes(budget)?;
        self.inner.registry.set_bounds(max_bytes, self.inner.tables.max_entry_bytes());
        Ok(())
    }

    /// Policies of single datasets from now on, by the name under which they are served. They beat those of the sources.
    pub fn set_policies(&self, datasets: BTreeMap<String, PolicyOverrides>) {
        self.inner.registry.set_policies(datasets);
    }

    /// What is kept of a dataset's table, `None` when nothing is.
    pub fn table_info(&self, dataset: &Dataset) -> Option<TableInfo> {
        let hit = self.inner.tables.peek(&table_key(dataset))?;
        Some(TableInfo {
            rows: hit.value().rows,
            bytes: hit.value().bytes,
            age: hit.age(),
            loaded_at: SystemTime::now() - hit.age(),
        })
    }

    /// Figures of the cache of tables and results.
    pub fn table_stats(&self) -> Stats {
        self.inner.tables.stats()
    }

    /// The bytes that tables and results may take.
    pub fn tables_max_bytes(&self) -> u64 {
        self.inner.tables.max_bytes()
    }

    pub(crate) fn next_version(&self) -> u64 {
        self.inner.loads.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Runs `work` on a table of `bytes` bytes; it is stopped when nobody waits for it any more.
pub(crate) async fn stoppable<T: Send + 'static, E: Into<Error> + Send + 'static>(
    run: &Run,
    bytes: u64,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Error> {
    let stop = run.stop_on_drop();
    let outcome = compute(bytes, work).await;
    stop.disarm();
    outcome?.map_err(Into::into)
}

/// Whether what the cache gave may be answered with.
enum Settled {
    As(AnswerFrom),
    /// It is not valid any more: the cache is to be asked again.
    Again,
}

/// Frees the tables that no dataset of the new catalog can reach. What is on disk stays: a plugin may come back.
fn forget_what_left(tables: &Cache<Arc<Table>>, previous: &Catalog, now: &Catalog) {
    for old in previous.datasets() {
        if !now.datasets().any(|new| new.namespace == old.namespace) {
            tables.release(&old.namespace);
        }
    }
}

pub(crate) fn table_key(dataset: &Dataset) -> Key {
    Key::new(&dataset.namespace, keys::TABLE)
}

fn result_key(dataset: &Dataset, query: &BoundQuery) -> Key {
    Key::new(&dataset.namespace, format!("{}{}", keys::RESULT_PREFIX, query.canonical()))
}

fn options(dataset: &Dataset, call: &CallOptions) -> LoadOptions {
    LoadOptions {
        ttl: Some(dataset.policy.ttl),
        // The fetch has the policy's time, and says itself when it is over: that is told to whoever counts.
        timeout: Some(dataset.policy.load_timeout + Duration::from_secs(1)),
        deadline: call.deadline,
        stale_while_revalidate: Some(dataset.policy.stale_while_revalidate),
        stale_if_error: Some(dataset.policy.stale_if_error),
        stale: call.stale,
        persist: Some(dataset.policy.persist),
    }
}

fn load_error(dataset: &Dataset, error: LoadError<Error>) -> Error {
    match error {
        LoadError::Failed(error) => (*error).clone(),
        LoadError::TimedOut { .. } | LoadError::Deadline => Error::Timeout { dataset: dataset.name.clone() },
        other => Error::Internal(other.to_string().into()),
    }
}
