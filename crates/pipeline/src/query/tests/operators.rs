//! Every operator beyond the plain ones: patterns, `isdistinct`, `(any)` and `(all)`, and Datasette's way to write them.

use super::SCHEMA;
use super::good::check;
use crate::query::{Rules, aggregates_of, operators_of, parse};

#[track_caller]
fn same(left: &str, right: &str) {
    let rules = Rules::default();
    let [left_bound, right_bound] =
        [left, right].map(|params| parse(params, &SCHEMA, &rules).unwrap_or_else(|error| panic!("{params}: {error}")));
    assert_eq!(left_bound, right_bound, "{left} {right}");
    assert_eq!(left_bound.canonical(), right_bound.canonical());
}

#[track_caller]
fn refused(params: &str, code: &str, parameter: &str, hint: &str) {
    let error = match parse(params, &SCHEMA, &Rules::default()) {
        Err(error) => error,
        Ok(query) => panic!("{params} was read as {}", query.canonical()),
    };
    let said = error.hint().unwrap_or_default();
    assert_eq!((error.code(), error.parameter()), (code, parameter), "{params}: {error}; {said}");
    assert!(!said.is_empty() && said.contains(hint), "{params}: {error}; {said}");
}

#[test]
fn regular_expressions_are_read_as_they_stand() {
    check("region=match.^a.*(b|c),d$", "and=(region.match.\"^a.*(b|c),d$\")");
    check("region=not.imatch.x", "and=(region.not.imatch.x)");
    check("and=(sector.match.\"a,b\",view.imatch.c)", "and=(sector.match.\"a,b\",view.imatch.c)");
    check("region=match.\\d%2B", "and=(region.match.\"\\\\d+\")");
    let differ = |left, right| {
        let rules = Rules::default();
        assert_ne!(parse(left, &SCHEMA, &rules).unwrap(), parse(right, &SCHEMA, &rules).unwrap());
    };
    differ("region=match.a", "region=imatch.a");
    differ("region=match.a*", "region=match.a%25");
    let query = parse("region=imatch.B", &SCHEMA, &Rules::default()).unwrap();
    let Some(crate::query::BoundExpr::Test(test)) = query.filter() else { panic!("a single test") };
    assert!(test.regex.as_ref().unwrap().is_match("abc"));
}

#[test]
fn regular_expressions_are_bounded() {
    refused("region=match.(", "bad_pattern", "region", "backslash");
    refused("region=match.a{1000000}", "bad_pattern", "region", "");
    refused("region=match.((a{100}){100}){100}", "bad_pattern", "region", "repeat less");
    refused("region=imatch.\\1", "bad_pattern", "region", "");
    refused(&format!("region=match.{}", "(".repeat(1_000)), "bad_pattern", "region", "");
    refused(&format!("region=match.{}", "a".repeat(1_025)), "too_complex", "region", "shorter");
    refused("year=match.2", "unsupported_operator", "year", "year=eq.42");
    let many = |count: usize| format!("region=match(any).{{{}}}", vec!["a"; count].join(","));
    assert!(parse(&many(32), &SCHEMA, &Rules::default()).is_ok());
    refused(&many(33), "too_complex", "region", "a|b|c");
}

#[test]
fn distinct_from_a_value_is_unequal_or_null() {
    check("year=isdistinct.5", "or=(year.is.null,year.neq.5)");
    check("year=not.isdistinct.5", "and=(year.eq.5,year.is.not_null)");
    same("and=(region.isdistinct.\"a,b\")", "or=(region.is.null,region.neq.\"a,b\")");
    refused("tags=isdistinct.1", "unsupported_operator", "tags", "is.null");
    refused("year=isdistinct.x", "bad_value", "year", "a whole number");
}

#[test]
fn any_and_all_are_or_and_and() {
    same("year=eq(any).{2,1}", "year=in.(1,2)");
    same("year=not.eq(any).{2,1}", "year=not.in.(1,2)");
    same("year=eq(all).{2,1}", "and=(year.eq.1,year.eq.2)");
    same("year=gt(any).{1,2}", "or=(year.gt.1,year.gt.2)");
    same("year=lte(all).{1,2}", "year=lte.1&year=lte.2");
    same("region=like(any).{O*,\"P,*\"}", "or=(region.like.O*,region.like.\"P,*\")");
    same("region=not.ilike(all).{a,b}", "or=(region.not.ilike.a,region.not.ilike.b)");
    same("region=match(any).{^a}", "region=match.^a");
    same("and=(region.eq(any).{a,\"b)c\"},year.gt.1)", "region=in.(a,\"b)c\")&year=gt.1");
    same("or=(region.eq(any).\"{a,\\\"b\\\"}\",year.gt.1)", "or=(region.in.(a,b),year.gt.1)");
    same("year=eq(any).{}", "year=in.()");
    same("year=gt(all).{}", "year=not.in.()");
    same("region=eq(any).{\"null\", NULLS}", "region=in.(null,NULLS)");
}

#[test]
fn lists_in_braces_keep_to_the_grammar() {
    for (params, parameter) in [
        ("year=eq(any).1,2", "year"),
        ("year=eq(any).(1,2)", "year"),
        ("year=eq(any).{1,2", "year"),
        ("year=eq(any).{1,2}x", "year"),
        ("year=eq(any).{1,}", "year"),
        ("year=eq(any).{1,null}", "year"),
        ("and=(year.eq(any).1)", "and"),
        ("and=(year.eq(any).\"{1}x\")", "and"),
    ] {
        refused(params, "bad_syntax", parameter, "write eq(any).{a,b");
    }
    refused("year=eq(any)", "bad_syntax", "year", "year=eq(any).{a,b}");
    refused("year=like(any).{}", "unsupported_operator", "year", "");
    refused("tags=gt(all).{}", "unsupported_operator", "tags", "");
    refused("year=gt(any).{1,x}", "bad_value", "year", "a whole number");
    refused(&format!("year=gt(any).{{{}}}", vec!["1"; 1_001].join(",")), "too_complex", "year", "in.(a,b,c)");
    refused(&format!("year=eq(any).{{{}}}", vec!["1"; 10_001].join(",")), "too_complex", "year", "gte and lte");
}

#[test]
fn braces_hold_commas_in_trees() {
    check("and=(region.eq.{a,b},year.gt.1)", "and=(region.eq.\"{a,b}\",year.gt.1)");
    check("or=(region.eq.{a,year.gt.1)", "or=(region.eq.\"{a\",year.gt.1)");
    check("region=in.({a,b})", "and=(region.in.(\"b}\",\"{a\"))");
}

#[test]
fn names_may_be_quoted_and_spaced() {
    check("\"gdp.total\"=gt.1", "and=(\"gdp.total\".gt.1)");
    check("\"region\"=eq.x", "and=(region.eq.x)");
    check("and=(year .gt.5, region.eq.x)", "and=(region.eq.x,year.gt.5)");
    check("order= year.desc , region", "order=year.desc.nullsfirst,region.asc.nullslast");
}

#[test]
fn datasette_s_names_are_aliases() {
    same("year__exact=5", "year=eq.5");
    same("year__not=5", "year=neq.5");
    same("year__gte=5&year__lt=9", "year=gte.5&year=lt.9");
    same("region__contains=50%25_*\\", "region=ilike.*50\\%25\\_\\*\\\\*");
    same("region__notcontains=a", "region=not.ilike.*a*");
    same("region__startswith=a", "region=ilike.a*");
    same("region__endswith=a", "region=ilike.*a");
    same("region__like=a%25", "region=like.a*");
    same("region__notlike=a%25", "region=not.like.a*");
    same("region__ilike=a%25", "region=ilike.a*");
    same("region__glob=a*_?", "region=like.a*\\__");
    same("region__glob=[a-c]*[^]x].?", "region=match.^(?s:[a-c].*[^\\]x]\\..)$");
    same("region__match=^a", "region=match.^a");
    same("year__in=1, 2,3", "year=in.(1,2,3)");
    same("region__in=[\"a,b\",5,true]", "region=in.(\"a,b\",5,true)");
    same("year__notin=1,2", "year=not.in.(1,2)");
    same("year__isnull=1", "year=is.null");
    same("year__notnull=true", "year=is.not_null");
    same("region__isblank=1", "or=(region.is.null,region.eq.)");
    same("region__notblank=1", "region=is.not_null&region=neq.");
    same("year__isblank=1", "year=is.null");
    same("day__date=2024-01-31", "day=gte.2024-01-31&day=lt.2024-02-01");
    same("at__date=2024-12-31", "at=gte.2024-12-31&at=lt.2025-01-01");
    same("open__is=true", "open=is.true");
    same("year__isdistinct=5", "year=isdistinct.5");
    same("gdp.total__gt=5", "gdp.total=gt.5");
    same("region__eq=null", "region=eq.null");
}

#[test]
fn datasette_s_names_are_told_from_columns() {
    for (params, code, parameter, hint) in [
        ("year__gtt=5", "unknown_operator", "year__gtt", "did you mean 'gt'?"),
        ("year__arraycontains=5", "unknown_operator", "year__arraycontains", "exact, not, contains"),
        ("year__=5", "unknown_operator", "year__", "exact, not, contains"),
        ("year__eq(any)={1}", "unknown_operator", "year__eq(any)", ""),
        ("yeer__gt=5", "unknown_column", "yeer__gt", "did you mean 'year'?"),
        ("yeer__foo=eq.5", "unknown_column", "yeer__foo", ""),
        ("year__gt=x", "bad_value", "year", "a whole number"),
        ("year__isnull=0", "bad_value", "year__isnull", "year__isnull=1"),
        ("year__date=2024-01-01", "unsupported_operator", "year__date", "dates and times"),
        ("day__date=soon", "bad_value", "day__date", "2024-01-31"),
        ("day__date=2024-01-31T12:00:00", "bad_value", "day__date", "2024-01-31"),
        ("year__contains=5", "unsupported_operator", "year", "year=eq.42"),
        ("region__in=[1,", "bad_value", "region__in", "a,b,c"),
        ("region__in=[null]", "bad_value", "region__in", "isnull"),
        ("region__glob=[z-a]", "bad_pattern", "region", ""),
        ("year__is=5", "bad_value", "year__is", ""),
    ] {
        refused(params, code, parameter, hint);
    }
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(vec![
        arrow::datatypes::Field::new("a__gt", arrow::datatypes::DataType::Int8, true),
        arrow::datatypes::Field::new("a", arrow::datatypes::DataType::Int8, true),
        arrow::datatypes::Field::new("\"q\"", arrow::datatypes::DataType::Int8, true),
    ]));
    let canonical = |params: &str| parse(params, &schema, &Rules::default()).unwrap().canonical();
    assert_eq!(canonical("a__gt=eq.5"), "and=(a__gt.eq.5)");
    assert_eq!(canonical("a__gt__lt=5&a__lt=5"), "and=(a.lt.5,a__gt.lt.5)");
    assert_eq!(canonical("\"q\"=eq.5&\"a\"=eq.1"), "and=(%22%5C%22q%5C%22%22.eq.5,a.eq.1)");
}

#[test]
fn a_type_s_operators_and_aggregates_are_known() {
    let values = [
        ("region", "x"),
        ("year", "1"),
        ("rate", "1"),
        ("price", "1"),
        ("open", "true"),
        ("day", "2024-01-31"),
        ("sector", "x"),
        ("bin", "\\x00"),
        ("t32", "09:30:00"),
        ("tags", "x"),
        ("took", "x"),
        ("nothing", "x"),
    ];
    for (name, value) in values {
        let data_type = SCHEMA.field_with_name(name).unwrap().data_type();
        for operator in operators_of(&SCHEMA.field_with_name("region").unwrap().data_type().clone()) {
            let value = match *operator {
                "in" => format!("({value})"),
                "is" => "null".to_owned(),
                _ => value.to_owned(),
            };
            let works = parse(&format!("{name}={operator}.{value}"), &SCHEMA, &Rules::default()).is_ok();
            assert_eq!(works, operators_of(data_type).contains(operator), "{name} {operator}");
        }
        for aggregate in aggregates_of(&arrow::datatypes::DataType::Int8) {
            let works = parse(&format!("select={name}.{aggregate}()"), &SCHEMA, &Rules::default()).is_ok();
            assert_eq!(works, aggregates_of(data_type).contains(aggregate), "{name} {aggregate}");
        }
    }
}
