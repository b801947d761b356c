//! Which function a persisted result is of, as far as its path does not say it.
//!
//! A function that stands in a module is told by its path and its file (two versions of one crate have the same paths
//! and different files). One in another function's body, or a method of a generic type, may share its path and its text
//! with another one, and mean something else by them: it is told by what the compiler takes its type for as well.

use std::any::{TypeId, type_name};
use std::hash::{Hash, Hasher};

/// The fingerprint of a function: of its text, and of where it stands. `T` is the type that has it, or that stands for
/// it; `module` and `file` are those of the text.
pub fn source<T: 'static>(text: u64, module: &str, file: &str) -> u64 {
    let mut hash = Fnv1a(text);
    hash.write(file.as_bytes());
    if !is_told_by_path::<T>(module) {
        TypeId::of::<T>().hash(&mut hash);
    }
    hash.finish()
}

/// Whether a type stands directly in this module and has no parameters.
fn is_told_by_path<T>(module: &str) -> bool {
    let name = type_name::<T>().strip_prefix(module).and_then(|rest| rest.strip_prefix("::"));
    name.is_some_and(|name| !name.contains([':', '<']))
}

/// FNV-1a (Fowler, Noll, Vo; 64 bits), from any number on: the same in every program, which the standard library's
/// hashers do not promise.
struct Fnv1a(u64);

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, step);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    struct Generic<T>(std::marker::PhantomData<T>);

    #[track_caller]
    fn check<L: 'static, R: 'static>(left: (u64, &str), right: (u64, &str), equal: bool) {
        let of = |(text, file), source: fn(u64, &str, &str) -> u64| source(text, module_path!(), file);
        assert_eq!(of(left, source::<L>) == of(right, source::<R>), equal);
    }

    #[test]
    fn a_function_in_a_module_is_told_by_its_text_and_its_file() {
        check::<Plain, Plain>((1, "a.rs"), (1, "a.rs"), true);
        check::<Plain, Plain>((1, "a.rs"), (2, "a.rs"), false);
        check::<Plain, Plain>((1, "a.rs"), (1, "b.rs"), false);
        assert!(is_told_by_path::<Plain>(module_path!()));
        assert!(!is_told_by_path::<Generic<u8>>(module_path!()));
        assert!(!is_told_by_path::<Plain>("smart_cache"), "the text stands in another module");
        assert!(!is_told_by_path::<Plain>("smart_cache::source::test"));
    }

    #[test]
    fn any_other_is_told_by_its_type_too() {
        mod other {
            pub(super) struct Plain;
        }
        check::<Generic<u8>, Generic<u16>>((1, "a.rs"), (1, "a.rs"), false);
        check::<Generic<Plain>, Generic<other::Plain>>((1, "a.rs"), (1, "a.rs"), false);
        let of_blocks = [
            {
                struct Local;
                (type_name::<Local>(), source::<Local>(1, module_path!(), "a.rs"))
            },
            {
                struct Local;
                (type_name::<Local>(), source::<Local>(1, module_path!(), "a.rs"))
            },
        ];
        assert_eq!(of_blocks[0].0, of_blocks[1].0, "they share their path");
        assert_ne!(of_blocks[0].1, of_blocks[1].1);
    }
}
