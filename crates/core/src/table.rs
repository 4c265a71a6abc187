//! The entities a home knows, and the order in which they last changed.
//!
//! Every entity has a small [`Number`] for life. The change log is one sequence
//! for the whole home that remembers only the latest place of each entity, so
//! whoever follows it (a session, the store) sees the present and nothing twice,
//! and a follower that fell behind costs nothing.

use std::collections::{BTreeMap, HashMap};

use crate::{
    EntityId, EntityKey, Space,
    conflict::Conflict,
    dot::VersionVector,
    grant::Right,
    hlc::Hlc,
    policy::Strategy,
    seed::Seed,
    siblings::Siblings,
    version::Version,
    view::{self, Shown, View},
};

/// What a row of the store takes beside name and record.
const ROW_BYTES: usize = 64;

/// A short name of an entity inside one home, for its lifetime.
pub type Number = u32;

/// Who may write an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A thing in a house: only its owner reports its state, others send commands.
    Device,
    /// A shared note such as a helper or a scene: many may write.
    Document,
}

/// What a home knows of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its full name.
    pub key: EntityKey,
    /// Who may write it.
    pub class: Class,
    /// Its versions.
    pub siblings: Siblings,
    /// Its place in this home's change log.
    pub seq: u64,
    /// The how-manieth entity of this home it is; no other ever has the same one.
    pub birth: u64,
    /// For an entity of this home: the change with which its life began, under an id that may have had an earlier
    /// one, by the home's incarnation and stamp; zero where it is not known.
    pub born: (u32, Hlc),
    /// For an entity of another home: that home's place in its own log when it sent this.
    pub sent_at: u64,
    /// For an entity of another home: what it lets this home do.
    pub right: Option<Right>,
    /// What settles its conflicts; a device has none.
    pub strategy: Strategy,
}

impl Entity {
    /// Returns an entity without versions.
    pub fn new(key: EntityKey, class: Class) -> Self {
        Self {
            key,
            class,
            siblings: Siblings::default(),
            seq: 0,
            birth: 0,
            born: Default::default(),
            sent_at: 0,
            right: None,
            strategy: Strategy::default(),
        }
    }

    /// Returns what is shown of it, unless it is deleted.
    pub fn view(&self) -> Option<View> {
        View::of(&self.siblings, self.strategy).filter(|view| !view.deleted)
    }

    /// Returns what is shown of it without building a view, deletions included.
    pub fn shown(&self) -> Option<Shown<'_>> {
        Shown::of(&self.siblings, self.strategy)
    }

    /// Tells whether a decision is awaited between its versions.
    pub fn is_open(&self) -> bool {
        view::is_open(&self.siblings, self.strategy)
    }

    /// Returns the conflict between its versions, if they differ; what a device reports is none.
    pub fn conflict(&self) -> Option<Conflict> {
        let differ = self.class == Class::Document && view::differ(&self.siblings);
        differ.then(|| Conflict {
            key: self.key.clone(),
            strategy: self.strategy,
            versions: self.siblings.clone(),
        })
    }

    /// Tells whether nothing is left of it but deletions.
    pub fn is_deleted(&self) -> bool {
        !self.siblings.is_empty() && self.siblings.iter().all(|version| version.deleted)
    }

    /// Returns about how many bytes the store keeps of it.
    pub fn weight(&self) -> usize {
        let weights = self.siblings.iter().map(Version::weight);
        ROW_BYTES + self.key.id.as_str().len() + weights.sum::<usize>()
    }

    /// Returns all that is known of its changes.
    pub fn context(&self) -> VersionVector {
        self.siblings.context()
    }
}

/// How much a space holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entities that are there.
    pub live: usize,
    /// Entities of which only deletions are left.
    pub deleted: usize,
    /// About how many bytes of store all of them take.
    pub bytes: usize,
}

impl Tally {
    fn of(entity: &Entity) -> Self {
        let deleted = usize::from(entity.is_deleted());
        Self { live: 1 - deleted, deleted, bytes: entity.weight() }
    }

    fn add(&mut self, other: Self) {
        self.live += other.live;
        self.deleted += other.deleted;
        self.bytes += other.bytes;
    }

    fn take(&mut self, other: Self) {
        self.live -= other.live;
        self.deleted -= other.deleted;
        self.bytes -= other.bytes;
    }
}

/// All entities, found by name, by number, or by order of change.
#[derive(Clone)]
pub struct Table {
    entities: Vec<Option<Entity>>,
    /// What each entity counted for when it last entered the log.
    counted: Vec<Tally>,
    tallies: BTreeMap<Space, Tally>,
    free: Vec<Number>,
    names: BTreeMap<Space, HashMap<EntityId, Number, Seed>>,
    log: Vec<(u64, Number)>,
    head: u64,
    /// The latest birth.
    births: u64,
    /// Rises whenever an entity may have changed.
    changes: u64,
    seed: Seed,
}

impl Table {
    /// Returns an empty table whose log goes on after `head`; `seed` guards against chosen names.
    pub fn new(seed: Seed, head: u64) -> Self {
        let (entities, counted, tallies, free, names, log) = Default::default();
        Self { entities, counted, tallies, free, names, log, head, births: 0, changes: 0, seed }
    }

    /// Puts back entities with their births and their places in the log.
    pub fn restore(&mut self, entities: impl IntoIterator<Item = Entity>) {
        let first = self.entities.len();
        self.entities.extend(entities.into_iter().map(Some));
        let mut spaces = BTreeMap::<Space, usize>::new();
        for entity in self.entities[first..].iter().flatten() {
            *spaces.entry(entity.key.space).or_default() += 1;
        }
        for (space, count) in spaces {
            // room made at once: a table that grows hashes its names again and again
            let names = self.names.entry(space).or_insert_with(|| HashMap::with_hasher(self.seed));
            names.reserve(count);
        }
        for (number, entity) in (0..).zip(&self.entities).skip(first) {
            let Some(entity) = entity else { continue };
            self.names.entry(entity.key.space).and_modify(|names| {
                names.insert(entity.key.id.clone(), number);
            });
            self.log.push((entity.seq, number));
            (self.births, self.head) = (self.births.max(entity.birth), self.head.max(entity.seq));
        }
        (first as Number..self.entities.len() as Number).for_each(|number| self.count(number));
        self.log.sort_unstable();
        self.changes += 1;
    }

    /// Adds an entity that has not changed yet.
    pub fn insert(&mut self, mut entity: Entity) -> Number {
        self.births += 1;
        self.changes += 1;
        entity.birth = self.births;
        let number = self.free.pop().unwrap_or(self.entities.len() as Number);
        let names = self.names.entry(entity.key.space).or_insert_with(|| HashMap::with_hasher(self.seed));
        names.insert(entity.key.id.clone(), number);
        match self.entities.get_mut(number as usize) {
            Some(place) => *place = Some(entity),
            None => self.entities.push(Some(entity)),
        }
        self.count(number);
        number
    }

    /// Removes an entity without a trace in the log.
    pub fn remove(&mut self, number: Number) -> Option<Entity> {
        let entity = self.entities.get_mut(number as usize)?.take()?;
        self.changes += 1;
        let counted = std::mem::take(&mut self.counted[number as usize]);
        self.tallies.entry(entity.key.space).or_default().take(counted);
        if let Some(names) = self.names.get_mut(&entity.key.space) {
            names.remove(&entity.key.id);
        }
        self.free.push(number);
        Some(entity)
    }

    /// Takes the next place in the log, for something that is no entity.
    pub fn advance(&mut self) -> u64 {
        self.changes += 1;
        self.head += 1;
        self.head
    }

    /// Moves an entity to the end of the log.
    pub fn touch(&mut self, number: Number) {
        let seq = self.advance();
        if let Some(entity) = self.entities[number as usize].as_mut() {
            entity.seq = seq;
            self.log.push((seq, number));
        }
        self.count(number);
        if self.log.len() > 2 * self.entities.len() + 1024 {
            self.compact();
        }
    }

    /// Returns the entity of this number.
    pub fn get(&self, number: Number) -> Option<&Entity> {
        self.entities.get(number as usize)?.as_ref()
    }

    /// Returns the entity of this number.
    pub fn get_mut(&mut self, number: Number) -> Option<&mut Entity> {
        self.changes += 1;
        self.entities.get_mut(number as usize)?.as_mut()
    }

    /// Returns the number of the entity of this name.
    pub fn find(&self, space: Space, id: &EntityId) -> Option<Number> {
        self.names.get(&space)?.get(id).copied()
    }

    /// Returns the entities that changed after a place in the log, in the order of change.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = (Number, &Entity)> {
        let from = self.log.partition_point(|&(place, _)| place <= seq);
        self.log[from..].iter().filter_map(|&(place, number)| {
            self.get(number).filter(|entity| entity.seq == place).map(|entity| (number, entity))
        })
    }

    /// Returns all entities of a space, in no order that matters.
    pub fn in_space(&self, space: Space) -> impl Iterator<Item = (Number, &Entity)> {
        let numbers = self.names.get(&space).into_iter().flat_map(|names| names.values());
        numbers.filter_map(|&number| self.get(number).map(|entity| (number, entity)))
    }

    /// Returns all entities in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Number, &Entity)> {
        self.entities.iter().enumerate().filter_map(|(at, entity)| Some((at as Number, entity.as_ref()?)))
    }

    /// Returns a number that is another one whenever an entity may have changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns the latest place in the log.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Returns the latest birth: how many entities there have ever been.
    pub fn births(&self) -> u64 {
        self.births
    }

    /// Returns how many entities a space has.
    pub fn len(&self, space: Space) -> usize {
        self.names.get(&space).map_or(0, HashMap::len)
    }

    /// Returns how much a space holds, as of the latest place of each entity in the log.
    pub fn tally(&self, space: Space) -> Tally {
        self.tallies.get(&space).copied().unwrap_or_default()
    }

    /// Returns every space that has had an entity.
    pub fn spaces(&self) -> impl Iterator<Item = Space> {
        self.names.keys().copied()
    }

    /// Counts an entity anew.
    fn count(&mut self, number: Number) {
        let at = number as usize;
        let Some(entity) = self.entities[at].as_ref() else { return };
        let now = Tally::of(entity);
        self.counted.resize(self.entities.len(), Tally::default());
        let before = std::mem::replace(&mut self.counted[at], now);
        if before != now {
            let tally = self.tallies.entry(entity.key.space).or_default();
            tally.take(before);
            tally.add(now);
        }
    }

    fn compact(&mut self) {
        let entities = &self.entities;
        self.log.retain(|&(place, number)| {
            entities[number as usize].as_ref().is_some_and(|entity| entity.seq == place)
        });
    }
}

/// Shows what a table holds, and nothing of how it is found: tables that hold the same look the same.
impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { entities, free, head, births, .. } = self;
        f.debug_struct("Table")
            .field("entities", entities)
            .field("free", free)
            .field("head", head)
            .field("births", births)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HomeId;

    const HERE: Space = Space::Home(HomeId([1; 32]));

    fn table(ids: &[&str]) -> Table {
        let mut table = Table::new(Seed::new([7; 16]), 0);
        for id in ids {
            let key = EntityKey { space: HERE, id: id.parse().unwrap() };
            let number = table.insert(Entity::new(key, Class::Device));
            table.touch(number);
        }
        table
    }

    fn names(table: &Table, seq: u64) -> Vec<&str> {
        table.since(seq).map(|(_, entity)| entity.key.id.as_str()).collect()
    }

    #[test]
    fn log_shows_each_entity_once_where_it_last_changed() {
        let mut table = table(&["a.a", "b.b", "c.c"]);
        table.touch(0);
        assert_eq!(names(&table, 0), ["b.b", "c.c", "a.a"]);
        assert_eq!(names(&table, 3), ["a.a"]);
        assert_eq!(names(&table, 4), [""; 0]);
    }

    #[test]
    fn log_stays_small_under_many_changes() {
        let mut table = table(&["a.a", "b.b"]);
        (0..100_000).for_each(|n| table.touch(n % 2));
        assert!(table.log.len() <= 2 * 2 + 1024 + 1);
        assert_eq!(names(&table, 0), ["a.a", "b.b"]);
    }

    #[test]
    fn restored_entities_stand_in_the_log_by_their_places_and_no_birth_is_given_again() {
        let mut again = Table::new(Seed::new([7; 16]), 0);
        let mut before = table(&["a.a", "b.b", "c.c"]);
        before.touch(0);
        again.restore(before.iter().map(|(_, entity)| entity.clone()));
        assert_eq!(names(&again, 0), ["b.b", "c.c", "a.a"]);
        let key = EntityKey { space: HERE, id: "d.d".parse().unwrap() };
        let number = again.insert(Entity::new(key, Class::Device));
        assert_eq!((again.get(number).unwrap().birth, again.head()), (4, 4));
    }

    #[test]
    fn tally_follows_whatever_happens_to_entities() {
        let mut table = table(&["a.a", "b.b", "c.c"]);
        let one = table.get(0).unwrap().weight();
        assert_eq!(table.tally(HERE), Tally { live: 3, deleted: 0, bytes: 3 * one });
        table.remove(1);
        assert_eq!(table.tally(HERE), Tally { live: 2, deleted: 0, bytes: 2 * one });
        let mut again = Table::new(Seed::new([7; 16]), 0);
        again.restore(table.iter().map(|(_, entity)| entity.clone()));
        assert_eq!(again.tally(HERE), table.tally(HERE));
    }

    #[test]
    fn number_of_a_removed_entity_is_used_again_without_its_past() {
        let mut table = table(&["a.a", "b.b"]);
        table.remove(0);
        let key = EntityKey { space: HERE, id: "c.c".parse().unwrap() };
        assert_eq!(table.insert(Entity::new(key, Class::Device)), 0);
        assert_eq!(names(&table, 0), ["b.b"]);
        assert_eq!(table.find(HERE, &"a.a".parse().unwrap()), None);
    }
}
