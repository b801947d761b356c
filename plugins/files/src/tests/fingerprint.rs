//! The change token: it differs when anything about the files does, and only then.

use std::fs::{self, File};
use std::path::Path;

use plugin_sdk::{DataSource, ErrorCode, Fingerprint};

use super::tree::{Tree, ctx, read_all, rows};
use crate::Source;

fn token(source: &Source, dataset: &str) -> Fingerprint {
    source.fingerprint(&ctx(), dataset).unwrap()
}

/// Writes a file over and gives it back the time that it had.
fn write_unseen(path: &Path, text: &str) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, text).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Does something to the folder `d` and demands that its token is another then.
#[track_caller]
fn check(what: &str, act: impl Fn(&Tree)) {
    let tree = Tree::new(&[("d/a.csv", "x\n1\n"), ("d/b.csv", "x\n2\n"), ("d/README.md", "#\n")]);
    let source = tree.source();
    let before = token(&source, "d");
    assert!(before.is_known() && before.as_bytes().len() <= 64);
    act(&tree);
    let after = token(&source, "d");
    assert_ne!(after, before, "{what}");
    assert_eq!(token(&source, "d"), after, "{what}: nothing changed since");
    assert_eq!(token(&tree.source(), "d"), after, "{what}: another instance sees the same");
}

#[test]
fn every_change_of_a_file_is_another_token() {
    check("longer", |tree| tree.write("d/a.csv", "x\n12\n"));
    check("as long", |tree| tree.write("d/a.csv", "x\n2\n"));
    check("written at once again", |tree| {
        tree.write("d/a.csv", "x\n3\n");
        tree.write("d/a.csv", "x\n4\n");
    });
    check("as long, and its time set back", |tree| write_unseen(&tree.path("d/a.csv"), "x\n2\n"));
    check("touched", |tree| {
        let file = File::options().write(true).open(tree.path("d/b.csv")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    });
    check("replaced by its copy", |tree| {
        fs::copy(tree.path("d/a.csv"), tree.path("d/.new")).unwrap();
        fs::rename(tree.path("d/.new"), tree.path("d/a.csv")).unwrap();
    });
}

#[test]
fn every_change_of_the_set_of_files_is_another_token() {
    check("one more", |tree| tree.write("d/c.csv", "x\n"));
    check("one less", |tree| fs::remove_file(tree.path("d/b.csv")).unwrap());
    check("renamed", |tree| fs::rename(tree.path("d/b.csv"), tree.path("d/c.csv")).unwrap());
    check("names exchanged", |tree| {
        fs::rename(tree.path("d/a.csv"), tree.path("d/.a")).unwrap();
        fs::rename(tree.path("d/b.csv"), tree.path("d/a.csv")).unwrap();
        fs::rename(tree.path("d/.a"), tree.path("d/b.csv")).unwrap();
    });
}

#[test]
fn what_is_not_read_does_not_matter() {
    let tree = Tree::new(&[("d/a.csv", "x\n1\n"), ("e.csv", "x\n1\n")]);
    let source = tree.source();
    let before = token(&source, "d");
    tree.write("d/README.md", "#\n");
    tree.write("d/.hidden.csv", "x\n");
    tree.write("e.csv", "x\n2\n");
    assert_eq!(rows(&read_all(&source, "d")), ["1"]);
    assert_eq!(token(&source, "d"), before);
    let declared = tree.source_with(r#"{"d": {"path": "d", "types": {"x": "utf8"}}}"#);
    assert_ne!(token(&declared, "d"), before, "how it is read does");
}

/// Two tokens are the same only if what was read after the first is what is read after the second.
#[test]
fn a_file_that_is_written_all_the_time_never_hides_behind_a_token() {
    let tree = Tree::new(&[("a.csv", "x\n0\n")]);
    let source = tree.source();
    let mut seen: Vec<(Fingerprint, Vec<String>)> = Vec::new();
    for round in 1..=9 {
        let now = token(&source, "a");
        let read = rows(&read_all(&source, "a"));
        assert!(seen.iter().all(|(token, rows)| *token != now || *rows == read), "{read:?} behind an old token");
        seen.push((now, read));
        tree.write("a.csv", format!("x\n{round}\n"));
    }
}

#[test]
fn a_file_that_is_gone_is_told_clearly() {
    let tree = Tree::new(&[("a.csv", "x\n1\n"), ("d/b.csv", "x\n1\n")]);
    let source = tree.source();
    token(&source, "a");
    token(&source, "d");
    fs::remove_file(tree.path("a.csv")).unwrap();
    fs::remove_file(tree.path("d/b.csv")).unwrap();
    let error = source.fingerprint(&ctx(), "d").unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::Unavailable, "'d' has no CSV files"));
    assert!(error.retryable);
    let error = source.fingerprint(&ctx(), "a").unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::NotFound, "no dataset named 'a'"));
}
