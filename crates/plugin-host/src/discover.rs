//! A look at the plugin folder: which files are there, which may be trusted, what each would be.
//!
//! Libraries are `*.so`, sidecars `*.toml`; what begins with a dot is someone's temporary file.
//! Links are not followed: what is judged must be what is read. A file belongs to us or to root and
//! nobody else may write it, or else whoever can would run code as the server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use plugin_sdk::Dataset;

use crate::options::Exposure;
use crate::sidecar::Sidecar;

/// A file that did not change for so long is not being written.
const SETTLED_AGE: Duration = Duration::from_secs(2);

/// Files over the limit that are named; the rest is not.
const MAX_SURPLUS: usize = 256;

/// A larger sidecar is not read.
const MAX_SIDECAR: u64 = 1 << 20;

/// What tells two states of a file apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
    is_link: bool,
}

impl Stamp {
    /// The state of the file that `meta` is of.
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
            is_link: meta.is_symlink(),
        }
    }

    /// Whether the file has been as it is for a while; the time of change cannot be set by hand.
    fn is_old(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        now.as_secs().saturating_sub(changed) > SETTLED_AGE.as_secs()
    }
}

/// What is in the folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Look {
    /// Libraries and sidecars by name.
    pub(crate) files: BTreeMap<String, Stamp>,
    /// Names of further ones, which are too many to be looked at.
    pub(crate) surplus: Vec<String>,
    /// Why nothing in the folder may be trusted.
    pub(crate) refusal: Option<String>,
}

/// What one instance would be made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// Name of the instance, or of the file where that cannot be one.
    pub(crate) name: String,
    /// File name of the library.
    pub(crate) library: String,
    /// File name of the sidecar and what it says.
    pub(crate) sidecar: Option<(String, Sidecar)>,
    /// Why it cannot be loaded whatever the library is: the step and the reason.
    pub(crate) problem: Option<(&'static str, String)>,
    /// The state of its files, the library's last; another one is another attempt.
    pub(crate) stamps: Vec<Stamp>,
    /// Whether its files are no longer being written.
    pub(crate) is_settled: bool,
}

/// Looks at `folder`. A folder that is not there is empty.
pub(crate) fn look(folder: &Path, exposure: Exposure, max_files: usize) -> io::Result<Look> {
    let meta = match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::default()),
        other => other?,
    };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if !name.starts_with('.') && (name.ends_with(".so") || name.ends_with(".toml")) {
            names.insert(name);
        }
    }
    // By name, so that the same files are left out each time.
    let (mut files, mut surplus) = (BTreeMap::new(), Vec::new());
    for name in names {
        // It may have gone since.
        let Ok(meta) = fs::symlink_metadata(folder.join(&name)) else { continue };
        if !(meta.is_file() || meta.is_symlink()) {
            continue;
        }
        if files.len() < max_files {
            files.insert(name, Stamp::of(&meta));
        } else if surplus.len() < MAX_SURPLUS {
            surplus.push(name);
        } else {
            break;
        }
    }
    Ok(Look { files, surplus, refusal: judge(&meta, "the plugin folder", exposure).err() })
}

/// Whether what is written in a file may decide what runs here; a warning where it just may.
pub(crate) fn judge(meta: &Metadata, what: &str, exposure: Exposure) -> Result<Option<String>, String> {
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us && meta.uid() != 0 {
        return Err(format!("{what} belongs to user {}, neither to the server's user nor to root", meta.uid()));
    }
    if meta.mode() & 0o002 != 0 {
        return Err(format!("{what} is writable by everyone; chmod o-w"));
    }
    if meta.mode() & 0o020 == 0 {
        return Ok(None);
    }
    match exposure {
        Exposure::Loopback => Ok(Some(format!("{what} is writable by its group"))),
        Exposure::Network => Err(format!("{what} is writable by its group; chmod g-w")),
    }
}

/// Opens a file of the folder that may be trusted; gives a warning where there is one.
pub(crate) fn open_trusted(path: &Path, what: &str, exposure: Exposure) -> Result<(File, Option<String>), String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => format!("{what} is a symbolic link; put the file itself there"),
            _ => format!("{what} cannot be opened: {error}"),
        })?;
    let meta = file.metadata().map_err(|error| format!("{what} cannot be examined: {error}"))?;
    if !meta.is_file() {
        return Err(format!("{what} is not a regular file"));
    }
    let warning = judge(&meta, what, exposure)?;
    Ok((file, warning))
}

/// Remembers what earlier looks found.
#[derive(Debug, Default)]
pub(crate) struct Eyes {
    last: Look,
    sidecars: BTreeMap<String, (Stamp, Result<Sidecar, String>)>,
}

impl Eyes {
    /// What could be loaded, by a look; to be compared with what was.
    pub(crate) fn candidates(&mut self, look: Look, folder: &Path, exposure: Exposure) -> Vec<Candidate> {
        self.read_sidecars(&look, folder, exposure);
        let settled = |name: &String, stamp: &Stamp| stamp.is_old() || self.last.files.get(name) == Some(stamp);
        let mut found = Vec::new();
        let mut used = BTreeSet::new();
        for (file, (stamp, sidecar)) in &self.sidecars {
            let stem = file.trim_end_matches(".toml");
            let beside =
                [format!("lib{stem}.so"), format!("{stem}.so")].into_iter().find(|l| look.files.contains_key(l));
            let named = sidecar.as_ref().ok().and_then(|sidecar| sidecar.library.clone());
            let library = named.or(beside).unwrap_or_else(|| format!("lib{stem}.so"));
            let library_stamp = look.files.get(&library);
            let problem = match sidecar {
                Err(reason) => Some(("sidecar", reason.clone())),
                Ok(_) if library_stamp.is_none() => {
                    Some(("sidecar", format!("there is no library '{library}' beside it")))
                }
                Ok(_) => None,
            };
            let sidecar = sidecar.clone().unwrap_or_default();
            found.push(Candidate {
                name: sidecar.name.clone().unwrap_or_else(|| stem.to_owned()),
                stamps: std::iter::once(*stamp).chain(library_stamp.copied()).collect(),
                is_settled: settled(file, stamp) && library_stamp.is_none_or(|stamp| settled(&library, stamp)),
                sidecar: Some((file.clone(), sidecar)),
                library: library.clone(),
                problem,
            });
            used.insert(library);
        }
        for (file, stamp) in look.files.iter().filter(|(file, _)| file.ends_with(".so") && !used.contains(*file)) {
            let stem = file.trim_end_matches(".so");
            found.push(Candidate {
                name: stem.strip_prefix("lib").unwrap_or(stem).to_owned(),
                library: file.clone(),
                sidecar: None,
                problem: None,
                stamps: vec![*stamp],
                is_settled: settled(file, stamp),
            });
        }
        check_names(&mut found);
        found.extend(look.surplus.iter().map(|file| surplus(file, look.files.len())));
        if let Some(refusal) = &look.refusal {
            found.iter_mut().for_each(|candidate| candidate.problem = Some(("trust", refusal.clone())));
        }
        self.last = look;
        found
    }

    fn read_sidecars(&mut self, look: &Look, folder: &Path, exposure: Exposure) {
        self.sidecars.retain(|name, (stamp, _)| look.files.get(name) == Some(stamp));
        for (name, stamp) in look.files.iter().filter(|(name, _)| name.ends_with(".toml")) {
            self.sidecars.entry(name.clone()).or_insert_with(|| (*stamp, read_sidecar(&folder.join(name), exposure)));
        }
    }
}

/// A file that is not looked at because `limit` others are.
fn surplus(file: &str, limit: usize) -> Candidate {
    let reason = format!("the plugin folder holds more than {limit} libraries and sidecars; this one is not looked at");
    Candidate {
        name: file.to_owned(),
        library: file.to_owned(),
        sidecar: None,
        problem: Some(("limit", reason)),
        stamps: Vec::new(),
        is_settled: true,
    }
}

fn read_sidecar(path: &Path, exposure: Exposure) -> Result<Sidecar, String> {
    let (file, _) = open_trusted(path, "the sidecar", exposure)?;
    let mut text = String::new();
    let got = file.take(MAX_SIDECAR + 1).read_to_string(&mut text);
    match got.map_err(|error| format!("the sidecar cannot be read: {error}"))? as u64 {
        ..=MAX_SIDECAR => Sidecar::parse(&text),
        _ => Err(format!("the sidecar is larger than {MAX_SIDECAR} bytes")),
    }
}

/// An instance's name is a good one, and its own.
fn check_names(candidates: &mut [Candidate]) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for candidate in candidates {
        let file = candidate.sidecar.as_ref().map_or(&candidate.library, |(file, _)| file).clone();
        let problem = if !Dataset::is_valid_name(&candidate.name) {
            Some(format!("'{}' cannot name an instance (^[a-z0-9_-]{{1,64}}$); a sidecar can name it", candidate.name))
        } else {
            taken.get(&candidate.name).map(|by| format!("the name '{}' is taken by {by}", candidate.name))
        };
        match problem {
            None => drop(taken.insert(candidate.name.clone(), file)),
            Some(reason) => {
                candidate.problem.get_or_insert(("name", reason));
                candidate.name = file;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn candidates(folder: &Path) -> Vec<Candidate> {
        let look = look(folder, Exposure::Loopback, 100).unwrap();
        Eyes::default().candidates(look, folder, Exposure::Loopback)
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[(&str, &str, Option<&str>)]) {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| write(folder.path(), name, text));
        let found = candidates(folder.path());
        let found: Vec<_> = found
            .iter()
            .map(|c| (c.name.as_str(), c.library.as_str(), c.problem.as_ref().map(|p| p.1.as_str())))
            .collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!((found.0, found.1), (expected.0, expected.1));
            match (found.2, expected.2) {
                (None, None) => {}
                (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_library_is_an_instance_and_so_is_each_of_its_sidecars() {
        check(&[("libfiles.so", ""), ("notes.txt", ""), (".x.so", "")], &[("files", "libfiles.so", None)]);
        check(&[("libfiles.so", ""), ("files.toml", "")], &[("files", "libfiles.so", None)]);
        check(&[("files.so", ""), ("files.toml", "name = \"sales\"")], &[("sales", "files.so", None)]);
        let (a, b) = ("library = \"libfiles.so\"", "library = \"libfiles.so\"\nname = \"other\"");
        let expected = [("a", "libfiles.so", None), ("other", "libfiles.so", None)];
        check(&[("libfiles.so", ""), ("a.toml", a), ("b.toml", b)], &expected);
    }

    #[test]
    fn what_cannot_be_an_instance_says_why() {
        check(&[("a.toml", "")], &[("a", "liba.so", Some("no library 'liba.so'"))]);
        check(&[("liba.so", ""), ("a.toml", "x = 1")], &[("a", "liba.so", Some("unknown field"))]);
        check(&[("libA B.so", "")], &[("libA B.so", "libA B.so", Some("cannot name an instance"))]);
        let expected = [("a", "libb.so", None), ("liba.so", "liba.so", Some("taken by b.toml"))];
        check(&[("liba.so", ""), ("libb.so", ""), ("b.toml", "name = \"a\"")], &expected);
    }

    #[test]
    fn files_over_the_limit_are_the_last_by_name_and_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        ["libc.so", "liba.so", "d.toml", "libb.so"].into_iter().for_each(|name| write(folder.path(), name, ""));
        let look = look(folder.path(), Exposure::Loopback, 2).unwrap();
        assert_eq!(look.files.keys().collect::<Vec<_>>(), ["d.toml", "liba.so"]);
        let found = Eyes::default().candidates(look, folder.path(), Exposure::Loopback);
        let over: Vec<_> =
            found.iter().filter(|c| c.problem.as_ref().is_some_and(|p| p.0 == "limit")).map(|c| &c.name).collect();
        assert_eq!(over, ["libb.so", "libc.so"]);
    }

    #[test]
    fn a_file_is_settled_once_two_looks_agree() {
        let folder = tempfile::tempdir().unwrap();
        let mut eyes = Eyes::default();
        let mut settled = || {
            let look = look(folder.path(), Exposure::Loopback, 100).unwrap();
            eyes.candidates(look, folder.path(), Exposure::Loopback).iter().map(|c| c.is_settled).collect::<Vec<_>>()
        };
        write(folder.path(), "liba.so", "1");
        assert_eq!(settled(), [false]);
        assert_eq!(settled(), [true]);
        write(folder.path(), "liba.so", "12");
        assert_eq!(settled(), [false]);
        assert_eq!(settled(), [true]);
    }

    #[track_caller]
    fn check_trust(mode: u32, exposure: Exposure, expected: Result<Option<&str>, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("liba.so");
        write(folder.path(), "liba.so", "");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let found = open_trusted(&path, "the library", exposure).map(|(_, warning)| warning);
        match (&found, expected) {
            (Ok(None), Ok(None)) => {}
            (Ok(Some(found)), Ok(Some(expected))) | (Err(found), Err(expected)) => assert!(found.contains(expected)),
            _ => panic!("{found:?}"),
        }
    }

    #[test]
    fn who_may_write_a_library_decides_whether_it_is_trusted() {
        use Exposure::{Loopback, Network};
        check_trust(0o644, Network, Ok(None));
        check_trust(0o755, Network, Ok(None));
        check_trust(0o664, Loopback, Ok(Some("writable by its group")));
        check_trust(0o664, Network, Err("writable by its group"));
        check_trust(0o666, Loopback, Err("writable by everyone"));
    }

    #[test]
    fn links_are_not_followed_and_a_folder_open_to_all_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "real", "");
        symlink(folder.path().join("real"), folder.path().join("liba.so")).unwrap();
        let error = open_trusted(&folder.path().join("liba.so"), "the library", Exposure::Loopback).unwrap_err();
        assert!(error.contains("symbolic link"), "{error}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let found = candidates(folder.path());
        assert!(found[0].problem.as_ref().unwrap().1.contains("the plugin folder is writable by everyone"));
    }
}
