//! What is done to entities before the home has started: kept here, and handed over at the start.

use std::{collections::BTreeMap, future::Future};

use crosshome_node::{
    node::{EntityRef, Node, NodeError},
    views::{Class, EntityView, Space, Stamp},
};

use super::entity::Wanted;

/// Entities that no home has yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Drafts(BTreeMap<String, (EntityRef, Wanted, Stamp)>);

impl Drafts {
    pub(super) fn update(&mut self, entity: EntityRef, wanted: Wanted) {
        let (_, draft, at) =
            self.0.entry(entity.to_string()).or_insert_with(|| (entity, Wanted::default(), Stamp::now()));
        draft.then(wanted);
        *at = Stamp::now();
    }

    /// Returns an entity as the home will show it.
    pub(super) fn shown(&self, entity: &EntityRef, me: &str) -> Option<EntityView> {
        self.0.get(&entity.to_string()).map(|draft| view(draft, me))
    }

    /// Returns every entity by its id.
    pub(super) fn all(&self, me: &str) -> BTreeMap<String, EntityView> {
        self.0.iter().map(|(id, draft)| (id.clone(), view(draft, me))).collect()
    }

    /// Gives all of them to the home.
    pub(super) fn hand_over(self, node: &Node) -> impl Future<Output = Result<(), NodeError>> + use<> {
        let node = node.clone();
        async move {
            for (entity, wanted, _) in self.0.into_values() {
                node.update_entity(entity, wanted.update()).await?;
            }
            Ok(())
        }
    }
}

fn view((entity, wanted, at): &(EntityRef, Wanted, Stamp), me: &str) -> EntityView {
    let members = wanted.attributes.iter().flatten();
    let text: serde_json::Map<_, _> = members
        .map(|(name, raw)| (name.clone(), serde_json::from_str(raw.get()).unwrap_or_default()))
        .collect();
    EntityView {
        entity_id: entity.entity_id().to_owned(),
        home: entity.home().unwrap_or(me).to_owned(),
        space: Space::Joint,
        class: Class::Document,
        state: wanted.state.clone(),
        attributes: serde_json::value::to_raw_value(&text).expect("a map is JSON"),
        last_changed: *at,
        last_updated: *at,
        updated_by: me.to_owned(),
        shared_with: Vec::new(),
        conflict: false,
        pending: None,
    }
}
