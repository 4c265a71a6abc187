//! Changes made apart: how each strategy settles them, and that both homes agree.

use crosshome_core::{
    conflict::Token,
    dot::Dot,
    policy::{Policy, Rule, Strategy},
    replica::{Choice, ResolveError, WriteError},
};

use super::*;

/// Two homes that share a document, which both have changed apart and then told each other.
struct Apart {
    villa: Home,
    flat: Home,
    note: EntityKey,
}

impl Apart {
    fn under(strategy: Strategy) -> Self {
        let (mut villa, mut flat) = pair();
        villa.replica.set_policy(policy(strategy));
        let note = villa.replica.own("note.milk".parse().unwrap());
        update(&mut villa, &note, "two", "shop", 0);
        villa.grant(flat.id(), "note.*", Right::Edit);
        connect(&mut villa, &mut flat);
        patch(&mut villa, &note, Some("three"), None, 5_000);
        patch(&mut flat, &note, None, Some("market"), 9_000);
        talk(&mut villa, &mut flat);
        Self { villa, flat, note }
    }

    fn token(&self) -> Token {
        Token::of(&self.villa.replica.find(&self.note).unwrap().siblings)
    }

    fn dot_of(&self, home: HomeId) -> Dot {
        let siblings = &self.flat.replica.find(&self.note).unwrap().siblings;
        siblings.iter().find(|version| version.dot.actor.home == home).unwrap().dot
    }

    /// Returns what both show, and whether it awaits a decision.
    fn shown(&self) -> (String, bool) {
        let shown = [&self.villa, &self.flat].map(|home| {
            let open = home.replica.find(&self.note).unwrap().is_open();
            (home.sees(self.villa.id(), "note.milk").unwrap(), open)
        });
        assert_eq!(shown[0], shown[1]);
        shown[0].clone()
    }
}

fn policy(strategy: Strategy) -> Policy {
    Policy::new([Rule { pattern: "*".into(), strategy, template: None }]).unwrap()
}

fn update(home: &mut Home, key: &EntityKey, state: &str, place: &str, at: u64) {
    let update = Update::replace(state, &format!(r#"{{"place":"{place}"}}"#)).unwrap();
    home.replica.update(key, Class::Document, &update, Cause::Person, NOW + at).unwrap();
}

fn patch(home: &mut Home, key: &EntityKey, state: Option<&str>, place: Option<&str>, at: u64) {
    let place = place.map(|place| ("place".into(), Some(format!("\"{place}\"").parse().unwrap())));
    let state = state.and_then(|state| Update::state(state).state);
    let update = Update { state, attributes: Attributes::Patch(place.into_iter().collect()) };
    home.replica.update(key, Class::Document, &update, Cause::Person, NOW + at).unwrap();
}

#[test]
fn latest_wins_shows_the_later_version_whole() {
    assert_eq!(Apart::under(Strategy::LatestWins).shown(), (r#"place="market" ="two""#.into(), false));
}

#[test]
fn merge_shows_what_each_side_has_changed() {
    assert_eq!(Apart::under(Strategy::Merge).shown(), (r#"place="market" ="three""#.into(), false));
}

#[test]
fn update_under_merge_starts_from_the_merged_view() {
    let mut apart = Apart::under(Strategy::Merge);
    patch(&mut apart.flat, &apart.note, Some("four"), None, 12_000);
    talk(&mut apart.villa, &mut apart.flat);
    assert_eq!(apart.shown(), (r#"place="market" ="four""#.into(), false));
}

#[test]
fn what_settles_a_conflict_of_two_sides_is_understood_at_once() {
    for choice in [Choice::Merge, Choice::Value(Update::state("nine"))] {
        let mut apart = Apart::under(Strategy::Merge);
        let token = apart.token();
        apart.villa.replica.resolve(&apart.note, token, &choice, Cause::Person, NOW + 20_000).unwrap();
        assert_eq!(carry(&mut apart.villa, &mut apart.flat), 1);
        assert_eq!(apart.flat.replica.find(&apart.note).unwrap().siblings.len(), 1);
        talk(&mut apart.villa, &mut apart.flat);
        assert!(!apart.shown().1);
    }
}

#[test]
fn user_choice_stays_open_until_somebody_takes_a_version() {
    let mut apart = Apart::under(Strategy::UserChoice);
    assert_eq!(apart.shown(), (r#"place="market" ="two""#.into(), true));
    let note = apart.note.clone();
    let refused =
        apart.flat.replica.update(&note, Class::Document, &Update::state("x"), Cause::Person, NOW + 1);
    assert_eq!(refused, Err(WriteError::ConflictOpen));
    let refused = apart.villa.replica.delete(&note, Cause::Person, NOW + 1);
    assert_eq!(refused, Err(WriteError::ConflictOpen));

    let take = Choice::Take(apart.dot_of(apart.villa.id()));
    apart.flat.replica.resolve(&note, apart.token(), &take, Cause::Person, NOW + 20_000).unwrap();
    talk(&mut apart.villa, &mut apart.flat);
    assert_eq!(apart.shown(), (r#"place="shop" ="three""#.into(), false));
}

#[test]
fn nobody_settles_what_they_were_not_shown() {
    let mut apart = Apart::under(Strategy::UserChoice);
    let (note, token) = (apart.note.clone(), apart.token());
    apart.villa.replica.resolve(&note, token, &Choice::Merge, Cause::Person, NOW + 20_000).unwrap();
    let again = apart.villa.replica.resolve(&note, token, &Choice::Merge, Cause::Person, NOW + 21_000);
    assert_eq!(again, Err(ResolveError::Settled));

    let mut third = Apart::under(Strategy::UserChoice);
    let stale = third.token();
    let choice = Choice::Value(Update::state("nine"));
    third.flat.replica.resolve(&note, stale, &choice, Cause::Person, NOW + 20_000).unwrap();
    patch_device(&mut third.villa, &note, "five", 21_000);
    talk(&mut third.villa, &mut third.flat);
    assert!(third.shown().1, "a report made apart from the choice is one more conflict");
    let refused = third.villa.replica.resolve(&note, stale, &choice, Cause::Person, NOW + 22_000);
    assert_eq!(refused, Err(ResolveError::Stale));
}

fn patch_device(home: &mut Home, key: &EntityKey, state: &str, at: u64) {
    home.replica.update(key, Class::Document, &Update::state(state), Cause::Device, NOW + at).unwrap();
}

#[test]
fn house_reports_on_beside_what_awaits_a_choice() {
    let mut apart = Apart::under(Strategy::UserChoice);
    patch_device(&mut apart.villa, &apart.note, "five", 20_000);
    talk(&mut apart.villa, &mut apart.flat);
    assert_eq!(apart.shown(), (r#"place="shop" ="five""#.into(), true));
    let siblings = &apart.flat.replica.find(&apart.note).unwrap().siblings;
    assert_eq!(siblings.len(), 2, "the other home's change is still there");
}

#[test]
fn two_choices_made_apart_are_a_new_conflict_unless_they_agree() {
    for (theirs, open) in [("seven", true), ("six", false)] {
        let mut apart = Apart::under(Strategy::UserChoice);
        let (note, token) = (apart.note.clone(), apart.token());
        let choose = |home: &mut Home, state: &str| {
            let choice = Choice::Value(Update::replace(state, r#"{"place":"here"}"#).unwrap());
            home.replica.resolve(&note, token, &choice, Cause::Person, NOW + 20_000).unwrap();
        };
        choose(&mut apart.villa, "six");
        choose(&mut apart.flat, theirs);
        talk(&mut apart.villa, &mut apart.flat);
        assert_eq!(apart.shown().1, open);
    }
}

#[test]
fn function_decides_once_and_two_decisions_made_apart_await_no_third() {
    let mut apart = Apart::under(Strategy::Custom);
    let (note, token) = (apart.note.clone(), apart.token());
    assert!(apart.shown().1);
    assert!(apart.villa.replica.decides(&note, [].into_iter()));
    assert!(!apart.flat.replica.decides(&note, [].into_iter()));
    for (home, state) in [(&mut apart.villa, "six"), (&mut apart.flat, "seven")] {
        let choice = Choice::Value(Update::state(state));
        home.replica.resolve(&note, token, &choice, Cause::Strategy, NOW + 20_000).unwrap();
    }
    talk(&mut apart.villa, &mut apart.flat);
    assert!(!apart.shown().1, "the later decision holds");
}

#[test]
fn peer_learns_the_strategy_with_the_entity_and_hears_of_another_one() {
    let mut apart = Apart::under(Strategy::LatestWins);
    apart.villa.replica.set_policy(policy(Strategy::Merge));
    talk(&mut apart.villa, &mut apart.flat);
    assert_eq!(apart.shown().0, r#"place="market" ="three""#);
    apart.villa.replica.set_policy(Policy::default());
    talk(&mut apart.villa, &mut apart.flat);
    assert_eq!(apart.shown().0, r#"place="market" ="two""#);
    let effects = apart.villa.replica.set_policy(Policy::default());
    assert_eq!(effects, [Effect::Commit(Durability::Now)], "the same policy changes nothing");
}

#[test]
fn conflict_goes_on_record_in_both_homes_when_it_comes_to_be() {
    let (mut villa, mut flat) = pair();
    let note = villa.replica.own("note.milk".parse().unwrap());
    edits(&mut villa, &note, "two", 0);
    villa.grant(flat.id(), "note.*", Right::Edit);
    connect(&mut villa, &mut flat);
    edits(&mut villa, &note, "three", 5_000);
    edits(&mut flat, &note, "four", 6_000);
    let theirs = flat.session.as_mut().unwrap().offer(&flat.replica).unwrap();
    let ours = villa.session.as_mut().unwrap().offer(&villa.replica).unwrap();
    for (home, frame) in [(&mut villa, theirs), (&mut flat, ours)] {
        let session = home.session.as_mut().unwrap();
        let effects = session.receive(&mut home.replica, &frame, NOW + 10_000).unwrap();
        let recorded = effects.iter().any(|effect| match effect {
            Effect::Conflict(conflict) => conflict.key == note && conflict.versions.len() == 2,
            _ => false,
        });
        assert!(recorded, "{effects:?}");
    }
}

// The joint space

fn members() -> (Home, Home, EntityKey) {
    let (villa, flat) = pair();
    (villa, flat, EntityKey { space: Space::Joint, id: "note.milk".parse().unwrap() })
}

fn meet(a: &mut Home, b: &mut Home) {
    let me = |name| Introduction { name, proto_low: 1 };
    a.session = Some(Session::open(b.id(), true, &me("villa"), &a.replica, NOW));
    b.session = Some(Session::open(a.id(), true, &me("flat"), &b.replica, NOW));
    talk(a, b);
}

#[test]
fn members_configured_differently_agree_and_a_person_overrules_both() {
    let (mut villa, mut flat, note) = members();
    villa.replica.set_joint_policy(policy(Strategy::Merge), false, NOW);
    flat.replica.set_joint_policy(policy(Strategy::UserChoice), false, NOW + 1);
    edits(&mut villa, &note, "two", 0);
    meet(&mut villa, &mut flat);
    let agreed = |home: &Home| home.replica.find(&note).unwrap().strategy;
    assert_eq!((agreed(&villa), agreed(&flat)), (Strategy::UserChoice, Strategy::UserChoice));

    villa.replica.set_joint_policy(policy(Strategy::Merge), true, NOW + 2);
    talk(&mut villa, &mut flat);
    assert_eq!((agreed(&villa), agreed(&flat)), (Strategy::Merge, Strategy::Merge));
    flat.replica.set_joint_policy(policy(Strategy::Custom), false, NOW + 3);
    talk(&mut villa, &mut flat);
    assert_eq!((agreed(&villa), agreed(&flat)), (Strategy::Merge, Strategy::Merge));
    assert_eq!(villa.replica.joint_policy(), flat.replica.joint_policy());
}

#[test]
fn policy_of_a_joint_space_stays_in_it() {
    let (mut villa, mut flat, _) = members();
    villa.replica.set_joint_policy(policy(Strategy::Merge), true, NOW);
    connect(&mut villa, &mut flat);
    assert_eq!(flat.replica.joint_policy(), None);
}

#[test]
fn policy_from_the_future_is_not_taken() {
    let (mut villa, mut flat, _) = members();
    villa.replica.set_joint_policy(policy(Strategy::Merge), true, NOW + 3_600_000);
    let offered = villa.replica.joint_policy().unwrap().clone();
    assert!(flat.replica.adopt_joint_policy(&offered, NOW).is_err());
    assert_eq!(flat.replica.joint_policy(), None);
}

#[test]
fn policy_set_while_the_clock_had_leapt_is_stamped_anew_and_taken() {
    let (mut villa, mut flat, _) = members();
    villa.replica.set_joint_policy(policy(Strategy::Merge), true, NOW + 3_600_000);
    meet(&mut villa, &mut flat);
    assert_eq!(flat.replica.joint_policy(), villa.replica.joint_policy());
    assert!(flat.replica.joint_policy().is_some_and(|joint| joint.dot.hlc.ms() < NOW + 60_000));
}
