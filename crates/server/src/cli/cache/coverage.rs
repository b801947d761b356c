//! What an invalidation covers among the records of one namespace, told from its name.

use std::sync::Arc;

use anyhow::bail;
use cache_core::Change;

use crate::http::entry_key::EntryKey;
use crate::invalidation::{Target, dataset_of, is_of_tables, touches_tables};

/// A change that is still without its number.
pub(super) type Step = Box<dyn Fn(u64) -> Change>;

/// What a dataset, prefix or key means for one namespace.
pub(super) fn steps(target: &Target, namespace: &Arc<str>) -> anyhow::Result<Vec<Step>> {
    let name = dataset_of(namespace);
    let whole = || -> Vec<Step> {
        let namespace = Arc::clone(namespace);
        vec![Box::new(move |stamp| Change::Namespace { namespace: Arc::clone(&namespace), stamp })]
    };
    let prefix = |cache: &'static str, prefix: &[u8]| -> Step {
        let (namespace, prefix): (_, Arc<[u8]>) = (Arc::clone(namespace), prefix.into());
        Box::new(move |stamp| Change::Prefix {
            cache: cache.into(),
            namespace: Arc::clone(&namespace),
            prefix: Arc::clone(&prefix),
            stamp,
        })
    };
    let key = |cache: &'static str, bytes: &[u8]| -> Step {
        let (namespace, bytes): (_, Arc<[u8]>) = (Arc::clone(namespace), bytes.into());
        Box::new(move |stamp| Change::Key {
            cache: cache.into(),
            namespace: Arc::clone(&namespace),
            bytes: Arc::clone(&bytes),
            stamp,
        })
    };
    Ok(match target {
        Target::Dataset(wanted) if wanted == name => whole(),
        Target::Prefix(text) => match text.split_once('/') {
            None if name.starts_with(text) => whole(),
            Some((wanted, begin)) if wanted == name && touches_tables(begin.as_bytes()) => {
                vec![prefix("tables", begin.as_bytes()), prefix("bodies", b"")]
            }
            Some((wanted, begin)) if wanted == name => vec![prefix("bodies", begin.as_bytes())],
            _ => Vec::new(),
        },
        Target::Key(text) => {
            let Some(named) = EntryKey::parse(text) else { bail!("drop the entry '{text}': a key is DATASET/KEY") };
            match named.dataset == name {
                true if is_of_tables(&named.bytes) => vec![key("tables", &named.bytes), prefix("bodies", b"")],
                true => vec![key("bodies", &named.bytes)],
                false => Vec::new(),
            }
        }
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: Target, expected: &[&str]) {
        let namespace = "files@1f/sales/00ff".into();
        let changes = steps(&target, &namespace).unwrap();
        let shown: Vec<_> = changes
            .iter()
            .map(|change| match change(7) {
                Change::Namespace { stamp: 7, .. } => "namespace".to_owned(),
                Change::Key { cache, bytes, .. } => format!("{cache} key {}", String::from_utf8_lossy(&bytes)),
                Change::Prefix { cache, prefix, .. } => format!("{cache} {}*", String::from_utf8_lossy(&prefix)),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(shown, expected, "{target:?}");
    }

    #[test]
    fn a_target_covers_the_records_that_it_names() {
        check(Target::Dataset("sales".into()), &["namespace"]);
        check(Target::Dataset("sale".into()), &[]);
        check(Target::Prefix("sal".into()), &["namespace"]);
        check(Target::Prefix("sales/json".into()), &["bodies json*"]);
        check(Target::Prefix("sales/ta".into()), &["tables ta*", "bodies *"]);
        check(Target::Prefix("other/json".into()), &[]);
        check(Target::Key("sales/csv+gzip?".into()), &["bodies key csv+gzip?"]);
        check(Target::Key("sales/table@7".into()), &["tables key table", "bodies *"]);
        check(Target::Key("other/table".into()), &[]);
        assert!(steps(&Target::Key("sales".into()), &"a/sales/b".into()).is_err());
    }
}
