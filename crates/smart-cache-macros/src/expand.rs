//! The code that is written: the function with its cache around its body.
//!
//! A free function `load` becomes
//!
//! ```text
//! fn load(a: u32) -> Row {            // what its callers call
//!     match load::__smart_cache().hit(|key| ...) { ... load::__smart_cache_body(a) ... }
//! }
//! enum load {}                        // has the functions beside it: load::peek, load::clear, ...
//! impl load { fn __smart_cache_body(a: u32) -> Row { ...the body... } ... }
//! ```
//!
//! An enum without variants takes a name among the types alone, so it can share the function's. Unlike a module it sees
//! what the function sees, wherever that stands. A method's functions stand beside it with its name in front
//! (`load_peek`), because an impl block holds no types.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Pat, Signature, Type};

use crate::arguments::{Arguments, Store};
use crate::subject::{Input, Receiver, Shape, Subject};
use crate::{companions, fingerprint, inspect, key};

/// What is said of a return type that is an alias of a `Result` or an `Option`.
const HIDDEN: &str = "this alias hides a Result or an Option: write it out, so that #[smart_cache] can see what not to \
                      store, or write `store = all`";

/// The names that generated code is written with.
pub(crate) struct Names {
    /// Where the generated functions are: `load` or `Self`.
    pub(crate) home: Ident,
    /// The function that gives the cache.
    pub(crate) cache: Ident,
    /// The function with the body.
    pub(crate) body: Ident,
}

/// Local variables of generated code: what the user writes cannot see them.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Writes everything.
pub(crate) fn expand(subject: &Subject, arguments: &Arguments) -> TokenStream {
    let name = &subject.item.sig.ident;
    let plain = name.unraw();
    let associated = subject.is_associated(arguments);
    let names = if associated {
        let (cache, body) = (format_ident!("__smart_cache_{plain}"), format_ident!("__smart_cache_{plain}_body"));
        Names { home: Ident::new("Self", Span::call_site()), cache, body }
    } else {
        let (cache, body) = (format_ident!("__smart_cache"), format_ident!("__smart_cache_body"));
        Names { home: name.clone(), cache, body }
    };
    // The cache comes first: if the result cannot be stored, that is the first thing that is said.
    let cache = cache(subject, arguments, &names, associated);
    let outer = outer(subject, arguments, &names);
    let body = body(subject, &names);
    let companions = companions::companions(subject, arguments, &names, associated);
    if associated {
        return quote!(#cache #outer #body #companions);
    }
    let vis = &subject.item.vis;
    let cfgs = cfgs(subject);
    let doc = format!("What belongs to the cache of [`{plain}()`]({plain}()).");
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(non_camel_case_types, dead_code)]
        #vis enum #name {}

        #(#cfgs)*
        #[allow(dead_code)]
        impl #name { #cache #body #companions }

        #outer
    }
}

/// The function that callers call.
fn outer(subject: &Subject, arguments: &Arguments, names: &Names) -> TokenStream {
    let Names { home, cache, body } = names;
    let (writer, missed, value) = (local("key"), local("missed"), local("value"));
    // What is expected happens in the body, and only there.
    let attrs = subject.item.attrs.iter().filter(|attr| !attr.path().is_ident("expect"));
    let vis = &subject.item.vis;
    let sig = plain_signature(&subject.item.sig);
    let write = key::write(subject, arguments, &writer);
    let passed = passed(subject);
    let stale = arguments.stale.is_some().then(|| stale(subject, names, &missed));
    let tagged = tagged(arguments, &missed);
    let call = run(subject, &missed, quote!(#home::#body(#(#passed),*)));
    quote! {
        #(#attrs)*
        #[allow(clippy::all)]
        #vis #sig {
            let #missed = match #home::#cache().hit(|#writer| { #write }) {
                ::core::result::Result::Ok(#value) => return ::smart_cache::__private::Kept::from_kept(#value),
                ::core::result::Result::Err(#missed) => #missed,
            };
            #tagged
            #stale
            #call
        }
    }
}

/// Runs the body, or takes the result of a call that is running it.
pub(crate) fn run(subject: &Subject, missed: &Ident, call: TokenStream) -> TokenStream {
    if subject.is_async() { quote!(#missed.run_async(move || #call).await) } else { quote!(#missed.run(move || #call)) }
}

/// Adds the tags, which are made of the arguments while those are still there.
pub(crate) fn tagged(arguments: &Arguments, call: &Ident) -> TokenStream {
    if arguments.tags.is_empty() {
        return TokenStream::new();
    }
    let tags = arguments.tags.iter().map(|tag| quote_spanned!(tag.span()=> ::std::sync::Arc::<str>::from(#tag)));
    quote!(let #call = #call.tagged(::std::vec![#(#tags),*]);)
}

/// Serves what is stale, with a refresh behind it that has arguments of its own.
fn stale(subject: &Subject, names: &Names, missed: &Ident) -> TokenStream {
    let Names { home, body, .. } = names;
    let (value, behind) = (local("value"), local("behind"));
    let (keep, give) = kept_arguments(subject);
    let call = quote!(#home::#body(#(#give),*));
    let (look, start) = if subject.is_async() {
        (quote!(stale_async().await), quote!(#behind.spawn(move || async move { #call.await });))
    } else {
        (quote!(stale()), quote!(#behind.run(move || #call);))
    };
    quote! {
        let #missed = match #missed.#look {
            ::core::result::Result::Ok((#value, #behind)) => {
                if let ::core::option::Option::Some(#behind) = #behind {
                    #keep
                    #start
                }
                return ::smart_cache::__private::Kept::from_kept(#value);
            }
            ::core::result::Result::Err(#missed) => #missed,
        };
    }
}

/// Code that makes arguments of one's own, and the arguments to call the body with.
fn kept_arguments(subject: &Subject) -> (TokenStream, Vec<TokenStream>) {
    let receiver = subject.receiver.iter().map(|receiver| match receiver {
        Receiver::Borrowed => (quote!(self), quote!(Self), true),
        Receiver::Typed(ty) => (quote!(self), ty.to_token_stream(), matches!(**ty, Type::Reference(_))),
    });
    let inputs = subject
        .inputs
        .iter()
        .map(|Input { name, ty }| (name.to_token_stream(), ty.to_token_stream(), matches!(ty, Type::Reference(_))));
    let (mut keep, mut give) = (TokenStream::new(), Vec::new());
    for (index, (name, ty, borrowed)) in receiver.chain(inputs).enumerate() {
        let own = local(&format!("argument{index}"));
        let span = ty.span();
        if borrowed {
            keep.extend(quote_spanned!(span=> let #own = ::smart_cache::__private::kept_for_refresh(#name);));
            give.push(quote!(::core::borrow::Borrow::borrow(&#own)));
        } else {
            keep.extend(quote_spanned!(span=> let #own = ::smart_cache::__private::kept_for_refresh::<#ty>(&#name);));
            give.push(own.to_token_stream());
        }
    }
    (keep, give)
}

/// The function that gives the cache, and opens it when it is first asked.
fn cache(subject: &Subject, arguments: &Arguments, names: &Names, associated: bool) -> TokenStream {
    let Names { cache, .. } = names;
    let kept = inspect::made_static(&subject.output.kept);
    let stores = quote_spanned!(kept.span()=> ::smart_cache::__private::stores::<#kept>(););
    let plain = subject.item.sig.ident.unraw().to_string();
    let open = if arguments.persist { quote!(open_persisted) } else { quote!(open) };
    let settings = settings(subject, arguments, names);
    let guard = (subject.output.shape == Shape::Whole && !matches!(arguments.store, Store::All)).then(|| {
        let whole = inspect::made_static(&subject.output.ty);
        let probe = quote_spanned!(whole.span()=> <::smart_cache::__private::Probe::<#whole>>::CAN_FAIL);
        let assert = quote_spanned!(whole.span()=> ::core::assert!(!#probe, #HIDDEN););
        quote! {
            const _: () = {
                #[allow(unused_imports)]
                use ::smart_cache::__private::Plain as _;
                #assert
            };
        }
    });
    let cfgs = if associated { cfgs(subject) } else { Vec::new() };
    let function = quote!(::smart_cache::__private::Function<#kept>);
    let give = if associated {
        quote! {
            static SITE: ::smart_cache::__private::Site<#kept> = ::smart_cache::__private::Site::new();
            SITE.of::<Self>(#plain, |name| ::smart_cache::__private::Function::#open(#settings))
        }
    } else {
        quote! {
            static FUNCTION: ::std::sync::LazyLock<&'static #function> = ::std::sync::LazyLock::new(|| {
                let name = ::core::concat!(::core::module_path!(), "::", #plain).into();
                ::smart_cache::__private::Function::#open(#settings)
            });
            *FUNCTION
        }
    };
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(clippy::all)]
        fn #cache() -> &'static #function {
            #stores
            #guard
            #give
        }
    }
}

fn settings(subject: &Subject, arguments: &Arguments, names: &Names) -> TokenStream {
    let duration = |duration: std::time::Duration| {
        let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
        quote!(::core::time::Duration::new(#seconds, #nanos))
    };
    let optional = |window: Option<(std::time::Duration, Span)>| match window {
        Some((window, _)) => duration(window),
        None => quote!(::core::time::Duration::ZERO),
    };
    let (ttl, max_entries, version) = (duration(arguments.ttl), arguments.max_entries, arguments.version);
    let (stale, stale_if_error) = (optional(arguments.stale), optional(arguments.stale_if_error));
    let (home, text) = (&names.home, fingerprint::fingerprint(subject, arguments));
    quote! {
        ::smart_cache::__private::Settings {
            name,
            ttl: #ttl,
            max_entries: #max_entries,
            stale: #stale,
            stale_if_error: #stale_if_error,
            version: #version,
            source: ::smart_cache::__private::source::<#home>(#text, ::core::module_path!(), ::core::file!()),
        }
    }
}

/// The function as it was written, under another name.
fn body(subject: &Subject, names: &Names) -> TokenStream {
    let attrs = subject.item.attrs.iter().filter(|attr| is_for_the_body(attr));
    let mut sig = subject.item.sig.clone();
    sig.ident = names.body.clone();
    let block = &subject.item.block;
    quote! {
        #(#attrs)*
        #[doc(hidden)]
        #sig #block
    }
}

fn is_for_the_body(attr: &Attribute) -> bool {
    ["cfg", "allow", "warn", "deny", "forbid", "expect"].iter().any(|name| attr.path().is_ident(name))
}

/// The `#[cfg]`s: what is generated comes and goes with the function.
pub(crate) fn cfgs(subject: &Subject) -> Vec<&Attribute> {
    subject.item.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
}

/// The signature with nothing but names for patterns: `mut` belongs to the body.
pub(crate) fn plain_signature(sig: &Signature) -> Signature {
    let mut sig = sig.clone();
    for input in &mut sig.inputs {
        match input {
            FnArg::Typed(typed) => {
                if let Pat::Ident(pattern) = &mut *typed.pat {
                    pattern.mutability = None;
                }
            }
            FnArg::Receiver(receiver) => receiver.mutability = None,
        }
    }
    sig
}

/// The arguments, handed on.
pub(crate) fn passed(subject: &Subject) -> Vec<TokenStream> {
    let receiver = subject.receiver.iter().map(|_| quote!(self));
    receiver.chain(subject.inputs.iter().map(|input| input.name.to_token_stream())).collect()
}
