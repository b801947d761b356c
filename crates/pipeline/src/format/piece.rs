//! Appending few bytes, which is nearly all that a writer of text does.
//!
//! A copy of a length that is known when this is compiled is two or three instructions; any other is a call. So short pieces
//! are copied with what is behind them, which is cut off again.

/// Bytes that are appended again and again.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    padded: [u8; Self::SHORT],
}

impl Piece {
    const SHORT: usize = 32;

    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let mut padded = [0; Self::SHORT];
        if let Some(start) = padded.get_mut(..bytes.len()) {
            start.copy_from_slice(&bytes);
        }
        Self { bytes, padded }
    }

    #[inline]
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        match self.bytes.len() {
            len @ 0..=Self::SHORT => push_start(&self.padded, len, out),
            _ => out.extend_from_slice(&self.bytes),
        }
    }
}

/// Appends the first `len` bytes of `padded`.
#[inline]
pub(super) fn push_start<const N: usize>(padded: &[u8; N], len: usize, out: &mut Vec<u8>) {
    let end = out.len() + len.min(N);
    out.extend_from_slice(padded);
    out.truncate(end);
}
