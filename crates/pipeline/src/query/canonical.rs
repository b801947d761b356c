//! The normal form, and the text that stands for it.
//!
//! 1. Negations are pushed into the predicates (De Morgan's laws hold in three-valued logic, and every operator has its
//!    opposite): `not.and=(a.lt.1,b.eq.2)` is `or=(a.gte.1,b.neq.2)`.
//! 2. `and` inside `and`, and `or` inside `or`, are one; parts are sorted by their text, and each is kept once.
//! 3. Equalities of one column under `or` are one list, inequalities under `and` one negated list; lists are sorted and each
//!    value is kept once; a list of one is `eq` or `neq`.
//! 4. Values are typed and printed in one way: `1` and `1.0` are the same float, `2024-01-01` and
//!    `2024-01-01T02:00:00+02:00` the same time; `*` and `%` the same wildcard.
//! 5. The order says direction and placement of nulls for every key; a key that is repeated, or a column list that is the
//!    whole schema in its order, is left out.
//!
//! 6. An aggregate that `having` or `order` needs is the selected one, if there is one, and `having` and `order` call it by its
//!    name in the answer; a cast to what a column is already is left out; so is an alias that is the name anyway.
//!
//! The selected columns keep their order, as it is a part of the answer, and so are their names. No rule needs more than the schema, so two
//! queries with one form have the same answer on every table; two questions with different answers on some table never
//! share a form, since binding the text gives the same bound query back.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::Schema;

use super::bound::{BoundExpr, BoundGroup, BoundQuery, OutputColumn, Predicate, PredicateOp};
use super::cast::CastType;
use super::column::ascending_distinct;
use super::print::push_expr;
use super::{Comparison, Direction, Expr, Nulls, Operand, OrderBy, Query, SelectItem, Test, Truth, cursor, text};

impl BoundQuery {
    /// The canonical text: a percent-encoded query string that two spellings of one question share, and that parses to an
    /// equal query. Empty for the whole dataset.
    pub fn canonical(&self) -> String {
        self.to_query().to_params()
    }

    /// The query with names and texts again, in normal form.
    pub fn to_query(&self) -> Query {
        let question = self.to_question();
        let cursor = self.cursor.as_ref().map(|cursor| cursor::token(cursor, cursor::fingerprint(&question, self)));
        Query { limit: self.limit, offset: self.offset, cursor, ..question }
    }

    /// The query without limit, offset and cursor.
    pub(super) fn to_question(&self) -> Query {
        let name = |column: usize| Operand::Column(self.schema.field(column).name().clone());
        let operand = |column: usize| self.operand(column);
        Query {
            select: self.to_select(),
            distinct: self.group.as_ref().is_some_and(|group| group.aggregates.is_empty()),
            filter: self.filter.as_ref().map(|filter| filter.to_expr(&name)),
            having: self.having.as_ref().map(|having| having.to_expr(&operand)),
            order: self
                .order
                .iter()
                .map(|key| OrderBy {
                    column: self.operand(key.column),
                    direction: if key.options.descending { Direction::Desc } else { Direction::Asc },
                    nulls: Some(if key.options.nulls_first { Nulls::First } else { Nulls::Last }),
                })
                .collect(),
            ..Query::default()
        }
    }

    /// A column of the stage by its name: in the answer, if it is there as it is, else as an expression.
    fn operand(&self, column: usize) -> Operand {
        let Some(group) = &self.group else { return Operand::Column(self.schema.field(column).name().clone()) };
        let named = |output: &&OutputColumn| output.column == column && output.cast.is_none();
        match (&self.output, column.checked_sub(group.keys.len())) {
            (Some(output), _) if let Some(output) = output.iter().find(named) => output.name.as_ref().into(),
            (Some(_), Some(at)) => Operand::Aggregate(group.aggregates[at].to_call(&self.schema)),
            _ => group.schema.field(column).name().as_str().into(),
        }
    }

    fn to_select(&self) -> Option<Vec<SelectItem>> {
        let Some(group) = &self.group else {
            let output = self.output.as_ref()?;
            return Some(output.iter().map(|column| column.to_item(&self.schema)).collect());
        };
        let output: Vec<OutputColumn> = match &self.output {
            Some(output) => output.clone(),
            None => (0..group.schema.fields().len()).map(|at| OutputColumn::plain(at, &group.schema)).collect(),
        };
        let keys_are_all = group
            .keys
            .iter()
            .cloned()
            .eq((0..self.schema.fields().len()).map(|at| OutputColumn::plain(at, &self.schema)));
        if keys_are_all
            && output.iter().map(|column| column.column).eq(0..group.keys.len())
            && output.iter().zip(&group.keys).all(|(column, key)| column.name == key.name && column.cast.is_none())
        {
            return None;
        }
        Some(output.iter().map(|column| self.grouped_item(group, column)).collect())
    }

    fn grouped_item(&self, group: &BoundGroup, output: &OutputColumn) -> SelectItem {
        let Some(at) = output.column.checked_sub(group.keys.len()) else {
            let key = &group.keys[output.column];
            return OutputColumn { name: output.name.clone(), ..key.clone() }.to_item(&self.schema);
        };
        let call = group.aggregates[at].to_call(&self.schema);
        let alias = (*output.name != *call.function.name()).then(|| output.name.to_string());
        SelectItem::Aggregate { alias, call, cast: output.cast.as_ref().map(CastType::of) }
    }
}

impl OutputColumn {
    /// The item of a column of the dataset.
    fn to_item(&self, schema: &Schema) -> SelectItem {
        let column = schema.field(self.column).name().clone();
        let alias = (*self.name != *column).then(|| self.name.to_string());
        SelectItem::Column { alias, column, cast: self.cast.as_ref().map(CastType::of) }
    }
}

impl BoundExpr {
    /// The expression in normal form.
    pub(super) fn normalised(self, schema: &Schema) -> Self {
        match self {
            Self::Test(predicate) => Self::Test(predicate.normalised()),
            Self::And(items) => joined(items, true, schema),
            Self::Or(items) => joined(items, false, schema),
        }
    }

    /// The expression with names and texts again.
    fn to_expr(&self, operand: &dyn Fn(usize) -> Operand) -> Expr {
        let each = |items: &[Self]| items.iter().map(|item| item.to_expr(operand)).collect();
        match self {
            Self::And(items) => Expr::And(each(items)),
            Self::Or(items) => Expr::Or(each(items)),
            Self::Test(predicate) => predicate.to_expr(operand(predicate.column)),
        }
    }
}

fn joined(items: Vec<BoundExpr>, all: bool, schema: &Schema) -> BoundExpr {
    let mut parts = Vec::new();
    for item in items {
        match (item.normalised(schema), all) {
            (BoundExpr::And(inner), true) | (BoundExpr::Or(inner), false) => parts.extend(inner),
            (part, _) => parts.push(part),
        }
    }
    let parts = merge_lists(parts, all);
    let name = |column: usize| Operand::Column(schema.field(column).name().clone());
    let mut texts: Vec<(String, BoundExpr)> = parts
        .into_iter()
        .map(|part| {
            let mut text = String::new();
            push_expr(&mut text, &part.to_expr(&name));
            (text, part)
        })
        .collect();
    texts.sort_by(|(left, _), (right, _)| left.cmp(right));
    texts.dedup_by(|(left, _), (right, _)| left == right);
    let mut parts: Vec<BoundExpr> = texts.into_iter().map(|(_, part)| part).collect();
    match (parts.len(), all) {
        (1, _) => parts.remove(0),
        (_, true) => BoundExpr::And(parts),
        (_, false) => BoundExpr::Or(parts),
    }
}

/// Makes one list of the equalities of each column under `or`, and of the inequalities under `and`.
fn merge_lists(parts: Vec<BoundExpr>, all: bool) -> Vec<BoundExpr> {
    let (one, many) = if all { (PredicateOp::NotEq, PredicateOp::NotIn) } else { (PredicateOp::Eq, PredicateOp::In) };
    let mut lists: BTreeMap<usize, Vec<ArrayRef>> = BTreeMap::new();
    let mut rest = Vec::new();
    for part in parts {
        match part {
            // An empty list is false for null, not unknown, so that it cannot be merged into another.
            BoundExpr::Test(p) if (p.op == one || p.op == many) && !p.values.is_empty() => {
                lists.entry(p.column).or_default().push(p.values);
            }
            other => rest.push(other),
        }
    }
    for (column, values) in lists {
        let arrays: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        match concat(&arrays).ok().and_then(|joined| ascending_distinct(&joined)) {
            Some(values) => {
                rest.push(BoundExpr::Test(Predicate { column, op: many, values, regex: None }.normalised()))
            }
            None => rest.extend(
                values
                    .into_iter()
                    .map(|values| BoundExpr::Test(Predicate { column, op: many, values, regex: None }.normalised())),
            ),
        }
    }
    rest
}

impl Predicate {
    /// A list of one value is a comparison.
    fn normalised(mut self) -> Self {
        self.op = match (self.op, self.values.len()) {
            (PredicateOp::In, 1) => PredicateOp::Eq,
            (PredicateOp::NotIn, 1) => PredicateOp::NotEq,
            (op, _) => op,
        };
        self
    }

    fn to_expr(&self, column: Operand) -> Expr {
        use PredicateOp::*;
        let one = || text::text(&self.values, 0);
        let many = || {
            let mut texts: Vec<String> = (0..self.values.len()).map(|at| text::text(&self.values, at)).collect();
            // The two zeros have one text, and so have the NaNs; the value that comes of it stands for both.
            let mut seen = std::collections::HashSet::new();
            texts.retain(|text| seen.insert(text.clone()));
            match texts.len() {
                1 => Test::Compare(Comparison::Eq, texts.remove(0)),
                _ => Test::In(texts),
            }
        };
        let (test, negated) = match self.op {
            Eq => (Test::Compare(Comparison::Eq, one()), false),
            NotEq => (Test::Compare(Comparison::NotEq, one()), false),
            Gt => (Test::Compare(Comparison::Gt, one()), false),
            GtEq => (Test::Compare(Comparison::GtEq, one()), false),
            Lt => (Test::Compare(Comparison::Lt, one()), false),
            LtEq => (Test::Compare(Comparison::LtEq, one()), false),
            In => (many(), false),
            NotIn => match many() {
                Test::Compare(_, text) => (Test::Compare(Comparison::NotEq, text), false),
                list => (list, true),
            },
            Like | NotLike => (Test::Like(wildcards(one())), self.op == NotLike),
            ILike | NotILike => (Test::ILike(wildcards(one())), self.op == NotILike),
            Match | NotMatch => (Test::Match(one()), self.op == NotMatch),
            IMatch | NotIMatch => (Test::IMatch(one()), self.op == NotIMatch),
            IsNull => (Test::Is(Truth::Null), false),
            IsNotNull => (Test::Is(Truth::NotNull), false),
            IsTrue => (Test::Is(Truth::True), false),
            IsNotTrue => (Test::Is(Truth::True), true),
            IsFalse => (Test::Is(Truth::False), false),
            IsNotFalse => (Test::Is(Truth::False), true),
        };
        Expr::compare(column, test).negate_if(negated)
    }
}

/// `*` reads better in a URL than `%25`; binding turns each back.
fn wildcards(pattern: String) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => out.push('*'),
            '*' => out.push_str("\\*"),
            '\\' => out.extend(std::iter::once('\\').chain(chars.next())),
            c => out.push(c),
        }
    }
    out
}
