//! Stores that somebody has forged: the checksums are right, what they stand over is nonsense.

use std::{fs, hash::Hasher, os::unix::fs::PermissionsExt, path::Path};

use crosshome_core::HomeId;
use crosshome_node::{
    config::{Config, Override, Sources},
    home::{Home, StartError},
    node::{EntityRef, Node, NodeError, Register, Report, Secret, Selection, ShareRequest, Update},
    store::StoreError,
    views::Right,
};
use rusqlite::{Connection, types::Value};
use siphasher::sip::SipHasher13;
use tempfile::TempDir;

use crate::houses::{House, eventually, named};

/// How many forged stores are tried.
const FORGERIES: u64 = 120;
const FILES: [&str; 2] = ["crosshome.db", "sharing_key"];

/// Dice that fall the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

fn start(dir: &Path, linked: bool) -> Result<Home, StartError> {
    let set =
        |key: &str, value: &str| Override { key: key.into(), value: value.into(), flag: "--test".into() };
    let overrides = vec![
        set("home_name", "villa"),
        set("data_dir", &dir.display().to_string()),
        set("discovery.enabled", "false"),
        set("sync.enabled", &linked.to_string()),
        set("sync.port", "0"),
        set("sync.bind", "127.0.0.1"),
        set("api.port", "0"),
    ];
    Home::start(Config::load(&Sources { overrides, ..Sources::default() }).expect("it is valid").config)
}

async fn write(node: &Node, entity: &str, state: &str) -> Result<(), NodeError> {
    let update = Update { state: Some(state.into()), ..Update::default() };
    node.update_entity(named(entity), update).await.map(drop)
}

async fn share(node: &Node, entity: &str, with: &str, right: Right) {
    let (patterns, with) = (vec![entity.into()], vec![with.into()]);
    node.share(ShareRequest { patterns, with, right, preview: false, yes: true }).await.expect("shared");
}

fn report(id: &str) -> Report {
    let attributes = r#"{"brightness":7,"effect":"none","hs_color":[28,10]}"#;
    Report {
        entity_id: id.parse().expect("an id"),
        update: crosshome_core::update::Update::replace("on", attributes).expect("an object"),
        class: Some(crosshome_core::table::Class::Device),
    }
}

/// Makes a home with something in every table and a conflict, paired with one that runs on.
async fn furnish(dir: &Path) -> House {
    let (flat, villa) = (House::new("flat"), start(dir, true).expect("it starts"));
    let shown = flat.node().pair_show().await.expect("a code");
    villa.node().pair_accept(Secret::new(shown.code), Some(flat.address())).await.expect("paired");
    villa.node().report(vec![report("light.hall"), report("light.stairs")]).await.expect("reported");
    let (entity_id, metadata) = ("light.hall".into(), Default::default());
    let register = Register { entity_id, shared: false, home: None, metadata, class: None };
    villa.node().register(register).await.expect("registered");
    write(villa.node(), "input_text.note", "milk").await.expect("set");
    share(villa.node(), "input_text.*", "flat", Right::Edit).await;
    share(villa.node(), "light.hall", "flat", Right::Control).await;
    flat.set("input_text.flat", "eggs").await.expect("set");
    flat.share("input_text.flat", "villa", Right::Edit).await;
    eventually("both have met", async || villa.node().entity(named("flat/input_text.flat")).await.is_ok())
        .await;
    flat.sees("villa/input_text.note", Some("milk")).await;
    villa.stop().await;
    flat.set("villa/input_text.note", "bread").await.expect("set");
    let villa = start(dir, false).expect("it starts");
    write(villa.node(), "input_text.note", "cake").await.expect("set");
    villa.stop().await;
    let villa = start(dir, true).expect("it starts");
    eventually("there is a conflict", async || !villa.node().conflicts(true).await.expect("they").is_empty())
        .await;
    villa.stop().await;
    flat
}

/// Changes something, and puts checksums right.
fn forge(file: &Path, dice: &mut Dice) -> String {
    let store = Connection::open(file).expect("a database");
    match dice.below(3) {
        0 => forge_column(&store, dice),
        _ => forge_record(&store, dice),
    }
}

/// Changes the bytes of a record.
fn forge_record(store: &Connection, dice: &mut Dice) -> String {
    let sql = "SELECT birth, seq, name, entity_id, record FROM entities JOIN spaces ON spaces.number = space";
    let mut all = store.prepare(sql).expect("as it was made");
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
    let rows: Vec<(i64, i64, String, String, Vec<u8>)> = rows.expect("rows").map(Result::unwrap).collect();
    let (birth, seq, space, id, mut record) = dice.one_of(&rows);
    for _ in 0..=dice.below(3) {
        let at = 8 + dice.below(record.len() - 8);
        match dice.below(4) {
            0 => record[at] = dice.below(256) as u8,
            1 => record[at] ^= 1 << dice.below(8),
            2 => drop(record.remove(at)),
            _ => record.insert(at, dice.one_of(&[0, 0xff, 0x1b, 0x7f, b'"'])),
        }
    }
    let mut sum = SipHasher13::new_with_key(b"crosshome record");
    sum.write(&space.parse::<HomeId>().expect("no joint space here").0);
    sum.write(id.as_bytes());
    sum.write(&[0xff]);
    sum.write(&birth.to_le_bytes());
    sum.write(&seq.to_le_bytes());
    sum.write(&record[8..]);
    record[..8].copy_from_slice(&sum.finish().to_le_bytes());
    store
        .execute("UPDATE entities SET record = ?1 WHERE birth = ?2", (&record, birth))
        .expect("it is changed");
    format!("record of {id}: {}", hex::encode(record))
}

/// Puts something odd into a column, or a row in twice.
fn forge_column(store: &Connection, dice: &mut Dice) -> String {
    let tables = "home epochs spaces entities cursors grants gone peers registry memos history";
    let table = dice.one_of(&tables.split(' ').collect::<Vec<_>>());
    let columns = store.prepare(&format!("SELECT name, type FROM pragma_table_info('{table}')"));
    let columns: Vec<(String, String)> = columns
        .and_then(|mut all| all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .expect("as it was made");
    let (column, kind) = dice.one_of(&columns);
    let numbers = [-1, 0, 1, 1 << 31, 1 << 32, 1 << 62, i64::MAX, i64::MIN];
    let texts = "|x|null|{}|[]|[[1,2]]|[[18446744073709551615,18446744073709551615]]|\u{202e}|joint|nobody";
    let value = match kind.as_str() {
        "INTEGER" => Value::Integer(dice.one_of(&numbers)),
        "BLOB" => Value::Blob(vec![dice.below(256) as u8; dice.one_of(&[0, 1, 32, 44])]),
        _ => Value::Text(dice.one_of(&texts.split('|').collect::<Vec<_>>()).into()),
    };
    let told = format!("{table}.{column} = {value:?}");
    let _ = store.execute(&format!("UPDATE OR REPLACE {table} SET {column} = ?1"), [value]);
    told
}

/// Does with a home all that people do.
async fn live(villa: &Node, flat: &Node) -> Result<(), NodeError> {
    let mut stopped = Ok(());
    let mut check = |result: Result<(), NodeError>| {
        if result == Err(NodeError::Stopped) {
            stopped = result;
        }
    };
    let id = |id: &str| -> EntityRef { named(id) };
    check(villa.status().await.map(drop));
    check(villa.report(vec![report("light.stairs"), report("light.new")]).await);
    check(villa.entities(Selection::default()).await.map(drop));
    check(villa.conflicts(true).await.map(drop));
    check(villa.registry().await.map(drop));
    check(villa.strategy().await.map(drop));
    check(write(villa, "input_text.note", "tea").await);
    check(write(villa, "flat/input_text.flat", "tea").await);
    for entity in ["input_text.note", "light.hall", "flat/input_text.flat"] {
        check(villa.history(id(entity)).await.map(drop));
    }
    check(villa.unregister("light.hall".into()).await);
    check(villa.doctor().await.map(drop));
    tokio::time::sleep(std::time::Duration::from_millis(60)).await; // both homes talk
    check(write(villa, "input_text.note", "coffee").await);
    check(villa.metrics().await.map(drop));
    check(flat.status().await.map(drop));
    stopped
}

#[tokio::test]
async fn forged_store_is_refused_as_it_is_or_harms_nobody() {
    let dir = TempDir::new().expect("a folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("own folder");
    let flat = furnish(dir.path()).await;
    let (mut refused, mut lived) = (0, 0);
    for seed in 0..FORGERIES {
        let forged = TempDir::new().expect("a folder");
        fs::set_permissions(forged.path(), fs::Permissions::from_mode(0o700)).expect("own folder");
        for name in FILES {
            fs::copy(dir.path().join(name), forged.path().join(name)).expect("own files");
        }
        let file = forged.path().join("crosshome.db");
        let told = forge(&file, &mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let before = fs::read(&file).expect("own");
        match start(forged.path(), true) {
            Ok(villa) => {
                lived += 1;
                assert_eq!(live(villa.node(), flat.node()).await, Ok(()), "{seed}: {told}");
                villa.stop().await;
            }
            Err(StartError::Died) => panic!("{seed}: {told}"),
            Err(error) => {
                refused += 1;

                let known = matches!(
                    error,
                    StartError::Store(StoreError::Damaged { .. } | StoreError::OtherHome { .. })
                );
                assert!(known, "{seed}: {told}: {error}");
                assert!(fs::read(&file).expect("own") == before, "{seed}: {told}");
            }
        }
    }
    assert!(refused > 20 && lived > 20, "{refused} were refused, {lived} not");
}
