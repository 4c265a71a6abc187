//! Homes with one secret: they join unattended and share one space that all of them write.

use serde_json::{Value, json};

use crate::{
    netns::Network,
    support::{Home, eventually},
};

const KEY: &str = "a passphrase of one family";

fn with_key(mut home: Home, key: &str) -> Home {
    home.set("/sync/encryption", json!({"shared_key": key}));
    home
}

/// Waits until both homes are linked and know that they share the key.
#[track_caller]
fn joined(one: &Home, other: &Home) {
    one.in_sync_with(&other.name);
    other.in_sync_with(&one.name);
}

/// Both write the joint space, also while they are apart; `cut` parts them and `heal` joins them again.
#[track_caller]
fn share_one_space(one: &Home, other: &Home, cut: impl Fn(), heal: impl Fn()) {
    let made = one.json(&["entity", "set", "input_boolean.guest", "on"]);
    assert_eq!((&made["home"], &made["updated_by"]), (&json!("joint"), &json!(one.name)));
    other.sees("input_boolean.guest", "on");
    let changed = other.json(&["entity", "set", "input_boolean.guest", "off"]);
    assert_eq!((&changed["home"], &changed["updated_by"]), (&json!("joint"), &json!(other.name)));
    one.sees("joint/input_boolean.guest", "off");
    cut();
    one.json(&["entity", "set", "input_text.note", "of one"]);
    one.json(&["entity", "set", "input_boolean.guest", "on", "--attr", "by=\"one\""]);
    other.json(&["entity", "set", "input_boolean.guest", "on", "--attr", "by=\"other\""]);
    heal();
    other.sees("input_text.note", "of one");
    eventually("both to show the same joint space", || {
        let (here, there) = (one.entities_of("joint"), other.entities_of("joint"));
        let won = |views: &[Value]| views[0]["attributes"]["by"] == "other";
        (here == there && won(&here)).then_some(())
    });
    joined(one, other);
}

#[test]
fn homes_with_one_key_on_one_network_join_by_themselves() {
    let Some(network) = Network::new(3) else { return };
    let mut villa = with_key(Home::in_house("Villa", &network, 0), KEY);
    let mut flat = with_key(Home::in_house("Flat", &network, 1), KEY);
    let mut stranger = with_key(Home::in_house("Stranger", &network, 2), "another family's passphrase");
    for home in [&mut villa, &mut flat, &mut stranger] {
        home.spawn();
    }
    for home in [&mut villa, &mut flat, &mut stranger] {
        home.ready();
    }
    joined(&villa, &flat);
    share_one_space(&villa, &flat, || network.plug(1, false), || network.plug(1, true));
    says_why_not(&stranger);
    assert_eq!(stranger.status()["peers"], json!([]));
    assert_eq!(villa.status()["peers"].as_array().map(Vec::len), Some(1), "a stranger was let in");
    assert_eq!(stranger.state("input_boolean.guest"), None);
}

#[test]
fn homes_with_one_key_join_by_their_addresses_alone() {
    let mut villa = with_key(Home::on_loopback("Villa"), KEY);
    villa.start();
    let mut flat = with_key(Home::on_loopback("Flat"), KEY);
    flat.set("/sync/peers", json!([villa.address()]));
    flat.start();
    joined(&villa, &flat);
    villa.json(&["entity", "set", "input_boolean.guest", "on"]);
    flat.sees("input_boolean.guest", "on");
    villa.stop();
    flat.json(&["entity", "set", "input_boolean.guest", "off"]);
    villa.start();
    villa.sees("input_boolean.guest", "off");
    joined(&villa, &flat);
    flat.stop();
    flat.start();
    joined(&villa, &flat);
    assert_eq!(villa.entities_of("joint"), flat.entities_of("joint"));
}

#[test]
fn homes_with_different_keys_never_join_and_say_why() {
    let mut villa = with_key(Home::on_loopback("Villa"), KEY);
    villa.start();
    let mut flat = with_key(Home::on_loopback("Flat"), "another family's passphrase");
    flat.set("/sync/peers", json!([villa.address()]));
    flat.start();
    says_why_not(&flat);
    says_why_not(&villa);
    assert_eq!((&flat.status()["peers"], &villa.status()["peers"]), (&json!([]), &json!([])));
}

/// Waits until the doctor tells of a key that did not fit.
#[track_caller]
fn says_why_not(home: &Home) {
    eventually(&format!("{} to say why it has not joined", home.name), || {
        let findings = home.cli(&["--json", "doctor"]).json();
        let told = |finding: &Value| {
            let what = finding["what"].as_str().unwrap_or_default();
            finding["level"] == "warning" && what.contains("shared key") && !finding["remedy"].is_null()
        };
        findings.as_array()?.iter().any(told).then_some(())
    });
    assert!(home.log_text().contains("another shared key"), "{}", home.log_tail());
}
