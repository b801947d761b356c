//! What an invalidation is about.

use std::sync::Arc;

use crate::key::{Key, Namespace};

/// What an invalidation covers: all that began before it.
///
/// Everything, a namespace and a tag reach every cache with the same stamps. A key and a prefix reach the cache that
/// they are told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// What is in a namespace.
    Namespace(Namespace),
    /// What has a tag.
    Tag(Arc<str>),
    /// One key at its version.
    Key(Key),
    /// One key at all versions. In memory, every entry is looked at.
    Versions(Key),
    /// The keys of a namespace whose bytes begin so, in all their versions.
    Prefix {
        /// The namespace.
        namespace: Namespace,
        /// How they begin.
        prefix: Arc<[u8]>,
    },
}

impl Scope {
    /// Whether an entry of this key is covered, as far as the key tells: a tag is not seen in it.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => key.namespace() == namespace,
            Self::Tag(_) => false,
            Self::Key(covered) => key == covered,
            Self::Versions(covered) => key.at_version(0) == covered.at_version(0),
            Self::Prefix { namespace, prefix } => key.namespace() == namespace && key.bytes().starts_with(prefix),
        }
    }
}
