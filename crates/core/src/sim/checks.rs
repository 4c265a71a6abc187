//! What must hold: the truth about who saw what, kept beside the run, and the comparison at its end.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use super::{World, law};
use crate::{
    EntityKey, HomeId, Space,
    dot::Dot,
    replica::Replica,
    siblings::Siblings,
    table::{Class, Entity},
    version::Version,
};

/// What an invariant's breach is told as.
pub(super) type Checked = Result<(), String>;

/// Everything ever written in a run, and what its author had really seen.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    contents: HashMap<(EntityKey, Dot), u64>,
    groups: HashMap<(EntityKey, Box<str>, Dot), u64>,
    seen: HashMap<Dot, Rc<HashSet<Dot>>>,
    writes: Vec<Written>,
    /// Deletions of each entity.
    deletions: HashMap<EntityKey, Vec<Dot>>,
    /// Of each entity that its owner has forgotten: what is behind its deletions, and with what it began anew.
    buried: HashMap<EntityKey, (HashSet<Dot>, Option<Dot>)>,
    /// Per home, what it last held of each entity.
    held: Vec<HashMap<EntityKey, BTreeSet<Dot>>>,
}

/// An acknowledged write.
#[derive(Debug)]
struct Written {
    home: usize,
    key: EntityKey,
    dot: Dot,
    class: Class,
    /// Whether its loss was told: refused, withdrawn, or gone with a crash or a restored backup.
    excused: bool,
    /// Whether its author has taken it back, or lost it where it stood: whatever it writes next has seen it.
    taken_back: bool,
}

impl Ledger {
    pub(super) fn new(homes: usize) -> Self {
        Self { held: vec![HashMap::new(); homes], ..Self::default() }
    }

    /// Takes note of a write that this entity shows now: alone, or beside what others wrote while people choose.
    pub(super) fn wrote(&mut self, home: usize, entity: &Entity) -> Result<Dot, String> {
        let fresh = entity.siblings.iter().find(|version| !self.seen.contains_key(&version.dot));
        let Some(version) = fresh else {
            return Err(format!("I4, I5: own write of {:?} is not there, or was given twice", entity.key));
        };
        let beside = |dot: &Dot| entity.siblings.iter().any(|other| other.dot == *dot);
        let before = self.held[home].get(&entity.key).cloned().unwrap_or_default();
        let before: BTreeSet<_> = before.into_iter().filter(|dot| !beside(dot)).collect();
        let taken_back = |write: &&Written| write.taken_back && write.home == home && write.key == entity.key;
        let taken_back = self.writes.iter().filter(taken_back).map(|write| write.dot);
        let mut seen: HashSet<_> =
            before.iter().copied().chain(taken_back).flat_map(|dot| self.behind(dot)).collect();
        if let Some((buried, first)) = self.buried.get_mut(&entity.key).filter(|_| owns(home, &entity.key)) {
            // whoever creates anew has seen what is forgotten
            first.get_or_insert(version.dot);
            seen.extend(buried.iter().copied());
        }
        self.seen.insert(version.dot, Rc::new(seen));
        let (key, dot, class) = (entity.key.clone(), version.dot, entity.class);
        if version.deleted {
            self.deletions.entry(key.clone()).or_default().push(dot);
        }
        self.writes.push(Written { home, key, dot, class, excused: false, taken_back: false });
        self.holds(home, &entity.key, &entity.siblings, false)?;
        Ok(dot)
    }

    /// Takes note that a home lost power before it could tell anybody of its latest change of an entity.
    pub(super) fn unsaid(&mut self, home: usize, entity: &Entity, me: HomeId) {
        let own = entity.siblings.iter().map(|version| version.dot).filter(|dot| dot.actor.home == me);
        let latest = own.max_by_key(|dot| dot.hlc);
        self.excuse(|write| write.home == home && write.key == entity.key && Some(write.dot) == latest);
        self.held[home].remove(&entity.key);
    }

    /// Returns the versions of an entity that a home did not hold before.
    pub(super) fn fresh(&self, home: usize, key: &EntityKey, now: &Siblings) -> Vec<Dot> {
        let before = self.held[home].get(key);
        let known = |dot: &Dot| before.is_some_and(|before| before.contains(dot));
        now.iter().map(|version| version.dot).filter(|dot| !known(dot)).collect()
    }

    /// Returns all that a home has really seen of what it holds of an entity.
    pub(super) fn seen_by(&self, home: usize, key: &EntityKey) -> HashSet<Dot> {
        let held = self.held[home].get(key).into_iter().flatten();
        held.flat_map(|dot| self.behind(*dot)).collect()
    }

    /// Takes note of versions that a home has given new dots of its own in the place of those that could not stay.
    pub(super) fn said_again(&mut self, home: usize, me: HomeId, entity: &Entity) {
        let dots = entity.siblings.iter().map(|version| version.dot);
        let fresh = dots.filter(|dot| dot.actor.home == me && !self.seen.contains_key(dot));
        let fresh: Vec<_> = fresh.collect();
        if fresh.is_empty() {
            return;
        }
        let held = self.held[home].get(&entity.key).cloned().unwrap_or_default();
        let gone = held.into_iter().filter(|dot| entity.siblings.iter().all(|version| version.dot != *dot));
        let behind: HashSet<_> = gone.flat_map(|dot| self.behind(dot)).collect();
        let behind = Rc::new(behind);
        let deleted = entity.siblings.iter().filter(|version| version.deleted).map(|version| version.dot);
        self.deletions.entry(entity.key.clone()).or_default().extend(deleted);
        self.seen.extend(fresh.into_iter().map(|dot| (dot, behind.clone())));
    }

    /// Compares what a home holds now with what it held; `may_lose` where something had to go.
    pub(super) fn holds(&mut self, home: usize, key: &EntityKey, now: &Siblings, may_lose: bool) -> Checked {
        now.iter().try_for_each(|version| self.knows(key, version))?;
        if owns(home, key) {
            self.stays_deleted(key, now)?;
        }
        let covered: HashSet<_> = now.iter().flat_map(|version| self.behind(version.dot)).collect();
        let before = self.held[home].get(key).cloned().unwrap_or_default();
        let lost: Vec<_> = before.into_iter().filter(|dot| !covered.contains(dot)).collect();
        if !lost.is_empty() && !may_lose {
            return Err(format!("I3: {lost:?} of {key:?} disappeared at home {home} behind {now:?}"));
        }
        // a write that was refused takes with it those that it had replaced here
        let lost: HashSet<_> = lost.into_iter().flat_map(|dot| self.behind(dot)).collect();
        let lost =
            |write: &&mut Written| write.home == home && write.key == *key && lost.contains(&write.dot);
        self.writes
            .iter_mut()
            .filter(lost)
            .for_each(|write| (write.excused, write.taken_back) = (true, true));
        self.held[home].insert(key.clone(), now.iter().map(|version| version.dot).collect());
        Ok(())
    }

    /// Takes note that a home has forgotten an entity.
    pub(super) fn forgot(&mut self, home: usize, key: &EntityKey) {
        self.held[home].remove(key);
        // people there were told that it is gone, and what they had made of it with it
        let gone = |write: &&mut Written| write.home == home && write.key == *key;
        self.writes
            .iter_mut()
            .filter(gone)
            .for_each(|write| (write.excused, write.taken_back) = (true, true));
    }

    /// Takes note that a home has heard from the owner that an entity is deleted, and holds nothing of it any more.
    pub(super) fn heard_deletion(&mut self, home: usize, key: &EntityKey, may_lose: bool) -> Checked {
        let deletions = self.deletions.get(key).into_iter().flatten();
        let covered: HashSet<_> = deletions.flat_map(|dot| self.behind(*dot)).collect();
        let held = self.held[home].remove(key).unwrap_or_default();
        match held.iter().find(|dot| !covered.contains(dot)).filter(|_| !may_lose) {
            Some(dot) => Err(format!("I3: {dot:?} of {key:?} went at home {home} behind no deletion")),
            None => Ok(()),
        }
    }

    /// Takes note that the owner of an entity has forgotten its deletion.
    pub(super) fn buries(&mut self, home: usize, key: &EntityKey) {
        let held = self.held[home].remove(key).unwrap_or_default();
        let behind: Vec<_> = held.into_iter().flat_map(|dot| self.behind(dot)).collect();
        let (buried, first) = self.buried.entry(key.clone()).or_default();
        buried.extend(behind);
        *first = None;
    }

    /// Tells whether any of these versions is of a life that the owner has forgotten.
    pub(super) fn is_buried(&self, key: &EntityKey, versions: &Siblings) -> bool {
        let buried = self.buried.get(key);
        buried.is_some_and(|(buried, _)| versions.iter().any(|version| buried.contains(&version.dot)))
    }

    /// I13: checks that the owner shows nothing that was deleted, and nothing made by who knew that alone.
    fn stays_deleted(&self, key: &EntityKey, now: &Siblings) -> Checked {
        let Some((buried, first)) = self.buried.get(key) else { return Ok(()) };
        for version in now.iter().filter(|version| !version.deleted) {
            let anew = first.is_none_or(|first| self.behind(version.dot).any(|dot| dot == first));
            if buried.contains(&version.dot) || !anew {
                return Err(format!("I13: {:?} of {key:?} came back", version.dot));
            }
        }
        Ok(())
    }

    /// Compares what a home has found on its disk with what it held before it stopped.
    pub(super) fn restarted(&mut self, home: usize, replica: &Replica, from_backup: bool) -> Checked {
        let own = Space::Home(replica.actor().home);
        if from_backup {
            self.excuse(|write| write.home == home || write.key.space == own);
            self.buried.retain(|key, _| key.space != own);
        } else {
            self.excuse(|write| write.class == Class::Device && write.key.space == own);
        }
        // what was not flushed may be deleted as before, and begin anew with the deletion in sight; or begin once more
        self.buried.retain(|key, _| key.space != own || !replica.find(key).is_some_and(Entity::is_deleted));
        let lost = self.buried.iter_mut().filter(|(key, _)| key.space == own && replica.find(key).is_none());
        lost.for_each(|(_, (_, first))| *first = None);
        let before = std::mem::take(&mut self.held[home]);
        for (_, entity) in replica.table().iter() {
            self.holds(home, &entity.key, &entity.siblings, true)?;
        }
        let durable = |key: &EntityKey| key.space == Space::Joint || key.id.domain() == "input_text";
        for (key, dots) in before.into_iter().filter(|(key, _)| durable(key) && !from_backup) {
            let now = replica.find(&key).map(|entity| entity.siblings.clone()).unwrap_or_default();
            let covered: HashSet<_> = now.iter().flat_map(|version| self.behind(version.dot)).collect();
            if !dots.iter().all(|dot| covered.contains(dot)) {
                return Err(format!("I14: a crash of home {home} lost {key:?}: {dots:?}, has {now:?}"));
            }
        }
        Ok(())
    }

    /// Checks that an acknowledged write is visible, replaced by one that had seen it, or told to be lost.
    pub(super) fn kept(&self, world: &World) -> Checked {
        for write in self.writes.iter().filter(|write| !write.excused) {
            for (at, replica) in world.authorities(write.key.space) {
                if self.buried.get(&write.key).is_some_and(|(buried, _)| buried.contains(&write.dot)) {
                    continue;
                }
                let deletes = self.deletions.get(&write.key).is_some_and(|all| all.contains(&write.dot));
                if deletes && replica.find(&write.key).is_none() {
                    continue; // as was wanted
                }
                let siblings =
                    replica.find(&write.key).map(|entity| entity.siblings.clone()).unwrap_or_default();
                if !siblings.iter().any(|version| self.behind(version.dot).any(|dot| dot == write.dot)) {
                    return Err(format!(
                        "I2: {:?} of {:?} by home {} is lost at home {at}",
                        write.dot, write.key, write.home
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks that a dot names one content, and that somebody wrote it.
    fn knows(&mut self, key: &EntityKey, version: &Version) -> Checked {
        if !self.seen.contains_key(&version.dot) {
            return Err(format!("{:?} of {key:?} was never written", version.dot));
        }
        let content = hash(&(version.body.as_bytes(), version.deleted, version.timed, &version.context));
        if *self.contents.entry((key.clone(), version.dot)).or_insert(content) != content {
            return Err(format!("I5: {:?} of {key:?} names two contents", version.dot));
        }
        for group in version.groups() {
            let values = hash(&group.fields().collect::<Vec<_>>());
            let name = (key.clone(), group.key().into(), group.dot);
            if *self.groups.entry(name).or_insert(values) != values {
                return Err(format!("I5: {:?} of {key:?}, {} names two values", group.dot, group.key()));
            }
        }
        Ok(())
    }

    /// Returns a change and all that its author had really seen.
    fn behind(&self, dot: Dot) -> impl Iterator<Item = Dot> {
        let seen = self.seen.get(&dot).cloned();
        let seen = seen.map(|seen| seen.iter().copied().collect::<Vec<_>>());
        std::iter::once(dot).chain(seen.into_iter().flatten())
    }

    fn excuse(&mut self, lost: impl Fn(&Written) -> bool) {
        self.writes.iter_mut().filter(|write| lost(write)).for_each(|write| write.excused = true);
    }
}

/// Tells whether an entity is in the space of the home at this place.
fn owns(home: usize, key: &EntityKey) -> bool {
    key.space == Space::Home(HomeId([home as u8 + 1; 32]))
}

fn hash<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl World {
    /// Compares all homes once the network has come to rest.
    pub(super) fn settled(&self) -> Checked {
        self.ledger.kept(self)?;
        for x in 0..self.homes.len() {
            self.own_spaces_only(x)?;
            for y in self.homes[x].paired.iter().copied() {
                self.mirrors(x, y)?;
            }
        }
        Ok(())
    }

    /// I12, I13: after rest and time no home keeps deletions in its own space.
    pub(super) fn deletions_are_forgotten(&self) -> Checked {
        for (at, home) in self.homes.iter().enumerate() {
            let kept = self.replica(at).map(|replica| replica.table().tally(Space::Home(home.id)).deleted);
            if kept > Some(0) {
                return Err(format!("I12: home {at} keeps {kept:?} deletions"));
            }
        }
        Ok(())
    }

    /// Returns the homes that decide over a space.
    pub(super) fn authorities(&self, space: Space) -> Vec<(usize, &Replica)> {
        let decides = |at: usize| match space {
            Space::Joint => self.joint.contains(&at),
            Space::Home(home) => self.homes[at].id == home,
        };
        (0..self.homes.len())
            .filter(|at| decides(*at))
            .filter_map(|at| Some((at, self.replica(at)?)))
            .collect()
    }

    /// I8: a home holds its own space, those of homes it is paired with, and the joint one if it is a member.
    fn own_spaces_only(&self, x: usize) -> Checked {
        let home = &self.homes[x];
        let allowed = |space| match space {
            Space::Joint => self.joint.contains(&x),
            Space::Home(id) => id == home.id || home.paired.iter().any(|y| self.homes[*y].id == id),
        };
        let Some(replica) = self.replica(x) else { return Ok(()) };
        match replica.table().iter().find(|(_, entity)| !allowed(entity.key.space)) {
            Some((_, entity)) => Err(format!("I8: home {x} holds {:?}", entity.key)),
            None => Ok(()),
        }
    }

    /// I1 and I8: the mirror of `x` at `y` is what `x` grants, and the joint space is the same at both.
    fn mirrors(&self, x: usize, y: usize) -> Checked {
        if !self.homes[y].paired.contains(&x) {
            return Ok(());
        }
        let (Some(here), Some(there)) = (self.replica(x), self.replica(y)) else { return Ok(()) };
        let (own, peer) = (Space::Home(self.homes[x].id), self.homes[y].id);
        for (_, entity) in here.table().in_space(own) {
            let mirrored = there.find(&entity.key);
            // what is deleted is there no more, even if its owner still waits for others
            let right = law::right_of(&here.grants, peer, &entity.key.id);
            if here.admits(peer, entity).map(|admission| admission.right) != right {
                return Err(format!("I8: the rules of {x} give {y} {right:?} on {:?}", entity.key));
            }
            match (here.admits(peer, entity).filter(|_| !entity.is_deleted()), mirrored) {
                (None, None) => {}
                (None, Some(_)) => return Err(format!("I8: home {y} holds {:?} ungranted", entity.key)),
                (Some(_), None) => return Err(format!("I1: home {y} lacks {:?}", entity.key)),
                (Some(admission), Some(mirror)) => {
                    if mirror.siblings != entity.siblings {
                        return Err(format!("I1: {x} has {entity:?}\nbut {y} has {mirror:?}"));
                    }
                    self.same_strategy(entity, mirror)?;
                    if mirror.right != Some(admission.right) || mirror.class != entity.class {
                        return Err(format!("I1: {y} has {mirror:?} by {admission:?}"));
                    }
                }
            }
        }
        if let Some((_, extra)) =
            there.table().in_space(own).find(|(_, entity)| here.find(&entity.key).is_none())
        {
            return Err(format!("I8: home {y} holds {:?}, which {x} does not have", extra.key));
        }
        let joint = self.joint.contains(&x) && self.joint.contains(&y);
        if joint && here.digest_of(Space::Joint) != there.digest_of(Space::Joint) {
            return Err(format!("I1: joint space differs between {x} and {y}"));
        }
        if joint && here.joint_policy() != there.joint_policy() {
            return Err(format!("I1: the joint policy differs between {x} and {y}"));
        }
        let shared = here.table().in_space(Space::Joint).filter(|_| joint);
        shared.map(|(_, entity)| entity).try_for_each(|entity| match there.find(&entity.key) {
            Some(other) => self.same_strategy(entity, other),
            None => Ok(()),
        })
    }
}
