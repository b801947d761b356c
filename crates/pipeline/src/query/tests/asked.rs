//! Untyped queries out of thin air.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::query::{
    Aggregate, AggregateCall, CastType, Comparison, Direction, Expr, Nulls, Operand, OrderBy, Quantifier, Query,
    SelectItem, Single, Test, Truth,
};

fn names() -> impl Strategy<Value = String> {
    select(vec!["region", "large", "view", "Revenue (USD)", "say \"hi\"\\", "gdp.total", "order", "not", "and"])
        .prop_map(str::to_owned)
}

fn texts() -> impl Strategy<Value = String> {
    vec(select(vec!['a', '"', '\\', ',', ')', '(', '.', ' ', '&', '=', '+', '%', '*', 'é', '\n']), 0..5)
        .prop_map(|chars| chars.into_iter().collect())
}

fn tests() -> impl Strategy<Value = Test> {
    use Comparison::*;
    let single = select(vec![
        Single::Compare(Eq),
        Single::Compare(Gt),
        Single::Compare(LtEq),
        Single::Like,
        Single::ILike,
        Single::Match,
        Single::IMatch,
    ]);
    let quantifier = select(vec![Quantifier::Any, Quantifier::All]);
    prop_oneof![
        (select(vec![Eq, NotEq, Gt, GtEq, Lt, LtEq]), texts()).prop_map(|(op, text)| Test::Compare(op, text)),
        texts().prop_map(Test::Like),
        texts().prop_map(Test::ILike),
        texts().prop_map(Test::Match),
        texts().prop_map(Test::IMatch),
        texts().prop_map(Test::IsDistinct),
        vec(texts(), 0..4).prop_map(Test::In),
        (quantifier, single, vec(texts(), 0..4)).prop_map(|(each, op, values)| Test::Each(each, op, values)),
        select(vec![Truth::Null, Truth::NotNull, Truth::True, Truth::False, Truth::Unknown]).prop_map(Test::Is),
    ]
}

fn exprs(leaf: BoxedStrategy<Operand>) -> impl Strategy<Value = Expr> {
    let leaf = (leaf, tests()).prop_map(|(operand, test)| Expr::compare(operand, test));
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expr::And),
            vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

fn casts() -> impl Strategy<Value = Option<CastType>> {
    use CastType::*;
    proptest::option::of(select(vec![
        Text,
        Int2,
        Int4,
        Int8,
        Float4,
        Float8,
        Numeric(None),
        Numeric(Some((10, 2))),
        Bool,
        Date,
        Time,
        Timestamp,
        TimestampTz,
    ]))
}

fn calls() -> impl Strategy<Value = AggregateCall> {
    use Aggregate::*;
    prop_oneof![
        Just(AggregateCall { function: Count, column: None, cast: None }),
        (select(vec![Count, CountDistinct, Sum, Avg, Min, Max, Median]), names(), casts())
            .prop_map(|(function, column, cast)| AggregateCall { function, column: Some(column), cast }),
    ]
}

fn operands() -> BoxedStrategy<Operand> {
    prop_oneof![names().prop_map(Operand::Column), calls().prop_map(Operand::Aggregate)].boxed()
}

fn items() -> impl Strategy<Value = SelectItem> {
    let alias = || proptest::option::of(names());
    prop_oneof![
        1 => Just(SelectItem::All),
        3 => (alias(), names(), casts()).prop_map(|(alias, column, cast)| SelectItem::Column { alias, column, cast }),
        3 => (alias(), calls(), casts()).prop_map(|(alias, call, cast)| SelectItem::Aggregate { alias, call, cast }),
    ]
}

pub(super) fn queries() -> impl Strategy<Value = Query> {
    let order = (operands(), any::<bool>(), select(vec![None, Some(Nulls::First), Some(Nulls::Last)]));
    let order = order.prop_map(|(column, descending, nulls)| OrderBy {
        column,
        direction: if descending { Direction::Desc } else { Direction::Asc },
        nulls,
    });
    let rows = names().prop_map(Operand::Column).boxed();
    (
        proptest::option::of(vec(items(), 1..4)).prop_map(|items| items.filter(|items| *items != [SelectItem::All])),
        any::<bool>(),
        proptest::option::of(exprs(rows)),
        proptest::option::of(exprs(operands())),
        vec(order, 0..3),
        proptest::option::of(0..1_000_000u64),
        any::<u64>(),
        proptest::option::of("[a-zA-Z0-9_-]{0,12}"),
    )
        .prop_map(|(select, distinct, filter, having, order, limit, offset, cursor)| Query {
            select,
            distinct,
            filter,
            having,
            order,
            limit,
            offset,
            cursor,
        })
}
