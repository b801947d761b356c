//! Texts of values, appended to bytes.

/// Appends a JSON string: what JSON wants escaped is, and nothing else.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes());
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(at) = first_to_escape(bytes) {
        out.extend_from_slice(&bytes[..at]);
        let byte = bytes[at];
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend([DIGITS[usize::from(control >> 4)], DIGITS[usize::from(control & 15)]]);
            }
        }
        bytes = &bytes[at + 1..];
    }
    out.extend_from_slice(bytes);
}

/// Where the first byte is that cannot stand in a JSON string: eight bytes at a time ("bit twiddling hacks", S. E. Anderson).
fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = below_space | has_zero(word ^ (ONES * 0x22)) | has_zero(word ^ (ONES * 0x5c));
        if found != 0 {
            // Borrows may mark a byte behind the first one, never before it.
            return Some(at * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    let start = words.len() * 8;
    rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).map(|at| start + at)
}

/// Appends a whole number.
pub(super) fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a finite float in the shortest form that is read back as the same.
pub(super) fn push_float<F: lexical_core::ToLexical>(out: &mut Vec<u8>, value: F) {
    let mut buffer = [0; 64];
    out.extend_from_slice(lexical_core::write(value, &mut buffer));
}

/// Appends bytes as hexadecimal digits.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Days that have years of four digits.
const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;

/// Appends the date that is so many days after 1970-01-01, if its year has four digits.
pub(super) fn push_date(out: &mut Vec<u8>, days: i64) -> Option<()> {
    if !DAYS.contains(&days) {
        return None;
    }
    // H. Hinnant, "chrono-compatible low-level date algorithms": civil_from_days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    push_two(out, year / 100);
    push_two(out, year % 100);
    out.push(b'-');
    push_two(out, month);
    out.push(b'-');
    push_two(out, day);
    Some(())
}

/// Appends a time of day: seconds, and a fraction of 0, 3, 6 or 9 digits, as few as say it.
pub(super) fn push_time(out: &mut Vec<u8>, seconds: i64, nanos: u32) {
    push_two(out, seconds / 3_600);
    out.push(b':');
    push_two(out, seconds / 60 % 60);
    out.push(b':');
    push_two(out, seconds % 60);
    let (value, digits) = match nanos {
        0 => return,
        nanos if nanos.is_multiple_of(1_000_000) => (nanos / 1_000_000, 3),
        nanos if nanos.is_multiple_of(1_000) => (nanos / 1_000, 6),
        nanos => (nanos, 9),
    };
    out.push(b'.');
    for at in (0..digits).rev() {
        out.push(b'0' + (value / 10_u32.pow(at) % 10) as u8);
    }
}

fn push_two(out: &mut Vec<u8>, value: i64) {
    out.extend([b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}
