//! What arrives, what does not, and what it costs.

use super::*;

#[test]
fn only_what_is_granted_arrives() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.set("lock.door", "locked", 2);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall").as_deref(), Some(r#"="on""#));
    assert_eq!(flat.sees(villa.id(), "lock.door"), None);
    assert!(villa.session.as_ref().unwrap().in_sync(&villa.replica));
}

#[test]
fn late_grant_brings_what_did_not_change_since() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    connect(&mut villa, &mut flat);
    villa.set("light.attic", "off", 2);
    talk(&mut villa, &mut flat);
    villa.grant(flat.id(), "light.*", Right::Control);
    talk(&mut villa, &mut flat);
    assert!(flat.sees(villa.id(), "light.hall").is_some());
    assert!(flat.sees(villa.id(), "light.attic").is_some());
}

#[test]
fn revoked_entity_leaves_also_after_an_outage() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    villa.session = None;
    villa.revoke(flat.id(), "light.*");
    villa.set("light.hall", "off", 2);
    connect(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall"), None);
    villa.grant(flat.id(), "light.hall", Right::Read);
    talk(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall").as_deref(), Some(r#"="off""#));
}

#[test]
fn reconnect_sends_only_what_changed_and_of_that_only_the_changed_groups() {
    let (mut villa, mut flat) = pair();
    for n in 0..100 {
        let key = villa.replica.own(format!("light.l{n}").parse().unwrap());
        let update =
            Update::replace("on", r#"{"friendly_name":"A lamp with a rather long name","brightness":7}"#)
                .unwrap();
        villa.replica.update(&key, Class::Device, &update, Cause::Device, NOW + n).unwrap();
    }
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    villa.sent = 0;
    connect(&mut villa, &mut flat);
    assert!(villa.sent < 80, "an idle reconnect took {} bytes", villa.sent);
    assert!(villa.session.as_ref().unwrap().in_sync(&villa.replica));
    villa.set("light.l7", "off", 1_000);
    villa.sent = 0;
    connect(&mut villa, &mut flat);
    assert!(villa.sent < 260, "one change took {} bytes", villa.sent);
    assert!(flat.sees(villa.id(), "light.l7").unwrap().ends_with(r#"="off""#));
    assert!(flat.sees(villa.id(), "light.l7").unwrap().contains("rather long name"));
}

#[test]
fn reconnect_with_nothing_changed_is_one_frame_each_way() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    open(&mut villa, &mut flat);
    assert_eq!(carry(&mut villa, &mut flat), 1);
    assert_eq!(carry(&mut flat, &mut villa), 1);
    assert_eq!(carry(&mut villa, &mut flat) + carry(&mut flat, &mut villa), 0);
    for home in [&villa, &flat] {
        assert!(home.session.as_ref().unwrap().in_sync(&home.replica));
    }
}

#[test]
fn home_that_lost_something_without_a_trace_is_not_in_sync_after_the_hello_and_repaired_after_a_heartbeat() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    let hall = villa.replica.own("light.hall".parse().unwrap());
    flat.replica.withdraw(villa.id(), &hall.id);
    connect(&mut villa, &mut flat);
    assert!(!flat.session.as_ref().unwrap().in_sync(&flat.replica));
    villa.session.as_mut().unwrap().beat(&villa.replica, 1, NOW);
    talk(&mut villa, &mut flat);
    assert_eq!(flat.reports, [Incident::Diverged]);
    assert!(flat.session.as_ref().unwrap().in_sync(&flat.replica));
    assert!(flat.sees(villa.id(), "light.hall").is_some());
}

#[test]
fn follower_of_a_home_that_has_started_again_follows_into_the_new_epoch() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    villa.replica.epochs.open(78, villa.replica.table().head());
    connect(&mut villa, &mut flat);
    assert_eq!(flat.replica.cursors[&villa.id()].trail.last(), Some(&(78, villa.replica.table().head())));
}

#[test]
fn device_takes_no_write_and_document_takes_an_edit() {
    let (mut villa, mut flat) = pair();
    let (note, lamp) = ("input_text.note", "light.hall");
    villa.set(lamp, "on", 1);
    let key = villa.replica.own(note.parse().unwrap());
    villa.replica.update(&key, Class::Document, &Update::state("a"), Cause::Person, NOW).unwrap();
    villa.grant(flat.id(), "*", Right::Edit);
    connect(&mut villa, &mut flat);
    assert!(flat.replica.update(&key, Class::Document, &Update::state("b"), Cause::Person, NOW + 5).is_ok());
    let lamp = villa.replica.own(lamp.parse().unwrap());
    assert!(
        flat.replica.update(&lamp, Class::Device, &Update::state("off"), Cause::Person, NOW + 5).is_err()
    );
    talk(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), note).as_deref(), Some(r#"="b""#));
}

#[test]
fn edits_made_apart_become_siblings_on_both_sides() {
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    villa.replica.update(&key, Class::Document, &Update::state("a"), Cause::Person, NOW).unwrap();
    villa.grant(flat.id(), "*", Right::Edit);
    connect(&mut villa, &mut flat);
    villa.replica.update(&key, Class::Document, &Update::state("here"), Cause::Person, NOW + 5).unwrap();
    let patch =
        Update { state: None, attributes: Attributes::Patch(vec![("x".into(), Some("1".parse().unwrap()))]) };
    flat.replica.update(&key, Class::Document, &patch, Cause::Person, NOW + 6).unwrap();
    connect(&mut villa, &mut flat);
    let siblings = |home: &Home| home.replica.find(&key).unwrap().siblings.clone();
    assert_eq!(siblings(&villa), siblings(&flat));
    assert_eq!(siblings(&villa).len(), 2);
}

#[test]
fn edit_without_the_right_is_refused_and_taken_back() {
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    villa.replica.update(&key, Class::Document, &Update::state("a"), Cause::Person, NOW).unwrap();
    villa.grant(flat.id(), "*", Right::Edit);
    connect(&mut villa, &mut flat);
    // the right is taken while the flat is offline and writes
    villa.session = None;
    villa.grant(flat.id(), "*", Right::Read);
    flat.replica.update(&key, Class::Document, &Update::state("mine"), Cause::Person, NOW + 5).unwrap();
    connect(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="a""#));
    assert_eq!(flat.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="a""#));
    assert_eq!(villa.reports, [Incident::Forbidden]);
}

#[test]
fn restored_backup_is_noticed_and_repaired() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.set("light.attic", "on", 2);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    let head = villa.replica.table().head();
    villa.set("light.hall", "off", 50_000);
    villa.set("light.cellar", "on", 50_001);
    talk(&mut villa, &mut flat);
    // the villa comes back as it was before the last two changes
    let mut restored = Home::new(1);
    restored.set("light.hall", "on", 1);
    restored.set("light.attic", "on", 2);
    restored.grant(flat.id(), "light.*", Right::Read);
    assert_eq!(restored.replica.table().head(), head);
    restored.replica.epochs.open(77, head);
    connect(&mut restored, &mut flat);
    assert_eq!(restored.reports, [Incident::Fork]);
    assert_eq!(flat.sees(villa.id(), "light.hall").as_deref(), Some(r#"="on""#));
    assert_eq!(flat.sees(villa.id(), "light.cellar"), None);
    assert_eq!(restored.replica.actor().incarnation, 77);
}

#[test]
fn stamp_from_the_future_is_refused_and_asked_for_again() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    villa.ahead = 3_600_000;
    villa.set("light.hall", "off", villa.ahead);
    talk(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall").as_deref(), Some(r#"="on""#));
    assert_eq!(flat.reports, [Incident::ClockSkew]);
    assert!(!flat.session.as_ref().unwrap().in_sync(&flat.replica));
}

#[test]
fn home_whose_clock_was_a_year_ahead_is_heard_as_soon_as_it_is_right() {
    let (mut villa, mut flat) = pair();
    villa.grant(flat.id(), "*", Right::Edit);
    let year = 365 * 86_400_000;
    villa.set("light.hall", "on", year);
    let note = villa.replica.own("input_text.note".parse().unwrap());
    edits(&mut villa, &note, "a", year);
    // the wall clock is right again, and both say hello
    connect(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall").as_deref(), Some(r#"="on""#));
    assert_eq!(flat.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="a""#));
    edits(&mut flat, &note, "b", 1_000);
    talk(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="b""#));
    assert!(villa.replica.clock().last().ms() < NOW + 60_000);
    assert!(flat.reports.is_empty() && villa.reports.is_empty());
}

#[test]
fn peer_never_falls_behind_the_protocol_it_has_spoken() {
    let (villa, mut flat) = pair();
    let old = Introduction { name: "villa", proto_low: 1 };
    let mut session = Session::open(flat.id(), false, &old, &villa.replica, NOW);
    let hello = session.offer(&villa.replica).expect("a hello");
    let pinned = Introduction { name: "flat", proto_low: 2 };
    let mut careful = Session::open(villa.id(), false, &pinned, &flat.replica, NOW);
    assert!(careful.receive(&mut flat.replica, &hello, NOW).is_err());
}
