//! JSON values read as text: a string as it is, everything else as it is written in JSON.
//!
//! Arrow's own reader refuses objects and lists where a text is expected. Values that have no type in
//! common come as text here, so that a file never fails for being irregular.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::json::reader::{ArrayDecoder, DecoderContext, DecoderFactory, Tape, TapeElement};

/// Makes the decoders for text.
#[derive(Debug)]
pub(super) struct TextDecoders;

impl DecoderFactory for TextDecoders {
    fn make_default_decoder(
        &self,
        _: &DecoderContext,
        field: &FieldRef,
        _: bool,
    ) -> Result<Option<Box<dyn ArrayDecoder>>, ArrowError> {
        Ok(match field.data_type() {
            DataType::Utf8 => Some(Box::new(TextDecoder)),
            _ => None,
        })
    }
}

struct TextDecoder;

impl ArrayDecoder for TextDecoder {
    fn decode(&mut self, tape: &Tape<'_>, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * 16);
        let mut text = String::new();
        for &row in rows {
            match tape.get(row) {
                TapeElement::Null => builder.append_null(),
                TapeElement::String(at) | TapeElement::Number(at) => builder.append_value(tape.get_string(at)),
                _ => {
                    text.clear();
                    write(tape, row, &mut text)?;
                    builder.append_value(&text);
                }
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

fn write(tape: &Tape<'_>, at: u32, text: &mut String) -> Result<(), ArrowError> {
    match tape.get(at) {
        TapeElement::Null => text.push_str("null"),
        TapeElement::True => text.push_str("true"),
        TapeElement::False => text.push_str("false"),
        TapeElement::Number(number) => text.push_str(tape.get_string(number)),
        TapeElement::String(string) => write_string(tape.get_string(string), text)?,
        TapeElement::StartList(end) => {
            text.push('[');
            let mut next = at + 1;
            while next < end {
                separate(text, '[');
                write(tape, next, text)?;
                next = tape.next(next, "element")?;
            }
            text.push(']');
        }
        TapeElement::StartObject(end) => {
            text.push('{');
            let mut next = at + 1;
            while next < end {
                separate(text, '{');
                write(tape, next, text)?;
                text.push(':');
                next = tape.next(next, "key")?;
                write(tape, next, text)?;
                next = tape.next(next, "value")?;
            }
            text.push('}');
        }
        _ => return Err(tape.error(at, "a JSON value")),
    }
    Ok(())
}

fn separate(text: &mut String, opened: char) {
    // Right after the bracket there is nothing to separate; an element never ends in an opening one,
    // since strings are quoted.
    if !text.ends_with(opened) {
        text.push(',');
    }
}

fn write_string(string: &str, text: &mut String) -> Result<(), ArrowError> {
    let quoted = serde_json::to_string(string).map_err(|e| ArrowError::JsonError(e.to_string()))?;
    text.push_str(&quoted);
    Ok(())
}
