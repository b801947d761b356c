//! Different values, different bytes; equal values, equal bytes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use serde::{Serialize, Serializer};

use super::*;
use crate::serialized::Serialized;

fn bytes(key: &impl CacheKey) -> Vec<u8> {
    KeyWriter::written(|writer| key.write(writer), <[u8]>::to_vec).unwrap()
}

#[track_caller]
fn check(left: &impl CacheKey, right: &impl CacheKey, equal: bool) {
    assert_eq!(bytes(left) == bytes(right), equal);
}

#[test]
fn where_a_value_ends_is_told_by_itself() {
    check(&("ab", "c"), &("a", "bc"), false);
    check(&(vec![1_u8], vec![2_u8, 3]), &(vec![1_u8, 2], vec![3_u8]), false);
    check(&(None::<u8>, 1_u8), &(Some(1_u8), ()), false);
    check(&vec!["", ""], &vec![""], false);
    check(&(Path::new("a"), "b"), &(Path::new("ab"), ""), false);
    check(&BTreeMap::from([("a", "bc")]), &BTreeMap::from([("ab", "c")]), false);
    check(&BTreeSet::from(["a", "bc"]), &BTreeSet::from(["ab", "c"]), false);
    check(&(Serialized("a"), "b"), &(Serialized("ab"), ""), false);
}

#[test]
fn owners_write_what_they_own() {
    check(&"a".to_owned(), &"a", true);
    check(&Arc::new(vec![1, 2]), &[1, 2].as_slice(), true);
    check(&Cow::Borrowed("a"), &Box::new("a".to_owned()), true);
    check(&Some("a"), &Some(&&"a".to_owned()), true);
}

#[test]
fn floats_are_their_bits() {
    check(&0.0_f64, &-0.0_f64, false);
    check(&f64::NAN, &f64::NAN, true);
    check(&1.5_f32, &1.5_f32, true);
}

#[test]
fn times_are_exact_on_both_sides_of_the_epoch() {
    let second = Duration::from_secs(1);
    check(&(UNIX_EPOCH + second), &(UNIX_EPOCH - second), false);
    check(&(UNIX_EPOCH + second), &(UNIX_EPOCH + second), true);
    check(&Duration::from_nanos(1), &Duration::from_nanos(2), false);
}

#[test]
fn a_key_of_a_key_has_a_buffer_of_its_own() {
    struct Nested;
    impl CacheKey for Nested {
        fn write(&self, key: &mut KeyWriter) {
            key.bytes(b"<");
            key.bytes(&bytes(&"inner"));
            key.bytes(b">");
        }
    }
    assert_eq!(bytes(&Nested), [b"<".as_slice(), &bytes(&"inner"), b">"].concat());
}

#[test]
fn a_value_that_gives_up_has_no_key_and_spoils_no_other() {
    struct Hopeless;
    impl CacheKey for Hopeless {
        fn write(&self, key: &mut KeyWriter) {
            key.give_up();
        }
    }
    assert_eq!(KeyWriter::written(|writer| (1_u8, Hopeless).write(writer), <[u8]>::to_vec), None);
    assert_eq!(bytes(&1_u8), [1]);
}

#[test]
fn what_cannot_be_serialized_without_doubt_has_no_key() {
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("as it was meant to");
        }
    }
    #[track_caller]
    fn check(value: &impl Serialize, has_one: bool) {
        let written = KeyWriter::written(|writer| (1_u8, Serialized(value)).write(writer), <[u8]>::to_vec);
        assert_eq!(written.is_some(), has_one);
    }
    check(&None::<Option<u8>>, true);
    check(&Some(Some(1)), true);
    check(&Some(None::<u8>), false);
    check(&vec![Some(()), None], false);
    check(&("a", Panics), false);
    assert_eq!(bytes(&1_u8), [1], "and spoils no other");
}

#[test]
fn keys_of_all_sizes_are_what_was_written() {
    for size in [0, 1, INLINE - 8, INLINE - 7, INLINE, INLINE + 1, KEPT_CAPACITY + 1, 3] {
        let text = "x".repeat(size);
        let expected = [&(size as u64).to_le_bytes(), text.as_bytes()].concat();
        assert_eq!(bytes(&text), expected, "{size}");
        assert_eq!(bytes(&(&text, 7_u8)), [&expected, [7].as_slice()].concat(), "{size} and more");
        let nested = KeyWriter::written(
            |writer| {
                text.write(writer);
                writer.bytes(&bytes(&text));
            },
            <[u8]>::to_vec,
        );
        assert_eq!(nested.unwrap(), [expected.clone(), expected].concat(), "{size} twice");
    }
}

type Sample = (String, Vec<Option<i32>>, bool, [u8; 2], (char, u64));

proptest! {
    #[test]
    fn keys_are_equal_when_values_are(left: Sample, right: Sample) {
        prop_assert_eq!(bytes(&left) == bytes(&right), left == right);
        prop_assert_eq!(bytes(&left), bytes(&left.clone()));
    }

    #[test]
    fn lists_of_texts_never_run_into_each_other(
        left in prop::collection::vec("[ab]{0,3}", 0..4),
        right in prop::collection::vec("[ab]{0,3}", 0..4),
    ) {
        prop_assert_eq!(bytes(&left) == bytes(&right), left == right);
    }
}
