//! A condition on one column, with its values typed.
//!
//! How a value that lies between two values of the column is compared (`below` is the next value under it):
//!
//! | asked | means |
//! |---|---|
//! | `gt.v`, `gte.v` | greater than `below` |
//! | `lt.v`, `lte.v` | less than or equal to `below` |
//! | `eq.v` | `bad_value` for whole numbers; else false, and unknown for null |
//! | `neq.v` | `bad_value` for whole numbers; else true, and unknown for null |
//!
//! Floats are compared by IEEE 754's total order, as sources are asked to: NaN equals NaN and is greater than every number
//! (PostgreSQL's rule). Two things are mended here, by asking for both: 0 equals -0, and a NaN with the sign bit set, which
//! sorts below every number, still equals NaN.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, UInt64Array, make_comparator, new_empty_array};
use arrow::compute::{SortOptions, cast, concat, sort, take};
use arrow::datatypes::DataType;

use super::bind::Budget;
use super::bound::{BoundExpr, Predicate, PredicateOp};
use super::error::{QueryErrorKind, Result};
use super::float::{both_spellings, is_float, is_nan};
use super::value::{self, Fit, Kind, Misfit};
use super::{Comparison, Limits, Quantifier, QueryError, Single, Test, Truth, pattern};

/// The column that a condition is about.
pub(super) struct Column<'a> {
    /// Its index in the schema.
    pub(super) at: usize,
    /// Its name.
    pub(super) name: &'a str,
    /// The type of its values.
    pub(super) data_type: &'a DataType,
    /// How long lists and patterns may be.
    pub(super) limits: &'a Limits,
}

impl Column<'_> {
    /// The test, bound.
    pub(super) fn bind(&self, test: &Test, budget: &mut Budget) -> Result<BoundExpr> {
        match test {
            Test::Is(truth) => self.is(*truth),
            Test::Compare(comparison, text) => self.compare(*comparison, text),
            Test::In(items) => self.within(items),
            Test::Like(pattern) => self.like(PredicateOp::Like, "like", pattern),
            Test::ILike(pattern) => self.like(PredicateOp::ILike, "ilike", pattern),
            Test::Match(pattern) => self.matching(PredicateOp::Match, "match", pattern, budget),
            Test::IMatch(pattern) => self.matching(PredicateOp::IMatch, "imatch", pattern, budget),
            Test::IsDistinct(text) => {
                let differs = self.compare(Comparison::NotEq, text)?;
                Ok(BoundExpr::Or(vec![differs, self.is(Truth::Null)?]))
            }
            Test::Each(quantifier, single, values) => self.each(*quantifier, *single, values, budget),
        }
    }

    /// The operator with one of the values, or with each.
    fn each(
        &self,
        quantifier: Quantifier,
        single: Single,
        values: &[String],
        budget: &mut Budget,
    ) -> Result<BoundExpr> {
        let any = quantifier == Quantifier::Any;
        if any && single == Single::Compare(Comparison::Eq) {
            return self.within(values);
        }
        match single {
            Single::Compare(_) => self.check_comparable(single.name())?,
            pattern => self.check_text(pattern.name())?,
        }
        let mut parts = Vec::with_capacity(values.len());
        for value in values {
            if !parts.is_empty() {
                budget.take_condition(self.name, self.limits)?;
            }
            parts.push(self.bind(&single.with(value.clone()), budget)?);
        }
        Ok(match (parts.len(), any) {
            // One of none is false, and each of none is true, null or not.
            (0, true) => self.test(PredicateOp::In, new_empty_array(self.data_type)),
            (0, false) => self.test(PredicateOp::NotIn, new_empty_array(self.data_type)),
            (1, _) => parts.remove(0),
            (_, true) => BoundExpr::Or(parts),
            (_, false) => BoundExpr::And(parts),
        })
    }

    fn test(&self, op: PredicateOp, values: ArrayRef) -> BoundExpr {
        BoundExpr::Test(Predicate { column: self.at, op, values, regex: None })
    }

    fn is(&self, truth: Truth) -> Result<BoundExpr> {
        let op = match truth {
            Truth::Null => PredicateOp::IsNull,
            Truth::NotNull => PredicateOp::IsNotNull,
            Truth::True => PredicateOp::IsTrue,
            Truth::False => PredicateOp::IsFalse,
            Truth::Unknown => PredicateOp::IsNull,
        };
        if !matches!(truth, Truth::Null | Truth::NotNull) && value::kind(self.data_type) != Kind::Bool {
            return Err(self
                .unsupported("is", "true, false and unknown are asked of boolean columns")
                .with_hint("of other columns ask is.null or is.not_null"));
        }
        Ok(self.test(op, new_empty_array(self.data_type)))
    }

    fn compare(&self, comparison: Comparison, text: &str) -> Result<BoundExpr> {
        self.check_comparable(Single::Compare(comparison).name())?;
        let Fit { value, exact } = self.value(text)?;
        let op = match (comparison, exact) {
            (Comparison::Eq | Comparison::NotEq, false) => return self.between(comparison, text, &value),
            (Comparison::Eq, true) => PredicateOp::Eq,
            (Comparison::NotEq, true) => PredicateOp::NotEq,
            (Comparison::Gt, _) | (Comparison::GtEq, false) => PredicateOp::Gt,
            (Comparison::GtEq, true) => PredicateOp::GtEq,
            (Comparison::LtEq, _) | (Comparison::Lt, false) => PredicateOp::LtEq,
            (Comparison::Lt, true) => PredicateOp::Lt,
        };
        if !is_float(self.data_type) {
            return Ok(self.test(op, value));
        }
        let equal = matches!(op, PredicateOp::Eq | PredicateOp::NotEq);
        let both = both_spellings(&value);
        Ok(match (both, op) {
            (Some((low, high)), _) if equal => {
                let list = self.list(vec![low, high])?;
                self.test(if op == PredicateOp::Eq { PredicateOp::In } else { PredicateOp::NotIn }, list)
            }
            // A zero is on the side that makes 0 and -0 one number; of NaN only the positive one is ordered.
            (Some((low, _)), PredicateOp::GtEq | PredicateOp::Lt) if !is_nan(&value) => self.test(op, low),
            (Some((_, high)), _) => self.test(op, high),
            (None, _) => self.test(op, value),
        })
    }

    /// Equal to what the column cannot hold: false where there is a value, unknown where there is none.
    fn between(&self, comparison: Comparison, text: &str, below: &ArrayRef) -> Result<BoundExpr> {
        if value::kind(self.data_type) == Kind::Whole {
            return Err(self.never(text));
        }
        let nothing =
            BoundExpr::And(vec![self.test(PredicateOp::Gt, below.clone()), self.test(PredicateOp::Lt, below.clone())]);
        Ok(if comparison == Comparison::Eq { nothing } else { nothing.negated() })
    }

    fn within(&self, items: &[String]) -> Result<BoundExpr> {
        self.check_comparable("in")?;
        if items.len() > self.limits.max_in_items {
            let message = format!("more than {} values in a list", self.limits.max_in_items);
            return Err(QueryError::new(QueryErrorKind::TooComplex, self.name, "", message)
                .with_hint("ask for a range with gte and lte, or in several queries"));
        }
        let mut values = Vec::with_capacity(items.len());
        let mut unheld = None;
        for item in items {
            let Fit { value, exact } = self.value(item)?;
            match (exact, is_float(self.data_type).then(|| both_spellings(&value)).flatten()) {
                (true, Some((low, high))) => values.extend([low, high]),
                (true, None) => values.push(value),
                (false, _) if value::kind(self.data_type) == Kind::Whole => return Err(self.never(item)),
                (false, _) => unheld = Some((item, value)),
            }
        }
        match unheld {
            // Without a value that can be held the list is not empty: it must stay unknown for null.
            Some((item, below)) if values.is_empty() => self.between(Comparison::Eq, item, &below),
            _ => Ok(self.test(PredicateOp::In, self.list(values)?)),
        }
    }

    /// One array of the values, ascending and distinct.
    fn list(&self, values: Vec<ArrayRef>) -> Result<ArrayRef> {
        if values.is_empty() {
            return Ok(new_empty_array(self.data_type));
        }
        let parts: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        let joined = concat(&parts).ok().and_then(|all| ascending_distinct(&all));
        joined.ok_or_else(|| self.unsupported("in", "values of this type cannot be listed"))
    }

    fn like(&self, op: PredicateOp, operator: &str, pattern: &str) -> Result<BoundExpr> {
        self.pattern(op, operator, pattern, pattern::with_percent(pattern))
    }

    fn matching(&self, op: PredicateOp, operator: &str, pattern: &str, budget: &mut Budget) -> Result<BoundExpr> {
        match self.pattern(op, operator, pattern, pattern.to_owned())? {
            BoundExpr::Test(test) => {
                budget.take_regex(self.name, pattern)?;
                let regex = pattern::compiled(pattern, op == PredicateOp::IMatch);
                let regex = regex.map_err(|problem| pattern::refused(self.name, pattern, &problem))?;
                Ok(BoundExpr::Test(Predicate { regex: Some(Arc::new(regex)), ..test }))
            }
            other => Ok(other),
        }
    }

    /// A test with a pattern, which is kept as `kept`.
    fn pattern(&self, op: PredicateOp, operator: &str, pattern: &str, kept: String) -> Result<BoundExpr> {
        self.check_text(operator)?;
        if pattern.len() > self.limits.max_pattern_bytes {
            let message = format!("a pattern of more than {} bytes", self.limits.max_pattern_bytes);
            return Err(QueryError::new(QueryErrorKind::TooComplex, self.name, pattern, message)
                .with_hint("write a shorter pattern, or several conditions"));
        }
        let values = cast(&StringArray::from(vec![kept]), self.data_type)
            .map_err(|_| self.unsupported(operator, "patterns match texts only"))?;
        Ok(self.test(op, values))
    }

    fn check_text(&self, operator: &str) -> Result<()> {
        if value::kind(self.data_type) != Kind::Text {
            return Err(self.unsupported(operator, "patterns match texts only").with_hint(format!(
                "write {}=eq.{}",
                self.name,
                hint_value(self.data_type)
            )));
        }
        Ok(())
    }

    fn check_comparable(&self, operator: &str) -> Result<()> {
        if value::kind(self.data_type) != Kind::Opaque {
            return Ok(());
        }
        let error = self.unsupported(operator, "values of this type cannot be compared");
        Err(error.with_hint(format!("ask {0}=is.null or {0}=not.is.null", self.name)))
    }

    fn value(&self, text: &str) -> Result<Fit> {
        value::fit(self.data_type, text).map_err(|misfit| {
            let (data_type, shown) = (self.data_type, super::error::cut(text));
            let message = match misfit {
                Misfit::Malformed => format!("'{shown}' cannot be read as {data_type}"),
                Misfit::OutOfRange => format!("'{shown}' is out of the range of {data_type}"),
            };
            let hint = if text.eq_ignore_ascii_case("null") {
                format!("to ask for nulls, write {}=is.null", self.name)
            } else {
                format!("write {}", value::example(data_type))
            };
            QueryError::new(QueryErrorKind::BadValue, self.name, text, message).with_hint(hint)
        })
    }

    fn never(&self, text: &str) -> QueryError {
        let message = format!("'{}' never equals a value of {}", super::error::cut(text), self.data_type);
        QueryError::new(QueryErrorKind::BadValue, self.name, text, message)
            .with_hint(format!("write {}, or compare with gt, gte, lt or lte", value::example(self.data_type)))
    }

    fn unsupported(&self, operator: &str, why: &str) -> QueryError {
        let message = format!("'{operator}' does not work on column '{}' of type {}: {why}", self.name, self.data_type);
        QueryError::new(QueryErrorKind::UnsupportedOperator, self.name, operator, message)
    }
}

/// A value of the type, for a hint.
fn hint_value(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "true",
        DataType::Date32 | DataType::Date64 => "2024-01-31",
        DataType::Timestamp(..) => "2024-01-31T09:30:00Z",
        DataType::Time32(_) | DataType::Time64(_) => "09:30:00",
        _ if value::kind(data_type) == Kind::Binary => "00ff",
        _ => "42",
    }
}

/// The values sorted, each once.
pub(super) fn ascending_distinct(values: &ArrayRef) -> Option<ArrayRef> {
    let sorted = sort(values, None).ok()?;
    let compare = make_comparator(&sorted, &sorted, SortOptions::default()).ok()?;
    let firsts = (0..sorted.len()).filter(|at| *at == 0 || compare(at - 1, *at).is_ne());
    let firsts = UInt64Array::from_iter_values(firsts.map(|at| at as u64));
    take(&sorted, &firsts, None).ok()
}
