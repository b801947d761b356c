//! The functions beside the cached one: invalidate, peek, refresh, stats, clear.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

use crate::arguments::Arguments;
use crate::expand::{Names, cfgs, local, passed, plain_signature, run, tagged};
use crate::inspect;
use crate::key;
use crate::subject::{Receiver, Subject};

/// Writes all of them.
pub(crate) fn companions(subject: &Subject, arguments: &Arguments, names: &Names, associated: bool) -> TokenStream {
    let beside = Beside { subject, arguments, names, associated };
    let (invalidate, peek, refresh) = (beside.invalidate(), beside.peek(), beside.refresh());
    let (stats, clear) = (beside.stats(), beside.clear());
    quote!(#invalidate #peek #refresh #stats #clear)
}

/// Variables of the generated code, out of sight of the user's key.
struct Locals {
    cache: Ident,
    key: Ident,
}

impl Locals {
    fn new() -> Self {
        Self { cache: local("cache"), key: local("key") }
    }
}

struct Beside<'a> {
    subject: &'a Subject,
    arguments: &'a Arguments,
    names: &'a Names,
    associated: bool,
}

impl Beside<'_> {
    fn invalidate(&self) -> TokenStream {
        let doc = "Forgets the result of these arguments, and of calls with them that are under way.";
        let (head, name, keyed, key) = (self.head(doc), self.name("invalidate"), self.keyed(), self.key());
        let Locals { cache, key: written } = Locals::new();
        let (asyncness, then) = self.either(quote!(invalidate(#written)), quote!(invalidate_async(#written).await));
        let clause = self.clause();
        quote! {
            #head #asyncness fn #name #keyed -> ::core::result::Result<(), ::smart_cache::NotDurable> #clause {
                #key
                #cache.#then
            }
        }
    }

    fn peek(&self) -> TokenStream {
        let doc = "The stored result of these arguments with its age, if it is in memory. Leaves no trace.";
        let (head, name, keyed, key) = (self.head(doc), self.name("peek"), self.keyed(), self.key());
        let kept = inspect::made_static(&self.subject.output.kept);
        let (Locals { cache, key: written }, clause) = (Locals::new(), self.clause());
        quote! {
            #head fn #name #keyed -> ::core::option::Option<::smart_cache::Peek<#kept>> #clause {
                #key
                #cache.peek(#written)
            }
        }
    }

    fn refresh(&self) -> TokenStream {
        let doc = "Calls the function whether its result is stored or not, and stores what it returns. What is stored is \
                   served meanwhile.";
        let (head, key) = (self.head(doc), self.key());
        let mut sig = plain_signature(&self.subject.item.sig);
        sig.ident = self.name("refresh");
        let Names { home, body, .. } = self.names;
        let Locals { cache, key: written } = Locals::new();
        let (passed, missed) = (passed(self.subject), local("missed"));
        let tagged = tagged(self.arguments, &missed);
        let call = run(self.subject, &missed, quote!(#home::#body(#(#passed),*)));
        quote! {
            #head #sig {
                let #missed = {
                    #key
                    #cache.refresh(#written)
                };
                #tagged
                #call
            }
        }
    }

    fn stats(&self) -> TokenStream {
        let (head, name, cache) = (
            self.head("What the cache of this function has done and what it holds."),
            self.name("stats"),
            self.cache(),
        );
        quote!(#head fn #name() -> ::smart_cache::FunctionStats { #cache.stats() })
    }

    fn clear(&self) -> TokenStream {
        let doc = "Forgets all results of this function, and of calls that are under way.";
        let (head, name, cache) = (self.head(doc), self.name("clear"), self.cache());
        let (asyncness, then) = self.either(quote!(clear()), quote!(clear_async().await));
        quote!(#head #asyncness fn #name() -> ::core::result::Result<(), ::smart_cache::NotDurable> { #cache.#then })
    }

    /// What stands before `fn`.
    fn head(&self, doc: &str) -> TokenStream {
        let vis = &self.subject.item.vis;
        let cfgs = if self.associated { cfgs(self.subject) } else { Vec::new() };
        quote! {
            #(#cfgs)*
            #[doc = #doc]
            #[allow(dead_code, clippy::all)]
            #vis
        }
    }

    fn name(&self, what: &str) -> Ident {
        if self.associated {
            format_ident!("{}_{what}", self.subject.item.sig.ident.unraw())
        } else {
            format_ident!("{what}")
        }
    }

    fn cache(&self) -> TokenStream {
        let Names { home, cache, .. } = self.names;
        quote!(#home::#cache())
    }

    /// The parameters of a function that only has to find an entry.
    fn keyed(&self) -> TokenStream {
        let receiver = self.subject.receiver.as_ref().map(|receiver| match receiver {
            Receiver::Borrowed => quote!(&self,),
            Receiver::Typed(ty) => quote!(self: #ty,),
        });
        let inputs = key::inputs(self.subject, self.arguments).map(|input| {
            let (name, ty) = (&input.name, &input.ty);
            quote!(#name: #ty)
        });
        let params = &self.subject.item.sig.generics.params;
        quote!(<#params>(#receiver #(#inputs),*))
    }

    fn clause(&self) -> Option<&syn::WhereClause> {
        self.subject.item.sig.generics.where_clause.as_ref()
    }

    /// Code that looks up the cache and writes the key.
    fn key(&self) -> TokenStream {
        let Locals { cache, key } = Locals::new();
        let (writer, open) = (local("writer"), self.cache());
        let write = key::write(self.subject, self.arguments, &writer);
        quote! {
            let #cache = #open;
            let #key = #cache.key(|#writer| { #write });
        }
    }

    /// `async` where the function is.
    fn either(&self, blocking: TokenStream, awaiting: TokenStream) -> (TokenStream, TokenStream) {
        if self.subject.is_async() { (quote!(async), awaiting) } else { (TokenStream::new(), blocking) }
    }
}
