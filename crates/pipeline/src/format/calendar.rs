//! Dates and times as ISO 8601 text, by integer arithmetic.
//!
//! A fraction of a second has 0, 3, 6 or 9 digits, as few as say it. Only years of four digits are written here.

use super::piece::push_start;

pub(super) const DAY_SECONDS: i64 = 86_400;

/// A short text: `2024-02-29T12:34:56.123456789+02:00` is the longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    bytes: [u8; 40],
    len: usize,
}

impl Stamp {
    const fn new() -> Self {
        Self { bytes: [0; 40], len: 0 }
    }

    /// A date, given in days since 1970; none if its year has not four digits.
    #[inline]
    pub(super) fn of_date(days: i64) -> Option<Self> {
        let mut stamp = Self::new();
        stamp.push_date(days).then_some(stamp)
    }

    /// A time of day, given in so many units a second.
    #[inline]
    pub(super) fn of_time(value: i64, units: i64) -> Self {
        let mut stamp = Self::new();
        stamp.push_time(value / units);
        stamp.push_fraction(value % units, units);
        stamp
    }

    /// Appends the text.
    #[inline]
    pub(super) fn push_to(&self, out: &mut Vec<u8>) {
        push_start(&self.bytes, self.len, out);
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// The algorithm is `civil_from_days` of Howard Hinnant's "chrono-compatible low-level date algorithms".
    #[inline]
    fn push_date(&mut self, days: i64) -> bool {
        // From 0000-01-01 to 9999-12-31.
        if !(-719_528..=2_932_896).contains(&days) {
            return false;
        }
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let [[a, b], [c, d]] = [two(year / 100), two(year % 100)];
        let [[e, f], [g, h]] = [two(month), two(day)];
        self.push(&[a, b, c, d, b'-', e, f, b'-', g, h]);
        true
    }

    #[inline]
    fn push_time(&mut self, second_of_day: i64) {
        let [[a, b], [c, d], [e, f]] =
            [two(second_of_day / 3_600), two(second_of_day / 60 % 60), two(second_of_day % 60)];
        self.push(&[a, b, b':', c, d, b':', e, f]);
    }

    #[inline]
    fn push_fraction(&mut self, fraction: i64, units: i64) {
        if fraction == 0 {
            return;
        }
        let nanos = fraction * (1_000_000_000 / units);
        let [m, u, n] = [nanos / 1_000_000, nanos / 1_000 % 1_000, nanos % 1_000];
        let [[a, b, c], [d, e, f], [g, h, i]] = [three(m), three(u), three(n)];
        match (u, n) {
            (0, 0) => self.push(&[b'.', a, b, c]),
            (_, 0) => self.push(&[b'.', a, b, c, d, e, f]),
            _ => self.push(&[b'.', a, b, c, d, e, f, g, h, i]),
        }
    }
}

/// Writes the moments of one column.
pub(super) struct Clock {
    units: i64,
    offset_seconds: i64,
    zone: Vec<u8>,
    /// The day that was written last: its date needs no work the next time.
    day: i64,
    stamp: Stamp,
}

impl Clock {
    /// A clock of so many units a second; none for a zone with rules of its own.
    pub(super) fn new(units: i64, zone: Option<&str>) -> Option<Self> {
        let (offset_seconds, zone) = match zone {
            None => (0, ""),
            Some("UTC" | "+00:00") => (0, "Z"),
            Some(zone) => (fixed_offset(zone)?, zone),
        };
        let stamp = Stamp::of_date(0)?;
        Some(Self { units, offset_seconds, zone: zone.as_bytes().to_vec(), day: 0, stamp })
    }

    /// A moment, given in units since 1970; none if its year has not four digits.
    #[inline]
    pub(super) fn stamp(&mut self, value: i64) -> Option<&Stamp> {
        let (seconds, fraction) = match self.units {
            1 => (value, 0),
            units => (value.div_euclid(units), value.rem_euclid(units)),
        };
        let local = seconds.checked_add(self.offset_seconds)?;
        let (day, second) = (local.div_euclid(DAY_SECONDS), local.rem_euclid(DAY_SECONDS));
        if day != self.day {
            self.stamp = Stamp::of_date(day)?;
            self.day = day;
        }
        self.stamp.len = 10;
        self.stamp.push(b"T");
        self.stamp.push_time(second);
        self.stamp.push_fraction(fraction, self.units);
        self.stamp.push(&self.zone);
        Some(&self.stamp)
    }
}

/// The seconds of `+02:00`; none for anything else and for what is no offset at all.
fn fixed_offset(zone: &str) -> Option<i64> {
    let [sign @ (b'+' | b'-'), a, b, b':', c, d] = *zone.as_bytes() else { return None };
    let number = |tens: u8, ones: u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    };
    let seconds =
        number(a, b).filter(|hours| *hours < 24)? * 3_600 + number(c, d).filter(|minutes| *minutes < 60)? * 60;
    (seconds != 0).then_some(if sign == b'-' { -seconds } else { seconds })
}

#[inline]
fn two(value: i64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

#[inline]
fn three(value: i64) -> [u8; 3] {
    [b'0' + (value / 100) as u8, b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}
