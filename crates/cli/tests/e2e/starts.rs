//! Starts that cannot go well: each says what is wrong, what to do, and with which exit code it ends.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use serde_json::json;

use crate::{
    netns::skip,
    support::{Home, Mount, Ran, pair},
};

#[test]
fn port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let mut villa = Home::on_loopback("Villa");
    villa.set("/sync/port", port);
    villa.run_to_end().fails(1, &format!("port {port} is taken"));
    villa.set("/sync/port", 0);
    villa.set("/api/port", port);
    villa.run_to_end().fails(1, &format!("port {port} is taken"));
    villa.set("/api/bind", "192.0.2.1");
    villa.run_to_end().fails(1, "192.0.2.1 is no address of this machine");
    villa.set("/api/bind", "127.0.0.1");
    drop(taken);
    villa.start();
}

#[test]
fn second_home_on_one_directory_is_refused_and_the_first_goes_on() {
    let villa = Home::started("Villa");
    let mut second = Home::on_loopback("Second");
    second.keep_data_in(villa.data_dir());
    second.run_to_end().fails(1, "another crosshome runs on");
    villa.json(&["entity", "set", "light.hall", "on"]);
    assert_eq!(villa.state("light.hall").as_deref(), Some("on"));
}

#[test]
fn key_that_is_missing_unreadable_or_open_to_others_is_never_replaced() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    let (id, key) = (villa.id(), villa.data_dir().join("sharing_key"));
    villa.stop();
    let kept = villa.place().join("kept");
    fs::rename(&key, &kept).expect("own files");
    villa.run_to_end().fails(3, "sharing_key");
    assert!(!key.exists(), "a key was made in place of the lost one");

    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n")
        .expect("own files");
    chmod(&key, 0o600);
    let ran = villa.run_to_end().fails(3, "sharing_key");
    assert!(!ran.err.contains("bm90IGEga2V5"), "{ran:?}");
    fs::remove_file(&key).expect("own files");

    fs::copy(&kept, &key).expect("own files");
    chmod(&key, 0o640);
    villa.run_to_end().fails(3, "chmod 600");
    fs::remove_file(&key).expect("own files");

    symlink(&kept, &key).expect("own files");
    villa.run_to_end().fails(3, "sharing_key");
    fs::remove_file(&key).expect("own files");

    Home::started("Other").stop_and_lend_key(&key);
    villa.run_to_end().fails(3, "put back the key");

    fs::copy(&kept, &key).expect("own files");
    villa.start();
    assert_eq!(villa.id(), id);
    villa.in_sync_with("Flat");
}

#[test]
fn directory_that_cannot_be_written_is_named() {
    let Some(mount) = Mount::tmpfs("size=8m") else { return };
    let mut villa = Home::on_loopback("Villa");
    villa.keep_data_in(&mount.path().join("data"));
    villa.start();
    villa.stop();
    mount.remount("ro");
    villa.run_to_end().fails(1, "cannot be written");
    mount.remount("rw");
    villa.start();
}

#[test]
fn what_stands_in_the_way_of_a_home_is_named_with_what_to_do() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, dir) = (place.path().join("file"), place.path().join("data"));
    fs::write(&file, "").expect("own directory");
    let mut villa = Home::on_loopback("Villa");
    for wrong in [&file, &file.join("below")] {
        villa.keep_data_in(wrong);
        villa.run_to_end().fails(3, "is no directory").fails(3, "--data-dir");
    }
    villa.keep_data_in(&dir);
    fs::create_dir_all(dir.join("api.sock")).expect("own directory");
    chmod(&dir, 0o700);
    villa.run_to_end().fails(1, "api.sock cannot be made").fails(1, "move away");
}

#[test]
fn directory_made_immutable_is_named() {
    let place = tempfile::tempdir().expect("a directory");
    let chattr = |flag: &str| {
        let ran = Command::new("chattr").arg(flag).arg(place.path()).output();
        ran.is_ok_and(|output| output.status.success())
    };
    if !chattr("+i") {
        return skip("chattr does not work here");
    }
    let mut villa = Home::on_loopback("Villa");
    villa.keep_data_in(place.path());
    let inside = villa.run_to_end();
    villa.keep_data_in(&place.path().join("data"));
    let below = villa.run_to_end();
    assert!(chattr("-i"), "chattr works here");
    assert!(inside.code == 1 || inside.code == 3, "{inside:?}");
    inside.fails(1, "written");
    below.fails(3, "cannot be made");
}

#[test]
fn mistakes_in_the_configuration_come_all_at_once() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("home.yaml");
    let text = "copilot:\n  sharing:\n    home_nam: Villa\n    sync:\n      port: many\n      encryption:\n        \
                shared_key: !secret sharing_key\n    conflict_resolution:\n      strategy: newest\n";
    fs::write(&file, text).expect("own files");
    let ran = run_with(&file, place.path()).fails(3, "home.yaml:3");
    for told in ["home.yaml:5", "home.yaml:7", "home.yaml:9", "home_name", "secrets.yaml", "latest-wins", "^"]
    {
        assert!(ran.err.contains(told), "{told} is not in {}", ran.err);
    }
    fs::write(&file, "copilot:\n  sharing:\n\tenabled: true\n").expect("own files");
    run_with(&file, place.path()).fails(3, "home.yaml:3");
    run_with(&place.path().join("nowhere.yaml"), place.path()).fails(3, "nowhere.yaml");
    assert!(!place.path().join("data").exists(), "a home was begun in spite of its configuration");
}

#[test]
fn home_without_encryption_stays_on_loopback() {
    let mut villa = Home::on_loopback("Villa");
    villa.set("/sync/encryption", json!({"enabled": false}));
    villa.set("/sync/bind", "0.0.0.0");
    let ran = villa.run_to_end().fails(3, "encryption is off");
    assert!(ran.err.contains("127.0.0.1"), "{ran:?}");
    villa.set("/sync/bind", "127.0.0.1");
    villa.start();
    assert_eq!(villa.status()["loopback_only"], true);
    assert!(villa.log_text().contains("keeps to this machine"));
}

#[test]
fn nobody_home_is_told_with_what_to_do() {
    let villa = Home::on_loopback("Villa");
    villa.cli(&["status"]).fails(4, "crosshome run");
    let mut villa = villa;
    villa.start();
    villa.kill();
    villa.cli(&["status"]).fails(4, "no home is running");
    villa.start();
    assert_eq!(villa.cli(&["status"]).code, 0, "what a killed home left behind is in nobody's way");
}

fn run_with(config: &Path, place: &Path) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosshome"));
    command.args(["run", "--config"]).arg(config).arg("--data-dir").arg(place.join("data"));
    Ran::to_end(command.env_clear().env("HOME", place))
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own files");
}
