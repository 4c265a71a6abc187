//! What one home knows: its own entities, those it received, and who may see what.
//!
//! Updates of this home enter at [`Replica::update`], what peers offer enters at
//! [`Replica::merge`]. Both leave the table and the change log in a state that can
//! be committed and sent, and return the [`Effect`]s to carry out. A replica does
//! no input or output and asks nobody for the time.
//!
//! ```
//! # use crosshome_core::{HomeId, replica::{Options, Replica}, update::Update, version::Cause, table::Class};
//! let mut villa = Replica::new(HomeId([1; 32]), Options::default());
//! let hall = villa.own("light.hall".parse().unwrap());
//! villa.update(&hall, Class::Device, &Update::state("on"), Cause::Person, 1_000).unwrap();
//! assert!(villa.find(&hall).is_some());
//! ```

use std::collections::BTreeMap;

use crate::{
    EntityId, EntityKey, HomeId, Space,
    body::{Body, Group},
    bug::{self, Bug},
    defaults::{
        CHUNK, CONTEXT_KEPT, DELETIONS_KEPT_MS, MAX_BYTES_PER_PEER, MAX_ENTITIES_PER_PEER, MAX_SKEW_MS,
    },
    digest::Digest,
    dot::{Actor, Dot},
    effect::{Durability, Effect},
    epoch::{Cursor, Epochs},
    grant::{Admission, Grants, Right, Traits},
    hlc::{Clock, Hlc},
    policy::{JointPolicy, Policy, Strategy},
    risk::is_risky,
    seed::Seed,
    table::{Class, Entity, Number, Table},
    update::{Update, UpdateError},
    version::{Cause, Version},
    view::Shown,
};

mod merge;
mod purge;
mod quota;
mod restamp;
mod rules;
mod settle;

pub use merge::{Offered, Refusal};
pub use settle::{Choice, ResolveError};

/// What distinguishes one replica from another at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The keys of the hash tables.
    pub seed: Seed,
    /// How many entities one peer may place here, and how many deletions.
    pub quota: usize,
    /// How many bytes of store they may take.
    pub quota_bytes: usize,
    /// How long a deletion waits for homes that have not heard of it, in milliseconds.
    pub deletions_kept_ms: u64,
    /// How long an offer may grow before the next begins, in bytes.
    pub chunk: usize,
}

impl Default for Options {
    fn default() -> Self {
        let (quota, quota_bytes) = (MAX_ENTITIES_PER_PEER, MAX_BYTES_PER_PEER);
        let (seed, deletions_kept_ms) = (Seed::new([0; 16]), DELETIONS_KEPT_MS);
        Self { seed, quota, quota_bytes, deletions_kept_ms, chunk: CHUNK }
    }
}

/// What one home knows.
#[derive(Clone, Debug)]
pub struct Replica {
    me: Actor,
    table: Table,
    clock: Clock,
    /// The high-water mark of the clock when this home started.
    stored: Hlc,
    options: Options,
    /// Who may see what.
    pub grants: Grants,
    /// Where this home's entities stand in the house.
    pub traits: BTreeMap<EntityId, Traits>,
    /// The epochs of this home's change log.
    pub epochs: Epochs,
    /// How far this home has followed each peer.
    pub cursors: BTreeMap<HomeId, Cursor>,
    policy: Policy,
    joint_policy: Option<JointPolicy>,
    gone: BTreeMap<HomeId, BTreeMap<EntityId, u64>>,
    /// The place in the log where rules last changed.
    ruled: u64,
    /// How many incarnations this start has seen.
    births: u32,
    /// The peers that have followed this home since it started, each with the place that it has made durable.
    proven: BTreeMap<HomeId, u64>,
    /// The place up to which each peer has heard all, and has answered.
    settled: BTreeMap<HomeId, u64>,
}

impl Replica {
    /// Returns the replica of a home that knows nothing yet.
    pub fn new(home: HomeId, options: Options) -> Self {
        Self::restore(Actor::first(home), Hlc::default(), 0, options)
    }

    /// Returns a replica that goes on as `actor` after a stored clock and place in the log, still without entities.
    pub fn restore(actor: Actor, clock: Hlc, head: u64, options: Options) -> Self {
        Self {
            me: actor,
            table: Table::new(options.seed, head),
            clock: Clock::after(if bug::is(Bug::MarkForgotten) { Hlc::default() } else { clock }),
            stored: clock,
            options,
            grants: Grants::default(),
            traits: BTreeMap::new(),
            epochs: Epochs::default(),
            cursors: BTreeMap::new(),
            policy: Policy::default(),
            joint_policy: None,
            gone: BTreeMap::new(),
            ruled: head,
            births: 0,
            proven: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    /// Puts back stored entities.
    pub fn put_back(&mut self, entities: impl IntoIterator<Item = Entity>) {
        self.table.restore(entities);
    }

    /// Puts back a stored withdrawal that a peer has not acknowledged yet.
    pub fn put_back_gone(&mut self, peer: HomeId, id: EntityId, seq: u64) {
        self.gone.entry(peer).or_default().insert(id, seq);
    }

    /// Changes an entity as this home wishes, and creates it if nobody has it.
    ///
    /// # Errors
    ///
    /// Refuses what this home may not write, and values beyond the bounds. A refused update changes nothing.
    pub fn update(
        &mut self,
        key: &EntityKey,
        class: Class,
        update: &Update,
        cause: Cause,
        now_ms: u64,
    ) -> Result<Vec<Effect>, WriteError> {
        update.check()?;
        let class = if key.space == Space::Joint { Class::Document } else { class };
        let number = self.writable(key)?;
        let dot = Dot { actor: self.writer(key.space), ..self.stamp(now_ms) };
        let entity = number.and_then(|number| self.table.get(number));
        let base = self.base(entity, cause, dot)?;
        let known =
            entity.is_some_and(|entity| entity.siblings.latest().is_some_and(|latest| !latest.deleted));
        let body = match update.apply(key.id.domain(), said_anew(base.groups(), dot), dot)? {
            Some(body) => body,
            None if known => return Ok(Vec::new()),
            None => Body::default(), // it is there now, even if nothing is said of it yet
        };
        let number = number.unwrap_or_else(|| self.create(key.clone(), class, dot));
        Ok(self.write(number, Some(body), dot, cause, now_ms))
    }

    /// Deletes an entity that this home may write, for everyone who knows it.
    ///
    /// # Errors
    ///
    /// Refuses an entity that nobody has or this home may not write.
    pub fn delete(&mut self, key: &EntityKey, cause: Cause, now_ms: u64) -> Result<Vec<Effect>, WriteError> {
        let number = self.writable(key)?.ok_or(WriteError::NotFound)?;
        let dot = Dot { actor: self.writer(key.space), ..self.stamp(now_ms) };
        self.base(self.table.get(number), cause, dot)?;
        let mut effects = self.write(number, None, dot, cause, now_ms);
        // no report of a device brings a deletion back after a crash
        effects[0] = Effect::Commit(Durability::Now);
        Ok(effects)
    }

    /// Forgets a peer: its rules, its entities, and how far it was followed.
    pub fn forget(&mut self, peer: HomeId) -> Vec<Effect> {
        self.grants.forget(peer);
        self.gone.remove(&peer);
        self.proven.remove(&peer);
        self.settled.remove(&peer);
        self.cursors.remove(&peer);
        let numbers: Vec<_> = self.table.in_space(Space::Home(peer)).map(|(number, _)| number).collect();
        let removed = numbers.into_iter().filter_map(|number| self.table.remove(number));
        let mut effects = vec![Effect::Commit(Durability::Now)];
        effects.extend(removed.map(|entity| Effect::Removed(entity.key, entity.birth)));
        effects
    }

    /// Gives a home its new id: this home, or a peer. Its space, rules and cursor go with it.
    pub fn rename(&mut self, old: HomeId, new: HomeId) -> Vec<Effect> {
        let numbers: Vec<_> = self.table.in_space(Space::Home(old)).map(|(number, _)| number).collect();
        let mut effects = vec![Effect::Commit(Durability::Now)];
        for number in numbers {
            let Some(entity) = self.table.remove(number) else { continue };
            effects.push(Effect::Removed(entity.key.clone(), entity.birth));
            let key = EntityKey { space: Space::Home(new), ..entity.key.clone() };
            let number = self.table.insert(Entity { key, ..entity });
            self.table.touch(number);
            effects.push(Effect::Changed(number));
        }
        self.grants.rename(old, new);
        if let Some(gone) = self.gone.remove(&old) {
            self.gone.insert(new, gone);
        }
        if let Some(cursor) = self.cursors.remove(&old) {
            self.cursors.insert(new, cursor);
        }
        if let Some(seq) = self.proven.remove(&old) {
            self.proven.insert(new, seq);
        }
        self.settled.remove(&old); // it will say so again
        if self.me.home == old {
            self.me = Actor::first(new);
            effects.extend(self.carry_edits_over(old));
        }
        effects
    }

    /// Takes note that a peer has followed this home's log to a place that it really has.
    pub fn prove(&mut self, peer: HomeId, seq: u64) {
        self.proven.insert(peer, seq);
    }

    /// Takes note of what a peer has acknowledged, and drops withdrawals up to there.
    pub fn acknowledge(&mut self, peer: HomeId, seq: u64) {
        if let Some(place) = self.proven.get_mut(&peer) {
            *place = seq.min(self.table.head()).max(*place);
        }
        if let Some(gone) = self.gone.get_mut(&peer) {
            gone.retain(|_, at| *at > seq && !bug::is(Bug::GoneDropped));
        }
    }

    /// Returns the next stamp of this home.
    pub fn stamp(&mut self, now_ms: u64) -> Dot {
        Dot { actor: self.me, hlc: self.clock.tick(now_ms, self.epochs.present()) }
    }

    /// Returns who this home is at present.
    pub fn actor(&self) -> Actor {
        self.me
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns all entities and the change log.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Returns the full name of an entity in this home's own space.
    pub fn own(&self, id: EntityId) -> EntityKey {
        EntityKey { space: Space::Home(self.me.home), id }
    }

    /// Returns an entity by its name.
    pub fn find(&self, key: &EntityKey) -> Option<&Entity> {
        self.table.get(self.table.find(key.space, &key.id)?)
    }

    /// Returns what a peer may do with an entity of this home.
    pub fn admits(&self, peer: HomeId, entity: &Entity) -> Option<Admission> {
        static NOWHERE: Traits = Traits { area: None, labels: Vec::new() };
        let traits = self.traits.get(&entity.key.id).unwrap_or(&NOWHERE);
        self.grants.admits(peer, &entity.key.id, traits, || is_risky(entity))
    }

    /// Returns what distinguishes this replica from others.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the place in the log where rules last changed.
    pub fn ruled(&self) -> u64 {
        self.ruled
    }

    /// Returns what was withdrawn from a peer and not acknowledged, with its place in the log.
    pub fn gone(&self, peer: HomeId) -> impl Iterator<Item = (&EntityId, u64)> {
        self.gone.get(&peer).into_iter().flatten().map(|(id, &seq)| (id, seq))
    }

    /// Returns the peers that something was withdrawn from.
    pub fn gone_peers(&self) -> impl Iterator<Item = HomeId> {
        self.gone.keys().copied()
    }

    /// Returns the digest of what this home holds of a peer's space, or of the joint one, where deletions stay and
    /// count.
    pub fn digest_of(&self, space: Space) -> Digest {
        let held = self.table.in_space(space).map(|(_, entity)| entity);
        let held = held.filter(|entity| space == Space::Joint || !entity.is_deleted());
        let digest = |entity: &Entity| {
            let terms = entity.right.map(|right| (right, entity.strategy));
            Digest::of(&entity.key.id, terms, &entity.siblings)
        };
        held.map(digest).sum()
    }

    /// Writes the next version of an entity; without a body, its deletion.
    fn write(
        &mut self,
        number: Number,
        body: Option<Body>,
        dot: Dot,
        cause: Cause,
        now_ms: u64,
    ) -> Vec<Effect> {
        let timed = self.clock.trusts(now_ms);
        let everywhere = bug::seen_anywhere(&self.table);
        let entity = self.table.get_mut(number).expect("the caller has found it");
        // while people decide, the house goes on reporting beside what others wrote
        let beside = cause == Cause::Device && entity.is_open() && !bug::is(Bug::ReportDecides);
        let mut context = match beside {
            true => entity.siblings.of(dot.actor.home).context_for(dot.actor),
            false => entity.siblings.context_for(dot.actor),
        };
        context.join(&everywhere);
        // stamps of a clock that was ahead would have the version refused; what they name shows as a sibling instead
        // (an owner knows its own, however late)
        let space = entity.key.space;
        let known = |seen: Dot| seen.actor.home == dot.actor.home || Space::Home(seen.actor.home) == space;
        context.retain(|seen| known(seen) || seen.hlc <= horizon(dot) || bug::is(Bug::FutureNamed));
        if context.len() > CONTEXT_KEPT {
            let replaced = entity.siblings.iter().map(|version| version.dot);
            // the latest of others shows on which life of the entity this was written
            let others = context.dots().filter(|seen| seen.actor.home != dot.actor.home);
            let latest = others.max_by_key(|seen| seen.hlc);
            context.retain(|seen| Some(seen) == latest || replaced.clone().any(|dot| dot == seen));
        }
        let (deleted, body) = (body.is_none(), body.unwrap_or_default());
        let version = Version { dot, context, body, cause, deleted, timed, unknown: Box::default() };
        match beside {
            true => drop(entity.siblings.insert(version)),
            false => entity.siblings.replace(version),
        }
        let durability = if cause == Cause::Device { durability(entity.class) } else { Durability::Now };
        self.table.touch(number);
        let mut effects = vec![Effect::Commit(durability), Effect::Changed(number)];
        effects.extend(beside.then(|| self.conflict(number)).flatten());
        effects
    }

    /// Returns what an update of this home starts from.
    ///
    /// While people have to choose, nobody writes by the way. The house reports on from its own version.
    fn base<'a>(&self, entity: Option<&'a Entity>, cause: Cause, dot: Dot) -> Result<Shown<'a>, WriteError> {
        let Some(entity) = entity else { return Ok(Shown::nothing(dot)) };
        let shown = || entity.shown().unwrap_or_else(|| Shown::nothing(dot));
        if !entity.is_open() {
            return Ok(shown());
        }
        if cause == Cause::Device {
            let mine = entity.siblings.iter().filter(|version| version.dot.actor.home == self.me.home);
            return Ok(mine.max_by_key(|version| version.rank()).map_or_else(shown, Shown::version));
        }
        match entity.strategy {
            Strategy::UserChoice if !bug::is(Bug::WriteDecides) => Err(WriteError::ConflictOpen),
            _ => Ok(shown()),
        }
    }

    /// Adds an entity that begins with a write of this home.
    fn create(&mut self, key: EntityKey, class: Class, first: Dot) -> Number {
        let own = key.space == Space::Home(self.me.home);
        let number = self.insert(key, class);
        if let Some(entity) = self.table.get_mut(number).filter(|_| own) {
            entity.born = (first.actor.incarnation, first.hlc);
        }
        number
    }

    /// Adds an entity under the strategy that holds for it.
    fn insert(&mut self, key: EntityKey, class: Class) -> Number {
        let strategy = self.strategy_for(&key, class);
        self.table.insert(Entity { strategy, ..Entity::new(key, class) })
    }

    /// Returns the incarnation that writes in a space.
    ///
    /// A home may have been restored from a backup without knowing. Then the owner of a document may hold a change
    /// of this home that this home has lost, and a later one by the same actor would silently replace it. So what
    /// is written to others before they have proven this home's past is written by a new incarnation.
    fn writer(&self, space: Space) -> Actor {
        let proven = match space {
            Space::Joint => !self.proven.is_empty(),
            Space::Home(home) => home == self.me.home || self.proven.contains_key(&home),
        };
        if proven || bug::is(Bug::IncarnationKept) || self.stored == Hlc::default() {
            self.me
        } else {
            self.stranger()
        }
    }

    /// Returns this home in an incarnation that nobody has met: random, as two clones must not take the same
    /// one, and the same through one start, as a peer that lies may cost one at most.
    fn stranger(&self) -> Actor {
        let epoch = self.epochs.present();
        let random = (epoch ^ (epoch >> 32)) as u32;
        Actor { incarnation: random.wrapping_add(self.births.wrapping_mul(0x9e37_79b9)), ..self.me }
    }

    /// Finds an entity that this home may write; nothing means that it may create it.
    fn writable(&self, key: &EntityKey) -> Result<Option<Number>, WriteError> {
        let number = self.table.find(key.space, &key.id);
        match key.space {
            Space::Joint => Ok(number),
            Space::Home(home) if home == self.me.home => Ok(number),
            Space::Home(_) => match number.and_then(|number| self.table.get(number)) {
                None => Err(WriteError::NotFound),
                Some(entity) if entity.class == Class::Device => Err(WriteError::Device),
                Some(entity) if entity.right < Some(Right::Edit) => Err(WriteError::NotAllowed),
                Some(_) => Ok(number),
            },
        }
    }
}

/// Returns the latest stamp that others, whose clocks agree with that of a change, admit beside it.
fn horizon(dot: Dot) -> Hlc {
    Hlc::at(dot.hlc.ms().saturating_add(MAX_SKEW_MS))
}

/// Gives groups with stamps from the future the dot of the version that says them anew: others would refuse them.
fn said_anew<'a>(
    groups: impl Iterator<Item = Group<'a>> + Clone,
    dot: Dot,
) -> impl Iterator<Item = Group<'a>> + Clone {
    let late = move |group: &Group<'_>| group.dot.hlc > horizon(dot) && !bug::is(Bug::FutureGroups);
    groups.map(move |group| if late(&group) { group.moved_to(dot) } else { group })
}

fn durability(class: Class) -> Durability {
    match class {
        Class::Device => Durability::Lazy,
        Class::Document if bug::is(Bug::DocumentsLazy) => Durability::Lazy,
        Class::Document => Durability::Now,
    }
}

/// Why a write of this home's own is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// No such entity, and this home cannot make it.
    #[error("no such entity")]
    NotFound,
    /// A device of another home takes commands, not writes.
    #[error("only the home that owns a device reports its state")]
    Device,
    /// The owner has not granted it.
    #[error("the owner has not granted edit")]
    NotAllowed,
    /// Several versions await somebody's choice.
    #[error("several versions await a choice")]
    ConflictOpen,
    /// The update itself is not acceptable.
    #[error(transparent)]
    Update(#[from] UpdateError),
}
