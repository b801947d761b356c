//! The book of alerts: which are active, which are about to be, and which have been.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::alert::{Alert, AlertChange, Severity};
use super::finding::{Finding, Seen, Signal};
use super::growth::Growth;
use super::readings::Readings;
use super::rules;
use super::thresholds::Thresholds;
use crate::clock::Moment;

/// Keeps alerts from one evaluation to the next.
#[derive(Debug)]
pub struct AlertBook {
    thresholds: Thresholds,
    active: BTreeMap<String, Active>,
    /// Thresholds that are passed, but not for long enough yet: since when.
    pending: BTreeMap<String, Moment>,
    /// The newest last.
    past: VecDeque<Alert>,
    growth: Growth,
    left_out: u64,
}

#[derive(Debug)]
struct Active {
    alert: Alert,
    /// Since when it is not seen.
    gone_since: Option<Moment>,
}

impl AlertBook {
    /// The most alerts that are active at a time.
    pub const MAX_ACTIVE: usize = 256;
    /// Of these places, those that only critical alerts take.
    pub const FOR_CRITICAL: usize = 32;
    /// The most alerts that are remembered when they are over.
    pub const MAX_PAST: usize = 256;

    /// A book without alerts.
    pub fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            active: BTreeMap::new(),
            pending: BTreeMap::new(),
            past: VecDeque::new(),
            growth: Growth::default(),
            left_out: 0,
        }
    }

    /// Goes on with other thresholds, from the next evaluation.
    pub fn adopt(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
    }

    /// The thresholds in use.
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Compares readings of now with the thresholds, and says what has changed.
    pub fn evaluate(&mut self, now: Moment, readings: &Readings) -> Vec<AlertChange> {
        let findings = rules::find(readings, &self.thresholds, &mut self.growth);
        let (mut changes, mut found, mut passed) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for finding in findings {
            let id = finding.id();
            if let Some(active) = self.active.get_mut(&id) {
                changes.extend(active.find(now, finding));
                found.insert(id);
            } else if let Finding { kind, subject, signal: Signal::Raise(seen) } = finding {
                let since = *self.pending.entry(id.clone()).or_insert(now);
                let lasts = now.since(since) >= self.thresholds.raise_after;
                passed.insert(id.clone());
                if lasts || kind.happens() {
                    let Seen { severity, times, evidence, message } = seen;
                    let alert = Alert {
                        id: id.clone(),
                        kind,
                        subject,
                        severity,
                        since,
                        last_seen: now,
                        cleared: None,
                        count: times.max(1),
                        evidence,
                        message,
                    };
                    if self.raise(&alert) {
                        found.insert(id);
                        changes.push(AlertChange::Raised(alert));
                    }
                }
            }
        }
        self.pending.retain(|id, _| passed.contains(id) && !found.contains(id));
        changes.extend(self.clear(now, &found));
        changes
    }

    /// The alerts that are active, by id.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.active.values().map(|active| &active.alert)
    }

    /// The alerts that are over, the latest first.
    pub fn past(&self) -> impl Iterator<Item = &Alert> {
        self.past.iter().rev()
    }

    /// How often there was no place for an alert in an evaluation.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn raise(&mut self, alert: &Alert) -> bool {
        let kept_free = if alert.severity == Severity::Critical { 0 } else { Self::FOR_CRITICAL };
        let has_place = self.active.len() + kept_free < Self::MAX_ACTIVE;
        if has_place {
            self.active.insert(alert.id.clone(), Active { alert: alert.clone(), gone_since: None });
        } else {
            self.left_out += 1;
        }
        has_place
    }

    /// Takes out the alerts that have not been found for long enough.
    fn clear(&mut self, now: Moment, found: &BTreeSet<String>) -> Vec<AlertChange> {
        let mut over = Vec::new();
        for (id, active) in self.active.iter_mut().filter(|(id, _)| !found.contains(*id)) {
            let gone_since = *active.gone_since.get_or_insert(now);
            let thresholds = &self.thresholds;
            let after = if active.alert.kind.happens() { thresholds.quiet_after } else { thresholds.clear_after };
            if now.since(gone_since) >= after {
                over.push(id.clone());
            }
        }
        let cleared = over.iter().filter_map(|id| self.active.remove(id)).map(|Active { mut alert, .. }| {
            alert.cleared = Some(now);
            if self.past.len() >= Self::MAX_PAST {
                self.past.pop_front();
            }
            self.past.push_back(alert.clone());
            AlertChange::Cleared(alert)
        });
        cleared.collect()
    }
}

impl Active {
    /// Takes up what was found; says so if the alert is better or worse than it was, or has happened again.
    fn find(&mut self, now: Moment, finding: Finding) -> Option<AlertChange> {
        self.gone_since = None;
        let Signal::Raise(seen) = finding.signal else { return None };
        let alert = &mut self.alert;
        let changed = alert.severity != seen.severity || alert.kind.happens() && seen.times > 0;
        alert.last_seen = now;
        alert.count += seen.times;
        (alert.severity, alert.evidence, alert.message) = (seen.severity, seen.evidence, seen.message);
        changed.then(|| AlertChange::Updated(alert.clone()))
    }
}
