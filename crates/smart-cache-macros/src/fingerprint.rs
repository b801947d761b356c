//! What a persisted result depends on, as a number: results with another one are not found.
//!
//! That is what the function does with its arguments, and what was said when its results were stored: a result keeps
//! its ttl and its tags, so those of now must not be missing from it. What bounds the memory has no say.

use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};

use crate::arguments::Arguments;
use crate::subject::Subject;

/// The number.
pub(crate) fn fingerprint(subject: &Subject, arguments: &Arguments) -> u64 {
    let (sig, block) = (&subject.item.sig, &subject.item.block);
    let Arguments { key, skip, tags, .. } = arguments;
    let key = key.to_token_stream();
    let window = |given: Option<(Duration, _)>| given.map_or(0, |(window, _)| window.as_nanos());
    let windows = (arguments.ttl.as_nanos(), window(arguments.stale), window(arguments.stale_if_error));
    let mut text = format!("{windows:?}");
    write(quote!(#sig #block, key(#key), skip(#(#skip),*), tags(#(#tags),*)), &mut text);
    fnv_1a(text.as_bytes())
}

/// Writes tokens one by one: a stream as a whole shows where the source had spaces.
fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                text.push_str(&format!("{:?}(", group.delimiter()));
                write(group.stream(), text);
                text.push(')');
            }
            token => text.push_str(&token.to_string()),
        }
        text.push(' ');
    }
}

/// FNV-1a (Fowler, Noll, Vo; 64 bits).
fn fnv_1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser;

    use super::*;

    const FUNCTION: &str = "fn load(a: u32, b: &str) -> Result<u32, String> { Ok(a) }";

    fn of(arguments: &str, function: &str) -> u64 {
        let arguments = Arguments::parse.parse_str(arguments).unwrap();
        let subject = Subject::new(syn::parse_str(function).unwrap(), &arguments).unwrap();
        fingerprint(&subject, &arguments)
    }

    #[track_caller]
    fn check(left: &str, right: &str, equal: bool) {
        assert_eq!(of(left, FUNCTION) == of(right, FUNCTION), equal, "{left:?} and {right:?}");
    }

    #[test]
    fn what_was_said_when_a_result_was_stored_is_part_of_it() {
        check("persist = true", "persist = true, tags(\"prices\")", false);
        check("tags(\"prices\")", "tags(\"news\")", false);
        check("tags(\"prices\", \"news\")", "tags(\"prices\")", false);
        check("tags = [format!(\"a:{a}\")]", "tags = [format!(\"a:{b}\")]", false);
        check("ttl = 300", "ttl = 60", false);
        check("stale = 60", "", false);
        check("stale_if_error = 60", "", false);
        check("stale = 60", "stale_if_error = 60", false);
    }

    #[test]
    fn what_decides_the_key_is_part_of_it() {
        check("key = a", "", false);
        check("key = a", "key = b", false);
        check("key = a", "skip(a)", false);
        check("skip(a)", "skip(b)", false);
    }

    #[test]
    fn what_bounds_the_memory_and_how_a_time_is_written_is_not() {
        check("max_entries = 10", "max_entries = 20", true);
        check("ttl = 300", "ttl = \"5m\"", true);
        check("ttl = 3600", "", true);
        check("tags(\"a\")", "tags = [\"a\"]", true);
    }

    #[test]
    fn the_source_is_part_of_it_and_its_layout_is_not() {
        let other = FUNCTION.replace(", ", ",").replace("{ ", "{ // Said better.\n\n");
        assert_eq!(of("", FUNCTION), of("", &other));
        assert_ne!(of("", FUNCTION), of("", &FUNCTION.replace("Ok(a)", "Ok(a + 1)")));
        assert_ne!(of("", FUNCTION), of("", &FUNCTION.replace("&str", "String")));
    }
}
