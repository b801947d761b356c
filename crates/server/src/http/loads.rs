//! Loads of many datasets over HTTP: the body that asks for one, and the documents that tell of one.

use std::collections::HashSet;
use std::time::Duration;

use loader::{Ask, Event, Job, JobSeen, JobState, LoadOptions, LoadRequest, Outcome, Seen};
use pipeline::format::Format;
use plugin_sdk::Dataset as Offer;
use serde_json::{Map, Value, json};

use super::dto::{LoadDto, LoadLinks, LoadRequestDto, LoadSummary, OutcomeDto, ProgressDto, rfc3339};
use super::explain::from_name;
use crate::problem::{Problem, ProblemPart};

/// Requests of one load.
const MAX_REQUESTS: usize = 10_000;
/// Workers of one load.
const MAX_WORKERS: u64 = 256;
const MAX_RETRIES: u64 = 10;
/// Of what a load may name: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
const MEMBERS: [&str; 5] = ["requests", "max_workers", "timeout", "retries", "deadline"];
const MEMBERS_OF_REQUEST: [&str; 5] = ["name", "source", "filters", "query", "format"];

/// Reads the body of a load.
pub(super) fn read(
    body: &Map<String, Value>,
    defaults: LoadOptions,
) -> Result<(Vec<LoadRequest>, LoadOptions), Problem> {
    known_members("", body, &MEMBERS)?;
    let Some(Value::Array(requests)) = body.get("requests") else {
        let given = body.get("requests").unwrap_or(&Value::Null).to_string();
        let hint = r#"send {"requests": [{"source": "sales"}, {"source": "prices", "filters": {"year_min": 2020}}]}"#;
        return Err(Problem::bad_load("requests", &given, "'requests' is not a list", hint));
    };
    if requests.is_empty() || requests.len() > MAX_REQUESTS {
        let detail = format!("a load has 1 to {MAX_REQUESTS} requests, and this one {}", requests.len());
        return Err(Problem::bad_load("requests", &requests.len().to_string(), detail, "split it into several loads"));
    }
    let mut names = HashSet::new();
    let mut read = Vec::with_capacity(requests.len());
    for (at, request) in requests.iter().enumerate() {
        let request = read_request(at, request)?;
        if !names.insert(request.name.clone()) {
            let hint = "give each request a 'name' of its own";
            let detail = format!("two requests are called '{}'", request.name);
            return Err(Problem::bad_load(format!("requests[{at}].name"), &request.name, detail, hint));
        }
        read.push(request);
    }
    let options = LoadOptions {
        max_workers: whole(body, "max_workers", 1, MAX_WORKERS)?.map_or(defaults.max_workers, |it| it as usize),
        timeout: duration(body, "timeout")?.unwrap_or(defaults.timeout),
        retries: whole(body, "retries", 0, MAX_RETRIES)?.map_or(defaults.retries, |retries| retries as u32),
        deadline: duration(body, "deadline")?,
        ..defaults
    };
    Ok((read, options))
}

fn read_request(at: usize, request: &Value) -> Result<LoadRequest, Problem> {
    let place = |member: &str| format!("requests[{at}].{member}");
    let Value::Object(request) = request else {
        let hint = r#"write each request as {"source": "sales"}"#;
        return Err(Problem::bad_load(format!("requests[{at}]"), &request.to_string(), "a request is an object", hint));
    };
    known_members(&format!("requests[{at}]."), request, &MEMBERS_OF_REQUEST)?;
    let text = |member: &str| match request.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(other) => {
            Err(Problem::bad_load(place(member), &other.to_string(), "this has to be a text", "write it in quotes"))
        }
    };
    let object = |member: &str| match request.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object.clone())),
        Some(other) => {
            Err(Problem::bad_load(place(member), &other.to_string(), "this has to be an object", "write it in braces"))
        }
    };
    let source = text("source")?.filter(|source| Offer::is_valid_name(source)).ok_or_else(|| {
        let given = request.get("source").unwrap_or(&Value::Null).to_string();
        Problem::bad_load(
            place("source"),
            &given,
            "this has to be the name of a dataset",
            "GET /api/v1/datasets lists them",
        )
    })?;
    let name = text("name")?.unwrap_or(source);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || name.len() > 80 || !name.chars().all(plain) || matches!(name, "." | "..") {
        let hint = "use up to 80 letters, digits, '_', '.' and '-'";
        return Err(Problem::bad_load(place("name"), name, "this cannot be the name of a request", hint));
    }
    let format = text("format")?;
    if let Some(unknown) = format.filter(|name| Format::from_name(name).is_none()) {
        return Err(Problem::unknown_format(unknown));
    }
    let ask = match (object("filters")?, object("query")?) {
        (None, None) => Ask::All,
        (Some(filters), None) => Ask::Filters(filters),
        (None, Some(query)) => Ask::Json(query),
        (Some(_), Some(_)) => {
            let detail = "a request has either filters or a query";
            return Err(Problem::bad_load(place("query"), name, detail, "leave one of them out"));
        }
    };
    Ok(LoadRequest { name: name.to_owned(), source: source.to_owned(), ask, format: format.map(str::to_owned) })
}

fn known_members(place: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), Problem> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => {
            let (hint, value) = (format!("the members are {}", known.join(", ")), object[unknown].to_string());
            Err(Problem::bad_load(format!("{place}{unknown}"), &value, "there is no such member", &hint))
        }
        None => Ok(()),
    }
}

fn whole(body: &Map<String, Value>, member: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
    match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        // JSON may write 4 as 4.0.
        Some(value) => match value
            .as_u64()
            .or_else(|| value.as_f64().filter(|it| it.fract() == 0.0 && *it >= 0.0).map(|it| it as u64))
            .filter(|number| (least..=most).contains(number))
        {
            Some(number) => Ok(Some(number)),
            None => {
                let detail = format!("this has to be a whole number from {least} to {most}");
                Err(Problem::bad_load(member, &value.to_string(), detail, "leave it out for the default"))
            }
        },
    }
}

fn duration(body: &Map<String, Value>, member: &str) -> Result<Option<Duration>, Problem> {
    match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str().and_then(|text| humantime::parse_duration(text).ok()) {
            Some(duration) if !duration.is_zero() && duration <= LONGEST => Ok(Some(duration)),
            _ => {
                let hint = r#"write it as "30s" or "5m""#;
                Err(Problem::bad_load(
                    member,
                    &value.to_string(),
                    "this has to be a time above zero, of a week at most",
                    hint,
                ))
            }
        },
    }
}

/// The query of a request as the body that the query endpoint takes.
pub(super) fn query_body(request: &LoadRequest) -> Map<String, Value> {
    match &request.ask {
        Ask::Json(query) => query.clone(),
        Ask::Filters(filters) => Map::from_iter([("filters".to_owned(), Value::Object(filters.clone()))]),
        // Loads that come over HTTP have no other kind.
        Ask::All | Ask::Query(_) => Map::new(),
    }
}

/// A load without its requests.
pub(super) fn summary(job: &Job, seen: &JobSeen) -> LoadSummary {
    let total = job.requests.len();
    let of_step = |step: &loader::Step| match &step.outcome {
        Some(_) => 1.0,
        None => step.seen.and_then(|seen| seen.fraction).unwrap_or(0.0),
    };
    LoadSummary {
        id: job.id.to_string(),
        state: seen.state.name(),
        began_at: rfc3339(job.began_at),
        elapsed_ms: ms(seen.elapsed),
        time_left_ms: seen.time_left.map(ms),
        total,
        done: seen.done(),
        failed: seen.failed(),
        progress: seen.steps.iter().map(of_step).sum::<f64>() / total.max(1) as f64,
        links: LoadLinks {
            this: format!("/api/v1/loads/{}", job.id),
            events: format!("/api/v1/loads/{}/events", job.id),
        },
    }
}

/// A load with its requests.
pub(super) fn document(job: &Job) -> LoadDto {
    let seen = job.look();
    let requests = job.requests.iter().zip(&seen.steps).map(|(request, step)| LoadRequestDto {
        name: request.name.clone(),
        source: request.source.clone(),
        state: match &step.outcome {
            Some(outcome) if outcome.result.is_ok() => "done",
            Some(_) => "failed",
            None if seen.state == JobState::Cancelled => "cancelled",
            None if step.started => "running",
            None => "queued",
        },
        progress: step.seen.filter(|_| step.outcome.is_none()).as_ref().map(progress),
        outcome: step.outcome.as_ref().map(|outcome| self::outcome(job, outcome)),
    });
    LoadDto { requests: requests.collect(), summary: summary(job, &seen) }
}

/// The name and the data of an event.
pub(super) fn event(job: &Job, event: &Event) -> (&'static str, Value) {
    match event {
        Event::Began { requests } => ("began", json!({ "total": requests })),
        Event::Queued { name } => ("queued", json!({ "name": &**name })),
        Event::Started { name } => ("started", json!({ "name": &**name })),
        Event::Progress { name, seen } => ("progress", json!({ "name": &**name, "progress": progress(seen) })),
        Event::Retrying { name, attempt, code } => {
            ("retrying", json!({ "name": &**name, "attempt": attempt, "code": code.map(|code| code.name()) }))
        }
        Event::Finished { outcome, done, of, time_left } => {
            let of_request = self::outcome(job, outcome);
            let time_left = time_left.map(ms);
            (
                "finished",
                json!({ "name": &*outcome.name, "outcome": of_request, "done": done, "total": of, "time_left_ms": time_left }),
            )
        }
        Event::Ended { failed, cancelled } => {
            let state = if *cancelled { JobState::Cancelled } else { JobState::Finished };
            ("ended", json!({ "state": state.name(), "failed": failed }))
        }
        _ => ("other", Value::Null),
    }
}

fn progress(seen: &Seen) -> ProgressDto {
    ProgressDto {
        stage: seen.stage.name(),
        rows: seen.rows,
        bytes: seen.bytes,
        total_rows: seen.total_rows,
        fraction: seen.fraction,
        time_left_ms: seen.time_left.map(ms),
    }
}

fn outcome(job: &Job, outcome: &Outcome) -> OutcomeDto {
    let loaded = outcome.result.as_ref().ok();
    OutcomeDto {
        rows: loaded.map(|loaded| loaded.rows),
        bytes: loaded.map(|loaded| loaded.bytes),
        from: loaded.map(|loaded| from_name(loaded.from)),
        stale: loaded.is_some_and(loader::Loaded::is_stale),
        attempts: outcome.attempts,
        took_ms: ms(outcome.took),
        ignored_filters: loaded.map(|loaded| loaded.ignored_filters.clone()).unwrap_or_default(),
        error: outcome.result.as_ref().err().map(|error| ProblemPart::from(&Problem::from(error.clone()))),
        request_id: format!("{}/{}", job.id, outcome.name),
        result: loaded.map(|_| format!("/api/v1/loads/{}/results/{}", job.id, outcome.name)),
    }
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
