//! Which datasets there are below the root, and of which files each consists.
//!
//! 1. A declared dataset is what its configuration says; its file or folder is not listed again.
//! 2. A file in the root is a dataset, named after it.
//! 3. A folder whose files are all of one format is one dataset, named after the folder.
//! 4. In a folder of unlike files each file is a dataset, named after folder and file.
//! 5. Folders in folders are walked alike, their names joined.
//!
//! Names are slugs. Where two meet, the first in the order of paths keeps the name, and the other gets
//! its format's name or a number after it: the same tree always gives the same names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use plugin_sdk::{ErrorCode, Result, SourceError};

use crate::config::{Config, Options};
use crate::format::{self, Format};
use crate::readme;
use crate::source_file::{Root, SourceFile, about};

/// The most files that a walk looks at, and the most folders above one of them.
const MAX_FILES: usize = 100_000;
const MAX_DEPTH: usize = 32;

/// The datasets that were found by one walk.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// The datasets by name.
    pub(crate) entries: BTreeMap<String, Arc<Entry>>,
    /// What a person should know about the tree.
    pub(crate) warnings: Vec<String>,
}

/// One dataset.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it holds, for people.
    pub(crate) description: String,
    /// The format of its files.
    pub(crate) format: &'static dyn Format,
    /// How its files are read.
    pub(crate) options: Arc<Options>,
    /// The file or folder, relative to the root.
    path: String,
    /// Whether the format was declared, so that extensions say nothing.
    has_declared_format: bool,
}

impl Catalog {
    /// Walks the tree below the root.
    pub(crate) fn walk(root: &Arc<Root>, config: &Config) -> Result<Self> {
        let mut walk = Walk { root, config, catalog: Self::default(), seen: BTreeSet::new(), files: 0 };
        walk.add_declared();
        walk.folder("", 0)?;
        Ok(walk.catalog)
    }
}

impl Entry {
    /// The files of the dataset as they are now, by name.
    pub(crate) fn files(&self, root: &Arc<Root>) -> Result<Vec<SourceFile>> {
        if root.resolve(&self.path)?.is_file() {
            return Ok(vec![SourceFile::find(root, &self.path)?]);
        }
        let files = children(root, &self.path)?
            .into_iter()
            .filter(|child| child.kind == Kind::File && self.takes(&child.name))
            .map(|child| SourceFile::find(root, &child.name))
            .collect::<Result<Vec<_>>>()?;
        if files.is_empty() {
            let label = self.format.label();
            return Err(SourceError::new(ErrorCode::Unavailable, format!("'{}' has no {label} files", self.path)));
        }
        Ok(files)
    }

    /// Whether there is still something where the dataset was found.
    pub(crate) fn is_there(&self, root: &Root) -> bool {
        root.resolve(&self.path).is_ok()
    }

    fn takes(&self, name: &str) -> bool {
        match format::of_file(name) {
            Some(format) => format.name() == self.format.name(),
            // Where the format was declared, extensions that say nothing do not matter.
            None => self.has_declared_format && !name.to_ascii_lowercase().ends_with(".md"),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    /// A link out of the root, or one that leads nowhere.
    Astray,
}

struct Child {
    name: String,
    kind: Kind,
}

/// What is in a folder, by name, without what is hidden; names are relative to the root.
fn children(root: &Root, folder: &str) -> Result<Vec<Child>> {
    let entries = std::fs::read_dir(root.resolve(folder)?).map_err(|e| about(folder, e))?;
    let mut children = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| about(folder, e))?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        if own.starts_with('.') {
            continue;
        }
        let name = if folder.is_empty() { own } else { format!("{folder}/{own}") };
        let mut file_type = entry.file_type().map_err(|e| about(&name, e))?;
        if file_type.is_symlink() {
            match root.resolve(&name).map(|path| path.metadata()) {
                Ok(Ok(target)) => file_type = target.file_type(),
                _ => {
                    children.push(Child { name, kind: Kind::Astray });
                    continue;
                }
            }
        }
        // Pipes, sockets and devices are no tables, and opening one may wait for ever.
        if file_type.is_file() {
            children.push(Child { name, kind: Kind::File });
        } else if file_type.is_dir() {
            children.push(Child { name, kind: Kind::Folder });
        }
    }
    children.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(children)
}

struct Walk<'a> {
    root: &'a Arc<Root>,
    config: &'a Config,
    catalog: Catalog,
    seen: BTreeSet<PathBuf>,
    files: usize,
}

impl Walk<'_> {
    fn add_declared(&mut self) {
        for (name, declared) in &self.config.datasets {
            let Some(format) = declared.format.or_else(|| self.format_of(&declared.path)) else {
                let reason = format!("dataset '{name}': the format of '{}' cannot be told, declare it", declared.path);
                self.catalog.warnings.push(reason);
                continue;
            };
            let entry = Entry {
                description: declared
                    .description
                    .clone()
                    .unwrap_or_else(|| format!("{} data of {}", format.label(), declared.path)),
                format,
                options: Arc::clone(&declared.options),
                path: declared.path.clone(),
                has_declared_format: declared.format.is_some(),
            };
            self.catalog.entries.insert(name.clone(), Arc::new(entry));
        }
    }

    /// The format of a file, or of the first file in a folder.
    fn format_of(&self, path: &str) -> Option<&'static dyn Format> {
        let in_folder = || children(self.root, path).ok()?.iter().find_map(|child| format::of_file(&child.name));
        format::of_file(path).or_else(in_folder)
    }

    fn folder(&mut self, folder: &str, depth: usize) -> Result<()> {
        // A link may lead to a folder that was walked already, even to one above it.
        if depth > MAX_DEPTH || !self.seen.insert(self.root.resolve(folder)?) {
            return Ok(());
        }
        let mut files = Vec::new();
        let mut folders = Vec::new();
        for child in children(self.root, folder)? {
            if self.config.datasets.values().any(|declared| declared.path == child.name) {
                continue;
            }
            match child.kind {
                Kind::Folder => folders.push(child.name),
                Kind::Astray => {
                    let reason = format!("'{}' is a link that leads out of the root or nowhere: skipped", child.name);
                    self.catalog.warnings.push(reason);
                }
                Kind::File => files.extend(format::of_file(&child.name).map(|format| (child.name, format))),
            }
        }
        self.files += files.len();
        if self.files > MAX_FILES {
            let reason = format!("there are more than {MAX_FILES} files below the root");
            return Err(SourceError::new(ErrorCode::ResourceExhausted, reason));
        }
        self.add_files(folder, files);
        folders.iter().try_for_each(|folder| self.folder(folder, depth + 1))
    }

    fn add_files(&mut self, folder: &str, files: Vec<(String, &'static dyn Format)>) {
        let Some((_, first)) = files.first().cloned() else { return };
        if !folder.is_empty() && files.iter().all(|(_, format)| format.name() == first.name()) {
            let description = format!("{} files in folder {folder}", first.label());
            self.add(slug(folder), description, folder.to_owned(), first);
            return;
        }
        let told = readme::descriptions(self.root, folder);
        for (path, format) in files {
            let own = path.rsplit('/').next().unwrap_or(&path);
            let stem = stem_of(own);
            let name = if folder.is_empty() { slug(stem) } else { slug(&format!("{folder}/{stem}")) };
            let kind = format!("{} file {path}", format.label());
            let description = told.get(own).map_or_else(|| kind.clone(), |what| format!("{what} ({kind})"));
            self.add(name, description, path, format);
        }
    }

    fn add(&mut self, name: String, description: String, path: String, format: &'static dyn Format) {
        let numbered = (2..).map(|n| with_suffix(&name, &n.to_string()));
        let candidates = [name.clone(), with_suffix(&name, format.name())].into_iter().chain(numbered);
        let free = candidates.into_iter().find(|name| !self.catalog.entries.contains_key(name)).unwrap_or_default();
        if free != name {
            let reason = format!("'{path}' is offered as '{free}', since there is another '{name}'");
            self.catalog.warnings.push(reason);
        }
        let options = Arc::default();
        let entry = Entry { description, format, options, path, has_declared_format: false };
        self.catalog.entries.insert(free, Arc::new(entry));
    }
}

/// The name of a file without what tells its format.
fn stem_of(name: &str) -> &str {
    let plain = if name.to_ascii_lowercase().ends_with(".gz") { &name[..name.len() - 3] } else { name };
    plain.rsplit_once('.').map_or(plain, |(stem, _)| stem)
}

const MAX_NAME: usize = 64;

/// A path as a dataset's name: lower case, with `_` for all that a name cannot have.
fn slug(path: &str) -> String {
    let mut name = String::new();
    for c in path.chars() {
        match c {
            'a'..='z' | '0'..='9' | '-' => name.push(c),
            'A'..='Z' => name.push(c.to_ascii_lowercase()),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let trimmed = name.trim_matches('_');
    let name = &trimmed[..trimmed.len().min(MAX_NAME)];
    if name.is_empty() { "dataset".to_owned() } else { name.to_owned() }
}

fn with_suffix(name: &str, suffix: &str) -> String {
    format!("{}_{suffix}", &name[..name.len().min(MAX_NAME - 1 - suffix.len())])
}
