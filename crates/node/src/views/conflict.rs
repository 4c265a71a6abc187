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
    /// When this home first saw it.
    pub detected_at: Stamp,
    /// Strategy in force, such as `latest-wins`.
    pub strategy: String,
    /// Hash of the versions shown; a resolution carries it.
    pub token: String,
    /// What both sides had seen before, from history.
    pub before: Option<VersionView>,
    /// The versions, greatest first.
    pub versions: Vec<VersionView>,
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

/// One side of a conflict.
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
    /// Who caused it: a person, an automation or the device.
    pub by: String,
}

/// Conflicts, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConflictList {
    /// How many there are.
    pub count: usize,
    /// The conflicts.
    pub conflicts: Vec<ConflictView>,
}
