//! One state of a world, and what each action makes of it.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use crosshome_core::{
    EntityKey, Space,
    conflict::Token,
    effect::{Effect, Incident},
    grant::{Right, Selector},
    policy::{Policy, Rule},
    replica::Choice,
    update::Update,
    version::Cause,
};

use crate::{
    Action, Scenario,
    check::{Broken, Checked, Invariant, Reach},
    home::Home,
    ledger::Ledger,
    link::Wire,
    scenario::Times,
};

/// When everything happens: the stamps rise by themselves.
const NOW: u64 = 1_800_000_000_000;

/// Everything in a world.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) homes: Vec<Arc<Home>>,
    fingerprints: Vec<u64>,
    /// Per link, there and back.
    wires: Vec<[Wire; 2]>,
    pub(crate) ledger: Arc<Ledger>,
    /// Who was ever granted what: home and entity.
    pub(crate) granted: Vec<(usize, usize)>,
    pub(crate) left: Times,
    reached: u8,
    forked: bool,
    pub(crate) now_ms: u64,
    pub(crate) broken: Option<Broken>,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { homes: _, now_ms: _, fingerprints, wires, ledger, granted, left, reached, forked, broken } =
            self;
        (fingerprints, wires, ledger, granted, left, reached, forked, broken).hash(state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let hash = |world: &Self| {
            let mut hasher = std::hash::DefaultHasher::new();
            world.hash(&mut hasher);
            hasher.finish()
        };
        hash(self) == hash(other)
    }
}

impl World {
    /// Returns a world at rest: everything is there, granted, and known to those who may know it.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let homes = (0..scenario.homes).map(|at| Arc::new(Home::new(at, scenario.entities.len()))).collect();
        let mut world = Self {
            homes,
            fingerprints: vec![0; scenario.homes],
            wires: scenario.links.iter().map(|_| Default::default()).collect(),
            ledger: Arc::default(),
            granted: Vec::new(),
            left: Times { writes: [9; 3], rules: 9, ..Times::default() },
            reached: 0,
            forked: false,
            now_ms: NOW,
            broken: None,
        };
        world.broken = world.furnish(scenario).err();
        (world.left, world.reached) = (scenario.times, 0);
        world
    }

    /// Returns the world after an action, or nothing if that changes nothing.
    pub(crate) fn after(&self, scenario: &Scenario, action: Action) -> Option<Self> {
        let mut world = self.clone();
        let happened = world.act(scenario, action).and_then(|happened| {
            world.speak(scenario)?;
            world.rest(scenario)?;
            Ok(happened)
        });
        match happened {
            Ok(false) => return None,
            Ok(true) => {}
            Err(broken) => world.broken = Some(broken),
        }
        for (at, home) in world.homes.iter().enumerate() {
            if !Arc::ptr_eq(home, &self.homes[at]) {
                world.fingerprints[at] = home.fingerprint();
            }
        }
        Some(world)
    }

    /// Tells whether an invariant holds.
    pub(crate) fn keeps(&self, invariant: Invariant) -> bool {
        self.broken.as_ref().is_none_or(|broken| broken.invariant != invariant)
    }

    /// Tells whether something has happened on the way here.
    pub(crate) fn reached(&self, reach: Reach) -> bool {
        self.reached & reach.bit() != 0
    }

    /// Tells whether a frame is on its way.
    pub(crate) fn under_way(&self, from: usize, to: usize) -> bool {
        self.links(from, to).is_some_and(|(link, way)| !self.wires[link][way].frames.is_empty())
    }

    /// Delivers everything and flushes everything, until nothing is said any more.
    pub(crate) fn silence(&mut self, scenario: &Scenario) -> Checked {
        for _ in 0..1_000 {
            (0..self.homes.len()).for_each(|at| self.home(at).flush());
            self.speak(scenario)?;
            if self.is_silent() {
                return Ok(());
            }
            for (from, to) in scenario.links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]) {
                self.deliver(scenario, from, to)?;
            }
        }
        Err(Broken::new(Invariant::Session, "the homes never fall silent"))
    }

    /// Lets every session ask after the other.
    pub(crate) fn beat(&mut self) {
        let now_ms = self.now_ms;
        for at in 0..self.homes.len() {
            let Home { replica, sessions, .. } = self.home(at);
            sessions.values_mut().for_each(|session| session.beat(replica, 1, now_ms));
        }
    }

    /// Notes that something has happened.
    pub(crate) fn reach(&mut self, reach: Reach, happened: bool) {
        self.reached |= if happened { reach.bit() } else { 0 };
    }

    /// Tells whether a home came back from a backup, and somebody noticed.
    pub(crate) fn forked(&self) -> bool {
        self.forked
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.wires.iter().flatten().all(|wire| wire.frames.is_empty())
    }

    fn furnish(&mut self, scenario: &Scenario) -> Checked {
        let rules = [Rule { pattern: "*".into(), strategy: scenario.strategy, template: None }];
        let policy = Policy::new(rules).expect("one rule");
        let effects = self.home(0).replica.set_policy(policy);
        self.carry_out(scenario, 0, None, &effects)?;
        scenario.links.iter().for_each(|&pair| self.connect(scenario, pair));
        for (entity, thing) in scenario.entities.iter().enumerate() {
            self.write(scenario, thing.owner.unwrap_or(0), entity)?;
        }
        for &(peer, entity, right) in scenario.grants {
            self.rule(scenario, peer, entity, Some(right))?;
        }
        self.silence(scenario)?;
        self.settled(scenario)?;
        self.fingerprints = self.homes.iter().map(|home| home.fingerprint()).collect();
        Ok(())
    }

    fn act(&mut self, scenario: &Scenario, action: Action) -> Checked<bool> {
        match action {
            Action::Write(at, entity) => self.write(scenario, at, entity),
            Action::Delete(at, entity) => self.delete(scenario, at, entity),
            Action::Choose(at, entity) => self.choose(scenario, at, entity),
            Action::Rule(peer, entity) => {
                let key = scenario.key(entity);
                let home = &self.homes[0];
                let admitted =
                    home.replica.find(&key).and_then(|e| home.replica.admits(Scenario::id(peer), e));
                self.rule(scenario, peer, entity, admitted.is_none().then_some(Right::Edit))
            }
            Action::Deliver { from, to } => self.deliver(scenario, from, to),
            Action::Cut(a, b) => {
                self.left.cuts -= 1;
                self.connect(scenario, (a, b));
                Ok(true)
            }
            Action::Flush(at) => {
                self.home(at).flush();
                Ok(true)
            }
            Action::Crash(at) => self.crash(scenario, at),
            Action::Backup(at) => {
                self.left.backups -= 1;
                self.home(at).take_backup();
                Ok(true)
            }
            Action::Restore(at) => self.restore(scenario, at),
        }
    }

    fn write(&mut self, scenario: &Scenario, at: usize, entity: usize) -> Checked<bool> {
        let (key, class) = (scenario.key(entity), scenario.entities[entity].class);
        let (update, now_ms) = (Update::state(&self.ledger.len().to_string()), self.now_ms);
        let written = self.home(at).replica.update(&key, class, &update, Cause::Person, now_ms);
        let Ok(effects) = written else { return Ok(false) };
        self.left.writes[at] -= 1;
        self.wrote(scenario, (at, entity), false, &effects)
    }

    fn delete(&mut self, scenario: &Scenario, at: usize, entity: usize) -> Checked<bool> {
        let (key, now_ms) = (scenario.key(entity), self.now_ms);
        if self.homes[at].replica.find(&key).is_none_or(|entity| entity.view().is_none()) {
            return Ok(false);
        }
        let Ok(effects) = self.home(at).replica.delete(&key, Cause::Person, now_ms) else { return Ok(false) };
        self.left.deletions -= 1;
        self.wrote(scenario, (at, entity), false, &effects)
    }

    fn choose(&mut self, scenario: &Scenario, at: usize, entity: usize) -> Checked<bool> {
        let (key, now_ms) = (scenario.key(entity), self.now_ms);
        let choice = Choice::Value(Update::state(&self.ledger.len().to_string()));
        let Some(shown) = self.homes[at].replica.find(&key).map(|entity| Token::of(&entity.siblings)) else {
            return Ok(false);
        };
        let chosen = self.home(at).replica.resolve(&key, shown, &choice, Cause::Person, now_ms);
        let Ok(effects) = chosen else { return Ok(false) };
        self.left.choices -= 1;
        self.wrote(scenario, (at, entity), true, &effects)
    }

    fn wrote(
        &mut self,
        scenario: &Scenario,
        (at, entity): (usize, usize),
        settles: bool,
        effects: &[Effect],
    ) -> Checked<bool> {
        if effects.is_empty() {
            return Ok(false);
        }
        let siblings = self.siblings(scenario, at, entity);
        let known = self.homes[at].known[entity];
        Arc::make_mut(&mut self.ledger).wrote((at, entity), &siblings, known, settles)?;
        self.carry_out(scenario, at, None, effects)?;
        Ok(true)
    }

    fn rule(
        &mut self,
        scenario: &Scenario,
        peer: usize,
        entity: usize,
        right: Option<Right>,
    ) -> Checked<bool> {
        self.left.rules -= 1;
        let (key, peers) = (scenario.key(entity), scenario.peer_ids(0));
        let replica = &mut self.home(0).replica;
        let effect = replica.grant(Some(Scenario::id(peer)), Selector::Entity(key.id), right, &peers);
        if right.is_some() && !self.granted.contains(&(peer, entity)) {
            self.granted.push((peer, entity));
            self.granted.sort_unstable();
        }
        self.carry_out(scenario, 0, None, &[effect])?;
        Ok(true)
    }

    fn deliver(&mut self, scenario: &Scenario, from: usize, to: usize) -> Checked<bool> {
        let Some((link, way)) = self.links(from, to) else { return Ok(false) };
        let Some(frame) = self.wires[link][way].frames.pop_front() else { return Ok(false) };
        let now_ms = self.now_ms;
        let Home { replica, sessions, .. } = self.home(to);
        let Some(session) = sessions.get_mut(&from) else { return Ok(false) };
        let received = session.receive(replica, &frame, now_ms);
        let effects = received.map_err(|error| Broken::new(Invariant::Session, error.to_string()))?;
        self.carry_out(scenario, to, Some(from), &effects)?;
        Ok(true)
    }

    fn crash(&mut self, scenario: &Scenario, at: usize) -> Checked<bool> {
        self.left.crashes -= 1;
        self.home(at).start();
        Arc::make_mut(&mut self.ledger).excuse(false, |_, write| {
            write.home == at && scenario.entities[write.entity].class == crosshome_core::table::Class::Device
        });
        self.started(scenario, at, false)?;
        self.reconnect(scenario, at);
        Ok(true)
    }

    fn restore(&mut self, scenario: &Scenario, at: usize) -> Checked<bool> {
        if !self.home(at).restore() {
            return Ok(false);
        }
        let own = |entity: usize| scenario.entities[entity].owner == Some(at);
        Arc::make_mut(&mut self.ledger).excuse(false, |_, write| write.home == at || own(write.entity));
        self.started(scenario, at, true)?;
        self.reconnect(scenario, at);
        Ok(true)
    }

    /// Opens both ends of a link anew.
    fn connect(&mut self, scenario: &Scenario, (a, b): (usize, usize)) {
        let (joint, now_ms) = (scenario.joint, self.now_ms);
        self.home(a).open(b, joint, now_ms);
        self.home(b).open(a, joint, now_ms);
        if let Some((link, _)) = self.links(a, b) {
            self.wires[link] = Default::default();
        }
    }

    fn reconnect(&mut self, scenario: &Scenario, at: usize) {
        let links = scenario.links.iter().filter(|(a, b)| *a == at || *b == at);
        links.for_each(|&pair| self.connect(scenario, pair));
    }

    /// Lets every session say what there is room for, as a loop does at the end of each turn.
    fn speak(&mut self, scenario: &Scenario) -> Checked {
        for (from, to) in scenario.links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]) {
            let Some((link, way)) = self.links(from, to) else { continue };
            while self.wires[link][way].frames.len() < scenario.window {
                let now_ms = self.now_ms;
                // a session that has nothing to say is asked beside the state, so that asking makes no new one
                let mut home = Home::clone(&self.homes[from]);
                let Some(frame) = home.offer(to, now_ms) else { break };
                self.homes[from] = Arc::new(home);
                for key in self.wires[link][way].put(frame, Scenario::id(from), Scenario::id(to)) {
                    self.may_leave(scenario, from, to, &key)?;
                }
            }
        }
        Ok(())
    }

    /// I7: what was just encoded is granted at this moment.
    fn may_leave(&self, scenario: &Scenario, from: usize, to: usize, key: &EntityKey) -> Checked {
        let replica = &self.homes[from].replica;
        let allowed = match key.space {
            Space::Joint => scenario.joint,
            Space::Home(home) if home == Scenario::id(from) => {
                replica.find(key).is_some_and(|entity| replica.admits(Scenario::id(to), entity).is_some())
            }
            Space::Home(home) => home == Scenario::id(to),
        };
        let what = || format!("{from} has encoded {key:?} for {to}");
        if allowed { Ok(()) } else { Err(Broken::new(Invariant::I7, what())) }
    }

    fn carry_out(
        &mut self,
        scenario: &Scenario,
        at: usize,
        from: Option<usize>,
        effects: &[Effect],
    ) -> Checked {
        let (lazy, now_ms) = (scenario.lazy, self.now_ms);
        self.home(at).commit(effects, lazy, now_ms);
        let told = |wanted: &[Incident]| {
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Report { incident, .. } if wanted.contains(incident)))
        };
        self.forked |=
            told(&[Incident::Fork, Incident::WentBack]) && self.homes.iter().any(|home| home.restored);
        for effect in effects {
            let Effect::Removed(key, _) = effect else { continue };
            let Some(entity) = scenario.entity(key) else { continue };
            self.home(at).known[entity] = 0;
            Arc::make_mut(&mut self.ledger)
                .excuse(false, |_, write| write.home == at && write.entity == entity);
            self.reach(Reach::Withdrawn, true);
        }
        self.holds(scenario, at, from, told(&[Incident::Forbidden, Incident::Quota]))
    }

    pub(crate) fn home(&mut self, at: usize) -> &mut Home {
        Arc::make_mut(&mut self.homes[at])
    }

    /// Returns the place of a link, and the way from one home to the other on it.
    fn links(&self, from: usize, to: usize) -> Option<(usize, usize)> {
        let pair = (from.min(to), from.max(to));
        let all: &[(usize, usize)] =
            if self.wires.len() == 1 { &[(0, 1)] } else { &[(0, 1), (0, 2), (1, 2)] };
        Some((all.iter().position(|known| *known == pair)?, usize::from(from > to)))
    }
}
