//! What is selected, cast, aggregated and grouped, and how groups are filtered and ordered.

use super::SCHEMA;
use super::good::check;
use crate::query::{BoundQuery, QueryError, Rules, parse};

fn bound(params: &str) -> BoundQuery {
    parse(params, &SCHEMA, &Rules::default()).unwrap_or_else(|error| panic!("{params}: {error}"))
}

/// The answer's columns, with their types.
#[track_caller]
fn answers(params: &str, columns: &[&str]) {
    let schema = bound(params).output_schema();
    let found = schema.fields().iter().map(|field| {
        let null = if field.is_nullable() { "" } else { "!" };
        format!("{} {}{null}", field.name(), field.data_type())
    });
    assert_eq!(found.collect::<Vec<_>>(), columns, "{params}");
}

#[track_caller]
fn same(left: &str, right: &str) {
    assert_eq!(bound(left), bound(right), "{left} {right}");
    assert_eq!(bound(left).canonical(), bound(right).canonical());
}

#[track_caller]
fn refused(params: &str, code: &str, parameter: &str, hint: &str) {
    let error: QueryError = match parse(params, &SCHEMA, &Rules::default()) {
        Err(error) => error,
        Ok(query) => panic!("{params} was read as {}", query.canonical()),
    };
    let said = error.hint().unwrap_or_default();
    assert_eq!((error.code(), error.parameter()), (code, parameter), "{params}: {error}; {said}");
    assert!(!said.is_empty() && said.contains(hint), "{params}: {error}; {said}");
}

#[test]
fn columns_are_renamed_and_cast() {
    check("select=total:year", "select=total:year");
    check("select=year:year", "select=year");
    check("select= a : year :: text , b:\"gdp.total\"", "select=a:year::text,b:\"gdp.total\"");
    check("select=\"a,b\":year", "select=\"a,b\":year");
    check("select=year,y2:year", "select=year,y2:year");
    check("select=extra:year,*&limit=1", &format!("select=extra:year,{}&limit=1", all_columns()));
    check("select=year::int8,small::DOUBLE PRECISION", "select=year::int8,small::float8");
    check("select=year::numeric(10,2),rate::numeric( 10 )", "select=year::numeric(10,2),rate::numeric(10,0)");
    answers("select=y:year::text,price::numeric(40,1)", &["y Utf8", "price Decimal256(40, 1)"]);
    answers(
        "select=day::timestamp,at::date,t32::text,count::bool",
        &["day Timestamp(µs)", "at Date32", "t32 Utf8", "count Boolean"],
    );
    answers(
        "select=year::numeric,rate::numeric,sector::int4,nothing::text",
        &["year Decimal128(38, 0)", "rate Decimal128(38, 10)", "sector Int32", "nothing Utf8"],
    );
}

fn all_columns() -> String {
    let query = parse("select=x:year,*", &SCHEMA, &Rules::default()).unwrap().to_query();
    let select = crate::query::Query { select: query.select, ..Default::default() }.to_params();
    let decoded = crate::query::params::decode(&select).unwrap();
    decoded[0].1.strip_prefix("x:year,").unwrap().to_owned()
}

#[test]
fn a_cast_that_changes_nothing_is_none() {
    same("select=year::int4", "select=year");
    same("select=region::text,sector::varchar,large::string,view::text", "select=region,sector,large,view");
    same("select=price::numeric,price2:price::numeric(9,2)", "select=price,price2:price");
    same("select=t32::time,at::timestamptz,local::timestamp,open::boolean", "select=t32,at,local,open");
    same("select=year::bigint", "select=year::int8");
    same("select=rate::numeric", "select=rate::numeric(38,10)");
}

#[test]
fn aggregates_have_the_types_of_their_values() {
    answers("select=count()", &["count Int64!"]);
    answers("select=n:count(),region.count(),d:tags.count()", &["n Int64!", "count Int64!", "d Int64!"]);
    answers(
        "select=year.sum(),c:count.sum(),r:half.sum(),p:price.sum(),h:hundreds.sum()",
        &["sum Int64", "c UInt64", "r Float64", "p Decimal128(38, 2)", "h Decimal128(38, -2)"],
    );
    answers(
        "select=year.avg(),price.median(),region.count_distinct()",
        &["avg Float64", "median Float64", "count_distinct Int64!"],
    );
    answers(
        "select=sector.min(),region.max(),x:took.max(),o:open.min(),b:bin.min()",
        &["min Utf8", "max Utf8", "x Duration(s)", "o Boolean", "b Binary"],
    );
    answers(
        "select=region::int8.sum(),n:year::float8.sum()::text,m:year::text.max()",
        &["sum Int64", "n Utf8", "m Utf8"],
    );
}

#[test]
fn what_is_no_aggregate_is_the_group() {
    check("select=region,total:rate.sum()", "select=region,total:rate.sum()");
    check("select=rate.sum(),region", "select=rate.sum(),region");
    check("select=y:year::text,count()", "select=y:year::text,count()");
    check("select=count()", "select=count()");
    check("select=region,n:region,count(),m:count()", "select=region,n:region,count(),m:count()");
    check("select=sum:rate.sum()", "select=rate.sum()");
    check("select=\"gdp.total\".sum()", "select=\"gdp.total\".sum()");
    check("select=gdp.total.sum()", "select=\"gdp.total\".sum()");
    check("select=n:count,count()&distinct=true", "select=n:count,count()");
}

#[test]
fn groups_are_filtered_by_names_and_by_expressions() {
    let total = "select=region,total:rate.sum()";
    check(&format!("{total}&having=total.gte.100"), &format!("{total}&having=total.gte.100"));
    check(&format!("{total}&having=rate.sum().gte.100"), &format!("{total}&having=total.gte.100"));
    check(&format!("{total}&having=(count().gt.5)"), &format!("{total}&having=count().gt.5"));
    check(
        &format!("{total},n:count()&having=(total.gte.100,or(n.lt.5,count().gt.9),region.neq.EU)"),
        &format!("{total},n:count()&having=(or(n.gt.9,n.lt.5),region.neq.EU,total.gte.100)"),
    );
    check(
        &format!("{total}&having=or(total.lt.1,not.and(total.gt.2,total.neq.3))"),
        &format!("{total}&having=or(total.eq.3,total.lt.1,total.lte.2)"),
    );
    check(&format!("{total}&having=total.not.is.null"), &format!("{total}&having=total.is.not_null"));
    check(
        &format!("{total}&having=region.like(any).{{a*,b*}}"),
        &format!("{total}&having=or(region.like.a*,region.like.b*)"),
    );
    check("select=region&having=count().gt.1", "select=region&having=count().gt.1");
    check("having=count().gt.1&select=y:year::text", "select=y:year::text&having=count().gt.1");
    check("select=y:year,count()&having=year.gt.5", "select=y:year,count()&having=y.gt.5");
    check(
        "select=region,t:rate.sum()::text&having=rate.sum().gt.5",
        "select=region,t:rate.sum()::text&having=rate.sum().gt.5",
    );
    check("select=year:region,n:year,count()&having=year.eq.EU", "select=year:region,n:year,count()&having=year.eq.EU");
    check("select=region&having=region::int8.sum().gt.5", "select=region&having=region::int8.sum().gt.5");
    check(
        "select=region&having=\"gdp.total\"::numeric(9,2).max().gt.5",
        "select=region&having=\"gdp.total\"::numeric(9,2).max().gt.5.00",
    );
    check("select=\"a.b()\":count()&having=\"a.b()\".gt.5", "select=\"a.b()\":count()&having=\"a.b()\".gt.5");
    same(
        "select=region&having=(year.sum().gt.1,small.max().lt.2)",
        "select=region&having=(small.max().lt.2,year.sum().gt.1)",
    );
    same(
        "select=region&having=year.sum().gt.1&order=small.max()",
        "select=region&order=small.max()&having=(year.sum().gt.1)",
    );
    same("select=region,s:year::int4.sum()&having=year.sum().gt.1", "select=region,s:year.sum()&having=s.gt.1");
}

#[test]
fn groups_are_ordered_by_names_and_by_expressions() {
    let total = "select=region,total:rate.sum()";
    check(
        &format!("{total}&order=total.desc,region"),
        &format!("{total}&order=total.desc.nullsfirst,region.asc.nullslast"),
    );
    check(&format!("{total}&order=rate.sum().desc,rate.sum()"), &format!("{total}&order=total.desc.nullsfirst"));
    check(&format!("{total}&order=count().desc.nullslast"), &format!("{total}&order=count().desc.nullslast"));
    check(
        &format!("{total}&order=\"gdp.total\"::int8.max().nullsfirst,gdp.total.min()"),
        &format!("{total}&order=\"gdp.total\"::int8.max().asc.nullsfirst,\"gdp.total\".min().asc.nullslast"),
    );
    check("select=y:year&order=y.desc", "select=y:year&order=year.desc.nullsfirst");
    check("select=y:year::text&order=year", "select=y:year::text&order=year.asc.nullslast");
    check("select=y:year::text,count()&order=y", "select=y:year::text,count()&order=y.asc.nullslast");
    check("select=region&order=count().desc", "select=region&order=count().desc.nullsfirst");
}

#[test]
fn distinct_is_a_group_of_what_is_selected() {
    check("select=region,year&distinct=true", "select=region,year&distinct=true");
    check("select=region,year&distinct=false", "select=region,year");
    check("select=r:region,region&distinct=true&order=r", "select=r:region,region&distinct=true&order=r.asc.nullslast");
    check("select=r:region&distinct=true&order=region", "select=r:region&distinct=true&order=r.asc.nullslast");
    same("select=region,count()&distinct=true", "select=region,count()");
    let query = bound("select=r:region,again:region,year&distinct=true");
    assert_eq!((query.group().unwrap().keys().len(), query.selected_columns()), (2, vec![0, 0, 1]));
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(vec![
        arrow::datatypes::Field::new("a", arrow::datatypes::DataType::Utf8, true),
        arrow::datatypes::Field::new("b", arrow::datatypes::DataType::Int8, true),
    ]));
    for (params, canonical) in [
        ("distinct=true", "distinct=true"),
        ("distinct=true&select=a,b", "distinct=true"),
        ("distinct=true&select=b,a", "select=b,a&distinct=true"),
        ("having=count().gt.1&distinct=true", "having=count().gt.1"),
        ("select=*,count()", "select=a,b,count()"),
        ("select=a,b&order=b.sum()", "order=b.sum().asc.nullslast"),
    ] {
        let query = parse(params, &schema, &Rules::default()).unwrap();
        assert_eq!(query.canonical(), canonical, "{params}");
        assert_eq!(parse(canonical, &schema, &Rules::default()).unwrap(), query, "{params}");
    }
}

#[test]
fn casts_that_cannot_be_are_refused() {
    for (params, code, hint) in [
        ("select=year::itn", "unknown_type", "did you mean 'int'?"),
        ("select=year::jsonb", "unknown_type", "text, int2, int4"),
        ("select=year::", "unknown_type", "text, int2, int4"),
        ("select=year::numeric(77)", "unknown_type", "numeric(10,2)"),
        ("select=year::numeric(5,6)", "unknown_type", "numeric(10,2)"),
        ("select=year::numeric(0)", "unknown_type", "numeric(10,2)"),
        ("select=year::numeric(", "unknown_type", "numeric(10,2)"),
        ("select=year::numeric(99999999999999999999)", "unknown_type", "numeric(10,2)"),
        ("select=year::\"int8\"", "unknown_type", ""),
        ("select=tags::text", "unsupported_cast", "cannot be cast"),
        ("select=bin::text", "unsupported_cast", "cannot be cast"),
        ("select=took::int8", "unsupported_cast", "cannot be cast"),
        ("select=year::date", "unsupported_cast", "text, int2"),
        ("select=rate::bool", "unsupported_cast", "text, int2"),
        ("select=open::float8", "unsupported_cast", "text, int2"),
        ("select=day::time", "unsupported_cast", "timestamp"),
        ("select=day::int4", "unsupported_cast", "timestamp"),
        ("select=t32::date", "unsupported_cast", "text, time"),
        ("select=year.sum()::date", "unsupported_cast", "text, int2"),
        ("select=day::int8.sum()", "unsupported_cast", "timestamp"),
    ] {
        refused(params, code, "select", hint);
    }
}

#[test]
fn aggregates_that_cannot_be_are_refused() {
    for (params, code, parameter, hint) in [
        ("select=year.smu()", "unknown_aggregate", "select", "did you mean 'sum'?"),
        ("select=year.stddev()", "unknown_aggregate", "select", "count, sum, avg"),
        ("select=year.SUM()", "unknown_aggregate", "select", "did you mean 'sum'?"),
        ("select=year.mean()", "unknown_aggregate", "select", "did you mean 'avg'?"),
        ("select=rows()", "unknown_aggregate", "select", ""),
        ("select=yeer.sum()", "unknown_column", "select", "did you mean 'year'?"),
        ("select=region.sum()", "unsupported_aggregate", "select", "count, count_distinct, min, max"),
        ("select=day.avg()", "unsupported_aggregate", "select", "count, count_distinct, min, max"),
        ("select=tags.min()", "unsupported_aggregate", "select", "count"),
        ("select=tags.count_distinct()", "unsupported_aggregate", "select", "count"),
        ("select=tags,count()", "unsupported_operator", "select", "numbers, texts or times"),
        ("select=tags&distinct=true", "unsupported_operator", "select", "numbers, texts or times"),
        ("order=region.sum()", "unsupported_aggregate", "order", "count_distinct"),
        ("select=region&having=region.avg().gt.1", "unsupported_aggregate", "having", "count_distinct"),
    ] {
        refused(params, code, parameter, hint);
    }
}

#[test]
fn conditions_on_groups_are_about_what_groups_have() {
    for (params, code, parameter, hint) in [
        ("having=year.gt.5", "bad_syntax", "having", "select an aggregate"),
        ("select=year&distinct=true&having=year.gt.5", "bad_syntax", "having", "select an aggregate"),
        ("select=count()&having=year.gt.5", "unknown_column", "having", "the columns of the answer are count"),
        ("select=n:count()&having=m.gt.5", "unknown_column", "having", "did you mean 'n'?"),
        ("select=n:count()::text&having=n.gt.5", "unsupported_operator", "having", "write count() itself"),
        ("select=count()&having=count().gt.x", "bad_value", "having", "a whole number"),
        ("select=count()&having=count.gt.x", "bad_value", "having", "a whole number"),
        ("select=count()&having=count().like.x", "unsupported_operator", "having", "eq."),
        ("select=count()&having=", "bad_syntax", "having", "having=(total.gte.100"),
        ("select=count()&having=(count().gt.5", "bad_syntax", "having", "having=(total.gte.100"),
        ("select=count()&having=count().gt.5,count().lt.9", "bad_syntax", "having", "having=(total.gte.100"),
        ("select=count()&having=year::int8.gt.5", "bad_syntax", "having", "having=(total.gte.100"),
        ("select=count()&having=count()", "bad_syntax", "having", "column.operator.value"),
        ("select=count()&having=count().5", "missing_operator", "having", "count().eq.5"),
        ("select=count()&having=count().gtt.5", "unknown_operator", "having", "did you mean 'gt'?"),
        ("select=count()&having=count().gt.5&having=count().gt.6", "duplicate_parameter", "having", "once"),
        ("select=count()&distinct=yes", "bad_value", "distinct", "distinct=true"),
        ("distinct=true&distinct=true", "duplicate_parameter", "distinct", "once"),
        ("select=region,count()&order=year", "unknown_column", "order", "region, count"),
        ("select=region&distinct=true&order=year", "unknown_column", "order", "region"),
        ("select=region,count()&order=yeer", "unknown_column", "order", ""),
        ("select=y:year::text&order=y", "unsupported_operator", "order", "write year itself"),
        ("select=n:count()::text&order=n", "unsupported_operator", "order", "write count() itself"),
        ("order=year::text", "bad_syntax", "order", "the column itself"),
        ("order=year.sum().down", "bad_syntax", "order", "nullsfirst"),
        ("order=year.smu()", "unknown_aggregate", "order", "did you mean 'sum'?"),
        ("order=sum()", "bad_syntax", "order", "column.sum()"),
        ("order=year.sum(x)", "bad_syntax", "order", "amount.sum()"),
    ] {
        refused(params, code, parameter, hint);
    }
}
