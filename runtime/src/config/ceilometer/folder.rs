//! The folder that Ceilometer's configuration lies in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ini;
use super::settings::Settings;
use crate::config::file::{self, FileError};
use crate::config::problem::Problems;

/// What a folder means for paths in it: wherever a copy of it lies.
const USUAL: &str = "/etc/ceilometer";
/// Files that oslo.config reads for `ceilometer-polling`, in this order.
const FILES: [&str; 2] = ["ceilometer.conf", "ceilometer-polling.conf"];
/// Folders whose files it reads behind them.
const FOLDERS: [&str; 2] = ["ceilometer.conf.d", "ceilometer-polling.conf.d"];
/// More files are no configuration.
const MOST_FILES: usize = 1000;

/// A folder whose files are read.
pub(super) struct Folder {
    /// Its path; `None` if there is only one file's text.
    pub(super) path: Option<PathBuf>,
    /// What its files say.
    pub(super) settings: Settings,
    /// Names of files and folders in it, in order.
    pub(super) names: Vec<String>,
    /// What is wrong with it.
    pub(super) problems: Problems,
}

// === impl Folder ===

impl Folder {
    /// Reads the files of a folder.
    pub(super) fn open(path: &Path) -> Self {
        let mut problems = Problems::of(Some(path));
        let names = match names(path) {
            Ok(names) => names,
            Err(error) => {
                let remedy = match error.kind() {
                    io::ErrorKind::NotADirectory => "Name the folder that ceilometer.conf is in",
                    io::ErrorKind::PermissionDenied => "Run it as root, or as a user who may read it",
                    _ => "Name the folder of Ceilometer's configuration, such as /etc/ceilometer",
                };
                problems.error(None, "", format!("the folder cannot be read: {error}"), remedy);
                return Self {
                    path: Some(path.to_owned()),
                    settings: Settings::of(Vec::new()),
                    names: vec![],
                    problems,
                };
            }
        };
        let mut files: Vec<String> =
            FILES.iter().filter(|file| names.iter().any(|name| name == *file)).map(|file| (*file).to_owned()).collect();
        for folder in FOLDERS.iter().filter(|folder| names.iter().any(|name| name == *folder)) {
            match self::names(&path.join(folder)) {
                Ok(names) => files.extend(with_ending(&names, ".conf").map(|name| format!("{folder}/{name}"))),
                Err(error) => {
                    let remedy = "Let whoever runs this read it";
                    problems.error(None, "", format!("the folder {folder} cannot be read: {error}"), remedy);
                }
            }
        }
        if files.is_empty() && !problems.has_errors() {
            let remedy = "Name the folder of Ceilometer's configuration, such as /etc/ceilometer";
            problems.error(None, "", "there is no ceilometer.conf in the folder", remedy);
        }
        if files.len() > MOST_FILES {
            let message = format!("there are more than {MOST_FILES} files in the folder");
            problems.error(None, "", message, "Name the folder of Ceilometer's configuration");
            files.clear();
        }
        let mut read = Vec::new();
        for name in files {
            let path = path.join(&name);
            let mut of_file = Problems::of(Some(&path));
            match file::read(&path) {
                Ok(text) => read.push((name, ini::parse(&text, &mut of_file))),
                Err(error) => of_file.error(None, "", format!("the file {error}"), remedy(&error)),
            }
            problems.extend(of_file);
        }
        Self { path: Some(path.to_owned()), settings: Settings::of(read), names, problems }
    }

    /// What a file alone would say.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let name = FILES.first().copied().unwrap_or_default();
        let mut problems = Problems::of(Some(Path::new(name)));
        let text = String::from_utf8_lossy(bytes);
        let settings = Settings::of(vec![(name.to_owned(), ini::parse(&text, &mut problems))]);
        Self { path: None, settings, names: Vec::new(), problems }
    }

    /// Where a file lies that an option names.
    pub(super) fn resolve(&self, named: &str) -> PathBuf {
        let folder = self.path.as_deref().unwrap_or(Path::new(""));
        match Path::new(named).strip_prefix(USUAL) {
            Ok(inside) => folder.join(inside),
            Err(_) => folder.join(named),
        }
    }
}

/// Names of what is in a folder, in the order of their letters.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = entries.collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Those that Python's `glob` finds with a star before this ending.
pub(super) fn with_ending<'a>(names: &'a [String], ending: &'a str) -> impl Iterator<Item = &'a String> {
    names.iter().filter(move |name| name.ends_with(ending) && !name.starts_with('.'))
}

/// What the operator can do.
pub(super) fn remedy(error: &FileError) -> &'static str {
    match error {
        FileError::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "Run it as root, or as a user who may read it"
        }
        other => other.remedy(),
    }
}
