//! The key of a record as bytes whose order is the order of [`RecordKey`]s.
//!
//! Cache, namespace and key bytes follow each other, each with 00 written as 00 FF and closed by 00 00, then the
//! version, big-endian. So the records of a cache, of a namespace, of a key and of a prefix of keys each lie side by
//! side, and begin with the same bytes.

use std::sync::Arc;

use cache_core::RecordKey;

/// The bytes of a record's key.
pub(crate) fn of(key: &RecordKey) -> Vec<u8> {
    let mut name = of_key(&key.cache, &key.namespace, &key.bytes);
    name.extend_from_slice(&key.version.to_be_bytes());
    name
}

/// What the names of all versions of a key begin with.
pub(crate) fn of_key(cache: &str, namespace: &str, bytes: &[u8]) -> Vec<u8> {
    let mut name = of_prefix(cache, namespace, bytes);
    name.extend_from_slice(&[0, 0]);
    name
}

/// What the names of all keys of a namespace begin with whose bytes begin with `prefix`.
pub(crate) fn of_prefix(cache: &str, namespace: &str, prefix: &[u8]) -> Vec<u8> {
    let mut name = of_namespace(cache, namespace);
    escape(&mut name, prefix);
    name
}

/// What the names of a namespace of a cache begin with.
pub(crate) fn of_namespace(cache: &str, namespace: &str) -> Vec<u8> {
    let mut name = of_cache(cache);
    name.reserve(namespace.len() + 32);
    escape(&mut name, namespace.as_bytes());
    name.extend_from_slice(&[0, 0]);
    name
}

/// What the names of a cache begin with.
pub(crate) fn of_cache(cache: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(cache.len() + 64);
    escape(&mut name, cache.as_bytes());
    name.extend_from_slice(&[0, 0]);
    name
}

/// The key that a name was made of; `None` if it was not made here.
pub(crate) fn parse(name: &[u8]) -> Option<RecordKey> {
    let (cache, rest) = unescape(name)?;
    let (namespace, rest) = unescape(rest)?;
    let (bytes, rest) = unescape(rest)?;
    let version = u64::from_be_bytes(rest.try_into().ok()?);
    let cache: Arc<str> = String::from_utf8(cache).ok()?.into();
    let namespace: Arc<str> = String::from_utf8(namespace).ok()?.into();
    Some(RecordKey { cache, namespace, bytes: bytes.into(), version })
}

/// The name of the key without its version: what [`of_key`] makes.
pub(crate) fn without_version(name: &[u8]) -> &[u8] {
    &name[..name.len().saturating_sub(8)]
}

fn escape(name: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        name.push(byte);
        if byte == 0 {
            name.push(0xFF);
        }
    }
}

fn unescape(name: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut bytes = Vec::new();
    let mut at = 0;
    loop {
        match (*name.get(at)?, name.get(at + 1)) {
            (0, Some(0)) => return Some((bytes, &name[at + 2..])),
            (0, Some(0xFF)) => {
                bytes.push(0);
                at += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = RecordKey> {
        let text = prop::collection::vec(prop::sample::select(vec!['\0', '\u{1}', 'a', 'ÿ']), 0..4);
        let bytes = prop::collection::vec(prop::sample::select(vec![0u8, 1, 0xFE, 0xFF]), 0..4);
        (text.clone(), text, bytes, any::<u64>()).prop_map(|(cache, namespace, bytes, version)| RecordKey {
            cache: cache.into_iter().collect::<String>().into(),
            namespace: namespace.into_iter().collect::<String>().into(),
            bytes: bytes.into(),
            version,
        })
    }

    proptest! {
        #[test]
        fn names_come_back_and_keep_the_order_of_keys(left in keys(), right in keys()) {
            prop_assert_eq!(parse(&of(&left)), Some(left.clone()));
            prop_assert_eq!(of(&left).cmp(&of(&right)), left.cmp(&right));
            prop_assert!(of(&left).starts_with(without_version(&of(&left))));
        }

        #[test]
        fn a_prefix_of_a_key_is_a_prefix_of_its_name(key in keys(), cut in 0usize..4) {
            let cut = cut.min(key.bytes.len());
            let prefix = of_prefix(&key.cache, &key.namespace, &key.bytes[..cut]);
            prop_assert!(of(&key).starts_with(&prefix));
        }

        #[test]
        fn what_is_no_name_is_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(key) = parse(&bytes) {
                prop_assert_eq!(of(&key), bytes);
            }
        }
    }
}
