//! The caches of a method: one for each type that has it.
//!
//! A method of a generic impl is one piece of source and one `static` for all the types that it is compiled for. Their
//! results differ, so each type has a cache of its own.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::function::Function;

/// Where a method stands.
pub struct Site<V: 'static> {
    /// The type that came first; most often it is the only one.
    first: OnceLock<(TypeId, &'static Function<V>)>,
    others: OnceLock<RwLock<HashMap<TypeId, &'static Function<V>>>>,
}

impl<V> Site<V> {
    /// A method that has not been called.
    #[expect(clippy::new_without_default, reason = "generated code alone makes one, in a static")]
    pub const fn new() -> Self {
        Self { first: OnceLock::new(), others: OnceLock::new() }
    }

    /// The cache of the method for one type.
    #[inline]
    pub fn of<T: 'static>(
        &'static self,
        method: &str,
        open: impl Fn(Arc<str>) -> &'static Function<V>,
    ) -> &'static Function<V> {
        let this = TypeId::of::<T>();
        let open = || open(format!("{}::{method}", type_name::<T>()).into());
        let (first, function) = self.first.get_or_init(|| (this, open()));
        if *first == this {
            return function;
        }
        let others = self.others.get_or_init(RwLock::default);
        if let Some(function) = others.read().get(&this) {
            return function;
        }
        others.write().entry(this).or_insert_with(open)
    }
}
