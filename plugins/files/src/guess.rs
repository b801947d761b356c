//! What the values in one place were so far: in a column, in the elements of its lists, in a field of
//! its objects.
//!
//! A [`Guess`] is grown value by value while a file is read, and joined with those of other files of the
//! dataset afterwards. Only then is it asked for a type, so that values in two files have the type that
//! they would have in one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};

use crate::infer::Kinds;

/// An object with more keys than this is a dictionary, not a struct, and is kept as text.
const MAX_FIELDS: usize = 500;

/// What the values in one place were so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guess {
    kinds: Kinds,
    list: Option<Box<Guess>>,
    object: Option<Box<Columns>>,
}

/// The keys of the objects in one place, in the order in which they first came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    guesses: Vec<(String, Guess)>,
    index: HashMap<String, usize>,
}

impl Columns {
    /// The columns and what their values are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Guess)> {
        self.guesses.iter().map(|(name, guess)| (name.as_str(), guess))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.guesses.len()
    }

    /// What is known of a column, which is added if it is new.
    pub(crate) fn guess(&mut self, name: &str) -> &mut Guess {
        let at = match self.index.get(name) {
            Some(&at) => at,
            None => {
                self.index.insert(name.to_owned(), self.guesses.len());
                self.guesses.push((name.to_owned(), Guess::default()));
                self.guesses.len() - 1
            }
        };
        &mut self.guesses[at].1
    }
}

impl From<Kinds> for Guess {
    fn from(kinds: Kinds) -> Self {
        Self { kinds, ..Self::default() }
    }
}

impl Guess {
    /// The type that holds all values: text where they have nothing in common, since any value can be
    /// written as JSON; [`DataType::Null`] where there are none.
    pub(crate) fn data_type(&self) -> DataType {
        match (self.kinds, &self.list, &self.object) {
            (kinds, None, None) => kinds.data_type(),
            (Kinds::NONE, Some(list), None) => DataType::List(Arc::new(Field::new_list_field(list.data_type(), true))),
            (Kinds::NONE, None, Some(object)) if object.len() > 0 => {
                let field = |(name, guess): (&str, &Guess)| Field::new(name, guess.data_type(), true);
                DataType::Struct(object.iter().map(field).collect::<Fields>())
            }
            _ => DataType::Utf8,
        }
    }

    /// Nothing that comes can change the type any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.kinds.has(Kinds::TEXT)
    }

    /// Takes a value in that is neither a list nor an object.
    pub(crate) fn add(&mut self, kinds: Kinds) {
        self.kinds = self.kinds.with(kinds);
        if self.is_settled() {
            (self.list, self.object) = (None, None);
        }
    }

    /// The elements of a list that comes.
    pub(crate) fn list(&mut self) -> &mut Self {
        self.list.get_or_insert_default()
    }

    /// The fields of an object that comes; [`bound`](Self::bound) must follow.
    pub(crate) fn object(&mut self) -> &mut Columns {
        self.object.get_or_insert_default()
    }

    /// Makes text of objects that came to have too many keys.
    pub(crate) fn bound(&mut self) {
        if self.object.as_ref().is_some_and(|object| object.len() > MAX_FIELDS) {
            self.add(Kinds::TEXT);
        }
    }

    /// Takes in what the values in the same place of another file were.
    pub(crate) fn join(&mut self, other: &Self) {
        self.add(other.kinds);
        if self.is_settled() {
            return;
        }
        if let Some(list) = &other.list {
            self.list().join(list);
        }
        if let Some(object) = &other.object {
            let own = self.object();
            object.iter().for_each(|(name, guess)| own.guess(name).join(guess));
            self.bound();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(names: impl IntoIterator<Item = String>) -> Guess {
        let mut guess = Guess::default();
        names.into_iter().for_each(|name| guess.object().guess(&name).add(Kinds::INT));
        guess
    }

    fn list(of: Kinds) -> Guess {
        let mut guess = Guess::default();
        guess.list().add(of);
        guess
    }

    /// Joins two guesses both ways, which must not matter.
    #[track_caller]
    fn check(a: &Guess, b: &Guess, expected: &DataType) {
        for (a, b) in [(a, b), (b, a)] {
            let mut joined = a.clone();
            joined.join(b);
            assert_eq!(joined.data_type(), *expected, "{a:?} and {b:?}");
        }
    }

    #[test]
    fn what_is_in_lists_and_objects_is_joined_too() {
        let text = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        check(&list(Kinds::LOCAL.with(Kinds::NANOS)), &list(Kinds::DATE.with(Kinds::FAR)), &text);
        let floats = DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)));
        check(&list(Kinds::INT), &list(Kinds::FLOAT), &floats);
        let (mut far, mut fine) = (Guess::default(), Guess::default());
        far.object().guess("at").add(Kinds::DATE.with(Kinds::FAR));
        fine.object().guess("at").add(Kinds::LOCAL.with(Kinds::NANOS));
        check(&far, &fine, &DataType::Struct(vec![Field::new("at", DataType::Utf8, true)].into()));
    }

    #[test]
    fn what_has_nothing_in_common_is_text() {
        check(&list(Kinds::INT), &object(["a".into()]), &DataType::Utf8);
        check(&list(Kinds::INT), &Kinds::INT.into(), &DataType::Utf8);
        check(&list(Kinds::INT), &Kinds::TEXT.into(), &DataType::Utf8);
        check(&Guess::default(), &Kinds::INT.into(), &DataType::Int64);
        check(&Guess::default(), &Guess::default(), &DataType::Null);
    }

    #[test]
    fn objects_that_have_too_many_keys_together_are_text() {
        let keys = |letter: char| object((0..300).map(|i| format!("{letter}{i}")));
        assert!(matches!(keys('a').data_type(), DataType::Struct(_)));
        check(&keys('a'), &keys('b'), &DataType::Utf8);
    }
}
