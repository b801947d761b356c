//! The regular expressions of filters: which texts `column=...` may be, by the column's type.
//!
//! A pattern is read by browsers (ECMA 262), validators and fuzzers, so it keeps to what all dialects share. Whatever the
//! server takes matches, but for the case of words such as `TRUE`; what matches is refused only for its value (the 31st of
//! February, a number that the column cannot hold, a regular expression that is none), never for its form.

use arrow::datatypes::DataType;
use pipeline::query::operators_of;

use super::types::{self, Values};

/// Any text, line breaks included.
const ANY: &str = r"[\s\S]*";
/// The operators that `(any)` and `(all)` may follow.
pub(super) const EACH: [&str; 9] = ["eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"];

/// The pattern of a filter on a column of this type.
pub(super) fn filter(data_type: &DataType) -> String {
    let operators = operators_of(data_type);
    let value = value(data_type);
    let has = |name: &str| operators.contains(&name);
    let mut forms = Vec::new();
    let single: Vec<&str> = operators.iter().copied().filter(|name| !matches!(*name, "in" | "is")).collect();
    if !single.is_empty() {
        forms.push(format!(r"({})\.{value}", single.join("|")));
    }
    let each: Vec<&str> = EACH.into_iter().filter(|name| has(name)).collect();
    if !each.is_empty() {
        forms.push(format!(r"({})\((any|all)\)\.{}", each.join("|"), list(&value, r"\{", r"\}")));
    }
    if has("in") {
        forms.push(format!(r"in\.{}", list(&value, r"\(", r"\)")));
    }
    if has("is") {
        let words = if types::values(data_type) == Values::Truth {
            "null|not_null|true|false|unknown"
        } else {
            "null|not_null"
        };
        forms.push(format!(r"is\.({words})"));
    }
    format!("^(not\\.)?({})$", forms.join("|"))
}

/// Values between brackets, separated by commas, each in quotes or not.
fn list(value: &str, open: &str, close: &str) -> String {
    if value == ANY {
        // Quotes and commas nest in ways that no regular expression tells.
        return format!(" *\"?{open}{ANY}{close}\"? *");
    }
    let item = format!(" *(\"{value}\"|{value} *)");
    format!(" *{open} *({item}(,{item})*)? *{close} *")
}

/// The pattern of one value.
fn value(data_type: &DataType) -> String {
    const NUMBER: &str = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?";
    const DATE: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
    const FRACTION: &str = r"(\.[0-9]{1,9})?";
    let clock = format!("([01][0-9]|2[0-3])(:[0-5][0-9](:[0-5][0-9]{FRACTION})?|[0-5][0-9][0-5][0-9]{FRACTION})");
    const ZONE: &str = "( *([zZ]|[+-][0-9]{2}(:?[0-9]{2})?))";
    match types::values(data_type) {
        Values::Whole | Values::Decimal => NUMBER.to_owned(),
        Values::Float => format!("({NUMBER}|[+-]?(inf|infinity|nan))"),
        Values::Day | Values::Instant => format!("{DATE}([tT ]{clock}{ZONE}?)?"),
        Values::Clock => r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?( ?[aApP][mM])?".to_owned(),
        Values::Truth => "(true|false|t|f|yes|no|y|n|on|off|1|0)".to_owned(),
        Values::Bytes => r"(\\x)?([0-9a-fA-F]{2})*".to_owned(),
        Values::Text | Values::Other => ANY.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;
    use regex::Regex;

    use super::*;

    #[track_caller]
    fn check(data_type: &DataType, good: &[&str], bad: &[&str]) {
        let pattern = Regex::new(&filter(data_type)).expect("a pattern");
        for text in good {
            assert!(pattern.is_match(text), "{data_type} does not take {text}: {pattern}");
        }
        for text in bad {
            assert!(!pattern.is_match(text), "{data_type} takes {text}: {pattern}");
        }
    }

    #[test]
    fn a_filter_of_the_column_s_type_matches_and_no_other() {
        let every =
            ["", "eq", "eq.", "equals.1", "5", "not.", "in.1", "is.", "is.5", "in.(1", "eq(some).{1}", "not.not.eq.1"];
        let bad = |more: &[&'static str]| [every.as_slice(), more].concat();
        let number =
            ["eq.5", "not.gte.-1.5", "lt.1e3", "in.(1,2)", "in.()", "in.( \"3\", 4)", "is.null", "gt(any).{1,2}"];
        let no_number =
            bad(&["eq.five", "gte.1,5", "in.(a)", "like.*1*", "is.true", "eq. 5", "neq(any).{1}", "eq(any).1"]);
        check(&DataType::Int64, &[&number[..], &["isdistinct.3"]].concat(), &no_number);
        check(&DataType::Int64, &[], &["eq.nan", "eq.inf"]);
        check(&DataType::Float32, &[&number[..], &["neq.nan", "lt.-inf"]].concat(), &no_number);
        check(&DataType::Decimal128(9, 2), &number, &no_number);
        check(&DataType::Boolean, &["is.true", "is.unknown", "eq.f", "not.is.false"], &bad(&["is.yes", "eq.2"]));
        let text =
            ["eq.", "like.*a*", "imatch.^a", "in.(a,\"b,c\")", "ilike(all).{*a*,*b*}", "neq.a\nb", "is.not_null"];
        check(&DataType::Utf8, &text, &["", "eq", "5", "is.true", "in.a", "contains.a", "neq(any).{a}"]);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        check(&dictionary, &text, &["is.true"]);
    }

    #[test]
    fn times_are_iso_8601() {
        let time =
            ["gte.2024-01-31", "lt.2024-01-31T09:30:00", "eq.2024-01-31 09:30:00.5+02:00", "in.(2024-01-31T093000Z)"];
        let time =
            [&time[..], &["gt.2024-01-31T09:30", "gt.2024-01-31 09:30Z", "in.( 2024-01-31 , 2024-02-29 )"]].concat();
        check(&DataType::Date32, &time, &["eq.2024-13-01", "eq.31.1.2024", "gte.2024", "like.2024*", "eq.09:30:00"]);
        check(&DataType::Timestamp(TimeUnit::Second, None), &time, &["gte.yesterday", "eq.2024-01-31T25:00:00"]);
        check(&DataType::Time64(TimeUnit::Nanosecond), &["gte.09:30", "eq.9:30:00.5"], &["eq.2024-01-31", "eq.930"]);
    }

    #[test]
    fn bytes_are_pairs_of_digits() {
        check(&DataType::Binary, &["eq.00fF", r"neq.\x00ff", "in.(00,ff)", "eq."], &["eq.00f", "eq.0xff", "eq.zz"]);
    }

    #[test]
    fn of_what_cannot_be_compared_only_null_can_be_asked() {
        let list = DataType::new_list(DataType::Int8, true);
        check(&list, &["is.null", "not.is.not_null"], &["eq.1", "in.(1)", "is.true", "like.a"]);
    }
}
