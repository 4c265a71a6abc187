//! What is deleted is forgotten by all, and does not come back.

use super::*;
use crosshome_core::defaults::DELETIONS_KEPT_MS;

fn deletes(home: &mut Home, key: &EntityKey, at: u64) {
    home.replica.delete(key, Cause::Person, NOW + at).unwrap();
}

/// Lets both beat twice, as long as a mismatch needs to be believed, and forget what is due.
fn beat(a: &mut Home, b: &mut Home) {
    let ids = [a.id(), b.id()];
    for nonce in 0..2 {
        for home in [&mut *a, &mut *b] {
            home.session.as_mut().unwrap().beat(&home.replica, nonce, NOW + 20);
        }
        talk(a, b);
        for (home, peer) in [(&mut *a, ids[1]), (&mut *b, ids[0])] {
            home.replica.purge(&[peer], NOW + 30);
        }
    }
}

/// Returns the home as it would come back from its present disk.
fn copy(home: &Home) -> Home {
    let (clock, head) = (home.replica.clock().ahead(NOW), home.replica.table().head());
    let mut replica = Replica::restore(home.replica.actor(), clock, head, Options::default());
    replica.put_back(home.replica.table().iter().map(|(_, entity)| entity.clone()));
    (replica.epochs, replica.cursors) = (home.replica.epochs.clone(), home.replica.cursors.clone());
    replica.epochs.open(77, head);
    Home { replica, session: None, sent: 0, reports: Vec::new(), ahead: 0 }
}

fn holds(home: &Home, key: &EntityKey) -> bool {
    home.replica.find(key).is_some()
}

#[test]
fn mirror_forgets_at_once_and_the_owner_when_the_mirror_has_answered() {
    let (mut villa, mut flat, key) = sharing();
    deletes(&mut villa, &key, 5);
    talk(&mut villa, &mut flat);
    assert!(!holds(&flat, &key));
    villa.replica.purge(&[flat.id()], NOW + 6);
    assert!(holds(&villa, &key), "an edit may still be on its way");
    beat(&mut villa, &mut flat);
    assert!(!holds(&villa, &key));
    assert_eq!(villa.reports.len() + flat.reports.len(), 0);
}

#[test]
fn deletion_by_a_peer_is_forgotten_by_both() {
    let (mut villa, mut flat, key) = sharing();
    deletes(&mut flat, &key, 5);
    assert!(holds(&flat, &key), "the owner has not heard of it");
    talk(&mut villa, &mut flat);
    assert!(!holds(&flat, &key));
    beat(&mut villa, &mut flat);
    assert!(!holds(&villa, &key));
}

#[test]
fn edit_made_before_the_deletion_was_heard_of_is_not_lost() {
    let (mut villa, mut flat, key) = sharing();
    deletes(&mut villa, &key, 5);
    edits(&mut flat, &key, "b", 6);
    talk(&mut villa, &mut flat);
    beat(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="b""#));
    assert_eq!(flat.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="b""#));
}

#[test]
fn owner_waits_for_whoever_is_away_but_not_for_ever() {
    let (mut villa, flat, key) = sharing();
    deletes(&mut villa, &key, 5);
    villa.replica.purge(&[flat.id()], NOW + DELETIONS_KEPT_MS);
    assert!(holds(&villa, &key));
    villa.replica.purge(&[flat.id()], NOW + DELETIONS_KEPT_MS + 6);
    assert!(!holds(&villa, &key));
}

#[test]
fn home_with_a_wrong_clock_waits() {
    let (mut villa, flat, key) = sharing();
    deletes(&mut villa, &key, 5);
    assert!(villa.replica.purge(&[flat.id()], 7).is_empty(), "it is 1970");
    assert!(holds(&villa, &key));
}

/// The villa deletes while the flat is away for months, and may create anew.
fn year_apart(villa: &mut Home, flat: &Home, key: &EntityKey, anew: bool) {
    deletes(villa, key, 5);
    let later = NOW + DELETIONS_KEPT_MS + 6;
    villa.replica.purge(&[flat.id()], later);
    assert!(!holds(villa, key));
    if anew {
        edits(villa, key, "new", 7);
    }
}

#[test]
fn home_that_was_away_for_a_year_brings_nothing_back() {
    for anew in [false, true] {
        let (mut villa, mut flat, key) = sharing();
        edits(&mut flat, &key, "old", 8);
        year_apart(&mut villa, &flat, &key, anew);
        connect(&mut villa, &mut flat);
        beat(&mut villa, &mut flat);
        let new = anew.then(|| r#"="new""#.to_owned());
        assert_eq!(villa.sees(villa.id(), "input_text.note"), new);
        assert_eq!(flat.sees(villa.id(), "input_text.note"), new);
    }
}

#[test]
fn document_created_anew_is_not_killed_by_a_deletion_of_its_predecessor() {
    let (mut villa, mut flat, key) = sharing();
    deletes(&mut flat, &key, 9);
    year_apart(&mut villa, &flat, &key, true);
    connect(&mut villa, &mut flat);
    beat(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="new""#));
    assert_eq!(flat.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="new""#));
}

#[test]
fn document_created_anew_can_be_edited_by_whoever_was_away() {
    let (mut villa, mut flat, key) = sharing();
    year_apart(&mut villa, &flat, &key, true);
    connect(&mut villa, &mut flat);
    edits(&mut flat, &key, "newer", 10);
    talk(&mut villa, &mut flat);
    assert_eq!(villa.sees(villa.id(), "input_text.note").as_deref(), Some(r#"="newer""#));
    assert_eq!(villa.reports, []);
}

#[test]
fn restored_backup_of_a_peer_brings_nothing_back() {
    for anew in [false, true] {
        let (mut villa, mut flat, key) = sharing();
        edits(&mut flat, &key, "old", 2);
        talk(&mut villa, &mut flat);
        let mut restored = copy(&flat);
        deletes(&mut villa, &key, 5);
        talk(&mut villa, &mut flat);
        beat(&mut villa, &mut flat);
        assert!(!holds(&villa, &key));
        if anew {
            edits(&mut villa, &key, "new", 7);
        }
        connect(&mut villa, &mut restored);
        beat(&mut villa, &mut restored);
        let new = anew.then(|| r#"="new""#.to_owned());
        assert_eq!(villa.sees(villa.id(), "input_text.note"), new);
        assert_eq!(restored.sees(villa.id(), "input_text.note"), new);
    }
}

#[test]
fn home_that_went_back_in_time_has_not_settled_what_it_lost() {
    let (mut villa, mut flat, key) = sharing();
    let mut restored = copy(&flat);
    beat(&mut villa, &mut flat);
    deletes(&mut villa, &key, 5);
    talk(&mut villa, &mut flat);
    flat.session.as_mut().unwrap().beat(&flat.replica, 9, NOW + 20);
    talk(&mut villa, &mut flat); // the flat has settled the deletion, and is lost
    open(&mut villa, &mut restored);
    carry(&mut restored, &mut villa);
    villa.replica.purge(&[flat.id()], NOW + 30);
    assert!(holds(&villa, &key));
    talk(&mut villa, &mut restored);
    assert!(!holds(&restored, &key));
}

#[test]
fn thousand_lives_and_deaths_leave_nothing_behind() {
    let (mut villa, mut flat, _) = sharing();
    for n in 0..1_000 {
        let key = villa.replica.own(format!("input_text.n{}", n % 7).parse().unwrap());
        edits(&mut villa, &key, "x", 10 + n);
        talk(&mut villa, &mut flat);
        deletes(&mut villa, &key, 10 + n);
        talk(&mut villa, &mut flat);
        if n % 3 == 0 {
            beat(&mut villa, &mut flat);
        }
    }
    beat(&mut villa, &mut flat);
    assert_eq!(villa.replica.table().iter().count(), 1);
    assert_eq!(flat.replica.table().iter().count(), 1);
}
