//! Conflicts: versions that did not know of each other, and what became of them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Stamp;

/// A conflict on record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConflictView {
    /// Id of the conflict.
    pub id: String,
    /// Whether it awaits a person.
    pub status: ConflictStatus,
    /// The entity, with its home where that is not this one.
    pub entity_id: String,
    /// Name of the entity's home; `joint` in a joint space.
    #[serde(default)]
    pub home: String,
    /// When this home first saw it.
    pub detected_at: Stamp,
    /// Strategy in force, such as `latest-wins`.
    pub strategy: String,
    /// Hash of the versions that the entity has now; a resolution carries it.
    pub token: String,
    /// What all had seen before, from history; null where that has nothing, and in notices.
    pub before: Option<VersionView>,
    /// The versions, greatest first.
    pub versions: Vec<VersionView>,
    /// What is shown of the entity now; null when it is deleted or gone.
    #[serde(default)]
    pub present: Option<VersionView>,
    /// Names of the fields that differ.
    pub fields: Vec<String>,
    /// How it was settled, in words; null while open.
    #[serde(default)]
    pub outcome: Option<String>,
}

/// Whether a conflict awaits a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConflictStatus {
    /// It does.
    Open,
    /// A strategy or a person has settled it.
    Settled,
}

/// One version of an entity: a side of a conflict, or what it was.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// Name of the home that wrote it.
    pub home: String,
    /// Its state.
    pub state: Option<String>,
    /// Its attributes, as one JSON object.
    #[schema(value_type = Object)]
    pub attributes: Box<RawValue>,
    /// When it was written.
    pub at: Stamp,
    /// Who caused it: a person, an automation, the device or a strategy.
    pub by: String,
    /// Whether it deletes the entity.
    #[serde(default)]
    pub deleted: bool,
    /// What became of it, such as `current`, `replaced`, `shown`, `lost to latest-wins`, `lost to merge in
    /// brightness`, `awaits a choice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// Answer to a resolution.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Resolved {
    /// Always true.
    pub ok: bool,
    /// The conflict as it is settled.
    pub conflict: ConflictView,
}

/// Conflicts, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConflictList {
    /// How many there are.
    pub count: usize,
    /// The conflicts.
    pub conflicts: Vec<ConflictView>,
}
