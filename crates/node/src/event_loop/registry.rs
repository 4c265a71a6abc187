//! What this home says of its own entities beside their state: name, metadata, where they stand.

use std::collections::{BTreeMap, BTreeSet};

use crosshome_core::{
    EntityId, EntityKey, Space,
    effect::{Durability, Effect},
    grant::{Right, Selector, Traits},
    hlc::Hlc,
    json::Members,
    table,
    update::{Attributes, Update},
    version::Cause,
};
use serde_json::{Map, Value};

use super::{
    Loop,
    names::{invalid, not_found},
    now_ms,
    views::stamp,
};
use crate::{
    node::{NodeError, Register, RegisterChange},
    store::{Batch, RegistryRow},
    views::{self, RegistryEntity},
};

/// The registered entities of this home.
pub(crate) type Registry = BTreeMap<EntityId, RegistryRow>;

impl Loop {
    /// Returns every entity of this home, also those that a bridge or a person made without registering them.
    pub(super) fn registry(&self) -> Vec<RegistryEntity> {
        let own = self.replica.table().in_space(Space::Home(self.me.id)).map(|(_, entity)| entity);
        let made = own.filter(|entity| entity.view().is_some()).map(|entity| &entity.key.id);
        let all: BTreeSet<_> = made.chain(self.registry.keys()).collect();
        all.into_iter().map(|id| self.registry_view(id, &self.row(id))).collect()
    }

    pub(super) fn registered(&self, id: &str) -> Result<RegistryEntity, NodeError> {
        let known = id.parse().ok().filter(|id| self.has(id)).ok_or_else(|| not_found("entity", id))?;
        Ok(self.registry_view(&known, &self.row(&known)))
    }

    /// Tells whether this home has an entity, by its state or by the registry alone.
    fn has(&self, id: &EntityId) -> bool {
        let shown = |key| self.replica.find(&key).is_some_and(|entity| entity.view().is_some());
        self.registry.contains_key(id) || shown(self.replica.own(id.clone()))
    }

    fn row(&self, id: &EntityId) -> RegistryRow {
        self.registry.get(id).cloned().unwrap_or_else(|| blank(id))
    }

    pub(super) fn register(&mut self, register: &Register) -> Result<RegistryEntity, NodeError> {
        let id: EntityId = register.entity_id.parse().map_err(invalid)?;
        let with = register.home.as_deref().map(|home| self.peer_named(home)).transpose()?;
        self.store_takes_writes()?;
        let mut row = self.row(&id);
        merge_metadata(&mut row, &register.metadata)?;
        self.keep(id.clone(), row);
        self.give_existence(&id, register.class)?;
        if register.shared {
            self.set_grant(with, Selector::Entity(id.clone()), Right::Read);
        }
        self.registered(id.as_str())
    }

    pub(super) fn change_registered(
        &mut self,
        id: &str,
        change: &RegisterChange,
    ) -> Result<RegistryEntity, NodeError> {
        let id: EntityId = id.parse().map_err(|_| not_found("entity", id))?;
        if !self.has(&id) {
            return Err(not_found("entity", id.as_str()));
        }
        self.store_takes_writes()?;
        if !change.metadata.is_empty() {
            let mut row = self.row(&id);
            merge_metadata(&mut row, &change.metadata)?;
            self.keep(id.clone(), row);
        }
        match change.shared {
            Some(true) => self.set_grant(None, Selector::Entity(id.clone()), Right::Read),
            Some(false) => self.withdraw_everywhere(&id),
            None => {}
        }
        self.registered(id.as_str())
    }

    pub(super) fn unregister(&mut self, id: &str) -> Result<(), NodeError> {
        let id: EntityId = id.parse().map_err(|_| not_found("entity", id))?;
        let key = self.replica.own(id.clone());
        let known = self.replica.find(&key).is_some_and(|entity| entity.view().is_some());
        let registered = self.registry.contains_key(&id);
        if !known && !registered {
            return Err(not_found("entity", id.as_str()));
        }
        self.store_takes_writes()?;
        if known {
            let effects = self.replica.delete(&key, Cause::Person, now_ms()).map_err(invalid)?;
            self.effects.extend(effects);
        }
        self.registry.remove(&id);
        self.place(&id, &Traits::default());
        self.replica.traits.remove(&id);
        self.keeper.note(Batch { registry: vec![(id, None)], ..Batch::default() });
        self.effects.push(Effect::Commit(Durability::Now));
        Ok(())
    }

    fn keep(&mut self, id: EntityId, row: RegistryRow) {
        self.place(&id, &row.traits);
        self.keeper.note(Batch { registry: vec![(id.clone(), Some(row.clone()))], ..Batch::default() });
        self.effects.push(Effect::Commit(Durability::Now));
        self.registry.insert(id, row);
    }

    /// Notes where an entity stands in the house, which may change who sees it.
    fn place(&mut self, id: &EntityId, traits: &Traits) {
        if self.replica.traits.get(id).unwrap_or(&Traits::default()) != traits {
            let effect = self.replica.set_traits(id.clone(), traits.clone(), &self.peers.ids());
            self.effects.push(effect);
        }
    }

    /// Makes a registered entity known before anybody gives it a state.
    fn give_existence(&mut self, id: &EntityId, class: Option<views::Class>) -> Result<(), NodeError> {
        let key = self.replica.own(id.clone());
        if self.replica.find(&key).is_some_and(|entity| entity.view().is_some()) {
            return Ok(());
        }
        let class = match class {
            Some(views::Class::Document) => table::Class::Document,
            Some(views::Class::Device) => table::Class::Device,
            None => super::entities::class_of(&key),
        };
        let empty = Update { state: None, attributes: Attributes::Replace(Members::default()) };
        self.write(&key, &empty, Cause::Person, Some(class))
    }

    fn registry_view(&self, id: &EntityId, row: &RegistryRow) -> RegistryEntity {
        let key: EntityKey = self.replica.own(id.clone());
        let entity = self.replica.find(&key);
        let view = entity.and_then(|entity| entity.view());
        let shared_with = entity.map(|entity| self.shared_with(entity)).unwrap_or_default();
        // What is for everybody is shared before anybody is paired; this home itself is nobody whom a rule names.
        let with_all = entity.is_some_and(|entity| self.replica.admits(self.me.id, entity).is_some());
        RegistryEntity {
            entity_id: id.to_string(),
            name: row.name.clone(),
            domain: id.domain().to_owned(),
            shared: with_all || !shared_with.is_empty(),
            last_updated: stamp(view.as_ref().map_or(Hlc::default(), |view| view.dot.hlc)),
            last_updated_by: view
                .map_or_else(|| self.me.name.clone(), |view| self.home_name(view.dot.actor.home)),
            shared_with,
            metadata: serde_json::from_str(&row.metadata).unwrap_or_default(),
        }
    }
}

fn blank(id: &EntityId) -> RegistryRow {
    RegistryRow { name: id.to_string(), metadata: "{}".into(), traits: Default::default() }
}

/// Sets metadata keys; null removes one. `name`, `area` and `labels` are understood as well.
fn merge_metadata(row: &mut RegistryRow, metadata: &Map<String, Value>) -> Result<(), NodeError> {
    let mut all: Map<String, Value> = serde_json::from_str(&row.metadata).unwrap_or_default();
    for (key, value) in metadata {
        if value.is_null() {
            all.remove(key);
        } else {
            all.insert(key.clone(), value.clone());
        }
    }
    let text = Value::Object(all.clone()).to_string();
    text.parse::<Members>().map_err(invalid)?;
    if let Some(name) = all.get("name").and_then(Value::as_str) {
        row.name = name.into();
    }
    row.traits.area = all.get("area").and_then(Value::as_str).map(Into::into);
    let labels = all.get("labels").and_then(Value::as_array);
    row.traits.labels = labels.into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect();
    row.metadata = text;
    Ok(())
}
