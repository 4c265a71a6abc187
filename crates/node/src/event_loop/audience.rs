//! A home whose program decides, entity by entity, who is to see it.
//!
//! Such a home keeps to itself what has no [`Audience`]. What every home may see stands in the joint space; what only
//! some may, in this home's own, with a right to edit for each of them. So an entity moves when its audience
//! changes, and what was said to it before goes along. What this home did not write last stays in the joint space
//! when it is withdrawn: then it is another home's too.

use std::collections::BTreeMap;

use crosshome_core::{
    EntityId, EntityKey, HomeId, Space,
    grant::{Right, Selector},
    groups::STATE,
    json::Json,
    table::Class,
    update::{Attributes, Update},
    version::Cause,
};

use super::{Loop, now_ms};
use crate::node::{Audience, NodeError};

/// Who may see what; nothing where that is for the configuration and people to say.
pub(super) type Audiences = Option<BTreeMap<EntityId, Audience>>;

impl Loop {
    /// Begins with the audiences that the program has named.
    pub(super) fn begin_audiences(&mut self) {
        if self.audiences.is_some() {
            self.place_for_audiences();
        }
    }

    /// Puts these audiences in the place of all.
    pub(super) fn set_audiences(&mut self, all: BTreeMap<EntityId, Audience>) {
        self.audiences = Some(all);
        self.place_for_audiences();
    }

    fn place_for_audiences(&mut self) {
        let known = self.replica.table().iter().map(|(_, entity)| &entity.key);
        let ours = known.filter(|key| key.space == Space::Joint || key.space == Space::Home(self.me.id));
        let ids: Vec<_> = ours.map(|key| key.id.clone()).collect();
        ids.iter().for_each(|id| self.place_for_audience(id));
    }

    /// Gives an entity another audience, or none.
    pub(super) fn set_audience(&mut self, id: &EntityId, audience: Option<Audience>) {
        let all = self.audiences.get_or_insert_default();
        match audience {
            Some(audience) => drop(all.insert(id.clone(), audience)),
            None => drop(all.remove(id)),
        }
        self.place_for_audience(id);
    }

    /// Returns where this home writes an entity that is named without its home, if its program has decided so.
    pub(super) fn space_for_audience(&self, id: &EntityId) -> Option<Space> {
        let all = self.audiences.as_ref()?;
        let joint = all.get(id).is_some_and(Audience::is_everyone) && self.desk.shared_key().is_some();
        Some(if joint { Space::Joint } else { Space::Home(self.me.id) })
    }

    /// Grants what audiences say to a home that has come.
    pub(super) fn admit_to_audiences(&mut self) {
        let ids: Vec<_> = self.audiences.iter().flatten().map(|(id, _)| id.clone()).collect();
        ids.iter().for_each(|id| self.grant_to_audience(id));
    }

    fn place_for_audience(&mut self, id: &EntityId) {
        let Some(space) = self.space_for_audience(id) else { return };
        let other = if space == Space::Joint { Space::Home(self.me.id) } else { Space::Joint };
        let (from, to) = (EntityKey { space: other, id: id.clone() }, EntityKey { space, id: id.clone() });
        if let Err(error) = self.relocate(&from, &to) {
            tracing::warn!(entity = %id, %error, "the entity was not moved to where its audience is");
        }
        self.grant_to_audience(id);
    }

    /// Moves an entity of this home; what is there already and is later stays.
    fn relocate(&mut self, from: &EntityKey, to: &EntityKey) -> Result<(), NodeError> {
        let Some((update, at, by)) = self.said_last(from) else { return Ok(()) };
        let ours = from.space != Space::Joint || by == self.me.id;
        if to.space != Space::Joint && !ours {
            return Ok(());
        }
        if self.said_last(to).is_none_or(|(_, there, _)| there < at) {
            self.write(to, &update, Cause::Automation, Some(Class::Document))?;
        }
        let deleted = self.replica.delete(from, Cause::Automation, now_ms());
        self.effects.extend(deleted.map_err(super::names::invalid)?);
        Ok(())
    }

    /// Returns what is shown of an entity as an update, since when, and who did it.
    fn said_last(&self, key: &EntityKey) -> Option<(Update, crosshome_core::hlc::Hlc, HomeId)> {
        let view = self.replica.find(key)?.view()?;
        let json = |value: &str| value.parse::<Json>().ok();
        let state = view.fields().find(|(name, _)| *name == STATE).and_then(|(_, value)| json(value));
        let attributes = view.fields().filter(|(name, _)| *name != STATE);
        let attributes = attributes.filter_map(|(name, value)| Some((name, json(value)?))).collect();
        let update = Update { state, attributes: Attributes::Replace(attributes) };
        Some((update, view.dot.hlc, view.dot.actor.home))
    }

    /// Lets those homes edit an entity of this home that are among its audience, and nobody else.
    fn grant_to_audience(&mut self, id: &EntityId) {
        let audience = self.audiences.as_ref().and_then(|all| all.get(id));
        let apart = audience.filter(|audience| !audience.is_everyone());
        let selector = Selector::Entity(id.clone());
        let granted = |home: HomeId| {
            let mut grants = self.replica.grants.iter();
            grants
                .any(|grant| grant.peer == Some(home) && grant.selector == selector && grant.right.is_some())
        };
        let admitted: Vec<_> = self
            .peers
            .paired()
            .map(|(home, peer)| {
                let names = [peer.name(), &home.to_string()];
                (home, granted(home), apart.is_some_and(|audience| audience.admits(&names)))
            })
            .collect();
        if admitted.iter().any(|(_, granted, admitted)| *granted && !admitted) {
            self.withdraw_everywhere(id);
        }
        for (home, _, _) in admitted.into_iter().filter(|(_, _, admitted)| *admitted) {
            self.set_grant(Some(home), selector.clone(), Right::Edit);
        }
    }
}
