//! What can be seen of a type: what it borrows, and names that mean nothing outside the signature.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;
use syn::{Lifetime, Type, TypeFnPtr, TypeReference};

/// Whether everything in a type lives for `'static`, as far as can be seen: a path can hide a lifetime.
pub(crate) fn is_static(ty: &Type) -> bool {
    struct Finder {
        is_static: bool,
    }
    impl<'ast> Visit<'ast> for Finder {
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.is_static &= lifetime.ident == "static";
        }

        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            self.is_static &= reference.lifetime.is_some();
            syn::visit::visit_type_reference(self, reference);
        }

        // The lifetimes in a function pointer are its own.
        fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    }
    let mut finder = Finder { is_static: true };
    finder.visit_type(ty);
    finder.is_static
}

/// The type with a lifetime wherever one is left out, so that it can stand outside the signature.
pub(crate) fn made_static(ty: &Type) -> Type {
    struct Filler;
    impl VisitMut for Filler {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            lifetime.ident = proc_macro2::Ident::new("static", lifetime.ident.span());
        }

        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            let span = reference.and_token.span;
            reference.lifetime.get_or_insert_with(|| Lifetime::new("'static", span));
            syn::visit_mut::visit_type_reference_mut(self, reference);
        }

        fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
    }
    let mut ty = ty.clone();
    Filler.visit_type_mut(&mut ty);
    ty
}

/// Whether a type says `Self`.
pub(crate) fn names_self(ty: &Type) -> bool {
    struct Finder {
        found: bool,
    }
    impl<'ast> Visit<'ast> for Finder {
        fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
            self.found |= ident == "Self";
        }
    }
    let mut finder = Finder { found: false };
    finder.visit_type(ty);
    finder.found
}

/// Whether a type has `&mut` anywhere.
pub(crate) fn has_mutable_reference(ty: &Type) -> bool {
    struct Finder(bool);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            self.0 |= reference.mutability.is_some();
            syn::visit::visit_type_reference(self, reference);
        }
    }
    let mut finder = Finder(false);
    finder.visit_type(ty);
    finder.0
}

/// Where a type says `impl Trait`.
pub(crate) fn first_impl_trait(ty: &Type) -> Option<Span> {
    struct Finder(Option<Span>);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_type_impl_trait(&mut self, ty: &'ast syn::TypeImplTrait) {
            self.0.get_or_insert(ty.span());
        }
    }
    let mut finder = Finder(None);
    finder.visit_type(ty);
    finder.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(is_static(&syn::parse_str(text).unwrap()), expected, "{text}");
    }

    #[test]
    fn borrowed_types_are_told_from_owned_ones() {
        check("String", true);
        check("&'static str", true);
        check("Vec<Option<u32>>", true);
        check("fn(&str) -> &str", true);
        check("&str", false);
        check("Cow<'a, str>", false);
        check("Vec<&'a str>", false);
        check("Guard<'_>", false);
    }

    #[test]
    fn self_is_found_at_any_depth() {
        assert!(names_self(&syn::parse_str("Vec<Arc<Self>>").unwrap()));
        assert!(!names_self(&syn::parse_str("Vec<Arc<MySelf>>").unwrap()));
    }
}
