//! Homes on one network, with the configuration that people have: multicast is the only way to find each other.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    netns::Network,
    support::{Home, eventually, show, tell, type_code, within},
};

/// Longest wait for homes to meet after a heal; on a quiet machine it is a second.
const HEAL: Duration = Duration::from_secs(5);

fn homes(network: &Network, names: &[&str]) -> Vec<Home> {
    let mut homes: Vec<_> =
        names.iter().enumerate().map(|(house, name)| Home::in_house(name, network, house)).collect();
    homes.iter_mut().for_each(Home::spawn);
    homes.iter_mut().for_each(Home::ready);
    homes
}

/// Pairs by code alone: nobody types an address.
#[track_caller]
fn pair_by_sight(showing: &mut Home, typing: &mut Home) {
    finds(typing, &showing.name);
    let mut shown = show(showing);
    let typed = type_code(typing, &shown.code, None);
    assert_eq!(typed.code, 0, "{typed:?}");
    assert_eq!(shown.lines.next()["paired"]["name"], typing.name);
    showing.in_sync_with(&typing.name);
    typing.in_sync_with(&showing.name);
}

/// Waits until a home has another in sight.
#[track_caller]
fn finds(home: &Home, name: &str) -> Value {
    eventually(&format!("{} to find {name}", home.name), || {
        let seen = home.json(&["discover", "--timeout", "300ms"]);
        seen.as_array()?.iter().find(|seen| seen["name"] == name).cloned()
    })
}

fn share_living_room(villa: &Home, with: &str) {
    villa.json(&["entity", "set", "light.living_room", "on"]);
    villa.json(&["share", "light.living_room", "--with", with, "--grant", "edit"]);
}

#[test]
fn two_homes_find_each_other_pair_and_follow() {
    let Some(network) = Network::new(2) else { return };
    let mut homes = homes(&network, &["Villa", "Flat"]);
    let [villa, flat] = &mut homes[..] else { unreachable!("two homes") };
    let seen = finds(villa, "Flat");
    assert_eq!(
        (&seen["port"], &seen["paired"], &seen["online"]),
        (&8765.into(), &false.into(), &false.into())
    );
    assert_eq!(seen["addresses"], serde_json::json!([network.address(1).to_string()]));
    pair_by_sight(villa, flat);
    assert_eq!(finds(villa, "Flat")["online"], true);
    share_living_room(villa, "Flat");
    flat.sees("villa/light.living_room", "on");
    flat.json(&["entity", "set", "light.living_room", "off"]);
    villa.sees("light.living_room", "off");
}

#[test]
fn changes_made_apart_meet_soon_after_the_link_is_back() {
    let Some(network) = Network::new(2) else { return };
    let mut homes = homes(&network, &["Villa", "Flat"]);
    let [villa, flat] = &mut homes[..] else { unreachable!("two homes") };
    pair_by_sight(villa, flat);
    share_living_room(villa, "Flat");
    flat.sees("light.living_room", "on");
    for (outage_ms, own_cable) in
        [(500, true), (2_000, false), (4_000, true), (10_000, false), (10_000, true)]
    {
        cut(&network, own_cable);
        let (first, last) = (format!("first {outage_ms}"), format!("last {outage_ms} {own_cable}"));
        assert!(flat.put("light.living_room", &first).expect("flat runs").ok());
        assert!(villa.put("light.living_room", &last).expect("villa runs").ok());
        thread::sleep(Duration::from_millis(outage_ms));
        assert_ne!(flat.state("light.living_room"), villa.state("light.living_room"));
        heal(&network, own_cable);
        let back = Instant::now();
        let both = || (flat.entities_of("Villa"), villa.entities_of("Villa"));
        within(HEAL, "both to show the same", || {
            let (there, here) = both();
            (there == here).then_some(())
        });
        tell(&format!("healed {:?} after {outage_ms} ms apart", back.elapsed()));
        villa.sees("light.living_room", &last);
        villa.in_sync_with("Flat");
        flat.in_sync_with("Villa");
    }
}

/// Takes down Flat's own interface, or pulls its cable out of the switch, which neither home's system notices.
fn cut(network: &Network, own: bool) {
    if own { network.ip(1, "link set eth0 down") } else { network.plug(1, false) }
}

fn heal(network: &Network, own: bool) {
    if own {
        network.ip(1, "link set eth0 up");
        network.ip(1, "route replace default dev eth0");
    } else {
        network.plug(1, true);
    }
}

#[test]
fn third_home_sees_what_is_shared_with_it_and_nothing_else() {
    let Some(network) = Network::new(3) else { return };
    let mut homes = homes(&network, &["Villa", "Flat", "Cabin"]);
    let [villa, flat, cabin] = &mut homes[..] else { unreachable!("three homes") };
    pair_by_sight(villa, flat);
    pair_by_sight(villa, cabin);
    share_living_room(villa, "Flat");
    villa.json(&["entity", "set", "switch.well", "on"]);
    villa.json(&["share", "switch.*", "--with", "Cabin", "Flat"]);
    flat.sees("light.living_room", "on");
    cabin.sees("switch.well", "on");
    flat.json(&["entity", "set", "light.living_room", "off"]);
    villa.sees("light.living_room", "off");
    villa.json(&["entity", "set", "switch.well", "off"]);
    cabin.sees("switch.well", "off");
    flat.sees("switch.well", "off");
    assert_eq!(cabin.state("light.living_room"), None);
    assert_eq!(cabin.peer("Flat"), None, "trust is not passed on");
}

#[test]
fn home_that_stops_says_goodbye_and_is_back_at_once_when_it_starts() {
    let Some(network) = Network::new(2) else { return };
    let mut homes = homes(&network, &["Villa", "Flat"]);
    let [villa, flat] = &mut homes[..] else { unreachable!("two homes") };
    pair_by_sight(villa, flat);
    share_living_room(villa, "Flat");
    flat.sees("light.living_room", "on");
    villa.stop();
    eventually("Flat to know why Villa is away", || {
        let peer = flat.peer("Villa")?;
        (peer["state"] != "online" && !peer["reason"].is_null()).then_some(())
    });
    eventually("Flat to see the goodbye", || {
        let seen = flat.json(&["discover", "--timeout", "300ms"]);
        let villa = seen.as_array()?.iter().find(|home| home["name"] == "Villa")?.clone();
        (villa["online"] == false && villa["last_seen"].is_null()).then_some(())
    });
    villa.set("/home_name", "Villa Rosa");
    villa.start();
    let back = Instant::now();
    eventually("the link, and the new name over it", || {
        flat.peer("Villa Rosa").filter(|peer| peer["state"] == "online")
    });
    tell(&format!("linked {:?} after the start of a home that was away", back.elapsed()));
    villa.json(&["entity", "set", "light.living_room", "off"]);
    flat.sees("light.living_room", "off");
    flat.sees("Villa Rosa/light.living_room", "off");
}

#[test]
fn homes_of_one_name_are_told_apart() {
    let Some(network) = Network::new(3) else { return };
    let mut homes = homes(&network, &["Villa", "Villa", "Flat"]);
    let [first, second, flat] = &mut homes[..] else { unreachable!("three homes") };
    let both = [first.id(), second.id()];
    eventually("two instance names", || {
        let seen = flat.json(&["discover", "--timeout", "300ms"]);
        let name = |id: &String| {
            Some(seen.as_array()?.iter().find(|home| home["id"] == **id)?["instance_name"].clone())
        };
        (name(&both[0])? != name(&both[1])?).then_some(())
    });
    let shown = show(second);
    flat.cli(&["pair", &shown.code, "--with", "Villa"]).fails(2, "may be any of");
    let typed = type_code(flat, &shown.code, Some(&both[1]));
    assert_eq!(typed.json()["paired"]["id"], both[1]);
    let shown = show(first);
    let typed = type_code(flat, &shown.code, None);
    assert_eq!(typed.json()["paired"]["id"], both[0]);
    let names: Vec<_> =
        flat.status()["peers"].as_array().expect("peers").iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["Villa", "Villa 2"]);
}
