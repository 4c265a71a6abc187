//! Two homes in conversation, without a network.

use crosshome_core::{
    EntityKey, HomeId, Space,
    effect::{Durability, Effect, Incident},
    grant::{Right, Selector, Traits},
    replica::{Options, Replica},
    session::{Introduction, Session},
    table::Class,
    update::{Attributes, Update},
    version::Cause,
    wire::Message,
};

const NOW: u64 = 1_800_000_000_000;

struct Home {
    replica: Replica,
    session: Option<Session>,
    sent: usize,
    reports: Vec<Incident>,
    /// How far its wall clock is ahead.
    ahead: u64,
}

impl Home {
    fn new(id: u8) -> Self {
        let mut replica = Replica::new(HomeId([id; 32]), Options::default());
        replica.epochs.open(u64::from(id), 0);
        Self { replica, session: None, sent: 0, reports: Vec::new(), ahead: 0 }
    }

    fn id(&self) -> HomeId {
        self.replica.actor().home
    }

    fn set(&mut self, id: &str, state: &str, at: u64) {
        let key = self.replica.own(id.parse().unwrap());
        self.replica.update(&key, Class::Device, &Update::state(state), Cause::Device, NOW + at).unwrap();
    }

    fn grant(&mut self, peer: HomeId, selector: &str, right: Right) {
        self.replica.grant(Some(peer), Selector::parse(selector).unwrap(), Some(right), &[peer]);
        if let Some(session) = &mut self.session {
            session.regrant(&self.replica);
        }
    }

    fn revoke(&mut self, peer: HomeId, selector: &str) {
        self.replica.revoke(Some(peer), &Selector::parse(selector).unwrap(), &[peer]);
        if let Some(session) = &mut self.session {
            session.regrant(&self.replica);
        }
    }

    fn sees(&self, home: HomeId, id: &str) -> Option<String> {
        let key = EntityKey { space: Space::Home(home), id: id.parse().unwrap() };
        let view = self.replica.find(&key)?.view()?;
        let fields: Vec<_> =
            view.groups().flat_map(|g| g.fields()).map(|(n, v)| format!("{n}={v}")).collect();
        Some(fields.join(" "))
    }
}

fn connect(a: &mut Home, b: &mut Home) {
    let me = |boot, name| Introduction { boot, name, proto_low: 1 };
    a.session = Some(Session::open(b.id(), false, &me(1, "villa"), &a.replica, NOW));
    b.session = Some(Session::open(a.id(), false, &me(2, "flat"), &b.replica, NOW));
    talk(a, b);
}

/// Carries frames both ways until nobody has anything to say.
fn talk(a: &mut Home, b: &mut Home) {
    for _ in 0..1_000 {
        let moved = carry(a, b) + carry(b, a);
        for home in [&mut *a, &mut *b] {
            home.session.as_mut().unwrap().committed(&home.replica);
        }
        if moved == 0 && carry(a, b) + carry(b, a) == 0 {
            return;
        }
    }
    panic!("the conversation does not come to an end");
}

fn carry(from: &mut Home, to: &mut Home) -> usize {
    let mut count = 0;
    while let Some(frame) = from.session.as_mut().unwrap().offer(&from.replica) {
        from.sent += frame.len();
        count += 1;
        let effects =
            to.session.as_mut().unwrap().receive(&mut to.replica, &frame, NOW + 10 + to.ahead).unwrap();
        to.reports.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Report { incident, .. } => Some(*incident),
            _ => None,
        }));
    }
    count
}

fn pair() -> (Home, Home) {
    (Home::new(1), Home::new(2))
}

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
    assert!(villa.sent < 160, "an idle reconnect took {} bytes", villa.sent);
    villa.set("light.l7", "off", 1_000);
    villa.sent = 0;
    connect(&mut villa, &mut flat);
    assert!(villa.sent < 260, "one change took {} bytes", villa.sent);
    assert!(flat.sees(villa.id(), "light.l7").unwrap().ends_with(r#"="off""#));
    assert!(flat.sees(villa.id(), "light.l7").unwrap().contains("rather long name"));
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
    let old = Introduction { boot: 1, name: "villa", proto_low: 1 };
    let mut session = Session::open(flat.id(), false, &old, &villa.replica, NOW);
    let hello = session.offer(&villa.replica).expect("a hello");
    let pinned = Introduction { boot: 2, name: "flat", proto_low: 2 };
    let mut careful = Session::open(villa.id(), false, &pinned, &flat.replica, NOW);
    assert!(careful.receive(&mut flat.replica, &hello, NOW).is_err());
}

// Each of the following shows something that the simulator, a law or a careful reader found.

fn edits(home: &mut Home, key: &EntityKey, state: &str, at: u64) {
    home.replica.update(key, Class::Document, &Update::state(state), Cause::Person, NOW + at).unwrap();
}

fn rule(home: &mut Home, peer: HomeId, selector: &str, right: Option<Right>) {
    home.replica.grant(Some(peer), Selector::parse(selector).unwrap(), right, &[peer]);
}

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
    let me = Introduction { boot: 1, name: "villa", proto_low: 1 };
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
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    edits(&mut villa, &key, "a", 0);
    rule(&mut villa, flat.id(), "*", Some(Right::Edit));
    connect(&mut villa, &mut flat);
    edits(&mut flat, &key, "b", 5);
    talk(&mut villa, &mut flat);
    rule(&mut villa, flat.id(), "*", Some(Right::Read));
    talk(&mut villa, &mut flat);
    assert_eq!(villa.reports, []);
    assert_eq!(flat.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="b""#));
}

#[test]
fn edit_made_after_a_refused_one_is_not_taken_back_with_it() {
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    edits(&mut villa, &key, "a", 0);
    rule(&mut villa, flat.id(), "*", Some(Right::Edit));
    connect(&mut villa, &mut flat);
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
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    edits(&mut villa, &key, "a", 0);
    rule(&mut villa, flat.id(), "*", Some(Right::Edit));
    connect(&mut villa, &mut flat);
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
fn frame_of_another_session_or_out_of_its_place_ends_the_session() {
    let (mut villa, mut flat) = pair();
    rule(&mut villa, flat.id(), "light.*", Some(Right::Read));
    connect(&mut villa, &mut flat);
    villa.set("light.hall", "on", 1);
    let old = villa.session.as_mut().unwrap().offer(&villa.replica).unwrap();
    let to_villa = flat.session.as_mut().unwrap();
    to_villa.receive(&mut flat.replica, &old, NOW).unwrap();
    assert!(to_villa.receive(&mut flat.replica, &old, NOW).is_err());
    villa.set("light.attic", "on", 2);
    connect(&mut villa, &mut flat);
    assert!(flat.session.as_mut().unwrap().receive(&mut flat.replica, &old, NOW).is_err());
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
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    edits(&mut villa, &key, "a", 0);
    rule(&mut villa, flat.id(), "*", Some(Right::Edit));
    connect(&mut villa, &mut flat);
    let backup = flat.replica.find(&key).unwrap().clone();
    let (clock, head) = (flat.replica.clock().ahead(NOW), flat.replica.table().head());
    edits(&mut flat, &key, "lost", 5);
    talk(&mut villa, &mut flat);
    let mut restored = Home::new(2);
    restored.replica = Replica::restore(restored.replica.actor(), clock, head, Options::default());
    restored.replica.put_back(backup);
    restored.replica.epochs.open(79, head);
    edits(&mut restored, &key, "b", 6);
    edits(&mut restored, &key, "c", 7);
    connect(&mut villa, &mut restored);
    assert_eq!(villa.replica.find(&key).unwrap().siblings.len(), 2);
}

#[test]
fn edit_that_was_taken_back_leaves_the_store_too() {
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    edits(&mut villa, &key, "a", 0);
    rule(&mut villa, flat.id(), "*", Some(Right::Edit));
    connect(&mut villa, &mut flat);
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
