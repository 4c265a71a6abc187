//! Copies: whole whatever is written meanwhile, gone from the directory at once, and not believed when others made them.

use std::{fs, hash::Hasher, io::Read, os::unix::fs::PermissionsExt, path::Path};

use crosshome_core::table::Entity;
use rusqlite::Connection;
use siphasher::sip::SipHasher13;

use super::super::{StoreError, adopt, copy, copy::NAME};
use super::scenes::*;
use crate::store::{Batch, EntityRow, MemoKey, Store};

/// Changes a record, and puts its checksum right; tells whether what was to be changed was there.
fn forge(store: &Connection, from: &[u8], to: &[u8]) -> bool {
    let sql = "SELECT birth, seq, entity_id, record FROM entities";
    let mut all = store.prepare(sql).expect("as it was made");
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    for row in rows.expect("rows") {
        let (birth, seq, id, mut record): (i64, i64, String, Vec<u8>) = row.expect("a row");
        let Some(at) = record.windows(from.len()).position(|bytes| bytes == from) else { continue };
        record[at..at + from.len()].copy_from_slice(to);
        let mut sum = SipHasher13::new_with_key(b"crosshome record");
        let number = [birth.to_le_bytes(), seq.to_le_bytes()].concat();
        [&HERE.0[..], id.as_bytes(), &[0xff], &number, &record[8..]].iter().for_each(|part| sum.write(part));
        record[..8].copy_from_slice(&sum.finish().to_le_bytes());
        store.execute("UPDATE entities SET record = ?1 WHERE birth = ?2", (record, birth)).expect("changed");
        return true;
    }
    false
}

fn note() -> MemoKey {
    MemoKey { kind: "restored".into(), name: "pending".into() }
}

/// Copies a store with entities to a file of its own.
fn copied(dir: &Path) -> std::path::PathBuf {
    let (mut store, mut scene) = fill(dir);
    store.commit(&scene.change(1, "on", true)).expect("stored");
    let mut bytes = Vec::new();
    copy(dir).expect("copied").file.read_to_end(&mut bytes).expect("readable");
    let file = dir.join("copy.db");
    fs::write(&file, bytes).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("own file");
    file
}

#[test]
fn copy_of_an_open_store_holds_what_was_committed_and_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = copied(dir.path());
    assert!(!dir.path().join(NAME).exists());
    let home = adopt(&file, &note(), "{}").expect("it is sound");
    assert!(home.is_some());
    assert_eq!(
        fs::read_dir(dir.path())
            .expect("own")
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("copy.db"))
            })
            .count(),
        1,
        "it is one file"
    );
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::copy(&file, elsewhere.path().join("crosshome.db")).expect("copied");
    let (mut store, stored) = Store::open(elsewhere.path()).expect("it opens");
    assert_eq!(stored.memos, [(note(), "{}".to_owned())]);
    assert!(!states(&mut store).is_empty());
}

#[test]
fn commits_go_on_while_a_copy_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut store, mut scene) = fill(dir.path());
    let copied = copy(dir.path()).expect("copied");
    for number in 0..100 {
        store.commit(&scene.change(number, "on", true)).expect("nobody is in the way");
    }
    assert_eq!(copied.file.metadata().expect("open").len(), copied.bytes);
}

#[test]
fn two_copies_at_once_are_one_too_many_and_a_left_one_is_removed_by_the_next_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = fill(dir.path());
    fs::write(dir.path().join(NAME), "left by a crash").expect("written");
    assert!(matches!(copy(dir.path()), Err(StoreError::Busy(_))));
    store.close().expect("closed");
    Store::open(dir.path()).expect("it opens");
    assert!(!dir.path().join(NAME).exists());
    assert!(copy(dir.path()).is_ok());
}

#[test]
fn store_with_anything_of_its_own_is_refused() {
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON entities BEGIN DELETE FROM peers; END",
        "CREATE TABLE more (name TEXT)",
        "CREATE VIEW more AS SELECT 1",
        "DROP TABLE memos",
        "DROP TABLE memos; CREATE VIEW memos AS SELECT kind, name, text FROM history",
        "ALTER TABLE gone ADD COLUMN more TEXT",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 99",
        "PRAGMA application_id = 1",
        "UPDATE entities SET record = x'00'",
        "UPDATE home SET home = 'nobody'",
        "UPDATE home SET head = 9223372036854775807",
        "UPDATE home SET clock = -1",
        "INSERT INTO history VALUES (1, 1, '', 0, '', 0, 0, 0, '', '', '', '', '')",
        "INSERT INTO peers VALUES ('x', x'00', '', NULL, x'00', 1, 1, 'code', '[]', 0)",
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let file = copied(dir.path());
        Connection::open(&file).expect("a database").execute_batch(sql).expect(sql);
        assert!(adopt(&file, &note(), "{}").is_err(), "{sql}");
    }
}

#[test]
fn rubbish_and_cut_stores_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = copied(dir.path());
    let whole = fs::read(&file).expect("own file");
    for bytes in [&whole[..0], &whole[..50], &whole[..whole.len() / 2], b"rubbish", &[0; 8192]] {
        fs::write(&file, bytes).expect("own file");
        assert!(adopt(&file, &note(), "{}").is_err(), "{} bytes", bytes.len());
    }
    let mut torn = whole.clone();
    torn[5000..9000].fill(0x55);
    fs::write(&file, torn).expect("own file");
    assert!(adopt(&file, &note(), "{}").is_err());
}

#[test]
fn record_that_was_forged_with_its_checksum_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = copied(dir.path());
    let whole = fs::read(&file).expect("own file");
    for (from, to) in [
        (&b"\x64\"on\""[..], &b"\x64\"o\xff\""[..]), // a state that is no text
        (b"\"Hall\"", b"{Hall}"),                    // a name that is no JSON
        (b"\x82\x65state", b"\x82\x65\xfftate"),     // a group without a name
        (b"\x82\x65state", b"\x92\x65state"),        // no group at all
    ] {
        fs::write(&file, &whole).expect("own file");
        let store = Connection::open(&file).expect("a database");
        assert!(forge(&store, from, to), "{from:x?} is there");
        drop(store);
        assert!(matches!(adopt(&file, &note(), "{}"), Err(StoreError::Damaged { .. })), "{to:x?}");
    }
}

#[test]
fn entity_that_stands_there_twice_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = copied(dir.path());
    let (mut store, mut scene) = fill(&dir.path().join("other"));
    let mut row = scene.change(1, "twice", true).entities.remove(0);
    let entity = scene.replica.find(&row.place.key).expect("it was made").clone();
    row = EntityRow::of(&Entity { birth: 99, ..entity });
    store.commit(&Batch { entities: vec![row], ..Batch::default() }).expect("stored");
    let mut bytes = Vec::new();
    copy(&dir.path().join("other")).expect("copied").file.read_to_end(&mut bytes).expect("readable");
    fs::write(&file, bytes).expect("own file");
    let refused = adopt(&file, &note(), "{}").expect_err("one of both would be lost");
    assert!(refused.to_string().contains("twice"), "{refused}");
}
