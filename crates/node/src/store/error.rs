//! Why something is not stored, and who has to act.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crosshome_core::HomeId;
use rusqlite::{ErrorCode, ffi};
use rustix::io::Errno;

/// Why the store does not open or does not take a batch. Whatever the reason, the file stays as it is.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has this data directory.
    #[error(
        "another crosshome runs on {}: stop it, or give this home a data directory of its own (--data-dir)",
        .0.display()
    )]
    InUse(PathBuf),
    /// The folder or the file cannot be written.
    #[error("{} cannot be written: give this user the right to, or choose another data directory", .0.display())]
    ReadOnly(PathBuf),
    /// No space is left.
    #[error("no space left for {}: free some, until then no change is confirmed", .0.display())]
    StorageFull(PathBuf),
    /// The file is not what was written.
    #[error(
        "{} is damaged ({reason}) and was left as it is: restore a backup, or move the file away and pair again",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file comes from a later version of this program.
    #[error(
        "{} was written by a newer crosshome (store version {found}, this one knows {known}): update this one",
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
    /// The file is a database of another program.
    #[error("{} belongs to another program: move it away or choose another data directory", .0.display())]
    Foreign(PathBuf),
    /// The data are those of a home with another key.
    #[error(
        "the data belong to home {}, the key is that of {}: put back the key or choose another data directory",
        found.short(), key.short()
    )]
    OtherHome {
        /// Whose data they are.
        found: HomeId,
        /// Who this home is by its key.
        key: HomeId,
    },
    /// The path ends in a link, a device or a folder.
    #[error("{} is not a plain file: put the file itself there, links are not followed", .0.display())]
    NotAFile(PathBuf),
    /// The file system lacks what a write-ahead log needs.
    #[error("the file system under {} cannot hold the store: choose a folder on a local disk", .0.display())]
    Unsupported(PathBuf),
    /// Another program writes to the file.
    #[error("another program keeps {} locked: close it", .0.display())]
    Busy(PathBuf),
    /// The disk failed; the store looks at itself again before it goes on.
    #[error("the disk under {} failed ({source}): check it, nothing is confirmed until it works", file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        source: Arc<rusqlite::Error>,
    },
    /// After a failure of the disk, commits that it had confirmed are missing.
    #[error("the disk under {} has lost {missing} confirmed commits: replace it", file.display())]
    Lost {
        /// The file.
        file: PathBuf,
        /// How many.
        missing: u64,
    },
    /// The batch contradicts what is stored: a fault of this program.
    #[error("{} refused a row ({source}): please report this", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        source: Arc<rusqlite::Error>,
    },
    /// The operating system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: Arc<io::Error>,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Says what an error of SQLite means for this file.
    pub(super) fn explain(file: &Path, error: rusqlite::Error) -> Self {
        let (file, reason) = (file.to_owned(), error.to_string());
        let Some(code) = error.sqlite_error().copied() else {
            return match error {
                rusqlite::Error::ToSqlConversionFailure(_) => Self::Refused { file, source: error.into() },
                _ => Self::Damaged { file, reason }, // a value has a form that this program never writes
            };
        };
        match code.code {
            ErrorCode::DiskFull => Self::StorageFull(file),
            ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                Self::StorageFull(file)
            }
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => Self::Damaged { file, reason },
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly(file),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy(file),
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Self::Failed { file, source: error.into() },
            _ => Self::Refused { file, source: error.into() },
        }
    }

    /// Says what an error of the operating system means for this path.
    pub(super) fn of_system(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            return Self::NotAFile(path); // it was to be opened without following links
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull(path),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly(path),
            _ => Self::Io { path, source: error.into() },
        }
    }
}
