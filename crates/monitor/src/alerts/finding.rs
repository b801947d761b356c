//! What a rule has to say of one subject in one evaluation. Of what is as it should be it says nothing.

use super::alert::{AlertKind, Severity};

/// Something that a rule has found.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) kind: AlertKind,
    pub(super) subject: String,
    pub(super) signal: Signal,
}

#[derive(Debug)]
pub(super) enum Signal {
    /// The threshold is passed.
    Raise(Seen),
    /// It is not, but nearly: an alert that there is stays.
    Hold,
}

/// What an alert says that is seen now.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) severity: Severity,
    /// How often it has happened since the last evaluation; once, if it lasts.
    pub(super) times: u64,
    pub(super) evidence: Vec<(&'static str, f64)>,
    pub(super) message: String,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Above,
    Near,
    Below,
}

impl Level {
    /// Above a threshold, at most a share of it, or between the two.
    pub(super) fn of(value: f64, threshold: f64, clear_share: f64) -> Self {
        if value > threshold {
            Self::Above
        } else if value >= threshold * clear_share {
            Self::Near
        } else {
            Self::Below
        }
    }

    pub(super) fn finding(self, kind: AlertKind, subject: &str, seen: impl FnOnce() -> Seen) -> Option<Finding> {
        let signal = match self {
            Self::Above => Signal::Raise(seen()),
            Self::Near => Signal::Hold,
            Self::Below => return None,
        };
        Some(Finding { kind, subject: subject.to_owned(), signal })
    }
}

impl Finding {
    pub(super) fn id(&self) -> String {
        format!("{}:{}", self.kind, self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, level: Level) {
        assert_eq!(Level::of(value, 10.0, 0.8), level, "{value}");
    }

    #[test]
    fn between_a_threshold_and_its_share_nothing_changes() {
        check(10.1, Level::Above);
        check(10.0, Level::Near);
        check(8.0, Level::Near);
        check(7.9, Level::Below);
    }
}
