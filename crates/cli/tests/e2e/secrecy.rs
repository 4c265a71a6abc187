//! What somebody on the line learns: that two homes talk, and nothing of what they say.

use serde_json::json;

use crate::support::{Home, Tap, other_code, pair_through, show, type_code};

/// Returns which of these texts stand in the bytes, as they are or in hexadecimal.
fn found<'a>(bytes: &[u8], texts: &[&'a str]) -> Vec<&'a str> {
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    texts.iter().copied().filter(|text| has(text.as_bytes()) || has(hex(text).as_bytes())).collect()
}

#[test]
fn bytes_on_the_line_tell_nothing_of_the_household() {
    let (mut villa, mut flat) = (Home::started("Villa Margherita"), Home::started("Flat of Giovanni"));
    let tap = Tap::to(&villa.address());
    let wrong = show(&mut villa);
    let mistyped = other_code(&wrong.code);
    type_code(&mut flat, &mistyped, Some(&tap.address)).fails(5, "wrong code");
    villa.api("POST", "/pairing/cancel", None);
    let code = pair_through(&tap, &mut villa, &mut flat);
    let states = ["bright-and-warm", "dark-as-a-cellar", "unlocked-for-anna"];
    for (id, state) in ["light.living_room", "sensor.cellar", "lock.front_door"].iter().zip(states) {
        villa.json(&["entity", "set", id, state, "--attr", "friendly_name=\"Beside the piano\""]);
        villa.json(&["share", id, "--with", "Flat of Giovanni", "--grant", "edit"]);
        flat.sees(id, state);
    }
    for n in 0..200 {
        assert!(
            villa
                .put(&format!("input_text.line_{n}"), &"the same words again ".repeat(10))
                .expect("runs")
                .ok()
        );
    }
    villa.json(&["share", "input_text.*", "--with", "Flat of Giovanni"]);
    flat.sees("input_text.line_199", &"the same words again ".repeat(10));
    flat.json(&["entity", "set", "light.living_room", "set-by-giovanni"]);
    villa.sees("light.living_room", "set-by-giovanni");
    flat.stop();
    flat.start();
    villa.in_sync_with("Flat of Giovanni");
    villa.json(&["unpair", "Flat of Giovanni"]);

    let bytes = tap.bytes();
    assert!(bytes.len() > 8_000, "only {} bytes passed the tap", bytes.len());
    assert_eq!(found(&bytes, &["GET /v1/peer", "crosshome.v1"]).len(), 2, "the tap is not on the line");
    let ids = [villa.id(), flat.id(), code, wrong.code.replace('-', ""), mistyped];
    let short = ids.each_ref().map(|id| &id[..9.min(id.len())]);
    let words = [
        "living_room",
        "cellar",
        "front_door",
        "line_1",
        "same words",
        "friendly_name",
        "piano",
        "Villa",
        "Margherita",
        "Giovanni",
        "input_text",
        "sensor.",
        "state",
        "brightness",
        "set-by",
        "unlocked",
        "bright-and",
    ];
    assert_eq!(found(&bytes, &[&words[..], &short[..]].concat()), Vec::<&str>::new());
}

#[test]
fn shared_key_is_not_on_the_line() {
    let key = "correct horse battery staple";
    let mut villa = Home::on_loopback("Villa");
    villa.set("/sync/encryption", json!({"shared_key": key}));
    villa.start();
    let tap = Tap::to(&villa.address());
    let mut flat = Home::on_loopback("Flat");
    flat.set("/sync/encryption", json!({"shared_key": key}));
    flat.set("/sync/peers", json!([tap.address]));
    flat.start();
    villa.in_sync_with("Flat");
    villa.json(&["entity", "set", "input_boolean.guest", "arrived"]);
    flat.sees("input_boolean.guest", "arrived");
    let bytes = tap.bytes();
    assert!(bytes.len() > 2_000, "only {} bytes passed the tap", bytes.len());
    assert_eq!(
        found(&bytes, &[key, "horse", "input_boolean", "guest", "arrived", "joint"]),
        Vec::<&str>::new()
    );
}
