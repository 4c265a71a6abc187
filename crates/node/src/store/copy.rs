//! Copies of a store: taken while the home runs, and looked through before they become a store.
//!
//! A copy is one file without a log. It is made by a connection of its own, which reads one state of the database
//! while the committer goes on writing, and it is gone from the directory before its first byte is handed out.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crosshome_core::HomeId;
use rusqlite::{Connection, OpenFlags};

use super::{MemoKey, StoreError, check, configure, folder, read, read::Stored, schema};
use crate::database;

/// The copy's name while it is made; the next start removes what a crash left.
pub(super) const NAME: &str = "crosshome.db.copy";

/// A consistent copy of a store, which has no name any more.
#[derive(Debug)]
pub(crate) struct Copy {
    /// The file, at its beginning.
    pub(crate) file: File,
    /// How long it is.
    pub(crate) bytes: u64,
    /// Whose store it is.
    pub(crate) home: Option<HomeId>,
}

/// Copies the store in a data directory, running or not; blocks for as long as that takes.
///
/// # Errors
///
/// Tells that another copy is being made, or why the disk does not take this one. Nothing is left behind.
pub(crate) fn copy(dir: &Path) -> Result<Copy, StoreError> {
    let (from, to) = (dir.join("crosshome.db"), dir.join(NAME));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => StoreError::Busy(to.clone()),
        _ => StoreError::of_system(&to, error),
    })?;
    let named = Named(to);
    let explain = |error| StoreError::explain(&from, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let source = Connection::open_with_flags(&from, flags).map_err(explain)?;
    source.execute("VACUUM INTO ?1", [&*named.0.to_string_lossy()]).map_err(explain)?;
    drop(source);
    let home = Stored::read(&database::connect(&named.0).map_err(explain)?).map_err(explain)?;
    let file = File::open(&named.0).map_err(|error| StoreError::of_system(&named.0, error))?;
    let bytes = file.metadata().map_err(|error| StoreError::of_system(&named.0, error))?.len();
    Ok(Copy { file, bytes, home: home.actor.map(|actor| actor.home) })
}

/// Removes the copy that a crash has left behind.
pub(super) fn remove_left(dir: &Path) {
    drop(Named(dir.join(NAME)));
}

/// A file that loses its name, and what SQLite may have put beside it, when this is dropped.
struct Named(PathBuf);

impl Drop for Named {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(suffix);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::error!(%error, path = %path.display(), "a copy of the store was not removed");
                }
                _ => {}
            }
        }
    }
}

/// Looks through a copy that somebody else may have made, leaves a note in it, and returns whose it is.
///
/// # Errors
///
/// Refuses what this program would not open or has not written: another form, other tables, triggers, rows that
/// cannot be read.
pub(crate) fn adopt(file: &Path, key: &MemoKey, note: &str) -> Result<Option<HomeId>, StoreError> {
    folder::judge_beginning(file)?;
    let explain = |error| StoreError::explain(file, error);
    let connection = database::connect(file).map_err(explain)?;
    configure(&connection).map_err(explain)?;
    let single =
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    if single.map_err(explain)? != "delete" {
        return Err(damaged(file, "it cannot be written as one file"));
    }
    let (application, version) = schema::marks(&connection).map_err(explain)?;
    schema::judge(file, application, version)?;
    check(file, &connection)?;
    if schema::tables(&connection).map_err(explain)? != schema::tables_of(version).map_err(explain)? {
        return Err(damaged(file, "its tables are not those that crosshome makes"));
    }
    let stored = Stored::read(&connection).map_err(explain)?;
    read::check_all(&connection).map_err(explain)?;
    let written = connection
        .execute("REPLACE INTO memos VALUES (?1, ?2, ?3)", (&key.kind, &key.name, note))
        .and_then(|_| connection.close().map_err(|(_, error)| error));
    written.map_err(explain)?;
    Ok(stored.actor.map(|actor| actor.home))
}

fn damaged(file: &Path, reason: &str) -> StoreError {
    StoreError::Damaged { file: file.into(), reason: reason.into() }
}
