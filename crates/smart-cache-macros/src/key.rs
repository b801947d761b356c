//! What tells two calls apart, as code that writes a key.

use proc_macro2::{Ident, Literal, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned;

use crate::arguments::Arguments;
use crate::subject::{Input, Subject};

/// Code that writes the key into `writer`, with the arguments in scope.
pub(crate) fn write(subject: &Subject, arguments: &Arguments, writer: &Ident) -> TokenStream {
    if let Some(key) = &arguments.key {
        return quote_spanned!(key.span()=> ::smart_cache::CacheKey::write(&#key, #writer););
    }
    let parts = subject.inputs.iter().filter(|input| !arguments.skip.contains(&input.name)).map(|input| {
        let name = &input.name;
        quote_spanned!(input.ty.span()=> ::smart_cache::CacheKey::write(&#name, #writer);)
    });
    // A key of no arguments is empty, and the writer is not touched.
    quote!(let _ = &#writer; #(#parts)*)
}

/// The arguments that the key is made of: all that has to be known to find an entry.
pub(crate) fn inputs<'a>(subject: &'a Subject, arguments: &'a Arguments) -> impl Iterator<Item = &'a Input> {
    subject.inputs.iter().filter(|input| match &arguments.key {
        Some(key) => mentions(key, &input.name),
        None => !arguments.skip.contains(&input.name),
    })
}

fn mentions(key: &Expr, name: &Ident) -> bool {
    fn any(tokens: TokenStream, name: &Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Group(group) => any(group.stream(), name),
            TokenTree::Ident(ident) => ident == *name,
            TokenTree::Literal(literal) => captures(&literal, name),
            TokenTree::Punct(_) => false,
        })
    }
    any(key.to_token_stream(), name)
}

/// Whether a literal may be a format string that takes in the argument: `format!("{id}")`.
fn captures(literal: &Literal, name: &Ident) -> bool {
    let text = literal.to_string();
    let opening = format!("{{{name}");
    text.match_indices(&opening).any(|(at, _)| text[at + opening.len()..].starts_with(['}', ':', ' ']))
        || ["$", "."].iter().any(|mark| text.contains('{') && text.contains(&format!("{name}{mark}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, expected: bool) {
        let key = syn::parse_str(key).unwrap();
        assert_eq!(mentions(&key, &quote::format_ident!("id")), expected, "{}", key.to_token_stream());
    }

    #[test]
    fn an_argument_is_mentioned_by_name_or_in_a_format_string() {
        check("id", true);
        check("(a, b.id())", true);
        check("(a, [id / 10])", true);
        check("format!(\"{id}-{a}\")", true);
        check("format!(\"{id:>4}\")", true);
        check("format!(\"{a:id$}\")", true);
        check("(a, idle)", false);
        check("format!(\"{idle}\")", false);
        check("\"id\"", false);
    }
}
