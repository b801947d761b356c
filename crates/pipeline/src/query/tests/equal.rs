//! Two spellings of one question are equal, two questions are not.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::SchemaRef;
use proptest::prelude::*;
use proptest::sample::select;

use super::SCHEMA;
use super::asked::queries;
use crate::query::{BoundQuery, Query, Rules, parse};

/// The columns that every query of groups can have.
static PLAIN: LazyLock<SchemaRef> = LazyLock::new(|| {
    let plain = [
        "region",
        "year",
        "small",
        "rate",
        "price",
        "open",
        "day",
        "large",
        "view",
        "Revenue (USD)",
        "gdp.total",
        "order",
        "say \"hi\"\\",
        "sector",
    ];
    let at: Vec<usize> = plain.iter().map(|name| SCHEMA.index_of(name).unwrap()).collect();
    Arc::new(SCHEMA.project(&at).unwrap())
});

fn canonical(params: &str) -> String {
    parse(params, &SCHEMA, &Rules::default()).unwrap_or_else(|error| panic!("{params}: {error}")).canonical()
}

#[track_caller]
fn same(left: &str, right: &str) {
    assert_eq!(canonical(left), canonical(right));
}

#[track_caller]
fn differ(left: &str, right: &str) {
    assert_ne!(canonical(left), canonical(right));
}

#[test]
fn spellings_of_one_question_are_equal() {
    same("year=gt.1&small=lt.2", "small=lt.2&year=gt.1");
    same("year=gt.1&year=gt.1", "year=gt.1");
    same("and=(year.gt.1,small.lt.2)", "year=gt.1&small=lt.2");
    same("and=(year.gt.1,and(small.lt.2,count.eq.3))", "year=gt.1&small=lt.2&count=eq.3");
    same("year=in.(2,1,1)", "year=in.(1,2)");
    same("year=in.(1)", "year=eq.1");
    same("or=(year.eq.1,year.eq.2)", "year=in.(2,1)");
    same("or=(year.in.(1,2),year.eq.3)", "year=in.(1,2,3)");
    same("year=neq.1&year=neq.2", "year=not.in.(1,2)");
    same("rate=eq.1", "rate=eq.1.0");
    same("rate=eq.0", "rate=eq.-0.0");
    same("rate=in.(0,-0)", "rate=eq.0");
    same("rate=eq.nan", "rate=eq.-NaN");
    same("price=eq.1", "price=eq.1.00");
    same("price=gt.1.005", "price=gt.1.001");
    same("at=eq.2024-01-31T00:00:00Z", "at=eq.2024-01-31T02:00:00%2B02:00");
    same("open=eq.t", "open=eq.yes");
    same("open=is.unknown", "open=is.null");
    same("region=like.a*", "region=like.a%25");
    same("not.and=(not.or(year.eq.1,small.eq.2))", "or=(small.eq.2,year.eq.1)");
    same("not.and=(year.eq.1,small.eq.2)", "or=(year.neq.1,small.neq.2)");
    same("order=year", "order=year.asc.nullslast");
    same("order=year.desc", "order=year.desc.nullsfirst,year.asc");
    same("select=*", "");
    same("offset=0", "");
    same("region=eq.EU", "and=(\"region\".eq.\"EU\")");
    same("select=year:year,r:region", "select=year,r:region");
    same("distinct=false", "");
    same("having=count().gt.1&select=year", "select=year&having=(count().gt.1)");
    same("select=year,count()&order=count()", "select=year,count()&order=count.asc.nullslast");
}

#[test]
fn different_questions_differ() {
    differ("year=gt.1", "year=gte.1");
    differ("year=eq.1", "small=eq.1");
    differ("and=(year.eq.1,small.eq.2)", "or=(year.eq.1,small.eq.2)");
    differ("region=eq.a,b", "region=in.(a,b)");
    differ("region=in.(\"a,b\")", "region=in.(a,b)");
    differ("region=eq.", "region=in.()");
    differ("region=eq.null", "region=is.null");
    differ("region=like.a", "region=ilike.a");
    differ("region=like.a", "region=like.A");
    differ("region=like.a\\*", "region=like.a*");
    differ("region=eq.1", "region=eq.1.0");
    differ("open=is.true", "open=eq.true");
    differ("open=not.is.true", "open=is.false");
    differ("select=year,region", "select=region,year");
    differ("select=year,r:region", "select=year,region");
    differ("select=year", "select=year&distinct=true");
    differ("select=year", "select=year::text");
    differ("select=year,count()", "select=year,n:count()");
    differ("select=year,count()", "select=year,year.count()");
    differ("select=year.sum()", "select=year::int8.sum()");
    differ("select=year,count()&having=count().gt.1", "select=year,count()&having=year.gt.1");
    differ("select=year,count()&having=year.gt.1", "select=year,count()&year=gt.1");
    differ("region=match.a", "region=like.*a*");
    differ("order=year,small", "order=small,year");
    differ("order=year.asc.nullsfirst", "order=year");
    differ("limit=0", "");
    differ("limit=1", "offset=1");
    differ("year=in.()", "small=in.()");
    differ("price=eq.1.005", "price=eq.1.00");
}

proptest! {
    #[test]
    fn a_query_is_read_back_from_its_url(query in queries()) {
        let params = query.to_params();
        prop_assert_eq!(Query::from_params(&params, &Rules::default()), Ok(query), "{}", params);
    }

    #[test]
    fn a_canonical_text_is_its_own_canonical_text(query in queries()) {
        let asked = Query { cursor: None, ..query };
        let rules = Rules::default();
        // Most of the names and types do not fit each other; what is left over fits.
        for query in [
            asked.clone(),
            Query { having: None, order: Vec::new(), ..asked.clone() },
            Query { filter: None, having: None, select: None, ..asked.clone() },
            Query { filter: None, having: None, order: Vec::new(), ..asked.clone() },
            Query { select: None, having: None, distinct: false, order: Vec::new(), ..asked },
        ] {
            if let Ok(bound) = BoundQuery::bind(&query, &PLAIN, &rules.limits) {
                let text = bound.canonical();
                let again = parse(&text, &PLAIN, &rules);
                prop_assert_eq!(again.as_ref(), Ok(&bound), "{}", text);
                prop_assert_eq!(again.unwrap().canonical(), text);
            }
        }
    }

    #[test]
    fn what_is_asked_of_groups_has_one_text(
        selected in select(vec!["", "select=region", "select=region,total:rate.sum()", "select=r:region,year,count()",
            "select=n:count(),year::text", "select=*", "select=m:small.median()::text,small.median()"]),
        distinct in select(vec!["", "distinct=true", "distinct=false"]),
        having in proptest::sample::subsequence(vec!["count().gt.1", "rate.sum().lt.5.50", "not.or(small.median().gt.1,count().lt.9)",
            "year::int8.max().not.in.(3,2)", "region.min().like(any).{a*,b}"], 0..4).prop_shuffle(),
        order in proptest::sample::subsequence(vec!["count().desc", "rate.sum()", "rate.sum().desc.nullslast", "day.max()"], 0..4)
            .prop_shuffle(),
        rest in proptest::sample::subsequence(vec!["limit=5", "offset=3", "year=gt.1", "region__contains=x", "day__date=2024-01-31"], 0..4),
    ) {
        let mut params: Vec<String> = rest.into_iter().map(str::to_owned).collect();
        params.extend([selected, distinct].into_iter().filter(|text| !text.is_empty()).map(str::to_owned));
        if !having.is_empty() {
            params.push(format!("having=({})", having.join(",")));
        }
        if !order.is_empty() {
            params.push(format!("order={}", order.join(",")));
        }
        let read = |schema: &SchemaRef, params: &[String]| parse(&params.join("&"), schema, &Rules::default());
        let bound = read(&PLAIN, &params).unwrap();
        let text = bound.canonical();
        let again = parse(&text, &PLAIN, &Rules::default());
        prop_assert_eq!(again.as_ref(), Ok(&bound), "{}", text);
        params.reverse();
        if having.len() > 1 {
            let mut having = having;
            having.reverse();
            params.retain(|param| !param.starts_with("having"));
            params.push(format!("having=and({})", having.join(",")));
        }
        prop_assert_eq!(read(&PLAIN, &params).unwrap(), bound);
    }

    #[test]
    fn the_order_of_parameters_does_not_matter(
        params in proptest::sample::subsequence(
            vec!["year=gt.1", "small=in.(3,2)", "or=(rate.gt.1,region.eq.x)", "region=like.*a", "limit=5", "select=year",
                 "year=gt.1.5", "not.and=(year.eq.1,small.eq.2)", "order=rate.desc", "offset=3", "year=neq.7", "year=neq.8"],
            1..10,
        ).prop_shuffle()
    ) {
        let mut sorted = params.clone();
        sorted.sort_unstable();
        prop_assert_eq!(canonical(&params.join("&")), canonical(&sorted.join("&")));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z.(),\"\\\\%*=& é0-9+-]{0,60}") {
        for prefix in ["having=(", "having=count().", "select=a:", "select=year::", "region=match.", "year=eq(any).{",
            "cursor=", "region__in=", "region__glob=", "at__date=", "select=region&order=count()"] {
            let _ = parse(&format!("{prefix}{text}"), &SCHEMA, &Rules::default());
        }
        for name in ["and", "region", "year", "select", "order", "at", "having", "distinct", "cursor", "or"] {
            let _ = parse(&format!("{name}={text}"), &SCHEMA, &Rules::default());
            let _ = parse(&format!("{name}=eq.{text}"), &SCHEMA, &Rules::default());
            let _ = parse(&format!("and=({name}.in.({text}"), &SCHEMA, &Rules::default());
        }
        let _ = parse(&text, &SCHEMA, &Rules::default());
    }
}
