//! Timers that are begun by one request and ended by another: clients that time themselves hold an id, not a guard.
//!
//! 1. They are bounded in number: one too many is refused.
//! 2. They are bounded in age: what has been open for too long is let go and counts as abandoned. They lie in the order in
//!    which they began, so only the oldest have to be looked at.
//! 3. An id cannot be guessed: it has a secret beside its number, so no client ends the timer of another.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::Error;
use crate::operation::{Operation, Outcome};

/// The id of a timer that was begun; as a text, 33 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId {
    number: u64,
    secret: u64,
}

impl fmt::Display for TimerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}-{:016x}", self.number, self.secret)
    }
}

impl fmt::Debug for TimerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TimerId({})", self.number)
    }
}

impl FromStr for TimerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let part = |text: &str| {
            let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then(|| u64::from_str_radix(text, 16).ok()).flatten().ok_or(Error::TimerId)
        };
        let (number, secret) = text.split_once('-').ok_or(Error::TimerId)?;
        Ok(Self { number: part(number)?, secret: part(secret)? })
    }
}

/// The timers that are open.
#[derive(Default)]
pub(crate) struct OpenTimers {
    secrets: RandomState,
    next: u64,
    open: BTreeMap<u64, Open>,
}

struct Open {
    secret: u64,
    began: Moment,
    operation: Operation,
}

impl OpenTimers {
    pub(crate) fn begin(&mut self, operation: Operation, limit: usize) -> Result<TimerId, Error> {
        if self.open.len() >= limit {
            return Err(Error::TooManyTimers { limit });
        }
        let number = self.next;
        self.next += 1;
        let secret = self.secrets.hash_one(number);
        self.open.insert(number, Open { secret, began: operation.now(), operation });
        Ok(TimerId { number, secret })
    }

    pub(crate) fn end(&mut self, id: TimerId, outcome: Outcome) -> Option<Duration> {
        if self.open.get(&id.number)?.secret != id.secret {
            return None;
        }
        let Open { began, operation, .. } = self.open.remove(&id.number)?;
        let now = operation.now();
        operation.record_at(now, now.since(began), outcome);
        Some(now.since(began))
    }

    /// Lets those go that have been open for longer than `age`.
    pub(crate) fn forget_older(&mut self, now: Moment, age: Duration) {
        while let Some(oldest) = self.open.first_entry()
            && now.since(oldest.get().began) > age
        {
            oldest.remove().operation.abandon();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, is_id: bool) {
        assert_eq!(text.parse::<TimerId>().is_ok(), is_id, "{text:?}");
    }

    #[test]
    fn an_id_is_read_as_it_was_written_and_nothing_else_is() {
        let id = TimerId { number: 7, secret: u64::MAX };
        assert_eq!(id.to_string().parse(), Ok(id));
        check("0000000000000007-ffffffffffffffff", true);
        check("", false);
        check("7-f", false);
        check("0000000000000007", false);
        check("0000000000000007-+fffffffffffffff", false);
        check("0000000000000007-ffffffffffffffff-", false);
    }
}
