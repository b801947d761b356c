//! What is done where to answer a query: by the source, and here.

use std::fmt;

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use plugin_sdk::{Filter, FilterOp};

use crate::dataset::Dataset;
use crate::eval;
use crate::exactness::FilterShape;
use crate::policy::Mode;
use crate::query::{BoundQuery, params};

/// Values of a list that a plan shows.
const SHOWN_VALUES: usize = 10;

/// How a query is answered. Filters that the source is asked for are applied here again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `table` or `query`.
    pub mode: &'static str,
    /// What the source is asked for, of a dataset that goes query by query.
    pub pushed: Option<Pushed>,
    /// What is done here, in this order.
    pub steps: Vec<String>,
}

/// What a source is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The columns; `None` for all.
    pub columns: Option<Vec<String>>,
    /// The conditions that all rows must fulfil.
    pub filters: Vec<String>,
    /// The most rows.
    pub limit: Option<u64>,
}

impl Plan {
    /// How a query on a dataset is answered now.
    pub fn of(dataset: &Dataset, query: &BoundQuery) -> Self {
        let pushed = (dataset.mode() == Mode::Query).then(|| {
            let pushdown = eval::pushdown(query);
            let name = |column: usize| query.schema().field(column).name().clone();
            Pushed {
                limit: pushdown.limit.filter(|_| dataset.exactness().is_exact(&FilterShape::of(&pushdown.filters))),
                columns: pushdown.projection.map(|columns| columns.into_iter().map(name).collect()),
                filters: pushdown.filters.iter().map(|filter| said(query, filter)).collect(),
            }
        });
        Self { mode: dataset.mode().name(), pushed, steps: steps(query) }
    }
}

/// A filter as the query language writes it.
fn said(query: &BoundQuery, filter: &Filter) -> String {
    let name = query.schema().field(filter.column).name();
    let options = FormatOptions::new();
    let value = |at: usize| {
        ArrayFormatter::try_new(&filter.values, &options).map_or_else(|_| "?".to_owned(), |f| f.value(at).to_string())
    };
    let op = match filter.op {
        FilterOp::Eq => "eq",
        FilterOp::NotEq => "neq",
        FilterOp::Lt => "lt",
        FilterOp::LtEq => "lte",
        FilterOp::Gt => "gt",
        FilterOp::GtEq => "gte",
        FilterOp::In => {
            let shown: Vec<String> = (0..filter.values.len().min(SHOWN_VALUES)).map(value).collect();
            let more = if filter.values.len() > SHOWN_VALUES { ",..." } else { "" };
            return format!("{name}.in.({}{more})", shown.join(","));
        }
        FilterOp::IsNull => return format!("{name}.is.null"),
        FilterOp::IsNotNull => return format!("{name}.is.not_null"),
    };
    format!("{name}.{op}.{}", value(0))
}

/// What is done with the rows here, as the parameters of the normal form say it.
fn steps(query: &BoundQuery) -> Vec<String> {
    let parameters = params::decode(&query.canonical()).unwrap_or_default();
    let of = |names: &[&str]| {
        let found = parameters.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(name, value)| format!("{name}={value}"))
    };
    let mut steps: Vec<String> =
        of(&["and", "or", "not.and", "not.or"]).map(|text| format!("filter {text}")).into_iter().collect();
    match query.group() {
        Some(group) if group.aggregates().is_empty() => steps.push("distinct".to_owned()),
        Some(_) => steps.extend(of(&["select"]).map(|text| format!("aggregate {text}"))),
        None => {}
    }
    steps.extend(of(&["having"]).map(|text| format!("filter groups {text}")));
    let window: Vec<String> = ["cursor", "offset", "limit"].iter().filter_map(|name| of(&[name])).collect();
    match (of(&["order"]), window.is_empty()) {
        (Some(order), true) => steps.push(format!("sort {order}")),
        (Some(order), false) => steps.push(format!("top rows {order}&{}", window.join("&"))),
        (None, true) => {}
        (None, false) => steps.push(format!("first rows {}", window.join("&"))),
    }
    if query.group().is_none() {
        steps.extend(of(&["select"]).map(|text| format!("project {text}")));
    }
    steps
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pushed {
            None => f.write_str("cached table")?,
            Some(pushed) => {
                let columns = pushed.columns.as_ref().map_or("all columns".to_owned(), |columns| columns.join(", "));
                write!(f, "source ({columns}")?;
                if !pushed.filters.is_empty() {
                    write!(f, "; {}", pushed.filters.join(" and "))?;
                }
                if let Some(limit) = pushed.limit {
                    write!(f, "; at most {limit} rows")?;
                }
                f.write_str(")")?;
            }
        }
        self.steps.iter().try_for_each(|step| write!(f, " -> {step}"))
    }
}
