//! What scripts read: the JSON of every verb against homes that really run, and the exit codes.

use serde_json::{Value, json};

use crate::support::{Home, Lines, eventually, pair, show, type_code};

/// Checks a value against a sample: every key of the sample is there with the sample's type, text stands for text,
/// null for anything, and the first element of a list for each of its elements.
#[track_caller]
fn fits(value: &Value, sample: &Value) {
    match (value, sample) {
        (_, Value::Null) => {}
        (Value::Object(value), Value::Object(sample)) => {
            for (key, sample) in sample {
                fits(value.get(key).unwrap_or_else(|| panic!("{key} is missing in {value:?}")), sample);
            }
        }
        (Value::Array(values), Value::Array(sample)) => {
            assert!(sample.is_empty() || !values.is_empty(), "the list is empty, wanted {sample:?}");
            values.iter().for_each(|value| sample.iter().for_each(|sample| fits(value, sample)));
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        (Value::Number(_), Value::Number(_)) => {}
        _ => panic!("{value} is not like {sample}"),
    }
}

fn peer() -> Value {
    json!({"id": "", "name": "", "state": "", "address": "", "via": "", "rtt_ms": 0, "in_sync": true, "last_sync": null,
        "reason": null})
}

fn entity() -> Value {
    json!({"entity_id": "", "home": "", "state": "", "attributes": {}, "last_changed": "", "last_updated": "",
        "updated_by": "", "shared_with": [], "conflict": false})
}

fn plan() -> Value {
    json!({"with": [""], "added": [], "removed": [], "risky": [], "total": 0, "applied": true})
}

fn villa_and_flat() -> (Home, Home) {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    (villa, flat)
}

#[test]
fn status_peers_and_discover_are_as_agreed() {
    let (villa, flat) = villa_and_flat();
    eventually("a round trip", || villa.peer("Flat").filter(|peer| peer["rtt_ms"].is_number()));
    let status = villa.json(&["status"]);
    fits(
        &status,
        &json!({"home": {"id": "", "name": ""}, "version": "", "api": "", "sync_port": 0, "peers": [peer()],
            "entities": {"own": 0, "shared": 0, "received": 0}, "conflicts_open": 0}),
    );
    let seen = &status["peers"][0];
    assert_eq!(
        (&seen["state"], &seen["via"], &seen["in_sync"]),
        (&json!("online"), &json!("direct"), &json!(true))
    );
    let home = json!([{"id": "", "name": "", "addresses": [], "port": 0, "version": null, "paired": true, "online": true}]);
    for verb in [&["peers", "list"][..], &["discover", "--timeout", "10ms"]] {
        let homes = flat.json(verb);
        fits(&homes, &home);
        assert_eq!(
            (&homes[0]["name"], &homes[0]["addresses"]),
            (&json!("Villa"), &json!(["127.0.0.1"])),
            "{verb:?}"
        );
    }
    fits(&flat.json(&["peers", "show", "vil"]), &peer());
    assert_eq!(villa.cli(&["status", "--fail-on-conflict"]).code, 0);
    flat.cli(&["peers", "show", "nobody"]).fails(1, "nobody");
}

#[test]
fn pairing_and_unpairing_are_as_agreed() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    let mut shown = show(&mut villa);
    let paired = json!({"paired": {"id": "", "name": "", "words": ""}});
    let typed = type_code(&mut flat, &shown.code, Some(&villa.address()));
    fits(&typed.json(), &paired);
    fits(&shown.lines.next(), &paired);
    assert!(shown.invitation.starts_with("crosshome"), "{}", shown.invitation);
    let invitation = villa.json(&["pair", "--invite"]);
    villa.guard("invitation", invitation["link"].as_str().expect("a link"));
    fits(&invitation, &json!({"link": "", "expires_in_s": 300}));
    fits(&villa.json(&["unpair", "fla"]), &json!({"ok": true, "id": "", "name": ""}));
    villa.cli(&["unpair", "Flat"]).fails(1, "Flat");
}

#[test]
fn sharing_is_as_agreed() {
    let (villa, flat) = villa_and_flat();
    for id in ["light.hall", "light.bed", "lock.door"] {
        villa.json(&["entity", "set", id, "on"]);
    }
    let preview = villa.json(&["share", "light.*", "--with", "Flat", "--preview"]);
    fits(&preview, &plan());
    assert_eq!((&preview["applied"], &preview["total"]), (&json!(false), &json!(2)));
    assert_eq!(villa.status()["entities"]["shared"], 0);
    let done = villa.json(&["share", "light.*", "lock.door", "--with", "Flat"]);
    fits(&done, &plan());
    assert_eq!(
        (&done["added"], &done["applied"]),
        (&json!(["light.bed", "light.hall", "lock.door"]), &json!(true))
    );
    flat.sees("lock.door", "on");
    let less = villa.json(&["unshare", "light.bed", "--with", "Flat"]);
    fits(&less, &plan());
    assert_eq!((&less["removed"], &less["total"]), (&json!(["light.bed"]), &json!(2)));
    flat.misses("light.bed");
    villa.cli(&["share", "light.nowhere", "--with", "Flat"]).fails(1, "light.nowhere");
    villa.cli(&["share", "light.hall", "--with", "nobody"]).fails(1, "nobody");
    villa.cli(&["share", "light.hall"]).fails(2, "--with");
}

#[test]
fn entities_are_as_agreed() {
    let (villa, flat) = villa_and_flat();
    let mut watch = flat.lines(&["--json", "entity", "watch"]);
    let set =
        villa.json(&["entity", "set", "light.hall", "on", "--attr", "brightness=5", "--attr", "name=Hall"]);
    fits(&set, &entity());
    assert_eq!(set["attributes"], json!({"brightness": 5, "name": "Hall"}));
    villa.json(&["share", "light.*", "--with", "Flat"]);
    let seen = watch.find(|line| line["entity_id"] == "light.hall");
    fits(&seen, &entity());
    assert_eq!((&seen["home"], &seen["updated_by"]), (&json!("Villa"), &json!("Villa")));
    let patched =
        villa.json(&["entity", "set", "light.hall", "--attr", "brightness=7", "--attr", "name=null"]);
    assert_eq!((&patched["state"], &patched["attributes"]), (&json!("on"), &json!({"brightness": 7})));
    watch.find(|line| line["attributes"] == json!({"brightness": 7}));
    fits(&flat.json(&["entity", "list"]), &json!([entity()]));
    assert_eq!(flat.json(&["entity", "list", "switch.*"]), json!([]));
    assert_eq!(flat.json(&["entity", "list", "villa/light.*"]).as_array().map(Vec::len), Some(1));
    fits(&flat.json(&["entity", "get", "vil/light.hall"]), &entity());
    fits(
        &villa.json(&["entity", "history", "light.hall"]),
        &json!({"entity_id": "", "versions": [{"home": "", "state": "", "attributes": {}, "at": "", "by": "",
            "outcome": ""}]}),
    );
    villa.json(&["unshare", "light.hall"]);
    let gone = watch.find(|line| line["gone"] == true);
    assert_eq!((&gone["entity_id"], &gone["home"]), (&json!("light.hall"), &json!("Villa")));
    flat.cli(&["entity", "get", "villa/light.hall"]).fails(1, "light.hall");
    flat.cli(&["entity", "get", "light.hall"]).fails(1, "light.hall");
}

#[test]
fn id_that_several_homes_have_is_asked_back() {
    let (mut villa, mut flat, mut cabin) =
        (Home::started("Villa"), Home::started("Flat"), Home::started("Cabin"));
    for home in [&mut villa, &mut flat] {
        pair(home, &mut cabin);
        home.json(&["entity", "set", "light.hall", "on"]);
        home.json(&["share", "light.hall", "--with", "Cabin"]);
    }
    cabin.sees("villa/light.hall", "on");
    cabin.sees("flat/light.hall", "on");
    let ran = cabin.cli(&["entity", "get", "light.hall"]).fails(2, "Villa/light.hall");
    assert!(ran.err.contains("Flat/light.hall"), "{ran:?}");
    cabin.json(&["entity", "set", "cabin/light.hall", "off"]);
    assert_eq!(cabin.json(&["entity", "get", "light.hall"])["home"], "Cabin");
}

#[test]
fn key_doctor_and_exit_codes_are_as_agreed() {
    let (villa, mut flat) = villa_and_flat();
    fits(&villa.json(&["key", "show"]), &json!({"id": "", "public_key": ""}));
    fits(&villa.json(&["doctor"]), &json!([{"level": "", "what": "", "remedy": null}]));
    villa.json(&["entity", "set", "light.hall", "on"]);
    villa.json(&["share", "light.hall", "--with", "Flat"]);
    flat.sees("light.hall", "on");
    flat.cli(&["entity", "set", "light.hall", "off"]).fails(5, "not shared");
    flat.cli(&["entity", "set", "light.*", "off"]).fails(2, "light.*");
    flat.cli(&["no-such-verb"]).fails(2, "no-such-verb");
    flat.stop();
    flat.cli(&["status"]).fails(4, "crosshome run");
    let api = villa.status()["api"].as_str().expect("an address").to_owned();
    let token = villa.data_dir().join("api_token").display().to_string();
    assert_eq!(
        flat.cli(&["--api", &api, "--token", &token, "status"]).code,
        0,
        "another home by its address"
    );
    let wrong = flat.data_dir().join("api_token").display().to_string();
    flat.cli(&["--api", &api, "--token", &wrong, "status"]).fails(5, "token");
    flat.cli(&["--api", "http://127.0.0.1:1", "--token", &token, "status"]).fails(4, "127.0.0.1:1");
}

#[test]
fn watch_goes_on_when_the_home_restarts() {
    let mut villa = Home::started("Villa");
    villa.json(&["entity", "set", "light.hall", "on"]);
    let mut watch: Lines = villa.lines(&["--json", "entity", "watch", "light.*"]);
    assert_eq!(watch.next()["state"], "on");
    villa.kill();
    villa.start();
    villa.json(&["entity", "set", "light.hall", "off"]);
    assert_eq!(watch.next()["state"], "off", "present values are not printed twice");
}

#[test]
fn commands_end_with_an_outcome_whatever_the_other_home_does() {
    let (villa, flat) = villa_and_flat();
    for id in ["lock.door", "light.lamp"] {
        let body = json!({"entity_id": id, "shared": false, "class": "device"});
        assert!(villa.api("POST", "/entities", Some(&body)).ok());
        assert!(villa.put(id, "off").expect("it runs").ok());
    }
    villa.json(&["share", "lock.door", "light.lamp", "--with", "Flat", "--grant", "control"]);
    flat.sees("lock.door", "off");
    flat.cli(&["entity", "set", "light.lamp", "on"]).fails(1, "no device behind it takes commands");
    let sent = flat.json(&["entity", "set", "light.lamp", "on", "--no-wait"]);
    fits(&sent, &entity());
    villa.freeze();
    let timed_out = flat.cli(&["entity", "set", "lock.door", "open"]);
    villa.thaw();
    timed_out.fails(7, "lock.door");
    flat.in_sync_with("Villa");
    assert_eq!(villa.state("lock.door").as_deref(), Some("off"), "a late command was carried out");
}
