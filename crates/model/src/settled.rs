//! What is compared: what a home holds with what it held, and at rest all homes with each other.

use std::sync::Arc;

use crosshome_core::{Space, siblings::Siblings, table::Class};

use crate::{
    Scenario, World,
    check::{Broken, Checked, Invariant, Reach},
    home::Home,
};

impl World {
    /// Returns the versions that a home has of an entity.
    pub(crate) fn siblings(&self, scenario: &Scenario, at: usize, entity: usize) -> Siblings {
        let found = self.homes[at].replica.find(&scenario.key(entity));
        found.map(|entity| entity.siblings.clone()).unwrap_or_default()
    }

    /// Compares what a home holds now with what it had seen.
    pub(crate) fn holds(
        &mut self,
        scenario: &Scenario,
        at: usize,
        from: Option<usize>,
        refused: bool,
    ) -> Checked {
        for entity in 0..scenario.entities.len() {
            let thing = scenario.entities[entity];
            let owner = from.filter(|from| thing.owner == Some(*from)).map(|from| &self.homes[from]);
            let may_lose = owner.is_some_and(|owner| {
                refused
                    || owner.restored
                    || (thing.class == Class::Device && self.left.crashes < scenario.times.crashes)
            });
            let before = self.homes[at].known[entity];
            let now = self.take_note(scenario, at, entity)?;
            let lost = before & !now;
            if lost != 0 && !may_lose {
                let what = format!("writes {lost:b} disappeared at home {at} behind {now:b}");
                return Err(Broken::new(Invariant::I3, what));
            }
            let lost = self.ledger.behind(lost);
            if lost != 0 {
                let mine = |place: usize, home| lost >> place & 1 == 1 && home == at;
                Arc::make_mut(&mut self.ledger).excuse(true, |place, write| mine(place, write.home));
            }
        }
        Ok(())
    }

    /// Compares what a home has found on its disk with what it had seen before.
    pub(crate) fn started(&mut self, scenario: &Scenario, at: usize, from_backup: bool) -> Checked {
        for entity in 0..scenario.entities.len() {
            let before = self.homes[at].known[entity];
            let now = self.take_note(scenario, at, entity)?;
            let durable = scenario.entities[entity].class == Class::Document && !from_backup;
            if durable && before & !now != 0 {
                let what = format!("a crash of home {at} lost writes {:b}", before & !now);
                return Err(Broken::new(Invariant::I14, what));
            }
        }
        Ok(())
    }

    /// Takes note of what a home holds, checks that it makes sense, and returns what it has seen.
    fn take_note(&mut self, scenario: &Scenario, at: usize, entity: usize) -> Checked<u32> {
        let now = self.siblings(scenario, at, entity);
        let before = self.homes[at].known[entity];
        let unknown =
            now.iter().map(|version| version.dot).filter(|dot| self.ledger.find(entity, *dot).is_none());
        let fresh: Vec<_> = unknown.filter(|dot| dot.actor.home == Scenario::id(at)).collect();
        let ledger = Arc::make_mut(&mut self.ledger);
        if !fresh.is_empty() {
            let present = ledger.covered(entity, &now);
            ledger.said_again((at, entity), &fresh, before & !present);
        }
        now.iter().try_for_each(|version| ledger.knows(entity, version))?;
        if let Some(dot) = ledger.replaced(entity, &now) {
            return Err(Broken::new(
                Invariant::I13,
                format!("home {at} shows {dot:?}, which it knows to be replaced"),
            ));
        }
        let covered = ledger.covered(entity, &now);
        let settling = ledger.settling(entity, &now);
        if self.homes[at].known[entity] != covered {
            self.home(at).known[entity] = covered;
        }
        self.reach(Reach::Conflict, now.len() > 1);
        self.reach(Reach::DoubleResolution, settling > 1);
        Ok(covered)
    }

    /// Where nothing is under way: checks that all homes agree, or would, once clocks have gone on.
    pub(crate) fn rest(&mut self, scenario: &Scenario) -> Checked {
        if !self.is_silent() {
            return Ok(());
        }
        let mut later = self.clone();
        later.silence(scenario)?;
        let restored = self.homes.iter().any(|home| home.restored);
        for _ in 0..if restored { 12 } else { 0 } {
            later.now_ms += 15_000;
            later.beat();
            later.silence(scenario)?;
        }
        later.settled(scenario)?;
        self.reach(Reach::RollbackRepaired, later.forked());
        // mirrors forget at once what the owner keeps until all have heard of it
        let found = |home: &Arc<Home>| home.replica.find(&scenario.key(0)).map(|entity| entity.is_deleted());
        let arrived = self.homes.iter().skip(1).all(|home| found(home) != Some(false));
        self.reach(Reach::Deleted, found(&self.homes[0]) == Some(true) && arrived);
        Ok(())
    }

    /// Compares all homes with each other and with what was written.
    pub(crate) fn settled(&self, scenario: &Scenario) -> Checked {
        for entity in 0..scenario.entities.len() {
            for at in 0..scenario.homes {
                self.kept(scenario, at, entity)?;
                self.mirrored(scenario, at, entity)?;
            }
        }
        Ok(())
    }

    /// I2: whoever decides over an entity shows every acknowledged write, or one whose author had seen it.
    fn kept(&self, scenario: &Scenario, at: usize, entity: usize) -> Checked {
        if scenario.entities[entity].owner.is_some_and(|owner| owner != at) {
            return Ok(());
        }
        let lost =
            self.ledger.owed(entity) & !self.ledger.covered(entity, &self.siblings(scenario, at, entity));
        match lost {
            0 => Ok(()),
            _ => Err(Broken::new(
                Invariant::I2,
                format!("home {at} has lost writes {lost:b} of entity {entity}"),
            )),
        }
    }

    /// I1 and I8: a home holds of another what that grants, as the other holds it, and nothing else.
    fn mirrored(&self, scenario: &Scenario, at: usize, entity: usize) -> Checked {
        let key = scenario.key(entity);
        let there = self.homes[at].replica.find(&key);
        let owner = match (key.space, scenario.entities[entity].owner) {
            (Space::Joint, _) => 0,
            (_, Some(owner)) => owner,
            (_, None) => return Ok(()),
        };
        let here = self.homes[owner].replica.find(&key);
        let admitted =
            here.is_some_and(|here| self.homes[owner].replica.admits(self.homes[at].id(), here).is_some());
        let ever = self.granted.contains(&(at, entity));
        match (here, there) {
            _ if at == owner => Ok(()),
            (_, Some(_)) if !ever && key.space != Space::Joint => Err(Broken::new(
                Invariant::I8,
                format!("home {at} holds {key:?}, which it was never granted"),
            )),
            (Some(here), Some(there)) if here.siblings != there.siblings || here.view() != there.view() => {
                Err(Broken::new(Invariant::I1, format!("home {owner} has {here:?}\nbut {at} has {there:?}")))
            }
            (Some(_), Some(_)) if admitted || key.space == Space::Joint => Ok(()),
            (_, Some(_)) => Err(Broken::new(Invariant::I8, format!("home {at} holds {key:?} ungranted"))),
            // what is deleted is there no more, even if its owner still waits for others
            (Some(here), None) if (admitted && !here.is_deleted()) || key.space == Space::Joint => {
                Err(Broken::new(Invariant::I1, format!("home {at} lacks {key:?}")))
            }
            _ => Ok(()),
        }
    }
}
