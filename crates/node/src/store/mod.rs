//! What a home remembers: one SQLite file that follows the change log.
//!
//! The store stands behind `Store::commit` on the line from house to house. It is
//! one more follower of the replica's change log, like a session: the loop
//! collects a [`Batch`] of what has changed since the last one, the [`Committer`]
//! writes it on a thread of its own, and only then anybody hears of it.
//!
//! What always holds: a batch is there as a whole or not at all, so a cursor is
//! never ahead of what it acknowledges. A commit that was confirmed as durable
//! survives kill -9 and power loss (I14). A file that is damaged, newer or of
//! another program is left as it is, byte for byte. After a failure of the disk
//! nothing is confirmed until the file was opened again, checked, found to hold
//! every confirmed commit, and copied out of its log (T36).
//!
//! ```
//! # use crosshome_core::{EntityKey, HomeId, Space, dot::Actor, replica::{Options, Replica}, table::Class, update::Update, version::Cause};
//! # use crosshome_node::store::{Batch, EntityRow, Store};
//! let me = HomeId([1; 32]);
//! let mut villa = Replica::new(me, Options::default());
//! let hall = villa.own("light.hall".parse()?);
//! villa.update(&hall, Class::Device, &Update::state("on"), Cause::Person, 1_000)?;
//!
//! let (mut store, _) = Store::in_memory()?;
//! let changed = villa.table().since(0).map(|(_, entity)| EntityRow::of(entity));
//! let batch = Batch { durable: true, head: 1, actor: Some(Actor::first(me)), entities: changed.collect(), ..Batch::default() };
//! store.commit(&batch)?;
//!
//! let mut again = Replica::new(me, Options::default());
//! store.entities(|entities| again.put_back(entities))?;
//! assert_eq!(again.find(&hall), villa.find(&hall));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod committer;
mod copy;
mod error;
mod folder;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crosshome_core::{EntityKey, table::Entity};
use rusqlite::{Connection, TransactionBehavior, config::DbConfig};

use self::write::Spaces;
pub use self::{
    batch::{Batch, EntityRow, HistoryRow, MemoKey, PeerRow, RegistryRow},
    committer::{Committer, Health},
    error::StoreError,
    read::Stored,
};
pub(crate) use self::{
    copy::{Copy, adopt, copy},
    folder::Folder,
};
use crate::{
    database,
    defaults::{STORE_BUSY_TIME, STORE_CACHE_KIB, STORE_STATEMENTS, WAL_KEPT_BYTES, WAL_PAGES},
};

/// The open store of one home.
///
/// Dropping it without [`Store::close`] is like a crash: nothing confirmed is lost, and the next
/// start finds it unclean.
#[derive(Debug)]
pub struct Store {
    /// None in memory.
    folder: Option<Folder>,
    /// Where a store in memory goes when it is closed.
    shelf: Option<Shelf>,
    file: PathBuf,
    /// None after the disk has failed.
    connection: Option<Connection>,
    /// Why the file can no longer be trusted at all.
    ruined: Option<StoreError>,
    /// Whether commits are synced one by one at present.
    synced: bool,
    spaces: Spaces,
    id: String,
    /// Commits confirmed so far, as counted in the file too.
    commits: u64,
}

/// Where a store in memory stands between two starts of its home.
#[derive(Clone, Debug, Default)]
// Guards the closed store; held to put it there or to take it.
pub(crate) struct Shelf(Arc<Mutex<Option<Connection>>>);

impl Store {
    /// Opens the store in a data directory, and makes both if there is none.
    ///
    /// # Errors
    ///
    /// Refuses a directory that another process has, and a file that is damaged, newer or not ours.
    pub fn open(dir: &Path) -> Result<(Self, Stored), StoreError> {
        Self::open_in(Folder::claim(dir)?)
    }

    /// As [`Store::open`], in a directory that this process has already.
    pub(crate) fn open_in(folder: Folder) -> Result<(Self, Stored), StoreError> {
        folder.prepare()?;
        let file = folder.file();
        let connection = open(&file)?;
        Self::load(Some(folder), file, connection)
    }

    /// Opens a store that is gone when it is dropped.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn in_memory() -> Result<(Self, Stored), StoreError> {
        let file = PathBuf::from(":memory:");
        let explain = |error| StoreError::explain(&file, error);
        let mut connection = Connection::open_in_memory().map_err(explain)?;
        schema::make(&mut connection).and_then(|()| configure(&connection)).map_err(explain)?;
        Self::load(None, file, connection)
    }

    /// As [`Store::in_memory`], but the store is put on the shelf when it is closed, and opened again from there.
    pub(crate) fn on_shelf(shelf: Shelf) -> Result<(Self, Stored), StoreError> {
        let kept = shelf.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (mut store, stored) = match kept {
            Some(connection) => Self::load(None, PathBuf::from(":memory:"), connection)?,
            None => Self::in_memory()?,
        };
        store.shelf = Some(shelf);
        Ok((store, stored))
    }

    /// Stores the batch as a whole; if it is durable it has reached the disk when this returns.
    ///
    /// # Errors
    ///
    /// Nothing of the batch counts as stored, and the same batch may be given again, alone or absorbed in the next.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.reopen_if_failed()?;
        self.write(batch).map_err(|error| self.fail(error))?;
        self.commits += 1;
        if let Err(error) = self.checkpoint_when_long().map_err(|error| self.fail(error)) {
            // The batch is safe in the log; the next commit meets whatever is wrong.
            tracing::warn!(%error, "store could not shorten its log");
        }
        Ok(())
    }

    /// Marks the store as properly closed and leaves a single file.
    ///
    /// # Errors
    ///
    /// What was confirmed is safe even so; the next start finds the store unclean.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.reopen_if_failed()?;
        self.sync_each(true).map_err(|error| self.fail(error))?;
        let connection = self.connection.take().ok_or(StoreError::Closed)?;
        if let Some(shelf) = self.shelf {
            *shelf.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            return Ok(());
        }
        let closed = connection
            .execute("UPDATE home SET clean = 1", [])
            .and_then(|_| checkpoint(&connection, "TRUNCATE"))
            .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false))
            .and_then(|_| connection.close().map_err(|(_, error)| error));
        closed.map_err(|error| StoreError::explain(&self.file, error))
    }

    /// Gives every entity to `take`, in the order of their births, and returns what it makes of them.
    ///
    /// # Errors
    ///
    /// Tells that the file is damaged; the store then takes no batch any more.
    pub fn entities<T>(
        &mut self,
        take: impl FnOnce(&mut dyn Iterator<Item = Entity>) -> T,
    ) -> Result<T, StoreError> {
        let connection = self.connection()?;
        read::entities(connection, take).map_err(|error| self.fail(error))
    }

    /// Reads the versions kept of an entity, the newest first.
    ///
    /// # Errors
    ///
    /// Tells why the file cannot be read.
    pub fn history(&mut self, key: &EntityKey) -> Result<Vec<HistoryRow>, StoreError> {
        self.reopen_if_failed()?;
        read::history(self.connection()?, key).map_err(|error| self.fail(error))
    }

    /// Reads what the file says of itself and makes a store of it.
    fn load(
        folder: Option<Folder>,
        file: PathBuf,
        connection: Connection,
    ) -> Result<(Self, Stored), StoreError> {
        let explain = |error| StoreError::explain(&file, error);
        let stored = Stored::read(&connection).map_err(explain)?;
        if !stored.clean {
            check(&file, &connection)?;
        }
        let (id, commits) = (stored.id.clone(), stored.commits);
        let (connection, spaces) = (Some(connection), Spaces::new());
        let store =
            Self { folder, shelf: None, file, connection, ruined: None, synced: true, spaces, id, commits };
        Ok((store, stored))
    }

    fn write(&mut self, batch: &Batch) -> Result<(), rusqlite::Error> {
        self.sync_each(batch.durable)?;
        let connection = self.connection.as_mut().expect("the caller has opened it");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        write::write(&transaction, batch, self.commits + 1, &mut self.spaces)?;
        transaction.commit()
    }

    /// Chooses whether a commit waits for the disk. The setting only counts outside of a transaction.
    fn sync_each(&mut self, synced: bool) -> Result<(), rusqlite::Error> {
        if self.synced != synced {
            let connection = self.connection.as_ref().expect("the caller has opened it");
            connection.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            self.synced = synced;
        }
        Ok(())
    }

    /// Copies the log into the file when it has grown long.
    ///
    /// SQLite would do so by itself, but tells nobody when the disk fails over it.
    fn checkpoint_when_long(&mut self) -> Result<(), rusqlite::Error> {
        let connection = self.connection.as_ref().expect("a commit has just gone through it");
        let sql = "PRAGMA wal_checkpoint(NOOP)";
        let waiting = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
        match connection.prepare_cached(sql)?.query_row([], waiting)? >= WAL_PAGES {
            true => checkpoint(connection, "PASSIVE"),
            false => Ok(()),
        }
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or_else(|| self.ruined.clone().unwrap_or(StoreError::Closed))
    }

    /// Notes what an error means for the commits to come.
    fn fail(&mut self, error: rusqlite::Error) -> StoreError {
        self.spaces.clear(); // numbers given in a transaction that was undone
        let error = StoreError::explain(&self.file, error);
        match &error {
            StoreError::Failed { .. } => self.connection = None,
            // What is in the log already may free the room that the next try needs.
            StoreError::StorageFull(_) => {
                let freed = self.connection.as_ref().map(|connection| checkpoint(connection, "TRUNCATE"));
                tracing::debug!(?freed, "log copied on a full disk");
            }
            _ => self.remember(&error),
        }
        error
    }

    /// Keeps in mind that no further try can help.
    fn remember(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. } | StoreError::Lost { .. }) {
            (self.connection, self.ruined) = (None, Some(error.clone()));
        }
    }

    /// Opens the file again after the disk has failed, and believes nothing that it has not seen.
    fn reopen_if_failed(&mut self) -> Result<(), StoreError> {
        if self.connection.is_some() {
            return Ok(());
        }
        if let Some(error) = &self.ruined {
            return Err(error.clone());
        }
        self.reopen().inspect_err(|error| self.remember(error))?;
        tracing::info!(file = %self.file.display(), "store opened again and checked");
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        let folder = self.folder.as_ref().ok_or(StoreError::Closed)?;
        folder.inspect()?;
        let connection = open(&self.file)?;
        check(&self.file, &connection)?;
        let explain = |error| StoreError::explain(&self.file, error);
        let stored = Stored::read(&connection).map_err(explain)?;
        if stored.id != self.id || stored.commits < self.commits {
            let missing = self.commits.saturating_sub(stored.commits);
            return Err(StoreError::Lost { file: self.file.clone(), missing });
        }
        // Pages whose sync has failed count as written although they are not. Copying the log writes them
        // anew into the file, and syncs that.
        checkpoint(&connection, "TRUNCATE").map_err(explain)?;
        (self.connection, self.synced, self.commits) = (Some(connection), true, stored.commits);
        Ok(())
    }
}

/// Opens the database and brings it to this program's version, once it is known to be ours and sound.
fn open(file: &Path) -> Result<Connection, StoreError> {
    let explain = |error| StoreError::explain(file, error);
    let mut connection = database::connect(file).map_err(explain)?;
    configure(&connection).map_err(explain)?;
    let (application, version) = schema::marks(&connection).map_err(explain)?;
    schema::judge(file, application, version)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(explain)?;
    if mode != "wal" {
        return Err(StoreError::Unsupported(file.to_owned()));
    }
    if schema::update(&mut connection).map_err(explain)? {
        checkpoint(&connection, "TRUNCATE").map_err(explain)?;
    }
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    // Closing must not write: the file may turn out not to be ours.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.busy_timeout(STORE_BUSY_TIME)?;
    connection.set_prepared_statement_cache_capacity(STORE_STATEMENTS);
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -STORE_CACHE_KIB)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "secure_delete", "FAST")?; // what a peer withdrew does not linger
    connection.pragma_update(None, "wal_autocheckpoint", 0)?; // see checkpoint_when_long
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)
}

/// Copies the log into the file, as far as nobody reads it.
fn checkpoint(connection: &Connection, mode: &str) -> Result<(), rusqlite::Error> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}

/// Checks that the file is sound.
fn check(file: &Path, connection: &Connection) -> Result<(), StoreError> {
    let verdict = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    match verdict.map_err(|error| StoreError::explain(file, error))? {
        sound if sound == "ok" => Ok(()),
        reason => Err(StoreError::Damaged { file: file.to_owned(), reason }),
    }
}
