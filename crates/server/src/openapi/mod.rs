//! The OpenAPI 3.1 document: a fixed part from the handlers, and a part made live from the catalog.
//!
//! The fixed part ([`fixed`]) is this server without any dataset; a test compares it with
//! `openapi/openapi.json`. Of most operations the handlers say all; the questions about rows are
//! described here ([`dataset`]), once for any dataset and, in the live part, for each: with a
//! parameter a column, patterns by type, a typed row and a typed query as JSON. What all
//! operations share ([`admission`]) is added to each. [`LiveDocument`] makes the whole once a catalog.

mod admission;
mod bodies;
mod body;
mod conditions;
mod dataset;
mod entries;
mod links;
mod parameters;
mod pattern;
mod problems;
mod responses;
mod types;

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use arc_swap::ArcSwapOption;
use pipeline::Catalog;
use pipeline::query::Limits;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use crate::http::{dto, handlers};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Larder",
        description = "Every dataset of every source as a filterable, cached REST resource.\n\n\
            The syntax is PostgREST's. A filter is a parameter named as a column: `year=gte.2020`; all filters must hold. \
            Operators: eq, neq, gt, gte, lt, lte, like, ilike, match, imatch, in, is and isdistinct, each with `not.` in \
            front if need be, most with `(any)` or `(all)` and several values: `name=ilike(any).{*a*,*b*}`. Datasette's \
            names work as well: `year__gte=2020`. `and`, `or`, `not.and` and `not.or` hold trees of conditions.\n\n\
            `select` chooses, names and casts columns, and aggregates: `select=region,total:amount.sum()`; `having` asks \
            of groups. `order`, `limit`, `offset` and `cursor` shape the answer: one that is cut is 206, and `Link` has \
            the next page. `format` or `Accept` choose how it is written.",
        license(name = "MIT", identifier = "MIT"),
    ),
    paths(
        handlers::datasets::list,
        handlers::datasets::show,
        handlers::datasets::rows,
        handlers::datasets::facets,
        handlers::datasets::query,
        handlers::datasets::refresh,
        handlers::datasets::touch,
        handlers::plugins::list,
        handlers::plugins::reload,
        handlers::plugins::reset,
        handlers::loads::start,
        handlers::loads::list,
        handlers::loads::show,
        handlers::loads::cancel,
        handlers::loads::follow,
        handlers::loads::result,
        handlers::settings::list,
        handlers::settings::change,
        handlers::settings::reset,
        handlers::settings::policy,
        handlers::settings::change_policy,
        handlers::settings::reset_policy,
        handlers::monitor::report,
        handlers::monitor::alerts,
        handlers::monitor::recommendations,
        handlers::monitor::apply,
        handlers::monitor::follow,
        handlers::monitor::begin_timer,
        handlers::monitor::end_timer,
        handlers::monitor::record,
        handlers::monitor::metrics,
        handlers::cache::stats,
        handlers::cache::list,
        handlers::cache::show,
        handlers::cache::remove,
        handlers::cache::invalidate,
        handlers::cache::clear,
        handlers::cache::verify,
        handlers::cache::compact,
        handlers::health::live,
        handlers::health::ready,
        handlers::docs::openapi,
    ),
    components(schemas(ProblemDocument, dto::ExplainDto, dto::FacetsDto)),
    tags(
        (name = "data", description = "The rows of each dataset, with its columns as parameters"),
        (name = "datasets", description = "What datasets there are, and how they are kept"),
        (name = "plugins", description = "The data sources, each a library in the plugin folder"),
        (name = "loads", description = "Many datasets at once, with progress"),
        (name = "settings", description = "Settings and policies, changed while the server runs"),
        (name = "monitor", description = "The server on itself: timings, alerts, recommendations, events"),
        (name = "cache", description = "What is kept in memory and on disk, and dropping it"),
        (name = "operations", description = "Health and documentation"),
    )
)]
struct Api;

/// An error: RFC 9457.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the document that Problem writes")]
pub struct ProblemDocument {
    /// Always `about:blank`: `code` tells the kinds apart.
    #[schema(example = "about:blank")]
    r#type: String,
    /// The status in words.
    #[schema(example = "Bad Request")]
    title: String,
    /// The status.
    #[schema(example = 400)]
    status: u16,
    /// What is wrong, for people.
    #[schema(example = "no column is called 'regoin'")]
    detail: String,
    /// What is wrong, for programs; stable.
    #[schema(example = "unknown_column")]
    code: String,
    /// What to do about it.
    #[schema(example = "did you mean 'region'?")]
    hint: Option<String>,
    /// The parameter at fault.
    #[schema(example = "regoin")]
    parameter: Option<String>,
    /// Its value.
    #[schema(example = "eq.EU")]
    value: Option<String>,
    /// The id of the request, as in the log and in X-Request-Id.
    #[schema(example = "9e3779b97f4a7c15")]
    request_id: String,
}

/// The document without any dataset, of a server with default settings.
pub fn fixed() -> Value {
    fixed_within(Limits::default().max_rows)
}

/// The document without any dataset, of a server that answers with `max_rows` rows at most.
fn fixed_within(max_rows: u64) -> Value {
    // The types of the document serialize without fail.
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    let components = &mut document["components"];
    components["parameters"] = parameters::components(max_rows);
    components["headers"] = responses::headers();
    components["responses"] = responses::components().into();
    dataset::complete(&mut document, max_rows);
    entries::complete(&mut document);
    bodies::complete(&mut document);
    admission::add(&mut document);
    links::add(&mut document);
    document
}

/// The document of a catalog, as it is sent.
#[derive(Debug)]
pub struct Document {
    generation: u64,
    /// The JSON text.
    pub bytes: Bytes,
    /// Its validator.
    pub etag: HeaderValue,
}

/// Makes the document when the catalog has changed, and keeps it until it changes again.
#[derive(Debug, Default)]
pub struct LiveDocument(ArcSwapOption<Document>);

impl LiveDocument {
    /// Nothing made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The document of `catalog`.
    pub fn get(&self, catalog: &Catalog, max_rows: u64) -> Arc<Document> {
        if let Some(known) = self.0.load_full().filter(|known| known.generation == catalog.generation) {
            return known;
        }
        let mut value = fixed_within(max_rows);
        for dataset in catalog.datasets() {
            dataset::add(&mut value, dataset, max_rows);
        }
        admission::add(&mut value);
        let bytes = Bytes::from(serde_json::to_vec(&value).unwrap_or_default());
        let etag = format!("\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(&bytes));
        let document = Arc::new(Document {
            generation: catalog.generation,
            bytes,
            etag: HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\"")),
        });
        self.0.store(Some(Arc::clone(&document)));
        document
    }
}
