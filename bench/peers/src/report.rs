//! How figures are summed up and printed: one line each.

use std::fmt;

/// What a figure should reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The figure is no larger.
    AtMost(f64, &'static str),
    /// The figure is no smaller.
    AtLeast(f64, &'static str),
    /// There is none: the line informs.
    None,
}

impl Goal {
    fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(most, _) => Some(figure <= most),
            Self::AtLeast(least, _) => Some(figure >= least),
            Self::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most, unit) => f.pad(&format!("<= {most}{unit}")),
            Self::AtLeast(least, unit) => f.pad(&format!(">= {least}{unit}")),
            Self::None => f.pad("-"),
        }
    }
}

/// A comparison in the making. Printed when all that is known has been given.
#[must_use]
#[derive(Debug)]
pub struct Line {
    what: String,
    ours: String,
    peer: String,
    ratio: String,
}

impl Line {
    /// What is compared, and our figure.
    pub fn new(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { what: what.into(), ours: ours.into(), peer: String::new(), ratio: String::new() }
    }

    /// The peer's figure, with its name.
    pub fn peer(mut self, name: &str, figure: impl fmt::Display) -> Self {
        self.peer = format!("{name} {figure}");
        self
    }

    /// The ratio of the two, or their difference.
    pub fn ratio(mut self, ratio: impl Into<String>) -> Self {
        self.ratio = ratio.into();
        self
    }

    /// Prints it. `judged` is the number that the goal is about.
    pub fn print(self, judged: f64, goal: Goal) {
        let verdict = match goal.is_met(judged) {
            Some(true) => "ok",
            Some(false) => "MISS",
            None => "",
        };
        let Self { what, ours, peer, ratio } = self;
        println!("  {what:<50} {ours:>15} {peer:>30} {ratio:>11}   goal: {goal:<10} {verdict}");
    }

    /// Prints it as information.
    pub fn inform(self) {
        self.print(0.0, Goal::None);
    }
}

/// A heading, and what its lines say in full.
pub fn section(title: &str, notes: &[&str]) {
    println!("\n{title}");
    for note in notes {
        println!("  # {note}");
    }
}

/// The middle of `values`.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle of what each round gives for `of / to`.
pub fn median_ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_middle_of_the_rounds_ratios() {
        assert_eq!(median_ratio(&[2.0, 30.0, 8.0], &[1.0, 10.0, 2.0]), 3.0);
    }

    #[test]
    fn a_goal_is_met_at_its_edge() {
        assert_eq!(Goal::AtMost(2.5, "x").is_met(2.5), Some(true));
        assert_eq!(Goal::AtLeast(3.0, "x").is_met(2.9), Some(false));
        assert_eq!(Goal::None.is_met(0.0), None);
    }
}
