//! When both sides hold the same, the one who asked hears of it.

use super::*;

/// Says what one home has to say, and returns the marks that the other has reached by it.
fn hears(from: &mut Home, to: &mut Home) -> Vec<u64> {
    let mut reached = Vec::new();
    while let Some(frame) = from.session.as_mut().unwrap().offer(&from.replica) {
        let effects = to.session.as_mut().unwrap().receive(&mut to.replica, &frame, NOW + 10).unwrap();
        reached.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Marked { number, .. } => Some(*number),
            _ => None,
        }));
    }
    reached
}

fn two_that_share_all() -> (Home, Home) {
    let (mut villa, mut flat) = pair();
    connect(&mut villa, &mut flat);
    let (villa_id, flat_id) = (villa.id(), flat.id());
    villa.grant(flat_id, "*", Right::Read);
    flat.grant(villa_id, "*", Right::Read);
    (villa, flat)
}

#[test]
fn mark_is_reached_when_both_sides_hold_what_they_held() {
    let (mut villa, mut flat) = two_that_share_all();
    villa.set("light.hall", "on", 1);
    flat.set("light.attic", "on", 1);
    let mark = villa.session.as_mut().unwrap().mark();
    assert!(hears(&mut villa, &mut flat).is_empty());
    assert!(flat.sees(villa.id(), "light.hall").is_some());
    assert_eq!(hears(&mut flat, &mut villa), [mark]);
    assert!(villa.sees(flat.id(), "light.attic").is_some());
    assert!(hears(&mut villa, &mut flat).is_empty(), "once is enough");
}

#[test]
fn answer_waits_until_everything_was_offered() {
    let (mut villa, mut flat) = two_that_share_all();
    for n in 0..2_000 {
        flat.set(&format!("light.l{n}"), "on", 1);
    }
    let mark = villa.session.as_mut().unwrap().mark();
    hears(&mut villa, &mut flat);
    let session = flat.session.as_mut().unwrap();
    let first = session.offer(&flat.replica).expect("two thousand entities are several offers");
    villa.session.as_mut().unwrap().receive(&mut villa.replica, &first, NOW + 10).unwrap();
    assert!(villa.sees(flat.id(), "light.l1999").is_none());
    assert_eq!(hears(&mut flat, &mut villa), [mark]);
    assert!(villa.sees(flat.id(), "light.l1999").is_some());
}

#[test]
fn later_mark_stands_for_the_earlier_ones() {
    let (mut villa, mut flat) = two_that_share_all();
    let session = villa.session.as_mut().unwrap();
    assert!(session.mark() < session.mark());
    hears(&mut villa, &mut flat);
    assert_eq!(hears(&mut flat, &mut villa), [2]);
}

#[test]
fn answer_that_was_never_asked_for_reaches_nothing_new() {
    let (mut villa, mut flat) = two_that_share_all();
    hears(&mut flat, &mut villa);
    let session = villa.session.as_mut().unwrap();
    let mark = session.mark();
    let effects = session.receive(&mut villa.replica, &Message::Marked(u64::MAX).encode(), NOW).unwrap();
    let reached =
        effects.iter().any(|effect| matches!(effect, Effect::Marked { number, .. } if *number > mark));
    assert!(!reached);
    hears(&mut villa, &mut flat);
}

#[test]
fn nothing_is_marked_after_goodbye() {
    let (mut villa, mut flat) = two_that_share_all();
    hears(&mut villa, &mut flat);
    let session = villa.session.as_mut().unwrap();
    session.close(crosshome_core::wire::Reason::Apart);
    session.mark();
    let said: Vec<_> = std::iter::from_fn(|| session.offer(&villa.replica)).collect();
    assert_eq!(said.len(), 1, "the goodbye");
}
