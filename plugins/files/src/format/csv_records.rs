//! The records of a delimited text, one at a time, in bounded memory.
//!
//! One stray quote makes the rest of a file a single field. So a record has a greatest length here, and a file with a
//! longer one, or with one that ends inside of quotes, is refused with the line in which the record began.

use std::io::BufRead;

use csv_core::ReadRecordResult;
use plugin_sdk::{Result, SourceError};

/// The longest record, in bytes.
const MAX_RECORD: usize = 32 << 20;

/// The most fields of a record.
const MAX_FIELDS: usize = 100_000;

/// Reads records.
pub(super) struct Records<R> {
    input: R,
    core: csv_core::Reader,
    data: Vec<u8>,
    ends: Vec<usize>,
    /// Ends of lines that were skipped between records, which the parser did not see.
    skipped_lines: u64,
    /// The longest record that is accepted.
    max_record: usize,
}

/// One record.
pub(super) struct Record<'a> {
    /// The line in which it begins, from 1.
    pub(super) line: u64,
    data: &'a str,
    ends: &'a [usize],
}

impl Record<'_> {
    /// How many fields there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How long the fields are together.
    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// The fields in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends).map(|(start, &end)| &self.data[start..end])
    }
}

impl<R: BufRead> Records<R> {
    /// The records of a text.
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            data: vec![0; 4096],
            ends: vec![0; 64],
            skipped_lines: 0,
            max_record: MAX_RECORD,
        }
    }

    /// The next record, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>> {
        self.skip_line_ends()?;
        let line = self.core.line() + self.skipped_lines;
        let (mut length, mut fields) = (0, 0);
        loop {
            let input = self.input.fill_buf()?;
            let is_end = input.is_empty();
            // The end of the last line is often missing. It ends a record everywhere but within quotes.
            let given = if is_end { b"\n" } else { input };
            let (outcome, read, written, ended) =
                self.core.read_record(given, &mut self.data[length..], &mut self.ends[fields..]);
            self.input.consume(if is_end { 0 } else { read });
            length += written;
            fields += ended;
            match outcome {
                ReadRecordResult::InputEmpty if is_end => {
                    return match self.core.read_record(b"", &mut [0], &mut [0]).0 {
                        ReadRecordResult::End => Ok(None),
                        _ => Err(invalid(line, "begins a record with a quote that is never closed")),
                    };
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => grow(&mut self.data, self.max_record).ok_or_else(|| {
                    let limit = self.max_record;
                    invalid(line, &format!("begins a record of more than {limit} bytes: is a quote left open?"))
                })?,
                ReadRecordResult::OutputEndsFull => grow(&mut self.ends, MAX_FIELDS)
                    .ok_or_else(|| invalid(line, &format!("has more than {MAX_FIELDS} fields")))?,
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let ends = &self.ends[..fields];
        let data = std::str::from_utf8(&self.data[..length]).ok();
        let is_cut_well = |data: &&str| ends.iter().all(|&end| data.is_char_boundary(end));
        let data = data.filter(is_cut_well).ok_or_else(|| invalid(line, "is not valid UTF-8"))?;
        Ok(Some(Record { line, data, ends }))
    }

    /// Takes line ends between records, so that the line in which the next one begins is known.
    fn skip_line_ends(&mut self) -> Result<()> {
        loop {
            let input = self.input.fill_buf()?;
            let ends = input.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            if ends == 0 {
                return Ok(());
            }
            self.skipped_lines += input[..ends].iter().filter(|b| **b == b'\n').count() as u64;
            self.input.consume(ends);
        }
    }
}

/// An error about a line.
pub(super) fn invalid(line: u64, what: &str) -> SourceError {
    SourceError::invalid_data(format!("line {line} {what}"))
}

fn grow<T: Clone + Default>(buffer: &mut Vec<T>, most: usize) -> Option<()> {
    if buffer.len() >= most {
        return None;
    }
    buffer.resize((buffer.len() * 2).min(most), T::default());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<(u64, String)>> {
        let mut records = Records::new(text, b',');
        let mut all = Vec::new();
        while let Some(record) = records.next()? {
            all.push((record.line, record.iter().collect::<Vec<_>>().join("|")));
        }
        Ok(all)
    }

    #[track_caller]
    fn check(text: &str, expected: &[(u64, &str)]) {
        let read = read(text.as_bytes()).unwrap();
        let read: Vec<_> = read.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(read, expected, "{text:?}");
    }

    #[test]
    fn records_know_the_line_in_which_they_begin() {
        check("", &[]);
        check("a,b\n1,2", &[(1, "a|b"), (2, "1|2")]);
        check("a,b\r\n1,\r\n\r\n,2\r\n", &[(1, "a|b"), (2, "1|"), (4, "|2")]);
        check("\n\na\n\"x\ny\",\"\"\"\"\nz\n", &[(3, "a"), (4, "x\ny|\""), (6, "z")]);
        check("\u{feff}a\n1\n", &[(1, "a"), (2, "1")]);
    }

    #[test]
    fn a_quote_that_is_left_open_does_not_fill_the_memory() {
        let text = format!("a\n1\n\"{}", "x".repeat(20_000));
        let mut records = Records { max_record: 10_000, ..Records::new(text.as_bytes(), b',') };
        assert!(records.next().is_ok_and(|record| record.is_some()));
        assert!(records.next().is_ok_and(|record| record.is_some()));
        let error = records.next().err().expect("refused");
        assert!(error.message.starts_with("line 3 begins a record of more than 10000 bytes"), "{error}");
        let wide = ",".repeat(MAX_FIELDS + 1);
        assert!(read(wide.as_bytes()).unwrap_err().message.starts_with("line 1 has more than"));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_an_error() {
        for (text, line) in [("a,b\n1,2\n3,\"4\n5,6\n", 3), ("\"", 1), ("a\n\n\"x\"\"", 3), ("a,\"b\"\n1,\"\n", 2)] {
            let error = read(text.as_bytes()).expect_err(text);
            assert_eq!(
                error.message,
                format!("line {line} begins a record with a quote that is never closed"),
                "{text:?}"
            );
        }
        check("a\n\"x\"", &[(1, "a"), (2, "x")]);
        check("a\n\"x\"\"\"", &[(1, "a"), (2, "x\"")]);
        check("a\n5\" pipe", &[(1, "a"), (2, "5\" pipe")]);
        check("a,b\n1,", &[(1, "a|b"), (2, "1|")]);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        assert_eq!(read(b"a\nb\xff\n").unwrap_err().message, "line 2 is not valid UTF-8");
        assert_eq!(read(b"a\n\xc3,\xa4\n").unwrap_err().message, "line 2 is not valid UTF-8");
    }
}
