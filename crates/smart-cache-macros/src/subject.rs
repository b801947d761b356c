//! The function below the attribute: what it takes, what it returns, and whether that can be remembered.

use proc_macro2::{Ident, Span};
use syn::{
    Error, FnArg, GenericArgument, GenericParam, ItemFn, Pat, PathArguments, ReceiverKind, ReturnType, Safety, Type,
};

use crate::arguments::{Arguments, Store};
use crate::inspect;

/// A function whose results can be remembered.
pub(crate) struct Subject {
    pub(crate) item: ItemFn,
    /// Without the receiver.
    pub(crate) inputs: Vec<Input>,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) output: Output,
}

/// One argument.
pub(crate) struct Input {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

/// How a method takes its object.
#[derive(Clone)]
pub(crate) enum Receiver {
    /// `&self`
    Borrowed,
    /// `self: T`
    Typed(Box<Type>),
}

/// What comes back, and what of it is stored.
pub(crate) struct Output {
    /// The whole.
    pub(crate) ty: Type,
    /// What is stored: the inside of `Ok` or `Some`, or the whole.
    pub(crate) kept: Type,
    pub(crate) shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Stored as it is.
    Whole,
    /// A `Result` of which `Ok` is stored.
    Result,
    /// An `Option` of which `Some` is stored.
    Option,
    /// A `Result` of an `Option`, of which `Ok(Some)` is stored.
    ResultOfOption,
}

impl Subject {
    /// Checks the function against what was asked for. All that is wrong with it is told at once.
    pub(crate) fn new(item: ItemFn, arguments: &Arguments) -> syn::Result<Self> {
        let mut refusals = Refusals::default();
        refuse_qualifiers(&item, &mut refusals);
        refuse_generics(&item, &mut refusals);
        let receiver = item.sig.receiver().and_then(|receiver| refusals.keep(checked_receiver(receiver)));
        let mut inputs = Vec::new();
        for input in &item.sig.inputs {
            if let FnArg::Typed(typed) = input
                && let Some(input) = refusals.keep(checked_input(&typed.pat, &typed.ty))
            {
                inputs.push(input);
            }
        }
        refuse_skips(&item, &inputs, arguments, &mut refusals);
        if arguments.stale.is_some() {
            inputs.iter().for_each(|input| refuse_kept_borrow(input, &mut refusals));
        }
        let output = refusals.keep(Output::new(&item, arguments));
        refusals.finish()?;
        let output = output.ok_or_else(|| Error::new(Span::call_site(), "the function returns nothing to remember"))?;
        Ok(Self { item, inputs, receiver, output })
    }

    /// Whether it stands in an impl block.
    pub(crate) fn is_associated(&self, arguments: &Arguments) -> bool {
        self.receiver.is_some() || arguments.associated || self.inputs.iter().any(|i| inspect::names_self(&i.ty))
    }

    pub(crate) fn is_async(&self) -> bool {
        self.item.sig.asyncness.is_some()
    }
}

/// Collects errors, so that nobody has to meet them one by one.
#[derive(Default)]
struct Refusals(Option<Error>);

impl Refusals {
    fn refuse(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.refuse(error)).ok()
    }

    fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

fn refuse_qualifiers(item: &ItemFn, refusals: &mut Refusals) {
    let sig = &item.sig;
    if let Some(constness) = &sig.constness {
        let why = "a const fn cannot look into a cache: leave `const` or the attribute out";
        refusals.refuse(Error::new(constness.span, why));
    }
    if let Safety::Unsafe(token) = &sig.safety {
        let why = "what makes an unsafe call sound cannot be remembered: write a safe function around it and put \
                   #[smart_cache] there";
        refusals.refuse(Error::new(token.span, why));
    }
    if let Some(abi) = &sig.abi {
        let why = "a function with a foreign ABI cannot be cached: write a Rust function around it and put \
                   #[smart_cache] there";
        refusals.refuse(Error::new_spanned(abi, why));
    }
}

fn refuse_generics(item: &ItemFn, refusals: &mut Refusals) {
    for parameter in &item.sig.generics.params {
        let what = match parameter {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(parameter) => format!("type parameter `{}`", parameter.ident),
            GenericParam::Const(parameter) => format!("const parameter `{}`", parameter.ident),
        };
        let why = format!(
            "one cache cannot hold the results of a {what}: write a function of concrete types for each that you use, \
             put #[smart_cache] there, and let it call this one"
        );
        refusals.refuse(Error::new_spanned(parameter, why));
    }
}

fn checked_receiver(receiver: &syn::Receiver) -> syn::Result<Receiver> {
    let mutable = "a cached method cannot change its object: a hit would leave it as it is. Take `&self`";
    match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => Ok(Receiver::Borrowed),
        ReceiverKind::Reference(..) => Err(Error::new_spanned(receiver, mutable)),
        ReceiverKind::Typed(_, ty) if inspect::has_mutable_reference(ty) => Err(Error::new_spanned(receiver, mutable)),
        ReceiverKind::Typed(_, ty) => Ok(Receiver::Typed(ty.clone())),
        _ => Err(Error::new_spanned(receiver, "a cached method cannot consume its object: take `&self`")),
    }
}

fn checked_input(pattern: &Pat, ty: &Type) -> syn::Result<Input> {
    let name = match pattern {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => pattern.ident.clone(),
        Pat::Wild(_) => {
            let why = "give the argument a name, such as `_unused`: it is part of the key, or named in `skip(...)`";
            return Err(Error::new_spanned(pattern, why));
        }
        _ => return Err(Error::new_spanned(pattern, "give the argument a name, and take it apart in the body")),
    };
    if let Some(token) = inspect::first_impl_trait(ty) {
        let why = "one cache cannot hold the results for many types: write a concrete type instead of `impl Trait`";
        return Err(Error::new(token, why));
    }
    if inspect::has_mutable_reference(ty) {
        let why = "a hit would not write through this reference: take the value, or `&`, and return what changes";
        return Err(Error::new_spanned(ty, why));
    }
    Ok(Input { name, ty: ty.clone() })
}

fn refuse_skips(item: &ItemFn, inputs: &[Input], arguments: &Arguments, refusals: &mut Refusals) {
    let receiver = item.sig.receiver();
    let mut seen: Vec<&Ident> = Vec::new();
    for skipped in &arguments.skip {
        let known = inputs.iter().any(|input| input.name == *skipped) || (skipped == "self" && receiver.is_some());
        if !known {
            let names: Vec<_> = inputs.iter().map(|input| format!("`{}`", input.name)).collect();
            let why = format!("`{skipped}` is no argument of `{}`: it has {}", item.sig.ident, names.join(", "));
            refusals.refuse(Error::new(skipped.span(), why));
        }
        if seen.contains(&skipped) {
            refusals.refuse(Error::new(skipped.span(), format!("`{skipped}` is skipped twice")));
        }
        seen.push(skipped);
    }
    if let Some(receiver) = receiver.filter(|_| arguments.key.is_none() && !seen.iter().any(|name| *name == "self")) {
        let why = "two objects must not share results by accident: write `key = (self.id, ...)` with what tells them \
                   apart, or `skip(self)` if the results do not depend on the object";
        refusals.refuse(Error::new_spanned(receiver, why));
    }
}

/// An argument that a refresh behind the caller cannot keep.
fn refuse_kept_borrow(input: &Input, refusals: &mut Refusals) {
    // The outermost reference can be taken away: what it refers to is cloned.
    let inside = match &input.ty {
        Type::Reference(reference) => &*reference.elem,
        other => other,
    };
    if !inspect::is_static(inside) {
        let why = "`stale` loads again after the call has returned, and cannot keep what this borrows: take an owned \
                   type or a plain reference such as `&str`, or leave `stale` out";
        refusals.refuse(Error::new_spanned(&input.ty, why));
    }
}

impl Output {
    fn new(item: &ItemFn, arguments: &Arguments) -> syn::Result<Self> {
        let ReturnType::Type(_, ty) = &item.sig.output else {
            return Err(Error::new_spanned(
                &item.sig.ident,
                "the function returns nothing: there is nothing to remember",
            ));
        };
        if matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()) || matches!(&**ty, Type::Never(_)) {
            return Err(Error::new_spanned(ty, "the function returns nothing: there is nothing to remember"));
        }
        if let Some(span) = inspect::first_impl_trait(ty) {
            let why = "what is returned is stored, and its type must have a name: write a concrete type instead of \
                       `impl Trait`; for a future write `async fn`";
            return Err(Error::new(span, why));
        }
        let (kept, shape) = kept(ty, arguments)?;
        if !inspect::is_static(&kept) {
            let why = "what is returned outlives the call in the cache, so it cannot borrow: return an owned value \
                       (large ones in an `Arc`), or a `&'static` one";
            return Err(Error::new_spanned(ty, why));
        }
        if inspect::names_self(&kept) {
            return Err(Error::new_spanned(ty, "name the type here: the cache stands outside the impl block's `Self`"));
        }
        if let Some((_, span)) =
            arguments.stale_if_error.filter(|_| !matches!(shape, Shape::Result | Shape::ResultOfOption))
        {
            let why = "`stale_if_error` serves an older result in place of an error: it needs a function that returns a \
                       `Result` whose errors are not stored";
            return Err(Error::new(span, why));
        }
        Ok(Self { ty: (**ty).clone(), kept, shape })
    }
}

fn kept(ty: &Type, arguments: &Arguments) -> syn::Result<(Type, Shape)> {
    if let Store::All = arguments.store {
        return Ok((ty.clone(), Shape::Whole));
    }
    let (kept, shape) = match last_segment(ty) {
        Some((name, inside)) if name == "Result" => {
            let Some(inside) = inside else {
                let why = "this alias hides what is inside `Ok`: write it out, as in `Result<String, std::io::Error>`";
                return Err(Error::new_spanned(ty, why));
            };
            match last_segment(inside) {
                Some((name, Some(inmost))) if name == "Option" && matches!(arguments.store, Store::Some) => {
                    (inmost, Shape::ResultOfOption)
                }
                _ => (inside, Shape::Result),
            }
        }
        Some((name, Some(inside))) if name == "Option" => (inside, Shape::Option),
        _ => (ty, Shape::Whole),
    };
    if let Store::Ok(span) = arguments.store
        && shape != Shape::Result
    {
        return Err(Error::new(span, "`store = ok` is for functions that return a `Result`: write `store = all`"));
    }
    Ok((kept.clone(), shape))
}

/// The last name of a path, and its first type argument.
fn last_segment(ty: &Type) -> Option<(&Ident, Option<&Type>)> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let segment = path.path.segments.last()?;
    let inside = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        }),
        _ => None,
    };
    Some((&segment.ident, inside))
}

/// Types that come from a `macro_rules` variable stand in invisible brackets.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        other => other,
    }
}
