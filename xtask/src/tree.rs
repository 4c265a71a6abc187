//! The files of the project, as the checks see them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::TaskError;

/// Directories that hold what was built or fetched.
const FOREIGN: [&str; 6] = ["target", "node_modules", ".git", ".venv", "dist", "__pycache__"];

/// Returns the root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns every file under a directory that is the project's own, sorted.
///
/// # Errors
///
/// Names the directory that cannot be read.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(|error| unreadable(&directory, error))? {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !is_foreign(&entry) => open.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a text.
///
/// # Errors
///
/// Names the file that cannot be read.
pub(crate) fn text(path: &Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

/// Tells whether a path ends in this extension.
pub(crate) fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Returns a path as people type it from the root.
pub(crate) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn is_foreign(entry: &fs::DirEntry) -> bool {
    FOREIGN.iter().any(|name| entry.file_name() == *name)
}

fn unreadable(path: &Path, error: io::Error) -> TaskError {
    TaskError::Read { path: path.display().to_string(), error }
}
