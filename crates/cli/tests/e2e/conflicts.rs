//! Changes made apart on real homes: whatever cuts the power, a version that was acknowledged is shown, or is on record
//! as the loser of a named strategy.

use std::{collections::BTreeMap, thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{Home, eventually, pair};

/// Notes changed on both sides.
const NOTES: usize = 100;

fn note(n: usize) -> String {
    format!("input_text.n{n}")
}

/// Returns two homes of which one lets the other edit its notes.
fn homes() -> (Home, Home) {
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::on_loopback("Flat"));
    for home in [&mut villa, &mut flat] {
        home.log("debug");
        home.start();
    }
    pair(&mut villa, &mut flat);
    villa.json(&["share", "input_text.*", "--with", "Flat", "--grant", "edit"]);
    flat.set("/sync/peers", json!([villa.address()]));
    (villa, flat)
}

/// Runs the home on without its network.
fn link(home: &mut Home, linked: bool) {
    home.stop();
    home.set("/sync/enabled", linked);
    home.start();
}

fn put_all(home: &Home, prefix: &str, state: &str) {
    let door = home.writer();
    for n in 0..NOTES {
        assert!(door.put(&format!("{prefix}{}", note(n)), state).expect("it runs").ok());
    }
}

/// Returns, per note, the versions that are on record as losers, with what they lost to.
fn losers(home: &Home) -> BTreeMap<String, Vec<(String, String)>> {
    let mut losers = BTreeMap::<_, Vec<_>>::new();
    for conflict in home.json(&["conflicts", "list", "--all"]).as_array().expect("a list") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sides = conflict["versions"].as_array().expect("versions").iter();
        let lost =
            sides.filter(|side| side["outcome"].as_str().is_some_and(|fate| fate.starts_with("lost to ")));
        let lost = lost.map(|side| (text(&side["state"]), text(&side["outcome"])));
        losers.entry(text(&conflict["entity_id"])).or_default().extend(lost);
    }
    losers
}

#[test]
fn loser_is_on_record_wherever_the_winner_is_shown_after_a_power_cut() {
    let (mut villa, mut flat) = homes();
    for round in 0..3_u64 {
        let (ours, theirs) = (format!("here {round}"), format!("there {round}"));
        put_all(&villa, "", &format!("both {round}"));
        flat.sees(&format!("Villa/{}", note(NOTES - 1)), &format!("both {round}"));
        flat.in_sync_with("Villa");
        link(&mut flat, false);
        put_all(&villa, "", &ours);
        put_all(&flat, "Villa%2F", &theirs);
        link(&mut flat, true);
        eventually("the first to come", || {
            (0..NOTES).any(|n| villa.state(&note(n)) == Some(theirs.clone())).then_some(())
        });
        thread::sleep(Duration::from_millis(7 * round));
        // Somebody writes over both versions: from then on only the record has the loser.
        for n in (0..20).filter(|n| villa.state(&note(*n)).as_ref() == Some(&theirs)) {
            assert!(villa.put(&note(n), "after").expect("it runs").ok());
        }
        villa.kill();
        villa.start();
        let losers = losers(&villa);
        let mut shown = 0;
        for n in 0..NOTES {
            match villa.state(&note(n)) {
                Some(state) if state == ours => continue,
                state => {
                    assert!(state == Some("after".into()) || state.as_ref() == Some(&theirs), "{state:?}")
                }
            }
            shown += 1;
            let lost = losers
                .get(&note(n))
                .is_some_and(|lost| lost.contains(&(ours.clone(), "lost to latest-wins".into())));
            assert!(lost, "{} has lost {ours:?} without a word: {:?}", note(n), losers.get(&note(n)));
        }
        assert!(shown > 0, "the power was cut before anything had come");
        villa.in_sync_with("Flat");
    }
}

#[test]
fn people_settle_on_the_command_line_what_homes_have_changed_apart() {
    let (mut villa, mut flat) = homes();
    villa.set("/conflict_resolution/strategy", "user-choice");
    villa.stop();
    villa.start();
    villa.json(&["entity", "set", "input_text.note", "milk"]);
    flat.sees("Villa/input_text.note", "milk");
    link(&mut flat, false);
    villa.json(&["entity", "set", "input_text.note", "bread"]);
    flat.json(&["entity", "set", "Villa/input_text.note", "cake"]);
    link(&mut flat, true);
    eventually("the conflict", || (villa.status()["conflicts_open"] == 1).then_some(()));
    villa.cli(&["status", "--fail-on-conflict"]).fails(6, "open conflicts");
    villa.cli(&["entity", "set", "input_text.note", "eggs"]).fails(6, "crosshome conflicts resolve");
    let listed = villa.json(&["conflicts", "list"]);
    assert_eq!((&listed[0]["entity_id"], &listed[0]["status"]), (&"input_text.note".into(), &"open".into()));
    assert_eq!(listed[0]["before"]["state"], "milk");
    let resolved = flat.json(&["conflicts", "resolve", "input_text.note", "--take", "Villa"]);
    assert_eq!((&resolved["ok"], &resolved["conflict"]["status"]), (&true.into(), &"settled".into()));
    villa.sees("input_text.note", "bread");
    assert_eq!(villa.cli(&["status", "--fail-on-conflict"]).code, 0);
    let past = villa.json(&["entity", "history", "input_text.note"]);
    let states: Vec<_> =
        past["versions"].as_array().expect("versions").iter().map(|past| &past["state"]).collect();
    assert_eq!(states, ["bread", "cake", "bread", "milk"]);
}
