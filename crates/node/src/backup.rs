//! Backups: a home in one encrypted file, and back.
//!
//! A backup is an age file (`envelope`) around a compressed archive (`members`) of the identity key, the API
//! token, and a copy of the store that was consistent while the home ran. The configuration is not in it.
//!
//! A home makes its own backup (`making`) and streams it to whoever asks by its socket. A stopped home is restored
//! in three steps: [`Opened`] tries the passphrase, [`Opened::stage`] checks everything beside the home that is there,
//! and [`Staged::put_in_place`] exchanges the files so that a crash at any moment leaves either home, or a state that
//! the next start finishes (`swap`). What was there is kept.
//!
//! Always holds: a file that is refused changes nothing; what is plain stands only in the home's own directory, for
//! nobody else to read. A restored home knows that it was ([`Restored`](crate::views::Restored)) and takes a new
//! incarnation.
//!
//! ```
//! use crosshome_node::{backup::{BackupError, Opened}, node::Secret};
//! let something_else = Opened::new(&b"PK\x03\x04"[..], &Secret::new("correct horse".into()));
//! assert!(matches!(something_else, Err(BackupError::Foreign)));
//! ```

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    defaults::{BACKUP_FORMAT, PASSPHRASE_CHARS, VERSION},
    identity::IdentityError,
    node::Secret,
    store::StoreError,
    views::{HomeView, Stamp},
};

mod envelope;
mod making;
mod members;
mod staging;
mod swap;

pub use making::BackupStream;
pub(crate) use making::{Source, make};
pub use staging::{Opened, Staged};
pub(crate) use swap::finish;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of the backup's form.
    pub format: u32,
    /// The program that wrote it.
    pub program: String,
    /// Whose backup it is.
    pub home: HomeView,
    /// When it was made.
    pub at: Stamp,
}

impl About {
    fn of(home: HomeView, at: Stamp) -> Self {
        Self { format: BACKUP_FORMAT, program: format!("crosshome {VERSION}"), home, at }
    }

    /// Reads what a backup says; its form is judged before anything else of it.
    fn read(text: &[u8]) -> Result<Self, BackupError> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let garbled =
            |error: serde_json::Error| BackupError::Damaged(format!("what it says of itself: {error}"));
        match serde_json::from_slice::<Form>(text).map_err(garbled)?.format {
            BACKUP_FORMAT => serde_json::from_slice(text).map_err(garbled),
            found if found > BACKUP_FORMAT => Err(BackupError::Newer { found, known: BACKUP_FORMAT }),
            _ => Err(BackupError::Damaged("it has no version".into())),
        }
    }
}

/// What a restore has done.
#[derive(Clone, Debug)]
pub struct Done {
    /// What was restored.
    pub about: About,
    /// Where the home is that was there before, if there was one.
    pub kept: Option<PathBuf>,
}

/// Checks that a passphrase is one that cannot simply be tried out.
///
/// # Errors
///
/// Tells how long it must be.
pub fn check_passphrase(passphrase: &Secret) -> Result<(), BackupError> {
    match passphrase.reveal().chars().count() {
        count if count < PASSPHRASE_CHARS => Err(BackupError::ShortPassphrase(count)),
        _ => Ok(()),
    }
}

/// Why there is no backup, or nothing is restored from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The passphrase could be tried out.
    #[error("a passphrase of {0} characters is too short: take at least {PASSPHRASE_CHARS}")]
    ShortPassphrase(usize),
    /// The passphrase does not open the file.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The file is something else.
    #[error("the file is no backup of crosshome")]
    Foreign,
    /// The file is in a later form.
    #[error(
        "the backup was written by a newer crosshome (form {found}, this one knows {known}): update this one"
    )]
    Newer {
        /// Its form.
        found: u32,
        /// The latest form known here.
        known: u32,
    },
    /// The envelope is of a later version of its format.
    #[error("the backup's encryption is {0:?}, which this version does not know: update it")]
    NewerEnvelope(String),
    /// Opening would take more memory than a home has.
    #[error("opening the file would take 2^{0} steps of work: it was not made by crosshome")]
    Costly(u8),
    /// The file is not what was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// A member is longer than any home's.
    #[error("the backup holds a {what} of {bytes} bytes, which no home has")]
    TooLarge {
        /// Which.
        what: &'static str,
        /// How long.
        bytes: u64,
    },
    /// Key and store are those of different homes.
    #[error("the backup is damaged: its key is not that of the home in its store")]
    TwoHomes,
    /// The store is not to be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key is not to be had.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The backup cannot be read.
    #[error("the backup cannot be read: {0}")]
    Read(io::Error),
}

impl BackupError {
    /// Says what an error met while reading a backup means.
    fn reading(error: io::Error) -> Self {
        let broken = error.get_ref().is_some_and(|inner| inner.is::<envelope::Broken>());
        match error.kind() {
            _ if broken => Self::Damaged(error.to_string()),
            io::ErrorKind::UnexpectedEof => Self::Damaged("it is cut short".into()),
            // what zstd and tar say of bytes that they do not understand
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Read(error),
        }
    }

    fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}
