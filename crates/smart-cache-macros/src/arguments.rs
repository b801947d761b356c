//! What stands in the brackets of `#[smart_cache(...)]`.

use std::time::Duration;

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, LitBool, LitInt, LitStr, Token, bracketed, parenthesized};

use crate::duration;

const NAMES: [&str; 11] = [
    "ttl",
    "max_entries",
    "persist",
    "version",
    "key",
    "skip",
    "tags",
    "stale",
    "stale_if_error",
    "store",
    "associated",
];

/// The memory tier makes room for its index at once, so this is no place for "as many as you like".
const MOST_ENTRIES: u64 = 10_000_000;

/// What was asked for, checked as far as it can be without the function.
pub(crate) struct Arguments {
    pub(crate) ttl: Duration,
    pub(crate) max_entries: u64,
    pub(crate) persist: bool,
    pub(crate) version: u64,
    pub(crate) key: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    /// Expressions; words are string literals.
    pub(crate) tags: Vec<Expr>,
    pub(crate) stale: Option<(Duration, Span)>,
    pub(crate) stale_if_error: Option<(Duration, Span)>,
    pub(crate) store: Store,
    pub(crate) associated: bool,
}

/// Which results are stored.
#[derive(Clone, Copy)]
pub(crate) enum Store {
    /// Neither an error nor a `None`, nor an `Ok(None)`.
    Some,
    /// Every `Ok`, `Ok(None)` as well.
    Ok(Span),
    /// Everything.
    All,
}

impl Arguments {
    /// Reads the brackets.
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self {
            ttl: Duration::from_secs(3600),
            max_entries: 100,
            persist: false,
            version: 0,
            key: None,
            skip: Vec::new(),
            tags: Vec::new(),
            stale: None,
            stale_if_error: None,
            store: Store::Some,
            associated: false,
        };
        let mut given: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            if given.contains(&name) {
                return Err(Error::new(name.span(), format!("`{name}` is given twice: keep one of them")));
            }
            arguments.argument(&name, input)?;
            given.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        arguments.agree(&given)?;
        Ok(arguments)
    }

    fn argument(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "ttl" => self.ttl = duration::parse("ttl", "a ttl of zero remembers nothing", &value(name, "300", input)?)?,
            "max_entries" => self.max_entries = max_entries(&value(name, "100", input)?)?,
            "persist" => self.persist = persist(name, input)?,
            "version" => self.version = version(&value(name, "1", input)?)?,
            "key" => self.key = Some(value(name, "(a, b)", input)?),
            "skip" => self.skip = skip(name, input)?,
            "tags" => self.tags = tags(name, input)?,
            "stale" => {
                let window = duration::parse("stale", "nothing is served stale", &value(name, "60", input)?)?;
                self.stale = Some((window, name.span()));
            }
            "stale_if_error" => {
                let nothing = "nothing is served in place of an error";
                let window = duration::parse("stale_if_error", nothing, &value(name, "\"1h\"", input)?)?;
                self.stale_if_error = Some((window, name.span()));
            }
            "store" => self.store = store(name, input)?,
            "associated" => self.associated = true,
            unknown => return Err(Error::new(name.span(), unknown_argument(unknown))),
        }
        Ok(())
    }

    fn agree(&self, given: &[Ident]) -> syn::Result<()> {
        let place = |wanted: &str| given.iter().find(|name| *name == wanted).map(Ident::span);
        if let (Some(_), Some(skip)) = (place("key"), place("skip")) {
            return Err(Error::new(skip, "`key` says all that tells two results apart: `skip` has no say beside it"));
        }
        if let Some(version) = place("version").filter(|_| !self.persist) {
            let why = "`version` is the version of what is persisted: add `persist = true`, or leave `version` out";
            return Err(Error::new(version, why));
        }
        Ok(())
    }
}

fn unknown_argument(name: &str) -> String {
    let near = NAMES.iter().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    match near.filter(|(distance, known)| *distance <= known.len() / 3 + 1) {
        Some((_, known)) => format!("there is no argument `{name}`: did you mean `{known}`?"),
        None => format!("there is no argument `{name}`: there are {}", NAMES.join(", ")),
    }
}

fn value(name: &Ident, example: &str, input: ParseStream<'_>) -> syn::Result<Expr> {
    if !input.peek(Token![=]) {
        return Err(Error::new(name.span(), format!("`{name}` needs a value: write `{name} = {example}`")));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

fn max_entries(value: &Expr) -> syn::Result<u64> {
    let refuse = |why: &str| Err(Error::new_spanned(value, why));
    match number(value) {
        Some(0) => {
            refuse("a cache of no entries remembers nothing: write `max_entries = 100`, or leave the attribute off")
        }
        Some(number) if number > MOST_ENTRIES => refuse("`max_entries` is at most 10_000_000"),
        Some(number) => Ok(number),
        None => refuse("`max_entries` is a number of entries: write `max_entries = 100`"),
    }
}

fn version(value: &Expr) -> syn::Result<u64> {
    number(value).ok_or_else(|| Error::new_spanned(value, "`version` is a number: write `version = 1`"))
}

fn number(value: &Expr) -> Option<u64> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => LitInt::base10_parse(number).ok(),
        _ => None,
    }
}

fn persist(name: &Ident, input: ParseStream<'_>) -> syn::Result<bool> {
    match value(name, "true", input)? {
        Expr::Lit(ExprLit { lit: Lit::Bool(LitBool { value, .. }), .. }) => Ok(value),
        other => Err(Error::new_spanned(other, "write `persist = true` or `persist = false`")),
    }
}

fn store(name: &Ident, input: ParseStream<'_>) -> syn::Result<Store> {
    let value = value(name, "all", input)?;
    match value.to_token_stream().to_string().as_str() {
        "some" => Ok(Store::Some),
        "ok" => Ok(Store::Ok(name.span())),
        "all" => Ok(Store::All),
        _ => Err(Error::new_spanned(
            value,
            "write `store = some` (the default: neither errors nor None), `store = ok` (Ok(None) too) or `store = all` \
             (errors and None too)",
        )),
    }
}

fn skip(name: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(name.span(), "`skip` needs the names of arguments: write `skip(a, b)`"));
    }
    let content;
    parenthesized!(content in input);
    // `self` is a keyword, and may be skipped.
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&content, Ident::parse_any)?;
    let names: Vec<Ident> = names.into_iter().collect();
    if names.is_empty() {
        return Err(Error::new(
            name.span(),
            "`skip()` skips nothing: name arguments, as in `skip(a)`, or leave it out",
        ));
    }
    Ok(names)
}

fn tags(name: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let how = "write `tags(\"prices\", \"news\")`, or `tags = [format!(\"user:{id}\")]` for tags made of arguments";
    let content;
    let tags: Vec<Expr> = if input.peek(syn::token::Paren) {
        parenthesized!(content in input);
        let words = content.call(Punctuated::<LitStr, Token![,]>::parse_terminated);
        let words = words.map_err(|error| Error::new(error.span(), how))?;
        words.into_iter().map(|word| Expr::Lit(ExprLit { attrs: Vec::new(), lit: Lit::Str(word) })).collect()
    } else if input.peek(Token![=]) && input.peek2(syn::token::Bracket) {
        input.parse::<Token![=]>()?;
        bracketed!(content in input);
        content.call(Punctuated::<Expr, Token![,]>::parse_terminated)?.into_iter().collect()
    } else {
        return Err(Error::new(name.span(), how));
    };
    if tags.is_empty() {
        return Err(Error::new(name.span(), format!("no tags are given: {how}")));
    }
    Ok(tags)
}
