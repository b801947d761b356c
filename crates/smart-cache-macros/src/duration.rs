//! Durations as they stand in the attribute: seconds, or words such as "5m".

use std::time::Duration;

use syn::{Error, Expr, ExprLit, Lit};

/// The duration that an expression stands for. `name` and `nothing` (what a duration of zero would mean) are for the
/// message.
pub(crate) fn parse(name: &str, nothing: &str, value: &Expr) -> syn::Result<Duration> {
    let refuse = |why: String| Err(Error::new_spanned(value, why));
    let how = format!("write seconds, as in `{name} = 300`, or words, as in `{name} = \"5m\"`");
    let Expr::Lit(ExprLit { lit, .. }) = value else {
        return refuse(format!("`{name}` is known when the program is compiled: {how}"));
    };
    let duration = match lit {
        Lit::Int(seconds) => match seconds.base10_parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(error) => return refuse(format!("{error}: {how}")),
        },
        Lit::Str(words) => match humantime::parse_duration(&words.value()) {
            Ok(duration) => duration,
            Err(error) => return refuse(format!("{error}: {how}")),
        },
        _ => return refuse(format!("`{name}` is a duration: {how}")),
    };
    if duration.is_zero() {
        return refuse(format!("{nothing}: {how}, or leave `{name}` out"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Duration, &str>) {
        let parsed = parse("ttl", "nothing is kept", &syn::parse_str(text).unwrap());
        match (parsed.map_err(|error| error.to_string()), expected) {
            (Ok(parsed), Ok(expected)) => assert_eq!(parsed, expected, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message:?} should contain {part:?}"),
            (parsed, expected) => panic!("{text}: {parsed:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_duration_is_seconds_or_words() {
        check("90", Ok(Duration::from_secs(90)));
        check("1_000", Ok(Duration::from_secs(1_000)));
        check("\"5m\"", Ok(Duration::from_secs(300)));
        check("\"1h 30m\"", Ok(Duration::from_secs(5_400)));
        check("\"250ms\"", Ok(Duration::from_millis(250)));
        check("0", Err("nothing is kept"));
        check("\"0s\"", Err("nothing is kept"));
        check("\"soon\"", Err("ttl = \"5m\""));
        check("-1", Err("known when the program is compiled"));
        check("1.5", Err("is a duration"));
        check("TTL", Err("known when the program is compiled"));
        check("99999999999999999999", Err("ttl = 300"));
    }
}
