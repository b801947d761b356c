//! Patterns, the plain way: LIKE, and the few signs of regular expressions that the tests use.

/// SQL's LIKE with `*` as another `%` and a backslash that takes the next character as it is.
pub fn like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%' | '*', rest @ ..] => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
            ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
            ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && matches(&text[1..], rest),
        }
    }
    matches(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>())
}

/// Whether a part of a text matches a pattern of `^`, `$`, `.`, `c*` and plain characters, after Rob Pike
/// (The Practice of Programming, chapter 9).
pub fn found(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    match pattern.strip_prefix(&['^']) {
        Some(rest) => here(&text, rest),
        None => (0..=text.len()).any(|skip| here(&text[skip..], &pattern)),
    }
}

fn here(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => true,
        ['$'] => text.is_empty(),
        [c, '*', rest @ ..] => {
            let run = text.iter().take_while(|t| is(**t, *c)).count();
            (0..=run).any(|skip| here(&text[skip..], rest))
        }
        [c, rest @ ..] => text.first().is_some_and(|t| is(*t, *c)) && here(&text[1..], rest),
    }
}

/// A dot stands for any character but the end of a line.
fn is(text: char, pattern: char) -> bool {
    if pattern == '.' { text != '\n' } else { text == pattern }
}

#[cfg(test)]
mod tests {
    use super::{found, like};

    #[test]
    fn like_matches_whole_strings() {
        for (text, pattern, expected) in [
            ("Texas", "T*s", true),
            ("Texas", "t*", false),
            ("Texas", "%x%", true),
            ("Texas", "Te_as", true),
            ("Texas", "Texa", false),
            ("a%b", "a\\%b", true),
            ("acb", "a\\%b", false),
            ("", "*", true),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn a_part_of_a_text_matches() {
        for (text, pattern, expected) in [
            ("Texas", "xa", true),
            ("Texas", "^Te", true),
            ("Texas", "^ex", false),
            ("Texas", "as$", true),
            ("Texas", "T.*s$", true),
            ("Texas", "^Tx*e", true),
            ("Texas", "^$", false),
            ("", "^$", true),
            ("a\nb", "a.b", false),
        ] {
            assert_eq!(found(text, pattern), expected, "{text} has {pattern}");
        }
    }
}
