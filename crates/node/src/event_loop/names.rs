//! What people call homes and entities, resolved to ids.
//!
//! A home is named by its name, its id, or any unique prefix of either. An entity without a home is this
//! home's own, else the joint space's, else the only other home's that has it.

use crosshome_core::{EntityId, EntityKey, HomeId, Space, pairing::is_name};

use super::Loop;
use crate::node::{EntityRef, NodeError};

/// The name of the joint space where a home's would stand.
pub(super) const JOINT: &str = "joint";

impl Loop {
    /// Returns what this home calls a home.
    pub(super) fn home_name(&self, id: HomeId) -> String {
        match self.peers.get(id) {
            _ if id == self.me.id => self.me.name.clone(),
            Some(peer) => peer.name().to_owned(),
            None => id.short(),
        }
    }

    /// Returns the name that stands where an entity's home does.
    pub(super) fn space_name(&self, space: Space) -> String {
        match space {
            Space::Home(home) => self.home_name(home),
            Space::Joint => JOINT.into(),
        }
    }

    /// Calls a peer by the name that it gives itself, where that can be shown and is nobody else's.
    pub(super) fn follow_name(&mut self, id: HomeId) {
        let greeting = self.peers.get(id).and_then(|peer| peer.link.as_ref()?.session.greeting());
        let Some(greeting) = greeting.filter(|greeting| is_name(&greeting.name)) else { return };
        let name = self.distinct_name(id, &greeting.name);
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.row.name != name) else { return };
        tracing::info!(peer = %id.short(), before = %peer.row.name, %name, "the peer has another name");
        peer.row.name = name;
        self.keeper.peers_changed();
    }

    /// Finds a paired home.
    pub(super) fn peer_named(&self, name: &str) -> Result<HomeId, NodeError> {
        let homes: Vec<_> = self.peers.paired().map(|(id, peer)| (id, peer.name().to_owned())).collect();
        find(name, &homes)
    }

    /// Finds an entity; a full name of an own or joint one need not exist.
    pub(super) fn entity_named(&self, entity: &EntityRef) -> Result<EntityKey, NodeError> {
        let id: EntityId = entity.entity_id().parse().map_err(invalid)?;
        let space = match entity.home() {
            Some(JOINT) => Space::Joint,
            Some(home) if self.is_me(home) => Space::Home(self.me.id),
            Some(home) => Space::Home(self.peer_named(home)?),
            None => return self.nearest(id),
        };
        Ok(EntityKey { space, id })
    }

    /// Finds an entity that is to be written; where the program decides who sees it, that is decided here.
    pub(super) fn entity_to_write(&self, entity: &EntityRef) -> Result<EntityKey, NodeError> {
        let key = self.entity_named(entity)?;
        match self.space_for_audience(&key.id).filter(|_| entity.home().is_none()) {
            Some(space) => Ok(EntityKey { space, id: key.id }),
            None => Ok(key),
        }
    }

    /// Finds an entity that somebody has.
    pub(super) fn known_entity(&self, entity: &EntityRef) -> Result<EntityKey, NodeError> {
        let key = self.entity_named(entity)?;
        let shown = self.replica.find(&key).is_some_and(|entity| entity.view().is_some());
        if shown { Ok(key) } else { Err(not_found("entity", &entity.to_string())) }
    }

    fn nearest(&self, id: EntityId) -> Result<EntityKey, NodeError> {
        let has = |space| {
            let key = EntityKey { space, id: id.clone() };
            self.replica.find(&key).is_some_and(|entity| entity.view().is_some()).then_some(key)
        };
        let own = Space::Home(self.me.id);
        if let Some(key) = has(own).or_else(|| has(Space::Joint)) {
            return Ok(key);
        }
        let mut others: Vec<_> = self.replica.table().spaces().filter_map(has).collect();
        match others.len() {
            0 if self.desk.shared_key().is_some() => Ok(EntityKey { space: Space::Joint, id }),
            0 => Ok(EntityKey { space: own, id }),
            1 => Ok(others.remove(0)),
            _ => Err(NodeError::Ambiguous {
                name: id.to_string(),
                candidates: others.iter().map(|key| format!("{}/{id}", self.space_name(key.space))).collect(),
            }),
        }
    }

    fn is_me(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.me.name) || name.parse() == Ok(self.me.id)
    }
}

/// Finds the one home of this name, id, or prefix of either; an exact name comes first.
pub(super) fn find(name: &str, homes: &[(HomeId, String)]) -> Result<HomeId, NodeError> {
    if let Some((id, _)) =
        name.parse().ok().and_then(|wanted: HomeId| homes.iter().find(|(id, _)| *id == wanted))
    {
        return Ok(*id);
    }
    let lower = name.to_lowercase();
    let called = |exactly: bool| -> Vec<_> {
        let matches = |(id, home): &&(HomeId, String)| {
            let home = home.to_lowercase();
            if exactly {
                home == lower
            } else {
                home.starts_with(&lower) || id.to_string().starts_with(&lower)
            }
        };
        homes.iter().filter(matches).collect()
    };
    let exact = called(true);
    let found = if exact.is_empty() && !name.is_empty() { called(false) } else { exact };
    match &found[..] {
        [] => Err(not_found("home", name)),
        [(id, _)] => Ok(*id),
        several => Err(NodeError::Ambiguous {
            name: name.into(),
            candidates: several.iter().map(|(id, home)| format!("{home} ({})", id.short())).collect(),
        }),
    }
}

pub(super) fn not_found(what: &'static str, name: &str) -> NodeError {
    NodeError::NotFound { what, name: name.chars().take(320).collect() }
}

pub(super) fn invalid(error: impl std::fmt::Display) -> NodeError {
    NodeError::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes() -> Vec<(HomeId, String)> {
        [(1, "Villa"), (2, "Villa Rosa"), (3, "flat")]
            .map(|(id, name)| (HomeId([id; 32]), name.to_owned()))
            .to_vec()
    }

    #[test]
    fn exact_name_comes_before_a_prefix() {
        assert_eq!(find("villa", &homes()), Ok(HomeId([1; 32])));
        assert_eq!(find("fl", &homes()), Ok(HomeId([3; 32])));
        assert!(matches!(find("vil", &homes()), Err(NodeError::Ambiguous { .. })));
        assert!(matches!(find("", &homes()), Err(NodeError::NotFound { .. })));
    }

    #[test]
    fn id_and_its_short_form_name_a_home() {
        let id = HomeId([2; 32]);
        assert_eq!(find(&id.grouped(), &homes()), Ok(id));
        assert_eq!(find(&id.short(), &homes()), Ok(id));
    }
}
