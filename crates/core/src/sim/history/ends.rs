//! What must be true when all homes rest (I1, I2, I8, I9, I13).

use std::collections::BTreeSet;

use super::{
    check::{Reader, Write},
    dots::Dots,
    house::Held,
    tidings::{home_of, owner_of},
};

impl<'a> Reader<'a> {
    /// Checks the end of a history in which all homes have come to rest.
    pub(super) fn concludes(&mut self, at: usize) {
        self.contexts_are_true(at);
        if self.houses.is_empty() || !self.houses.values().all(|house| house.rests) {
            return;
        }
        self.all_is_kept(at);
        self.joint_is_equal(at);
        self.mirrors_are_equal(at);
        self.dead_stay_dead(at);
        let open: Vec<_> = self.commands.unanswered().collect();
        open.into_iter().for_each(|id| self.finds(9, at, format!("nobody tells how {id} ended")));
    }

    /// I3: no version says to have seen more than its author had.
    fn contexts_are_true(&mut self, at: usize) {
        let mut found = Vec::new();
        for (entity, family) in self.graph.entities() {
            for number in (0..family.len()).filter(|number| family.is_proven(*number)) {
                let behind = family.behind(&[number].into_iter().collect());
                let home = home_of(&family.dot(number).actor);
                let false_claim = |other: &usize| {
                    // whoever has lost its past goes on under the same name for a while
                    let author = self.houses.get(home_of(&family.dot(*other).actor));
                    let lost = author.is_some_and(|author| !author.restored.is_empty());
                    let known = self.exact || family.is_proven(*other);
                    family.claims(number, *other) && !behind.contains(*other) && !lost && known
                };
                if let Some(other) = (0..family.len()).find(false_claim) {
                    let [by, of] =
                        [number, other].map(|number| family.names(&[number].into_iter().collect()));
                    found.push(format!("{by} of {entity} says to have seen {of}, which {home} never had"));
                }
            }
        }
        found.into_iter().for_each(|what| self.finds(3, at, what));
    }

    /// I2.
    fn all_is_kept(&mut self, at: usize) {
        let mut found = Vec::new();
        for write in &self.writes {
            match self.fate(write) {
                Some(fate) => *self.verdict.fates.entry(fate).or_default() += 1,
                None => found.push(format!(
                    "no trace of {:?} of {}, which {} wrote at line {}",
                    write.content,
                    write.entity,
                    write.home,
                    write.at + 1
                )),
            }
        }
        found.into_iter().for_each(|what| self.finds(2, at, what));
    }

    fn fate(&self, write: &Write<'a>) -> Option<&'static str> {
        let family = self.graph.of_entity(write.entity);
        let dots = family.map(|family| match write.dot {
            Some(dot) => family.numbered(dot).into_iter().collect(),
            None => family.saying(write.content),
        });
        let dots = dots.unwrap_or_default();
        // a recorder of daemons does not know in whose words
        let told = self
            .houses
            .iter()
            .any(|(home, house)| (!self.exact || *home == write.home) && house.was_told(write.entity, &dots));
        if self.is_kept(write, &dots) {
            return Some("held, or seen by who replaced it");
        }
        if self.lives.is_buried(write.entity, &dots) {
            return Some("of a life that has ended");
        }
        if write.gone {
            return Some("gone with a disk or a crash");
        }
        if write.device && !self.exact {
            return Some("a report, of which the latest counts");
        }
        if told {
            return Some("told to be lost");
        }
        // a recorder that does not hear refusals knows the rights, and which disks went back
        let keeper = owner_of(write.entity).filter(|owner| *owner != write.home && !self.exact);
        let keeper = keeper.and_then(|owner| self.houses.get(owner));
        let lapsed = keeper.is_some_and(|keeper| keeper.lapsed(write.home, write.entity, write.at));
        let upon_loss = keeper.is_some_and(|keeper| keeper.went_back(write.at_ms));
        if upon_loss {
            return Some("made upon what the owner's disk had lost");
        }
        lapsed.then_some("refused, as the right was withdrawn")
    }

    /// Tells whether all that decide over an entity have a write, or have seen it replaced.
    fn is_kept(&self, write: &Write<'a>, dots: &Dots) -> bool {
        let Some(family) = self.graph.of_entity(write.entity) else { return false };
        let joint = owner_of(write.entity).is_none();
        let decides = |name: &str, member: bool| match owner_of(write.entity) {
            Some(owner) => owner == name,
            None => member,
        };
        let members = self.houses.values().any(|house| house.joint);
        let mut deciders =
            self.houses.iter().filter(|(name, house)| decides(name, house.joint || (joint && !members)));
        let deletes = |number| family.said(number).is_some_and(|said| said.deleted);
        deciders.all(|(_, house)| match house.held.get(write.entity) {
            Some(held) => {
                let behind = family.behind(&held.dots);
                dots.iter().any(|number| behind.contains(number))
            }
            None => dots.iter().any(deletes), // as was wanted
        })
    }

    /// I1: the members of the joint space hold and show the same.
    fn joint_is_equal(&mut self, at: usize) {
        let members: Vec<_> = self.houses.iter().filter(|(_, house)| house.joint).collect();
        let all = members.iter().flat_map(|(_, house)| house.held.keys());
        let names: BTreeSet<_> = all.copied().filter(|entity| owner_of(entity).is_none()).collect();
        let mut found = Vec::new();
        for entity in names {
            let first = members.first().and_then(|(_, house)| house.held.get(entity));
            let other = members.iter().find(|(_, house)| !same(first, house.held.get(entity)));
            found.extend(other.map(|(home, _)| format!("{home} holds or shows other versions of {entity}")));
        }
        found.into_iter().for_each(|what| self.finds(1, at, what));
    }

    /// I1 and I8: a home holds of another what that grants it, and shows the same.
    fn mirrors_are_equal(&mut self, at: usize) {
        if !self.has_rights {
            return;
        }
        let mut found = Vec::new();
        for (owner, keeper) in &self.houses {
            let own = |entity: &&&str| owner_of(entity) == Some(*owner);
            for (home, house) in self.houses.iter().filter(|(home, _)| *home != owner) {
                let names = keeper.held.keys().chain(house.held.keys()).filter(own);
                for entity in names.collect::<BTreeSet<_>>() {
                    let (truth, mirror) = (keeper.held.get(entity), house.held.get(entity));
                    let live = truth.is_some_and(|held| held.shown.is_some());
                    let right = keeper.right(home, entity);
                    match (right, mirror) {
                        (Some(None), Some(_)) => {
                            found
                                .push((8, format!("{home} holds {entity}, which {owner} does not grant it")));
                        }
                        (_, Some(_)) if truth.is_none() => {
                            found.push((8, format!("{home} holds {entity}, which {owner} does not have")));
                        }
                        (_, Some(_)) if !same(truth, mirror) => {
                            found.push((1, format!("{home} holds or shows {entity} otherwise than {owner}")));
                        }
                        (Some(Some(_)), None) if live => {
                            found.push((1, format!("{home} lacks {entity} of {owner}")));
                        }
                        _ => {}
                    }
                }
            }
        }
        found.into_iter().for_each(|(invariant, what)| self.finds(invariant, at, what));
    }

    /// I13.
    fn dead_stay_dead(&mut self, at: usize) {
        let mut found = Vec::new();
        for (home, house) in &self.houses {
            for (entity, held) in &house.held {
                let dead = self.lives.dead(entity);
                if held.shown.is_some() && held.dots.iter().any(|number| dead.contains(number)) {
                    found.push(format!("{home} shows {entity}, which was deleted"));
                }
            }
        }
        found.into_iter().for_each(|what| self.finds(13, at, what));
    }
}

fn same(one: Option<&Held<'_>>, other: Option<&Held<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            (&one.dots, one.shown, one.strategy, one.device)
                == (&other.dots, other.shown, other.strategy, other.device)
        }
        (None, None) => true,
        _ => false,
    }
}
