//! Disks that are full, and directories that go back in time.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{Home, Mount, eventually, pair, tell, within};

/// Time in which a home goes on by itself once the disk does (T35), and some more for a busy machine.
const RECOVERY: Duration = Duration::from_secs(8);

fn villa_on(mount: &Mount) -> (Home, Home) {
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::started("Flat"));
    villa.keep_data_in(&mount.path().join("data"));
    villa.start();
    pair(&mut villa, &mut flat);
    villa.json(&["entity", "set", "light.hall", "on"]);
    villa.json(&["share", "light.*", "--with", "Flat", "--grant", "edit"]);
    flat.sees("light.hall", "on");
    (villa, flat)
}

/// Checks that a home refuses writes, says why, and does everything else.
fn refuses_writes_and_lives(villa: &Home, flat: &Home) {
    eventually("a write to be refused", || {
        let reply = villa.put("light.hall", "lost").expect("it is alive");
        (reply.status == 507 && reply.json()["code"] == "storage_full").then_some(())
    });
    villa.cli(&["entity", "set", "light.hall", "lost"]).fails(1, "is not stored").fails(1, "make room");
    villa.cli(&["doctor"]).fails(8, "errors found");
    assert_eq!(villa.ask("GET", "/health/live", None).expect("alive").status, 200);
    assert_ne!(villa.ask("GET", "/health/ready", None).expect("alive").status, 200);
    assert!(villa.state("light.hall").is_some(), "reads go on");
    assert!(villa.peer("Flat").is_some_and(|peer| peer["state"] == "online"), "the link stays");
    flat.json(&["entity", "set", "light.flat", "on"]);
}

/// Waits until writes are taken again, and checks that both homes agree and nothing acknowledged is missing.
fn recovers(villa: &mut Home, flat: &Home) {
    let back = Instant::now();
    within(RECOVERY, "writes to be taken again", || {
        villa.put("light.hall", "after").expect("alive").ok().then_some(())
    });
    tell(&format!("writes are taken {:?} after the disk is back", back.elapsed()));
    flat.sees("light.hall", "after");
    eventually("the home to be ready", || {
        villa.ask("GET", "/health/ready", None).expect("alive").ok().then_some(())
    });
    assert_eq!(villa.cli(&["doctor"]).code, 0);
    villa.kill();
    villa.start();
    assert_eq!(villa.state("light.hall").as_deref(), Some("after"));
    villa.in_sync_with("Flat");
    assert_eq!(villa.entities_of("Villa"), flat.entities_of("Villa"));
}

#[test]
fn full_disk_stops_writes_and_nothing_else_until_there_is_room() {
    let Some(mount) = Mount::tmpfs("size=6m") else { return };
    let (mut villa, flat) = villa_on(&mount);
    let filler = mount.fill();
    let big = "x".repeat(200);
    // What is in the log's file already takes some writes more.
    for n in 0..3_000 {
        if !villa.put(&format!("light.n{}", n % 50), &big).expect("alive").ok() {
            break;
        }
    }
    refuses_writes_and_lives(&villa, &flat);
    fs::remove_file(filler).expect("own file");
    recovers(&mut villa, &flat);
}

#[test]
fn older_copy_of_a_directory_is_repaired_and_loses_nothing_that_was_shared() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    villa.json(&["share", "light.*", "--with", "Flat", "--grant", "edit"]);
    for id in ["light.old", "light.changed", "light.edited"] {
        villa.json(&["entity", "set", id, "before"]);
        flat.sees(id, "before");
    }
    villa.stop();
    let copy = villa.place().join("copy");
    copy_dir(villa.data_dir(), &copy);
    villa.start();
    villa.in_sync_with("Flat");
    villa.json(&["entity", "set", "light.changed", "lost with the disk"]);
    villa.json(&["entity", "set", "light.new", "lost with the disk"]);
    flat.json(&["entity", "set", "light.edited", "by flat"]);
    villa.sees("light.edited", "by flat");
    flat.sees("light.new", "lost with the disk");
    villa.stop();
    fs::remove_dir_all(villa.data_dir()).expect("own files");
    copy_dir(&copy, villa.data_dir());
    flat.json(&["entity", "set", "light.edited", "by flat again"]);
    villa.start();
    villa.in_sync_with("Flat");
    villa.json(&["entity", "set", "light.changed", "after the restore"]);
    flat.sees("light.changed", "after the restore");
    villa.sees("light.edited", "by flat again");
    eventually("both to show the same", || {
        (villa.entities_of("Villa") == flat.entities_of("Villa")).then_some(())
    });
    assert_eq!(flat.state("light.new"), None, "the owner does not know it any more");
    for round in 0..5 {
        villa.json(&["entity", "set", "light.old", &format!("round {round}")]);
        flat.sees("light.old", &format!("round {round}"));
    }
    villa.stop();
    villa.start();
    villa.in_sync_with("Flat");
    assert_eq!(villa.entities_of("Villa"), flat.entities_of("Villa"));
}

fn copy_dir(from: &Path, to: &Path) {
    let ran = Command::new("cp").arg("-a").arg(from).arg(to).output().expect("cp runs");
    assert!(ran.status.success(), "{ran:?}");
}
