//! What a store says to files that it did not leave like this.

use std::{
    fs::{self, Permissions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use crosshome_core::HomeId;
use rusqlite::{Connection, config::DbConfig};
use tempfile::TempDir;

use super::scenes::{Disk, HERE, Scene, all, closed_store, contents, fill};
use crate::store::{Store, StoreError};

/// Opens a store that must be refused, and checks that its files stay as they are.
fn refused(dir: &Path) -> StoreError {
    let before = contents(dir);
    let error = Store::open(dir).and_then(|(mut store, _)| all(&mut store)).expect_err("it is refused");
    assert!(contents(dir) == before, "{error}");
    assert!(error.to_string().contains(dir.to_str().unwrap()), "{error}");
    error
}

fn overwrite(dir: &TempDir, at: u64, bytes: &[u8]) {
    let mut file = fs::File::options().write(true).open(dir.path().join("crosshome.db")).unwrap();
    file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)).unwrap();
}

fn cut(dir: &TempDir, len: u64) {
    fs::File::options().write(true).open(dir.path().join("crosshome.db")).unwrap().set_len(len).unwrap();
}

fn query<T: rusqlite::types::FromSql>(dir: &Path, sql: &str) -> T {
    Connection::open(dir.join("crosshome.db")).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn new_store_is_empty_belongs_to_nobody_and_is_closed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("some/home");
    let (mut store, stored) = Store::open(&home).unwrap();
    assert_eq!((stored.actor, stored.head, stored.clean), (None, 0, true));
    assert_eq!(all(&mut store).unwrap(), []);
    assert_eq!(stored.check_home(HERE).map_err(|error| error.to_string()), Ok(()));
    store.commit(&Scene::new().change(1, "on", true)).unwrap();
    let mode = |path| fs::metadata(home.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["", "lock", "crosshome.db", "crosshome.db-wal"].map(mode), [0o700, 0o600, 0o600, 0o600]);
}

#[test]
fn two_stores_have_different_ids() {
    let [one, other] = [(); 2].map(|()| Store::in_memory().unwrap().1.id);
    assert_ne!(one, other);
}

#[test]
fn second_home_on_one_directory_is_refused_until_the_first_is_gone() {
    let dir = closed_store();
    let first = Store::open(dir.path()).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::InUse(_)));
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn data_of_a_home_with_another_key_are_refused() {
    let dir = closed_store();
    let (_, stored) = Store::open(dir.path()).unwrap();
    stored.check_home(HERE).unwrap();
    let error = stored.check_home(HomeId([9; 32])).unwrap_err();
    assert!(matches!(error, StoreError::OtherHome { found: HERE, .. }), "{error}");
}

#[test]
fn file_that_is_no_database_is_refused_and_left_alone() {
    for content in [&b""[..], b"{}", &[0; 4096], &[b'x'; 100_000]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("crosshome.db"), content).unwrap();
        assert!(matches!(refused(dir.path()), StoreError::Damaged { .. }));
    }
}

#[test]
fn file_cut_at_any_page_is_refused_and_left_alone() {
    let dir = closed_store();
    let len = fs::metadata(dir.path().join("crosshome.db")).unwrap().len();
    for pages in 1..=len / 4096 {
        cut(&dir, len - pages * 4096);
        assert!(matches!(refused(dir.path()), StoreError::Damaged { .. }), "{pages} pages short");
    }
}

#[test]
fn page_of_rubbish_is_found_after_a_clean_end() {
    let dir = closed_store();
    let page: u64 = query(dir.path(), "SELECT rootpage FROM sqlite_schema WHERE name = 'entities'");
    overwrite(&dir, (page - 1) * 4096, &[0x55; 4096]);
    assert!(matches!(refused(dir.path()), StoreError::Damaged { .. }));
}

#[test]
fn page_of_rubbish_that_nobody_reads_at_the_start_is_found_after_a_crash() {
    let dir = closed_store();
    let page: u64 = query(dir.path(), "SELECT rootpage FROM sqlite_schema WHERE name = 'history'");
    let connection = Connection::open(dir.path().join("crosshome.db")).unwrap();
    connection.execute("UPDATE home SET clean = 0", []).unwrap();
    drop(connection);
    overwrite(&dir, (page - 1) * 4096, &[0x55; 4096]);
    assert!(matches!(refused(dir.path()), StoreError::Damaged { .. }));
}

#[test]
fn value_that_this_program_never_writes_is_damage() {
    for sql in [
        "UPDATE home SET home = 'villa'",
        "UPDATE home SET head = -1",
        "UPDATE spaces SET name = 'xh1'",
        "UPDATE entities SET entity_id = 'Hall' WHERE seq = 2",
        "UPDATE entities SET entity_id = 'light.another' WHERE seq = 2",
        "UPDATE entities SET record = x'a100' WHERE seq = 2",
        "UPDATE entities SET record = CAST(record || x'00' AS BLOB) WHERE seq = 2",
        "UPDATE entities SET seq = 7 WHERE seq = 2",
        "UPDATE entities SET birth = 7 WHERE seq = 2",
        "DELETE FROM spaces",
        "INSERT INTO cursors VALUES ('joint', '[]', 0, 0)",
        "INSERT INTO grants VALUES (1, NULL, 'entity', 'light.hall', 'own', 1)",
    ] {
        let dir = closed_store();
        Connection::open(dir.path().join("crosshome.db")).unwrap().execute(sql, []).unwrap();
        assert!(matches!(refused(dir.path()), StoreError::Damaged { .. }), "{sql}");
    }
}

#[test]
fn newer_file_is_refused_and_left_alone() {
    let dir = closed_store();
    overwrite(&dir, 60, &7u32.to_be_bytes());
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::Newer { found: 7, known: 1, .. }), "{error}");
}

#[test]
fn newer_version_that_still_stands_in_the_log_is_seen() {
    let dir = closed_store();
    let connection = Connection::open(dir.path().join("crosshome.db")).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    assert!(matches!(refused(dir.path()), StoreError::Newer { found: 7, .. }));
}

#[test]
fn database_of_another_program_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join("crosshome.db")).unwrap();
    connection.execute_batch("CREATE TABLE states (state TEXT)").unwrap();
    drop(connection);
    assert!(matches!(refused(dir.path()), StoreError::Foreign(_)));
}

#[test]
fn links_pipes_and_folders_in_place_of_the_file_are_refused() {
    let dir = closed_store();
    let file = dir.path().join("crosshome.db");
    let real = dir.path().join("real.db");
    fs::rename(&file, &real).unwrap();
    symlink(&real, &file).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::NotAFile(_)));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::NotAFile(_)));
    fs::remove_dir(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::NotAFile(_)));
}

#[test]
fn log_whose_database_is_gone_is_never_replayed_into_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(fill(dir.path()).0);
    fs::remove_file(dir.path().join("crosshome.db")).unwrap();
    let error = refused(dir.path());
    assert!(error.to_string().contains("crosshome.db-wal"), "{error}");
}

#[test]
fn start_that_was_cut_off_while_it_made_the_file_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("crosshome.db.new"), b"half a file").unwrap();
    fs::write(dir.path().join("crosshome.db.new-journal"), b"half a journal").unwrap();
    Store::open(dir.path()).unwrap().0.close().unwrap();
    assert_eq!(contents(dir.path()).len(), 1);
}

#[test]
fn file_that_was_open_to_others_is_closed_to_them() {
    let dir = closed_store();
    let file = dir.path().join("crosshome.db");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    Store::open(dir.path()).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn disk_that_cannot_be_written_is_refused_by_name() {
    let Some(disk) = Disk::new("4m") else {
        let dir = closed_store(); // without root a folder can be closed, which would not stop root
        fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).unwrap();
        assert!(matches!(refused(dir.path()), StoreError::ReadOnly(_)));
        return fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    };
    fill(disk.path()).0.close().unwrap();
    disk.make_read_only();
    assert!(matches!(refused(disk.path()), StoreError::ReadOnly(_)));
}

#[test]
fn full_disk_is_refused_as_such_with_and_without_a_store() {
    let Some(disk) = Disk::new("1m") else { return }; // only root can make a small disk
    let ballast = disk.fill_up();
    let error = Store::open(disk.path()).expect_err("there is no room");
    assert!(matches!(error, StoreError::StorageFull(_)), "{error}");
    fs::remove_file(&ballast).unwrap();
    fill(disk.path()).0.close().unwrap();
    disk.fill_up();
    assert!(matches!(refused(disk.path()), StoreError::StorageFull(_)));
    fs::remove_file(&ballast).unwrap();
    assert_eq!(all(&mut Store::open(disk.path()).unwrap().0).unwrap().len(), 3);
}
