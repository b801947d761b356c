//! How figures are summed up and printed.

use std::fmt;

/// The middle of `values`.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The middle of what `of` is of `to`, round by round: what else the machine does in a round strikes both.
pub(crate) fn median_ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&mut of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<_>>())
}

/// One line: what, how much, and the goal.
pub(crate) fn line(what: &str, figure: String, goal: &str) {
    println!("{what:<58} {figure:>28}   goal: {goal}");
}

/// One line about a ratio, with whether it reaches its goal.
pub(crate) fn ratio(what: &str, figure: f64, goal: Goal) {
    let verdict = if goal.is_reached_by(figure) { "ok" } else { "MISSED" };
    line(what, format!("{figure:.3}"), &format!("{:<8} {verdict}", goal.to_string()));
}

/// Where a ratio has to lie.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// There or above.
    AtLeast(f64),
    /// There or below.
    AtMost(f64),
    /// Strictly above.
    Above(f64),
    /// Strictly below.
    Below(f64),
}

impl Goal {
    fn is_reached_by(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
            Self::Above(bound) => figure > bound,
            Self::Below(bound) => figure < bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound:?}"),
            Self::AtMost(bound) => write!(f, "<= {bound:?}"),
            Self::Above(bound) => write!(f, "> {bound:?}"),
            Self::Below(bound) => write!(f, "< {bound:?}"),
        }
    }
}
