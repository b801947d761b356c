//! What the files of a folder hold, as a table in its README.md says.
//!
//! A table counts if its header has a column `file` and a column `what` or `description`.

use std::collections::HashMap;
use std::io::Read;

use crate::source_file::Root;

/// A README is only read this far.
const MAX_BYTES: u64 = 256 << 10;

/// The descriptions in the README.md of a folder, by the file's own name; none if there is no such file.
pub(crate) fn descriptions(root: &Root, folder: &str) -> HashMap<String, String> {
    let name = if folder.is_empty() { "README.md".to_owned() } else { format!("{folder}/README.md") };
    let mut text = Vec::new();
    // A pipe by this name must not be waited for.
    let is_file = root.resolve(&name).is_ok_and(|path| path.is_file());
    let outcome = is_file.then(|| root.open(&name).map(|file| file.take(MAX_BYTES).read_to_end(&mut text)));
    match outcome {
        Some(Ok(Ok(_))) => parse(&String::from_utf8_lossy(&text)),
        _ => HashMap::new(),
    }
}

fn parse(text: &str) -> HashMap<String, String> {
    let mut descriptions = HashMap::new();
    let mut columns: Option<(usize, usize)> = None;
    for line in text.lines() {
        let Some(row) = line.trim().strip_prefix('|') else {
            columns = None;
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        match columns {
            None => columns = header(&cells),
            Some((file, what)) => {
                if let (Some(file), Some(what)) = (cells.get(file), cells.get(what))
                    && !what.is_empty()
                    && !what.starts_with("--")
                {
                    descriptions.insert(file.trim_matches('`').to_owned(), (*what).to_owned());
                }
            }
        }
    }
    descriptions
}

fn header(cells: &[&str]) -> Option<(usize, usize)> {
    let find = |names: &[&str]| cells.iter().position(|cell| names.iter().any(|name| cell.eq_ignore_ascii_case(name)));
    Some((find(&["file"])?, find(&["what", "description"])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_files_gives_descriptions() {
        let text = "# Data\n\n| file | rows | what |\n|---|---|---|\n| `a.csv` | 9 | all of it |\n| b.csv | 1 | |\n\n\
                    | x | y |\n|---|---|\n| c.csv | 2 |\n";
        let descriptions = parse(text);
        assert_eq!(descriptions.get("a.csv").map(String::as_str), Some("all of it"));
        assert_eq!(descriptions.len(), 1);
    }
}
