//! What is read, by its canonical text.

use super::SCHEMA;
use crate::query::{Query, Rules, parse, parse_pairs};

#[track_caller]
pub(super) fn check(params: &str, canonical: &str) {
    let query = parse(params, &SCHEMA, &Rules::default()).unwrap_or_else(|error| panic!("{params}: {error}"));
    let text = query.canonical();
    let decoded = crate::query::params::decode(&text).unwrap();
    let decoded: Vec<String> = decoded.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(decoded.join("&"), canonical, "{params}");
    assert_eq!(parse(&text, &SCHEMA, &Rules::default()).as_ref(), Ok(&query), "{params}");
}

#[test]
fn every_operator_is_read() {
    check("", "");
    check("year=eq.2020", "and=(year.eq.2020)");
    check("year=neq.2020", "and=(year.neq.2020)");
    check("year=gt.-5", "and=(year.gt.-5)");
    check("year=gte.2020&year=lte.2025", "and=(year.gte.2020,year.lte.2025)");
    check("year=lt.2020", "and=(year.lt.2020)");
    check("year=in.(2021,2020,2021)", "and=(year.in.(2020,2021))");
    check("year=in.()", "and=(year.in.())");
    check("year=is.null", "and=(year.is.null)");
    check("year=is.NOT_NULL", "and=(year.is.not_null)");
    check("open=is.true", "and=(open.is.true)");
    check("open=is.false", "and=(open.is.false)");
    check("open=is.unknown", "and=(open.is.null)");
    check("region=like.E%25", "and=(region.like.E*)");
    check("region=ilike.*eu*", "and=(region.ilike.*eu*)");
}

#[test]
fn not_negates_each() {
    check("year=not.eq.2020", "and=(year.neq.2020)");
    check("year=not.neq.2020", "and=(year.eq.2020)");
    check("year=not.gt.5", "and=(year.lte.5)");
    check("year=not.lte.5", "and=(year.gt.5)");
    check("year=not.in.(1,2)", "and=(year.not.in.(1,2))");
    check("year=not.in.(1)", "and=(year.neq.1)");
    check("year=not.is.null", "and=(year.is.not_null)");
    check("open=not.is.true", "and=(open.not.is.true)");
    check("region=not.like.*x*", "and=(region.not.like.*x*)");
}

#[test]
fn trees_nest() {
    check("and=(year.gte.1,small.eq.2)", "and=(small.eq.2,year.gte.1)");
    check(
        "and=(year.gte.1,or(region.eq.EU,not.and(count.is.null,rate.lt.3)))",
        "and=(or(count.is.not_null,rate.gte.3,region.eq.EU),year.gte.1)",
    );
    check("or=(year.eq.1,year.not.eq.2)", "or=(year.eq.1,year.neq.2)");
    check("not.and=(year.eq.1,small.eq.2)", "or=(small.neq.2,year.neq.1)");
    check("not.or=(year.eq.1,small.eq.2)", "and=(small.neq.2,year.neq.1)");
    check("and=( year.eq.1, small.eq.2)", "and=(small.eq.2,year.eq.1)");
    check("or=(year.in.(1,2),region.in.(\"a,b\",c))", "or=(region.in.(\"a,b\",c),year.in.(1,2))");
    check("and=(order.eq.5)&order=order", "and=(order.eq.5)&order=order.asc.nullslast");
}

#[test]
fn quotes_hold_what_the_grammar_needs() {
    check("region=in.(\"a,b\",\"say \\\"hi\\\"\",-3, x)", "and=(region.in.(-3,\"a,b\",\"say \\\"hi\\\"\",x))");
    check("or=(region.eq.\"a,b)\",region.eq.c)", "and=(region.in.(\"a,b)\",c))");
    check("region=eq.\"EU\"", "and=(region.eq.\"\\\"EU\\\"\")");
    check("region=eq.a,b", "and=(region.eq.\"a,b\")");
    check("region=eq.", "and=(region.eq.\"\")");
    check("region=in.(\"\")", "and=(region.eq.\"\")");
    check("region=eq.not.a.b", "and=(region.eq.not.a.b)");
    check("and=(\"gdp.total\".gt.1)", "and=(\"gdp.total\".gt.1)");
    check("gdp.total=gt.1", "and=(\"gdp.total\".gt.1)");
    check("Revenue (USD)=gt.1", "and=(\"Revenue (USD)\".gt.1)");
    check("say \"hi\"\\=eq.x", "and=(\"say \\\"hi\\\"\\\\\".eq.x)");
    check("and=(region.eq.x y)", "and=(region.eq.\"x y\")");
    check("region=eq.a%26b%3Dc%2B%25", "and=(region.eq.\"a&b=c+%\")");
}

#[test]
fn the_answer_is_shaped() {
    check("select=year,region", "select=year,region");
    check("select=*", "");
    check("select=year, region", "select=year,region");
    check("select=gdp.total,\"Revenue (USD)\"", "select=\"gdp.total\",\"Revenue (USD)\"");
    check("order=year", "order=year.asc.nullslast");
    check("order=year.desc", "order=year.desc.nullsfirst");
    check("order=year.desc.nullslast,region", "order=year.desc.nullslast,region.asc.nullslast");
    check("order=year.nullsfirst", "order=year.asc.nullsfirst");
    check("order=year.DESC,year.asc", "order=year.desc.nullsfirst");
    check("order=gdp.total.desc", "order=\"gdp.total\".desc.nullsfirst");
    check("order=\"gdp.total\".desc,\"order\"", "order=\"gdp.total\".desc.nullsfirst,order.asc.nullslast");
    check(
        "order=took,bin,sector,open",
        "order=took.asc.nullslast,bin.asc.nullslast,sector.asc.nullslast,open.asc.nullslast",
    );
    check("limit=5&offset=10", "limit=5&offset=10");
    check("limit=0&offset=0", "limit=0");
}

#[test]
fn decoded_pairs_are_read_as_they_stand() {
    let pairs = [("region", "eq.a+b%20"), ("limit", "3")];
    let query = parse_pairs(pairs, &SCHEMA, &Rules::default()).unwrap();
    assert_eq!(query.canonical(), "and=(region.eq.a%2Bb%2520)&limit=3");
}

#[test]
fn an_untyped_query_knows_nothing_of_columns() {
    let query = Query::from_params("nobody=like.a*&select=x,y&order=z.desc", &Rules::default()).unwrap();
    assert_eq!(query.select, Some(vec!["x".into(), "y".into()]));
    assert_eq!(query.to_params(), "select=x,y&and=(nobody.like.a*)&order=z.desc");
}
