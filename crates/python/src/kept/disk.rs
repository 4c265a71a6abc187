//! One open file: rows with a running number, so that each process finds what others have written.

use std::{fs::File, sync::Arc, thread, time::Instant};

use crosshome_node::database;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{KeptError, Place, Rows, Write, place};
use crate::defaults::{BUSY_PAUSE, BUSY_TIME};

/// One row: what stands under an id (a removed one says so), and when that was written.
///
/// The sum covers id and body: SQLite notices a damaged page, but not a letter that has turned into another.
const SCHEMA: &str = "
    CREATE TABLE kept (id TEXT PRIMARY KEY, number INTEGER NOT NULL, body TEXT, sum BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX kept_by_number ON kept (number);";

/// An open file.
pub(super) struct Disk {
    // Dropped in this order: to close `file` first would drop the locks of the connection.
    connection: Connection,
    file: File,
    place: Place,
    /// Number of the last row that is known.
    seen: i64,
    /// What SQLite says as long as nobody else has written.
    version: i64,
}

impl Disk {
    /// Opens the file, or makes it, and reads all of it.
    pub(super) fn open(place: &Place) -> Result<(Self, Rows), KeptError> {
        let began = Instant::now();
        loop {
            // Whoever turns the file into one with a log does not wait in line, so everybody tries again.
            match Self::try_open(place) {
                Err(KeptError::Busy(_)) if began.elapsed() < BUSY_TIME => thread::sleep(BUSY_PAUSE),
                opened => return opened,
            }
        }
    }

    fn try_open(place: &Place) -> Result<(Self, Rows), KeptError> {
        let file = place.open()?;
        let identity = place::identity_of(&file).map_err(|_| KeptError::Busy(place.path.clone()))?;
        let opened = place.judge(&file).and_then(|()| {
            let connection = connect(place)?;
            read(&connection, 0).map(|rows| (connection, rows)).map_err(|error| explain(place, &error))
        });
        let (connection, (rows, seen)) = match opened {
            Err(KeptError::Corrupt(reason)) => return Err(place.put_aside(identity, reason)),
            opened => opened?,
        };
        let mut disk = Self { connection, file, place: place.clone(), seen, version: 0 };
        disk.version = disk.told_version().map_err(|error| explain(place, &error))?;
        let rows = rows.into_iter().filter_map(|(id, body)| Some((id, body?))).collect();
        Ok((disk, rows))
    }

    /// Tells whether the open file is the one at its path.
    pub(super) fn is_still_at(&self, place: &Place) -> bool {
        place::identity_of(&self.file).is_ok_and(|identity| place.identity() == Some(identity))
    }

    /// Judges the file by its beginning once more.
    pub(super) fn judge(&self) -> Result<(), KeptError> {
        self.place.judge(&self.file)
    }

    /// Returns what others have written since the last look.
    pub(super) fn news(&mut self) -> Result<Vec<Write>, KeptError> {
        let version = self.told_version().map_err(|error| explain(&self.place, &error))?;
        if version == self.version {
            return Ok(Vec::new());
        }
        let news = self.read_on()?;
        self.version = version; // asked for before it was read, so that nothing in between is missed
        Ok(news)
    }

    /// Begins a change that nobody else can come between, and returns what they have written before.
    pub(super) fn begin(&mut self) -> Result<Vec<Write>, KeptError> {
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        begun.map_err(|error| explain(&self.place, &error))?;
        self.read_on().inspect_err(|_| self.give_up())
    }

    /// Writes and ends a change; it is on the disk when this returns.
    pub(super) fn finish(&mut self, writes: &[Write]) -> Result<(), KeptError> {
        if writes.is_empty() {
            self.give_up();
            return Ok(());
        }
        let written = write(&self.connection, self.seen, writes);
        self.seen = written.map_err(|error| explain(&self.place, &error))?;
        Ok(())
    }

    /// Ends a change without having made one.
    pub(super) fn give_up(&self) {
        if !self.connection.is_autocommit() {
            // If even that fails, SQLite rolls back when it is next asked for something.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Gives the damaged file another name.
    pub(super) fn put_aside(self, reason: String) -> KeptError {
        match place::identity_of(&self.file) {
            Ok(identity) => self.place.put_aside(identity, reason),
            Err(error) => KeptError::of_system(&self.place.path, &error),
        }
    }

    fn read_on(&mut self) -> Result<Vec<Write>, KeptError> {
        let (rows, seen) = read(&self.connection, self.seen).map_err(|error| explain(&self.place, &error))?;
        self.seen = seen;
        Ok(rows)
    }

    fn told_version(&self) -> rusqlite::Result<i64> {
        self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }
}

fn connect(place: &Place) -> Result<Connection, KeptError> {
    let opened = || -> rusqlite::Result<(Connection, bool, u32, u32)> {
        let connection = database::connect(&place.path)?;
        connection.busy_timeout(BUSY_TIME)?;
        let empty =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? == 0;
        let mark = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, empty, mark, version))
    };
    let (connection, empty, mark, version) = opened().map_err(|error| explain(place, &error))?;
    place.check_marks(mark, version)?;
    if mark == 0 && !empty {
        return Err(KeptError::Foreign { file: place.path.clone(), what: place.form.what });
    }
    prepare(&connection, place).map_err(|error| explain(place, &error))?;
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(place, &error))?;
    if found == "ok" { Ok(connection) } else { Err(KeptError::Corrupt(found)) }
}

fn prepare(connection: &Connection, place: &Place) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let made: Option<i64> = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'kept'", [], |row| row.get(0))
        .optional()?;
    if made.is_some() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let there: i64 =
        connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'kept'", [], |row| row.get(0))?;
    if there == 0 {
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "application_id", place.form.mark)?;
        connection.pragma_update(None, "user_version", place::VERSION)?;
    }
    connection.execute_batch("COMMIT")
}

/// Returns the rows after a number, and the number of the last.
fn read(connection: &Connection, after: i64) -> rusqlite::Result<(Vec<Write>, i64)> {
    let text = "SELECT id, body, sum, number FROM kept WHERE number > ? ORDER BY number";
    let mut statement = connection.prepare_cached(text)?;
    let mut found = statement.query([after])?;
    let (mut rows, mut last) = (Vec::new(), after);
    while let Some(row) = found.next()? {
        let (id, body): (Arc<str>, Option<Arc<str>>) = (row.get(0)?, row.get(1)?);
        if row.get_ref(2)?.as_blob()? != sum(&id, body.as_deref()) {
            return Err(rusqlite::Error::InvalidColumnName(format!(
                "the row of {id} is not what was written"
            )));
        }
        last = row.get(3)?;
        rows.push((id, body));
    }
    Ok((rows, last))
}

/// Writes rows, commits, and returns the number of the last.
fn write(connection: &Connection, seen: i64, writes: &[Write]) -> rusqlite::Result<i64> {
    let text = "INSERT OR REPLACE INTO kept (id, number, body, sum) VALUES (?, ?, ?, ?)";
    let mut statement = connection.prepare_cached(text)?;
    let mut number = seen;
    for (id, body) in writes {
        number += 1;
        let body = body.as_deref();
        statement.execute(params![&**id, number, body, sum(id, body)])?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(number)
}

fn sum(id: &str, body: Option<&str>) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update((id.len() as u64).to_be_bytes());
    hash.update(id);
    hash.update([u8::from(body.is_some())]);
    hash.update(body.unwrap_or_default());
    *hash.finalize().first_chunk().expect("a hash has 32 bytes")
}

fn explain(place: &Place, error: &rusqlite::Error) -> KeptError {
    KeptError::of_sqlite(&place.path, error)
}
