//! PostgreSQL's array literals, which `(any)` and `(all)` take: `{a,b,"c, d"}`.
//!
//! Spaces around an element are skipped. A backslash takes the character behind it as it stands, quoted or not. An element
//! without quotes holds no brace, no quote and no comma; an empty one, and `null`, need quotes to be texts.

/// The elements of the literal that `text` begins with, and what comes behind it.
pub(super) fn read(text: &str) -> Result<(Vec<String>, &str), &'static str> {
    let mut rest = text.strip_prefix('{').ok_or("a list in braces is missing")?;
    let mut items = Vec::new();
    let trimmed = rest.trim_start_matches(' ');
    if let Some(behind) = trimmed.strip_prefix('}') {
        return Ok((items, behind));
    }
    loop {
        rest = rest.trim_start_matches(' ');
        let (item, behind) = if rest.starts_with('"') { quoted(rest)? } else { plain(rest)? };
        items.push(item);
        let behind = behind.trim_start_matches(' ');
        match behind.chars().next() {
            Some(',') => rest = &behind[1..],
            Some('}') => return Ok((items, &behind[1..])),
            Some(_) => return Err("text behind a closing quote in the braces"),
            None => return Err("the list has no closing brace"),
        }
    }
}

fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut item = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((item, &text[at + 1..])),
            '\\' => item.push(chars.next().ok_or("a backslash has nothing behind it")?.1),
            c => item.push(c),
        }
    }
    Err("a double quote is not closed")
}

fn plain(text: &str) -> Result<(String, &str), &'static str> {
    let mut item = String::new();
    // Spaces at the end are left out, but for escaped ones.
    let mut kept = 0;
    let mut escaped = false;
    let mut chars = text.char_indices();
    let behind = loop {
        match chars.next() {
            None => return Err("the list has no closing brace"),
            Some((at, ',' | '}')) => break &text[at..],
            Some((_, '{')) => return Err("a list in braces holds no other list"),
            Some((_, '"')) => return Err("a double quote inside of a value without quotes"),
            Some((_, '\\')) => {
                item.push(chars.next().ok_or("a backslash has nothing behind it")?.1);
                escaped = true;
                kept = item.len();
            }
            Some((_, c)) => {
                item.push(c);
                if c != ' ' {
                    kept = item.len();
                }
            }
        }
    };
    item.truncate(kept);
    if item.is_empty() {
        return Err("a value in braces is missing (an empty text is \"\")");
    }
    if !escaped && item.eq_ignore_ascii_case("null") {
        return Err("null is no value to compare with (the text is \"null\", and nulls are found with is.null)");
    }
    Ok((item, behind))
}

/// Appends a literal of the items.
pub(super) fn push(text: &mut String, items: &[String]) {
    text.push('{');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push('"');
        for c in item.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, items: &[&str], behind: &str) {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        assert_eq!(read(text), Ok((items.clone(), behind)), "{text}");
        let mut again = String::new();
        push(&mut again, &items);
        assert_eq!(read(&again), Ok((items, "")), "{again}");
    }

    #[test]
    fn literals_are_read_as_postgresql_reads_them() {
        check("{}", &[], "");
        check("{ }x", &[], "x");
        check("{1,2}", &["1", "2"], "");
        check("{ a b , c}),", &["a b", "c"], "),");
        check(r#"{"a,}b","say \"hi\"",""}"#, &["a,}b", "say \"hi\"", ""], "");
        check(r"{a\,b,\ c\ ,\null}", &["a,b", " c ", "null"], "");
        check(r#"{"null",O*,é)}"#, &["null", "O*", "é)"], "");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "a", "{", "{a", "{a,", "{a,}", "{,a}", "{\"a}", "{\"a\"b}", "{a\"b}", "{{a}}", "{null}", "{a,NULL}",
            "{\\",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
