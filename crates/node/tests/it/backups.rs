//! Backups within one process: streams that nobody reads to their end, and keys that lie elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crosshome_node::{
    backup::{BackupError, Opened},
    config::{Config, Override, Sources},
    home::Home,
    node::{EntityRef, Node, NodeError, Secret, Update},
    store::StoreError,
};
use tempfile::TempDir;

fn config(dir: &Path) -> Config {
    let set =
        |key: &str, value: &str| Override { key: key.into(), value: value.into(), flag: "--test".into() };
    let overrides = vec![
        set("home_name", "villa"),
        set("data_dir", &dir.join("data").display().to_string()),
        set("discovery.enabled", "false"),
        set("sync.port", "0"),
        set("sync.bind", "127.0.0.1"),
        set("sync.encryption.key_path", &key_path(dir).display().to_string()),
        set("api.port", "0"),
    ];
    Config::load(&Sources { overrides, ..Sources::default() }).expect("it is valid").config
}

fn key_path(dir: &Path) -> PathBuf {
    dir.join("keys/villa")
}

fn note() -> EntityRef {
    "input_text.note".parse().expect("an id")
}

fn passphrase() -> Secret {
    Secret::new("correct horse".into())
}

async fn back_up(node: &Node) -> Vec<u8> {
    let mut backup = node.backup(passphrase()).await.expect("it is made");
    let mut bytes = Vec::new();
    while let Some(chunk) = backup.chunks.recv().await {
        bytes.extend_from_slice(&chunk.expect("it comes whole"));
    }
    bytes
}

async fn write(home: &Home, state: &str) {
    let update = Update { state: Some(state.into()), ..Update::default() };
    home.node().update_entity(note(), update).await.expect("written");
}

#[tokio::test]
async fn home_with_its_key_elsewhere_is_restored_and_kept() {
    let dir = TempDir::new().expect("a folder");
    let home = Home::start(config(dir.path())).expect("it starts");
    write(&home, "milk").await;
    let id = home.about().id;
    let bytes = back_up(home.node()).await;
    let opened = || Opened::new(&bytes[..], &passphrase()).expect("it opens");
    let data = dir.path().join("data");
    let running = opened().stage(&data, &key_path(dir.path()));
    assert!(matches!(running, Err(BackupError::Store(StoreError::InUse(_)))), "{running:?}");
    write(&home, "bread").await;
    home.stop().await;
    fs::remove_file(key_path(dir.path())).expect("own file"); // what a person has lost
    let done = opened().stage(&data, &key_path(dir.path())).and_then(|staged| staged.put_in_place());
    let kept = done.expect("restored").kept.expect("a home was there");
    assert!(kept.join("crosshome.db").exists() && !kept.join("sharing_key").exists());
    let home = Home::start(config(dir.path())).expect("it starts");
    assert_eq!(home.about().id, id);
    let view = home.node().entity(note()).await.expect("it is there");
    assert_eq!(view.state.as_deref(), Some("milk"));
    assert!(home.node().status().await.expect("it answers").restored.is_some());
    home.stop().await;
}

#[tokio::test]
async fn staged_backup_that_nobody_wants_leaves_everything_as_it_was() {
    let dir = TempDir::new().expect("a folder");
    let home = Home::start(config(dir.path())).expect("it starts");
    let bytes = back_up(home.node()).await;
    home.stop().await;
    let data = dir.path().join("data");
    let names = || {
        let entries = fs::read_dir(&data).expect("own folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let opened = Opened::new(&bytes[..], &passphrase()).expect("it opens");
    let staged = opened.stage(&data, &key_path(dir.path())).expect("it is sound");
    assert!(staged.replaces() && names() != before);
    assert_eq!(staged.about().home.name, "villa");
    drop(staged);
    assert_eq!(names(), before);
}

#[tokio::test]
async fn backup_that_nobody_reads_to_its_end_is_in_nobody_s_way() {
    let dir = TempDir::new().expect("a folder");
    let home = Home::start(config(dir.path())).expect("it starts");
    for _ in 0..3 {
        drop(home.node().backup(passphrase()).await.expect("it begins"));
    }
    let waiting = home.node().backup(passphrase()).await.expect("it begins");
    write(&home, "milk").await;
    assert!(!back_up(home.node()).await.is_empty());
    let short = home.node().backup(Secret::new("short".into())).await;
    assert!(matches!(short, Err(NodeError::Invalid(_))));
    drop(waiting);
    home.stop().await;
}
