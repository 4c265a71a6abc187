//! Homes whose clocks are wrong: an hour off, back in 1970, and right again.

use serde_json::Value;

use crate::support::{Home, eventually, faketime, pair, traces};

/// Returns two paired homes, the first of which runs by a shifted clock.
fn shifted(clock: Vec<(String, String)>) -> (Home, Home) {
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::started("Flat"));
    villa.run_in(clock);
    villa.start();
    pair(&mut villa, &mut flat);
    flat.set("/sync/peers", serde_json::json!([villa.address()]));
    villa.json(&["share", "light.*", "--with", "Flat", "--grant", "edit"]);
    flat.json(&["entity", "set", "sensor.flat", "on"]);
    flat.json(&["share", "sensor.*", "--with", "Villa"]);
    (villa, flat)
}

/// Checks that both homes go on without any help.
fn goes_on_with_the_right_clock(villa: &Home, flat: &Home) {
    villa.in_sync_with("Flat");
    villa.json(&["entity", "set", "light.hall", "right again"]);
    flat.sees("light.hall", "right again");
    flat.json(&["entity", "set", "light.hall", "by flat"]);
    villa.sees("light.hall", "by flat");
    eventually("both to show the same", || {
        (villa.entities_of("Villa") == flat.entities_of("Villa")).then_some(())
    });
}

fn tells_of_the_clock(home: &Home, direction: &str) {
    eventually(&format!("the doctor of {} to see the clocks", home.name), || {
        let ran = home.cli(&["--json", "doctor"]);
        let told = |finding: &Value| {
            finding["level"] == "error"
                && finding["what"].as_str().is_some_and(|what| what.contains(direction))
        };
        (ran.code == 8 && ran.json().as_array()?.iter().any(told)).then_some(())
    });
}

#[test]
fn clock_an_hour_behind_is_told_and_loses_nothing() {
    let Some(clock) = faketime("-1h") else { return };
    behind(clock);
}

#[test]
fn clock_of_1970_is_told_and_loses_nothing() {
    let Some(clock) = faketime("@1970-01-02 00:00:00") else { return };
    behind(clock);
}

/// What a home whose clock is behind says is taken; what it hears is from its future, and waits until its clock is right.
fn behind(clock: Vec<(String, String)>) {
    let (mut villa, flat) = shifted(clock);
    villa.json(&["entity", "set", "light.hall", "by villa"]);
    flat.sees("light.hall", "by villa");
    flat.json(&["entity", "set", "light.hall", "by flat"]);
    tells_of_the_clock(&flat, "s behind this home's");
    tells_of_the_clock(&villa, "s ahead of this home's");
    villa.json(&["entity", "set", "light.other", "by villa"]);
    flat.sees("light.other", "by villa");
    assert_eq!((villa.state("light.hall"), villa.state("sensor.flat")), (Some("by villa".into()), None));
    villa.stop();
    villa.run_in(Vec::new());
    villa.start();
    villa.sees("sensor.flat", "on");
    villa.sees("light.hall", "by flat");
    goes_on_with_the_right_clock(&villa, &flat);
}

#[test]
fn clock_an_hour_ahead_is_refused_and_heals_when_it_is_put_right() {
    let Some(clock) = faketime("+1h") else { return };
    let (mut villa, flat) = shifted(clock);
    villa.json(&["entity", "set", "light.hall", "in an hour"]);
    tells_of_the_clock(&flat, "s ahead of this home's");
    assert_eq!(flat.state("villa/light.hall"), None, "a stamp from the future was taken");
    flat.json(&["entity", "set", "sensor.flat", "off"]);
    villa.sees("sensor.flat", "off");
    villa.stop();
    villa.run_in(Vec::new());
    villa.start();
    flat.sees("light.hall", "in an hour");
    goes_on_with_the_right_clock(&villa, &flat);
}

#[test]
fn clock_that_jumps_back_under_a_restart_keeps_the_order_of_changes() {
    let (mut villa, mut flat) = (Home::started("Villa"), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    flat.set("/sync/peers", serde_json::json!([villa.address()]));
    villa.json(&["share", "light.*", "--with", "Flat"]);
    villa.json(&["entity", "set", "light.hall", "first"]);
    flat.sees("light.hall", "first");
    for (state, shift) in [("an hour ago", "-1h"), ("long ago", "@1970-01-02 00:00:00")] {
        let Some(clock) = faketime(shift) else { return };
        villa.kill();
        villa.run_in(clock);
        villa.start();
        villa.json(&["entity", "set", "light.hall", state]);
        villa.json(&["entity", "set", "light.other", state]);
        flat.sees("light.hall", state);
        flat.sees("light.other", state);
    }
    assert_eq!(villa.entities_of("Villa"), flat.entities_of("Villa"));
}

#[test]
fn home_with_a_wrong_clock_leaves_nothing_behind_when_it_is_killed() {
    let Some(clock) = faketime("-1h") else { return };
    let mut home = Home::on_loopback("Villa");
    home.run_in(clock);
    home.start();
    let traces = traces(home.pid());
    assert!(traces.iter().all(|trace| trace.exists()), "the clock is kept elsewhere: {traces:?}");
    home.kill();
    assert!(!traces.iter().any(|trace| trace.exists()), "{traces:?}");
}
