//! The main story on one machine: pair, share, follow, steer, part.

use crate::support::{Home, pair, show, type_code};

fn villa_and_flat() -> (Home, Home) {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    (villa, flat)
}

#[test]
fn shared_entity_follows_and_is_gone_after_unsharing() {
    let (villa, flat) = villa_and_flat();
    villa.json(&["entity", "set", "light.living_room", "on", "--attr", "brightness=100"]);
    villa.json(&["entity", "set", "light.secret", "on"]);
    let plan = villa.json(&["share", "light.living_room", "--with", "Flat"]);
    assert_eq!(plan["added"], serde_json::json!(["light.living_room"]));
    flat.sees("villa/light.living_room", "on");
    villa.json(&["entity", "set", "light.living_room", "off"]);
    flat.sees("light.living_room", "off");
    assert_eq!(flat.state("villa/light.secret"), None);
    flat.cli(&["entity", "set", "light.living_room", "on"]).fails(5, "not shared with edit");
    villa.json(&["share", "light.living_room", "--with", "Flat", "--grant", "edit"]);
    crate::support::eventually("the right to edit", || {
        (flat.cli(&["entity", "set", "light.living_room", "on"]).code == 0).then_some(())
    });
    villa.sees("light.living_room", "on");
    villa.json(&["unshare", "light.living_room"]);
    flat.misses("villa/light.living_room");
}

#[test]
fn unpaired_home_is_refused_until_it_is_paired_again() {
    let (mut villa, mut flat) = villa_and_flat();
    villa.json(&["entity", "set", "light.living_room", "on"]);
    villa.json(&["share", "light.living_room", "--with", "Flat"]);
    flat.sees("light.living_room", "on");
    villa.json(&["unpair", "Flat"]);
    assert_eq!(villa.peer("Flat"), None);
    crate::support::eventually("Flat to hear that it is unpaired", || {
        let reason = flat.peer("Villa")?["reason"].as_str()?.to_owned();
        (reason.contains("unpaired") || reason.contains("does not admit")).then_some(())
    });
    flat.stop();
    flat.start();
    villa.json(&["entity", "set", "light.living_room", "off"]);
    crate::support::eventually("Flat to be turned away after its restart", || {
        let reason = flat.peer("Villa")?["reason"].as_str()?.to_owned();
        reason.contains("does not admit").then_some(())
    });
    assert_ne!(flat.state("light.living_room").as_deref(), Some("off"));
    let shown = show(&mut villa);
    let typed = type_code(&mut flat, &shown.code, Some(&villa.address()));
    assert_eq!(typed.code, 0, "{typed:?}");
    villa.in_sync_with("Flat");
    flat.in_sync_with("Villa");
    flat.misses("villa/light.living_room");
    villa.json(&["share", "light.living_room", "--with", "Flat"]);
    flat.sees("light.living_room", "off");
}

#[test]
fn both_homes_go_on_after_both_were_restarted() {
    let (mut villa, mut flat) = villa_and_flat();
    villa.json(&["entity", "set", "light.living_room", "on"]);
    villa.json(&["share", "light.*", "--with", "Flat"]);
    flat.sees("light.living_room", "on");
    villa.stop();
    flat.stop();
    villa.start();
    flat.start();
    villa.in_sync_with("Flat");
    villa.json(&["entity", "set", "light.living_room", "off"]);
    flat.sees("light.living_room", "off");
    assert_eq!(flat.entities_of("Villa"), villa.entities_of("Villa"));
}
