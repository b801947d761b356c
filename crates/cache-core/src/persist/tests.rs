//! What is encoded comes back, and what would not is not encoded.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::{Deserialize, Serializer};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i64,
    label: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nothing;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped<T>(T);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(Option<()>),
    Tuple(u8, Option<Point>),
    Struct { at: Point, unit: () },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    name: char,
    #[serde(flatten)]
    point: Point,
    #[serde(flatten)]
    more: BTreeMap<String, Option<u8>>,
}

/// Every method of a serializer is called by one of the cases.
#[track_caller]
fn comes_back<V: Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync>(value: V) {
    let persist = MessagePack::<V>::new();
    let bytes = persist.encode(&value).unwrap();
    assert_eq!(bytes, rmp_serde::to_vec_named(&value).unwrap(), "{value:?} is written as it always was");
    assert_eq!(persist.weight(&value), (bytes.len() + size_of::<V>()) as u64);
    assert_eq!(persist.decode(bytes).unwrap(), value);
}

#[track_caller]
fn is_refused<V: Debug + Serialize + DeserializeOwned + Send + Sync>(value: V) {
    let persist = MessagePack::<V>::new();
    let error = persist.encode(&value).unwrap_err().to_string();
    assert!(error.contains("read as None"), "{value:?}: {error}");
    assert!(MessagePack::weigh(&value).is_err());
    assert_eq!(persist.weight(&value), size_of::<V>() as u64);
}

fn point() -> Point {
    Point { x: -7, label: Some("north".into()) }
}

#[test]
fn any_serde_type_comes_back() {
    comes_back((true, 'x', "text".to_owned(), 1.5_f32, -0.0_f64));
    comes_back((-1_i8, -1_i16, -1_i32, i64::MIN, i128::MIN));
    comes_back((1_u8, 1_u16, 1_u32, u64::MAX, u128::MAX));
    comes_back((Nothing, Wrapped(Some(point())), Wrapped(()), Wrapped(None::<u8>)));
    comes_back(vec![Shape::Unit, Shape::Newtype(None), Shape::Tuple(1, None), Shape::Tuple(2, Some(point()))]);
    comes_back(Shape::Struct { at: Point { x: 1, label: None }, unit: () });
    comes_back(BTreeMap::from([(None, vec![(), ()]), (Some(1), vec![])]));
    comes_back(Flattened {
        name: 'a',
        point: point(),
        more: BTreeMap::from([("b".into(), None), ("c".into(), Some(1))]),
    });
    comes_back((Some(Some(1)), Some(Nothing), Some((None::<u8>, ())), Some(vec![None::<u8>]), Some(Wrapped(1))));
    comes_back((None::<Option<u8>>, Some(Shape::Newtype(None))));
}

#[test]
fn what_would_be_read_as_none_is_not_encoded() {
    is_refused(Some(None::<u8>));
    is_refused(Some(()));
    is_refused(Some(Some(())));
    is_refused(Some(Wrapped(None::<u8>)));
    is_refused(vec![Some(Some(1)), Some(None)]);
    is_refused((1, BTreeMap::from([("a".to_owned(), Some(Wrapped(())))])));
    is_refused(BTreeMap::from([(Some(None::<u8>), 1)]));
    is_refused(Ok::<_, u8>(Some(None::<u8>)));
    is_refused(Wrapped(Some(None::<u8>)));
}

#[test]
fn bytes_are_written_as_bytes() {
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(!serializer.is_human_readable());
            serializer.serialize_bytes(&[1, 2, 3])
        }
    }
    let mut bytes = Vec::new();
    MessagePack::write(&Some(Bytes), &mut bytes).unwrap();
    assert_eq!(bytes, [0xc4, 3, 1, 2, 3]);
}

#[test]
fn a_value_that_panics_cannot_be_encoded() {
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("as it was meant to");
        }
    }
    assert!(MessagePack::write(&(1, Panics), Vec::new()).unwrap_err().to_string().contains("panics"));
    assert!(MessagePack::weigh(&Panics).is_err());
}

#[test]
fn foreign_bytes_are_no_value() {
    let persist = MessagePack::<Point>::new();
    let mut bytes = persist.encode(&point()).unwrap();
    assert_eq!(persist.decode(bytes.clone()).unwrap(), point());
    assert!(MessagePack::<Vec<u64>>::new().decode(bytes.clone()).is_err());
    bytes.push(0);
    assert!(persist.decode(bytes).is_err());
}

#[test]
fn the_layout_is_the_type_and_the_version() {
    let layout = MessagePack::<Point>::new().layout();
    assert_eq!(layout, MessagePack::<Point>::version(0).layout());
    assert_ne!(layout, MessagePack::<Point>::version(1).layout());
    assert_ne!(layout, MessagePack::<Vec<u64>>::new().layout());
}
