//! Laws: what is given comes back, and merged batches mean the same as single ones.

use std::collections::{BTreeMap, BTreeSet};

use crosshome_core::{
    EntityId, EntityKey, HomeId, Space,
    defaults::LAST_PLACE,
    dot::{Actor, Dot, VersionVector},
    epoch::Cursor,
    grant::{Grant, Right, Selector, Traits},
    hlc::Hlc,
    pairing::Method,
    table::{Class, Entity},
    update::Update,
    version::{Cause, Version},
};
use proptest::{collection::vec, option, prelude::*};
use zeroize::Zeroizing;

use super::scenes::{HERE, all, key, past};
use crate::{
    defaults::{HISTORY_AGE, HISTORY_PER_ENTITY, HISTORY_ROWS},
    store::{Batch, EntityRow, HistoryRow, MemoKey, PeerRow, RegistryRow, Store, Stored},
};

const PLACE: std::ops::Range<u64> = 0..LAST_PLACE;

fn home() -> impl Strategy<Value = HomeId> {
    (0..4u8).prop_map(|n| HomeId([n; 32]))
}

fn dot() -> impl Strategy<Value = Dot> {
    (home(), any::<u32>(), 0..1u64 << 63)
        .prop_map(|(home, incarnation, hlc)| Dot { actor: Actor { home, incarnation }, hlc: Hlc(hlc) })
}

/// One of few ids, so that batches meet.
fn id() -> impl Strategy<Value = EntityId> {
    "(light|sensor)\\.[ab]".prop_map(|id| id.parse().expect("it is an id"))
}

fn entity_key() -> impl Strategy<Value = EntityKey> {
    let space = prop_oneof![home().prop_map(Space::Home), Just(Space::Joint)];
    (space, id()).prop_map(|(space, id)| EntityKey { space, id })
}

fn right() -> impl Strategy<Value = Option<Right>> {
    prop::sample::select(vec![None, Some(Right::Read), Some(Right::Control), Some(Right::Edit)])
}

fn version() -> impl Strategy<Value = Version> {
    let state = prop_oneof![Just("on"), Just("21.5"), Just("ä \"b\"\n")];
    (dot(), vec(dot(), 0..3), state, any::<bool>()).prop_map(|(dot, seen, state, timed)| {
        let mut context: VersionVector = seen.into_iter().collect();
        context.remove(dot.actor);
        let update = Update::replace(state, r#"{"brightness":1}"#).expect("well formed");
        let body = update.apply("light", [], dot).expect("well formed").expect("it is new");
        Version { dot, context, body, cause: Cause::Person, deleted: false, timed, unknown: Box::default() }
    })
}

fn entity() -> impl Strategy<Value = Entity> {
    let class = prop_oneof![Just(Class::Device), Just(Class::Document)];
    (entity_key(), class, vec(version(), 0..3), any::<u64>(), right()).prop_map(
        |(key, class, versions, sent_at, right)| {
            let mut entity = Entity { sent_at, right, ..Entity::new(key, class) };
            for version in versions {
                entity.siblings.insert(version);
            }
            entity
        },
    )
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (vec(any::<(u64, u64)>(), 0..3), any::<u64>(), any::<u64>()).prop_map(|(trail, mark, latest)| Cursor {
        trail,
        mark: Hlc(mark),
        latest: Hlc(latest),
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    let selector = prop_oneof![
        id().prop_map(Selector::Entity),
        any::<String>().prop_map(Selector::Glob),
        any::<String>().prop_map(Selector::Area),
        any::<String>().prop_map(Selector::Label),
    ];
    (option::of(home()), selector, right(), PLACE).prop_map(|(peer, selector, right, seq)| Grant {
        peer,
        selector,
        right,
        seq,
    })
}

fn peer() -> impl Strategy<Value = PeerRow> {
    let method = prop::sample::select(vec![Method::Code, Method::Invitation, Method::SharedKey]);
    let texts = (any::<String>(), option::of(any::<String>()), vec(any::<String>(), 0..3));
    let numbers = (any::<u16>(), PLACE, any::<bool>());
    (home(), any::<[u8; 32]>(), texts, numbers, method).prop_map(|(id, secret, texts, numbers, method)| {
        let (name, alias, addresses) = texts;
        let (proto_low, paired_at_ms, denied) = numbers;
        let (spki, pair_secret) = ([secret[0]; 44], Zeroizing::new(secret));
        PeerRow { id, spki, name, alias, pair_secret, proto_low, paired_at_ms, method, addresses, denied }
    })
}

fn registered() -> impl Strategy<Value = RegistryRow> {
    (any::<String>(), any::<String>(), option::of(any::<String>()), vec(any::<String>(), 0..3)).prop_map(
        |(name, metadata, area, labels)| RegistryRow { name, metadata, traits: Traits { area, labels } },
    )
}

fn version_row() -> impl Strategy<Value = HistoryRow> {
    (entity_key(), dot(), (any::<u32>(), 0..1_000u64), home(), any::<[String; 4]>()).prop_map(
        |(key, dot, (at_ms, recorded_ms), author, [cause, state, attributes, outcome])| HistoryRow {
            key,
            dot,
            at_ms: at_ms.into(),
            recorded_ms,
            author,
            cause,
            state,
            attributes,
            outcome,
        },
    )
}

fn memo() -> impl Strategy<Value = (MemoKey, Option<String>)> {
    ("[ab]", "[ab]", option::of(any::<String>()))
        .prop_map(|(kind, name, text)| (MemoKey { kind, name }, text))
}

fn once_each<T>(rows: Vec<T>, key: impl Fn(&T) -> HomeId) -> Vec<T> {
    rows.into_iter().map(|row| (key(&row), row)).collect::<BTreeMap<_, _>>().into_values().collect()
}

prop_compose! {
    /// A batch whose entities, of eight births, stand at places from `first` on.
    fn batch(first: u64)(
        (durable, head, actor, clock) in
            (any::<bool>(), PLACE, option::of(dot()), option::of(0..1u64 << 63)),
        epochs in option::of(vec(any::<u64>(), 0..4)),
        entities in vec((1..9u64, entity()), 0..8),
        removed in vec((1..9u64, entity_key()), 0..3),
        cursors in vec((home(), option::of(cursor())), 0..4),
        (grants, peers) in (option::of(vec(grant(), 0..4)), option::of(vec(peer(), 0..4))),
        gone in option::of(vec((home(), id(), PLACE), 0..4)),
        registry in vec((id(), option::of(registered())), 0..4),
        (memos, history) in (vec(memo(), 0..4), vec(version_row(), 0..8)),
    ) -> Batch {
        let row = |(seq, (birth, entity))| EntityRow::of(&Entity { seq, birth, ..entity });
        let gone = gone.map(|gone| {
            let unique = gone.into_iter().map(|(peer, id, seq)| ((peer, id), seq)).collect::<BTreeMap<_, _>>();
            unique.into_iter().map(|((peer, id), seq)| (peer, id, seq)).collect()
        });
        Batch {
            durable,
            head,
            actor: actor.map(|dot| dot.actor),
            clock: clock.map(Hlc),
            epochs: epochs.map(|epochs| (0..).zip(epochs).map(|(began, epoch)| (epoch, began)).collect()),
            entities: (first..).zip(entities).map(row).collect(),
            removed,
            cursors,
            grants,
            gone,
            peers: peers.map(|peers| once_each(peers, |peer| peer.id)),
            registry,
            memos,
            history,
        }
    }
}

/// Returns what the last row for each key leaves.
fn left<K: Ord + Clone, V: Clone>(rows: &[(K, Option<V>)]) -> BTreeMap<K, V> {
    let last: BTreeMap<K, Option<V>> = rows.iter().cloned().collect();
    last.into_iter().filter_map(|(key, row)| Some((key, row?))).collect()
}

fn entity_rows(store: &mut Store) -> Vec<EntityRow> {
    all(store).expect("the store is sound").iter().map(EntityRow::of).collect()
}

/// Returns the entities that a batch leaves, by birth.
fn entities_left(batch: &Batch) -> Vec<EntityRow> {
    let mut last: BTreeMap<_, _> = batch.entities.iter().map(|row| (row.place.birth, row.clone())).collect();
    batch.removed.iter().for_each(|(birth, _)| _ = last.remove(birth));
    last.into_values().collect()
}

fn histories(store: &mut Store, batches: &[&Batch]) -> Vec<Vec<HistoryRow>> {
    let keys: BTreeSet<_> =
        batches.iter().flat_map(|batch| &batch.history).map(|row| row.key.clone()).collect();
    keys.iter().map(|key| sorted(store.history(key).expect("the store is sound"))).collect()
}

fn sorted(mut rows: Vec<HistoryRow>) -> Vec<HistoryRow> {
    rows.sort_by_key(|row| row.dot);
    rows
}

/// Checks that the store holds the batch, which was the first.
fn check(batch: &Batch, stored: &Stored) -> Result<(), TestCaseError> {
    prop_assert_eq!(stored.actor, batch.actor);
    prop_assert_eq!(stored.head, batch.head);
    prop_assert_eq!(stored.clock, batch.clock.unwrap_or_default());
    prop_assert_eq!(&stored.epochs, &batch.epochs.clone().unwrap_or_default());
    prop_assert_eq!(stored.cursors.iter().cloned().collect::<BTreeMap<_, _>>(), left(&batch.cursors));
    prop_assert_eq!(&stored.grants, &batch.grants.clone().unwrap_or_default());
    let gone: BTreeSet<_> = batch.gone.iter().flatten().cloned().collect();
    prop_assert_eq!(stored.gone.iter().cloned().collect::<BTreeSet<_>>(), gone);
    let peers = once_each(stored.peers.clone(), |peer| peer.id);
    prop_assert!(peers == batch.peers.clone().unwrap_or_default());
    prop_assert!(stored.registry.iter().cloned().eq(left(&batch.registry)));
    prop_assert!(stored.memos.iter().cloned().eq(left(&batch.memos)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn everything_given_comes_back_after_a_restart(batch in batch(1), proper in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path()).unwrap();
        store.commit(&batch).unwrap();
        match proper {
            true => store.close().unwrap(),
            false => drop(store),
        }
        let (mut store, stored) = Store::open(dir.path()).unwrap();
        prop_assert_eq!(stored.clean, proper);
        check(&batch, &stored)?;
        prop_assert_eq!(entity_rows(&mut store), entities_left(&batch));
    }
}

proptest! {
    #[test]
    fn merged_batches_leave_what_single_ones_leave(a in batch(1), mut b in batch(20), mut c in batch(40)) {
        let mut removed: BTreeSet<_> = a.removed.iter().map(|&(birth, _)| birth).collect();
        for later in [&mut b, &mut c] {
            later.entities.retain(|row| !removed.contains(&row.place.birth)); // no birth comes back
            removed.extend(later.removed.iter().map(|&(birth, _)| birth));
        }
        let (mut single, _) = Store::in_memory().unwrap();
        let (mut merged, _) = Store::in_memory().unwrap();
        for batch in [&a, &b, &c] {
            single.commit(batch).unwrap();
        }
        merged.commit(&a).unwrap();
        let mut later = b.clone();
        later.absorb(c.clone());
        later.compact();
        merged.commit(&later).unwrap();

        prop_assert_eq!(entity_rows(&mut single), entity_rows(&mut merged));
        prop_assert_eq!(histories(&mut single, &[&a, &b, &c]), histories(&mut merged, &[&a, &b, &c]));
        let stored = |store: &Store| {
            let stored = Stored::read(store.connection.as_ref().unwrap()).unwrap();
            Stored { id: String::new(), commits: 0, ..stored }
        };
        prop_assert_eq!(stored(&single), stored(&merged));
    }
}

#[test]
fn batch_that_failed_can_be_given_again_and_again() {
    let (mut store, _) = Store::in_memory().unwrap();
    let mut scene = super::scenes::Scene::new();
    let batch = Batch { history: vec![past(1, 4)], ..scene.change(1, "on", true) };
    (0..3).for_each(|_| store.commit(&batch).unwrap());
    assert_eq!((all(&mut store).unwrap().len(), store.history(&key(1)).unwrap().len()), (1, 1));
}

#[test]
fn history_keeps_the_newest_of_each_entity_and_nothing_beyond_a_month() {
    let (mut store, _) = Store::in_memory().unwrap();
    let month = HISTORY_AGE.as_millis() as u64;
    store.commit(&Batch { history: vec![past(2, 7), past(1, 8)], ..Batch::default() }).unwrap();
    let rows = (0..50).map(|n| past(1, month + n)).collect();
    store.commit(&Batch { history: rows, ..Batch::default() }).unwrap();
    let kept = store.history(&key(1)).unwrap();
    assert_eq!(kept.len(), HISTORY_PER_ENTITY as usize);
    assert!(kept.iter().map(|row| row.at_ms).eq((month + 30..month + 50).rev()));
    assert_eq!(store.history(&key(2)).unwrap(), [], "it is older than a month before the newest");
}

#[test]
fn history_goes_on_after_a_clock_that_was_ahead() {
    let (mut store, _) = Store::in_memory().unwrap();
    let rows = (0..HISTORY_PER_ENTITY as u64).map(|n| past(1, 600_000 + n)).collect();
    store.commit(&Batch { history: rows, ..Batch::default() }).unwrap();
    store.commit(&Batch { history: vec![past(1, 7)], ..Batch::default() }).unwrap();
    let kept = store.history(&key(1)).unwrap();
    assert_eq!((kept.len(), kept.last()), (HISTORY_PER_ENTITY as usize, Some(&past(1, 7))));
}

#[test]
fn version_is_kept_by_when_it_came_here_whatever_its_author_takes_the_time_to_be() {
    let (mut store, _) = Store::in_memory().unwrap();
    let month = HISTORY_AGE.as_millis() as u64;
    let now = 2 * month;
    let came = |number, at_ms, recorded_ms| HistoryRow { recorded_ms, ..past(number, at_ms) };
    let mut put = |rows: Vec<HistoryRow>| {
        store.commit(&Batch { history: rows, ..Batch::default() }).unwrap();
        [1, 2, 3].map(|number| store.history(&key(number)).unwrap().len())
    };
    assert_eq!(put(vec![came(1, 0, now), came(2, 100 * month, now), came(3, now, now)]), [1, 1, 1]);
    assert_eq!(put(vec![came(4, 0, now + month)]), [1, 1, 1], "a clock that is behind has its time too");
    assert_eq!(put(vec![came(4, 1, now + month + 1)]), [0, 0, 0], "one that is ahead has no more than that");
}

#[test]
fn history_of_all_entities_is_bounded_and_the_oldest_go_first() {
    let (mut store, _) = Store::in_memory().unwrap();
    let all = HISTORY_ROWS as u64 + 100;
    for from in (0..all).step_by(1_000) {
        let rows = (from..all.min(from + 1_000)).map(|n| past(n, n)).collect();
        store.commit(&Batch { history: rows, ..Batch::default() }).unwrap();
    }
    assert_eq!(store.history(&key(99)).unwrap(), []);
    assert_eq!(store.history(&key(100)).unwrap(), [past(100, 100)]);
}

#[test]
fn history_takes_the_new_outcome_of_a_version_and_goes_with_its_entity() {
    let (mut store, _) = Store::in_memory().unwrap();
    let settled = HistoryRow { outcome: "lost".into(), ..past(1, 5) };
    for row in [past(1, 5), settled.clone()] {
        store.commit(&Batch { history: vec![row], ..Batch::default() }).unwrap();
    }
    assert_eq!(store.history(&key(1)).unwrap(), [settled]);
    store.commit(&Batch { removed: vec![(1, key(1))], ..Batch::default() }).unwrap();
    assert_eq!(store.history(&key(1)).unwrap(), []);
}

#[test]
fn secrets_are_not_printed() {
    let peer = PeerRow {
        id: HERE,
        spki: [0; 44],
        name: "Villa".into(),
        alias: None,
        pair_secret: Zeroizing::new([171; 32]),
        proto_low: 1,
        paired_at_ms: 0,
        method: Method::Code,
        addresses: Vec::new(),
        denied: false,
    };
    let text = format!("{:?}", Batch { peers: Some(vec![peer]), ..Batch::default() });
    assert!(text.contains("PairSecret(..)") && !text.contains("171"), "{text}");
}

#[test]
fn what_waits_is_bounded_by_what_is_known() {
    let mut scene = super::scenes::Scene::new();
    let mut waiting = Batch::default();
    for n in 0..10_000u64 {
        waiting
            .absorb(Batch { history: vec![past(1, n % 50)], ..scene.change(n % 5, &n.to_string(), false) });
    }
    waiting.compact();
    assert_eq!((waiting.entities.len(), waiting.history.len(), waiting.head), (5, 50, 10_000));
}
