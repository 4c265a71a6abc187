//! The worlds that are searched, and how much may happen in each.

use crosshome_core::{EntityKey, HomeId, Space, grant::Right, policy::Strategy, table::Class};

use crate::check::Reach;

/// A small world and its bounds.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    pub(crate) homes: usize,
    /// Which homes are linked; every linked pair is paired.
    pub(crate) links: &'static [(usize, usize)],
    pub(crate) entities: &'static [Thing],
    /// What the first home grants the others at the start.
    pub(crate) grants: &'static [(usize, usize, Right)],
    pub(crate) strategy: Strategy,
    /// Whether all homes are members of a joint space.
    pub(crate) joint: bool,
    /// How many frames may be under way in one direction.
    pub(crate) window: usize,
    /// Whether what need not be durable at once waits for a flush.
    pub(crate) lazy: bool,
    /// How often each thing may happen.
    pub(crate) times: Times,
    pub(crate) reaches: &'static [Reach],
}

/// An entity of a scenario: whose it is (none: the joint space's), its id, and its class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thing {
    pub(crate) owner: Option<usize>,
    pub(crate) id: &'static str,
    pub(crate) class: Class,
}

/// How often each thing may (still) happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Times {
    /// Writes, per home.
    pub writes: [u8; 3],
    /// Deletions, by any home.
    pub deletions: u8,
    /// Choices of people, by any home.
    pub choices: u8,
    /// Changes of rules by the first home.
    pub rules: u8,
    /// Cuts of links.
    pub cuts: u8,
    /// Crashes.
    pub crashes: u8,
    /// Backups taken, each of which may be restored once.
    pub backups: u8,
    /// Which homes crash and are backed up: below this number.
    pub mortal: usize,
}

const NOTE: Thing = Thing { owner: Some(0), id: "input_text.note", class: Class::Document };
const LIGHT: Thing = Thing { owner: Some(0), id: "light.hall", class: Class::Device };
const JOINT: Thing = Thing { owner: None, id: "input_text.plan", class: Class::Document };

const PAIR: &[(usize, usize)] = &[(0, 1)];
const STAR: &[(usize, usize)] = &[(0, 1), (0, 2)];
const RING: &[(usize, usize)] = &[(0, 1), (0, 2), (1, 2)];

/// Returns every scenario: small enough for each run of the tests, or larger.
pub fn scenarios(large: bool) -> Vec<Scenario> {
    let base = Scenario {
        name: "edits",
        homes: 2,
        links: PAIR,
        entities: &[NOTE],
        grants: &[(1, 0, Right::Edit)],
        strategy: Strategy::LatestWins,
        joint: false,
        window: 2,
        lazy: false,
        times: Times {
            writes: either(large, [2, 1, 0], [3, 2, 0]),
            cuts: either(large, 1, 2),
            ..Times::default()
        },
        reaches: &[Reach::Conflict],
    };
    let one = |times: Times| Times { mortal: 2, ..times };
    vec![
        base.clone(),
        Scenario {
            name: "backups",
            times: one(Times {
                writes: either(large, [2, 1, 0], [2, 2, 0]),
                backups: 1,
                cuts: either(large, 0, 1),
                ..Times::default()
            }),
            reaches: &[Reach::Conflict, Reach::RollbackRepaired],
            ..base.clone()
        },
        Scenario {
            name: "crashes",
            entities: &[NOTE, LIGHT],
            grants: &[(1, 0, Right::Edit), (1, 1, Right::Read)],
            times: one(Times {
                writes: either(large, [2, 1, 0], [2, 2, 0]),
                crashes: either(large, 1, 2),
                ..Times::default()
            }),
            lazy: true,
            reaches: &[Reach::Conflict],
            ..base.clone()
        },
        Scenario {
            name: "rules",
            entities: &[NOTE, LIGHT],
            grants: &[(1, 0, Right::Edit)],
            times: Times {
                writes: either(large, [1, 1, 0], [2, 1, 0]),
                rules: either(large, 2, 3),
                cuts: either(large, 0, 1),
                ..Times::default()
            },
            reaches: &[Reach::Conflict, Reach::Withdrawn],
            ..base.clone()
        },
        Scenario {
            name: "deletions",
            times: Times {
                writes: either(large, [1, 1, 0], [2, 2, 0]),
                deletions: either(large, 1, 2),
                cuts: either(large, 1, 2),
                ..Times::default()
            },
            reaches: &[Reach::Conflict, Reach::Deleted],
            ..base.clone()
        },
        Scenario {
            name: "choices",
            strategy: Strategy::UserChoice,
            times: Times {
                writes: [1, 1, 0],
                choices: either(large, 2, 3),
                cuts: either(large, 1, 2),
                ..Times::default()
            },
            reaches: &[Reach::Conflict, Reach::DoubleResolution],
            ..base.clone()
        },
        Scenario {
            name: "three homes",
            homes: 3,
            links: STAR,
            grants: &[(1, 0, Right::Edit), (2, 0, Right::Edit)],
            times: Times {
                writes: either(large, [1, 1, 1], [2, 1, 1]),
                cuts: either(large, 0, 1),
                ..Times::default()
            },
            ..base.clone()
        },
        Scenario {
            name: "joint space",
            homes: either(large, 2, 3),
            links: either(large, PAIR, RING),
            entities: &[JOINT],
            grants: &[],
            joint: true,
            times: Times {
                writes: either(large, [1, 1, 0], [1, 1, 1]),
                choices: either(large, 2, 1),
                cuts: either(large, 1, 1),
                ..Times::default()
            },
            ..base
        },
    ]
}

fn either<T>(large: bool, small: T, big: T) -> T {
    if large { big } else { small }
}

impl Scenario {
    pub(crate) fn id(home: usize) -> HomeId {
        HomeId([home as u8 + 1; 32])
    }

    pub(crate) fn key(&self, entity: usize) -> EntityKey {
        let Thing { owner, id, .. } = self.entities[entity];
        let space = owner.map_or(Space::Joint, |home| Space::Home(Self::id(home)));
        EntityKey { space, id: id.parse().expect("scenarios name entities rightly") }
    }

    pub(crate) fn entity(&self, key: &EntityKey) -> Option<usize> {
        (0..self.entities.len()).find(|entity| self.key(*entity) == *key)
    }

    pub(crate) fn peers(&self, at: usize) -> impl Iterator<Item = usize> {
        let other = move |&(a, b): &(usize, usize)| (a == at).then_some(b).or((b == at).then_some(a));
        self.links.iter().filter_map(other)
    }

    pub(crate) fn peer_ids(&self, at: usize) -> Vec<HomeId> {
        self.peers(at).map(Self::id).collect()
    }
}
