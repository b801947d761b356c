//! A list of bad requests as data: what is sent, and what the problem document that answers it must say.
//!
//! One JSON object a line. `path` is below `/api/v1/datasets/` unless it begins with a slash; `method` is GET unless said;
//! `body` is sent as JSON, `text` as it stands. `status` is 400 unless said; `value` and `hint` are parts of what must be
//! there. `«3*ab»` anywhere stands for `ababab`, so that a huge request is a short line. A line with `about` is a heading.

use serde_json::Value;

/// One bad request, and what must come of it.
#[derive(Debug, Clone)]
pub struct BadRequest {
    /// Where it stands in the file, from 1 on.
    pub line: usize,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers beside that of the body's type.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// The status.
    pub status: u16,
    /// The problem's code.
    pub code: String,
    /// The parameter that is to blame, if there is one.
    pub parameter: Option<String>,
    /// A part of the value that is repeated.
    pub value: String,
    /// A part of the hint.
    pub hint: String,
}

/// The members that a line may have.
const MEMBERS: [&str; 10] =
    ["method", "path", "headers", "body", "text", "status", "code", "parameter", "value", "hint"];

/// Reads a file of bad requests.
///
/// # Panics
/// When a line is none.
pub fn read(lines: &str) -> Vec<BadRequest> {
    let numbered = lines.lines().enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter_map(|(at, line)| read_line(at, line)).collect()
}

fn read_line(at: usize, line: &str) -> Option<BadRequest> {
    let read: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("line {at}: {error}"));
    let members = read.as_object().unwrap_or_else(|| panic!("line {at} is no object"));
    if members.contains_key("about") {
        return None;
    }
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        panic!("line {at} has a member '{unknown}'");
    }
    let text = |name: &str| read[name].as_str().map(str::to_owned);
    let path = text("path").unwrap_or_else(|| panic!("line {at} has no path"));
    let path = if path.starts_with('/') { path } else { format!("/api/v1/datasets/{path}") };
    let headers = read["headers"].as_object().into_iter().flatten();
    let body = text("text").or_else(|| (!read["body"].is_null()).then(|| read["body"].to_string()));
    Some(BadRequest {
        line: at,
        method: text("method").unwrap_or_else(|| "GET".to_owned()),
        path: unfold(&path),
        headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
        body: body.map(|body| unfold(&body)),
        status: read["status"].as_u64().map_or(400, |status| u16::try_from(status).expect("a status")),
        code: text("code").unwrap_or_else(|| panic!("line {at} has no code")),
        parameter: text("parameter"),
        value: text("value").unwrap_or_default(),
        hint: text("hint").unwrap_or_default(),
    })
}

/// Writes each `«N*text»` out.
fn unfold(text: &str) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('«') {
        let (repeated, after) = after.split_once('»').expect("a closing »");
        let (times, part) = repeated.split_once('*').expect("«times*text»");
        whole.push_str(before);
        whole.push_str(&part.repeat(times.parse().expect("a number of times")));
        rest = after;
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::{read, unfold};

    #[test]
    fn what_is_to_be_repeated_is_written_out() {
        assert_eq!(unfold("a«3*(b»c«2*)»"), "a(b(b(bc))");
        assert_eq!(unfold("nothing"), "nothing");
    }

    #[test]
    fn what_a_line_leaves_out_is_what_most_lines_would_say() {
        let lines = "{\"about\": \"x\"}\n{\"path\": \"t/rows?«2*a»\", \"code\": \"c\"}";
        let [only] = &read(lines)[..] else { panic!("one request") };
        assert_eq!((only.line, only.method.as_str(), only.status), (2, "GET", 400));
        assert_eq!((only.path.as_str(), &only.parameter), ("/api/v1/datasets/t/rows?aa", &None));
    }
}
