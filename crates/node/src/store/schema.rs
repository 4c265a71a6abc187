//! The tables, and how a file of an earlier version becomes one of this.
//!
//! A version is a file of SQL in `schema/`, which is never changed once it was
//! released: the next version is the next file. All steps that a file lacks are
//! taken in one transaction.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// The mark of our files: "xhom".
const APPLICATION: u32 = 0x7868_6f6d;

/// What leads from each version to the next, beginning with nothing.
const STEPS: &[&str] = &[include_str!("schema/1.sql")];

/// The version that this program writes.
const VERSION: u32 = STEPS.len() as u32;

/// Tells whether a file with these marks is one that this program may open.
pub(super) fn judge(file: &Path, application: u32, version: u32) -> Result<(), StoreError> {
    let file = file.to_owned();
    if application != APPLICATION {
        return Err(StoreError::Foreign(file));
    }
    match version {
        0 => Err(StoreError::Damaged { file, reason: "it has no version".into() }),
        1..=VERSION => Ok(()),
        found => Err(StoreError::Newer { file, found, known: VERSION }),
    }
}

/// Makes all tables in an empty database, with a random id.
pub(super) fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the system gives random bytes");
    connection.pragma_update(None, "application_id", APPLICATION)?;
    migrate(connection, STEPS)?;
    connection.execute("INSERT INTO home (number, id) VALUES (1, ?1)", [hex::encode(id)])?;
    Ok(())
}

/// Brings the tables to this program's version and tells whether there was anything to do.
pub(super) fn update(connection: &mut Connection) -> rusqlite::Result<bool> {
    migrate(connection, STEPS)
}

/// Returns the application and the version of a database, its log included.
pub(super) fn marks(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
    let mark = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((mark("application_id")?, mark("user_version")?))
}

/// Returns every table, index, view and trigger of a database, as SQL.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let mut all = connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Returns what [`tables`] returns of a database of this version that nobody has changed.
pub(super) fn tables_of(version: u32) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let mut connection = Connection::open_in_memory()?;
    migrate(&mut connection, &STEPS[..STEPS.len().min(version as usize)])?;
    tables(&connection)
}

fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = steps.get(version..).unwrap_or_default();
    for step in missing {
        transaction.execute_batch(step)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", steps.len())?;
    }
    transaction.commit()?;
    Ok(!missing.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE lamp (name TEXT); INSERT INTO lamp VALUES ('hall');";

    fn database(steps: &[&str]) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, steps).unwrap();
        connection
    }

    #[test]
    fn file_of_an_earlier_version_is_brought_up_with_its_data() {
        let mut connection = database(&[FIRST]);
        let steps = [FIRST, "ALTER TABLE lamp ADD COLUMN lit INTEGER NOT NULL DEFAULT 1"];
        assert_eq!(migrate(&mut connection, &steps), Ok(true));
        assert_eq!(migrate(&mut connection, &steps), Ok(false));
        let lamp = connection.query_row("SELECT name, lit FROM lamp", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        });
        assert_eq!(lamp, Ok(("hall".into(), 1)));
    }

    #[test]
    fn step_that_fails_undoes_the_ones_before() {
        let mut connection = database(&[FIRST]);
        let steps = [FIRST, "DELETE FROM lamp", "DELETE FROM nothing"];
        assert!(migrate(&mut connection, &steps).is_err());
        let lamps = connection.query_row("SELECT count(*) FROM lamp", [], |row| row.get(0));
        assert_eq!(lamps, Ok(1));
        assert_eq!(connection.pragma_query_value(None, "user_version", |row| row.get(0)), Ok(1));
    }
}
