//! Grants: who may see or steer what.

use crosshome_core::grant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a peer may do with an entity; each right contains the ones before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See it.
    #[default]
    Read,
    /// Send it commands.
    Control,
    /// Change documents too.
    Edit,
}

impl From<Right> for grant::Right {
    fn from(right: Right) -> Self {
        match right {
            Right::Read => Self::Read,
            Right::Control => Self::Control,
            Right::Edit => Self::Edit,
        }
    }
}

/// What sharing or unsharing does, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharePlan {
    /// Names of the homes concerned.
    pub with: Vec<String>,
    /// Entities that become visible to at least one of them.
    pub added: Vec<String>,
    /// Entities that stop being visible.
    pub removed: Vec<String>,
    /// Those of `added` that tell or steer much: locks, alarms, cameras, persons.
    pub risky: Vec<String>,
    /// How many entities these homes see afterwards.
    pub total: usize,
    /// Whether it was done; false for a preview and while risky ones await a yes.
    pub applied: bool,
}
