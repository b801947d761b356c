//! How figures are summed up and printed.

/// The middle of `values`.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One line: what, how much, and the goal.
pub(crate) fn line(what: &str, figure: String, goal: &str) {
    println!("{what:<58} {figure:>28}   goal: {goal}");
}
