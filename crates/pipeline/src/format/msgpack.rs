//! Values in MessagePack: numbers, texts, bytes, arrays and maps are native; dates and times are ISO 8601 texts, decimals the
//! text of all their digits.

use std::io::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float16Type};
use arrow::error::ArrowError;
use arrow::util::display::ArrayFormatter;

use super::calendar::Stamp;
use super::cell::{Cell, DISPLAY, Dialect, Whole, Written, cells};

/// Values in MessagePack.
pub(super) struct MessagePack;

impl Dialect for MessagePack {
    #[inline]
    fn null(out: &mut Vec<u8>) {
        out.push(0xc0);
    }

    #[inline]
    fn boolean(value: bool, out: &mut Vec<u8>) {
        out.push(if value { 0xc3 } else { 0xc2 });
    }

    #[inline]
    fn integer<I: Whole>(value: I, out: &mut Vec<u8>) {
        match value.halves() {
            Ok(value) => push_unsigned(value, out),
            Err(value) => push_negative(value, out),
        }
    }

    #[inline]
    fn float32(value: f32, out: &mut Vec<u8>) {
        push_with(0xca, &value.to_be_bytes(), out);
    }

    #[inline]
    fn float64(value: f64, out: &mut Vec<u8>) {
        push_with(0xcb, &value.to_be_bytes(), out);
    }

    #[inline]
    fn decimal(digits: &[u8], out: &mut Vec<u8>) {
        push_str(digits, out);
    }

    #[inline]
    fn text(value: &str, out: &mut Vec<u8>) {
        push_str(value.as_bytes(), out);
    }

    #[inline]
    fn time(value: &Stamp, out: &mut Vec<u8>) {
        push_str(value.as_bytes(), out);
    }

    #[inline]
    fn bytes(value: &[u8], out: &mut Vec<u8>) {
        push_length([0xc4, 0xc5, 0xc6], value.len(), out);
        out.extend_from_slice(value);
    }

    fn displayed(formatter: &ArrayFormatter<'_>, row: usize, out: &mut Vec<u8>) -> Written {
        let mut text = Vec::new();
        // Writing to memory does not fail; a value that has no text becomes a message that says so.
        let _ = write!(text, "{}", formatter.value(row));
        push_str(&text, out);
        Ok(())
    }

    fn rare<'a>(column: &'a dyn Array, field: &'a FieldRef) -> Result<Cell<'a>, ArrowError> {
        Ok(match column.data_type() {
            DataType::Float16 => {
                let values = column.as_primitive::<Float16Type>();
                Box::new(move |row, out| {
                    Self::float32(values.value(row).to_f32(), out);
                    Ok(())
                })
            }
            DataType::List(_) => {
                let lists = column.as_list::<i32>();
                list(lists.values(), field, |row| {
                    let ends = &lists.value_offsets()[row..row + 2];
                    (ends[0] as usize, ends[1] as usize)
                })?
            }
            DataType::LargeList(_) => {
                let lists = column.as_list::<i64>();
                list(lists.values(), field, |row| {
                    let ends = &lists.value_offsets()[row..row + 2];
                    (ends[0] as usize, ends[1] as usize)
                })?
            }
            DataType::ListView(_) => {
                let lists = column.as_list_view::<i32>();
                list(lists.values(), field, |row| {
                    let start = lists.value_offsets()[row] as usize;
                    (start, start + lists.value_sizes()[row] as usize)
                })?
            }
            DataType::LargeListView(_) => {
                let lists = column.as_list_view::<i64>();
                list(lists.values(), field, |row| {
                    let start = lists.value_offsets()[row] as usize;
                    (start, start + lists.value_sizes()[row] as usize)
                })?
            }
            DataType::FixedSizeList(_, length) => {
                let (lists, length) = (column.as_fixed_size_list(), *length as usize);
                list(lists.values(), field, move |row| (row * length, (row + 1) * length))?
            }
            DataType::Struct(fields) => {
                let mut members = Vec::with_capacity(fields.len());
                for (field, values) in fields.iter().zip(column.as_struct().columns()) {
                    members.push((name(field), cells::<Self>(values.as_ref(), field)?));
                }
                Box::new(move |row, out| {
                    push_map_length(members.len(), out);
                    for (name, cell) in &mut members {
                        out.extend_from_slice(name);
                        cell(row, out)?;
                    }
                    Ok(())
                })
            }
            DataType::Map(..) => map(column, field)?,
            DataType::Union(..) => {
                return Err(ArrowError::NotYetImplemented(format!("a value of type {}", column.data_type())));
            }
            _ => {
                let formatter = ArrayFormatter::try_new(column, &DISPLAY)?;
                Box::new(move |row, out| Self::displayed(&formatter, row, out))
            }
        })
    }
}

fn list<'a>(
    values: &'a ArrayRef,
    field: &'a FieldRef,
    range: impl Fn(usize) -> (usize, usize) + 'a,
) -> Result<Cell<'a>, ArrowError> {
    let mut cell = cells::<MessagePack>(values.as_ref(), field)?;
    Ok(Box::new(move |row, out| {
        let (start, end) = range(row);
        push_array_length(end - start, out);
        (start..end).try_for_each(|at| cell(at, out))
    }))
}

fn map<'a>(column: &'a dyn Array, field: &'a FieldRef) -> Result<Cell<'a>, ArrowError> {
    let maps = column.as_map();
    let mut key = cells::<MessagePack>(maps.keys().as_ref(), field)?;
    let mut value = cells::<MessagePack>(maps.values().as_ref(), field)?;
    Ok(Box::new(move |row, out| {
        let ends = &maps.value_offsets()[row..row + 2];
        let (start, end) = (ends[0] as usize, ends[1] as usize);
        push_map_length(end - start, out);
        (start..end).try_for_each(|at| {
            key(at, out)?;
            value(at, out)
        })
    }))
}

/// The name of a field as the key of a map.
pub(super) fn name(field: &FieldRef) -> Vec<u8> {
    let mut name = Vec::new();
    push_str(field.name().as_bytes(), &mut name);
    name
}

/// Appends the beginning of a map of so many entries.
pub(super) fn push_map_length(length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(few @ 0..=15) => out.push(0x80 | few),
        _ => push_wide_length(0xde, length, out),
    }
}

/// Appends the beginning of an array of so many values.
pub(super) fn push_array_length(length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(few @ 0..=15) => out.push(0x90 | few),
        _ => push_wide_length(0xdc, length, out),
    }
}

/// A length of two bytes, or of four, whose marker is the next one. No column and no result has more than 2^32 values: the
/// rows are counted before.
fn push_wide_length(marker: u8, length: usize, out: &mut Vec<u8>) {
    match u16::try_from(length) {
        Ok(length) => push_with(marker, &length.to_be_bytes(), out),
        Err(_) => push_with(marker + 1, &(length as u32).to_be_bytes(), out),
    }
}

/// A length of one, two or four bytes, each with its marker.
fn push_length(markers: [u8; 3], length: usize, out: &mut Vec<u8>) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) => push_with(markers[0], &[length], out),
        (_, Ok(length)) => push_with(markers[1], &length.to_be_bytes(), out),
        _ => push_with(markers[2], &(length as u32).to_be_bytes(), out),
    }
}

fn push_str(value: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(value.len()) {
        Ok(few @ 0..=31) => out.push(0xa0 | few),
        _ => push_length([0xd9, 0xda, 0xdb], value.len(), out),
    }
    out.extend_from_slice(value);
}

fn push_unsigned(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x100 => push_with(0xcc, &[value as u8], out),
        0x100..0x1_0000 => push_with(0xcd, &(value as u16).to_be_bytes(), out),
        0x1_0000..0x1_0000_0000 => push_with(0xce, &(value as u32).to_be_bytes(), out),
        _ => push_with(0xcf, &value.to_be_bytes(), out),
    }
}

fn push_negative(value: i64, out: &mut Vec<u8>) {
    match value {
        -32.. => out.push(value as u8),
        -0x80.. => push_with(0xd0, &(value as i8).to_be_bytes(), out),
        -0x8000.. => push_with(0xd1, &(value as i16).to_be_bytes(), out),
        -0x8000_0000.. => push_with(0xd2, &(value as i32).to_be_bytes(), out),
        _ => push_with(0xd3, &value.to_be_bytes(), out),
    }
}

#[inline]
fn push_with(marker: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(marker);
    out.extend_from_slice(bytes);
}
