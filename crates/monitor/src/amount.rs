//! Amounts as people read them.

use std::time::Duration;

/// 1536 as "1.5 KiB".
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10) as usize;
    let amount = bytes as f64 / (1_u64 << (10 * power)) as f64;
    format!("{amount:.1} {}", UNITS[power - 1])
}

/// 0.0625 as "6.2 %".
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// 5400 s as "1.5 h", 3 s as "3 s".
pub(crate) fn time(time: Duration) -> String {
    const MINUTE: f64 = 60.0;
    let seconds = time.as_secs_f64();
    let (amount, unit) = match seconds {
        _ if seconds >= 2.0 * 24.0 * 60.0 * MINUTE => (seconds / (24.0 * 60.0 * MINUTE), "d"),
        _ if seconds >= 60.0 * MINUTE => (seconds / (60.0 * MINUTE), "h"),
        _ if seconds >= MINUTE => (seconds / MINUTE, "min"),
        _ if seconds >= 1.0 => (seconds, "s"),
        _ if seconds >= 1e-3 => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "us"),
    };
    // Two digits behind the point where there is one before it, so that what is just beyond a bound does not look like it.
    let text = if amount < 10.0 { format!("{amount:.2}") } else { format!("{amount:.1}") };
    format!("{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(amount: u64, text: &str) {
        assert_eq!(bytes(amount), text);
    }

    #[test]
    fn bytes_are_told_in_the_largest_unit_below() {
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1536, "1.5 KiB");
        check(64 << 20, "64.0 MiB");
        check(u64::MAX, "16.0 EiB");
    }

    #[test]
    fn times_are_told_in_the_largest_unit_below() {
        let told = |millis| time(Duration::from_millis(millis));
        assert_eq!([0, 1, 250, 1_000, 59_000].map(told), ["0 us", "1 ms", "250 ms", "1 s", "59 s"]);
        assert_eq!([90_000, 5_400_000, 86_400_000, 345_600_000].map(told), ["1.5 min", "1.5 h", "24 h", "4 d"]);
    }

    #[test]
    fn shares_are_told_in_percent() {
        assert_eq!(percent(0.0625), "6.2 %");
        assert_eq!(percent(1.0), "100.0 %");
    }
}
