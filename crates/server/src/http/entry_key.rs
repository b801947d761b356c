//! The names of cache entries, as people write them: `sector_analysis/json+zstd?year=gte.2020@1099511627777`.
//!
//! The dataset's name, a slash, the bytes of the key as text, and its version behind an `@` unless it is 0. A key whose
//! own text ends like a version is always written with one, so that every text names one key.

use std::fmt;

use cache_core::{Key, Namespace};

/// An entry's name: the dataset, and its key there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryKey {
    /// Name of the dataset.
    pub dataset: String,
    /// The key's bytes.
    pub bytes: Vec<u8>,
    /// The key's version.
    pub version: u64,
}

impl EntryKey {
    /// The name of `bytes` at `version` of a dataset.
    pub fn new(dataset: &str, bytes: &[u8], version: u64) -> Self {
        Self { dataset: dataset.to_owned(), bytes: bytes.to_vec(), version }
    }

    /// Reads a name; `None` when it has no dataset or no key.
    pub fn parse(text: &str) -> Option<Self> {
        let (dataset, key) = text.split_once('/').filter(|(dataset, key)| !dataset.is_empty() && !key.is_empty())?;
        let (bytes, version) = split_version(key).unwrap_or((key, 0));
        Some(Self::new(dataset, bytes.as_bytes(), version))
    }

    /// The key in the namespace of its dataset.
    pub fn within(&self, namespace: &Namespace) -> Key {
        Key::new(namespace, self.bytes.as_slice()).at_version(self.version)
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        write!(f, "{}/{text}", self.dataset)?;
        if self.version != 0 || split_version(&text).is_some() { write!(f, "@{}", self.version) } else { Ok(()) }
    }
}

/// What stands before and behind the last `@`, if that is a version.
fn split_version(text: &str) -> Option<(&str, u64)> {
    let (before, version) = text.rsplit_once('@')?;
    let digits = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| version.parse().ok()).flatten().map(|version| (before, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, version: u64, text: &str) {
        let key = EntryKey::new("sales", bytes.as_bytes(), version);
        assert_eq!(key.to_string(), text);
        assert_eq!(EntryKey::parse(text), Some(key));
    }

    #[test]
    fn every_key_has_one_name_that_reads_back() {
        check("table", 0, "sales/table");
        check("table", 7, "sales/table@7");
        check("json+gzip?a=eq.x/y", 1 << 40, "sales/json+gzip?a=eq.x/y@1099511627776");
        check("csv?mail=eq.ann@example.org", 0, "sales/csv?mail=eq.ann@example.org");
        check("csv?mail=eq.ann@1", 0, "sales/csv?mail=eq.ann@1@0");
        check("csv?mail=eq.ann@1", 2, "sales/csv?mail=eq.ann@1@2");
        check("csv?mail=eq.a@", 0, "sales/csv?mail=eq.a@");
        check("csv?a=eq.@99999999999999999999999", 0, "sales/csv?a=eq.@99999999999999999999999");
    }

    #[test]
    fn what_names_no_entry_is_refused() {
        for bad in ["", "sales", "sales/", "/table"] {
            assert_eq!(EntryKey::parse(bad), None, "{bad}");
        }
    }
}
