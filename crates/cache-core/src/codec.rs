//! How payloads are compressed on their way to disk.
//!
//! The default is zstd at level 1. `cargo xtask bench disk` prints size and time of the three: tables shrink to 12 % with
//! gzip at level 6 and to 16 % with zstd, JSON to 5 % with either, and zstd takes a fifteenth of the time.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

/// gzip's level: its usual middle.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 1;
/// Payloads up to this are decompressed in one step, into a buffer of the size that they say.
const AT_ONCE: u64 = 64 << 20;

thread_local! {
    /// Making them costs more than using them on a small payload. `None` if they cannot be made.
    static ZSTD: RefCell<Option<(Compressor<'static>, Decompressor<'static>)>> =
        RefCell::new(Compressor::new(ZSTD_LEVEL).ok().zip(Decompressor::new().ok()));
}

/// Payloads below this are stored as they are: no coder makes them smaller by a page.
const MIN_BYTES: usize = 256;

/// A way to compress payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// As they are.
    None,
    /// gzip, level 6.
    Gzip,
    /// Zstandard, level 1.
    #[default]
    Zstd,
}

impl Codec {
    /// The number that stands for it in stored records.
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Zstd => 2,
        }
    }

    /// The codec of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Zstd].into_iter().find(|codec| codec.number() == number)
    }

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The codec that this payload is stored with: none for what is small, or compressed already.
    pub fn for_payload(self, payload: &[u8]) -> Self {
        if payload.len() < MIN_BYTES || looks_random(payload) { Self::None } else { self }
    }

    /// Compresses a payload.
    ///
    /// # Errors
    /// The coder failed.
    pub fn compress(self, bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(&bytes)?;
                encoder.finish()
            }
            Self::Zstd => ZSTD.with_borrow_mut(|zstd| match zstd {
                Some((compressor, _)) => compressor.compress(&bytes),
                None => zstd::bulk::compress(&bytes, ZSTD_LEVEL),
            }),
        }
    }

    /// Gives back the payload, if it is of `max_bytes` at most.
    ///
    /// # Errors
    /// The bytes are not what the coder wrote, or there are too many.
    pub fn decompress(self, bytes: Vec<u8>, max_bytes: u64) -> std::io::Result<Vec<u8>> {
        let reader: Box<dyn Read + '_> = match self {
            Self::None if bytes.len() as u64 > max_bytes => return Err(too_many()),
            Self::None => return Ok(bytes),
            Self::Zstd if max_bytes <= AT_ONCE => {
                return ZSTD.with_borrow_mut(|zstd| match zstd {
                    Some((_, decompressor)) => decompressor.decompress(&bytes, max_bytes as usize),
                    None => zstd::bulk::decompress(&bytes, max_bytes as usize),
                });
            }
            Self::Gzip => Box::new(flate2::read::GzDecoder::new(&bytes[..])),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(&bytes[..])?),
        };
        let mut payload = Vec::new();
        reader.take(max_bytes.saturating_add(1)).read_to_end(&mut payload)?;
        if payload.len() as u64 > max_bytes {
            return Err(too_many());
        }
        Ok(payload)
    }
}

/// Whether the bytes look like compressed or encrypted ones, which no coder makes smaller: in a sample of them, equal
/// bytes meet hardly more often than they would by chance.
fn looks_random(payload: &[u8]) -> bool {
    const WINDOWS: usize = 8;
    const WINDOW: usize = 128;
    let mut counts = [0_u32; 256];
    let (step, mut sampled) = ((payload.len() / WINDOWS).max(1), 0_u32);
    for window in payload.chunks(step).take(WINDOWS) {
        for &byte in &window[..window.len().min(WINDOW)] {
            counts[usize::from(byte)] += 1;
            sampled += 1;
        }
    }
    let pairs: u32 = counts.iter().map(|&count| count * count.saturating_sub(1)).sum();
    let by_chance = sampled * sampled.saturating_sub(1) / 256;
    // A third more: text and numbers have several times as many.
    sampled > 0 && pairs < by_chance + by_chance / 3
}

fn too_many() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "more bytes than were stored")
}

impl FromStr for Codec {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::None, Self::Gzip, Self::Zstd].into_iter().find(|codec| codec.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_already_is_not_compressed_again() {
        let mut state = 7_u64;
        let mut random = || {
            // Knuth's MMIX generator; its high bits are good enough.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let json: Vec<u8> =
            (0..4_000).flat_map(|row| format!("{{\"row\":{row},\"v\":{}}}", random()).into_bytes()).collect();
        let numbers: Vec<u8> = (0..4_000).flat_map(|_| (random() % 100_000).to_le_bytes()).collect();
        let noise: Vec<u8> = (0..4_096).map(|_| random() as u8).collect();
        for (what, payload, expected) in [
            ("text", json.clone(), Codec::Zstd),
            ("numbers", numbers, Codec::Zstd),
            ("zeros", vec![0; 4_096], Codec::Zstd),
            ("noise", noise.clone(), Codec::None),
            ("a little noise", noise[..300].to_vec(), Codec::None),
            ("compressed text", Codec::Gzip.compress(json.clone()).unwrap(), Codec::None),
            ("small text", json[..100].to_vec(), Codec::None),
        ] {
            assert_eq!(Codec::Zstd.for_payload(&payload), expected, "{what}");
        }
    }

    #[test]
    fn payloads_come_back_whole_and_bombs_do_not() {
        let payload = b"region,amount\n".repeat(1_000);
        for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
            let stored = codec.compress(payload.clone()).unwrap();
            assert_eq!(codec.decompress(stored.clone(), 1 << 20).unwrap(), payload, "{codec:?}");
            assert_eq!(Codec::from_number(codec.number()), Some(codec));
            assert_eq!(codec.name().parse(), Ok(codec));
            if codec != Codec::None {
                assert!(codec.decompress(stored[..stored.len() / 2].to_vec(), 1 << 20).is_err(), "{codec:?}, cut");
            }
            assert!(codec.decompress(stored, 1_000).is_err(), "{codec:?}, more than promised");
        }
    }
}
