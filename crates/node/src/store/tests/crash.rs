//! Kill -9 and power cuts: what was confirmed is there, and nothing by halves.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crosshome_core::{HomeId, epoch::Cursor, hlc::Hlc};

use super::scenes::{Scene, key, states};
use crate::store::{Batch, Store};

const PEER: HomeId = HomeId([2; 32]);
const ROUNDS: u64 = 40;
const DIR: &str = "CROSSHOME_TEST_STORE";

/// Returns commit number `n`: a cursor and the twenty entities that it acknowledges, all with the state `n`.
fn numbered(scene: &mut Scene, n: u64) -> Batch {
    (0..20).for_each(|number| scene.set(number, &n.to_string()));
    let mut cursor = Cursor::default();
    cursor.advance(1, n, Hlc(n));
    Batch { cursors: vec![(PEER, Some(cursor))], ..scene.batch(!n.is_multiple_of(3)) }
}

/// Returns the number of the last commit, after checking that all of it is there.
fn last_commit(dir: &Path) -> u64 {
    let (mut store, stored) = Store::open(dir).expect("it opens after every crash");
    let n = stored.cursors.first().map_or(0, |(_, cursor)| cursor.seq());
    let states = states(&mut store);
    assert_eq!(states.len(), if n == 0 { 0 } else { 20 });
    assert!(states.iter().all(|(_, state)| *state == n.to_string()), "{n}: {states:?}");
    n
}

/// Commits and says so, until it is killed.
#[test]
#[ignore = "started and killed by confirmed_commits_survive_kill"]
fn commits_until_it_is_killed() {
    let dir = env::var(DIR).expect("the parent names the directory");
    let (mut store, stored) = Store::open(Path::new(&dir)).unwrap();
    let mut scene = Scene::new();
    store.entities(|entities| scene.replica.put_back(entities)).unwrap();
    let first = stored.cursors.first().map_or(1, |(_, cursor)| cursor.seq() + 1);
    for n in first..u64::MAX {
        store.commit(&numbered(&mut scene, n)).unwrap();
        writeln!(std::io::stdout(), "confirmed {n}").unwrap();
    }
}

fn start(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "store::tests::crash::commits_until_it_is_killed"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child at a moment that differs from round to round, and returns what it had confirmed.
fn kill(mut child: Child, round: u64) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let confirmed = |line: std::io::Result<String>| line.ok()?.strip_prefix("confirmed ")?.parse().ok();
    let first = lines.by_ref().find_map(confirmed).expect("it commits");
    let pid = rustix::process::Pid::from_child(&child);
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_micros(round * 7919 % 30_000));
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
    let last = lines.filter_map(confirmed).last().unwrap_or(first);
    killer.join().unwrap();
    child.wait().unwrap();
    last
}

#[test]
fn confirmed_commits_survive_kill() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let confirmed = kill(start(dir.path()), round);
        let found = last_commit(dir.path());
        assert!(found >= confirmed, "round {round}: {confirmed} were confirmed, {found} are there");
    }
}

#[test]
fn power_cut_anywhere_in_the_log_leaves_whole_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut scene = Scene::new();
    (1..=12).for_each(|n| store.commit(&numbered(&mut scene, n)).unwrap());
    drop(store);
    let log = fs::read(dir.path().join("crosshome.db-wal")).unwrap();

    let mut seen = Vec::new();
    for cut in (0..=log.len()).step_by(1_367) {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join("crosshome.db"), copy.path().join("crosshome.db")).unwrap();
        fs::write(copy.path().join("crosshome.db-wal"), &log[..cut]).unwrap();
        seen.push(last_commit(copy.path()));
    }
    assert!(seen.is_sorted() && seen.first() == Some(&0) && *seen.last().unwrap() >= 11, "{seen:?}");
}

#[test]
fn log_with_a_wrong_bit_ends_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut scene = Scene::new();
    (1..=12).for_each(|n| store.commit(&numbered(&mut scene, n)).unwrap());
    drop(store);
    let log = dir.path().join("crosshome.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&log, bytes).unwrap();
    assert!((1..12).contains(&last_commit(dir.path())));
    let (mut store, _) = Store::open(dir.path()).unwrap();
    assert!(store.history(&key(1)).is_ok());
}
