//! Entities: what they show, how they are registered, what they were.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;

use super::{Stamp, VersionView};

/// An entity as this home sees it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EntityView {
    /// Id within its home, such as `light.hall`.
    pub entity_id: String,
    /// Name of its home; `joint` in a joint space.
    pub home: String,
    /// Whose entity it is.
    pub space: Space,
    /// Whether one device or many people write it.
    pub class: Class,
    /// State; null when nobody has given one.
    pub state: Option<String>,
    /// Attributes as one JSON object, kept as bytes until somebody reads them.
    #[schema(value_type = Object)]
    pub attributes: Box<RawValue>,
    /// When the state last changed.
    pub last_changed: Stamp,
    /// When the state or an attribute last changed.
    pub last_updated: Stamp,
    /// Name of the home that made the last change.
    pub updated_by: String,
    /// Names of the homes that may see it; empty for received ones.
    pub shared_with: Vec<String>,
    /// Whether versions await a person's choice.
    pub conflict: bool,
    /// A command on its way to the owner, whose wanted values are shown above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// Whose an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// This home's own.
    Own,
    /// Of all homes with one shared key.
    Joint,
    /// Another home's.
    Received,
}

/// Who may write an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Its owner reports it; others send commands.
    Device,
    /// Many may write it.
    Document,
}

/// A command that has no outcome yet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// Id of the intent.
    pub intent: String,
    /// How far it came: queued, sent, accepted, applied; settled while the report is on its way.
    pub status: String,
    /// What was asked for: `{state, attributes}`.
    #[schema(value_type = Object)]
    pub wanted: Box<RawValue>,
    /// When it will be given up.
    pub expires: Stamp,
}

/// Entities by the shortest id that finds them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Entities {
    /// How many there are.
    pub count: usize,
    /// `light.hall`, or `villa/light.hall` where several homes have it.
    pub entities: BTreeMap<String, EntityView>,
}

impl Entities {
    /// Keys entities by the shortest id that `entity get` would find them by.
    pub fn keyed(views: Vec<EntityView>) -> Self {
        let nearest = nearest_spaces(&views);
        let entities: BTreeMap<_, _> =
            views.into_iter().map(|view| (short_id(&nearest, &view), view)).collect();
        Self { count: entities.len(), entities }
    }
}

/// Per entity id: the nearest space that has it, and how many entities there have it.
fn nearest_spaces(views: &[EntityView]) -> BTreeMap<String, (Space, usize)> {
    let mut nearest = BTreeMap::new();
    for view in views {
        let (space, times) = nearest.entry(view.entity_id.clone()).or_insert((view.space, 0));
        if view.space < *space {
            (*space, *times) = (view.space, 0);
        }
        *times += usize::from(view.space == *space);
    }
    nearest
}

fn short_id(nearest: &BTreeMap<String, (Space, usize)>, view: &EntityView) -> String {
    match nearest.get(&view.entity_id) {
        Some((space, 1)) if *space == view.space => view.entity_id.clone(),
        _ => format!("{}/{}", view.home, view.entity_id),
    }
}

/// How a command to an entity ended.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// Whether the owner carried it out, or (without waiting) took it.
    pub ok: bool,
    /// Id of the intent.
    pub intent: String,
    /// What came of it, in words; null while it is on its way.
    pub outcome: Option<String>,
}

/// An entity in the registry of this home.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegistryEntity {
    /// Id within its home.
    pub entity_id: String,
    /// Name for people.
    pub name: String,
    /// Part of the id before the dot.
    pub domain: String,
    /// Whether any home may see it.
    pub shared: bool,
    /// When it last changed.
    pub last_updated: Stamp,
    /// Name of the home that changed it.
    pub last_updated_by: String,
    /// Names of the homes that may see it.
    pub shared_with: Vec<String>,
    /// Free text and numbers of whoever registered it.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

/// Registered entities by id.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Registry {
    /// How many there are.
    pub count: usize,
    /// By entity id.
    pub entities: BTreeMap<String, RegistryEntity>,
}

impl Registry {
    /// Keys registered entities by their id.
    pub fn keyed(entities: Vec<RegistryEntity>) -> Self {
        let entities: BTreeMap<_, _> = entities.into_iter().map(|e| (e.entity_id.clone(), e)).collect();
        Self { count: entities.len(), entities }
    }
}

/// Answer to registering or changing an entity.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Registered {
    /// Always true.
    pub ok: bool,
    /// The entity as it now is.
    pub entity: RegistryEntity,
}

/// Answer to a change of one entity for one home.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Recorded {
    /// Always true.
    pub ok: bool,
    /// The entity.
    pub entity_id: String,
    /// The home, as it was named.
    pub home_id: String,
}

/// Answer to unregistering an entity.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Always true.
    pub ok: bool,
    /// The entity that is gone.
    pub entity_id: String,
}

/// What an entity was.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryView {
    /// The entity.
    pub entity_id: String,
    /// Newest first.
    pub versions: Vec<VersionView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(home: &str, space: Space) -> EntityView {
        EntityView {
            entity_id: "light.hall".into(),
            home: home.into(),
            space,
            class: Class::Device,
            state: Some("on".into()),
            attributes: RawValue::from_string("{}".into()).expect("an object"),
            last_changed: Stamp(0),
            last_updated: Stamp(0),
            updated_by: home.into(),
            shared_with: Vec::new(),
            conflict: false,
            pending: None,
        }
    }

    fn keys(views: Vec<EntityView>) -> Vec<String> {
        Entities::keyed(views).entities.into_keys().collect()
    }

    #[test]
    fn own_entity_keeps_its_plain_id_beside_another_home_s() {
        let both = vec![view("holiday", Space::Received), view("villa", Space::Own)];
        assert_eq!(keys(both), ["holiday/light.hall", "light.hall"]);
    }

    #[test]
    fn received_entity_of_one_home_needs_no_home() {
        assert_eq!(keys(vec![view("holiday", Space::Received)]), ["light.hall"]);
    }

    #[test]
    fn entities_of_two_other_homes_both_carry_their_home() {
        let both = vec![view("alps", Space::Received), view("city", Space::Received)];
        assert_eq!(keys(both), ["alps/light.hall", "city/light.hall"]);
    }

    #[test]
    fn joint_entity_stands_before_another_home_s() {
        let both = vec![view("alps", Space::Received), view("joint", Space::Joint)];
        assert_eq!(keys(both), ["alps/light.hall", "light.hall"]);
    }
}
