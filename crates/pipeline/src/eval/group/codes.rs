//! Numbers for the values of a dictionary column: each code is looked up once, and then stands for its value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array, new_null_array};
use arrow::compute::take;

use super::values::{NONE, Values};
use crate::eval::EvalError;

/// The distinct values of a dictionary column.
#[derive(Debug)]
pub(super) struct Codes {
    values: Values,
    /// The dictionary of the last piece, and the numbers of its values; [`NONE`] for one that has not come yet.
    last: Option<ArrayRef>,
    numbers: Vec<u32>,
}

impl Codes {
    /// No values yet; `values` numbers those of the dictionaries.
    pub(super) fn new(values: Values) -> Self {
        Self { values, last: None, numbers: Vec::new() }
    }

    /// The values that have come.
    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// The values that have come.
    pub(super) fn into_values(self) -> Values {
        self.values
    }

    /// Takes over the values of `later`; the new number of each of its numbers.
    pub(super) fn join(&mut self, later: Self) -> Result<Vec<u32>, EvalError> {
        self.values.join(later.values)
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.values.bytes() + self.numbers.capacity() * 4
    }

    /// Appends the number of each row's value.
    pub(super) fn number(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<(), EvalError> {
        let dictionary = column.as_any_dictionary();
        let values = dictionary.values();
        if values.is_empty() {
            let nulls = new_null_array(values.data_type(), column.len());
            return self.values.number(&nulls, out);
        }
        if !self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, values)) {
            self.last = Some(values.clone());
            self.numbers.clear();
            self.numbers.resize(values.len(), NONE);
        }
        let codes = dictionary.normalized_keys();
        let nulls = dictionary.keys().logical_nulls().filter(|nulls| nulls.null_count() > 0);
        // What has not come yet is numbered first, in order of appearance; null as a value with no code.
        let mut fresh: Vec<Option<u64>> = Vec::new();
        let mut null_is_known = self.values.null().is_some();
        for (at, code) in codes.iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
                if !null_is_known {
                    null_is_known = true;
                    fresh.push(None);
                }
            } else if self.numbers[*code] == NONE {
                self.numbers[*code] = 0;
                fresh.push(Some(*code as u64));
            }
        }
        if !fresh.is_empty() {
            let at = UInt64Array::from(fresh);
            let mut numbers = Vec::new();
            self.values.number(&take(values, &at, None)?, &mut numbers)?;
            for (code, number) in at.iter().zip(numbers) {
                if let Some(code) = code {
                    self.numbers[code as usize] = number;
                }
            }
        }
        let null = self.values.null().unwrap_or(NONE);
        match nulls {
            None => out.extend(codes.iter().map(|code| self.numbers[*code])),
            Some(nulls) => out.extend(
                codes.iter().enumerate().map(|(at, code)| if nulls.is_null(at) { null } else { self.numbers[*code] }),
            ),
        }
        Ok(())
    }
}
