//! A home's new key: peers that are there follow it, and nobody is left behind.

use crate::support::{Home, eventually, pair};

#[test]
fn paired_homes_follow_a_new_key_and_go_on_after_restarts() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    villa.json(&["entity", "set", "light.hall", "on"]);
    villa.json(&["share", "light.*", "--with", "Flat", "--grant", "edit"]);
    flat.json(&["entity", "set", "input_text.note", "of flat"]);
    flat.json(&["share", "input_text.*", "--with", "Villa"]);
    flat.sees("light.hall", "on");
    villa.sees("input_text.note", "of flat");
    let old = villa.id();
    let key = villa.json(&["key", "rotate"]);
    assert_eq!((key["replaces"].as_str(), key["id"].as_str() == Some(&*old)), (Some(&*old), false));
    let new = villa.id();
    assert_eq!(key["id"], new);
    let follows =
        |flat: &Home| eventually("Flat to follow", || flat.peer("Villa").filter(|peer| peer["id"] == new));
    follows(&flat);
    follow_each_other(&villa, &flat, "after the rotation");
    villa.stop();
    flat.stop();
    villa.start();
    flat.start();
    assert_eq!(villa.id(), new);
    follows(&flat);
    assert_eq!(flat.status()["peers"].as_array().map(Vec::len), Some(1), "the old id is gone");
    follow_each_other(&villa, &flat, "after restarts");
    flat.json(&["key", "rotate"]);
    follow_each_other(&villa, &flat, "after the other's rotation");
    villa.json(&["key", "rotate"]);
    follow_each_other(&villa, &flat, "after one more");
    assert_eq!(villa.entities_of("Villa"), flat.entities_of("Villa"));
}

#[track_caller]
fn follow_each_other(villa: &Home, flat: &Home, state: &str) {
    villa.in_sync_with("Flat");
    flat.in_sync_with("Villa");
    villa.json(&["entity", "set", "light.hall", state]);
    flat.sees("light.hall", state);
    flat.json(&["entity", "set", "light.hall", &format!("{state}, by flat")]);
    villa.sees("light.hall", &format!("{state}, by flat"));
    flat.json(&["entity", "set", "input_text.note", state]);
    villa.sees("input_text.note", state);
}

#[test]
fn key_is_not_replaced_while_a_peer_could_not_hear_of_it() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    let id = villa.id();
    flat.stop();
    eventually("Villa to miss Flat", || villa.peer("Flat").filter(|peer| peer["state"] != "online"));
    villa.cli(&["key", "rotate"]).fails(1, "Flat cannot be told");
    villa.stop();
    villa.start();
    assert_eq!(villa.id(), id);
    flat.start();
    villa.in_sync_with("Flat");
    villa.json(&["key", "rotate"]);
    eventually("Flat to follow", || flat.peer("Villa").filter(|peer| peer["id"] == villa.id()));
}

#[test]
fn home_that_nobody_knows_may_replace_its_key_at_any_time() {
    let mut villa = Home::started("Villa");
    villa.json(&["entity", "set", "light.hall", "on"]);
    let new = villa.json(&["key", "rotate"])["id"].clone();
    villa.kill();
    villa.start();
    assert_eq!(villa.id(), new);
    assert_eq!(villa.state("light.hall").as_deref(), Some("on"));
}
