//! Dates and times as ISO 8601, by integer arithmetic.
//!
//! What it spells is what the Arrow project's writers spell: fractions of a second in 3, 6 or 9 digits, none where
//! they are zero; a zone as `Z` or `+01:00`. Each function appends to a text. Years beyond 0 to 9999, times beyond a day
//! and offsets with seconds are left to the caller (`None`), with nothing that counts in the text.

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use arrow::error::ArrowError;
use chrono::{DateTime, Offset, TimeZone};

use super::window::Short;

const SECONDS_A_DAY: i64 = 86_400;
/// 0000-01-01 and 9999-12-31 as days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;

/// Where the clock of a timestamp stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Zone {
    /// Not said.
    None,
    /// Always so many seconds ahead of UTC.
    Fixed(i32),
    /// By the rules of a place.
    Place(Tz),
}

impl Zone {
    /// Reads the name that a type has.
    pub(super) fn parse(name: Option<&str>) -> Result<Self, ArrowError> {
        let Some(name) = name else { return Ok(Self::None) };
        if matches!(name, "UTC" | "Z" | "Etc/UTC" | "GMT") {
            return Ok(Self::Fixed(0));
        }
        let zone: Tz = name.parse()?;
        let is_offset = name.starts_with(['+', '-']);
        Ok(if is_offset { Self::Fixed(ahead(zone, 0).unwrap_or_default()) } else { Self::Place(zone) })
    }
}

/// Seconds that `zone` is ahead of UTC at an instant.
fn ahead(zone: Tz, instant: i64) -> Option<i32> {
    let utc = DateTime::from_timestamp(instant, 0)?.naive_utc();
    Some(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

/// `2024-02-29`
#[inline]
pub(super) fn date(days: i64, text: &mut Short) -> Option<()> {
    put_date(days, text)
}

/// Whole seconds and nanoseconds. A division by a constant is a multiplication.
#[inline]
fn split(value: i64, unit: TimeUnit) -> (i64, u32) {
    match unit {
        TimeUnit::Second => (value, 0),
        TimeUnit::Millisecond => (value.div_euclid(1_000), value.rem_euclid(1_000) as u32 * 1_000_000),
        TimeUnit::Microsecond => (value.div_euclid(1_000_000), value.rem_euclid(1_000_000) as u32 * 1_000),
        TimeUnit::Nanosecond => (value.div_euclid(1_000_000_000), value.rem_euclid(1_000_000_000) as u32),
    }
}

/// `23:59:59.500`
#[inline]
pub(super) fn time(value: i64, unit: TimeUnit, text: &mut Short) -> Option<()> {
    let (seconds, nanoseconds) = split(value, unit);
    if !(0..SECONDS_A_DAY).contains(&seconds) {
        return None;
    }
    put_time(seconds, nanoseconds, text);
    Some(())
}

/// `2024-02-29T23:59:59.500Z`
#[inline]
pub(super) fn timestamp(value: i64, unit: TimeUnit, zone: Zone, text: &mut Short) -> Option<()> {
    let (instant, nanoseconds) = split(value, unit);
    let offset = match zone {
        Zone::None => 0,
        Zone::Fixed(seconds) => seconds,
        Zone::Place(place) => ahead(place, instant)?,
    };
    if offset % 60 != 0 {
        return None;
    }
    let local = instant.checked_add(i64::from(offset))?;
    put_date(local.div_euclid(SECONDS_A_DAY), text)?;
    text.put(*b"T");
    put_time(local.rem_euclid(SECONDS_A_DAY), nanoseconds, text);
    match (zone, offset) {
        (Zone::None, _) => {}
        (_, 0) => text.put(*b"Z"),
        _ => {
            let minutes = offset.unsigned_abs() / 60;
            text.put(if offset < 0 { *b"-" } else { *b"+" });
            text.put_two(minutes / 60);
            text.put(*b":");
            text.put_two(minutes % 60);
        }
    }
    Some(())
}

/// Days since 1970-01-01 as year, month and day: Howard Hinnant's `civil_from_days`, for days in [`DAYS`].
#[inline]
fn put_date(days: i64, text: &mut Short) -> Option<()> {
    if !DAYS.contains(&days) {
        return None;
    }
    // Counted from 1 March of a year -400, which is a multiple of 400 years; so all that follows is unsigned.
    let days = (days + 719_468 + 146_097) as u32;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2) - 400;
    text.put_two(year / 100);
    text.put_two(year % 100);
    text.put(*b"-");
    text.put_two(month);
    text.put(*b"-");
    text.put_two(day);
    Some(())
}

#[inline]
fn put_time(seconds: i64, nanoseconds: u32, text: &mut Short) {
    let seconds = seconds as u32;
    text.put_two(seconds / 3_600);
    text.put(*b":");
    text.put_two(seconds / 60 % 60);
    text.put(*b":");
    text.put_two(seconds % 60);
    if nanoseconds != 0 {
        put_fraction(nanoseconds, text);
    }
}

fn put_fraction(nanoseconds: u32, text: &mut Short) {
    text.put(*b".");
    put_three(nanoseconds / 1_000_000, text);
    if !nanoseconds.is_multiple_of(1_000_000) {
        put_three(nanoseconds / 1_000 % 1_000, text);
        if !nanoseconds.is_multiple_of(1_000) {
            put_three(nanoseconds % 1_000, text);
        }
    }
}

fn put_three(number: u32, text: &mut Short) {
    text.put([b'0' + (number / 100) as u8]);
    text.put_two(number % 100);
}
