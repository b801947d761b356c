//! Queries in JSON: each asks what some URL asks, or is refused at a place.

use serde_json::{Map, Value};

use super::SCHEMA;
use crate::query::{QueryError, Rules, parse, parse_json};

fn object(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[track_caller]
fn check(json: &str, params: &str) {
    let (query, ignored) =
        parse_json(&object(json), &SCHEMA, &Rules::default()).unwrap_or_else(|error| panic!("{json}: {error}"));
    let expected = parse(params, &SCHEMA, &Rules::default()).unwrap();
    assert_eq!((query.canonical(), ignored), (expected.canonical(), None), "{json}");
    assert_eq!(query, expected);
}

#[track_caller]
fn refused(json: &str, code: &str, parameter: &str, hint: &str) {
    let error: QueryError = match parse_json(&object(json), &SCHEMA, &Rules::default()) {
        Err(error) => error,
        Ok((query, _)) => panic!("{json} was read as {}", query.canonical()),
    };
    let said = error.hint().unwrap_or_default();
    assert_eq!((error.code(), error.parameter()), (code, parameter), "{json}: {error}; {said}");
    assert!(!said.is_empty() && said.contains(hint), "{json}: {error}; {said}");
}

#[test]
fn members_mean_what_parameters_mean() {
    check("{}", "");
    check(r#"{"select": null, "where": null, "limit": null, "filters": null}"#, "");
    check(r#"{"select": "region,total:rate.sum()"}"#, "select=region,total:rate.sum()");
    check(r#"{"select": ["region", "total:rate.sum()"]}"#, "select=region,total:rate.sum()");
    check(r#"{"select": ["*"]}"#, "");
    check(r#"{"select": ["year"], "distinct": true}"#, "select=year&distinct=true");
    check(r#"{"order": ["year.desc", "region"]}"#, "order=year.desc,region");
    check(r#"{"order": "year.desc,region", "limit": 5, "offset": 2}"#, "order=year.desc,region&limit=5&offset=2");
    check(r#"{"order": []}"#, "");
    check(r#"{"format": "csv", "raw": true, "count": "exact", "explain": false}"#, "");
    check(
        r#"{"select": ["region", "n:count()"], "having": {"and": [{"column": "n", "op": "gt", "value": 1},
            {"column": "rate.sum()", "op": "gte", "value": 100}]}, "order": ["rate.sum().desc"]}"#,
        "select=region,n:count()&having=(n.gt.1,rate.sum().gte.100)&order=rate.sum().desc",
    );
    check(r#"{"select": ["region"], "having": "count().gt.1"}"#, "select=region&having=count().gt.1");
}

#[test]
fn trees_are_conditions() {
    check(r#"{"where": {"column": "year", "op": "gte", "value": 2020}}"#, "year=gte.2020");
    check(r#"{"where": {"column": "rate", "op": "lt", "value": 1.5e300}}"#, "rate=lt.1.5e300");
    check(r#"{"where": {"column": "open", "op": "eq", "value": true}}"#, "open=eq.true");
    check(
        r#"{"where": {"column": "order", "op": "not.eq", "value": 5}}"#,
        "order=order&and=(order.neq.5)".trim_start_matches("order=order&"),
    );
    check(r#"{"where": {"column": "region", "op": "eq", "value": "a,\"b)"}}"#, "and=(region.eq.\"a,\\\"b)\")");
    check(r#"{"where": {"column": "year", "op": "in", "value": [1, "2"]}}"#, "year=in.(1,2)");
    check(r#"{"where": {"column": "year", "op": "eq", "any": [1, 2]}}"#, "year=in.(1,2)");
    check(r#"{"where": {"column": "year", "op": "gt", "all": [1, 2]}}"#, "year=gt(all).{1,2}");
    check(r#"{"where": {"column": "region", "op": "like(any)", "value": ["a*", "b"]}}"#, "region=like(any).{a*,b}");
    check(r#"{"where": {"column": "year", "op": "is", "value": null}}"#, "year=is.null");
    check(r#"{"where": {"column": "open", "op": "is", "value": true}}"#, "open=is.true");
    check(r#"{"where": {"column": "open", "op": "is", "value": "unknown"}}"#, "open=is.unknown");
    check(r#"{"where": {"column": "year", "op": "is", "value": "not_null"}}"#, "year=is.not_null");
    check(r#"{"where": {"column": "year", "op": "isdistinct", "value": null}}"#, "year=is.not_null");
    check(r#"{"where": {"column": "year", "op": "isdistinct", "value": 5}}"#, "year=isdistinct.5");
    check(
        r#"{"where": {"and": [{"or": [{"column": "year", "op": "eq", "value": 1}, "region.eq.x"]},
            {"not": {"and": ["year.gt.5", "(small.lt.3,rate.gt.1)"]}}]}}"#,
        "or=(year.eq.1,region.eq.x)&not.and=(year.gt.5,and(small.lt.3,rate.gt.1))",
    );
    check(r#"{"where": {"and": ["year.gt.5"]}}"#, "year=gt.5");
    check(r#"{"where": "(year.gte.1,or(small.eq.2,rate.is.null))"}"#, "and=(year.gte.1,or(small.eq.2,rate.is.null))");
    check(r#"{"where": "or(small.eq.2,rate.is.null)"}"#, "or=(small.eq.2,rate.is.null)");
}

#[test]
fn filters_come_on_top() {
    let body = r#"{"where": "small.lt.3", "filters": {"year_min": 2020, "zebra": 1}, "select": ["year"]}"#;
    let (query, ignored) = parse_json(&object(body), &SCHEMA, &Rules::default()).unwrap();
    let expected = parse("select=year&small=lt.3&year=gte.2020", &SCHEMA, &Rules::default()).unwrap();
    assert_eq!((query, ignored), (expected, Some(vec!["zebra".to_owned()])));
    refused(r#"{"filters": {"zebra": 1}, "strict": true}"#, "unknown_column", "zebra", "the columns are");
    refused(r#"{"filters": {"year_min": "x"}}"#, "bad_value", "year_min", "");
    let (_, ignored) = parse_json(&object(r#"{"filters": {}}"#), &SCHEMA, &Rules::default()).unwrap();
    assert_eq!(ignored, Some(Vec::new()));
}

#[test]
fn an_error_names_its_place() {
    for (json, code, parameter, hint) in [
        (r#"{"wehre": {}}"#, "bad_syntax", "wehre", "did you mean 'where'?"),
        (r#"{"page": 5}"#, "bad_syntax", "page", "select, distinct, where"),
        (r#"{"select": 5}"#, "bad_value", "select", "region"),
        (r#"{"select": []}"#, "bad_value", "select", "region"),
        (r#"{"select": ["year", 5]}"#, "bad_value", "select[1]", ""),
        (r#"{"select": ["year", "region,small"]}"#, "bad_syntax", "select[1]", "select=a,b"),
        (r#"{"select": ["year", "region::itn"]}"#, "unknown_type", "select[1]", "did you mean 'int'?"),
        (r#"{"select": ["year", "yeer"]}"#, "unknown_column", "select", "did you mean 'year'?"),
        (r#"{"order": {"year": 1}}"#, "bad_value", "order", "total.desc"),
        (r#"{"order": ["year.desc", null]}"#, "bad_value", "order[1]", ""),
        (r#"{"order": ["year.desc", "a,b"]}"#, "bad_syntax", "order[1]", "nullsfirst"),
        (r#"{"limit": "5"}"#, "bad_value", "limit", "\"limit\": 100"),
        (r#"{"limit": -5}"#, "bad_value", "limit", "\"limit\": 100"),
        (r#"{"limit": 1000001}"#, "limit_too_large", "limit", "at most 1000000"),
        (r#"{"offset": 1.5}"#, "bad_value", "offset", ""),
        (r#"{"distinct": "true"}"#, "bad_value", "distinct", "true"),
        (r#"{"strict": 1}"#, "bad_value", "strict", "true"),
        (r#"{"filters": []}"#, "bad_value", "filters", "year_min"),
        (r#"{"cursor": 5}"#, "bad_value", "cursor", ""),
        (r#"{"cursor": "x"}"#, "bad_cursor", "cursor", "begin anew"),
    ] {
        refused(json, code, parameter, hint);
    }
    let many = format!("{{\"select\": [{}]}}", vec!["\"year\""; 1_001].join(","));
    refused(&many, "too_complex", "select", "select=*");
}

#[test]
fn an_error_in_a_tree_names_its_place() {
    for (json, code, parameter, hint) in [
        (r#"{"where": 5}"#, "bad_value", "where", "\"op\""),
        (r#"{"where": ["year.gt.5"]}"#, "bad_value", "where", "\"op\""),
        (r#"{"where": {}}"#, "bad_value", "where", "\"op\""),
        (r#"{"where": {"and": [], "or": []}}"#, "bad_value", "where", "\"op\""),
        (r#"{"where": {"and": []}}"#, "bad_value", "where.and", "[{"),
        (r#"{"where": {"nor": []}}"#, "bad_syntax", "where.nor", "did you mean 'or'?"),
        (r#"{"where": {"and": ["year.gt.5", {"column": "year"}]}}"#, "missing_operator", "where.and[1].op", "\"op\""),
        (r#"{"where": {"and": ["year.gt.5", "year.gt"]}}"#, "bad_syntax", "where.and[1]", "a.gte.1"),
        (r#"{"where": {"and": ["year.gt.5", "year.gt.x"]}}"#, "bad_value", "where.and[1]", "a whole number"),
        (r#"{"where": {"not": {"column": 5, "op": "eq", "value": 1}}}"#, "bad_value", "where.not.column", ""),
        (
            r#"{"where": {"column": "year", "op": "gtt", "value": 1}}"#,
            "unknown_operator",
            "where.op",
            "did you mean 'gt'?",
        ),
        (r#"{"where": {"column": "year", "op": 1, "value": 1}}"#, "bad_value", "where.op", ""),
        (r#"{"where": {"column": "year", "op": "gt"}}"#, "bad_syntax", "where.value", ""),
        (r#"{"where": {"column": "year", "op": "gt", "any": [1], "all": [1]}}"#, "bad_syntax", "where.value", ""),
        (r#"{"where": {"column": "year", "op": "neq", "any": [1]}}"#, "unknown_operator", "where.any", "(any)"),
        (r#"{"where": {"column": "year", "op": "in", "any": [1]}}"#, "bad_syntax", "where.any", "any and all"),
        (r#"{"where": {"column": "year", "op": "gt", "any": 1}}"#, "bad_value", "where.any", "[1, 2, 3]"),
        (r#"{"where": {"column": "year", "op": "gt", "any": [1, "x"]}}"#, "bad_value", "where.any", "a whole number"),
        (r#"{"where": {"column": "year", "op": "in", "value": 5}}"#, "bad_value", "where.value", "[1, 2, 3]"),
        (r#"{"where": {"column": "year", "op": "in", "value": [[5]]}}"#, "bad_value", "where.value", ""),
    ] {
        refused(json, code, parameter, hint);
    }
    let deep = format!("{{\"where\": {}\"year.gt.1\"{}}}", "{\"not\": ".repeat(40), "}".repeat(40));
    let inside = format!("where{}...", ".not".repeat(32)[..95].to_owned());
    refused(&deep, "too_complex", &inside, "can be one");
    let many = format!("{{\"where\": {{\"and\": [{}]}}}}", vec!["\"year.gt.1\""; 1_001].join(","));
    refused(&many, "too_complex", "where", "in.(a,b,c)");
}

#[test]
fn a_value_of_another_type_names_its_place() {
    for (json, code, parameter, hint) in [
        (r#"{"where": {"column": "year", "op": "eq", "value": null}}"#, "bad_value", "where.value", "\"is\""),
        (r#"{"where": {"column": "year", "op": "is", "value": 5}}"#, "bad_value", "where.value", "\"op\": \"eq\""),
        (
            r#"{"where": {"column": "year", "op": "eq", "value": 5, "vale": 1}}"#,
            "bad_syntax",
            "where.vale",
            "did you mean 'value'?",
        ),
        (r#"{"where": {"column": "year", "op": "eq", "value": 5.5}}"#, "bad_value", "where.value", "a whole number"),
        (r#"{"where": {"column": "year", "op": "eq", "value": true}}"#, "bad_value", "where.value", "a whole number"),
        (r#"{"where": {"column": "region", "op": "eq", "value": 5}}"#, "bad_value", "where.value", "\"5\""),
        (
            r#"{"where": {"column": "sector", "op": "in", "value": ["a", true]}}"#,
            "bad_value",
            "where.value",
            "\"true\"",
        ),
        (
            r#"{"where": {"column": "yeer", "op": "eq", "value": 5}}"#,
            "unknown_column",
            "where.column",
            "did you mean 'year'?",
        ),
        (r#"{"where": {"column": "tags", "op": "eq", "value": "5"}}"#, "unsupported_operator", "where.op", "is.null"),
        (
            r#"{"where": {"or": ["year.gt.5", {"column": "region", "op": "match", "value": "("}]}}"#,
            "bad_pattern",
            "where.or[1].value",
            "backslash",
        ),
        (
            r#"{"select": ["region"], "having": {"column": "count()", "op": "gt", "value": "x"}}"#,
            "bad_value",
            "having.value",
            "a whole number",
        ),
        (r#"{"having": {"column": "sum()", "op": "gt", "value": 1}}"#, "bad_syntax", "having.column", "column.sum()"),
        (r#"{"having": {"column": "year", "op": "gt", "value": 1}}"#, "bad_syntax", "having", "select an aggregate"),
        (
            r#"{"select": "count()", "having": {"and": ["count().gt.1", {"column": "n", "op": "gt", "value": 1}]}}"#,
            "unknown_column",
            "having.and[1].column",
            "count",
        ),
    ] {
        refused(json, code, parameter, hint);
    }
}
