//! The short form of dashboards.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde_json::{Map, Value};

use crate::query::dashboard::{Strictness, from_filters};
use crate::query::{Rules, parse};

fn schema() -> SchemaRef {
    let columns = [
        ("year", DataType::Int32),
        ("sector", DataType::Utf8),
        ("country", DataType::Utf8),
        ("company", DataType::Utf8),
        ("status", DataType::Utf8),
        ("box", DataType::Utf8),
        ("sales", DataType::Float64),
        ("price_min", DataType::Float64),
        ("price", DataType::Float64),
        ("open", DataType::Boolean),
        ("Day", DataType::Date32),
        ("Twin", DataType::Int32),
        ("twin", DataType::Int32),
        ("TWIN", DataType::Int32),
    ];
    Arc::new(Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}

fn map(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap()
}

/// The map asks what the URL parameters ask, and ignores the keys.
#[track_caller]
fn check(json: &str, params: &str, ignored: &[&str]) {
    let (query, skipped) = from_filters(&map(json), &schema(), Strictness::Lenient).unwrap();
    let expected = parse(params, &schema(), &Rules::default()).unwrap();
    assert_eq!((query.canonical(), skipped), (expected.canonical(), ignored.iter().map(|k| (*k).to_owned()).collect()));
}

#[test]
fn keys_and_values_say_what_is_asked() {
    check("{}", "", &[]);
    check(r#"{"year_min": 2020, "year_max": 2025}"#, "year=gte.2020&year=lte.2025", &[]);
    check(r#"{"year_min": 2020.5}"#, "year=gt.2020", &[]);
    check(r#"{"year": 2020.0}"#, "year=eq.2020", &[]);
    check(r#"{"sectors": ["Technology", "Finance, etc"]}"#, "sector=in.(Technology,\"Finance, etc\")", &[]);
    check(r#"{"sector": "Technology"}"#, "sector=eq.Technology", &[]);
    check(r#"{"sector": null, "open": true}"#, "sector=is.null&open=eq.true", &[]);
    check(r#"{"Day_min": "2024-01-31"}"#, "Day=gte.2024-01-31", &[]);
    check(r#"{"year": ["2020", 2021]}"#, "year=in.(2020,2021)", &[]);
}

#[test]
fn plurals_are_their_column() {
    for (key, column) in [
        ("countries", "country"),
        ("companies", "company"),
        ("statuses", "status"),
        ("boxes", "box"),
        ("years", "year"),
    ] {
        let value = if column == "year" { "1" } else { "\"x\"" };
        let params = format!("{column}=eq.{}", value.trim_matches('"'));
        check(&format!("{{\"{key}\": [{value}]}}"), &params, &[]);
    }
    check(r#"{"sales": 5}"#, "sales=eq.5", &[]);
}

#[test]
fn an_exact_name_wins_over_a_suffix() {
    check(r#"{"price_min": 5}"#, "price_min=eq.5", &[]);
    check(r#"{"price_max": 5}"#, "price=lte.5", &[]);
}

#[test]
fn case_matters_only_where_it_tells_columns_apart() {
    check(r#"{"SECTOR": "x", "day": "2024-01-31", "Years": [1]}"#, "sector=eq.x&Day=eq.2024-01-31&year=eq.1", &[]);
    check(r#"{"twin": 1, "Twin": 2}"#, "twin=eq.1&Twin=eq.2", &[]);
    check(r#"{"tWIN": 1}"#, "", &["tWIN"]);
}

#[test]
fn nothing_chosen_is_no_restriction() {
    check(r#"{"sectors": [], "year_min": null, "year_max": 3}"#, "year=lte.3", &[]);
    check(r#"{"sectors": [null]}"#, "sector=is.null", &[]);
    check(r#"{"sectors": ["a", null]}"#, "or=(sector.eq.a,sector.is.null)", &[]);
}

#[test]
fn unknown_keys_are_listed_or_refused() {
    let json = r#"{"zebra": 1, "year": 2020, "mood_min": 2}"#;
    check(json, "year=eq.2020", &["zebra", "mood_min"]);
    let error = from_filters(&map(json), &schema(), Strictness::Strict).unwrap_err();
    assert_eq!((error.code(), error.parameter()), ("unknown_column", "zebra"));
    let error = from_filters(&map(r#"{"sectr": 1}"#), &schema(), Strictness::Strict).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean 'sector'?"));
}

#[test]
fn a_value_of_another_type_names_its_key() {
    for (json, key, code) in [
        (r#"{"year_min": "soon"}"#, "year_min", "bad_value"),
        (r#"{"years": ["x"]}"#, "years", "bad_value"),
        (r#"{"year": 2020.5}"#, "year", "bad_value"),
        (r#"{"year": true}"#, "year", "bad_value"),
        (r#"{"sector": 5}"#, "sector", "bad_value"),
        (r#"{"sectors": [true]}"#, "sectors", "bad_value"),
        (r#"{"sector": {"a": 1}}"#, "sector", "bad_value"),
        (r#"{"year_max": [1]}"#, "year_max", "bad_value"),
        (r#"{"years": [[1]]}"#, "years", "bad_value"),
        (r#"{"Day_min": 5}"#, "Day_min", "bad_value"),
    ] {
        let error = from_filters(&map(json), &schema(), Strictness::Lenient).unwrap_err();
        assert_eq!((error.code(), error.parameter()), (code, key), "{json}: {error}");
        assert!(error.hint().is_some(), "{json}");
    }
    let many = format!("{{\"years\": [{}]}}", vec!["1"; 10_001].join(","));
    assert_eq!(from_filters(&map(&many), &schema(), Strictness::Lenient).unwrap_err().code(), "too_complex");
}
