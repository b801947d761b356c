//! Which columns the objects of a JSON text have, told from all of them in one pass.
//!
//! serde drives a visitor that adds what it sees to a [`Guess`] and drops it: the memory needed is
//! that of the schema, not of the file.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read};

use plugin_sdk::{Result, SourceError};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::Pass;
use crate::guess::{Columns, Guess};
use crate::infer::Kinds;

/// The most columns of a table.
const MAX_COLUMNS: usize = 10_000;

/// Rows between two looks at whether the caller gave up.
const CHECK_EVERY: u64 = 1024;

/// The columns of all objects in a text, and how many there are.
pub(super) fn inspect(pass: &Pass<'_>, reader: impl Read) -> Result<(Columns, u64)> {
    let numbers = Numbers::default();
    let mut json = serde_json::Deserializer::from_reader(Watched { inner: reader, numbers: &numbers });
    let mut rows = Rows { pass, numbers: &numbers, columns: Columns::default(), count: 0, stopped: RefCell::new(None) };
    // The deserializer says that the text ended only when asked; asking takes white space alone.
    while json.end().is_err() {
        let outcome = rows.top_level().deserialize(&mut json);
        if let Some(stopped) = rows.stopped.take() {
            return Err(stopped);
        }
        outcome.map_err(json_error)?;
    }
    Ok((rows.columns, rows.count))
}

fn json_error(error: serde_json::Error) -> SourceError {
    match error.classify() {
        Category::Io => std::io::Error::from(error).into(),
        _ => SourceError::invalid_data(error.to_string()),
    }
}

/// How the last number was written, told from the bytes that the deserializer takes one at a time: it
/// makes the same float of `18446744073709551616` and of `18446744073709551616.0`.
#[derive(Default)]
struct Numbers {
    is_within: Cell<bool>,
    is_integer: Cell<bool>,
}

impl Numbers {
    fn watch(&self, byte: u8) {
        match byte {
            b'0'..=b'9' | b'-' => {
                if !self.is_within.replace(true) {
                    self.is_integer.set(true);
                }
            }
            b'.' | b'e' | b'E' | b'+' => self.is_integer.set(false),
            // What comes after a number does not change what it was.
            _ => self.is_within.set(false),
        }
    }
}

/// A reader that looks at what passes.
struct Watched<'a, R> {
    inner: R,
    numbers: &'a Numbers,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        buffer[..read].iter().for_each(|&byte| self.numbers.watch(byte));
        Ok(read)
    }
}

struct Rows<'a> {
    pass: &'a Pass<'a>,
    numbers: &'a Numbers,
    columns: Columns,
    count: u64,
    /// Why the pass was ended, if not because of the text.
    stopped: RefCell<Option<SourceError>>,
}

impl<'a> Rows<'a> {
    fn top_level<'r>(&'r mut self) -> TopLevel<'r, 'a> {
        TopLevel { rows: self, in_array: false }
    }
}

/// A value at the top: a row, or an array of rows.
struct TopLevel<'r, 'a> {
    rows: &'r mut Rows<'a>,
    in_array: bool,
}

impl<'de> DeserializeSeed<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_array { "an object" } else { "an object or an array of objects" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.in_array {
            return Err(A::Error::custom("a row is an array, not an object"));
        }
        while seq.next_element_seed(TopLevel { rows: &mut *self.rows, in_array: true })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let rows = self.rows;
        if rows.count.is_multiple_of(CHECK_EVERY)
            && let Err(error) = rows.pass.check()
        {
            rows.stopped.replace(Some(error));
            return Err(A::Error::custom("stopped"));
        }
        rows.count += 1;
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Place { guess: rows.columns.guess(&name), numbers: rows.numbers })?;
            if rows.columns.len() > MAX_COLUMNS {
                return Err(A::Error::custom(format!("more than {MAX_COLUMNS} columns")));
            }
        }
        Ok(())
    }
}

/// A value, and what is known of the others in its place.
struct Place<'a> {
    guess: &'a mut Guess,
    numbers: &'a Numbers,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.guess.is_settled() {
            return deserializer.deserialize_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.guess.add(Kinds::BOOL);
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.guess.add(Kinds::INT);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.guess.add(if i64::try_from(value).is_ok() { Kinds::INT } else { Kinds::BIG });
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // Also `-0` comes as a float, and is one.
        let is_big = self.numbers.is_integer.get() && value != 0.0;
        self.guess.add(if is_big { Kinds::BIG } else { Kinds::FLOAT });
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.guess.add(Kinds::of_quoted(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.guess.list();
        while seq.next_element_seed(Place { guess: &mut *inner, numbers: self.numbers })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let object = self.guess.object();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Place { guess: object.guess(&name), numbers: self.numbers })?;
        }
        self.guess.bound();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field};
    use plugin_sdk::{CancelToken, Context, ErrorCode};

    use super::*;

    fn inspect_text(json: &str, cancel: CancelToken) -> Result<(Columns, u64)> {
        let ctx = Context::detached("test", None, cancel);
        inspect(&Pass { ctx: &ctx, bytes: &Arc::default() }, json.as_bytes())
    }

    #[track_caller]
    fn check(json: &str, expected: &[(&str, DataType)], rows: u64) {
        let (columns, count) = inspect_text(json, CancelToken::new()).unwrap();
        let types: Vec<_> = columns.iter().map(|(name, guess)| (name, guess.data_type())).collect();
        assert_eq!((types.as_slice(), count), (expected, rows), "{json}");
    }

    fn list(inner: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(inner, true)))
    }

    #[test]
    fn rows_come_in_an_array_one_after_the_other_or_alone() {
        use DataType::*;
        let expected = [("a", Int64), ("b", Boolean)];
        check(r#"[{"a": 1}, {"b": true}]"#, &expected, 2);
        check("{\"a\": 1}\n\n{\"b\": true}\n", &expected, 2);
        check(r#"{"a": 1} {"b": true}"#, &expected, 2);
        check(r#" {"a": 1, "b": true} "#, &expected, 1);
        check("", &[], 0);
        check("[]", &[], 0);
    }

    #[test]
    fn types_are_told_from_all_values() {
        use DataType::*;
        check(r#"[{"a": 1}, {"a": 2.5}]"#, &[("a", Float64)], 2);
        check(r#"[{"a": 1}, {"a": "x"}]"#, &[("a", Utf8)], 2);
        check(r#"[{"a": null}]"#, &[("a", Null)], 1);
        check(r#"[{"a": 18446744073709551615}]"#, &[("a", Utf8)], 1);
        check(r#"[{"a": 1}, {"a": 18446744073709551616}, {"a":2}]"#, &[("a", Utf8)], 3);
        check(
            r#"[{"a": [18446744073709551616]}, {"a": true, "b": 18446744073709551616}]"#,
            &[("a", Utf8), ("b", Utf8)],
            2,
        );
        check("{\"b\": true, \"a\": -9223372036854775809\n}", &[("b", Boolean), ("a", Utf8)], 1);
        check(r#"[{"a": 18446744073709551616}, {"a": 1.5}]"#, &[("a", Float64)], 2);
        check(r#"[{"a": 1e20}, {"a": 1}, {"a": 18446744073709551616.0}]"#, &[("a", Float64)], 3);
        check(r#"[{"a": 1.5, "b1e": 1E+20, "c": -0}]"#, &[("a", Float64), ("b1e", Float64), ("c", Float64)], 1);
        check(r#"[{"a": "00123"}, {"a": "5"}]"#, &[("a", Utf8)], 2);
        check(r#"[{"a": "2025-01-01"}, {"a": null}]"#, &[("a", Date32)], 2);
        check(r#"[{"a": "2025-01-01"}, {"a": 5}]"#, &[("a", Utf8)], 2);
        check(r#"[{"a": [1, null]}, {"a": []}, {"a": [2.5]}]"#, &[("a", list(Float64))], 3);
        let inner = Struct(vec![Field::new("x", Int64, true), Field::new("y", Utf8, true)].into());
        check(r#"[{"a": {"x": 1}}, {"a": {"y": "z"}}]"#, &[("a", inner.clone())], 2);
        check(r#"[{"a": [{"x": 1, "y": "z"}]}]"#, &[("a", list(inner))], 1);
        check(r#"[{"a": {"x": 1}}, {"a": [1]}]"#, &[("a", Utf8)], 2);
        check(r#"[{"a": {}}]"#, &[("a", Utf8)], 1);
    }

    #[test]
    fn an_object_with_very_many_keys_is_text() {
        let keys: Vec<String> = (0..=500).map(|i| format!("\"k{i}\": 1")).collect();
        check(&format!("[{{\"a\": {{{}}}}}]", keys.join(",")), &[("a", DataType::Utf8)], 1);
    }

    #[track_caller]
    fn check_refused(json: &str, part: &str) {
        let error = inspect_text(json, CancelToken::new()).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidData);
        assert!(error.message.contains(part), "{}", error.message);
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        check_refused("{\"a\": 1}\n{\"a\": }\n", "line 2");
        check_refused("[{\"a\": 1},\n 5]", "line 2");
        check_refused("[[1]]", "not an object");
        check_refused("[{\"a\": 1}", "line 1");
        check_refused("\"x\"", "expected an object or an array of objects");
    }

    #[test]
    fn a_cancelled_pass_says_so() {
        let cancel = CancelToken::new();
        cancel.cancel();
        let error = inspect_text("{}", cancel).unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled);
    }
}
