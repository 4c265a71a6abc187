//! Pairing that goes wrong: mistyped, guessed, too late, somebody else's.

use serde_json::json;

use crate::support::{Home, eventually, faketime, other_code, pair, show, type_code};

#[test]
fn typing_mistake_costs_no_try_and_three_wrong_codes_end_it() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    let mut shown = show(&mut villa);
    let address = villa.address();
    let mut digits = shown.code.clone().into_bytes();
    digits[10] = b'0' + (digits[10] - b'0' + 1) % 10;
    let slip = String::from_utf8(digits).expect("digits");
    for _ in 0..4 {
        type_code(&mut flat, &slip, Some(&address)).fails(2, "code");
    }
    type_code(&mut flat, "12", Some(&address)).fails(2, "code");
    let wrong = other_code(&shown.code);
    for left in [2, 1, 0] {
        type_code(&mut flat, &wrong, Some(&address)).fails(5, "wrong code");
        eventually("the attempt to be told", || {
            let told =
                villa.log_text().lines().filter(|line| line.contains("somebody failed to pair")).count();
            (told == 3 - left).then_some(())
        });
    }
    let code = shown.code.clone();
    type_code(&mut flat, &code, Some(&address)).fails(5, "pair --show");
    let ended = shown.lines.end();
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.err.contains("2 tries left") && ended.err.contains("0 tries left"), "{ended:?}");
    assert_eq!((&villa.status()["peers"], &flat.status()["peers"]), (&json!([]), &json!([])));
    shown = show(&mut villa);
    assert_eq!(type_code(&mut flat, &shown.code, Some(&address)).code, 0, "a new code does it");
}

#[test]
fn code_is_used_once_and_nobody_pairs_without_one() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    let mut late = Home::started("Late");
    let any = other_code("123-456-784");
    type_code(&mut late, &any, Some(&villa.address())).fails(5, "pair --show");
    let shown = show(&mut villa);
    villa.cli(&["pair", "--show"]).fails(1, "already out there");
    let address = villa.address();
    assert_eq!(type_code(&mut flat, &shown.code, Some(&address)).code, 0);
    type_code(&mut late, &shown.code, Some(&address)).fails(5, "pair --show");
    villa.stop();
    type_code(&mut late, &shown.code, Some(&address)).fails(4, "nothing listens");
    type_code(&mut late, &shown.code, Some("Nobody")).fails(1, "Nobody");
}

#[test]
fn invitation_pairs_once_and_not_after_its_time() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    let invite = |villa: &mut Home| {
        let link = villa.json(&["pair", "--invite"])["link"].as_str().expect("a link").to_owned();
        villa.guard("invitation", &link);
        link
    };
    let link = invite(&mut villa);
    let spoiled = format!("{}{}", &link[..link.len() - 1], if link.ends_with('q') { 'p' } else { 'q' });
    flat.cli(&["pair", "--accept", &spoiled]).fails(2, "link");
    if let Some(clock) = faketime("+10m") {
        let mut late = Home::on_loopback("Late");
        late.run_in(clock);
        late.start();
        late.cli(&["pair", "--accept", &link]).fails(2, "expired");
    }
    flat.guard("invitation", &link);
    assert_eq!(flat.json(&["pair", "--accept", &link])["paired"]["name"], "Villa");
    flat.in_sync_with("Villa");
    let mut other = Home::started("Other");
    other.guard("invitation", &link);
    other.cli(&["pair", "--accept", &link]).fails(5, "pair --show");
}

#[test]
fn imposter_under_a_known_name_and_address_gets_nothing() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    flat.json(&["entity", "set", "light.bed", "on"]);
    flat.json(&["share", "light.*", "--with", "Villa", "--grant", "edit"]);
    villa.sees("light.bed", "on");
    let (port, id) = (villa.status()["sync_port"].clone(), villa.id());
    villa.stop();
    let mut imposter = Home::on_loopback("Villa");
    imposter.set("/sync/port", port);
    imposter.set("/sync/peers", json!([flat.address()]));
    imposter.start();
    assert_ne!(imposter.id(), id);
    eventually("Flat to tell of another key", || {
        let peer = flat.peer("Villa")?;
        let told = peer["reason"].as_str().is_some_and(|reason| reason.contains("expected the key of"));
        (told && peer["state"] != "online").then_some(())
    });
    let found = flat.cli(&["doctor"]).fails(8, "errors found");
    assert!(found.out.contains("another key answers in the place of Villa"), "{found:?}");
    assert!(flat.log_text().contains("peer_key_changed"));
    assert_eq!(imposter.state("light.bed"), None);
    assert_eq!(flat.peer("Villa").expect("still paired")["id"], id, "never paired anew by itself");
    imposter.stop();
    villa.start();
    flat.in_sync_with("Villa");
    assert_eq!(flat.cli(&["doctor"]).code, 0);
    villa.json(&["entity", "set", "light.bed", "off"]);
    flat.sees("light.bed", "off");
}
