//! Ids, names and values that are empty, huge or hostile: refused in words, or shown as text; never believed.

use serde_json::{Value, json};

use crate::support::{Home, pair};

#[test]
fn hostile_entity_ids_are_refused_and_change_nothing() {
    let villa = Home::started("Villa");
    let long = format!("light.{}", "a".repeat(300));
    let hostile = [
        "",
        "light",
        "light.",
        ".hall",
        "light.ha ll",
        "light.hall\n",
        "light.\u{7}",
        "light.*",
        "../light.hall",
        "light.hall/..",
        "light.\u{202e}llah",
        "light.hall?",
        "LIGHT.HALL.X",
        &long,
        "light.'; drop table entity;--",
    ];
    for id in hostile {
        let ran = villa.cli(&["entity", "set", "--", id, "on"]);
        assert!(matches!(ran.code, 1 | 2) && !ran.err.is_empty(), "{id:?}: {ran:?}");
        assert!(
            !ran.err.contains('\u{7}') && !ran.err.contains('\u{202e}'),
            "{id:?} reaches the terminal: {ran:?}"
        );
        let body = json!({"entity_id": id, "shared": true});
        let reply = villa.api("POST", "/entities", Some(&body));
        assert!((400..500).contains(&reply.status), "{id:?}: {reply:?}");
    }
    assert_eq!(villa.json(&["entity", "list"]), json!([]));
}

#[test]
fn values_beyond_the_bounds_are_refused() {
    let villa = Home::started("Villa");
    villa.json(&["entity", "set", "light.hall", "on"]);
    let set = |body: Value| villa.api("POST", "/entities/light.hall/state", Some(&body));
    let many: Value = (0..600).map(|n| (format!("a{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let wide = json!({"list": vec![0; 5_000]});
    for body in [
        json!({"state": "x".repeat(70_000)}),
        json!({"attributes": {"k".repeat(300): 1}}),
        json!({"attributes": many}),
        json!({"attributes": {"deep": deep}}),
        json!({"attributes": wide}),
        json!({"state": ["not", "a", "text"]}),
        json!([1, 2, 3]),
    ] {
        let reply = set(body);
        assert!((400..500).contains(&reply.status), "{:.200}", format!("{reply:?}"));
        assert!(reply.json()["error"].as_str().is_some_and(|error| !error.is_empty()));
    }
    let huge = set(json!({"state": "x".repeat(2_000_000)}));
    assert_eq!(huge.status, 413, "{huge:?}");
    assert_eq!(villa.state("light.hall").as_deref(), Some("on"));
}

#[test]
fn names_and_values_full_of_markup_travel_as_text() {
    let name = "<img src=x onerror=alert(1)>{{7*7}}";
    let (mut villa, mut flat) = (Home::started(name), Home::started("Flat"));
    pair(&mut villa, &mut flat);
    let state = "<script>alert('x')</script>\u{1b}[31m {{ states() }} \u{202e}";
    let set = villa.api("POST", "/entities/light.hall/state", Some(&json!({"state": state})));
    assert!(set.ok(), "{set:?}");
    villa.json(&["share", "light.hall", "--with", "Flat"]);
    flat.sees("light.hall", state);
    let shown = flat.cli(&["entity", "get", "light.hall"]);
    assert!(!shown.out.contains('\u{1b}') && !shown.out.contains('\u{202e}'), "{shown:?}");
    assert_eq!(flat.json(&["entity", "get", "light.hall"])["home"], name);
}

#[test]
fn hostile_home_names_are_mistakes_in_the_configuration() {
    for name in ["", "\u{7}bell", "line\nend", "\u{202e}llab", &"long ".repeat(20)] {
        let mut villa = Home::on_loopback("Villa");
        villa.set("/home_name", name);
        villa.run_to_end().fails(3, "home_name");
    }
}
