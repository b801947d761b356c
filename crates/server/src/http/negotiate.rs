//! Which format and which coding of it a client gets: RFC 9110, sections 12.5.1 and 12.5.3.

use pipeline::format::Format;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Coding {
    /// The name for `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The format that an `Accept` header prefers; the earlier of [`Format::ALL`] among equals. `None`
/// when it accepts none of them.
pub fn format(accept: Option<&str>) -> Option<Format> {
    let Some(accept) = accept.filter(|text| !text.trim().is_empty()) else { return Some(Format::Json) };
    let ranges: Vec<(&str, f32)> = weighted(accept).collect();
    best(Format::ALL, |format| weight_of(&ranges, format))
}

/// Whether an `Accept` header takes a format at all.
pub fn accepts(accept: Option<&str>, wanted: Format) -> bool {
    let Some(accept) = accept.filter(|text| !text.trim().is_empty()) else { return true };
    let ranges: Vec<(&str, f32)> = weighted(accept).collect();
    weight_of(&ranges, wanted).is_some_and(|q| q > 0.0)
}

/// The weight of a format in an `Accept` header: that of the most specific range that matches.
fn weight_of(ranges: &[(&str, f32)], format: Format) -> Option<f32> {
    let media = format.media_type().split(';').next().unwrap_or_default();
    let kind = media.split('/').next().unwrap_or_default();
    let find = |wanted: &str| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(wanted)).map(|(_, q)| *q);
    let alias = aliases(format).iter().find_map(|name| find(name));
    find(media).or(alias).or_else(|| find(&format!("{kind}/*"))).or_else(|| find("*/*"))
}

/// Other names that clients use for a format.
fn aliases(format: Format) -> &'static [&'static str] {
    match format {
        Format::Json => &[],
        Format::Ndjson => &["application/ndjson", "application/jsonl", "application/x-jsonlines"],
        Format::Csv | Format::CsvRaw => &["application/csv"],
        Format::JsonColumns => &[],
        Format::MessagePack => &["application/msgpack", "application/x-msgpack"],
        Format::Arrow => &["application/vnd.apache.arrow"],
        Format::ArrowFile => &[],
        Format::Parquet => &["application/x-parquet", "application/parquet"],
    }
}

/// The coding that an `Accept-Encoding` header prefers; among equals zstd, then gzip.
pub fn coding(accept_encoding: Option<&str>) -> Coding {
    let Some(header) = accept_encoding else { return Coding::Identity };
    let offers: Vec<(&str, f32)> = weighted(header).collect();
    best([Coding::Zstd, Coding::Gzip, Coding::Identity], |coding| {
        let find = |wanted: &str| offers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, q)| *q);
        find(coding.name()).or_else(|| find("*")).or((coding == Coding::Identity).then_some(0.001))
    })
    .unwrap_or(Coding::Identity)
}

/// The item of the greatest weight above zero, the first among equals.
fn best<T: Copy, const N: usize>(items: [T; N], weight: impl Fn(T) -> Option<f32>) -> Option<T> {
    let mut found: Option<(T, f32)> = None;
    for item in items {
        let q = weight(item).unwrap_or(0.0);
        if q > 0.0 && found.is_none_or(|(_, most)| q > most) {
            found = Some((item, q));
        }
    }
    found.map(|(item, _)| item)
}

/// The items of a header's list with their `q`; an unreadable weight counts as 0.
fn weighted(header: &str) -> impl Iterator<Item = (&str, f32)> {
    header.split(',').filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let q = q.map_or(1.0, |text| text.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0));
        Some((name, q))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_format(accept: &str, expected: Option<Format>) {
        assert_eq!(format(Some(accept)), expected, "{accept}");
    }

    #[test]
    fn the_accept_header_chooses_the_format() {
        assert_eq!(format(None), Some(Format::Json));
        check_format("", Some(Format::Json));
        check_format("*/*", Some(Format::Json));
        check_format("text/csv", Some(Format::Csv));
        check_format("text/*", Some(Format::Csv));
        check_format("Text/CSV;charset=utf-8", Some(Format::Csv));
        check_format("application/x-ndjson, application/json;q=0.5", Some(Format::Ndjson));
        check_format("application/json;q=0.1, text/csv;q=0.2", Some(Format::Csv));
        check_format("application/json;q=0, */*", Some(Format::Ndjson));
        check_format("text/html,application/xhtml+xml,*/*;q=0.8", Some(Format::Json));
        check_format("application/vnd.apache.arrow.stream", Some(Format::Arrow));
        check_format("image/png", None);
        check_format("application/json;q=0", None);
    }

    #[track_caller]
    fn check_coding(accept: &str, expected: Coding) {
        assert_eq!(coding(Some(accept)), expected, "{accept}");
    }

    #[test]
    fn the_accept_encoding_header_chooses_the_coding() {
        assert_eq!(coding(None), Coding::Identity);
        check_coding("gzip", Coding::Gzip);
        check_coding("gzip, deflate, br, zstd", Coding::Zstd);
        check_coding("zstd;q=0.1, gzip;q=0.9", Coding::Gzip);
        check_coding("br", Coding::Identity);
        check_coding("*", Coding::Zstd);
        check_coding("gzip;q=0, identity", Coding::Identity);
        check_coding("identity;q=1, gzip;q=0.5", Coding::Identity);
    }
}
