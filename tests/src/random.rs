//! Random questions, seeded: a seed always gives the same question, and together they use the whole language.

use crate::cell::{Cell, Column, Kind, Table};
use crate::item::{Cast, Item};
use crate::literal::render;
use crate::question::{Condition, Order, Question};
use crate::rng::Rng;

/// A question for rows; `id` is always among its columns.
pub fn plain(table: &Table, rng: &mut Rng) -> Question {
    let mut select = vec![Item::column("id")];
    for column in &table.columns[1..] {
        if rng.one_in(12) && column.kind != Kind::Opaque {
            select.push(item(column, rng, select.len()));
        }
    }
    let mut order: Vec<Order> = Vec::new();
    for _ in 0..rng.below(4) {
        let column = rng.pick(&sortable(table)).name.clone();
        // An alias stands for its column, as long as that is not cast.
        let alias = select.iter().find(|item| item.column.as_ref() == Some(&column) && item.cast.is_none());
        let alias = alias.and_then(|item| item.alias.clone()).filter(|_| rng.one_in(2));
        if order.iter().all(|known| known.column != column && Some(&known.column) != alias.as_ref()) {
            order.push(ordered(alias.unwrap_or(column), rng));
        }
    }
    windowed(Question { select, conditions: conditions(table, rng), order, ..Question::default() }, rng)
}

/// A question for distinct rows of some columns.
pub fn distinct(table: &Table, rng: &mut Rng) -> Question {
    let select = keys(table, rng, 1);
    let order = names(select.iter().map(|item| item.name().to_owned()).collect(), rng);
    let conditions = conditions(table, rng);
    windowed(Question { select, distinct: true, conditions, order, ..Question::default() }, rng)
}

/// A question for groups.
pub fn grouped(table: &Table, rng: &mut Rng) -> Question {
    let mut select = keys(table, rng, 0);
    // What can be ordered by and asked for without a doubt: no sum of floats, whose last digits depend on the order.
    let mut exact: Vec<(String, Kind)> =
        select.iter().map(|item| (item.name().to_owned(), kind(table, item))).collect();
    for at in 0..=rng.below(4) {
        let item = aggregate(table, rng);
        let item = if rng.one_in(3) { item } else { item.named(&format!("f{at}")) };
        if select.iter().any(|known| known.name() == item.name()) {
            continue;
        }
        if is_exact(table, &item) {
            exact.push((item.name().to_owned(), kind(table, &item)));
        }
        select.push(item);
    }
    if rng.one_in(3) {
        let hidden = aggregate(table, rng);
        if is_exact(table, &hidden) && hidden.cast.is_none() {
            exact.push((hidden.expression(), kind(table, &hidden)));
        }
    }
    let having = (0..rng.below(3)).filter_map(|_| having(&exact, rng)).collect();
    let order = names(exact.into_iter().map(|(name, _)| name).collect(), rng);
    windowed(Question { select, conditions: conditions(table, rng), having, order, ..Question::default() }, rng)
}

fn item(column: &Column, rng: &mut Rng, at: usize) -> Item {
    let mut item = Item::column(&column.name);
    let casts = Cast::of(column.kind);
    if !casts.is_empty() && rng.one_in(3) {
        item = item.cast(*rng.pick(casts));
    }
    if rng.one_in(3) { item.named(&format!("c{at}")) } else { item }
}

fn keys(table: &Table, rng: &mut Rng, least: usize) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for at in 0..least + rng.below(3) {
        let columns = sortable(table);
        let column = *rng.pick::<&Column>(&columns);
        let item = item(column, rng, at);
        if items.iter().all(|known| known.name() != item.name()) {
            items.push(item);
        }
    }
    items
}

fn aggregate(table: &Table, rng: &mut Rng) -> Item {
    let column = *rng.pick(&sortable(table));
    let number = matches!(column.kind, Kind::Int { .. } | Kind::Float32 | Kind::Float64 | Kind::Decimal { .. });
    // Sums of the longest decimals do not fit anywhere.
    let number = number && column.name != "dec38";
    let functions: &[&'static str] = if number {
        &["count", "count_distinct", "sum", "avg", "min", "max", "median"]
    } else {
        &["count", "count_distinct", "min", "max"]
    };
    if rng.one_in(5) {
        return Item::aggregate("count", None);
    }
    let item = Item::aggregate(functions[rng.below(functions.len())], Some(&column.name));
    if matches!(column.kind, Kind::Int { .. }) && rng.one_in(4) { item.cast(Cast::Float8) } else { item }
}

/// What an item of `select` holds.
fn kind(table: &Table, item: &Item) -> Kind {
    let whole = Kind::Int { low: i64::MIN.into(), high: i64::MAX.into() };
    let Some(column) = &item.column else { return whole };
    let own = item.cast.map_or(table.column(column).kind, Cast::kind);
    match (item.function, own) {
        (Some("count" | "count_distinct"), _) => whole,
        (Some("sum"), Kind::Int { low: 0, .. }) => Kind::Int { low: 0, high: u64::MAX.into() },
        (Some("sum"), Kind::Int { .. }) => whole,
        _ => own,
    }
}

fn is_exact(table: &Table, item: &Item) -> bool {
    let float = matches!(kind(table, item), Kind::Float32 | Kind::Float64);
    match item.function {
        Some("avg" | "median") => false,
        Some("sum") => !float,
        _ => true,
    }
}

fn having(exact: &[(String, Kind)], rng: &mut Rng) -> Option<Condition> {
    let numbers: Vec<&(String, Kind)> =
        exact.iter().filter(|(_, kind)| matches!(kind, Kind::Int { low, .. } if *low < -40_000)).collect();
    if numbers.is_empty() {
        return None;
    }
    let test = |rng: &mut Rng| {
        let operator: &'static str = ["eq", "neq", "gt", "gte", "lt", "lte", "is"][rng.below(7)];
        let value = if operator == "is" { "not_null".to_owned() } else { rng.between(-3, 12).to_string() };
        Condition::test(&rng.pick(&numbers).0, operator, &[&value])
    };
    Some(match rng.below(4) {
        0 => Condition::Or(vec![test(rng), test(rng)]),
        1 => test(rng).negated(),
        _ => test(rng),
    })
}

fn names(names: Vec<String>, rng: &mut Rng) -> Vec<Order> {
    let mut order: Vec<Order> = Vec::new();
    for _ in 0..rng.below(3) {
        if names.is_empty() {
            break;
        }
        let name = rng.pick(&names).clone();
        if order.iter().all(|known| known.column != name) {
            order.push(ordered(name, rng));
        }
    }
    order
}

fn ordered(column: String, rng: &mut Rng) -> Order {
    let nulls_first = *rng.pick(&[None, Some(true), Some(false)]);
    Order { column, descending: rng.one_in(2), nulls_first }
}

fn windowed(question: Question, rng: &mut Rng) -> Question {
    let limit = rng.one_in(2).then(|| rng.below(30));
    Question { limit, offset: if rng.one_in(3) { rng.below(12) } else { 0 }, ..question }
}

fn sortable(table: &Table) -> Vec<&Column> {
    table.columns.iter().filter(|column| column.kind != Kind::Opaque).collect()
}

fn conditions(table: &Table, rng: &mut Rng) -> Vec<Condition> {
    (0..rng.below(4)).map(|_| condition(table, rng, 3)).collect()
}

fn condition(table: &Table, rng: &mut Rng, depth: usize) -> Condition {
    if depth > 0 {
        match rng.below(8) {
            0 => return Condition::And((0..=rng.below(3)).map(|_| condition(table, rng, depth - 1)).collect()),
            1 | 2 => return Condition::Or((0..=rng.below(3)).map(|_| condition(table, rng, depth - 1)).collect()),
            3 => return condition(table, rng, depth - 1).negated(),
            _ => {}
        }
    }
    test_of(rng.pick(&table.columns), rng)
}

fn test_of(column: &Column, rng: &mut Rng) -> Condition {
    let name = &column.name;
    if column.kind == Kind::Opaque || rng.one_in(8) {
        return Condition::test(name, "is", &[*rng.pick(&["null", "not_null"])]);
    }
    if column.kind == Kind::Text && rng.one_in(3) {
        return pattern_of(name, rng);
    }
    let literal = |rng: &mut Rng| loop {
        let cell = rng.pick(&column.cells);
        if *cell != Cell::Null {
            return render(cell, matches!(column.kind, Kind::Instant { zoned: true, .. }));
        }
    };
    let many = |rng: &mut Rng, most: usize| -> Vec<String> { (0..=rng.below(most)).map(|_| literal(rng)).collect() };
    fn all(values: &[String]) -> Vec<&str> {
        values.iter().map(String::as_str).collect()
    }
    let bytes = column.kind == Kind::Bytes;
    match rng.below(8) {
        0 => Condition::test(name, "in", &all(&many(rng, 12))),
        1 => {
            let operators: &[&'static str] = if bytes {
                &["eq(any)"]
            } else {
                &["eq(any)", "eq(all)", "gt(any)", "gt(all)", "gte(any)", "lt(all)", "lte(any)", "lte(all)"]
            };
            Condition::test(name, operators[rng.below(operators.len())], &all(&many(rng, 4)))
        }
        2 => Condition::test(name, "isdistinct", &[&literal(rng)]),
        _ => {
            let operators: &[&'static str] =
                if bytes { &["eq", "neq"] } else { &["eq", "neq", "gt", "gte", "lt", "lte"] };
            Condition::test(name, operators[rng.below(operators.len())], &[&literal(rng)])
        }
    }
}

fn pattern_of(name: &str, rng: &mut Rng) -> Condition {
    const LIKE: [&str; 7] = ["*a*", "a%", "*B", "_*", "*e_*", "a_b", "*(*)*"];
    const MATCH: [&str; 8] = ["a", "^a", "b$", "a.*b", "^$", "T.*y", "ab*c*$", "^.$"];
    let operators = ["match", "imatch", "match(any)", "imatch(all)", "like", "ilike", "like(any)", "ilike(all)"];
    let operator = *rng.pick(&operators);
    let patterns: &[&str] = if operator.contains("match") { &MATCH } else { &LIKE };
    let count = if operator.ends_with(')') { 2 } else { 1 };
    let values: Vec<&str> = (0..count).map(|_| *rng.pick(patterns)).collect();
    Condition::test(name, operator, &values)
}
