//! An answer read page by page, as a client does: by following `Link: <...>; rel="next"`.

use crate::http::{Answer, Client};

/// Which rows of an answer a page holds, as its `Content-Range` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The first and the last row, from 0 on; `None` if there are none.
    pub rows: Option<(u64, u64)>,
    /// How many there are in all, if that is known.
    pub total: Option<u64>,
}

impl ContentRange {
    /// The range of an answer, if it has one.
    ///
    /// # Panics
    /// When it is not written as it should be.
    #[track_caller]
    pub fn of(answer: &Answer) -> Option<Self> {
        let text = answer.header("content-range");
        if text.is_empty() {
            return None;
        }
        let wrong = format!("{}: content-range is '{text}'", answer.asked);
        let (rows, total) = text.split_once('/').expect(&wrong);
        let number = |text: &str| text.parse::<u64>().ok();
        let rows = match rows {
            "*" => None,
            _ => {
                rows.split_once('-').map(|(first, last)| (number(first).unwrap_or(u64::MAX), number(last).unwrap_or(0)))
            }
        };
        let total = (total != "*").then(|| number(total).unwrap_or(u64::MAX));
        let sound = rows.is_none_or(|(first, last)| first <= last && total.is_none_or(|total| last < total));
        assert!(sound && (rows.is_some() || text.starts_with("*/")), "{wrong}");
        Some(Self { rows, total })
    }

    /// How many rows it speaks of.
    pub fn count(self) -> u64 {
        self.rows.map_or(0, |(first, last)| last - first + 1)
    }
}

/// The target of the next page, if there is one.
///
/// # Panics
/// When there is a link that is none.
#[track_caller]
pub fn next(answer: &Answer) -> Option<String> {
    let links = answer.headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    let next = links.into_iter().flat_map(|links| links.split(", ")).find(|link| link.contains("rel=\"next\""))?;
    let target = next.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(target, _)| target);
    let target = target.unwrap_or_else(|| panic!("{}: link is '{next}'", answer.asked));
    Some(resolved(answer.asked.split(' ').nth(1).unwrap_or_default(), target))
}

/// A reference as seen from a path: RFC 3986, section 5.2, as far as servers write such links.
fn resolved(from: &str, target: &str) -> String {
    if let Some((_, rest)) = target.split_once("://") {
        return rest.find('/').map_or("/", |at| &rest[at..]).to_owned();
    }
    if target.starts_with('/') {
        return target.to_owned();
    }
    let path = from.split('?').next().unwrap_or_default();
    let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
    format!("{folder}{target}")
}

/// All pages of an answer.
///
/// # Panics
/// When they do not end.
#[track_caller]
pub fn all(client: &Client, path: &str, headers: &[(&str, &str)]) -> Vec<Answer> {
    let mut pages = vec![client.get_with(path, headers)];
    while let Some(target) = next(&pages[pages.len() - 1]) {
        assert!(pages.len() < 1_000, "{path} has no end");
        pages.push(client.get_with(&target, headers));
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::resolved;

    #[test]
    fn a_link_is_seen_from_where_it_stands() {
        assert_eq!(resolved("/a/b/rows?x=1/2", "rows?y=2"), "/a/b/rows?y=2");
        assert_eq!(resolved("/a/b/query", "/c?y=2"), "/c?y=2");
        assert_eq!(resolved("/a", "http://host:1/c?y=2"), "/c?y=2");
    }
}
