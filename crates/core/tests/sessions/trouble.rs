//! Each of these shows something that the simulator, a law or a careful reader found.

use super::*;

#[test]
fn entity_that_an_older_rule_admits_again_arrives() {
    let (mut villa, mut flat) = pair();
    rule(&mut villa, flat.id(), "light.*", Some(Right::Control));
    rule(&mut villa, flat.id(), "light.hall", None);
    villa.set("light.hall", "on", 1);
    connect(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall"), None);
    villa.revoke(flat.id(), "light.hall");
    talk(&mut villa, &mut flat);
    assert!(flat.sees(villa.id(), "light.hall").is_some());
}

#[test]
fn right_falls_back_to_that_of_an_older_rule() {
    let (mut villa, mut flat) = pair();
    rule(&mut villa, flat.id(), "light.*", Some(Right::Read));
    rule(&mut villa, flat.id(), "light.hall", Some(Right::Control));
    villa.set("light.hall", "on", 1);
    connect(&mut villa, &mut flat);
    let key = villa.replica.own("light.hall".parse().unwrap());
    assert_eq!(flat.replica.find(&key).unwrap().right, Some(Right::Control));
    villa.revoke(flat.id(), "light.hall");
    talk(&mut villa, &mut flat);
    assert_eq!(flat.replica.find(&key).unwrap().right, Some(Right::Read));
}

#[test]
fn entity_that_moves_into_a_shared_area_arrives_and_leaves_with_it() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    rule(&mut villa, flat.id(), "area:Garden", Some(Right::Read));
    connect(&mut villa, &mut flat);
    let stands = |villa: &mut Home, flat: &mut Home, area: Option<&str>| {
        let traits = Traits { area: area.map(Into::into), labels: Vec::new() };
        villa.replica.set_traits("light.hall".parse().unwrap(), traits, &[flat.id()]);
        talk(villa, flat);
        flat.sees(villa.id(), "light.hall").is_some()
    };
    assert!(stands(&mut villa, &mut flat, Some("Garden")));
    assert!(!stands(&mut villa, &mut flat, Some("Hall")));
}

#[test]
fn revocation_is_said_before_any_later_change_even_if_the_session_was_not_woken() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    rule(&mut villa, flat.id(), "light.*", Some(Right::Read));
    connect(&mut villa, &mut flat);
    villa.replica.revoke(Some(flat.id()), &Selector::parse("light.*").unwrap(), &[flat.id()]);
    villa.set("light.hall", "off", 2);
    talk(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall"), None);
}

#[test]
fn place_in_a_log_that_is_no_more_is_not_acknowledged() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    rule(&mut villa, flat.id(), "light.*", Some(Right::Read));
    connect(&mut villa, &mut flat);
    // the villa starts anew with a shorter log, and withdraws the light while its frames are still under way
    villa.replica.epochs.open(78, 2);
    villa.replica.revoke(Some(flat.id()), &Selector::parse("light.*").unwrap(), &[flat.id()]);
    let me = Introduction { name: "villa", proto_low: 1 };
    let mut lost = Session::open(flat.id(), false, &me, &villa.replica, NOW);
    let mut to_villa = Session::open(villa.id(), false, &me, &flat.replica, NOW);
    let hello = to_villa.offer(&flat.replica).unwrap();
    to_villa.receive(&mut flat.replica, &lost.offer(&villa.replica).unwrap(), NOW).unwrap();
    lost.receive(&mut villa.replica, &hello, NOW).unwrap();
    to_villa.committed(&flat.replica);
    let frames: Vec<_> = std::iter::from_fn(|| to_villa.offer(&flat.replica)).collect();
    let acks = frames.iter().filter(|frame| matches!(Message::decode(frame), Ok(Message::Ack(_))));
    assert_eq!(acks.count(), 0);
    connect(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall"), None);
}

#[test]
fn echo_of_an_edit_is_no_write_when_the_right_is_gone() {
    let (mut villa, mut flat, key) = sharing();
    edits(&mut flat, &key, "b", 5);
    talk(&mut villa, &mut flat);
    rule(&mut villa, flat.id(), "*", Some(Right::Read));
    talk(&mut villa, &mut flat);
    assert_eq!(villa.reports, []);
    assert_eq!(flat.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="b""#));
}

#[test]
fn edit_by_a_home_whose_clock_is_an_hour_behind_is_taken() {
    let (mut villa, mut flat, key) = sharing();
    let then = NOW - 3_600_000;
    flat.replica.restamp(then);
    flat.replica.update(&key, Class::Document, &Update::state("late"), Cause::Person, then + 5).unwrap();
    talk(&mut villa, &mut flat);
    assert_eq!(villa.reports, []);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="late""#));
}

#[test]
fn edit_made_after_a_refused_one_is_not_taken_back_with_it() {
    let (mut villa, mut flat, key) = sharing();
    rule(&mut villa, flat.id(), "*", Some(Right::Read));
    edits(&mut flat, &key, "refused", 5);
    carry(&mut flat, &mut villa);
    edits(&mut flat, &key, "later", 6);
    rule(&mut villa, flat.id(), "*", Some(Right::Edit));
    talk(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="later""#));
}

#[test]
fn refusal_that_was_lost_on_the_way_is_heard_in_the_end() {
    let (mut villa, mut flat, key) = sharing();
    rule(&mut villa, flat.id(), "*", Some(Right::Read));
    edits(&mut flat, &key, "refused", 5);
    carry(&mut flat, &mut villa);
    connect(&mut villa, &mut flat); // the link was cut before the refusal arrived
    for beat in 0..3 {
        villa.session.as_mut().unwrap().beat(&villa.replica, beat, NOW + beat);
        talk(&mut villa, &mut flat);
    }
    assert_eq!(flat.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="a""#));
}

#[test]
fn entity_refused_for_its_stamp_and_then_withdrawn_is_not_awaited_for_ever() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 3_600_000);
    rule(&mut villa, flat.id(), "light.*", Some(Right::Read));
    connect(&mut villa, &mut flat);
    villa.revoke(flat.id(), "light.*");
    talk(&mut villa, &mut flat);
    assert!(flat.session.as_ref().unwrap().in_sync(&flat.replica));
    assert_eq!(flat.replica.cursors[&villa.id()].seq(), villa.replica.table().head());
}

#[test]
fn peer_that_remembers_a_pairing_that_was_forgotten_keeps_nothing_of_it() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    rule(&mut villa, flat.id(), "light.*", Some(Right::Read));
    connect(&mut villa, &mut flat);
    villa.replica.forget(flat.id());
    connect(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.hall"), None);
}

#[test]
fn edit_by_a_restored_home_does_not_hide_what_it_lost() {
    let (mut villa, mut flat, key) = sharing();
    let backup = flat.replica.find(&key).unwrap().clone();
    let (clock, head) = (flat.replica.clock().ahead(NOW), flat.replica.table().head());
    edits(&mut flat, &key, "lost", 5);
    talk(&mut villa, &mut flat);
    let mut restored = Home::new(2);
    restored.replica = Replica::restore(restored.replica.actor(), clock, head, Options::default());
    restored.replica.put_back([backup]);
    restored.replica.epochs.open(79, head);
    edits(&mut restored, &key, "b", 6);
    edits(&mut restored, &key, "c", 7);
    connect(&mut villa, &mut restored);
    assert_eq!(villa.replica.find(&key).unwrap().siblings.len(), 2);
}

#[test]
fn edit_that_was_taken_back_leaves_the_store_too() {
    let (_, mut flat, key) = sharing();
    edits(&mut flat, &key, "mine", 5);
    let (number, head) =
        (flat.replica.table().find(key.space, &key.id).unwrap(), flat.replica.table().head());
    assert!(flat.replica.take_back(number, flat.replica.clock().last()));
    assert_eq!(flat.replica.table().since(head).count(), 1);
}

#[test]
fn deletion_survives_a_power_cut_whatever_it_deletes() {
    let (mut villa, _) = pair();
    villa.set("light.hall", "on", 1);
    let key = villa.replica.own("light.hall".parse().unwrap());
    let effects = villa.replica.delete(&key, Cause::Device, NOW).unwrap();
    assert_eq!(effects[0], Effect::Commit(Durability::Now));
}

#[test]
fn everything_in_the_joint_space_is_a_document() {
    let (mut villa, _) = pair();
    let key = EntityKey { space: Space::Joint, id: "light.hall".parse().unwrap() };
    villa.replica.update(&key, Class::Device, &Update::state("on"), Cause::Device, NOW).unwrap();
    assert_eq!(villa.replica.find(&key).unwrap().class, Class::Document);
}

#[test]
fn home_whose_clock_leapt_ahead_and_was_put_right_is_heard_again() {
    let (mut villa, mut flat) = pair();
    villa.set("light.hall", "on", 1);
    villa.set("light.attic", "on", 2);
    villa.grant(flat.id(), "light.*", Right::Read);
    connect(&mut villa, &mut flat);
    let year = 365 * 24 * 3_600_000;
    villa.set("light.hall", "off", year);
    talk(&mut villa, &mut flat);
    assert_eq!(
        flat.sees(villa.id(), "light.hall").as_deref(),
        Some(r#"="off""#),
        "with a stamp of the present"
    );
    villa.set("light.attic", "off", 20);
    talk(&mut villa, &mut flat);
    assert_eq!(flat.sees(villa.id(), "light.attic").as_deref(), Some(r#"="off""#));
    assert!(villa.replica.clock().last().ms() < NOW + year);
    assert!(villa.replica.actor().incarnation > 0);
}

#[test]
fn entity_of_which_nothing_is_said_yet_is_there_and_keeps_its_class() {
    let mut villa = Replica::new(HomeId([1; 32]), Options::default());
    let hall = villa.own("light.hall".parse().expect("an id"));
    let nothing = Update { state: None, attributes: Attributes::Keep };
    villa.update(&hall, Class::Device, &nothing, Cause::Person, 1_000).expect("own entity");
    assert!(villa.find(&hall).is_some_and(|entity| entity.view().is_some()));
    let again = villa.update(&hall, Class::Document, &nothing, Cause::Person, 2_000).expect("own entity");
    assert_eq!(again, [], "saying nothing of what is there changes nothing");
    villa.update(&hall, Class::Document, &Update::state("on"), Cause::Person, 3_000).expect("own entity");
    assert_eq!(villa.find(&hall).map(|entity| entity.class), Some(Class::Device));
}

#[test]
fn edit_that_was_not_delivered_before_a_change_of_key_arrives_in_the_new_name() {
    let (mut villa, mut flat, key) = sharing();
    edits(&mut flat, &key, "b", 5);
    let (old, new) = (flat.id(), HomeId([9; 32]));
    flat.replica.rename(old, new);
    villa.replica.rename(old, new);
    connect(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="b""#));
    assert_eq!(villa.reports, []);
    let dots =
        |home: &Home| home.replica.find(&key).unwrap().siblings.iter().map(|v| v.dot).collect::<Vec<_>>();
    assert_eq!(dots(&villa), dots(&flat));
    assert_eq!(dots(&villa).len(), 1);
}

#[test]
fn editor_goes_on_after_the_owner_has_taken_a_new_name() {
    let (mut villa, mut flat) = pair();
    let note = villa.replica.own("note.milk".parse().unwrap());
    edits(&mut villa, &note, "milk", 0);
    villa.grant(flat.id(), "note.*", Right::Edit);
    connect(&mut villa, &mut flat);
    let (old, new) = (villa.id(), HomeId([9; 32]));
    villa.replica.rename(old, new);
    flat.replica.rename(old, new);
    connect(&mut villa, &mut flat);
    let note = EntityKey { space: Space::Home(new), ..note };
    edits(&mut flat, &note, "bread", 5);
    talk(&mut villa, &mut flat);
    assert_eq!(villa.sees(new, "note.milk").as_deref(), Some("=\"bread\""), "{:?}", villa.reports);
}
