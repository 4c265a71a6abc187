//! Backups: made while people write, restored elsewhere or over what is there, refused when they are wrong.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use crate::support::{Home, Ran, eventually, pair};

const PASSPHRASE: &str = "correct horse battery";

/// Runs a verb with the passphrase in its environment.
fn with_passphrase(home: &Home, words: &[&str]) -> Ran {
    Ran::to_end(home.command(words).env("CROSSHOME_PASSPHRASE", PASSPHRASE))
}

/// Makes a backup of a running home and returns its path.
#[track_caller]
fn back_up(home: &mut Home, name: &str) -> PathBuf {
    home.guard("passphrase", PASSPHRASE);
    let file = home.place().join(name);
    let ran = with_passphrase(home, &["--json", "backup", &file.display().to_string()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = ran.json();
    assert_eq!((&told["ok"], &told["home"]["name"]), (&true.into(), &home.name.clone().into()));
    file
}

#[track_caller]
fn restore(home: &Home, file: &Path) -> serde_json::Value {
    let ran = with_passphrase(home, &["--json", "restore", &file.display().to_string(), "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.json()
}

/// Returns everything that lies in a directory, with what is in the files.
fn content(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut all: Vec<_> =
        entries.iter().map(|entry| (entry.path(), fs::read(entry.path()).unwrap_or_default())).collect();
    all.sort();
    all
}

fn copy_dir(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let ran = Command::new("cp").arg("-a").arg(from).arg(to).output().expect("cp runs");
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn home_restored_elsewhere_is_the_one_that_was_backed_up_while_people_wrote() {
    let mut villa = Home::started("Villa");
    for n in 0..300 {
        assert!(villa.put(&format!("input_number.n{n}"), &n.to_string()).expect("it runs").ok());
    }
    let (stop, tried, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (file, range) = thread::scope(|scope| {
        let door = villa.writer();
        scope.spawn(|| {
            let door = door;
            while !stop.load(Ordering::SeqCst) {
                let next = tried.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(door.put("counter.busy", &next.to_string()).expect("it runs").ok());
                acknowledged.store(next, Ordering::SeqCst);
            }
        });
        eventually("writes to be under way", || (acknowledged.load(Ordering::SeqCst) > 20).then_some(()));
        let before = acknowledged.load(Ordering::SeqCst);
        let file = back_up(&mut villa, "villa.age");
        let range = before..=tried.load(Ordering::SeqCst);
        stop.store(true, Ordering::SeqCst);
        (file, range)
    });
    let (id, entities) = (villa.id(), villa.entities_of("Villa"));
    assert_eq!(fs::metadata(&file).expect("written").permissions().mode() & 0o777, 0o600);
    villa.stop();
    let mut again = Home::on_loopback("Villa");
    let told = restore(&again, &file);
    assert_eq!((&told["home"]["id"], &told["kept"]), (&id.as_str().into(), &serde_json::Value::Null));
    again.start();
    assert_eq!(again.id(), id);
    let busy = again.state("counter.busy").expect("it is there").parse().expect("a number");
    assert!(range.contains(&busy), "{busy} of {range:?}");
    let quiet = |entities: Vec<serde_json::Value>| {
        entities.into_iter().filter(|view| view["entity_id"] != "counter.busy").collect::<Vec<_>>()
    };
    assert_eq!(quiet(again.entities_of("Villa")), quiet(entities));
    assert!(!again.status()["restored"].is_null());
    again.stop();
    again.start();
    assert_eq!(again.state("input_number.n299").as_deref(), Some("299"), "a second start is like any other");
}

#[test]
fn backup_that_is_wrong_changes_nothing_and_says_why() {
    let mut villa = Home::started("Villa");
    villa.json(&["entity", "set", "light.hall", "on"]);
    let file = back_up(&mut villa, "villa.age");
    let path = file.display().to_string();
    with_passphrase(&villa, &["restore", &path, "--yes"]).fails(1, "another crosshome runs");
    with_passphrase(&villa, &["backup", &path]).fails(1, "exists");
    villa.cli(&["backup", "/tmp/never"]).fails(2, "no passphrase");
    Ran::to_end(villa.command(&["backup", "/tmp/never"]).env("CROSSHOME_PASSPHRASE", "short"))
        .fails(2, "too short");
    villa.stop();
    let before = content(villa.data_dir());
    let bytes = fs::read(&file).expect("own file");
    let put = |name: &str, bytes: &[u8]| {
        let path = villa.place().join(name);
        fs::write(&path, bytes).expect("own file");
        path.display().to_string()
    };
    let mut changed = bytes.clone();
    let middle = bytes.len() - 100;
    changed[middle] ^= 1;
    let newer = [b"age-encryption.org/v2", &bytes[21..]].concat();
    for (file, words) in [
        (put("cut", &bytes[..bytes.len() / 2]), "damaged"),
        (put("changed", &changed), "damaged"),
        (put("newer", &newer), "does not know"),
        (put("foreign", b"PK\x03\x04 something else"), "no backup"),
        (put("empty", b""), "no backup"),
        (villa.place().join("nowhere").display().to_string(), "no such file"),
    ] {
        with_passphrase(&villa, &["restore", &file, "--yes"]).fails(1, words);
        assert!(content(villa.data_dir()) == before, "{words} has changed something");
    }
    let wrong = villa.place().join("wrong");
    fs::write(&wrong, "wrong horse battery\n").expect("own file");
    let wrong = wrong.display().to_string();
    villa.cli(&["restore", &path, "--yes", "--passphrase-file", &wrong]).fails(5, "wrong passphrase");
    with_passphrase(&villa, &["restore", &path]).fails(1, "nobody said yes");
    assert!(content(villa.data_dir()) == before);
    villa.start();
    assert_eq!(villa.state("light.hall").as_deref(), Some("on"));
    assert!(villa.status()["restored"].is_null());
}

#[test]
fn backup_is_not_given_over_the_network() {
    let mut villa = Home::started("Villa");
    let url = villa.status()["api"].as_str().expect("it listens").to_owned();
    let file = villa.place().join("villa.age").display().to_string();
    with_passphrase(&villa, &["--api", &url, "backup", &file]).fails(5, "api.sock");
    villa.guard("passphrase", PASSPHRASE);
    assert!(!Path::new(&file).exists());
}

/// What a restore does to files; it is killed before each time that it does it.
const DEEDS: [&str; 5] = ["mkdir", "rename", "fsync", "unlink,unlinkat", "rmdir"];

#[test]
fn restore_killed_at_any_step_leaves_the_old_home_or_the_new_one() {
    if !Command::new("strace").args(["-qq", "true"]).output().is_ok_and(|traced| traced.status.success()) {
        return crate::netns::skip("strace is missing: apt-get install strace");
    }
    let (mut villa, mut other) = (Home::started("Villa"), Home::started("Other"));
    villa.json(&["entity", "set", "light.hall", "new"]);
    let file = back_up(&mut villa, "villa.age");
    villa.stop();
    other.json(&["entity", "set", "light.hall", "old"]);
    other.kill(); // its log is not empty
    let (template, place) = (other.place().join("template"), other.data_dir().to_owned());
    copy_dir(&place, &template);
    let (mut olds, mut news) = (0, 0);
    for deed in DEEDS {
        for time in 1.. {
            copy_dir(&template, &place);
            let words = ["restore", &file.display().to_string(), "--yes"].map(str::to_owned);
            let killed = killed_at(&other, &words, deed, time);
            other.start();
            match other.state("light.hall").as_deref() {
                Some("old") => olds += 1,
                Some("new") => news += 1,
                state => panic!("{state:?} after {deed} {time}"),
            }
            other.stop();
            let left: Vec<_> = content(&place).into_iter().map(|(path, _)| path).collect();
            assert!(!left.iter().any(|path| path.display().to_string().contains("restore.")), "{left:?}");
            if !killed {
                break;
            }
        }
    }
    assert!(olds > 5 && news > 5, "{olds} old, {news} new");
}

/// Restores, and is killed when it does a thing for the nth time; tells whether it came so far.
fn killed_at(home: &Home, words: &[String], deed: &str, time: u32) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let plain = home.command(&words);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={deed}")]);
    traced.args(["-e", &format!("inject={deed}:signal=KILL:when={time}")]);
    traced.arg(plain.get_program()).args(plain.get_args());
    traced.env("CROSSHOME_PASSPHRASE", PASSPHRASE).env("HOME", home.place());
    Ran::to_end(&mut traced).code != 0
}

#[test]
fn restored_old_backup_loses_nothing_of_others_and_goes_on() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    villa.set("/sync/peers", serde_json::json!([flat.address()]));
    villa.json(&["share", "light.*", "--with", "Flat", "--grant", "edit"]);
    flat.json(&["entity", "set", "input_text.note", "of flat"]);
    flat.json(&["share", "input_text.*", "--with", "Villa", "--grant", "edit"]);
    for id in ["light.old", "light.changed", "light.edited"] {
        villa.json(&["entity", "set", id, "before"]);
        flat.sees(id, "before");
    }
    villa.sees("input_text.note", "of flat");
    let file = back_up(&mut villa, "villa.age");
    villa.json(&["entity", "set", "light.changed", "lost"]);
    villa.json(&["entity", "set", "light.new", "lost"]);
    villa.json(&["entity", "set", "input_text.note", "by villa, later lost there"]);
    flat.sees("light.new", "lost");
    flat.sees("light.changed", "lost");
    flat.sees("input_text.note", "by villa, later lost there");
    villa.stop();
    let kept = restore(&villa, &file)["kept"].as_str().expect("there was a home").to_owned();
    assert!(Path::new(&kept).join("crosshome.db").exists() && Path::new(&kept).join("sharing_key").exists());
    flat.json(&["entity", "set", "light.edited", "by flat meanwhile"]);
    villa.start();
    villa.in_sync_with("Flat");
    flat.in_sync_with("Villa");
    villa.sees("light.edited", "by flat meanwhile");
    villa.sees("input_text.note", "by villa, later lost there");
    for round in 0..5 {
        let state = format!("round {round}");
        villa.json(&["entity", "set", "light.changed", &state]);
        flat.sees("light.changed", &state);
        villa.json(&["entity", "set", "input_text.note", &state]);
        flat.sees("input_text.note", &state);
    }
    eventually("both to show the same", || {
        (villa.entities_of("Villa") == flat.entities_of("Villa")).then_some(())
    });
    assert_eq!(flat.state("light.new"), None, "the owner does not know it any more");
    assert!(!flat.peer("Villa").expect("paired")["went_back"].is_null());
    assert!(flat.peer("Villa").expect("paired")["cloned"].is_null(), "it runs once");
    let doctor = villa.cli(&["doctor"]);
    assert!(doctor.out.contains("was restored at"), "{doctor:?}");
    assert!(flat.cli(&["doctor"]).out.contains("came back from an earlier state"));
}
