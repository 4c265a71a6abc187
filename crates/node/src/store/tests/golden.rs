//! The stored form, table by table: `tests/golden/store-1.sql` is a store of version 1.
//!
//! The file says what today's program writes, and that text, made into a database,
//! is what every later program must be able to open.

use std::{fmt::Write, fs};

use crosshome_core::{
    HomeId, Space,
    dot::Actor,
    epoch::Cursor,
    grant::{Grant, Right, Selector, Traits},
    hlc::Hlc,
    pairing::Method,
};
use rusqlite::{Connection, types::ValueRef};
use zeroize::Zeroizing;

use super::scenes::{HERE, Scene, all, key, past};
use crate::{
    database::connect,
    store::{Batch, EntityRow, MemoKey, PeerRow, RegistryRow, Store},
};

const GOLDEN: &str = include_str!("../../../tests/golden/store-1.sql");
const PEER: HomeId = HomeId([2; 32]);

/// Everything a store can hold, once.
fn sample() -> Batch {
    let mut scene = Scene::new();
    (0..2).for_each(|number| scene.set(number, "21.5"));
    let mut batch = scene.batch(true);
    let mut joint = key(1);
    joint.space = Space::Joint;
    let mut entity = scene.replica.find(&key(1)).expect("it was made").clone();
    (entity.key, entity.birth, entity.seq, entity.right) = (joint, 3, 3, Some(Right::Edit));
    batch.entities.push(EntityRow::of(&entity));
    let selector = Selector::Glob("sensor.*".into());
    let mut cursor = Cursor::default();
    cursor.advance(0xa1, 40, Hlc::at(7));
    Batch {
        head: 4,
        actor: Some(Actor { home: HERE, incarnation: 3 }),
        clock: Some(Hlc::at(1_800_000_000_000)),
        epochs: Some([(0xa1, 0), (u64::MAX, 2)].into_iter().collect()),
        cursors: vec![(PEER, Some(cursor))],
        grants: Some(vec![Grant { peer: Some(PEER), selector, right: Some(Right::Control), seq: 4 }]),
        gone: Some(vec![(PEER, key(0).id, 4)]),
        peers: Some(vec![peer()]),
        registry: vec![(key(0).id, Some(registered()))],
        memos: vec![(MemoKey { kind: "conflict".into(), name: "17".into() }, Some("{}".into()))],
        history: vec![past(0, 1_800_000_000_000)],
        ..batch
    }
}

fn peer() -> PeerRow {
    PeerRow {
        id: PEER,
        spki: [3; 44],
        name: "Flat".into(),
        alias: Some("Anna's flat".into()),
        pair_secret: Zeroizing::new([4; 32]),
        proto_low: 1,
        paired_at_ms: 1_800_000_000_000,
        method: Method::SharedKey,
        addresses: vec!["flat.example:8765".into()],
        denied: false,
    }
}

fn registered() -> RegistryRow {
    let traits = Traits { area: Some("Hall".into()), labels: vec!["guests".into()] };
    RegistryRow { name: "Hall".into(), metadata: r#"{"note":"x"}"#.into(), traits }
}

/// Writes a database as SQL, with a fixed id.
fn dump(connection: &Connection) -> String {
    let mut out = String::new();
    for mark in ["application_id", "user_version"] {
        let value: i64 = connection.pragma_query_value(None, mark, |row| row.get(0)).unwrap();
        writeln!(out, "PRAGMA {mark} = {value};").unwrap();
    }
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
    let mut parts = connection.prepare(sql).unwrap();
    let parts = parts.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    for part in parts {
        let (kind, name, sql): (String, String, String) = part.unwrap();
        writeln!(out, "\n{sql};").unwrap();
        if kind == "table" {
            dump_rows(connection, &name, &mut out);
        }
    }
    out
}

fn dump_rows(connection: &Connection, table: &str, out: &mut String) {
    let mut rows = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns: Vec<String> = rows.column_names().iter().map(|&name| name.into()).collect();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let value = |(at, name): (usize, &String)| match row.get_ref(at).unwrap() {
            _ if table == "home" && name == "id" => format!("'{}'", "0".repeat(32)),
            ValueRef::Null => "NULL".into(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => format!("'{}'", std::str::from_utf8(text).unwrap().replace('\'', "''")),
            ValueRef::Blob(bytes) => format!("x'{}'", hex::encode(bytes)),
        };
        let values: Vec<String> = columns.iter().enumerate().map(value).collect();
        writeln!(out, "INSERT INTO {table} VALUES ({});", values.join(", ")).unwrap();
    }
}

#[test]
fn what_is_written_today_is_version_1() {
    let (mut store, _) = Store::in_memory().unwrap();
    store.commit(&sample()).unwrap();
    let written = dump(store.connection.as_ref().unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/store-1.sql"), &written).unwrap();
    }
    assert_eq!(written, GOLDEN, "a changed form is a new version with a step in schema/");
}

#[test]
fn store_of_version_1_opens_with_all_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crosshome.db");
    fs::write(&file, b"").unwrap();
    connect(&file).unwrap().execute_batch(GOLDEN).unwrap();

    let (mut store, stored) = Store::open(dir.path()).unwrap();
    let sample = sample();
    assert_eq!((stored.actor, stored.head, stored.clean), (sample.actor, 4, false));
    assert_eq!((Some(stored.clock), Some(stored.epochs)), (sample.clock, sample.epochs.clone()));
    assert_eq!(stored.cursors, [(PEER, sample.cursors[0].1.clone().unwrap())]);
    assert_eq!((Some(stored.grants), Some(stored.gone)), (sample.grants.clone(), sample.gone.clone()));
    assert_eq!((stored.peers, stored.registry), (vec![peer()], vec![(key(0).id, registered())]));
    assert_eq!(stored.memos, [(sample.memos[0].0.clone(), "{}".into())]);
    assert_eq!(store.history(&key(0)).unwrap(), sample.history);
    assert_eq!(all(&mut store).unwrap().iter().map(EntityRow::of).collect::<Vec<_>>(), sample.entities);
    store.commit(&sample).unwrap();
}
