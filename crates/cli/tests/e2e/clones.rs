//! Two running homes with one key: noticed by their peers, and never suspected of a home that merely restarts (T33).

use std::{fs, process::Command, thread, time::Duration};

use crate::support::{Home, eventually, pair};

/// Returns a paired villa, its copy, and the flat; villa and copy are stopped.
fn copied() -> (Home, Home, Home) {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat); // the flat has dialled: the villa does not know its address
    villa.json(&["entity", "set", "light.hall", "before"]);
    villa.json(&["share", "light.*", "--with", "Flat"]);
    flat.sees("light.hall", "before");
    villa.stop();
    let mut copy = Home::on_loopback("Villa");
    let dir = copy.place().join("copy");
    let ran = Command::new("cp").arg("-a").arg(villa.data_dir()).arg(&dir).output().expect("cp runs");
    assert!(ran.status.success(), "{ran:?}");
    let _ = fs::remove_file(dir.join("lock"));
    copy.keep_data_in(&dir);
    copy.set("/sync/peers", serde_json::json!([flat.address()]));
    (villa, copy, flat)
}

fn is_shut_out(flat: &Home) {
    eventually("Flat to shut out both", || flat.peer("Villa").filter(|peer| !peer["cloned"].is_null()));
    let peer = flat.peer("Villa").expect("paired");
    assert_ne!(peer["state"], "online", "{peer}");
    assert!(peer["reason"].as_str().is_some_and(|reason| reason.contains("two running homes")), "{peer}");
    let doctor = flat.cli(&["doctor"]);
    assert!(doctor.code == 8 && doctor.out.contains("two running homes have the key of Villa"), "{doctor:?}");
}

fn knows_that_it_is_accused(home: &Home) {
    eventually("a home to know of its copy", || {
        let doctor = home.cli(&["doctor"]);
        (doctor.code == 8 && doctor.out.contains("two running homes with this home's key")).then_some(())
    });
}

#[test]
fn copy_that_comes_while_the_home_runs_is_noticed_though_the_home_cannot_come_back() {
    let (mut villa, mut copy, flat) = copied();
    villa.start();
    flat.in_sync_with("Villa");
    eventually("Villa to have answered", || flat.peer("Villa").filter(|peer| peer["state"] == "online"));
    copy.start();
    is_shut_out(&flat);
    knows_that_it_is_accused(&copy);
}

#[test]
fn copies_that_take_turns_are_shut_out_until_a_person_decides() {
    let (mut villa, mut copy, mut flat) = copied();
    villa.set("/sync/peers", serde_json::json!([flat.address()]));
    villa.start();
    copy.start();
    is_shut_out(&flat);
    knows_that_it_is_accused(&villa);
    knows_that_it_is_accused(&copy);
    villa.json(&["entity", "set", "light.hall", "after the alarm"]);
    flat.stop();
    flat.start();
    is_shut_out(&flat);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(flat.state("light.hall").as_deref(), Some("before"), "nothing is taken from either");
    copy.stop();
    pair(&mut villa, &mut flat);
    flat.sees("light.hall", "after the alarm");
    assert!(flat.peer("Villa").expect("paired")["cloned"].is_null());
    flat.stop();
    flat.start();
    flat.in_sync_with("Villa");
    flat.json(&["unpair", "Villa"]);
    assert_eq!(flat.status()["peers"].as_array().map(Vec::len), Some(0));
}

#[test]
fn fifty_quick_restarts_raise_no_alarm() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    villa.set("/sync/peers", serde_json::json!([flat.address()]));
    villa.json(&["share", "light.*", "--with", "Flat"]);
    let mut random = 0x9e37_79b9_u64;
    for restart in 0..50_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(restart | 1);
        let deaf = restart % 5 == 4; // what the dead start has said is heard after the next one lives
        if deaf {
            flat.freeze();
        }
        thread::sleep(Duration::from_millis((random >> 33) % 120));
        villa.kill();
        villa.start();
        if deaf {
            flat.thaw();
        }
        if restart % 3 == 0 {
            villa.json(&["entity", "set", "light.hall", &restart.to_string()]);
            flat.sees("light.hall", &restart.to_string());
        }
        let peer = flat.peer("Villa").expect("paired");
        assert!(peer["cloned"].is_null(), "after {restart} restarts: {peer}");
    }
    flat.in_sync_with("Villa");
    villa.in_sync_with("Flat");
    assert!(flat.peer("Villa").expect("paired")["cloned"].is_null());
}
