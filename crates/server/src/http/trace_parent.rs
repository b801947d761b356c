//! The header `traceparent` (W3C Trace Context): of which trace a request is a part, as its client says.
//!
//! A header that is not as the recommendation wants it is as good as none. Nothing is sent on: what sources are asked is
//! asked for everybody who waits.

use std::fmt;

use actix_web::http::header::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The length of a header of version 00, and the least of later ones.
const LEN: usize = 55;

/// The number of a trace, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The caller's place in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span within it, never 0.
    pub parent_id: u64,
    /// Whether the caller may have recorded it.
    pub sampled: bool,
}

impl TraceParent {
    /// What the headers of a request say. Several headers of the name say nothing.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT);
        let line = lines.next()?;
        if lines.next().is_some() { None } else { Self::parse(line.as_bytes()) }
    }

    /// `00-<trace id>-<parent id>-<flags>`, in lower-case hexadecimal digits. A later version may go on after a further
    /// dash, and is read as far as version 00 goes; ff is no version.
    fn parse(header: &[u8]) -> Option<Self> {
        let (known, rest) = header.split_at_checked(LEN)?;
        let version = hex(&known[..2])?;
        let ends_well = rest.is_empty() || (version != 0 && rest[0] == b'-');
        if version == 0xff || !ends_well || [known[2], known[35], known[52]] != *b"---" {
            return None;
        }
        let (trace_id, parent_id, flags) = (hex(&known[3..35])?, hex(&known[36..52])?, hex(&known[53..])?);
        let parent_id = u64::try_from(parent_id).ok()?;
        let is_valid = trace_id != 0 && parent_id != 0;
        is_valid.then_some(Self { trace_id: TraceId(trace_id), parent_id, sampled: flags & 1 == 1 })
    }
}

/// A number in lower-case digits, at most 32 of them.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[track_caller]
    fn check(header: &str, sampled: Option<bool>) {
        let found = TraceParent::parse(header.as_bytes());
        assert_eq!(found.map(|it| it.sampled), sampled, "{header}");
        if let Some(found) = found {
            assert_eq!((found.trace_id.to_string(), found.parent_id), (TRACE.to_owned(), 0x00f0_67aa_0ba9_02b7));
        }
    }

    #[test]
    fn version_00_is_read_strictly() {
        check(&format!("00-{TRACE}-{PARENT}-01"), Some(true));
        check(&format!("00-{TRACE}-{PARENT}-00"), Some(false));
        // Bits that version 00 does not know mean nothing.
        check(&format!("00-{TRACE}-{PARENT}-ff"), Some(true));
        check(&format!("00-{TRACE}-{PARENT}-02"), Some(false));
        for bad in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-{TRACE}-{PARENT}-011"),
            format!(" 00-{TRACE}-{PARENT}-01"),
            format!("0-{TRACE}-{PARENT}-01"),
            format!("000{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}_{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}_01"),
            format!("0x-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", PARENT.to_uppercase()),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{PARENT}0-01", &TRACE[1..]),
            format!("00-{}g-{PARENT}-01", &TRACE[1..]),
            format!("00-{}ö-{PARENT}-01", &TRACE[2..]),
        ] {
            check(&bad, None);
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_version_00_goes() {
        check(&format!("01-{TRACE}-{PARENT}-01"), Some(true));
        check(&format!("cc-{TRACE}-{PARENT}-00-what-the-future-will-be-like"), Some(false));
        check(&format!("01-{TRACE}-{PARENT}-01-"), Some(true));
        for bad in [
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("ff-{TRACE}-{PARENT}-01-more"),
            format!("01-{TRACE}-{PARENT}-01.more"),
            format!("01-{TRACE}-{PARENT}-012"),
            format!("01-{TRACE}-{PARENT}"),
            format!("CC-{TRACE}-{PARENT}-01"),
            format!("01-{}-{PARENT}-01", "0".repeat(32)),
        ] {
            check(&bad, None);
        }
    }

    #[test]
    fn one_header_counts_and_several_do_not() {
        let header = |parent: &str| HeaderValue::try_from(format!("00-{TRACE}-{parent}-01")).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(TraceParent::of(&headers), None);
        headers.append(TRACEPARENT, header(PARENT));
        assert_eq!(TraceParent::of(&headers).map(|it| it.trace_id.to_string()).as_deref(), Some(TRACE));
        headers.append(TRACEPARENT, header("00000000000000ff"));
        assert_eq!(TraceParent::of(&headers), None);
    }
}
