//! Cursors: tokens that say where a page begins, whatever has been added to the table before it.
//!
//! A page ends at a row. Its *keys* are the row's values of the order's columns; the next page begins at the first row that
//! comes at or after the keys, and leaves out as many rows that are equal to the keys as have been given (`ties`). So rows
//! that the order cannot tell apart are neither lost nor given twice. Binding makes a condition of the keys ([`from`]), so
//! that evaluation knows nothing of cursors but a condition and an offset.
//!
//! A token is base64url of: a version byte, the fingerprint of the question (8 bytes), `ties` and `seen` as variable-length
//! numbers, the number of keys and each as its length plus one (0 for null) and its text, and four bytes of a checksum. The
//! text of a key stands for exactly one value of its type. The fingerprint is a hash of the canonical query without limit,
//! offset and cursor, and of the keys' types.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array, Int32Array, Int64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Int32Type, Int64Type, i256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_64;

use super::bound::{BoundCursor, BoundQuery};
use super::error::{QueryErrorKind, Result};
use super::{Query, QueryError, position, text, value};
use crate::eval::PageEnd;

const VERSION: u8 = 1;
/// Orders of more columns have no cursors, as their conditions would nest too deep.
const MAX_KEYS: usize = 32;
/// A longer token would not fit into a URL that everybody takes.
const MAX_TOKEN_BYTES: usize = 6 * 1024;

impl BoundQuery {
    /// The cursor of the page behind one of `rows` rows that ends at `end`; `None` if it would be too long, as the values of
    /// the order's columns are.
    pub fn cursor_after(&self, end: &PageEnd, rows: u64) -> Option<String> {
        if self.order.len() > MAX_KEYS || end.keys.len() != self.order.len() {
            return None;
        }
        let keys = end.keys.iter().map(key_text).collect::<Option<Vec<_>>>()?;
        if keys.iter().flatten().map(String::len).sum::<usize>() > MAX_TOKEN_BYTES {
            return None;
        }
        let seen = self.rows_before().saturating_add(rows);
        let cursor = BoundCursor { from: None, keys, ties: end.ties, seen };
        Some(token(&cursor, fingerprint(&self.to_question(), self))).filter(|token| token.len() <= MAX_TOKEN_BYTES)
    }
}

/// What a cursor is about: all that decides which rows there are, in which order and how they look.
pub(super) fn fingerprint(question: &Query, bound: &BoundQuery) -> u64 {
    let mut about = question.to_params();
    for key in &bound.order {
        let _ = write!(about, "\0{:?}", bound.stage_schema().field(key.column).data_type());
    }
    xxh3_64(about.as_bytes())
}

/// The text of a cursor.
pub(super) fn token(cursor: &BoundCursor, fingerprint: u64) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(fingerprint.to_le_bytes());
    push_number(&mut bytes, cursor.ties);
    push_number(&mut bytes, cursor.seen);
    push_number(&mut bytes, cursor.keys.len() as u64);
    for key in &cursor.keys {
        match key {
            None => push_number(&mut bytes, 0),
            Some(text) => {
                push_number(&mut bytes, text.len() as u64 + 1);
                bytes.extend(text.as_bytes());
            }
        }
    }
    bytes.extend(checksum(&bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_le_bytes();
    [a, b, c, d]
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The query, beginning where a token says.
pub(super) fn begin(bound: BoundQuery, token: &str) -> Result<BoundQuery> {
    let refused = |message: &str, hint: &str| {
        Err(QueryError::new(QueryErrorKind::BadCursor, "cursor", token, message).with_hint(hint))
    };
    if bound.offset > 0 {
        return refused("a cursor and an offset cannot both say where the page begins", "leave out the offset");
    }
    const START: &str = "leave out the cursor to begin anew, and take the next ones from the answers' links";
    let Some((fingerprint_of_token, cursor)) = read(token) else {
        return refused("the cursor is damaged, or was never one", START);
    };
    if fingerprint_of_token != fingerprint(&bound.to_question(), &bound) || cursor.keys.len() != bound.order.len() {
        return refused("the cursor is one of another question: another filter, order or select", START);
    }
    let stage = bound.stage_schema();
    let mut values = Vec::with_capacity(cursor.keys.len());
    for (key, text) in bound.order.iter().zip(&cursor.keys) {
        let data_type = value::value_type(stage.field(key.column).data_type());
        let value = match text {
            None => None,
            Some(text) => match key_value(data_type, text) {
                Some(value) => Some(value),
                None => return refused("the cursor is damaged, or was never one", START),
            },
        };
        values.push(position::Key { order: *key, data_type: data_type.clone(), value });
    }
    // The text that was sent may be another one for the same value.
    let keys = values.iter().map(|key| key.value.as_ref().and_then(key_text).flatten()).collect();
    let cursor = BoundCursor { from: position::from(&values), keys, ..cursor };
    Ok(BoundQuery { cursor: Some(cursor), ..bound })
}

/// The parts of a token; `None` if it is none.
fn read(token: &str) -> Option<(u64, BoundCursor)> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (bytes, sum) = bytes.split_last_chunk::<4>()?;
    if checksum(bytes) != *sum {
        return None;
    }
    let (&version, rest) = bytes.split_first()?;
    let (fingerprint, mut rest) = rest.split_first_chunk::<8>()?;
    let ties = take_number(&mut rest)?;
    let seen = take_number(&mut rest)?;
    let count = usize::try_from(take_number(&mut rest)?).ok()?;
    if version != VERSION || count > MAX_KEYS {
        return None;
    }
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        keys.push(match take_number(&mut rest)? {
            0 => None,
            length => {
                let (text, behind) = rest.split_at_checked(usize::try_from(length - 1).ok()?)?;
                rest = behind;
                Some(String::from_utf8(text.to_vec()).ok()?)
            }
        });
    }
    let cursor = BoundCursor { from: None, keys, ties, seen };
    rest.is_empty().then_some((u64::from_le_bytes(*fingerprint), cursor))
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        number |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The text of the first value of an array, `None` for null; nothing for a type that has no order.
fn key_text(array: &ArrayRef) -> Option<Option<String>> {
    let plain;
    let array = match array.data_type() {
        DataType::Dictionary(_, values) => {
            plain = cast(array, values).ok()?;
            &plain
        }
        _ => array,
    };
    if array.is_empty() || !value::is_sortable(array.data_type()) {
        return None;
    }
    if array.is_null(0) {
        return Some(None);
    }
    Some(Some(match array.data_type() {
        DataType::Decimal32(..) => array.as_primitive::<Decimal32Type>().value(0).to_string(),
        DataType::Decimal64(..) => array.as_primitive::<Decimal64Type>().value(0).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value(0).to_string(),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value(0).to_string(),
        DataType::Date32 | DataType::Time32(_) => {
            let units = value::relabelled(&array.slice(0, 1), &DataType::Int32).ok()?;
            units.as_primitive::<Int32Type>().value(0).to_string()
        }
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => {
            let units = value::relabelled(&array.slice(0, 1), &DataType::Int64).ok()?;
            units.as_primitive::<Int64Type>().value(0).to_string()
        }
        _ => text::text(array, 0),
    }))
}

/// The value of a key's text.
fn key_value(data_type: &DataType, text: &str) -> Option<ArrayRef> {
    let units: ArrayRef = match data_type {
        DataType::Decimal32(..) => Arc::new(Decimal32Array::from(vec![text.parse::<i32>().ok()?])),
        DataType::Decimal64(..) => Arc::new(Decimal64Array::from(vec![text.parse::<i64>().ok()?])),
        DataType::Decimal128(..) => Arc::new(Decimal128Array::from(vec![text.parse::<i128>().ok()?])),
        DataType::Decimal256(..) => Arc::new(Decimal256Array::from(vec![i256::from_string(text)?])),
        DataType::Date32 | DataType::Time32(_) => Arc::new(Int32Array::from(vec![text.parse::<i32>().ok()?])),
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => {
            Arc::new(Int64Array::from(vec![text.parse::<i64>().ok()?]))
        }
        _ => return value::fit(data_type, text).ok().filter(|fit| fit.exact).map(|fit| fit.value),
    };
    value::relabelled(&units, data_type).ok()
}
