//! Which part of a whole answer a page is, as headers say it: `Content-Range`, `Link`, `Next-Cursor`, `Preference-Applied`.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{StatusCode, header};
use pipeline::format::Format;
use pipeline::query::BoundQuery;
use pipeline::{Answer, Counting, Next};

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");
const IGNORED_FILTERS: HeaderName = HeaderName::from_static("ignored-filters");

/// A longer link is left out: no client takes such a header. The cursor itself is sent all the same.
const MAX_LINK_BYTES: usize = 8 * 1024;
/// More names of filters that were skipped are left out.
const MAX_IGNORED_BYTES: usize = 4 * 1024;

/// The part of an answer that a body is. All header values are made once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Whether the answer is 206: it was cut, or the client asked how much there is and this is not all.
    pub partial: bool,
    /// `first-last/total`, as PostgREST writes it.
    pub range: Option<HeaderValue>,
    /// The next page, as a reference relative to this one.
    pub link: Option<HeaderValue>,
    /// The cursor of the next page.
    pub next: Option<HeaderValue>,
    /// How the rows were counted.
    pub counted: Option<HeaderValue>,
    /// Filters that were skipped.
    pub ignored: Option<HeaderValue>,
}

impl Page {
    /// The page that `answer` is of all rows, of which there are `total`. `query` is as it was asked, without the limit
    /// that is put on every answer.
    pub(super) fn of(
        query: &BoundQuery,
        answer: &Answer,
        counting: Option<Counting>,
        total: Option<u64>,
        format: Format,
    ) -> Self {
        let before = query.rows_before();
        let cut = answer.next.is_some() && query.limit().is_none_or(|limit| answer.rows < limit);
        // Whoever has the last row knows how many there are.
        let seen_all = answer.next.is_none() && query.limit() != Some(0) && (answer.rows > 0 || before == 0);
        let seen = before.saturating_add(answer.rows);
        let total = match total {
            _ if seen_all => Some(seen),
            // Whatever was counted or estimated, there are as many as were seen.
            Some(total) if answer.rows > 0 => Some(total.max(seen.saturating_add(u64::from(answer.next.is_some())))),
            Some(total) => Some(total),
            None => None,
        };
        let partial = cut || counting.is_some() && total.is_some_and(|total| answer.rows < total);
        let is_window = query.limit().is_some() || before > 0 || query.cursor().is_some();
        let range = (partial || counting.is_some() || is_window).then(|| {
            let total = total.map_or("*".to_owned(), |total| total.to_string());
            match answer.rows {
                0 => format!("*/{total}"),
                _ => format!("{before}-{}/{total}", seen - 1),
            }
        });
        Self {
            partial,
            range: range.and_then(value),
            link: answer.next.as_ref().and_then(|next| link(query, next, format)),
            next: match &answer.next {
                Some(Next::Cursor(cursor)) => value(cursor.to_string()),
                Some(Next::Offset(_)) | None => None,
            },
            // A preference that could not be followed was not applied.
            counted: counting.filter(|_| total.is_some()).map(|counting| {
                HeaderValue::from_static(match counting {
                    Counting::Exact => "count=exact",
                    Counting::Estimated => "count=estimated",
                })
            }),
            ignored: None,
        }
    }

    /// The same page with the names of filters that were skipped, as many as a header can hold.
    pub(super) fn with_ignored(mut self, names: &[String]) -> Self {
        let mut list = String::new();
        for name in names.iter().map(|name| pipeline::query::params::encode(name)) {
            if list.len() + name.len() > MAX_IGNORED_BYTES {
                list.push_str(if list.is_empty() { "..." } else { ",..." });
                break;
            }
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(&name);
        }
        self.ignored = (!list.is_empty()).then_some(list).and_then(value);
        self
    }

    /// The status of the page.
    pub fn status(&self) -> StatusCode {
        if self.partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }
    }

    /// The header values, each with its name.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        [
            (header::CONTENT_RANGE, &self.range),
            (header::LINK, &self.link),
            (NEXT_CURSOR, &self.next),
            (PREFERENCE_APPLIED, &self.counted),
            (IGNORED_FILTERS, &self.ignored),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }

    /// Puts the headers on an answer that has none of them.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.append(name, value.clone());
        }
    }
}

/// `rows?...` is the same place as seen from the rows and from the query endpoint of a dataset.
fn link(query: &BoundQuery, next: &Next, format: Format) -> Option<HeaderValue> {
    let text = format!("<rows?{}&format={}>; rel=\"next\"", next.query(query).to_params(), format.name());
    value(text).filter(|link| link.len() <= MAX_LINK_BYTES)
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}
