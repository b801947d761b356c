//! What is refused, and what is said about it.

use super::SCHEMA;
use crate::query::{Limits, QueryError, Rules, parse};

#[track_caller]
fn refused(params: &str) -> QueryError {
    match parse(params, &SCHEMA, &Rules::default()) {
        Err(error) => error,
        Ok(query) => panic!("{params} was read as {}", query.canonical()),
    }
}

/// Checks the code, the parameter, and a part of the hint.
#[track_caller]
fn check(params: &str, code: &str, parameter: &str, hint: &str) {
    let error = refused(params);
    let said = error.hint().unwrap_or_default();
    assert_eq!((error.code(), error.parameter()), (code, parameter), "{params}: {error}; {said}");
    assert!(said.contains(hint), "{params}: {error}; {said}");
    assert!(!said.is_empty(), "{params}: {error} has no hint");
    let message = error.to_string();
    assert!(!message.ends_with('.') && !message.starts_with(char::is_uppercase), "{params}: {message}");
}

#[test]
fn unknown_columns_are_named_with_the_closest_there_is() {
    for (params, parameter, hint) in [
        ("regoin=eq.EU", "regoin", "did you mean 'region'?"),
        ("Region=eq.EU", "Region", "did you mean 'region'?"),
        ("yaer=gte.2020", "yaer", "did you mean 'year'?"),
        ("nonsense_and_more=eq.1", "nonsense_and_more", "the columns are region, year"),
        ("and=(regio.eq.EU,year.eq.2020)", "regio", "did you mean 'region'?"),
        ("select=region,yeer", "select", "did you mean 'year'?"),
        ("order=yeer.desc", "order", "did you mean 'year'?"),
        ("order=year.down", "order", "the columns are"),
        ("gdp=eq.1", "gdp", "the columns are"),
    ] {
        check(params, "unknown_column", parameter, hint);
    }
}

#[test]
fn a_filter_without_an_operator_is_corrected() {
    for (params, parameter, hint) in [
        ("region=open", "region", "write region=eq.open"),
        ("year=2020", "year", "write year=eq.2020"),
        ("year=", "year", "write year=eq."),
        ("year==2020", "year", "write year=eq.=2020"),
        ("rate=1.5", "rate", "write rate=eq.1.5"),
        ("region=not.open", "region", "write region=not.eq.open"),
        ("day=2024-01-31", "day", "write day=eq.2024-01-31"),
        ("and=(region.open)", "and", "write region.eq.open"),
        ("not.or=(region.open)", "not.or", "write region.eq.open"),
        ("page=2", "page", "did you mean 'offset'?"),
        ("sort=year", "sort", "did you mean 'order'?"),
        ("apikey=abc", "apikey", "no column and no parameter has this name; the columns are region, year"),
    ] {
        check(params, "missing_operator", parameter, hint);
    }
}

#[test]
fn unknown_operators_are_named_with_the_closest_there_is() {
    for (params, parameter, hint) in [
        ("year=gtr.2020", "year", "did you mean 'gt'?"),
        ("year=ge.2020", "year", "did you mean 'gte'?"),
        ("year=ne.2020", "year", "did you mean 'neq'?"),
        ("year=EQ.2020", "year", "did you mean 'eq'?"),
        ("year=equals.2020", "year", "did you mean 'eq'?"),
        ("region=contains.x", "region", "did you mean 'ilike'?"),
        ("year=eq(some).{1,2}", "year", "(any) and (all) follow eq"),
        ("year=in(any).(1,2)", "year", "(any) and (all) follow eq"),
        ("year=neq(all).{1,2}", "year", "(any) and (all) follow eq"),
        ("and=(year.is(any).{null})", "and", "(any) and (all) follow eq"),
        ("and=(year.sum().gt.5)", "and", "stands in having"),
        ("region=fts.x", "region", "did you mean 'ilike'?"),
        ("region=ilke.x", "region", "to compare with that text, write region=eq.ilke.x"),
        ("region=not.lik.x", "region", "write region=not.eq.lik.x"),
        ("and=(year.gtt.5)", "and", "did you mean 'gt'?"),
        ("or=(year.foobar.5,year.eq.1)", "or", "the operators are eq, neq"),
    ] {
        check(params, "unknown_operator", parameter, hint);
    }
}

#[test]
fn values_of_another_type_are_refused() {
    for (params, parameter, hint) in [
        ("year=eq.abc", "year", "a whole number"),
        ("year=eq.", "year", "a whole number"),
        ("year=eq.2,020", "year", "a whole number"),
        ("year=eq.10.5", "year", "compare with gt, gte, lt or lte"),
        ("year=neq.10.5", "year", "compare with gt, gte, lt or lte"),
        ("year=in.(1,2.5)", "year", "compare with gt, gte, lt or lte"),
        ("year=eq.null", "year", "write year=is.null"),
        ("year=gt.99999999999", "year", "a whole number"),
        ("small=gt.128", "small", "a whole number"),
        ("count=eq.-1", "count", "from 0 on"),
        ("count=gte.18446744073709551616", "count", "from 0 on"),
        ("year=gt.1e999", "year", "a whole number"),
        ("rate=eq.many", "rate", "a number"),
        ("rate=eq.1e999", "rate", "a number"),
        ("half=eq.70000", "half", "a number"),
        ("open=eq.maybe", "open", "true or false"),
        ("open=eq.2", "open", "true or false"),
        ("day=eq.31.01.2024", "day", "2024-01-31"),
        ("day=eq.2024-02-30", "day", "2024-01-31"),
        ("day=eq.2024", "day", "2024-01-31"),
        ("at=gte.yesterday", "at", "%2B"),
        ("at=gte.2024-01-31T09:30:00+02:00", "at", "%2B"),
        ("local=gte.2400-01-01", "local", "a time"),
        ("local=gte.2024-01-01T00:00:00.1234567890", "local", "a time"),
        ("t32=eq.25:00:00", "t32", "09:30:00"),
        ("t32=eq.34200", "t32", "09:30:00"),
        ("price=eq.12,50", "price", "12.50"),
        ("price=eq.12345678.00", "price", "12.50"),
        ("price=eq.inf", "price", "12.50"),
        ("d256=eq.1e70", "d256", "12.50"),
        ("bin=eq.0x00ff", "bin", "00ff"),
        ("bin=eq.00f", "bin", "00ff"),
        ("bin=eq.\\x0", "bin", "00ff"),
        ("hash=eq.\\x00", "hash", "00ff"),
        ("open=is.maybe", "open", "write open=eq.maybe"),
        ("year=is.2020", "year", "write year=eq.2020"),
        ("and=(year.gte.x,region.eq.EU)", "year", "a whole number"),
        ("limit=ten", "limit", "write limit=100"),
        ("limit=-1", "limit", "write limit=100"),
        ("limit=1.5", "limit", "write limit=100"),
        ("limit=", "limit", "write limit=100"),
        ("offset=x", "offset", "write offset=100"),
    ] {
        check(params, "bad_value", parameter, hint);
    }
}

#[test]
fn operators_that_a_type_does_not_have_are_refused() {
    for (params, parameter, hint) in [
        ("tags=eq.1", "tags", "tags=is.null"),
        ("tags=in.(1)", "tags", "tags=is.null"),
        ("took=gt.5", "took", "took=is.null"),
        ("every=eq.1", "every", "every=is.null"),
        ("nothing=eq.1", "nothing", "nothing=is.null"),
        ("year=like.20*", "year", "write year=eq.42"),
        ("day=ilike.2024*", "day", "write day=eq.2024-01-31"),
        ("year=is.true", "year", "is.null"),
        ("region=is.unknown", "region", "is.null"),
        ("order=tags", "order", "numbers, texts or times"),
        ("order=year,nothing.desc", "order", "numbers, texts or times"),
    ] {
        check(params, "unsupported_operator", parameter, hint);
    }
}

#[test]
fn text_outside_of_the_grammar_is_refused() {
    for (params, parameter, hint) in [
        ("=eq.1", "", "year=gte.2020"),
        ("year=eq", "year", "write year=eq.value"),
        ("year=in", "year", "write year=in.(a,b)"),
        ("year=in.1,2", "year", "write in.(1,2)"),
        ("year=in.{1,2}", "year", "write in.(1,2)"),
        ("year=in.(1,2", "year", ""),
        ("year=in.(1,2)x", "year", ""),
        ("region=in.(\"a)", "region", ""),
        ("region=in.(\"a\"b)", "region", "\\\""),
        ("region=in.(\"a\\", "region", ""),
        ("and=", "and", "write and=(a.gte.1"),
        ("and=()", "and", "write and=(a.gte.1"),
        ("and=year.eq.1", "and", "write and=("),
        ("and=(year.eq.1", "and", "write and=("),
        ("and=(year.eq.1))", "and", "write and=("),
        ("and=(year.eq.1,)", "and", "write and=("),
        ("or=(year)", "or", "column.operator.value"),
        ("or=(year.eq)", "or", "write or=("),
        ("not.or=(year.in.1)", "not.or", "write in.(1)"),
        ("and=(or(year.eq.1)", "and", "write and=("),
        ("and=(\"year.eq.1)", "and", "write and=("),
        ("select=", "select", "select=*"),
        ("select=region,", "select", "select=a,b"),
        ("select=*:region", "select", "select=*"),
        ("select=a:*", "select", "select=*"),
        ("select=reg*", "select", "double quotes"),
        ("select=:year", "select", "double quotes"),
        ("select=a:", "select", "double quotes"),
        ("select=a:b:c", "select", "double quotes"),
        ("select=year.sum(small)", "select", "amount.sum()"),
        ("select=year.sum(", "select", "amount.sum()"),
        ("select=sum()", "select", "column.sum()"),
        ("select=.sum()", "select", "column.sum()"),
        ("select=year.sum()x", "select", "double quotes"),
        ("select=year,,region", "select", "select=a,b"),
        ("select=\"region", "select", ""),
        ("select=\"region\"x", "select", ""),
        ("order=", "order", "nullsfirst"),
        ("order=.desc", "order", "nullsfirst"),
        ("order=\"year\".down", "order", "nullsfirst"),
        ("order=\"year\"x", "order", "nullsfirst"),
        ("region=eq.%ff", "region", ""),
    ] {
        check(params, "bad_syntax", parameter, hint);
    }
}

#[test]
fn what_may_be_given_once_is_refused_twice() {
    for parameter in ["select=year", "order=year", "limit=1", "offset=1"] {
        let name = parameter.split('=').next().unwrap();
        check(&format!("{parameter}&{parameter}"), "duplicate_parameter", name, "once");
    }
    for twice in ["year,region,year", "*,region", "year,year:small", "year.sum(),small.sum()", "*,*"] {
        check(&format!("select={twice}"), "duplicate_column", "select", "select it once");
    }
}

#[test]
fn sizes_are_bounded() {
    check("limit=1000001", "limit_too_large", "limit", "at most 1000000");
    check("limit=18446744073709551615", "limit_too_large", "limit", "offset");
    let deep = |levels: usize| format!("and=({}year.eq.1{})", "or(".repeat(levels - 1), ")".repeat(levels - 1));
    assert!(parse(&deep(32), &SCHEMA, &Rules::default()).is_ok());
    check(&deep(33), "too_complex", "and", "");
    check(&deep(100_000), "too_complex", "and", "");
    let listed = |items: usize| format!("year=in.({})", vec!["1"; items].join(","));
    assert!(parse(&listed(10_000), &SCHEMA, &Rules::default()).is_ok());
    check(&listed(10_001), "too_complex", "year", "gte and lte");
    let conditions = |count: usize| vec!["year=gt.1"; count].join("&");
    assert!(parse(&conditions(1_000), &SCHEMA, &Rules::default()).is_ok());
    check(&conditions(1_001), "too_complex", "year", "in.(a,b,c)");
    check(&format!("and=({})", vec!["year.gt.1"; 1_001].join(",")), "too_complex", "and", "in.(a,b,c)");
    check(&format!("{}&and=(year.gt.1,year.gt.2)", conditions(999)), "too_complex", "year", "in.(a,b,c)");
    check(&format!("region=like.{}", "a".repeat(1_025)), "too_complex", "region", "");
    check(&format!("select={}", vec!["year"; 1_001].join(",")), "too_complex", "select", "");
    check(&format!("order={}", vec!["year"; 1_001].join(",")), "too_complex", "order", "");
}

#[test]
fn limits_and_reserved_names_are_the_callers() {
    let limits = Limits { max_rows: 10, ..Limits::default() };
    let rules = Rules { limits, reserved: vec!["year".into()] };
    assert_eq!(parse("limit=11", &SCHEMA, &rules).unwrap_err().code(), "limit_too_large");
    assert_eq!(parse("year=whatever&limit=10", &SCHEMA, &rules).unwrap().canonical(), "limit=10");
    assert!(parse("format=csv&raw=true&explain=true", &SCHEMA, &Rules::default()).is_ok());
}

#[test]
fn an_error_repeats_no_more_than_100_characters() {
    let error = refused(&format!("year=eq.{}", "é".repeat(500)));
    assert_eq!(error.value(), format!("{}...", "é".repeat(100)));
    assert!(error.to_string().chars().count() < 200);
    let error = refused(&format!("{}=eq.1", "c".repeat(500)));
    assert!(error.parameter().chars().count() <= 103);
    let error = refused(&format!("year={}", "v".repeat(500)));
    assert!(error.hint().unwrap().chars().count() < 200);
}
