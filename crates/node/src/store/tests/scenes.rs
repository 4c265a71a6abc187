//! Homes with something to store, and disks to store it on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crosshome_core::{
    EntityKey, HomeId, Space,
    dot::{Actor, Dot},
    hlc::Hlc,
    replica::{Options, Replica},
    table::{Class, Entity},
    update::Update,
    version::Cause,
};
use tempfile::TempDir;

use crate::store::{Batch, EntityRow, HistoryRow, Store, StoreError};

/// The home whose store it is.
pub(super) const HERE: HomeId = HomeId([1; 32]);

/// A home with entities to change.
pub(super) struct Scene {
    pub(super) replica: Replica,
    flushed: u64,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self { replica: Replica::new(HERE, Options::default()), flushed: 0 }
    }

    /// Sets the state of an entity.
    pub(super) fn set(&mut self, number: u64, state: &str) {
        let time = 1_000 + self.replica.table().head();
        let update = Update::replace(state, r#"{"friendly_name":"Hall","unit_of_measurement":"°C"}"#);
        let update = update.expect("the update is well formed");
        let written = self.replica.update(&key(number), Class::Device, &update, Cause::Device, time);
        written.expect("it is an own entity");
    }

    /// Collects what has changed since the last call, as the loop does.
    pub(super) fn batch(&mut self, durable: bool) -> Batch {
        let changed = self.replica.table().since(self.flushed);
        let entities = changed.map(|(_, entity)| EntityRow::of(entity)).collect();
        self.flushed = self.replica.table().head();
        Batch { durable, head: self.flushed, actor: Some(Actor::first(HERE)), entities, ..Batch::default() }
    }

    /// Changes one entity and collects it.
    pub(super) fn change(&mut self, number: u64, state: &str, durable: bool) -> Batch {
        self.set(number, state);
        self.batch(durable)
    }
}

pub(super) fn key(number: u64) -> EntityKey {
    EntityKey { space: Space::Home(HERE), id: format!("sensor.n{number}").parse().expect("it is an id") }
}

/// Returns a version for the history.
pub(super) fn past(number: u64, at_ms: u64) -> HistoryRow {
    HistoryRow {
        key: key(number),
        dot: Dot { actor: Actor::first(HERE), hlc: Hlc::at(at_ms) },
        at_ms,
        recorded_ms: at_ms,
        author: HERE,
        cause: "person".into(),
        state: r#""on""#.into(),
        attributes: "{}".into(),
        outcome: "shown".into(),
    }
}

/// Reads all entities of a store.
pub(super) fn all(store: &mut Store) -> Result<Vec<Entity>, StoreError> {
    store.entities(|entities| entities.collect())
}

/// Reads the names and states that people would see.
pub(super) fn states(store: &mut Store) -> Vec<(String, String)> {
    let entities = all(store).expect("the store is sound");
    let state = |entity: &Entity| EntityRow::of(entity).state;
    entities.iter().map(|entity| (entity.key.id.to_string(), state(entity))).collect()
}

/// Returns a directory with a store of three entities that was closed properly.
pub(super) fn closed_store() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fill(dir.path()).0.close().expect("it closes");
    dir
}

/// Returns an open store of three entities, and the home that goes on from there.
pub(super) fn fill(dir: &Path) -> (Store, Scene) {
    let (mut store, _) = Store::open(dir).expect("it opens");
    let mut scene = Scene::new();
    (0..3).for_each(|number| scene.set(number, "on"));
    store.commit(&scene.batch(true)).expect("it commits");
    (store, scene)
}

/// Returns every file of a directory with its content, but for the lock and what SQLite makes to read:
/// the index of the log, and an empty log.
pub(super) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(dir).expect("it is there").map(|file| file.expect("it can be read").path());
    let kept =
        |path: &PathBuf| path.file_name() != Some("lock".as_ref()) && !path.ends_with("crosshome.db-shm");
    let read = |path: &PathBuf| path.is_file().then(|| fs::read(path).expect("it can be read"));
    let mut files: Vec<_> =
        files.filter(kept).map(|path| (path.clone(), read(&path).unwrap_or_default())).collect();
    files.retain(|(path, content)| !(path.ends_with("crosshome.db-wal") && content.is_empty()));
    files.sort();
    files
}

/// A small disk of its own; only root can make one.
pub(super) struct Disk(TempDir);

impl Disk {
    pub(super) fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], dir.path()).then(|| Self(dir))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn make_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.path()));
    }

    /// Leaves no room on the disk until the file is removed.
    pub(super) fn fill_up(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let _ = fs::write(&ballast, vec![1; 64 << 20]); // the disk is smaller than that
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn mount(how: &[&str], dir: &Path) -> bool {
    Command::new("mount").args(how).arg(dir).output().is_ok_and(|done| done.status.success())
}
