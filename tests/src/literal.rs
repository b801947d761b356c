//! Cells as text and back: ISO 8601 dates and times, exact decimals, hexadecimal bytes.
//!
//! The oracle reads the very text that the server is sent, with a parser of its own.

use std::fmt::Write as _;

use crate::cell::{Cell, Kind};

const NS: i64 = 1_000_000_000;
const DAY: i128 = 86_400 * NS as i128;

/// A cell as it is written in a query. `zoned` adds the `Z` of an instant.
///
/// # Panics
/// For null and opaque cells, which have no text.
pub fn render(cell: &Cell, zoned: bool) -> String {
    match cell {
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => render_float(*value),
        Cell::Text(value) => value.clone(),
        Cell::Bytes(bytes) => bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
        Cell::Day(day) => render_day(*day),
        Cell::Time(ns) => render_time(*ns),
        Cell::Instant(ns) => {
            let day = i64::try_from(ns.div_euclid(DAY)).expect("a day");
            let time = i64::try_from(ns.rem_euclid(DAY)).expect("a time of day");
            format!("{}T{}{}", render_day(day), render_time(time), if zoned { "Z" } else { "" })
        }
        Cell::Decimal { unscaled, scale } => render_decimal(*unscaled, *scale),
        Cell::Null | Cell::Opaque => panic!("{cell:?} has no text"),
    }
}

fn render_float(value: f64) -> String {
    if value.is_nan() {
        "nan".into()
    } else if value.is_infinite() {
        if value > 0.0 { "inf".into() } else { "-inf".into() }
    } else {
        value.to_string()
    }
}

fn render_decimal(unscaled: i128, scale: u32) -> String {
    if scale == 0 {
        return unscaled.to_string();
    }
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

fn render_time(ns: i64) -> String {
    let seconds = ns / NS;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if ns % NS != 0 {
        let fraction = format!("{:09}", ns % NS);
        write!(text, ".{}", fraction.trim_end_matches('0')).expect("a string takes all");
    }
    text
}

/// Civil from days, after Howard Hinnant (<https://howardhinnant.github.io/date_algorithms.html>).
fn render_day(day: i64) -> String {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", doy - (153 * mp + 2) / 5 + 1)
}

/// Reads a text as a cell of a kind; `None` when it is none.
pub fn parse(kind: Kind, text: &str) -> Option<Cell> {
    Some(match kind {
        Kind::Bool => Cell::Bool(text.parse().ok()?),
        Kind::Int { .. } => Cell::Int(text.parse().ok()?),
        Kind::Float32 => Cell::Float(text.parse::<f32>().ok()?.into()),
        Kind::Float64 => Cell::Float(text.parse().ok()?),
        Kind::Text => Cell::Text(text.to_owned()),
        Kind::Bytes => Cell::Bytes(parse_hex(text)?),
        Kind::Day => Cell::Day(parse_day(text)?),
        Kind::Time { .. } => Cell::Time(parse_time(text)?),
        Kind::Instant { .. } => Cell::Instant(parse_instant(text)?),
        Kind::Decimal { .. } => parse_decimal(text)?,
        Kind::Opaque => return None,
    })
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").unwrap_or(text);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

fn parse_decimal(text: &str) -> Option<Cell> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unscaled = format!("{whole}{fraction}").parse().ok()?;
    Some(Cell::Decimal { unscaled, scale: u32::try_from(fraction.len()).ok()? })
}

fn parse_day(text: &str) -> Option<i64> {
    let (year, rest) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let (year, month, day): (i64, i64, i64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468)
}

fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(str::parse::<i64>);
    let (hours, minutes) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let seconds = parts.next().transpose().ok()?.unwrap_or(0);
    let fraction: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * NS + fraction)
}

fn parse_instant(text: &str) -> Option<i128> {
    let Some((day, time)) = text.split_once(['T', ' ']) else {
        return Some(i128::from(parse_day(text)?) * DAY);
    };
    let (time, offset) = if let Some(time) = time.strip_suffix('Z') {
        (time, 0)
    } else if let Some(at) = time.rfind(['+', '-']) {
        let (hours, minutes) = time[at + 1..].split_once(':')?;
        let seconds = (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?) * 60;
        (&time[..at], if time[at..].starts_with('-') { -seconds } else { seconds })
    } else {
        (time, 0)
    };
    Some(i128::from(parse_day(day)?) * DAY + i128::from(parse_time(time)?) - i128::from(offset) * i128::from(NS))
}

#[cfg(test)]
mod tests {
    use super::{parse, render};
    use crate::cell::{Cell, Kind};

    #[track_caller]
    fn check(kind: Kind, text: &str, cell: &Cell) {
        assert_eq!(parse(kind, text).as_ref(), Some(cell), "{text}");
        assert_eq!(render(cell, text.ends_with('Z')), text);
    }

    #[test]
    fn texts_and_cells_stand_for_each_other() {
        check(Kind::Day, "1970-01-01", &Cell::Day(0));
        check(Kind::Day, "2024-02-29", &Cell::Day(19_782));
        check(Kind::Day, "1900-03-01", &Cell::Day(-25_508));
        check(Kind::Time { step: 1 }, "23:59:59.5", &Cell::Time(86_399_500_000_000));
        let instant = Kind::Instant { step: 1, zoned: true };
        check(instant, "1969-12-31T23:59:59.999999999Z", &Cell::Instant(-1));
        check(instant, "2001-09-09T01:46:40", &Cell::Instant(1_000_000_000_000_000_000));
        check(Kind::Decimal { scale: 2 }, "-0.05", &Cell::Decimal { unscaled: -5, scale: 2 });
        check(Kind::Bytes, "\\x00ff", &Cell::Bytes(vec![0, 255]));
        check(Kind::Float64, "-inf", &Cell::Float(f64::NEG_INFINITY));
    }

    #[test]
    fn an_offset_is_taken_off() {
        let kind = Kind::Instant { step: 1, zoned: true };
        assert_eq!(parse(kind, "1970-01-01 02:00:00+02:00"), Some(Cell::Instant(0)));
        assert_eq!(parse(kind, "1970-01-02"), Some(Cell::Instant(86_400_000_000_000)));
    }
}
