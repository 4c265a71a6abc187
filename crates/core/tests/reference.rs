//! The plainest model that there is, a set of all versions that a home has ever had, beside the core.
//!
//! Random histories of three homes that share one document, with writes, deletions, choices and merges in any order,
//! old versions again among them, go through both. After each step a home holds the maximal versions of its set, and
//! shows what each of the four strategies makes of them: as functions of the versions, whatever led there. What a
//! version's author had seen is a set of dots here, and no vector.

use std::collections::{BTreeMap, BTreeSet};

use crosshome_core::{
    EntityKey, HomeId, Space,
    conflict::Token,
    dot::Dot,
    json::Json,
    policy::{Policy, Rule, Strategy as Settling},
    replica::{Choice, Offered, Options, Replica},
    siblings::Siblings,
    table::Class,
    update::{Attributes, Update},
    version::{Cause, Version},
    view::View,
};
use proptest::prelude::*;

const HOMES: usize = 3;
const NOW: u64 = 1_800_000_000_000;

/// The values of a group, and the change that last touched it.
type Group = (Vec<(String, String)>, Dot);

/// What happens.
#[derive(Clone, Debug)]
enum Act {
    Write { home: usize, update: Update, cause: Cause },
    Delete { home: usize },
    Choose { home: usize, way: u8, which: prop::sample::Index, cause: Cause },
    Merge { to: usize, from: usize },
    Again { to: usize, which: prop::sample::Index },
}

/// A version as the model has it.
#[derive(Clone, Debug)]
struct Plain {
    dot: Dot,
    /// All that its author had seen.
    seen: BTreeSet<Dot>,
    groups: BTreeMap<String, Group>,
    deleted: bool,
    decided: bool,
}

/// What is shown.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    groups: BTreeMap<String, Group>,
    deleted: bool,
    contested: BTreeSet<String>,
    open: bool,
}

/// The core, the model, and every version that was ever made.
struct Both {
    replicas: Vec<Replica>,
    sets: Vec<BTreeSet<Dot>>,
    all: BTreeMap<Dot, (Plain, Version)>,
    strategy: Settling,
    now: u64,
}

impl Both {
    fn new(strategy: Settling) -> Self {
        let replica = |home: usize| {
            let mut replica = Replica::new(HomeId([home as u8 + 1; 32]), Options::default());
            let rule = Rule { pattern: "*".into(), strategy, template: None };
            replica.set_joint_policy(Policy::new([rule]).unwrap(), true, NOW);
            replica
        };
        let replicas = (0..HOMES).map(replica).collect();
        let sets = vec![BTreeSet::new(); HOMES];
        Self { replicas, sets, all: BTreeMap::new(), strategy, now: NOW }
    }

    fn act(&mut self, act: &Act) {
        self.now += 7;
        match act {
            Act::Write { home, update, cause } => {
                let (key, now) = (key(), self.now);
                let done = self.replicas[*home].update(&key, Class::Document, update, *cause, now).is_ok();
                self.written(*home, *cause, done);
            }
            Act::Delete { home } => {
                let (key, now) = (key(), self.now);
                let done = self.replicas[*home].delete(&key, Cause::Person, now).is_ok();
                self.written(*home, Cause::Person, done);
            }
            Act::Choose { home, way, which, cause } => self.choose(*home, *way, which, *cause),
            Act::Merge { to, from } => {
                let offered = self.siblings(*from);
                self.merge(*to, *from, offered);
                let theirs = self.sets[*from].clone();
                self.sets[*to].extend(theirs);
            }
            Act::Again { to, which } if !self.all.is_empty() => {
                let all: Vec<_> = self.all.values().map(|(_, version)| version.clone()).collect();
                let version = which.get(&all).clone();
                let from = (*to + 1) % HOMES;
                self.sets[*to].insert(version.dot);
                self.merge(*to, from, [version].into_iter().collect());
            }
            Act::Again { .. } => {}
        }
    }

    fn choose(&mut self, home: usize, way: u8, which: &prop::sample::Index, cause: Cause) {
        let shown = self.siblings(home);
        if shown.is_empty() {
            return;
        }
        let choice = match way {
            0 => Choice::Take(which.get(&shown).dot),
            1 => Choice::Merge,
            _ => Choice::Value(Update::state("chosen")),
        };
        let (token, now) = (Token::of(&shown), self.now);
        let done = self.replicas[home].resolve(&key(), token, &choice, cause, now).is_ok();
        self.written(home, cause, done);
    }

    fn merge(&mut self, to: usize, from: usize, versions: Siblings) {
        if versions.is_empty() {
            return;
        }
        let offered = Offered {
            key: key(),
            class: Class::Document,
            versions,
            sent_at: 0,
            right: None,
            strategy: self.strategy,
            replace: false,
        };
        let peer = HomeId([from as u8 + 1; 32]);
        self.replicas[to].merge(peer, offered, self.now).expect("a member may write");
    }

    /// Takes a new version into the model: its author had seen all that its home had, or, while people decide and the
    /// house reports, its own alone.
    fn written(&mut self, home: usize, cause: Cause, done: bool) {
        let siblings = self.siblings(home);
        let Some(version) = siblings.iter().find(|version| !self.all.contains_key(&version.dot)) else {
            return; // refused, or nothing changed
        };
        assert!(done, "a refused write is there");
        let held = self.maximal(home);
        let beside = cause == Cause::Device && self.must_show(home, self.strategy).is_some_and(|it| it.open);
        let replaced = held.iter().filter(|known| !beside || known.dot.actor == version.dot.actor);
        let mut seen: BTreeSet<_> =
            replaced.flat_map(|known| known.seen.iter().copied().chain([known.dot])).collect();
        // whatever stands beside what: a home has seen what it wrote itself
        seen.extend(self.sets[home].iter().filter(|dot| dot.actor == version.dot.actor));
        let plain = Plain {
            dot: version.dot,
            seen,
            groups: plain(version.groups()),
            deleted: version.deleted,
            decided: version.cause == Cause::Strategy,
        };
        self.sets[home].insert(version.dot);
        self.all.insert(version.dot, (plain, version.clone()));
    }

    /// Returns the versions of a home's set that no other one's author had seen.
    fn maximal(&self, home: usize) -> Vec<&Plain> {
        let all: Vec<_> = self.sets[home].iter().map(|dot| &self.all[dot].0).collect();
        let unseen = |one: &&&Plain| all.iter().all(|other| !other.seen.contains(&one.dot));
        all.iter().filter(unseen).copied().collect()
    }

    fn siblings(&self, home: usize) -> Siblings {
        self.replicas[home].find(&key()).map(|entity| entity.siblings.clone()).unwrap_or_default()
    }

    fn must_show(&self, home: usize, strategy: Settling) -> Option<Shown> {
        let held = self.maximal(home);
        let latest = *held.iter().max_by_key(|version| version.dot.rank())?;
        let (merged, contested) = merged(&held);
        let values = |version: &Plain| -> BTreeMap<_, _> {
            version.groups.iter().map(|(key, (values, _))| (key.clone(), values.clone())).collect()
        };
        let differ = held.iter().any(|one| one.deleted != latest.deleted || values(one) != values(latest));
        let open = match strategy {
            Settling::LatestWins | Settling::Merge => false,
            Settling::UserChoice => differ,
            Settling::Custom => differ && held.iter().any(|version| !version.decided),
        };
        let merges = strategy == Settling::Merge && held.len() > 1;
        let nothing = merged.is_empty() && held.iter().any(|version| version.deleted);
        Some(match merges {
            true => Shown { groups: merged, deleted: nothing, contested, open },
            false => Shown { groups: latest.groups.clone(), deleted: latest.deleted, contested, open },
        })
    }

    fn compare(&self) {
        for home in 0..HOMES {
            let siblings = self.siblings(home);
            let holds: BTreeSet<_> = siblings.iter().map(|version| version.dot).collect();
            let must: BTreeSet<_> = self.maximal(home).iter().map(|version| version.dot).collect();
            assert_eq!(holds, must, "home {home} holds other versions");
            for strategy in Settling::ALL {
                let shows = View::of(&siblings, strategy).map(|view| Shown {
                    groups: plain(view.groups()),
                    deleted: view.deleted,
                    contested: view.contested.iter().map(|key| key.to_string()).collect(),
                    open: view.open,
                });
                assert_eq!(shows, self.must_show(home, strategy), "home {home} by {strategy}");
            }
        }
    }
}

/// Per key: of what no other author had seen and left otherwise, the latest; contested where such differ.
fn merged(held: &[&Plain]) -> (BTreeMap<String, Group>, BTreeSet<String>) {
    let keys: BTreeSet<_> = held.iter().flat_map(|version| version.groups.keys().cloned()).collect();
    let (mut shown, mut contested) = (BTreeMap::new(), BTreeSet::new());
    for key in keys {
        let stands = |group: &&Group| {
            !held.iter().any(|other| {
                let saw = other.dot == group.1 || other.seen.contains(&group.1);
                saw && other.groups.get(&key).is_none_or(|kept| kept.1 != group.1)
            })
        };
        let live: Vec<_> =
            held.iter().filter_map(|version| version.groups.get(&key)).filter(stands).collect();
        let Some(latest) = live.iter().max_by_key(|group| group.1.rank()) else { continue };
        if held.len() > 1 && live.iter().any(|group| group.0 != latest.0) {
            contested.insert(key.clone());
        }
        shown.insert(key, (*latest).clone());
    }
    (shown, contested)
}

fn plain<'a>(groups: impl Iterator<Item = crosshome_core::body::Group<'a>>) -> BTreeMap<String, Group> {
    let values = |group: &crosshome_core::body::Group<'_>| {
        group.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    groups.map(|group| (group.key().to_owned(), (values(&group), group.dot))).collect()
}

fn key() -> EntityKey {
    EntityKey { space: Space::Joint, id: "light.hall".parse().expect("an id") }
}

fn any_update() -> impl Strategy<Value = Update> {
    let value = || prop::sample::select(vec!["0", "1", "2"]).prop_map(|text| text.parse::<Json>().unwrap());
    let name =
        || prop::sample::select(vec!["brightness", "hs_color", "color_mode", "effect"]).prop_map(Box::from);
    let all = prop::collection::btree_map(name(), value(), 0..4)
        .prop_map(|map| Attributes::Replace(map.into_iter().collect()));
    let some = prop::collection::btree_map(name(), prop::option::of(value()), 0..4)
        .prop_map(|map| Attributes::Patch(map.into_iter().collect()));
    let attributes = prop_oneof![Just(Attributes::Keep), all, some];
    (prop::option::of(value()), attributes).prop_map(|(state, attributes)| Update { state, attributes })
}

fn any_act() -> impl Strategy<Value = Act> {
    let cause =
        || prop::sample::select(vec![Cause::Device, Cause::Person, Cause::Automation, Cause::Strategy]);
    let (home, which) = (|| 0..HOMES, any::<prop::sample::Index>);
    prop_oneof![
        4 => (home(), any_update(), cause()).prop_map(|(home, update, cause)| Act::Write { home, update, cause }),
        1 => home().prop_map(|home| Act::Delete { home }),
        1 => (home(), 0..3u8, which(), cause())
            .prop_map(|(home, way, which, cause)| Act::Choose { home, way, which, cause }),
        4 => (home(), 1..HOMES).prop_map(|(to, by)| Act::Merge { to, from: (to + by) % HOMES }),
        1 => (home(), which()).prop_map(|(to, which)| Act::Again { to, which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn core_holds_and_shows_what_a_set_of_all_versions_does(
        strategy in prop::sample::select(Settling::ALL.to_vec()),
        acts in prop::collection::vec(any_act(), 1..40),
    ) {
        let mut both = Both::new(strategy);
        for act in &acts {
            both.act(act);
            both.compare();
        }
        for to in (0..HOMES).chain(0..HOMES) {
            (1..HOMES).for_each(|by| both.act(&Act::Merge { to, from: (to + by) % HOMES }));
        }
        both.compare();
        let end = both.siblings(0);
        prop_assert!((1..HOMES).all(|home| both.siblings(home) == end));
    }
}
