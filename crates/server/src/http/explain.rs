//! How an answer is come by: what the source is asked for, what is done here, what came from which tier, and times. The
//! query is run, and its answer is not kept.

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use pipeline::{AnswerFrom, CallOptions, Plan, compute};

use super::dto::{ExplainDto, ExplainRows, ExplainTimes, PushedDto};
use super::page::Page;
use super::question::{Question, Wanted};
use crate::problem::Problem;
use crate::state::AppState;

/// The explanation of a question for rows.
pub(super) async fn answer(state: &AppState, wanted: &Wanted, call: &CallOptions) -> Result<HttpResponse, Problem> {
    let Question::Rows(rows) = &wanted.question else { return Err(Problem::internal("facets are not explained")) };
    let (dataset, started) = (&wanted.dataset, Instant::now());
    let prepared = state.pipeline.prepare(dataset, call).await?;
    let (prepare, at) = (started.elapsed(), Instant::now());
    let kept = state.bodies.peek(&wanted.key().at_version(prepared.version()));
    let limited = rows.query.clone().with_limit_at_most(state.config.max_rows);
    let answer = state.pipeline.answer(&prepared, &limited, call).await?;
    let (evaluate, at_count) = (at.elapsed(), Instant::now());
    let total = match rows.counting {
        Some(how) => state.pipeline.count(&prepared, &limited, how, call).await?.map(|(total, _)| total),
        None => None,
    };
    let (count, at_encode) = (at_count.elapsed(), Instant::now());
    let page = Page::of(&rows.query, &answer, rows.counting, total, wanted.format);
    let (format, schema, batches) = (wanted.format, answer.schema.clone(), answer.batches.clone());
    let max_bytes = usize::try_from(state.bodies.max_entry_bytes()).unwrap_or(usize::MAX);
    let encoded = compute(answer.bytes, move || format.encode(&schema, &batches, max_bytes)).await?;
    let encode = at_encode.elapsed();
    let plan = Plan::of(dataset, &limited);
    let table = state.pipeline.table_info(dataset).filter(|_| prepared.from().is_some());
    let stats = prepared.from().map(|_| answer.stats);
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let document = ExplainDto {
        dataset: dataset.name.to_string(),
        query: rows.query.canonical(),
        mode: plan.mode.to_owned(),
        source: plan.pushed.map(|pushed| PushedDto {
            columns: pushed.columns,
            filters: pushed.filters,
            limit: pushed.limit,
        }),
        here: plan.steps,
        from: from_name(answer.from).to_owned(),
        body_is_cached: kept.is_some(),
        table_rows: table.as_ref().map(|table| table.rows),
        table_bytes: table.as_ref().map(|table| table.bytes),
        table_age_seconds: table.map(|table| table.age.as_secs_f64()),
        rows: ExplainRows {
            tested: stats.map(|stats| stats.rows_tested),
            matched: stats.map(|stats| stats.rows_matched),
            answered: answer.rows,
            total,
            batches: stats.map(|stats| stats.batches),
            batches_skipped: stats.map(|stats| stats.batches_skipped),
        },
        more: answer.next.is_some(),
        status: page.status().as_u16(),
        format: format.name().to_owned(),
        // A longer one is streamed: nobody has counted its bytes.
        body_bytes: encoded.ok().map(|bytes| bytes.len() as u64),
        memory_bytes: answer.run.taken(),
        times_ms: ExplainTimes {
            table: ms(prepare),
            evaluate: ms(evaluate),
            count: rows.counting.map(|_| ms(count)),
            encode: ms(encode),
            total: ms(started.elapsed()),
        },
    };
    let mut response = HttpResponse::Ok().json(document);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Where the rows come from, in one word.
pub(super) fn from_name(from: AnswerFrom) -> &'static str {
    match from {
        AnswerFrom::Cache => "memory",
        AnswerFrom::Disk => "disk",
        AnswerFrom::Stale => "stale",
        AnswerFrom::StaleOnError => "stale_if_error",
        AnswerFrom::Source => "source",
        AnswerFrom::SharedLoad => "shared_load",
    }
}
