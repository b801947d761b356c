//! What is known of each plugin, for people and programs that look from outside.
//!
//! Details never hold absolute paths: they are shown to whoever may read the list of plugins.

use plugin_sdk::Dataset;

/// How a plugin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginState {
    /// It was found and is being tried.
    Starting,
    /// It serves.
    Loaded,
    /// Its newest version failed; the one before goes on serving.
    Outdated,
    /// It could not be loaded; `steps` says why.
    Failed,
    /// It crashed too often; it serves again once its file changes or a person resets it.
    Quarantined,
}

impl PluginState {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Loaded => "loaded",
            Self::Outdated => "outdated",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
        }
    }
}

/// One thing that was tried on the way to a serving plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was tried: `limit`, `name`, `sidecar`, `trust`, `copy`, `elf`, `load`, `open`, `datasets`.
    pub name: String,
    /// Whether it worked.
    pub ok: bool,
    /// What was found, or why it failed.
    pub detail: String,
}

impl Step {
    /// A step that worked.
    pub fn passed(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, detail: public_text(&detail.into()) }
    }

    /// A step that failed.
    pub fn failed(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok: false, detail: public_text(&detail.into()) }
    }
}

/// Characters of a public text.
const MAX_PUBLIC: usize = 500;

/// `text` as it may be shown to whoever may read the list of plugins: short, on one line, and each
/// absolute path reduced to its last part.
pub(crate) fn public_text(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control()).collect();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('/') {
        let (before, path) = rest.split_at(at);
        shown.push_str(before);
        let previous = before.chars().next_back().or(shown.chars().next_back());
        let path = &path[..path_len(path, previous)];
        if previous.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')) {
            // Within a relative path, a fraction or an alternative.
            shown.push('/');
            rest = &rest[at + 1..];
        } else {
            let parts = path.trim_end_matches('/');
            shown.push_str(parts.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or("/"));
            rest = &rest[at + path.len()..];
        }
    }
    shown.push_str(rest);
    match shown.char_indices().nth(MAX_PUBLIC) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}

/// Bytes of the path that `text` begins with: up to the quote that closes it, if it is quoted.
fn path_len(text: &str, previous: Option<char>) -> usize {
    let closing = previous.filter(|c| matches!(c, '\'' | '"' | '`')).and_then(|quote| text.find(quote));
    let ends_path = |c: char| c == ' ' || "'\"`,;:()[]{}<>|".contains(c);
    closing.or_else(|| text.find(ends_path)).unwrap_or(text.len())
}

/// All that is known of one plugin.
#[derive(Debug, Clone)]
pub struct PluginStatus {
    /// Name of the instance.
    pub name: String,
    /// File name of the library.
    pub library: String,
    /// Version from the manifest of the serving library, else of the one that failed.
    pub version: String,
    /// Description from that manifest.
    pub description: String,
    /// SHA-256 of that library in hexadecimal; empty when it was never read.
    pub sha256: String,
    /// How it stands.
    pub state: PluginState,
    /// How many versions of it were published so far; 0 = none.
    pub generation: u64,
    /// What was tried with the newest file.
    pub steps: Vec<Step>,
    /// Process id of its worker, when one runs.
    pub worker_pid: Option<u32>,
    /// Workers started for the serving version.
    pub starts: u64,
    /// How many of them crashed.
    pub crashes: u64,
    /// The last failure, of the newest file or of a worker.
    pub last_error: Option<String>,
    /// What the serving version offers.
    pub datasets: Vec<Dataset>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(public_text(text), expected);
    }

    #[test]
    fn public_texts_hold_no_absolute_path_and_stay_on_one_line() {
        check("cannot open /srv/data/x.csv: no such file", "cannot open x.csv: no such file");
        check("/srv/data/", "data");
        check("'/srv/my data/a b.csv' and (/etc/passwd)", "'a b.csv' and (passwd)");
        check("root=/srv,file:///srv/x", "root=srv,file:x");
        check("it's /srv/a b", "it's a b");
        check("3/4 of data/x.csv, and/or a / b", "3/4 of data/x.csv, and/or a / b");
        check("two\nlines\x1b[31m\0", "two lines[31m");
        check(&"é".repeat(600), &format!("{}...", "é".repeat(500)));
    }
}
