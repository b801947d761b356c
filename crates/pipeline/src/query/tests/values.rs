//! How texts are read as values of each type, by the canonical text of what they become.

use super::SCHEMA;
use crate::query::{Condition, Expr, Rules, Test, parse};

/// The value that `column=gte.TEXT` compares with, and how it compares.
#[track_caller]
fn check(column: &str, text: &str, expected: &str) {
    let query = parse_pair(column, &format!("gte.{text}"));
    let found = match query.to_query().filter {
        Some(Expr::Compare(Condition { test: Test::Compare(comparison, value), .. })) => {
            format!("{comparison:?} {value}")
        }
        other => panic!("{column} {text}: {other:?}"),
    };
    assert_eq!(found, expected, "{column} {text}");
}

#[track_caller]
fn parse_pair(column: &str, value: &str) -> crate::query::BoundQuery {
    let found = crate::query::parse_pairs([(column, value)], &SCHEMA, &Rules::default());
    found.unwrap_or_else(|error| panic!("{column}={value}: {error}"))
}

#[test]
fn whole_numbers() {
    check("year", "-2147483648", "GtEq -2147483648");
    check("year", "+7", "GtEq 7");
    check("year", "007", "GtEq 7");
    check("year", "7.00", "GtEq 7");
    check("year", "7e2", "GtEq 700");
    check("year", "10.5", "Gt 10");
    check("year", "-10.5", "Gt -11");
    check("small", "127.9", "Gt 127");
    check("count", "18446744073709551615", "GtEq 18446744073709551615");
}

#[test]
fn floats() {
    check("rate", "1", "GtEq 1");
    check("rate", "1.0", "GtEq 1");
    check("rate", "-0", "GtEq 0");
    check("rate", "NaN", "GtEq nan");
    check("rate", "-Infinity", "GtEq -inf");
    check("rate", "inf", "GtEq inf");
    check("rate", "1e300", "GtEq 1e300");
    check("rate", "0.1", "GtEq 0.1");
    check("half", "0.5", "GtEq 0.5");
}

#[test]
fn decimals() {
    check("price", "12.5", "GtEq 12.50");
    check("price", "-0.01", "GtEq -0.01");
    check("price", "1.005", "Gt 1.00");
    check("price", "-1.005", "Gt -1.01");
    check("price", "9999999.99", "GtEq 9999999.99");
    check("d32", "9999.9", "GtEq 9999.9");
    check("d256", "123456789012345678901234567890.123", "GtEq 123456789012345678901234567890.123");
    check("hundreds", "12300", "GtEq 12300");
    check("hundreds", "12345", "Gt 12300");
}

#[test]
fn days_and_times() {
    check("day", "2024-01-31", "GtEq 2024-01-31");
    check("day", "2024-01-31T00:00:00", "GtEq 2024-01-31");
    check("day", "2024-01-31 12:00:00", "Gt 2024-01-31");
    check("day", "1969-12-31T12:00:00Z", "Gt 1969-12-31");
    check("date64", "2024-01-31", "GtEq 2024-01-31T00:00:00");
    check("at", "2024-01-31", "GtEq 2024-01-31T00:00:00");
    check("at", "2024-01-31T09:30:00+02:00", "GtEq 2024-01-31T07:30:00");
    check("at", "2024-01-31 09:30:00Z", "GtEq 2024-01-31T09:30:00");
    check("at", "2024-01-31T09:30:00.5", "GtEq 2024-01-31T09:30:00.500");
    check("at", "2024-01-31T09:30:00.0005", "Gt 2024-01-31T09:30:00");
    check("local", "2024-01-31T09:30:00.000000001", "GtEq 2024-01-31T09:30:00.000000001");
    check("at", "2024-01-31T09:30", "GtEq 2024-01-31T09:30:00");
    check("at", "2024-01-31 09:30", "GtEq 2024-01-31T09:30:00");
    check("at", "2024-01-31T09:30Z", "GtEq 2024-01-31T09:30:00");
    check("at", "2024-01-31T09:30+02:00", "GtEq 2024-01-31T07:30:00");
    check("t32", "09:30:00", "GtEq 09:30:00");
    check("t32", "09:30:00.5", "Gt 09:30:00");
    check("t64", "09:30:00.000001", "GtEq 09:30:00.000001");
}

#[test]
fn texts_bytes_and_truths() {
    check("region", "EU", "GtEq EU");
    check("sector", "Tech, and more", "GtEq Tech, and more");
    check("view", "x", "GtEq x");
    check("large", "x", "GtEq x");
    check("bin", "\\x00FF", "GtEq \\x00ff");
    check("bin", "00fF", "GtEq \\x00ff");
    check("bin", "\\x", "GtEq \\x");
    check("bin", "", "GtEq \\x");
    check("hash", "\\xABcd", "GtEq \\xabcd");
    for truth in ["true", "T", "yes", "on", "1"] {
        check("open", truth, "GtEq true");
    }
    for untruth in ["false", "f", "NO", "off", "0"] {
        check("open", untruth, "GtEq false");
    }
}

#[test]
fn a_plus_sign_in_a_url_is_a_space() {
    let encoded = parse("at=eq.2024-01-31T09:30:00%2B02:00", &SCHEMA, &Rules::default()).unwrap();
    let spaced = parse("at=eq.2024-01-31+07:30:00", &SCHEMA, &Rules::default()).unwrap();
    assert_eq!(encoded, spaced);
}

#[test]
fn types_without_values_can_still_be_asked_for_nulls() {
    for column in ["took", "every", "tags", "nothing"] {
        parse_pair(column, "is.null");
        parse_pair(column, "not.is.null");
    }
}
