//! What a client asked for: read from the URL or a JSON body, bound to the dataset, its representation negotiated.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap, HeaderName};
use cache_core::Key;
use pipeline::format::Format;
use pipeline::query::{BoundQuery, Rules, params, parse_json, parse_pairs};
use pipeline::{Catalog, Counting, Dataset, Error, Facets};
use serde_json::{Map, Value};

use super::negotiate::{self, Coding};
use super::prefer;
use crate::problem::Problem;

/// The parameters of a rows request that are not part of the query.
pub const RESERVED: [&str; 3] = [FORMAT, RAW, EXPLAIN];
const FORMAT: &str = "format";
const RAW: &str = "raw";
const EXPLAIN: &str = "explain";

/// What a client asked for, bound and negotiated.
pub(super) struct Wanted {
    pub(super) dataset: Arc<Dataset>,
    pub(super) generation: u64,
    pub(super) question: Question,
    pub(super) format: Format,
    pub(super) coding: Coding,
}

/// What the answer is made of.
pub(super) enum Question {
    /// The rows that a query asks for.
    Rows(RowsWanted),
    /// How often each value occurs.
    Facets(Facets),
}

/// A query, and what is to be said beside its rows.
pub(super) struct RowsWanted {
    pub(super) query: BoundQuery,
    /// How the rows of the whole answer are counted.
    pub(super) counting: Option<Counting>,
    /// Filters that were skipped, of a request that is told of them.
    pub(super) ignored: Option<Vec<String>>,
}

/// A question, and whether its answer is not wanted but how it is come by.
pub(super) struct Asking {
    pub(super) wanted: Wanted,
    pub(super) explain: bool,
}

impl Wanted {
    /// The key of the body, at no version.
    pub(super) fn key(&self) -> Key {
        let text = match &self.question {
            Question::Rows(rows) => rows.key_text(self.format, self.coding),
            Question::Facets(facets) => format!("facets+{}?{}", self.coding.name(), facets.canonical()),
        };
        Key::new(&self.dataset.namespace, text.into_bytes())
    }
}

impl RowsWanted {
    fn key_text(&self, format: Format, coding: Coding) -> String {
        let shape = match &self.ignored {
            // As JSON, with spaces escaped: keys of entries are written in URLs.
            Some(ignored) => {
                let ignored = serde_json::json!(ignored).to_string().replace(' ', "\\u0020");
                let format = if format == Format::Json { "" } else { format.name() };
                format!("told{format}{ignored}")
            }
            None => format.name().to_owned(),
        };
        let counting = match self.counting {
            None => "",
            Some(Counting::Exact) => "+exact",
            Some(Counting::Estimated) => "+estimated",
        };
        format!("{shape}+{}{counting}?{}", coding.name(), self.query.canonical())
    }

    /// What stands around the rows in the answer's text.
    pub(super) fn around(&self, format: Format, rows: u64) -> (String, String) {
        match &self.ignored {
            Some(ignored) if format == Format::Json => {
                let ignored = serde_json::to_string(ignored).unwrap_or_else(|_| "[]".into());
                (format!(r#"{{"row_count":{rows},"ignored_filters":{ignored},"rows":"#), "}".to_owned())
            }
            _ => (String::new(), String::new()),
        }
    }
}

/// Reads a request for rows.
pub(super) fn of_url(
    catalog: &Catalog,
    name: &str,
    raw: &str,
    rules: &Rules,
    headers: &HeaderMap,
) -> Result<Asking, Problem> {
    let dataset = Arc::clone(catalog.get(name)?);
    let pairs = params::decode(raw).map_err(Error::from)?;
    let options = Options::of_pairs(&pairs)?;
    let query = parse_pairs(pairs, &dataset.schema, rules).map_err(Error::from)?;
    let rows = RowsWanted { query, counting: prefer::counting(headers), ignored: None };
    asking(catalog, dataset, rows, &options, headers)
}

/// Reads a request for rows that is a JSON object.
pub(super) fn of_json(
    catalog: &Catalog,
    name: &str,
    body: &Map<String, Value>,
    rules: &Rules,
    headers: &HeaderMap,
) -> Result<Asking, Problem> {
    let dataset = Arc::clone(catalog.get(name)?);
    let options = Options::of_members(body)?;
    let (query, ignored) = parse_json(body, &dataset.schema, rules).map_err(Error::from)?;
    let counting = options.counting.or_else(|| prefer::counting(headers));
    asking(catalog, dataset, RowsWanted { query, counting, ignored }, &options, headers)
}

/// Reads a request for facets.
pub(super) fn of_facets(
    catalog: &Catalog,
    name: &str,
    raw: &str,
    rules: &Rules,
    headers: &HeaderMap,
) -> Result<Wanted, Problem> {
    let dataset = Arc::clone(catalog.get(name)?);
    let pairs = params::decode(raw).map_err(Error::from)?;
    let facets = Facets::bind(pairs, &dataset.schema, rules).map_err(Error::from)?;
    let accept = text(headers, &header::ACCEPT);
    if !negotiate::accepts(accept.as_deref(), Format::Json) {
        return Err(Problem::not_acceptable(accept.as_deref(), &[Format::Json]));
    }
    let coding = negotiate::coding(text(headers, &header::ACCEPT_ENCODING).as_deref());
    let generation = catalog.generation;
    Ok(Wanted { dataset, generation, question: Question::Facets(facets), format: Format::Json, coding })
}

fn asking(
    catalog: &Catalog,
    dataset: Arc<Dataset>,
    rows: RowsWanted,
    options: &Options,
    headers: &HeaderMap,
) -> Result<Asking, Problem> {
    let format = options.format(headers)?;
    let coding = negotiate::coding(text(headers, &header::ACCEPT_ENCODING).as_deref());
    let question = Question::Rows(rows);
    let wanted = Wanted { dataset, generation: catalog.generation, question, format, coding };
    Ok(Asking { wanted, explain: options.explain })
}

/// What a request says beside its query.
#[derive(Debug, Default)]
struct Options {
    format: Option<Format>,
    raw: bool,
    explain: bool,
    counting: Option<Counting>,
}

impl Options {
    fn of_pairs(pairs: &[(String, String)]) -> Result<Self, Problem> {
        Ok(Self {
            format: one(pairs, FORMAT)?.map(format_of).transpose()?,
            raw: one(pairs, RAW)?.map(|value| truth(RAW, value)).transpose()?.unwrap_or(false),
            explain: one(pairs, EXPLAIN)?.map(|value| truth(EXPLAIN, value)).transpose()?.unwrap_or(false),
            counting: None,
        })
    }

    fn of_members(body: &Map<String, Value>) -> Result<Self, Problem> {
        let flag = |name: &'static str| match body.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(Problem::bad_member(name, &other.to_string(), "true or false")),
        };
        let word = |name: &'static str, wanted: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(word)) => Ok(Some(word.clone())),
            Some(other) => Err(Problem::bad_member(name, &other.to_string(), wanted)),
        };
        let counting = word("count", "exact or estimated")?;
        let counting = counting.map(|name| {
            prefer::by_name(&name).ok_or_else(|| Problem::bad_member("count", &name, "exact or estimated"))
        });
        Ok(Self {
            format: word(FORMAT, "the name of a format")?.as_deref().map(format_of).transpose()?,
            raw: flag(RAW)?,
            explain: flag(EXPLAIN)?,
            counting: counting.transpose()?,
        })
    }

    /// `format=` decides; without it, `Accept`.
    fn format(&self, headers: &HeaderMap) -> Result<Format, Problem> {
        let format = match self.format {
            Some(format) => format,
            // An explanation is JSON whatever the rows would be.
            None if self.explain => Format::Json,
            None => {
                let accept = text(headers, &header::ACCEPT);
                let accept = accept.as_deref();
                negotiate::format(accept).ok_or_else(|| Problem::not_acceptable(accept, &Format::ALL))?
            }
        };
        match (self.raw, format) {
            (true, Format::Csv | Format::CsvRaw) => Ok(Format::CsvRaw),
            (true, other) => Err(Problem::raw_without_csv(other)),
            (false, format) => Ok(format),
        }
    }
}

fn format_of(name: &str) -> Result<Format, Problem> {
    Format::from_name(name).ok_or_else(|| Problem::unknown_format(name))
}

fn truth(name: &'static str, value: &str) -> Result<bool, Problem> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Problem::bad_member(name, value, "true or false")),
    }
}

/// The one value of a parameter.
fn one<'a>(pairs: &'a [(String, String)], name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut given = pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
    match (given.next(), given.next()) {
        (_, Some(second)) => Err(Problem::given_twice(name, second)),
        (first, None) => Ok(first),
    }
}

/// What a header that lists things says; one that comes in several lines is one list (RFC 9110, 5.3).
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut lines = headers.get_all(name).filter_map(|value| value.to_str().ok());
    let first = lines.next()?;
    Some(lines.fold(Cow::Borrowed(first), |list, line| Cow::Owned(format!("{list}, {line}"))))
}
