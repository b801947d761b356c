//! How a format spells values: what [`Cells`](super::cells::Cells) call for each value that they read.

/// The spelling of values in one format. Every method appends to `out`.
pub(super) trait Dialect: Send + 'static {
    /// Whether a list or an object is spelled as a text of JSON.
    const NESTED_AS_TEXT: bool = false;

    /// Nothing there.
    fn null(out: &mut Vec<u8>);
    fn boolean(value: bool, out: &mut Vec<u8>);
    fn signed(value: i64, out: &mut Vec<u8>);
    fn unsigned(value: u64, out: &mut Vec<u8>);
    fn half(value: f32, out: &mut Vec<u8>);
    fn single(value: f32, out: &mut Vec<u8>);
    fn double(value: f64, out: &mut Vec<u8>);
    /// The number `data[..len]`, with all its digits.
    fn decimal(data: &[u8], len: usize, out: &mut Vec<u8>);
    /// The text `data[start..start + len]`; what follows it in `data` may be read, not written.
    fn text(data: &[u8], start: usize, len: usize, out: &mut Vec<u8>);
    /// The text `data[..len]`, in which nothing needs an escape: a date, a time, an interval.
    fn plain(data: &[u8], len: usize, out: &mut Vec<u8>);
    fn binary(bytes: &[u8], out: &mut Vec<u8>);

    /// Before the items of a list.
    fn open_list(items: usize, out: &mut Vec<u8>);
    fn close_list(out: &mut Vec<u8>);
    /// Before the members of an object.
    fn open_object(members: usize, out: &mut Vec<u8>);
    fn close_object(out: &mut Vec<u8>);
    /// Between items, and between members.
    fn separator(out: &mut Vec<u8>);
    /// Between the name of a member and its value.
    fn colon(out: &mut Vec<u8>);
}

/// Appends two hexadecimal digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        let mut digits = [0; 32];
        for (two, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(block) {
            *two = HEXADECIMAL[*byte as usize];
        }
        out.extend_from_slice(&digits);
    }
    for byte in blocks.remainder() {
        out.extend_from_slice(&HEXADECIMAL[*byte as usize]);
    }
}

/// "00" to "ff".
pub(super) static HEXADECIMAL: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};
