//! A raw query string to names and values and back, by the rules of HTML forms: `+` is a space, `%XX` a byte, and a `%`
//! that no two hexadecimal digits follow stands for itself.

use super::error::{QueryError, QueryErrorKind, Result};

/// The decoded parameters of a query string, in its order. Empty pairs (`a&&b`) are skipped.
///
/// # Errors
/// `bad_syntax` for bytes that are not UTF-8.
pub fn decode(raw: &str) -> Result<Vec<(String, String)>> {
    let raw = raw.strip_prefix('?').unwrap_or(raw);
    let mut pairs = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let bad = |_| {
            QueryError::new(QueryErrorKind::BadSyntax, name, value, "the parameter is not UTF-8 once percent-decoded")
                .with_hint("send texts as UTF-8, percent-encoded")
        };
        let decoded_name = decode_part(name).map_err(bad)?;
        let decoded_value = decode_part(value).map_err(bad)?;
        pairs.push((decoded_name, decoded_value));
    }
    Ok(pairs)
}

fn decode_part(part: &str) -> std::result::Result<String, std::string::FromUtf8Error> {
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|pair| Some((hex_digit(pair[0])?, hex_digit(pair[1])?)));
        match (bytes[at], digits) {
            (b'%', Some((high, low))) => {
                out.push(high << 4 | low);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    String::from_utf8(out)
}

/// The value of a hexadecimal digit.
pub(super) fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// `text`, percent-encoded so that [`decode`] gives it back, readable where a URL allows it.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_onto(&mut out, text);
    out
}

/// Appends `text`, percent-encoded so that [`decode`] gives it back, readable where a URL allows it.
pub(super) fn encode_onto(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'*' | b'(' | b')' | b',' | b':' | b'!' | b'$' | b'\'' | b'/' | b'@' => {
                out.push(char::from(byte));
            }
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(decode(raw).unwrap(), expected);
    }

    #[test]
    fn forms_are_decoded_as_a_browser_sends_them() {
        check("", &[]);
        check("?a=1", &[("a", "1")]);
        check("a=1&&b=2&", &[("a", "1"), ("b", "2")]);
        check("a", &[("a", "")]);
        check("a=b=c", &[("a", "b=c")]);
        check("a+b=c+d", &[("a b", "c d")]);
        check("at=gte.2024-01-01T00:00:00%2B02:00", &[("at", "gte.2024-01-01T00:00:00+02:00")]);
        check("a=like.%zz%4", &[("a", "like.%zz%4")]);
        check("a=%e2%82%AC%26", &[("a", "€&")]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        assert_eq!(decode("a=%ff").unwrap_err().code(), "bad_syntax");
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let text = "a b&c=d+e%f\"g\\h#?é€(1,2)*.~";
        let mut raw = String::from("x=");
        encode_onto(&mut raw, text);
        check(&raw, &[("x", text)]);
    }
}
