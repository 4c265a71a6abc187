//! Why something is not kept.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;
use rustix::io::Errno;

/// Why a file does not open, or does not take a change; but for a damaged one it stays as it is.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum KeptError {
    /// What was written is no longer there.
    #[error(
        "{} is damaged ({reason}); it was put aside as {}, and the next attempt begins with an empty one",
        file.display(), aside.display()
    )]
    Damaged {
        /// Where the file was.
        file: PathBuf,
        /// Where it is now.
        aside: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Damaged, and not yet put aside.
    #[error("the file is damaged ({0})")]
    Corrupt(String),
    /// The file comes from a later version of this program.
    #[error(
        "{} was written by a newer crosshome (version {found}, this one knows {known}): update this one",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The latest version known here.
        known: u32,
    },
    /// The file has another purpose.
    #[error("{} is no file of {what}: choose another path", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it was to be.
        what: &'static str,
    },
    /// The path ends in a link, a device or a folder.
    #[error("{} is not a plain file: name the file itself, links are not followed", .0.display())]
    NotAFile(PathBuf),
    /// The folder or the file cannot be written.
    #[error("{} cannot be written: give this user the right to, or choose another path", .0.display())]
    ReadOnly(PathBuf),
    /// No space is left.
    #[error("no space left for {}: free some, until then no change is kept", .0.display())]
    Full(PathBuf),
    /// Others have kept the file locked all the time.
    #[error("another program keeps {} locked: close it, or try again", .0.display())]
    Busy(PathBuf),
    /// Anything else.
    #[error("{}: {reason}", file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl KeptError {
    /// Says what an error of SQLite means for this file.
    pub(super) fn of_sqlite(file: &Path, error: &rusqlite::Error) -> Self {
        let (file, reason) = (file.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            // Without a code a value has a form that this program never writes.
            None | Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupt(reason),
            Some(ErrorCode::DiskFull) => Self::Full(file),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly(file)
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(file),
            Some(_) => Self::Failed { file, reason },
        }
    }

    /// Says what an error of the operating system means for this path.
    pub(super) fn of_system(path: &Path, error: &io::Error) -> Self {
        let file = path.to_owned();
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            return Self::NotAFile(file); // it was to be opened without following links
        }
        match error.kind() {
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => Self::NotAFile(file),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(file),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly(file),
            _ => Self::Failed { file, reason: error.to_string() },
        }
    }
}
