//! A result as it is sent: encoded and compressed, or to be, with its header values made once.

use std::io::Write;

use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use pipeline::AnswerFrom;
use pipeline::format::Format;

use super::negotiate::Coding;
use super::page::Page;
use super::stream::Rows;

/// Another release may write a format in another way.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bodies below this many bytes are not worth compressing.
const MIN_COMPRESSED_BYTES: usize = 200;
/// The usual middle of gzip: smaller than level 1 by a fifth, at a cost that is paid once.
pub(super) const GZIP_LEVEL: u32 = 6;
/// zstd's default.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// An answer, ready or to be written as it is sent.
#[derive(Debug, Clone)]
pub struct Body {
    /// What is sent.
    pub content: Content,
    /// Strong validator of this representation.
    pub etag: HeaderValue,
    /// What it is written in.
    pub format: Format,
    /// How it is compressed.
    pub coding: Coding,
    /// Which part of the whole answer it is.
    pub page: Page,
    made_from: AnswerFrom,
}

/// The bytes of an answer, or what they are made of.
#[derive(Debug, Clone)]
pub enum Content {
    /// Encoded and compressed.
    Ready(Bytes),
    /// Too large to be kept: encoded and compressed for each client on the way.
    Streamed(Rows),
}

impl Body {
    /// Compresses `bytes` where that makes them smaller, and makes the header values.
    pub fn new(bytes: Vec<u8>, format: Format, coding: Coding, page: Page, made_from: AnswerFrom) -> Self {
        match compress(&bytes, coding).filter(|smaller| smaller.len() < bytes.len()) {
            Some(smaller) => Self::ready(smaller, format, coding, page, made_from),
            None => Self::ready(bytes, format, Coding::Identity, page, made_from),
        }
    }

    /// A body of bytes that are compressed already.
    pub(super) fn ready(mut bytes: Vec<u8>, format: Format, coding: Coding, page: Page, made_from: AnswerFrom) -> Self {
        // The coders reserve for the worst case, and `Bytes` would keep that.
        bytes.shrink_to_fit();
        let bytes = Bytes::from(bytes);
        let etag = format!("\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(&bytes));
        Self { etag: tag(etag), content: Content::Ready(bytes), format, coding, page, made_from }
    }

    /// A body that is written as it is sent. `identity` is what its bytes are a function of, besides format and coding.
    pub(super) fn streamed(rows: Rows, identity: &[u8], format: Format, coding: Coding, page: Page) -> Self {
        let made_from = rows.answer.from;
        let identity = [identity, format.name().as_bytes(), coding.name().as_bytes(), VERSION.as_bytes()].join(&0);
        let etag = format!("\"s{:032x}\"", xxhash_rust::xxh3::xxh3_128(&identity));
        Self { etag: tag(etag), content: Content::Streamed(rows), format, coding, page, made_from }
    }

    /// The bytes, if they are ready.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Ready(bytes) => Some(bytes),
            Content::Streamed(_) => None,
        }
    }

    /// What `Content-Encoding` says, unless identity.
    pub fn content_encoding(&self) -> Option<&'static str> {
        (self.coding != Coding::Identity).then(|| self.coding.name())
    }

    /// Where the data came from when the body was made.
    pub fn made_from(&self) -> AnswerFrom {
        self.made_from
    }

    /// What the body weighs in a cache: its bytes and its struct with the header values. One that is not ready is too
    /// heavy for every cache.
    pub fn weight(&self) -> u64 {
        let Some(bytes) = self.bytes() else { return u64::MAX / 2 };
        let page: usize = self.page.headers().map(|(_, value)| value.len()).sum();
        (bytes.len() + self.etag.len() + page + size_of::<Self>()) as u64
    }

    /// Whether an `If-None-Match` header names this body: RFC 9110, section 13.1.2.
    pub fn matches(&self, if_none_match: &HeaderValue) -> bool {
        let Ok(list) = if_none_match.to_str() else { return false };
        list.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes())
    }
}

fn tag(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// `None` for identity, for tiny bodies, and when a coder fails (which it cannot on memory).
fn compress(bytes: &[u8], coding: Coding) -> Option<Vec<u8>> {
    if bytes.len() < MIN_COMPRESSED_BYTES {
        return None;
    }
    match coding {
        Coding::Identity => None,
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(bytes).ok()?;
            encoder.finish().ok()
        }
        Coding::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_body_gives_back_its_bytes_and_has_a_tag_of_its_own() {
        let text = b"region,amount\n".repeat(100);
        let plain = Body::new(text.clone(), Format::Csv, Coding::Identity, Page::default(), AnswerFrom::Cache);
        let gzip = Body::new(text.clone(), Format::Csv, Coding::Gzip, Page::default(), AnswerFrom::Cache);
        let zstd = Body::new(text.clone(), Format::Csv, Coding::Zstd, Page::default(), AnswerFrom::Cache);
        assert_eq!(plain.content_encoding(), None);
        assert_eq!((gzip.content_encoding(), zstd.content_encoding()), (Some("gzip"), Some("zstd")));
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip.bytes().unwrap()[..]), &mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text);
        assert_eq!(zstd::decode_all(&zstd.bytes().unwrap()[..]).unwrap(), text);
        assert!(plain.etag != gzip.etag && gzip.etag != zstd.etag);
    }

    #[test]
    fn small_or_incompressible_bodies_are_sent_as_they_are() {
        assert_eq!(
            Body::new(b"[]".to_vec(), Format::Json, Coding::Gzip, Page::default(), AnswerFrom::Cache)
                .content_encoding(),
            None
        );
    }

    #[test]
    fn if_none_match_takes_lists_weak_tags_and_the_star() {
        let body = Body::new(b"[]".to_vec(), Format::Json, Coding::Identity, Page::default(), AnswerFrom::Cache);
        let tag = body.etag.to_str().unwrap();
        for yes in [tag.to_owned(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            assert!(body.matches(&HeaderValue::try_from(&yes).unwrap()), "{yes}");
        }
        assert!(!body.matches(&HeaderValue::from_static("\"x\"")));
    }
}
