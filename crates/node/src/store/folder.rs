//! The data directory: one home at a time, and a look at the file before SQLite may touch it.
//!
//! A damaged, newer or foreign file must stay as it is, byte for byte, and
//! opening a database can already write to it. So the first hundred bytes are
//! judged here, read only. A new file is made under another name and appears
//! complete or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, FlockOperation, access, flock};

use super::{copy, error::StoreError, schema};
use crate::database::{self, Header, connect, log_of};

/// A data directory that belongs to this process alone, until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the directory, and makes it if there is none.
    pub(crate) fn claim(dir: &Path) -> Result<Self, StoreError> {
        let system = |error| StoreError::of_system(dir, error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(system)?;
        let path = dir.canonicalize().map_err(system)?;
        access(&path, Access::WRITE_OK).map_err(|error| system(error.into()))?;
        let lock = open(&path.join("lock"), OpenOptions::new().write(true).create(true))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::InUse(path)),
            taken => taken.map_err(|error| system(error.into()))?,
        }
        Ok(Self { path, _lock: lock })
    }

    /// Returns the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the database.
    pub(super) fn file(&self) -> PathBuf {
        self.path.join("crosshome.db")
    }

    /// Judges the database that is there, or makes one.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        copy::remove_left(&self.path);
        match self.inspect() {
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => self.make(),
            judged => judged,
        }
    }

    /// Judges the database by its beginning.
    pub(super) fn inspect(&self) -> Result<(), StoreError> {
        judge_beginning(&self.file())
    }

    /// Makes an empty store under another name and moves it into place.
    fn make(&self) -> Result<(), StoreError> {
        let (file, new) = (self.file(), self.path.join("crosshome.db.new"));
        if let Some(log) = log_of(&file) {
            // SQLite would replay the log of the lost database into the new one.
            let reason = format!("it is missing, but its log {} is there", log.display());
            return Err(StoreError::Damaged { file, reason });
        }
        for rest in ["", "-journal", "-wal", "-shm"] {
            remove(&self.path.join(format!("crosshome.db.new{rest}")))?;
        }
        open(&new, OpenOptions::new().write(true).create_new(true))?;
        let made = connect(&new).and_then(|mut connection| {
            connection.pragma_update(None, "synchronous", "OFF")?; // synced as a whole below
            connection.pragma_update(None, "journal_mode", "WAL")?;
            schema::make(&mut connection)?;
            connection.close().map_err(|(_, error)| error)
        });
        made.map_err(|error| StoreError::explain(&file, error))?;
        let moved = File::open(&new)
            .and_then(|new| new.sync_all())
            .and_then(|()| fs::rename(&new, &file))
            .and_then(|()| File::open(&self.path)?.sync_all());
        moved.map_err(|error| StoreError::of_system(&file, error))
    }
}

/// Judges a database by its beginning, and closes it to others.
pub(super) fn judge_beginning(file: &Path) -> Result<(), StoreError> {
    let found = open(file, OpenOptions::new().read(true))?;
    let system = |error| StoreError::of_system(file, error);
    let damaged = |reason: &str| StoreError::Damaged { file: file.into(), reason: reason.into() };
    let metadata = found.metadata().map_err(system)?;
    if !metadata.is_file() {
        return Err(StoreError::NotAFile(file.into()));
    }
    access(file, Access::WRITE_OK).map_err(|error| system(error.into()))?;
    let header = Header::read(&found).ok_or_else(|| damaged("it is cut short"))?;
    if !header.is_of_database() {
        return Err(damaged("it is not a database"));
    }
    schema::judge(file, header.mark(), header.version())?;
    // While a log waits to be copied in, the file itself may be shorter than it says.
    if log_of(file).is_none() && header.length().is_some_and(|told| metadata.len() < told) {
        return Err(damaged("it is cut short"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "store was open to others, closed it to them");
        found.set_permissions(fs::Permissions::from_mode(0o600)).map_err(system)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::of_system(path, error)),
        _ => Ok(()),
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File, StoreError> {
    database::open(path, options).map_err(|error| match error.kind() {
        ErrorKind::IsADirectory => StoreError::NotAFile(path.into()),
        _ => StoreError::of_system(path, error),
    })
}
