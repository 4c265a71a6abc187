//! What homes hold when all is healed: the same, nothing that was deleted, and all that was shared.

use std::collections::{BTreeMap, BTreeSet};

use crosshome_core::{siblings::Siblings, table::Entity};

use super::{
    people::{DEVICES, DOCUMENTS, MORTAL, PRIVATE},
    record::{Known, Record},
    store::{self, Names},
    verdict::{Final, excused},
    world::World,
};

/// Per home, what it holds, by the entity's name in the record.
pub(super) struct Agreement(BTreeMap<String, BTreeMap<String, Entity>>);

impl Agreement {
    /// Reads the stores of all homes.
    pub(super) fn read(world: &World, names: &Names) -> Self {
        let read = |house: &super::world::House| {
            let moment =
                store::read(house.home.data_dir(), i64::MAX.cast_unsigned(), names).expect("it runs");
            let named = moment.entities.into_iter().map(|entity| (store::name(&entity.key, names), entity));
            (house.home.name.clone(), named.collect())
        };
        Self(world.houses.iter().map(read).collect())
    }

    /// Returns the versions that each entity's owner holds, or any member of the joint space.
    pub(super) fn last(&self) -> Final {
        let mut last = Final::new();
        let authority = |home: &str, name: &str| [home, "joint"].contains(&owner(name));
        for (_, name, entity) in self.all().filter(|(home, name, _)| authority(home, name)) {
            last.entry(name.to_owned())
                .or_default()
                .extend(entity.siblings.iter().map(|version| version.dot));
        }
        last
    }

    /// Returns what is wrong.
    pub(super) fn findings(&self, record: &Record) -> Vec<String> {
        let known = record.known();
        let mut findings: Vec<_> = self.all().filter_map(|held| self.fault(&known, held)).collect();
        findings.extend(self.missing());
        findings
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str, &Entity)> {
        self.0
            .iter()
            .flat_map(|(home, of)| of.iter().map(|(name, entity)| (home.as_str(), name.as_str(), entity)))
    }

    fn fault(&self, known: &Known, (home, name, entity): (&str, &str, &Entity)) -> Option<String> {
        let foreign = ![home, "joint"].contains(&owner(name));
        if foreign && name.ends_with(PRIVATE) {
            return Some(format!("I8: {home} holds {name}, which nobody has shared"));
        }
        if foreign && self.versions(owner(name), name) != Some(&entity.siblings) {
            return Some(format!("I1: {home} holds other versions of {name} than its owner"));
        }
        let dead = known.deleted.iter().find(|write| write.wish.entity == name && !name.ends_with(MORTAL))?;
        let back = store::shown(entity).is_some() && !excused(known, dead, owner(name));
        back.then(|| format!("I13: {home} shows {name}, deleted by {dead:?}"))
    }

    /// Returns what somebody lacks: of the joint space, and of what is shared with everybody.
    fn missing(&self) -> Vec<String> {
        let joint = self.all().map(|(_, name, _)| name).filter(|name| owner(name) == "joint");
        let joint: BTreeSet<_> = joint.collect();
        let differ = joint.into_iter().filter(|name| {
            let versions: Vec<_> = self.0.keys().map(|home| self.versions(home, name)).collect();
            versions.windows(2).any(|pair| pair[0] != pair[1])
        });
        let mut findings: Vec<_> =
            differ.map(|name| format!("I1: homes hold different versions of {name}")).collect();
        for (home, name, entity) in self.all().filter(|(home, name, _)| *home == owner(name)) {
            let shared = DOCUMENTS.iter().chain(&DEVICES).any(|id| name.ends_with(id));
            let lacking = self.0.iter().filter(|(_, of)| shared && !of.contains_key(name));
            let lacking = lacking.filter(|(other, _)| *other != home && store::shown(entity).is_some());
            findings.extend(lacking.map(|(other, _)| format!("I1: {other} lacks {name}, which it may see")));
        }
        findings
    }

    fn versions(&self, home: &str, name: &str) -> Option<&Siblings> {
        Some(&self.0.get(home)?.get(name)?.siblings)
    }
}

fn owner(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}
