//! Bodies as they are kept on disk.
//!
//! ```text
//! bytes | header values of the page | length of each: u16 LE (0 for none) | flags: u8 | format: u8 | coding: u8
//! ```
//!
//! What is known of the bytes comes last so that reading a body back copies nothing. The validator is not kept: it is a
//! function of the bytes, and making it again costs less than reading them did.

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use cache_core::{Persist, PersistError};
use pipeline::AnswerFrom;
use pipeline::format::Format;
use xxhash_rust::xxh3::xxh3_64;

use super::body::Body;
use super::negotiate::Coding;
use super::page::Page;

/// Numbers that stand for formats and codings in what is stored. They never change their meaning.
const FORMATS: [(u8, Format); 9] = [
    (1, Format::Json),
    (2, Format::Ndjson),
    (3, Format::Csv),
    (4, Format::Arrow),
    (5, Format::JsonColumns),
    (6, Format::CsvRaw),
    (7, Format::MessagePack),
    (8, Format::ArrowFile),
    (9, Format::Parquet),
];
const CODINGS: [(u8, Coding); 3] = [(0, Coding::Identity), (1, Coding::Gzip), (2, Coding::Zstd)];

/// The flag of a page that is not the whole answer.
const PARTIAL: u8 = 1;

/// Writes and reads bodies.
#[derive(Debug, Clone, Copy)]
pub struct BodyLayout {
    /// The most rows of an answer that was asked for without a limit: another number makes other bodies.
    pub max_rows: u64,
}

impl Persist<Arc<Body>> for BodyLayout {
    /// Another release may write a format in another way, so it makes its bodies anew; the tables on disk stay.
    fn layout(&self) -> u64 {
        xxh3_64(format!("larder body 2 of {}, {}", env!("CARGO_PKG_VERSION"), self.max_rows).as_bytes())
    }

    fn weight(&self, body: &Arc<Body>) -> u64 {
        body.weight()
    }

    fn encode(&self, body: &Arc<Body>) -> Result<Vec<u8>, PersistError> {
        let content = body.bytes().ok_or("a streamed answer is not kept")?;
        let mut bytes = Vec::with_capacity(content.len() + 64);
        bytes.extend_from_slice(content);
        let page = &body.page;
        let values = [&page.range, &page.link, &page.next, &page.counted, &page.ignored];
        let values = values.map(|value| value.as_ref().map_or(&b""[..], HeaderValue::as_bytes));
        values.iter().for_each(|value| bytes.extend_from_slice(value));
        for value in values {
            bytes.extend_from_slice(&u16::try_from(value.len())?.to_le_bytes());
        }
        bytes.push(if page.partial { PARTIAL } else { 0 });
        bytes.push(number_of(&FORMATS, body.format).ok_or("this format has no number")?);
        bytes.push(number_of(&CODINGS, body.coding).ok_or("this coding has no number")?);
        Ok(bytes)
    }

    fn decode(&self, mut bytes: Vec<u8>) -> Result<Arc<Body>, PersistError> {
        let coding = bytes.pop().and_then(|number| meaning_of(&CODINGS, number)).ok_or("no such coding")?;
        let format = bytes.pop().and_then(|number| meaning_of(&FORMATS, number)).ok_or("no such format")?;
        let flags = bytes.pop().ok_or("no flags")?;
        let mut lengths = [0; 5];
        for length in lengths.iter_mut().rev() {
            let high = bytes.pop().ok_or("half a length")?;
            let low = bytes.pop().ok_or("half a length")?;
            *length = usize::from(u16::from_le_bytes([low, high]));
        }
        let [ignored, counted, next, link, range] = {
            let mut values = [const { None }; 5];
            for (value, length) in values.iter_mut().zip(lengths.iter().rev()) {
                let start = bytes.len().checked_sub(*length).ok_or("half a header value")?;
                *value = (*length > 0).then(|| HeaderValue::from_bytes(&bytes[start..])).transpose()?;
                bytes.truncate(start);
            }
            values
        };
        let page = Page { partial: flags & PARTIAL != 0, range, link, next, counted, ignored };
        // Where its data came from is told to whoever waits for the body to be made, which is over.
        Ok(Arc::new(Body::ready(bytes, format, coding, page, AnswerFrom::Cache)))
    }
}

fn number_of<T: PartialEq>(numbers: &[(u8, T)], meaning: T) -> Option<u8> {
    numbers.iter().find(|(_, known)| *known == meaning).map(|(number, _)| *number)
}

fn meaning_of<T: Copy>(numbers: &[(u8, T)], number: u8) -> Option<T> {
    numbers.iter().find(|(known, _)| *known == number).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: BodyLayout = BodyLayout { max_rows: 10 };

    #[test]
    fn every_format_and_coding_comes_back_with_its_validator_and_its_page() {
        let text = b"region,amount\n".repeat(100);
        let page = Page {
            partial: true,
            range: Some(HeaderValue::from_static("0-9/20")),
            next: Some(HeaderValue::from_static("token")),
            ..Page::default()
        };
        for (_, format) in FORMATS {
            for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
                for page in [&page, &Page::default()] {
                    let body = Arc::new(Body::new(text.clone(), format, coding, page.clone(), AnswerFrom::Source));
                    let read = LAYOUT.decode(LAYOUT.encode(&body).unwrap()).unwrap();
                    assert_eq!((read.bytes(), &read.etag), (body.bytes(), &body.etag), "{format:?}, {coding:?}");
                    assert_eq!((read.format, read.coding, &read.page), (body.format, body.coding, page));
                    assert_eq!(LAYOUT.weight(&read), body.weight());
                }
            }
        }
    }

    #[test]
    fn every_format_that_clients_can_name_has_a_number() {
        assert!(Format::ALL.iter().all(|format| number_of(&FORMATS, *format).is_some()));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bad in [&b""[..], b"\0", b"[]\x01\x07", b"[]\x09\x00", b"[]\x00\x00\x01\x00", &[255; 13]] {
            assert!(LAYOUT.decode(bad.to_vec()).is_err(), "{bad:?}");
        }
    }
}
