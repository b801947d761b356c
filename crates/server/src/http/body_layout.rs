//! Bodies as they are kept on disk: their bytes, and one byte each for format and coding behind them.
//!
//! The two come last so that reading a body back copies nothing. The validator is not kept: it is a function of the
//! bytes, and making it again costs less than reading them did.

use std::sync::Arc;

use cache_core::{Persist, PersistError};
use pipeline::AnswerFrom;
use pipeline::format::Format;
use xxhash_rust::xxh3::xxh3_64;

use super::body::Body;
use super::negotiate::Coding;

/// Numbers that stand for formats and codings in what is stored. They never change their meaning.
const FORMATS: [(u8, Format); 4] = [(1, Format::Json), (2, Format::Ndjson), (3, Format::Csv), (4, Format::Arrow)];
const CODINGS: [(u8, Coding); 3] = [(0, Coding::Identity), (1, Coding::Gzip), (2, Coding::Zstd)];

/// Writes and reads bodies.
#[derive(Debug, Clone, Copy)]
pub struct BodyLayout;

impl Persist<Arc<Body>> for BodyLayout {
    /// Another release may write a format in another way, so it makes its bodies anew; the tables on disk stay.
    fn layout(&self) -> u64 {
        xxh3_64(concat!("larder body 1 of ", env!("CARGO_PKG_VERSION")).as_bytes())
    }

    fn weight(&self, body: &Arc<Body>) -> u64 {
        body.weight()
    }

    fn encode(&self, body: &Arc<Body>) -> Result<Vec<u8>, PersistError> {
        let mut bytes = Vec::with_capacity(body.bytes.len() + 2);
        bytes.extend_from_slice(&body.bytes);
        bytes.push(number_of(&FORMATS, body.format).ok_or("this format has no number")?);
        bytes.push(number_of(&CODINGS, body.coding).ok_or("this coding has no number")?);
        Ok(bytes)
    }

    fn decode(&self, mut bytes: Vec<u8>) -> Result<Arc<Body>, PersistError> {
        let coding = bytes.pop().and_then(|number| meaning_of(&CODINGS, number)).ok_or("no such coding")?;
        let format = bytes.pop().and_then(|number| meaning_of(&FORMATS, number)).ok_or("no such format")?;
        // Where its data came from is told to whoever waits for the body to be made, which is over.
        Ok(Arc::new(Body::ready(bytes, format, coding, AnswerFrom::Cache)))
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

    #[test]
    fn every_format_and_coding_comes_back_with_its_validator() {
        let text = b"region,amount\n".repeat(100);
        for format in Format::ALL {
            for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
                let body = Arc::new(Body::new(text.clone(), format, coding, AnswerFrom::Source));
                let read = BodyLayout.decode(BodyLayout.encode(&body).unwrap()).unwrap();
                assert_eq!((&read.bytes, &read.etag), (&body.bytes, &body.etag), "{format:?}, {coding:?}");
                assert_eq!((read.format, read.coding), (body.format, body.coding));
                assert_eq!(BodyLayout.weight(&read), body.weight());
            }
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bad in [&b""[..], b"\0", b"[]\x01\x07", b"[]\x09\x00", b"[]\x00\x00"] {
            assert!(BodyLayout.decode(bad.to_vec()).is_err(), "{bad:?}");
        }
    }
}
