//! How often each value of some columns occurs among the rows that fulfil a condition.
//!
//! Facets are ordinary queries: one counts the rows, the nulls and the distinct values, and one for each column groups by
//! it. So they are pushed down, evaluated, bounded and kept as all queries are.

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, SchemaRef};

use crate::answer::{Answer, CallOptions, Prepared};
use crate::data_pipeline::DataPipeline;
use crate::error::Error;
use crate::query::{BoundQuery, Limits, Query, QueryError, QueryErrorKind, Rules, SelectItem, parse_pairs};

/// The parameter that names the columns.
const COLUMNS: &str = "columns";
const LIMIT: &str = "limit";
/// Values of each column, where no limit is given.
const DEFAULT_LIMIT: u64 = 20;
/// The greatest limit.
const MAX_LIMIT: u64 = 1_000;
/// Columns at a time.
const MAX_COLUMNS: usize = 16;
/// Parameters of a query that facets have no use for.
const FOREIGN: [&str; 8] = ["select", "order", "offset", "cursor", "having", "distinct", "raw", "explain"];

/// A question for facets, bound to a schema.
#[derive(Debug, Clone)]
pub struct Facets {
    canonical: String,
    columns: Vec<String>,
    summary: BoundQuery,
    /// One for each column.
    values: Vec<BoundQuery>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct FacetsFound {
    /// How many rows fulfil the condition.
    pub rows: u64,
    /// The columns, in the order in which they were asked for.
    pub facets: Vec<Facet>,
}

/// The values of one column.
#[derive(Debug, Clone)]
pub struct Facet {
    /// Name of the column.
    pub column: String,
    /// How many values there are, null not among them.
    pub distinct: u64,
    /// How many rows have none.
    pub nulls: u64,
    /// Columns `value` and `count`, the most frequent first.
    pub values: Answer,
}

impl Facets {
    /// Reads decoded parameters: `columns`, `limit` (values of each column), and filters as for rows.
    ///
    /// # Errors
    /// Unknown columns or such that have no groups, a bad limit, what is wrong with a filter.
    pub fn bind(pairs: Vec<(String, String)>, schema: &SchemaRef, rules: &Rules) -> Result<Self, QueryError> {
        let (mut columns, mut limit, mut filters) = (None, None, Vec::new());
        for (name, value) in pairs {
            let slot = match name.as_str() {
                COLUMNS => &mut columns,
                LIMIT => &mut limit,
                foreign if FOREIGN.contains(&foreign) => {
                    let message = format!("facets have no '{foreign}'");
                    return Err(QueryError::new(QueryErrorKind::BadSyntax, foreign, &value, message)
                        .with_hint("facets take columns, limit and filters; GET the rows for all else"));
                }
                "format" if value == "json" => continue,
                "format" => {
                    let message = "facets are written as JSON alone";
                    return Err(QueryError::new(QueryErrorKind::BadValue, "format", &value, message)
                        .with_hint("GET the rows with select=column,count() for other formats"));
                }
                _ => {
                    filters.push((name, value));
                    continue;
                }
            };
            if slot.is_some() {
                let message = format!("parameter '{name}' is given more than once");
                return Err(QueryError::new(QueryErrorKind::DuplicateParameter, &name, &value, message)
                    .with_hint(format!("give '{name}' once")));
            }
            *slot = Some(value);
        }
        let columns = names(columns.as_deref(), rules)?;
        let limit = limit.map_or(Ok(DEFAULT_LIMIT), |limit| read_limit(&limit))?;
        let filtered = parse_pairs(filters.iter().map(|(name, value)| (name, value)), schema, rules)?;
        let condition = filtered.canonical();
        // The limit was judged already, as one of values: what bounds the rows of an answer has no say in it.
        let unlimited = Rules { limits: Limits { max_rows: u64::MAX, ..rules.limits }, ..rules.clone() };
        let bind = |select: String, order: &str, limit: u64| {
            let mut pairs = vec![("select".to_owned(), select), (LIMIT.to_owned(), limit.to_string())];
            if !order.is_empty() {
                pairs.push(("order".to_owned(), order.to_owned()));
            }
            let query = parse_pairs(pairs, schema, &unlimited).map_err(|error| error.at(COLUMNS))?;
            // What was compiled for the conditions is shared by all.
            Ok(BoundQuery { filter: filtered.filter.clone(), ..query })
        };
        let of_column = |(at, name): (usize, &String)| {
            let name = quoted(name);
            format!(",known{at}:{name}.count(),distinct{at}:{name}.count_distinct()")
        };
        let summary = format!("rows:count(){}", columns.iter().enumerate().map(of_column).collect::<String>());
        let values = columns
            .iter()
            .map(|name| bind(format!("value:{},count:count()", quoted(name)), "count.desc,value.asc", limit));
        Ok(Self {
            canonical: {
                let named = crate::query::params::encode(
                    &columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(","),
                );
                format!("{COLUMNS}={named}&{LIMIT}={limit}&{condition}")
            },
            values: values.collect::<Result<_, _>>()?,
            summary: bind(summary, "", 1)?,
            columns,
        })
    }

    /// One text for all spellings of the question.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// The names of the columns, read as a selection is.
fn names(given: Option<&str>, rules: &Rules) -> Result<Vec<String>, QueryError> {
    let given = given.unwrap_or_default();
    let bad = |message: &str| {
        QueryError::new(QueryErrorKind::BadSyntax, COLUMNS, given, message)
            .with_hint("name the columns to count the values of, as in columns=region,year")
    };
    if given.is_empty() {
        return Err(bad("no columns are named"));
    }
    let items = Query::from_pairs([("select", given)], rules).map_err(|error| error.at(COLUMNS))?.select;
    let mut names: Vec<String> = Vec::new();
    for item in items.unwrap_or_default() {
        let SelectItem::Column { column, cast: None, alias: None } = item else {
            return Err(bad("facets count the values of plain columns"));
        };
        if names.contains(&column) {
            let message = format!("column '{}' is named twice", column.chars().take(100).collect::<String>());
            return Err(QueryError::new(QueryErrorKind::DuplicateColumn, COLUMNS, &column, message)
                .with_hint("name each column once"));
        }
        names.push(column);
    }
    if names.is_empty() {
        return Err(bad("facets count the values of plain columns"));
    }
    if names.len() > MAX_COLUMNS {
        let message = format!("{} columns are more than the {MAX_COLUMNS} of one answer", names.len());
        return Err(QueryError::new(QueryErrorKind::TooComplex, COLUMNS, given, message)
            .with_hint("ask for the others in another request"));
    }
    Ok(names)
}

fn read_limit(text: &str) -> Result<u64, QueryError> {
    match text.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Ok(0) | Err(_) => {
            let message = "'limit' is not a whole number from 1 on";
            Err(QueryError::new(QueryErrorKind::BadValue, LIMIT, text, message).with_hint("write limit=20"))
        }
        Ok(_) => {
            let message = format!("limit is above the maximum of {MAX_LIMIT} values of a column");
            Err(QueryError::new(QueryErrorKind::LimitTooLarge, LIMIT, text, message)
                .with_hint("GET the rows with select=column,count() for all of them"))
        }
    }
}

/// A name as it stands in a query, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

impl DataPipeline {
    /// Answers a question for facets on a prepared dataset.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn facets(
        &self,
        prepared: &Prepared,
        facets: &Facets,
        call: &CallOptions,
    ) -> Result<(FacetsFound, cache_core::Origin), Error> {
        let deadline = self.query_deadline();
        let summary = self.answer_until(prepared, &facets.summary, call, deadline).await?;
        let number = |at: usize| {
            let column = summary.batches.first().and_then(|batch| batch.columns().get(at));
            let values = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
            values.and_then(|values| u64::try_from(values.value(0)).ok()).unwrap_or(0)
        };
        let (rows, mut origin, mut found) = (number(0), summary.origin, Vec::new());
        for (at, (column, query)) in facets.columns.iter().zip(&facets.values).enumerate() {
            let values = self.answer_until(prepared, query, call, deadline).await?;
            origin = origin.oldest(values.origin);
            let (known, distinct) = (number(1 + 2 * at), number(2 + 2 * at));
            found.push(Facet { column: column.clone(), distinct, nulls: rows.saturating_sub(known), values });
        }
        Ok((FacetsFound { rows, facets: found }, origin))
    }
}
