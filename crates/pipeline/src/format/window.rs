//! Short copies without a call: a fixed number of bytes is copied, then what was too much is cut off again.
//!
//! Most cells are shorter than [`WINDOW`]. A copy of a length known only at run time is a call of `memcpy`, which costs
//! more than the bytes; one of a constant length is two vector moves.

/// Bytes of one copy.
pub(super) const WINDOW: usize = 32;

/// The window of `data` that begins at `start`, unless it would reach over the end.
#[inline]
pub(super) fn at(data: &[u8], start: usize) -> Option<&[u8; WINDOW]> {
    data.get(start..).and_then(<[u8]>::first_chunk)
}

/// Appends `data[start..start + len]`.
#[inline]
pub(super) fn append(data: &[u8], start: usize, len: usize, out: &mut Vec<u8>) {
    match at(data, start) {
        Some(window) if len <= WINDOW => {
            let end = out.len() + len;
            out.extend_from_slice(window);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&data[start..start + len]),
    }
}

/// Appends one of two words of up to eight bytes.
#[inline]
pub(super) fn append_word(word: &[u8; 8], len: usize, out: &mut Vec<u8>) {
    let end = out.len() + len;
    out.extend_from_slice(word);
    out.truncate(end);
}

/// `byte` in each byte of a word.
pub(super) const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// A word in which the highest bit of a byte is set where `word` has a zero, and perhaps in bytes above the first such.
#[inline]
pub(super) const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(1)) & !word & each(0x80)
}

/// How many bytes come before the first special one: eight at a time by `marks`, which sets the highest bit of special
/// bytes in a little-endian word, right up to the first at least.
#[inline]
pub(super) fn plain_bytes(text: &[u8], marks: impl Fn(u64) -> u64, is_special: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let plain = rest.iter().take_while(|byte| !is_special(**byte)).count();
    words.len() * 8 + plain
}

/// Bytes that are appended often, with room behind them for a window.
pub(super) struct Fragment {
    padded: Vec<u8>,
    len: usize,
}

impl Fragment {
    pub(super) fn new(mut bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        bytes.resize(len + WINDOW, 0);
        Self { padded: bytes, len }
    }

    #[inline]
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        append(&self.padded, 0, self.len, out);
    }
}

/// A short text that is put together before it is written: a date, a time, a number.
pub(super) struct Short {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Short {
    /// Bytes it has room for: 39 digits, a sign, a point and 38 zeros at most, or a date with time and zone.
    pub(super) const ROOM: usize = 96;

    pub(super) fn new() -> Self {
        Self { bytes: [0; Self::ROOM], len: 0 }
    }

    /// Appends bytes of a length known at compile time.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    /// Appends bytes.
    #[inline]
    pub(super) fn put_slice(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends a number of two digits.
    #[inline]
    pub(super) fn put_two(&mut self, number: u32) {
        self.put(TWO_DIGITS[number as usize % 100]);
    }

    /// Empties it.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Its bytes with room behind them, and how many of them count.
    #[inline]
    pub(super) fn padded(&self) -> (&[u8], usize) {
        (&self.bytes, self.len)
    }
}

/// "00" to "99".
pub(super) static TWO_DIGITS: [[u8; 2]; 100] = {
    let mut table = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        table[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    table
};
