//! What each codec makes of payloads, and in which time: the figures that the default codec is chosen by.

use std::time::Instant;

use anyhow::ensure;
use cache_core::Codec;

use super::tables;
use crate::report::section;

const CODECS: [Codec; 3] = [Codec::None, Codec::Gzip, Codec::Zstd];
const TABLE_BYTES: usize = 400_000;
const SMALL_BYTES: usize = 4_096;
const ROUNDS: usize = 3;

/// Payloads of one kind.
struct Payloads {
    what: &'static str,
    each: Vec<Vec<u8>>,
}

/// What a codec did with all payloads of a kind.
struct Figures {
    stored: usize,
    compress_seconds: f64,
    decompress_seconds: f64,
}

/// Prints the table and what it says of the default.
pub(super) fn run() -> anyhow::Result<()> {
    section(
        "Codecs: stored size in % of the payload, MB of payload a second; each payload apart, best of 3 rounds",
        &["the sample tables of data/, rows repeated with every number moved by a few percent; levels: gzip 6, zstd 1"],
    );
    println!("  {:<42} {:>8} {:>10} {:>12} {:>14}", "payloads", "codec", "stored %", "compress", "decompress");
    let (mut sizes, mut times) = ([0.0; 3], [0.0; 3]);
    for payloads in kinds()? {
        let plain: usize = payloads.each.iter().map(Vec::len).sum();
        for (number, codec) in CODECS.into_iter().enumerate() {
            let figures = measure(codec, &payloads.each)?;
            let percent = figures.stored as f64 / plain as f64 * 100.0;
            let rate = |seconds: f64| plain as f64 / 1e6 / seconds;
            let (compress, decompress) = (rate(figures.compress_seconds), rate(figures.decompress_seconds));
            let what = payloads.what;
            match codec {
                Codec::None => println!("  {what:<42} {:>8} {percent:>10.1} {:>12} {:>14}", codec.name(), "-", "-"),
                _ => println!(
                    "  {what:<42} {:>8} {percent:>10.1} {compress:>7.0} MB/s {decompress:>9.0} MB/s",
                    codec.name()
                ),
            }
            sizes[number] += percent;
            times[number] += figures.compress_seconds + figures.decompress_seconds;
        }
    }
    let [_, gzip, zstd] = times;
    println!(
        "  default: {}. zstd stores {:.2}x of gzip's bytes in 1/{:.1} of its time, and 1/{:.1} of the bytes as they are",
        Codec::default().name(),
        sizes[2] / sizes[1],
        gzip / zstd,
        sizes[0] / sizes[2],
    );
    Ok(())
}

fn kinds() -> anyhow::Result<Vec<Payloads>> {
    let tables = tables::samples(TABLE_BYTES)?;
    let all = |encode: fn(&_) -> anyhow::Result<Vec<u8>>| tables.iter().map(encode).collect::<anyhow::Result<Vec<_>>>();
    let (streams, texts) = (all(tables::encode)?, all(tables::json)?);
    // Pieces of the JSON, as long as small answers are.
    let pieces = texts.iter().flat_map(|text| text.chunks_exact(SMALL_BYTES).take(100)).map(<[u8]>::to_vec).collect();
    Ok(vec![
        Payloads { what: "sample tables as Arrow IPC, 0.4 MB each", each: streams },
        Payloads { what: "sample tables as JSON", each: texts },
        Payloads { what: "answers of 4 KiB of JSON", each: pieces },
    ])
}

fn measure(codec: Codec, payloads: &[Vec<u8>]) -> anyhow::Result<Figures> {
    let mut best = Figures { stored: 0, compress_seconds: f64::INFINITY, decompress_seconds: f64::INFINITY };
    for _ in 0..ROUNDS {
        let given = payloads.to_vec();
        let began = Instant::now();
        let stored: Vec<Vec<u8>> =
            given.into_iter().map(|payload| codec.compress(payload)).collect::<Result<_, _>>()?;
        best.compress_seconds = best.compress_seconds.min(began.elapsed().as_secs_f64());
        best.stored = stored.iter().map(Vec::len).sum();

        let began = Instant::now();
        let back: Vec<Vec<u8>> = stored
            .into_iter()
            .zip(payloads)
            .map(|(stored, payload)| codec.decompress(stored, payload.len() as u64))
            .collect::<Result<_, _>>()?;
        best.decompress_seconds = best.decompress_seconds.min(began.elapsed().as_secs_f64());
        ensure!(back == payloads, "compress with {}: the payload came back changed", codec.name());
    }
    Ok(best)
}
