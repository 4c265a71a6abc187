//! Strategies: which rules settle conflicts, in which space, and who says so.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Stamp;

/// What settles conflicts, in this home's own space and in the joint one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StrategyView {
    /// Rules of this home's own space; an entity id goes before a pattern, then the first match holds.
    pub own: Vec<RuleView>,
    /// The joint space's policy; null without a shared key.
    pub joint: Option<JointView>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    /// Entity id or pattern.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Such as `latest-wins`.
    pub strategy: String,
    /// For `custom`: the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Who says so.
    pub origin: RuleOrigin,
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleOrigin {
    /// The configuration of a home.
    Configuration,
    /// A person, while a home ran.
    RunTime,
    /// Nobody.
    Default,
}

/// The policy of the joint space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JointView {
    /// Rules, as above.
    pub rules: Vec<RuleView>,
    /// Name of the home that set them; null while nobody has.
    pub set_by: Option<String>,
    /// When.
    pub at: Option<Stamp>,
    /// Whether a person meant it so; what a configuration says by itself gives way to that.
    pub deliberate: bool,
    /// What settles most conflicts there, in a word.
    pub strategy: String,
    /// The same as this home is configured, where that is something else.
    pub configured: Option<String>,
    /// Why this policy holds, in words.
    pub reason: String,
}

/// A custom strategy that failed, so that latest-wins settled the conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FallbackView {
    /// The entity, with its home where that is not this one.
    pub entity_id: String,
    /// What went wrong.
    pub error: String,
    /// When.
    pub at: Stamp,
}
