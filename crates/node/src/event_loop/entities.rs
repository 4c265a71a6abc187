//! Reading and updating entities.

use crosshome_core::{
    EntityKey, Space,
    replica::WriteError,
    table::Class,
    update::{Attributes, Update},
    version::Cause,
};

use super::{
    Loop,
    names::{invalid, not_found},
    now_ms,
};
use crate::{
    node::{self, EntityRef, NodeError, Report, Selection, Watch},
    views::EntityView,
};

/// Domains whose entities people write, not devices.
const DOCUMENTS: [&str; 14] = [
    "input_boolean",
    "input_button",
    "input_datetime",
    "input_number",
    "input_select",
    "input_text",
    "counter",
    "timer",
    "todo",
    "scene",
    "schedule",
    "calendar",
    "note",
    "var",
];

impl Loop {
    pub(super) fn entities(&self, selection: Selection) -> Vec<EntityView> {
        let all = self.replica.table().iter().filter_map(|(_, entity)| self.entity_view(entity));
        let wanted = |view: &EntityView| {
            selection == Selection::All
                || view.space != crate::views::Space::Own
                || !view.shared_with.is_empty()
        };
        let mut views: Vec<_> = all.filter(wanted).collect();
        views.sort_by(|a, b| (a.space, &a.home, &a.entity_id).cmp(&(b.space, &b.home, &b.entity_id)));
        views
    }

    pub(super) fn watch(&self) -> Watch {
        Watch { present: self.entities(Selection::All), head: self.inbox.notices.head() }
    }

    pub(super) fn entity(&self, entity: &EntityRef) -> Result<EntityView, NodeError> {
        let key = self.known_entity(entity)?;
        let known = self.replica.find(&key).and_then(|known| self.entity_view(known));
        known.ok_or_else(|| not_found("entity", &entity.to_string()))
    }

    /// Updates an entity, or makes a command of the update when a device stands behind the entity:
    /// another home's, or one that this home's bridge has reported.
    pub(super) fn update_entity(
        &mut self,
        entity: &EntityRef,
        update: &node::Update,
        reply: node::Reply<EntityView>,
    ) {
        let asked = self.entity_to_write(entity).and_then(|key| Ok((key, parsed(update)?)));
        let (key, wanted) = match asked {
            Ok(asked) => asked,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let by_command = self.is_received_device(&key)
            || (update.cause != node::Cause::Device && self.is_device_in_the_house(&key));
        if by_command {
            return self.command_update(key, &wanted, update.wait, reply);
        }
        let written = self.write(&key, &wanted, cause(update.cause), None);
        let view = written.and_then(|()| self.view_of(&key));
        self.answer_after(reply, view);
    }

    /// Takes in what a bridge reports of the house's devices.
    pub(super) fn report_all(&mut self, reports: Vec<Report>) -> Result<(), NodeError> {
        let now = now_ms();
        for report in reports {
            self.commands.reported(&report.entity_id);
            let key = self.replica.own(report.entity_id);
            let class = report.class.unwrap_or_else(|| class_of(&key));
            let effects = self.replica.update(&key, class, &report.update, Cause::Device, now);
            self.effects.extend(effects.map_err(|error| refused(&key, &error))?);
        }
        Ok(())
    }

    /// Writes an entity of this home, of the joint space, or a document that another home lets this one edit.
    pub(super) fn write(
        &mut self,
        key: &EntityKey,
        update: &Update,
        cause: Cause,
        class: Option<Class>,
    ) -> Result<(), NodeError> {
        self.store_takes_writes()?;
        // What people make by hand, whatever its domain, has no device behind it.
        let class = class.unwrap_or(Class::Document);
        let effects = self.replica.update(key, class, update, cause, now_ms());
        match effects {
            Ok(effects) => {
                self.effects.extend(effects);
                Ok(())
            }
            Err(WriteError::NotAllowed) => Err(self.not_allowed(key, "edit")),
            Err(error) => Err(refused(key, &error)),
        }
    }

    pub(super) fn not_allowed(&self, key: &EntityKey, right: &str) -> NodeError {
        let reason = format!(
            "{} is not shared with {right}; ask for it: crosshome share {} --with {} --grant {right}",
            key.id, key.id, self.me.name
        );
        NodeError::NotAllowed { home: self.space_name(key.space), reason }
    }

    pub(super) fn view_of(&self, key: &EntityKey) -> Result<EntityView, NodeError> {
        let view = self.replica.find(key).and_then(|entity| self.entity_view(entity));
        view.ok_or_else(|| not_found("entity", key.id.as_str()))
    }

    pub(super) fn is_received_device(&self, key: &EntityKey) -> bool {
        let received = matches!(key.space, Space::Home(home) if home != self.me.id);
        received && self.replica.find(key).is_some_and(|entity| entity.class == Class::Device)
    }

    /// Tells whether a bridge of this home carries out what is wanted of an entity.
    fn is_device_in_the_house(&self, key: &EntityKey) -> bool {
        key.space == Space::Home(self.me.id)
            && self.commands.carries_out(&key.id)
            && self.replica.find(key).is_some_and(|entity| entity.class == Class::Device)
    }

    pub(super) fn store_takes_writes(&self) -> Result<(), NodeError> {
        self.keeper.failure().map_or(Ok(()), |error| Err(super::keeper::failed(error)))
    }
}

/// Reads an update from outside.
pub(super) fn parsed(update: &node::Update) -> Result<Update, NodeError> {
    let value = |raw: &serde_json::value::RawValue| raw.get().parse().map_err(invalid);
    let state = update.state.as_deref().map(crosshome_core::json::Json::string);
    let patch =
        || update.patch.iter().map(|(name, raw)| Ok((name.as_str(), raw.as_deref().map(value).transpose()?)));
    let attributes = match &update.attributes {
        None if update.patch.is_empty() => Attributes::Keep,
        None => {
            let boxed = patch().map(|entry| entry.map(|(name, set)| (name.into(), set)));
            Attributes::Patch(boxed.collect::<Result<_, NodeError>>()?)
        }
        Some(all) => {
            let kept = all.iter().filter(|(name, _)| !update.patch.contains_key(*name));
            let mut members = kept
                .map(|(name, raw)| Ok((name.as_str(), value(raw)?)))
                .collect::<Result<Vec<_>, NodeError>>()?;
            for entry in patch() {
                let (name, set) = entry?;
                members.extend(set.map(|set| (name, set)));
            }
            Attributes::Replace(members.into_iter().collect())
        }
    };
    let update = Update { state, attributes };
    update.check().map_err(invalid)?;
    Ok(update)
}

/// Returns who may write an entity that a bridge or a program registers, by its domain.
pub(super) fn class_of(key: &EntityKey) -> Class {
    if DOCUMENTS.contains(&key.id.domain()) { Class::Document } else { Class::Device }
}

pub(super) fn refused(key: &EntityKey, error: &WriteError) -> NodeError {
    match error {
        WriteError::NotFound => not_found("entity", key.id.as_str()),
        WriteError::ConflictOpen => {
            NodeError::ConflictOpen { entity_id: key.id.to_string(), conflict: key.id.to_string() }
        }
        other => invalid(other),
    }
}

fn cause(cause: node::Cause) -> Cause {
    match cause {
        node::Cause::Person => Cause::Person,
        node::Cause::Automation => Cause::Automation,
        node::Cause::Device => Cause::Device,
    }
}

pub(super) fn by(cause: Cause) -> &'static str {
    match cause {
        Cause::Device => "device",
        Cause::Person => "person",
        Cause::Automation => "automation",
        Cause::Strategy => "strategy",
    }
}
