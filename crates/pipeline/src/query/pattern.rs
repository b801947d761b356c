//! Patterns: those of `like`, in one spelling, and regular expressions, compiled once when a query is bound. Their time is linear in the text that is searched, and their
//! size is bounded here, so that no pattern can hold up more than its own query.

use regex::{Regex, RegexBuilder};

use super::QueryError;
use super::error::QueryErrorKind;

/// What a compiled pattern may take, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// How deep the groups of a pattern may nest.
const MAX_NESTING: u32 = 64;

/// The pattern compiled.
pub(super) fn compiled(pattern: &str, any_case: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(any_case)
        // As in PostgreSQL.
        .dot_matches_new_line(true)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTING)
        .build()
}

/// The error of a pattern that does not compile.
pub(super) fn refused(parameter: &str, pattern: &str, problem: &regex::Error) -> QueryError {
    let (reason, hint) = match problem {
        regex::Error::CompiledTooBig(_) => (
            "it takes more than 1 MiB compiled".to_owned(),
            "repeat less: counts such as {1000} multiply what they stand behind",
        ),
        // The parser draws the pattern and points at the place; the reason is its last line.
        problem => {
            let text = problem.to_string();
            let last = text.lines().next_back().unwrap_or_default().trim();
            let reason = last.strip_prefix("error: ").unwrap_or(last).trim_end_matches('.').to_owned();
            (reason, "put a backslash before . + * ? ( ) [ ] { } | ^ $ where they stand for themselves")
        }
    };
    let message = format!("'{}' is no regular expression: {}", super::error::cut(pattern), super::error::cut(&reason));
    QueryError::new(QueryErrorKind::BadPattern, parameter, pattern, message).with_hint(hint)
}

/// A pattern with `%` for each `*`, as PostgREST has it; `\*` is a literal star, and every other escape stays as it is.
pub(super) fn with_percent(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push('%'),
            '\\' => match chars.next() {
                Some('*') => out.push('*'),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, reason: &str) {
        let problem = compiled(pattern, false).expect_err(pattern);
        let error = refused("name", pattern, &problem);
        assert_eq!((error.code(), error.parameter()), ("bad_pattern", "name"));
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!error.to_string().contains('\n') && error.hint().is_some(), "{error}");
    }

    #[test]
    fn patterns_that_are_wrong_or_large_are_refused_with_the_reason() {
        check("(a", "unclosed group");
        check("a**{", "repetition");
        check("[z-a]", "invalid character class range");
        check(r"(?<n>a)\k<n>", "escape");
        check("(?=a)", "look-around");
        check("((a{100}){100}){100}", "more than 1 MiB");
        check(r"\w{1000}", "more than 1 MiB");
        check(&format!("{}a{}", "(".repeat(200), ")".repeat(200)), "nest");
    }

    #[test]
    fn patterns_match_anywhere_and_whatever_case_if_asked() {
        assert!(compiled("b", false).unwrap().is_match("abc"));
        assert!(!compiled("B", false).unwrap().is_match("abc"));
        assert!(compiled("É", true).unwrap().is_match("aéc"));
    }

    #[test]
    fn a_star_is_a_percent_unless_it_is_escaped() {
        for (pattern, expected) in
            [("*a*", "%a%"), (r"a\*b", "a*b"), (r"a\\*", r"a\\%"), (r"50\%", r"50\%"), (r"a\", r"a\")]
        {
            assert_eq!(with_percent(pattern), expected, "{pattern}");
        }
    }
}
