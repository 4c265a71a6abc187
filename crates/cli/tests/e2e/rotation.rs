//! A home's new key: peers that are there follow it, and nobody is left behind.

use std::process::Stdio;

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

/// Begins to replace the villa's key, of which the cabin hears nothing, and ends that by a power cut.
fn cut_off(villa: &mut Home, flat: &Home, cabin: &Home) -> String {
    let old = villa.id();
    cabin.freeze();
    let mut rotate = villa.command(&["key", "rotate"]);
    let mut rotate = rotate.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    eventually("Flat to follow", || flat.peer("Villa").filter(|peer| peer["id"] != old));
    villa.kill();
    rotate.wait().expect("own child");
    cabin.thaw();
    old
}

#[test]
fn change_of_key_that_was_cut_off_goes_on_until_every_peer_has_heard_of_it() {
    let (mut villa, mut flat, mut cabin) =
        (Home::started("Villa"), Home::started("Flat"), Home::started("Cabin"));
    pair(&mut flat, &mut villa); // it knows where they are
    pair(&mut cabin, &mut villa);
    villa.json(&["entity", "set", "light.hall", "on"]);
    villa.json(&["share", "light.*", "--with", "Flat", "Cabin", "--grant", "edit"]);
    flat.json(&["entity", "set", "input_text.note", "of flat"]);
    flat.json(&["share", "input_text.*", "--with", "Villa"]);
    let old = cut_off(&mut villa, &flat, &cabin);
    cabin.stop();
    villa.start();
    assert_eq!(villa.id(), old, "Cabin knows no other");
    let told = villa.cli(&["doctor"]);
    assert!(told.out.contains("key is being replaced"), "{told:?}");
    cabin.start();
    eventually("Villa to be done", || (villa.id() != old).then_some(()));
    for peer in [&flat, &cabin] {
        eventually("all to follow", || peer.peer("Villa").filter(|peer| peer["id"] == villa.id()));
        peer.in_sync_with("Villa");
    }
    follow_each_other(&villa, &flat, "after the change");
    assert!(!villa.cli(&["doctor"]).out.contains("key is being replaced"));
    villa.stop();
    villa.start();
    follow_each_other(&villa, &flat, "after a restart");
    cabin.sees("light.hall", "after a restart, by flat");
}

#[test]
fn power_cut_between_the_new_key_and_the_store_is_made_good_by_the_next_start() {
    use crosshome_node::identity::{Expect, Identity};
    let mut villa = Home::started("Villa");
    villa.json(&["entity", "set", "input_text.note", "milk"]);
    villa.kill();
    let path = villa.data_dir().join("sharing_key");
    let (next, _) =
        Identity::open(&path, Expect::Existing).and_then(|old| old.rotate(&path)).expect("it is made");
    Identity::switch_over(&path).expect("the keys are exchanged");
    villa.start();
    assert_eq!(villa.id(), next.id().to_string());
    villa.json(&["entity", "set", "input_text.note", "bread"]);
    villa.kill();
    villa.start();
    assert_eq!(villa.state("input_text.note").as_deref(), Some("bread"));
    assert_eq!(villa.entities_of("Villa").len(), 1, "nothing is left under the old id");
}
