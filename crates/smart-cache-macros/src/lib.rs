//! The attribute macro of smart-cache. Its documentation is that of the crate `smart_cache`, which re-exports it.
//!
//! An expansion is made in three steps, each with a module of its own: what stands in the brackets
//! (`arguments`), what stands below them (`subject`), and the code that is written for both (`expand`, with the
//! `key`, the `fingerprint` and the functions beside the cached one, `companions`). Everything that can be refused is refused in the
//! first two, with a message that says what to write instead; the third cannot fail.

#![forbid(unsafe_code)]

mod arguments;
mod duration;

mod inspect;
mod subject;

mod companions;
mod expand;
mod fingerprint;
mod key;

use proc_macro::TokenStream;
use quote::quote;
use syn::parse::Parser;

/// Remembers the results of a function. See the documentation of the crate `smart_cache`.
#[proc_macro_attribute]
pub fn smart_cache(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let plain = proc_macro2::TokenStream::from(item.clone());
    match expanded(arguments, item) {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            // The function stays as it was, so that its callers bring no errors of their own.
            let error = error.into_compile_error();
            quote!(#error #plain).into()
        }
    }
}

fn expanded(arguments: TokenStream, item: TokenStream) -> syn::Result<proc_macro2::TokenStream> {
    let arguments = arguments::Arguments::parse.parse(arguments)?;
    let item: syn::ItemFn = syn::parse(item).map_err(|error| {
        syn::Error::new(
            error.span(),
            "#[smart_cache] stands on a function, or on a method of an impl block, with a body",
        )
    })?;
    let subject = subject::Subject::new(item, &arguments)?;
    Ok(expand::expand(&subject, &arguments))
}
